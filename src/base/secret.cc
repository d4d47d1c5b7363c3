#include <tug/secret.h>

#include <string.h>

namespace tug {

namespace {

// The whole buffer, not only the text: a short string lives inside the object, and moving it away
// leaves its bytes there.
void wipe(std::string& text) noexcept {
  text.resize(text.capacity());  // never reallocates
  ::explicit_bzero(text.data(), text.size());
  text.clear();
}

}  // namespace

Secret::Secret(std::string value) : value_(std::move(value)) { wipe(value); }

Secret::Secret(Secret&& other) noexcept : value_(std::move(other.value_)) { wipe(other.value_); }

Secret& Secret::operator=(const Secret& other) {
  if (this != &other) *this = Secret(other);
  return *this;
}

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this == &other) return *this;
  wipe(value_);
  value_ = std::move(other.value_);
  wipe(other.value_);
  return *this;
}

Secret::~Secret() { wipe(value_); }

}  // namespace tug
