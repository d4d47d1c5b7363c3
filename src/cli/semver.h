// Versions and constraints on them as `images-by-semver` of a sync file means them: those of Go's
// Masterminds/semver (version 3), which skopeo uses. Values; pure.
#ifndef TUG_CLI_SEMVER_H_
#define TUG_CLI_SEMVER_H_

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tug::cli {

struct Version {
  std::uint64_t major = 0;
  std::uint64_t minor = 0;
  std::uint64_t patch = 0;
  std::string prerelease = {};  // without the '-': "rc.1"

  // "1.2.3-rc.1+build", "v1.2", "1": a leading v, and minor and patch may be missing. nullopt for
  // what is none, as most tags that are no versions.
  static std::optional<Version> parse(std::string_view text);
  // Precedence, semver.org 2.0.0 section 11: what was built when (+build) does not count.
  friend std::strong_ordering operator<=>(const Version& a, const Version& b) noexcept;
  friend bool operator==(const Version& a, const Version& b) noexcept { return (a <=> b) == 0; }
};

// Alternatives, separated by "||", of conditions that must all hold, separated by spaces or commas:
//   1.2.3 =1.2.3 !=1.2.3 >1 <2 >=1.2 <=1.3 (=> and =<)   comparisons
//   1.x 1.2.* 1 *                                        any version that begins so
//   ~1.2.3 (~>)   at least that, and the same minor version;  ~1: the same major version
//   ^1.2.3        at least that, and the same first number that is not 0
//   1.2 - 1.4     >=1.2 <=1.4
// A prerelease fits only an alternative that names one itself.
class VersionConstraint {
 public:
  // Throws Error(usage) that quotes what is wrong.
  static VersionConstraint parse(std::string_view text);
  [[nodiscard]] bool allows(const Version& version) const noexcept;

 private:
  enum class Operator { equal, not_equal, greater, less, at_least, at_most, tilde, caret };
  // Which numbers were written: "1.x" has its major version alone.
  enum class Precision { none, major, minor, patch };
  struct Condition {
    Operator op = Operator::equal;
    Version version = {};
    Precision precision = Precision::patch;
  };
  using Conditions = std::vector<Condition>;
  class Reader;
  static bool holds(const Condition& condition, const Version& version) noexcept;
  static bool holds_tilde(const Condition& condition, const Version& version) noexcept;
  static bool holds_caret(const Condition& condition, const Version& version) noexcept;

  std::vector<Conditions> alternatives_;
};

}  // namespace tug::cli

#endif  // TUG_CLI_SEMVER_H_
