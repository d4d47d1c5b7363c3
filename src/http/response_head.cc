#include "http/response_head.h"

#include "base/strings.h"

#include <tug/error.h>

#include <algorithm>

namespace tug::http {
namespace {

bool is_control(char c) noexcept {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && byte != '\t') || byte == 0x7F;
}

// What could be taken for the end of a field (RFC 9110 5.5).
bool ends_a_field(char c) noexcept { return c == '\r' || c == '\n' || c == '\0'; }

std::string_view without_line_end(std::string_view line) noexcept {
  if (line.ends_with('\n')) line.remove_suffix(1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

}  // namespace

void ResponseHead::add_line(std::string_view line) {
  bytes_ += line.size();
  if (bytes_ > kMaxBytes) throw Error(ErrorKind::protocol, "the response's headers exceed 256 KiB");
  line = without_line_end(line);
  const bool is_status_line = line.starts_with("HTTP/");
  if (std::any_of(line.begin(), line.end(), is_status_line ? is_control : ends_a_field)) {
    throw Error(ErrorKind::protocol,
                "control character in a response header: " + printable(line, 100));
  }
  if (is_status_line) return begin(line);
  if (complete_) return;  // a trailer
  if (line.empty()) {
    complete_ = status_ >= 200;
    return;
  }
  add_field(line);
}

void ResponseHead::begin(std::string_view status_line) {
  const std::size_t space = status_line.find(' ');
  const std::string_view code =
      space == std::string_view::npos ? "" : status_line.substr(space + 1).substr(0, 3);
  const auto number = parse_uint(code);
  if (!number || code.size() != 3 || *number < 100) {
    throw Error(ErrorKind::protocol, "bad status line: " + printable(status_line, 100));
  }
  status_ = static_cast<int>(*number);
  headers_ = {};
  complete_ = false;
  dropped_ = false;
}

// An escape in some product's Warning is no reason to refuse the answer: without that field it is
// as good as any.
void ResponseHead::add_field(std::string_view line) {
  const bool is_fold = line.front() == ' ' || line.front() == '\t';  // obs-fold, RFC 9112 5.2
  const bool has_control = std::any_of(line.begin(), line.end(), is_control);
  if (!is_fold) dropped_ = has_control;
  if (dropped_ || has_control) return;
  if (is_fold) return headers_.append_to_last(trim(line));
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return;  // no field: of no use, of no harm
  headers_.add(std::string(trim(line.substr(0, colon))), std::string(trim(line.substr(colon + 1))));
}

}  // namespace tug::http
