#include "tug/digest.h"

#include "base/hash.h"
#include "base/strings.h"
#include "tug/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace tug {

namespace {

constexpr std::array kAlgorithms{DigestAlgorithm::sha256, DigestAlgorithm::sha512};

constexpr std::size_t hash_size(DigestAlgorithm algorithm) noexcept {
  return algorithm == DigestAlgorithm::sha256 ? 32 : 64;
}

bool is_lower_hex(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

std::optional<DigestAlgorithm> algorithm_named(std::string_view name) noexcept {
  const auto* found =
      std::find_if(kAlgorithms.begin(), kAlgorithms.end(),
                   [&](DigestAlgorithm algorithm) { return to_string(algorithm) == name; });
  return found == kAlgorithms.end() ? std::nullopt : std::optional(*found);
}

// The algorithm part of the grammar in descriptor.md: [a-z0-9]+ with single separators + . _ -
// between.
bool is_algorithm_name(std::string_view name) noexcept {
  const auto alphanumeric = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z'); };
  char previous = '-';
  for (const char c : name) {
    const bool separator = c == '+' || c == '.' || c == '_' || c == '-';
    if (!alphanumeric(c) && !(separator && alphanumeric(previous))) return false;
    previous = c;
  }
  return alphanumeric(previous);
}

// Why `text`, which is no digest, is none.
std::string problem_of(std::string_view text) {
  const auto colon = text.find(':');
  const auto name = text.substr(0, colon);
  const std::string quoted = '"' + printable(text, 100) + '"';
  if (colon == std::string_view::npos || !is_algorithm_name(name)) {
    return fmt::format("invalid digest {}: \"sha256:\" and 64 hex digits expected", quoted);
  }
  const auto algorithm = algorithm_named(name);
  if (!algorithm) {
    return fmt::format(
        "unsupported digest algorithm \"{}\" in {} (sha256 and sha512 are supported)",
        printable(name, 40), quoted);
  }
  return fmt::format("invalid digest {}: exactly {} lower-case hex digits must follow \"{}:\"",
                     quoted, 2 * hash_size(*algorithm), name);
}

}  // namespace

std::string_view to_string(DigestAlgorithm algorithm) noexcept {
  return algorithm == DigestAlgorithm::sha256 ? "sha256" : "sha512";
}

std::optional<Digest> Digest::try_parse(std::string_view text) noexcept {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto algorithm = algorithm_named(text.substr(0, colon));
  const auto hex = text.substr(colon + 1);
  if (!algorithm || hex.size() != 2 * hash_size(*algorithm) || !is_lower_hex(hex))
    return std::nullopt;
  return Digest(*algorithm, std::string(text));
}

Digest Digest::parse(std::string_view text) {
  if (auto digest = try_parse(text)) return *std::move(digest);
  throw Error(ErrorKind::usage, problem_of(text));
}

Digest Digest::from_bytes(DigestAlgorithm algorithm, std::span<const std::byte> raw) {
  if (raw.size() != hash_size(algorithm)) {
    throw Error(ErrorKind::integrity,
                fmt::format("a {} hash has {} bytes, not {}", to_string(algorithm),
                            hash_size(algorithm), raw.size()));
  }
  return Digest(algorithm, fmt::format("{}:{}", to_string(algorithm), to_hex(raw)));
}

Digest Digest::of(std::string_view bytes) { return of(DigestAlgorithm::sha256, bytes); }

Digest Digest::of(DigestAlgorithm algorithm, std::string_view bytes) {
  Hasher hasher(algorithm == DigestAlgorithm::sha256 ? Hasher::Kind::sha256 : Hasher::Kind::sha512);
  hasher.update(bytes);
  return from_bytes(algorithm, hasher.finish());
}

std::string_view Digest::hex() const noexcept {
  return std::string_view(text_).substr(to_string(algorithm_).size() + 1);
}

}  // namespace tug
