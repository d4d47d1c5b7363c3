// The one exception type of tug: what went wrong, in words for the person who ran the program.
//
// An Error is a value. Its text reads as one line, outermost context first and the cause last:
//   "pushing oci:app to docker://reg/app:1: uploading blob sha256:ab…: connection reset (hint: …)".
// Throw it with the kind that the *user* would name; a layer that knows something which the inner
// layer did not adds it with add_context() and rethrows; everybody else lets it fly. No secret ever
// goes into one. Thread rule: none; an Error belongs to whoever caught it.
#ifndef TUG_ERROR_H_
#define TUG_ERROR_H_

#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace tug {

// The classes of registry-protocol.md section 0. They decide retry, exit code and the `class` of
// --json.
enum class ErrorKind {
  usage,         // bad reference, option or configuration
  not_found,     // no such image, tag, repository or manifest
  auth,          // credentials missing or refused
  denied,        // 403, read-only, quota, immutable tag, blocked by configuration or policy
  tls,           // certificate or handshake
  network,       // DNS, connect, reset, timeout, stall
  rate_limited,  // 429 after the retry budget is used
  limit,         // a size limit, the registry's or ours
  server,        // 5xx
  protocol,      // a response that violates the protocol
  integrity,     // digest or size disagree, and the network cannot be blamed
  local,         // a local file is missing, unreadable, truncated, or changed while it was read
  interrupted,   // signal or time limit
};

// The word used in the JSON error object: "usage", "not-found", "rate-limited", …
std::string_view to_string(ErrorKind kind) noexcept;

class Error : public std::exception {
 public:
  Error(ErrorKind kind, std::string message);

  [[nodiscard]] ErrorKind kind() const noexcept { return kind_; }
  // The whole line: contexts, message, hint.
  [[nodiscard]] const char* what() const noexcept override { return text_.c_str(); }
  // The cause alone, without contexts and hint.
  [[nodiscard]] const std::string& message() const noexcept { return message_; }
  [[nodiscard]] const std::string& hint() const noexcept { return hint_; }
  // Status of the HTTP response behind this error, if there was one.
  [[nodiscard]] std::optional<int> http_status() const noexcept { return http_status_; }
  // The registry's own codes ("MANIFEST_BLOB_UNKNOWN"), in the order sent; at most 16.
  [[nodiscard]] const std::vector<std::string>& registry_codes() const noexcept { return codes_; }
  [[nodiscard]] bool has_registry_code(std::string_view code) const noexcept;
  // Whether the same operation, started afresh, may succeed.
  [[nodiscard]] bool retryable() const noexcept { return retryable_; }

  // Puts `context` in front of the contexts so far.
  Error& add_context(std::string_view context);
  // What the user can do; shown in brackets at the end. The innermost hint wins.
  Error& set_hint(std::string hint);
  Error& set_kind(ErrorKind kind) noexcept;
  Error& set_http_status(int status) noexcept;
  Error& set_registry_codes(std::vector<std::string> codes);
  Error& set_retryable(bool retryable) noexcept;

 private:
  void render();

  ErrorKind kind_;
  bool retryable_ = false;
  std::optional<int> http_status_;
  std::string context_;
  std::string message_;
  std::string hint_;
  std::vector<std::string> codes_;
  std::string text_;
};

// Runs `work`; an Error that leaves it gets `context` in front. `context` is a string or a callable
// that makes one.
template <typename Context, typename Work>
auto with_context(Context&& context, Work&& work) -> decltype(work()) {
  try {
    return std::forward<Work>(work)();
  } catch (Error& error) {
    if constexpr (std::is_invocable_v<Context>) {
      error.add_context(std::forward<Context>(context)());
    } else {
      error.add_context(std::forward<Context>(context));
    }
    throw;
  }
}

}  // namespace tug

#endif  // TUG_ERROR_H_
