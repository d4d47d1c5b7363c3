#include "base/hash.h"

#include <tug/error.h>

#include <openssl/evp.h>

namespace tug {

namespace {

EVP_MD_CTX* as_context(void* context) noexcept { return static_cast<EVP_MD_CTX*>(context); }

void check(bool done) {
  if (!done) throw Error(ErrorKind::local, "the cryptographic library cannot compute a digest");
}

// Fetching walks the providers' tables under locks and costs more than hashing a kilobyte: once per
// run and kind, at the first use rather than at start. Lives as long as the process.
const EVP_MD* algorithm(Hasher::Kind kind) {
  static const EVP_MD* const sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  if (kind == Hasher::Kind::sha256) return sha256;
  static const EVP_MD* const sha512 = EVP_MD_fetch(nullptr, "SHA512", nullptr);
  return sha512;
}

}  // namespace

void Hasher::Deleter::operator()(void* context) const noexcept {
  EVP_MD_CTX_free(as_context(context));
}

Hasher::Hasher(Kind kind) : context_(EVP_MD_CTX_new()) {
  const EVP_MD* const digest = algorithm(kind);
  check(context_ && digest && EVP_DigestInit_ex2(as_context(context_.get()), digest, nullptr) == 1);
}

Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;
Hasher::~Hasher() = default;

void Hasher::update(std::span<const std::byte> bytes) {
  check(EVP_DigestUpdate(as_context(context_.get()), bytes.data(), bytes.size()) == 1);
}

void Hasher::update(std::string_view bytes) { update(std::as_bytes(std::span(bytes))); }

std::vector<std::byte> Hasher::finish() const {
  const std::unique_ptr<void, Deleter> copy(EVP_MD_CTX_new());
  check(copy && EVP_MD_CTX_copy_ex(as_context(copy.get()), as_context(context_.get())) == 1);
  std::vector<std::byte> hash(
      static_cast<std::size_t>(EVP_MD_CTX_get_size(as_context(copy.get()))));
  unsigned written = 0;
  check(EVP_DigestFinal_ex(as_context(copy.get()), reinterpret_cast<unsigned char*>(hash.data()),
                           &written) == 1 &&
        written == hash.size());
  return hash;
}

std::string to_hex(std::span<const std::byte> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  hex.reserve(bytes.size() * 2);
  for (const std::byte byte : bytes) {
    hex += kDigits[std::to_integer<std::size_t>(byte >> 4)];
    hex += kDigits[std::to_integer<std::size_t>(byte & std::byte{0xf})];
  }
  return hex;
}

}  // namespace tug
