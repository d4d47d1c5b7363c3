#include "base/strings.h"

#include <tug/error.h>

#include <algorithm>

namespace tug {

namespace {

// Parts of an error may quote strangers (a registry's message, a file's name): none of them is
// longer than this, breaks the line or steers a terminal, whoever threw it.
constexpr std::size_t kMaxPart = 4000;
constexpr std::size_t kMaxCodes = 16;
constexpr std::size_t kMaxCode = 128;

}  // namespace

std::string_view to_string(ErrorKind kind) noexcept {
  switch (kind) {
    case ErrorKind::usage:
      return "usage";
    case ErrorKind::not_found:
      return "not-found";
    case ErrorKind::auth:
      return "auth";
    case ErrorKind::denied:
      return "denied";
    case ErrorKind::tls:
      return "tls";
    case ErrorKind::network:
      return "network";
    case ErrorKind::rate_limited:
      return "rate-limited";
    case ErrorKind::limit:
      return "limit";
    case ErrorKind::server:
      return "server";
    case ErrorKind::protocol:
      return "protocol";
    case ErrorKind::integrity:
      return "integrity";
    case ErrorKind::local:
      return "local";
    case ErrorKind::interrupted:
      return "interrupted";
  }
  return "unknown";
}

Error::Error(ErrorKind kind, std::string message)
    : kind_(kind), message_(printable(message, kMaxPart)) {
  render();
}

bool Error::has_registry_code(std::string_view code) const noexcept {
  return std::find(codes_.begin(), codes_.end(), code) != codes_.end();
}

Error& Error::add_context(std::string_view context) {
  if (context.empty()) return *this;
  std::string outer = printable(context, kMaxPart);
  context_ = context_.empty() ? std::move(outer) : outer + ": " + context_;
  render();
  return *this;
}

Error& Error::set_hint(std::string hint) {
  if (!hint_.empty()) return *this;
  hint_ = printable(hint, kMaxPart);
  render();
  return *this;
}

Error& Error::set_kind(ErrorKind kind) noexcept {
  kind_ = kind;
  return *this;
}

Error& Error::set_http_status(int status) noexcept {
  http_status_ = status;
  return *this;
}

Error& Error::set_registry_codes(std::vector<std::string> codes) {
  if (codes.size() > kMaxCodes) codes.resize(kMaxCodes);
  for (std::string& code : codes) code = printable(code, kMaxCode);
  codes_ = std::move(codes);
  return *this;
}

Error& Error::set_retryable(bool retryable) noexcept {
  retryable_ = retryable;
  return *this;
}

void Error::render() {
  text_ = context_.empty() ? message_ : context_ + ": " + message_;
  if (!hint_.empty()) text_ += " (hint: " + hint_ + ")";
}

}  // namespace tug
