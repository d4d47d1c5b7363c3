#include "base/strings.h"
#include "tug/descriptor.h"
#include "tug/error.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <span>

namespace tug {

namespace {

// What this program was compiled for, in Go's names. A 32-bit build on a 64-bit kernel wants 32-bit
// images, so uname() alone would not do.
constexpr std::string_view compiled_architecture() noexcept {
#if defined(__x86_64__)
  return "amd64";
#elif defined(__aarch64__)
  return "arm64";
#elif defined(__arm__)
  return "arm";
#elif defined(__i386__)
  return "386";
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
  return "ppc64le";
#elif defined(__powerpc64__)
  return "ppc64";
#elif defined(__s390x__)
  return "s390x";
#elif defined(__riscv) && __riscv_xlen == 64
  return "riscv64";
#elif defined(__loongarch64)
  return "loong64";
#elif defined(__mips64) && defined(_MIPSEL)
  return "mips64le";
#else
  return "unknown";
#endif
}

// The variant of a 32-bit ARM machine by its kernel: "armv7l" → v7; an ARMv8 kernel says "armv8l"
// or "aarch64".
std::string arm_variant() {
  utsname name{};
  if (::uname(&name) != 0) return {};
  const std::string_view machine = name.machine;
  if (machine == "aarch64") return "v8";
  if (machine.size() < 5 || !machine.starts_with("armv")) return {};
  return {'v', machine[4]};
}

bool is_platform_word(std::string_view word) noexcept {
  return !word.empty() && std::all_of(word.begin(), word.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
           c == '_' || c == '-';
  });
}

// Each runs what stands right of it. containers/image (platform_matcher.go) knows arm and arm64;
// that amd64 without variant means v1 is the rule of the image specification's variant table.
constexpr std::array<std::string_view, 4> kArm{"v8", "v7", "v6", "v5"};
constexpr std::array<std::string_view, 1> kArm64{"v8"};
constexpr std::array<std::string_view, 4> kAmd64{"v4", "v3", "v2", "v1"};

std::span<const std::string_view> variants_of(std::string_view architecture) noexcept {
  if (architecture == "arm") return kArm;
  if (architecture == "arm64") return kArm64;
  if (architecture == "amd64") return kAmd64;
  return {};
}

}  // namespace

Platform Platform::host() {
  Platform platform;
  platform.os = "linux";
  platform.architecture = compiled_architecture();
  if (platform.architecture == "arm") platform.variant = arm_variant();
  if (platform.architecture == "arm64") platform.variant = "v8";
  return platform;
}

Platform Platform::parse(std::string_view text) {
  const auto words = split(text, '/');
  if (words.size() < 2 || words.size() > 3 ||
      !std::all_of(words.begin(), words.end(), is_platform_word)) {
    throw Error(ErrorKind::usage,
                fmt::format("invalid platform \"{}\": OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT "
                            "expected, for example linux/amd64 or linux/arm/v7",
                            printable(text, 100)));
  }
  Platform platform;
  platform.os = words[0];
  platform.architecture = words[1];
  if (words.size() == 3) platform.variant = words[2];
  return platform;
}

std::string Platform::str() const {
  return os + '/' + architecture + (variant.empty() ? std::string() : '/' + variant);
}

std::vector<std::string> Platform::compatible_variants() const {
  const auto known = variants_of(architecture);
  if (variant.empty()) {
    // A newer x86-64 level than the oldest may not run here; any ARM variant is better than none.
    const auto usable = architecture == "amd64" ? known.last(1) : known;
    std::vector<std::string> result{""};
    result.insert(result.end(), usable.begin(), usable.end());
    return result;
  }
  const auto wanted = std::find(known.begin(), known.end(), variant);
  std::vector<std::string> result(wanted, known.end());
  if (result.empty()) result.push_back(variant);
  result.emplace_back();
  return result;
}

}  // namespace tug
