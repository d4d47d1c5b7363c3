// The debug log: lines on stderr that --debug asks for. Constructed in main, passed by reference.
#ifndef TUG_BASE_LOG_H_
#define TUG_BASE_LOG_H_

#include <functional>
#include <string_view>

namespace tug {

// Any thread. Callers never put a secret into a line; URLs go through http::Url::redacted().
class Log {
 public:
  using Sink = std::function<void(std::string_view line)>;
  Log() = default;  // drops everything
  explicit Log(Sink sink) : sink_(std::move(sink)) {}
  [[nodiscard]] bool enabled() const noexcept { return static_cast<bool>(sink_); }
  void debug(std::string_view line) const {
    if (sink_) sink_(line);
  }

 private:
  Sink sink_;
};

}  // namespace tug

#endif  // TUG_BASE_LOG_H_
