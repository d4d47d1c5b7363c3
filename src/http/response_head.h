// The head of a response, put together from its raw lines.
#ifndef TUG_HTTP_RESPONSE_HEAD_H_
#define TUG_HTTP_RESPONSE_HEAD_H_

#include "http/headers.h"

#include <cstddef>
#include <string>
#include <string_view>

namespace tug::http {

// Interim responses (1xx) are read over, fields of a trailer too. A value.
class ResponseHead {
 public:
  // All lines of one exchange, interim responses and trailers included. libcurl 7.88 has its own
  // limit at 300 KiB (registry-protocol.md 1.6).
  static constexpr std::size_t kMaxBytes = 256 * 1024;

  // One line as received, with its line end. Throws Error(protocol): too much, a CR or NUL in a
  // value, a bad status line. A field with another control character is left out.
  void add_line(std::string_view line);

  // The head of a final response (status ≥ 200) was received to its end.
  [[nodiscard]] bool complete() const noexcept { return complete_; }
  [[nodiscard]] int status() const noexcept { return status_; }
  [[nodiscard]] const Headers& headers() const noexcept { return headers_; }
  [[nodiscard]] bool any_received() const noexcept { return bytes_ > 0; }

 private:
  void begin(std::string_view status_line);
  void add_field(std::string_view line);

  std::size_t bytes_ = 0;
  int status_ = 0;
  Headers headers_;
  bool complete_ = false;
  bool dropped_ = false;  // the last field was left out
};

}  // namespace tug::http

#endif  // TUG_HTTP_RESPONSE_HEAD_H_
