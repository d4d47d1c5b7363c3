// http and https URLs as a registry client needs them (RFC 3986). A value; only constructible
// valid.
#ifndef TUG_HTTP_URL_H_
#define TUG_HTTP_URL_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tug::http {

// Scheme, lower-case host and effective port: what credentials are bound to (registry-protocol.md
// section 0). An IPv6 address is in its shortest form and in brackets.
struct Origin {
  std::string scheme;
  std::string host;
  std::uint16_t port = 0;
  // "https://reg.example", with ":port" when it is not the scheme's own.
  [[nodiscard]] std::string str() const;
  // "reg.example:443": always with the port, for messages.
  [[nodiscard]] std::string authority() const;
  friend bool operator==(const Origin&, const Origin&) = default;
  friend auto operator<=>(const Origin&, const Origin&) = default;
};

class Url {
 public:
  // Throws Error(protocol): not http(s), userinfo, no host, bad port, control characters, spaces or
  // non-ASCII bytes, over 16 KiB. A fragment is dropped. The message shows no query and no
  // userinfo.
  static Url parse(std::string_view text);
  // Resolves a Location (absolute, scheme-relative, path-absolute, path-relative, query-only)
  // against this URL, RFC 3986 5.2. Throws as parse(), and for an empty one.
  [[nodiscard]] Url resolve(std::string_view location) const;

  [[nodiscard]] const Origin& origin() const noexcept { return origin_; }
  [[nodiscard]] const std::string& path() const noexcept {
    return path_;
  }  // as received, never decoded
  [[nodiscard]] const std::optional<std::string>& query() const noexcept { return query_; }
  // "/path?query", for the request line.
  [[nodiscard]] std::string target() const;
  // The host is an IP literal in a loopback, private, link-local (metadata services) or unspecified
  // range, in any notation that a resolver would take for an address ("0x7f.1").
  [[nodiscard]] bool has_private_ip_literal() const noexcept;
  // The host is "localhost" or a loopback address: never reached through a proxy (cli-surface.md
  // A.1).
  [[nodiscard]] bool is_loopback() const noexcept;
  // With "key=value" appended to the query ('?' or '&'); both are percent-encoded. The rest stays
  // byte for byte.
  [[nodiscard]] Url with_query(std::string_view key, std::string_view value) const;
  // The same with another scheme on the same host and explicit port.
  [[nodiscard]] Url with_scheme(std::string_view scheme) const;
  [[nodiscard]] std::string str() const;
  // For logs and messages: values of query keys that can carry a signature or a state, that is all
  // but the protocol's own, are masked (rule S7).
  [[nodiscard]] std::string redacted() const;
  friend bool operator==(const Url&, const Url&) = default;

 private:
  Url() = default;
  [[nodiscard]] std::string prefix() const;  // "https://host[:port]" as it was written

  Origin origin_;
  bool explicit_port_ = false;
  std::string path_;
  std::optional<std::string> query_;
};

}  // namespace tug::http

#endif  // TUG_HTTP_URL_H_
