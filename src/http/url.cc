#include "http/url.h"

#include "base/strings.h"

#include <tug/error.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>

namespace tug::http {
namespace {

constexpr std::size_t kMaxUrl = 16 * 1024;

std::uint16_t default_port(std::string_view scheme) noexcept {
  return scheme == "https" ? 443 : 80;
}

// The text up to its query, unless it may hold a password.
std::string shown(std::string_view text) {
  const std::string_view front = text.substr(0, text.find_first_of("?#"));
  if (front.find('@') != std::string_view::npos) return "URL";
  return "URL \"" + printable(front, 200) + "\"";
}

[[noreturn]] void fail(std::string_view text, const std::string& reason) {
  throw Error(ErrorKind::protocol, shown(text) + ": " + reason);
}

void check_characters(std::string_view text) {
  if (text.size() > kMaxUrl) fail("", "longer than 16 KiB");
  const bool bad =
      std::any_of(text.begin(), text.end(), [](char c) { return c <= ' ' || c > '~'; });
  if (bad) fail(text, "contains a space, control or non-ASCII character");
}

bool is_alpha(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

// The scheme before the first ':' (RFC 3986 3.1), or nullopt when `text` is a relative reference.
std::optional<std::string_view> scheme_of(std::string_view text) noexcept {
  const std::size_t end = text.find_first_of(":/?#");
  if (end == std::string_view::npos || text[end] != ':' || end == 0 || !is_alpha(text[0])) {
    return std::nullopt;
  }
  const std::string_view scheme = text.substr(0, end);
  const bool valid = std::all_of(scheme.begin(), scheme.end(), [](char c) {
    return is_alpha(c) || is_digit(c) || c == '+' || c == '-' || c == '.';
  });
  return valid ? std::optional(scheme) : std::nullopt;
}

// "[2001:db8::1]" in its shortest form, so that equal addresses compare equal.
std::string canonical_ipv6(std::string_view text, std::string_view bracketed) {
  in6_addr address{};
  const std::string inner(bracketed.substr(1, bracketed.size() - 2));
  if (inet_pton(AF_INET6, inner.c_str(), &address) != 1) fail(text, "bad IPv6 address");
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  inet_ntop(AF_INET6, &address, buffer.data(), buffer.size());
  return "[" + std::string(buffer.data()) + "]";
}

std::string parse_host(std::string_view text, std::string_view host) {
  if (host.empty()) fail(text, "no host");
  if (host.front() == '[') return canonical_ipv6(text, host);
  const bool valid = std::all_of(host.begin(), host.end(), [](char c) {
    return is_alpha(c) || is_digit(c) || c == '-' || c == '.' || c == '_' || c == '~';
  });
  if (!valid || host.size() > 255) fail(text, "bad host name");
  return to_lower(host);
}

struct Authority {
  std::string_view host;
  std::string_view port;  // "" when there is none
};

Authority split_authority(std::string_view text, std::string_view authority) {
  if (authority.find('@') != std::string_view::npos) fail(text, "contains a user name or password");
  std::size_t end = authority.find(':');
  if (!authority.empty() && authority.front() == '[') {
    const std::size_t bracket = authority.find(']');
    if (bracket == std::string_view::npos) fail(text, "bad IPv6 address");
    end = bracket + 1 < authority.size() ? bracket + 1 : std::string_view::npos;
    if (end != std::string_view::npos && authority[end] != ':') fail(text, "bad IPv6 address");
  }
  if (end == std::string_view::npos) return {authority, {}};
  return {authority.substr(0, end), authority.substr(end + 1)};
}

std::uint16_t parse_port(std::string_view text, std::string_view port) {
  const auto number = parse_uint(port);
  if (!number || *number == 0 || *number > 65535) fail(text, "bad port");
  return static_cast<std::uint16_t>(*number);
}

// RFC 3986 5.2.4 for a path that begins with '/'.
std::string remove_dot_segments(std::string_view path) {
  std::string out;
  while (!path.empty()) {
    const std::size_t next = std::min(path.find('/', 1), path.size());
    const std::string_view segment = path.substr(0, next);  // with its leading '/'
    const bool last = next == path.size();
    path.remove_prefix(next);
    if (segment == "/.") {
      if (last) out += '/';
    } else if (segment == "/..") {
      out.resize(out.empty() ? 0 : out.rfind('/'));
      if (last) out += '/';
    } else {
      out += segment;
    }
  }
  return out;
}

bool in_network(std::uint32_t address, std::uint32_t network, int bits) noexcept {
  return (address >> (32 - bits)) == (network >> (32 - bits));
}

bool is_private_ipv4(std::uint32_t a) noexcept {
  return in_network(a, 0x00000000, 8) ||   // unspecified, "this network"
         in_network(a, 0x0A000000, 8) ||   // 10/8
         in_network(a, 0x64400000, 10) ||  // 100.64/10: shared, and a cloud's metadata service
         in_network(a, 0x7F000000, 8) ||   // loopback
         in_network(a, 0xA9FE0000, 16) ||  // 169.254/16: link-local, metadata services
         in_network(a, 0xAC100000, 12) ||  // 172.16/12
         in_network(a, 0xC0000000, 24) ||  // 192.0.0/24: protocol assignments, a metadata service
         in_network(a, 0xC0A80000, 16);    // 192.168/16
}

// The IPv4 address inside an IPv4-mapped, -compatible, NAT64 or 6to4 address.
std::optional<std::uint32_t> embedded_ipv4(const in6_addr& address) noexcept {
  const std::uint8_t* b = address.s6_addr;
  const auto word = [b](int i) {
    return (std::uint32_t{b[i]} << 24) | (std::uint32_t{b[i + 1]} << 16) |
           (std::uint32_t{b[i + 2]} << 8) | b[i + 3];
  };
  const bool nat64 = word(0) == 0x0064FF9B && word(4) == 0 && word(8) == 0;
  if (nat64 || IN6_IS_ADDR_V4MAPPED(&address) || IN6_IS_ADDR_V4COMPAT(&address)) return word(12);
  if (b[0] == 0x20 && b[1] == 0x02) return word(2);
  return std::nullopt;
}

struct Address {
  std::optional<std::uint32_t> v4;
  std::optional<in6_addr> v6;
};

// The address that a resolver would make of `host`. inet_aton() knows the notations that
// getaddrinfo() and curl accept: "127.1", "0x7f000001", "017700000001".
Address literal_address(const std::string& host) noexcept {
  Address result;
  if (!host.empty() && host.front() == '[') {
    std::array<char, INET6_ADDRSTRLEN + 1> inner{};
    host.copy(inner.data(), std::min(host.size() - 2, inner.size() - 1), 1);
    in6_addr address{};
    if (inet_pton(AF_INET6, inner.data(), &address) == 1) {
      result.v6 = address;
      result.v4 = embedded_ipv4(address);
    }
    return result;
  }
  std::array<char, 64> text{};  // longer is no address
  const std::size_t size = !host.empty() && host.back() == '.' ? host.size() - 1 : host.size();
  if (size >= text.size()) return result;
  host.copy(text.data(), size);
  in_addr address{};
  if (inet_aton(text.data(), &address) != 0) result.v4 = ntohl(address.s_addr);
  return result;
}

// Query keys of the registry protocol that tell nothing worth hiding.
bool is_public_query_key(std::string_view key) noexcept {
  constexpr std::array<std::string_view, 13> kKeys{
      "digest", "mount", "from",    "n",       "last",         "tag",          "digest-algorithm",
      "ns",     "scope", "service", "account", "artifactType", "offline_token"};
  return std::find(kKeys.begin(), kKeys.end(), key) != kKeys.end();
}

std::string redact_query(std::string_view query) {
  std::string out;
  for (const std::string_view pair : split(query, '&')) {
    if (!out.empty()) out += '&';
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos) {
      out += is_public_query_key(pair) || pair.empty() ? pair : "***";
    } else if (is_public_query_key(pair.substr(0, equals))) {
      out += pair;
    } else {
      out += std::string(pair.substr(0, equals + 1)) + "***";
    }
  }
  return out;
}

}  // namespace

std::string Origin::str() const {
  const bool usual = port == default_port(scheme);
  return scheme + "://" + host + (usual ? "" : ":" + std::to_string(port));
}

std::string Origin::authority() const { return host + ":" + std::to_string(port); }

Url Url::parse(std::string_view text) {
  check_characters(text);
  const auto scheme = scheme_of(text);
  if (!scheme) fail(text, "not an absolute URL");
  Url url;
  url.origin_.scheme = to_lower(*scheme);
  if (url.origin_.scheme != "http" && url.origin_.scheme != "https") {
    fail(text, "neither http nor https");
  }
  std::string_view rest = text.substr(scheme->size() + 1);
  if (!rest.starts_with("//")) fail(text, "no host");
  rest.remove_prefix(2);
  rest = rest.substr(0, rest.find('#'));

  const std::size_t authority_end = std::min(rest.find_first_of("/?"), rest.size());
  const Authority authority = split_authority(text, rest.substr(0, authority_end));
  url.origin_.host = parse_host(text, authority.host);
  url.explicit_port_ = !authority.port.empty();
  url.origin_.port =
      url.explicit_port_ ? parse_port(text, authority.port) : default_port(url.origin_.scheme);

  rest.remove_prefix(authority_end);
  const std::size_t question = rest.find('?');
  url.path_ = rest.substr(0, question);
  if (url.path_.empty()) url.path_ = "/";
  if (question != std::string_view::npos) url.query_ = rest.substr(question + 1);
  return url;
}

Url Url::resolve(std::string_view location) const {
  check_characters(location);
  if (location.empty()) throw Error(ErrorKind::protocol, "empty URL");
  if (scheme_of(location) || location.starts_with("//")) {
    Url url =
        scheme_of(location) ? parse(location) : parse(origin_.scheme + ":" + std::string(location));
    url.path_ = remove_dot_segments(url.path_);
    return url;
  }
  location = location.substr(0, location.find('#'));
  if (location.empty()) return *this;
  const std::size_t question = location.find('?');
  const std::string_view path = location.substr(0, question);
  Url url = *this;
  if (path.starts_with('/')) {
    url.path_ = remove_dot_segments(path);
  } else if (!path.empty()) {
    const std::string directory = path_.substr(0, path_.rfind('/') + 1);
    url.path_ = remove_dot_segments(directory + std::string(path));
  }
  url.query_.reset();
  if (question != std::string_view::npos) url.query_ = location.substr(question + 1);
  if (url.str().size() > kMaxUrl) fail("", "longer than 16 KiB");
  return url;
}

std::string Url::target() const { return query_ ? path_ + "?" + *query_ : path_; }

bool Url::has_private_ip_literal() const noexcept {
  const Address address = literal_address(origin_.host);
  if (address.v4 && is_private_ipv4(*address.v4)) return true;
  if (!address.v6) return false;
  const in6_addr& v6 = *address.v6;
  const bool unique_local = (v6.s6_addr[0] & 0xFE) == 0xFC;
  return unique_local || IN6_IS_ADDR_LOOPBACK(&v6) || IN6_IS_ADDR_UNSPECIFIED(&v6) ||
         IN6_IS_ADDR_LINKLOCAL(&v6) || IN6_IS_ADDR_SITELOCAL(&v6);
}

bool Url::is_loopback() const noexcept {
  if (origin_.host == "localhost") return true;
  const Address address = literal_address(origin_.host);
  if (address.v6 && IN6_IS_ADDR_LOOPBACK(&*address.v6)) return true;
  return address.v4 && in_network(*address.v4, 0x7F000000, 8);
}

Url Url::with_query(std::string_view key, std::string_view value) const {
  Url url = *this;
  const std::string pair = percent_encode(key) + "=" + percent_encode(value);
  url.query_ = query_ && !query_->empty() ? *query_ + "&" + pair : pair;
  return url;
}

Url Url::with_scheme(std::string_view scheme) const {
  return parse(std::string(scheme) + "://" + origin_.host +
               (explicit_port_ ? ":" + std::to_string(origin_.port) : "") + target());
}

std::string Url::prefix() const {
  return origin_.scheme + "://" + (explicit_port_ ? origin_.authority() : origin_.host);
}

std::string Url::str() const { return prefix() + target(); }

std::string Url::redacted() const {
  return printable(prefix() + path_ + (query_ ? "?" + redact_query(*query_) : ""), 1000);
}

}  // namespace tug::http
