// A regular expression over tags, in the syntax of Go's regexp package, which is RE2's. Whatever
// the pattern is, matching takes time linear in the tag. RE2 is known to tag_pattern.cc alone.
#ifndef TUG_CLI_TAG_PATTERN_H_
#define TUG_CLI_TAG_PATTERN_H_

#include <memory>
#include <string>
#include <string_view>

namespace tug::cli {

// A value. Any thread.
class TagPattern {
 public:
  // Throws Error(usage) that says what is wrong with the pattern, or that it is too large.
  static TagPattern parse(const std::string& pattern);
  // Whether it matches anywhere in the tag: ^ and $ tie it to the ends.
  [[nodiscard]] bool matches(std::string_view tag) const;

 private:
  struct Compiled;
  explicit TagPattern(std::shared_ptr<const Compiled> compiled) : compiled_(std::move(compiled)) {}
  std::shared_ptr<const Compiled> compiled_;
};

}  // namespace tug::cli

#endif  // TUG_CLI_TAG_PATTERN_H_
