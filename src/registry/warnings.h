// What registries want people to read (registry-protocol.md 6.8), each text once per process.
#ifndef TUG_REGISTRY_WARNINGS_H_
#define TUG_REGISTRY_WARNINGS_H_

#include <cstddef>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace tug::registry {

// The text of `299 - "text"`, printable; nullopt for every other code and agent, and for a
// malformed value.
std::optional<std::string> parse_warning(std::string_view value);

// Any thread.
class Warnings {
 public:
  explicit Warnings(std::function<void(std::string_view)> note) : note_(std::move(note)) {}
  // Passes `text` on unless it was there before, or 4 KiB were shown already.
  void note(const std::string& text);

 private:
  std::function<void(std::string_view)> note_;
  std::mutex mutex_;
  std::set<std::string> seen_;
  std::size_t shown_bytes_ = 0;
};

}  // namespace tug::registry

#endif  // TUG_REGISTRY_WARNINGS_H_
