#include "registry/warnings.h"

#include "base/strings.h"

#include <algorithm>

namespace tug::registry {
namespace {

constexpr std::size_t kMaxShownBytes = 4 * 1024;
constexpr std::string_view kPrefix = "299 - \"";

}  // namespace

std::optional<std::string> parse_warning(std::string_view value) {
  value = trim(value);
  if (!value.starts_with(kPrefix)) return std::nullopt;
  value.remove_prefix(kPrefix.size());
  std::string text;
  while (!value.empty() && value.front() != '"') {
    if (value.front() == '\\') value.remove_prefix(1);
    if (value.empty()) return std::nullopt;
    text.push_back(value.front());
    value.remove_prefix(1);
  }
  const auto is_control = [](char c) { return (c >= 0 && c < ' ') || c == '\x7f'; };
  if (value.empty() || text.empty() || std::any_of(text.begin(), text.end(), is_control)) {
    return std::nullopt;
  }
  return printable(text);
}

void Warnings::note(const std::string& text) {
  {
    const std::lock_guard lock(mutex_);
    if (shown_bytes_ + text.size() > kMaxShownBytes || !seen_.insert(text).second) return;
    shown_bytes_ += text.size();
  }
  if (note_) note_(text);
}

}  // namespace tug::registry
