#include "cli/tag_pattern.h"

#include "base/strings.h"

#include <tug/error.h>

#include <fmt/format.h>
#include <re2/re2.h>

#include <cstddef>
#include <cstdint>
#include <utility>

namespace tug::cli {
namespace {

constexpr std::size_t kMaxPatternLength = 4096;
constexpr std::int64_t kMaxMemory = std::int64_t{4} * 1024 * 1024;

re2::RE2::Options options() {
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kMaxMemory);
  return options;
}

}  // namespace

struct TagPattern::Compiled {
  explicit Compiled(const std::string& pattern) : expression(pattern, options()) {}
  const re2::RE2 expression;
};

TagPattern TagPattern::parse(const std::string& pattern) {
  const auto fail = [](std::string_view why) {
    return Error(ErrorKind::usage, fmt::format("error parsing regexp: {}", printable(why, 200)));
  };
  if (pattern.size() > kMaxPatternLength) throw fail("it is too long");
  auto compiled = std::make_shared<const Compiled>(pattern);
  if (!compiled->expression.ok()) throw fail(compiled->expression.error());
  return TagPattern(std::move(compiled));
}

bool TagPattern::matches(std::string_view tag) const {
  return re2::RE2::PartialMatch(re2::StringPiece(tag.data(), tag.size()), compiled_->expression);
}

}  // namespace tug::cli
