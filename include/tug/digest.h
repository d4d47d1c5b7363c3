// A content digest, "sha256:<64 hex>" or "sha512:<128 hex>" (OCI image spec, descriptor.md,
// "Digests").
//
// A value that can only be constructed valid: registered algorithm, exact length, lower-case hex.
// That is why a Digest may become part of a path or a URL without further checks.
#ifndef TUG_DIGEST_H_
#define TUG_DIGEST_H_

#include <compare>
#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace tug {

enum class DigestAlgorithm { sha256, sha512 };
std::string_view to_string(DigestAlgorithm algorithm) noexcept;

class Digest {
 public:
  // Throws Error(usage): unknown algorithm, wrong length, upper case or any other character. The
  // message quotes `text` (made printable, cut at 100 characters).
  static Digest parse(std::string_view text);
  static std::optional<Digest> try_parse(std::string_view text) noexcept;
  // From a finished hash. Requires its 32 (64) raw bytes; throws Error(integrity) for another
  // number.
  static Digest from_bytes(DigestAlgorithm algorithm, std::span<const std::byte> raw);
  // The SHA-256 of `bytes`.
  static Digest of(std::string_view bytes);
  static Digest of(DigestAlgorithm algorithm, std::string_view bytes);

  [[nodiscard]] DigestAlgorithm algorithm() const noexcept { return algorithm_; }
  [[nodiscard]] std::string_view algorithm_name() const noexcept { return to_string(algorithm_); }
  [[nodiscard]] std::string_view hex() const noexcept;
  // "sha256:…"
  [[nodiscard]] const std::string& str() const noexcept { return text_; }
  // The first 12 digits, for people.
  [[nodiscard]] std::string_view short_hex() const noexcept { return hex().substr(0, 12); }

  friend bool operator==(const Digest& a, const Digest& b) noexcept { return a.text_ == b.text_; }
  friend auto operator<=>(const Digest& a, const Digest& b) noexcept { return a.text_ <=> b.text_; }

 private:
  Digest(DigestAlgorithm algorithm, std::string text)
      : algorithm_(algorithm), text_(std::move(text)) {}
  DigestAlgorithm algorithm_;
  std::string text_;
};

}  // namespace tug

template <>
struct std::hash<tug::Digest> {
  std::size_t operator()(const tug::Digest& digest) const noexcept {
    return std::hash<std::string>()(digest.str());
  }
};

#endif  // TUG_DIGEST_H_
