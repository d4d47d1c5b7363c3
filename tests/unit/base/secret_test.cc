#include <tug/secret.h>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <ostream>
#include <string>
#include <type_traits>

namespace tug {
namespace {

template <typename T>
concept Streamable = requires(std::ostream& out, const T& value) {
  out << value;
};
static_assert(!Streamable<Secret>);
static_assert(!std::is_convertible_v<Secret, std::string> &&
              !std::is_convertible_v<Secret, std::string_view>);
static_assert(!std::is_convertible_v<std::string, Secret>);

// Where a Secret lives, readable after its end.
struct Slot {
  alignas(Secret) unsigned char bytes[sizeof(Secret)];
  Secret* make(std::string text) { return new (bytes) Secret(std::move(text)); }
  [[nodiscard]] bool holds(std::string_view text) const {
    return ::memmem(static_cast<const void*>(bytes), sizeof bytes, text.data(), text.size()) !=
           nullptr;
  }
};

TEST_CASE("a secret is revealed only on purpose, and is copied and moved as a value") {
  const Secret a(std::string("pass"));
  Secret b = a;
  CHECK(b.reveal() == "pass");
  CHECK(a == b);
  Secret c = std::move(b);
  CHECK(c.reveal() == "pass");
  CHECK(b.empty());  // NOLINT(bugprone-use-after-move)
  b = Secret(std::string(100, 'x'));
  c = b;
  CHECK(c.reveal() == std::string(100, 'x'));
  c = *&c;
  CHECK(c.reveal().size() == 100);
  b = std::move(c);
  CHECK(b.reveal().size() == 100);
  CHECK(c.empty());  // NOLINT(bugprone-use-after-move)
  CHECK(Secret().empty());
}

TEST_CASE("a short secret's bytes are gone from memory once it ended or was moved away") {
  Slot slot;
  std::memset(slot.bytes, 0, sizeof slot.bytes);
  Secret* secret = slot.make("hunter2");
  CHECK(slot.holds("hunter2"));
  {
    const Secret moved = std::move(*secret);
    CHECK(moved.reveal() == "hunter2");
    CHECK_FALSE(slot.holds("unter2"));  // a string that only forgot its size begins with NUL
  }
  *secret = Secret(std::string("hunter3"));
  CHECK(slot.holds("hunter3"));
  *secret = Secret(std::string("x"));
  CHECK_FALSE(slot.holds("unter3"));
  *secret = Secret(std::string("hunter4"));
  secret->~Secret();
  CHECK_FALSE(slot.holds("unter4"));
}

}  // namespace
}  // namespace tug
