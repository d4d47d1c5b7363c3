#include "tug/reference.h"

#include "base/strings.h"
#include "tug/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

namespace tug {

namespace {

constexpr std::size_t kMaxNameBytes = 255;  // with the registry (registry-protocol.md 1.1)
constexpr std::size_t kMaxTagBytes = 128;

constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
constexpr bool is_lower(char c) noexcept { return c >= 'a' && c <= 'z'; }
constexpr bool is_upper(char c) noexcept { return c >= 'A' && c <= 'Z'; }
constexpr bool is_alphanumeric(char c) noexcept {
  return is_digit(c) || is_lower(c) || is_upper(c);
}

bool all_digits(std::string_view text) noexcept {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_digit);
}

// What may join two runs of letters and digits in a path component: one dot, one or two
// underscores, any dashes.
bool is_path_separator(std::string_view text) noexcept {
  return text == "." || text == "_" || text == "__" ||
         text.find_first_not_of('-') == std::string_view::npos;
}

bool is_path_component(std::string_view component) noexcept {
  const auto alphanumeric = [](char c) { return is_digit(c) || is_lower(c); };
  if (component.empty() || !alphanumeric(component.front()) || !alphanumeric(component.back()))
    return false;
  for (auto at = component.begin(); at != component.end();) {
    const auto separator = std::find_if_not(at, component.end(), alphanumeric);
    at = std::find_if(separator, component.end(), alphanumeric);
    if (separator != at && !is_path_separator({separator, at})) return false;
  }
  return true;
}

bool is_domain_label(std::string_view label) noexcept {
  return !label.empty() && label.front() != '-' && label.back() != '-' &&
         std::all_of(label.begin(), label.end(),
                     [](char c) { return is_alphanumeric(c) || c == '-'; });
}

// "[::1]", without looking closer than the grammar of references does.
bool is_bracketed_ipv6(std::string_view host) noexcept {
  return host.size() > 4 && host.front() == '[' && host.back() == ']' &&
         host.find_first_not_of("0123456789abcdefABCDEF:", 1) == host.size() - 1 &&
         std::count(host.begin(), host.end(), ':') >= 2;
}

bool is_host_name(std::string_view host) noexcept {
  const auto labels = split(host, '.');
  return std::all_of(labels.begin(), labels.end(), is_domain_label);
}

// The length of the user:password@ in front of a host, or 0. A '/' after the '@' gives it away: a
// digest has none.
std::size_t credentials_length(std::string_view text) noexcept {
  const auto at = text.find('@');
  if (at == std::string_view::npos) return 0;
  const auto rest = text.substr(at + 1);
  const bool digest = rest.starts_with("sha256:") || rest.starts_with("sha512:");
  return digest || rest.find('/') == std::string_view::npos ? 0 : at + 1;
}

// What messages show of a reference: no password, no control characters.
std::string shown(std::string_view text) {
  const auto secret = credentials_length(text);
  return secret == 0 ? printable(text, 200) : "…@" + printable(text.substr(secret), 200);
}

std::string quoted(std::string_view text) { return '"' + shown(text) + '"'; }

[[noreturn]] void fail(std::string_view text, std::string_view problem, std::string hint = {}) {
  throw Error(ErrorKind::usage, fmt::format("invalid reference {}: {}", quoted(text), problem))
      .set_hint(std::move(hint));
}

// Control characters and spaces, with their place, before anything else is looked at.
void refuse_unprintable(std::string_view text, bool spaces_too) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x20 || c == 0x7F) {
      fail(text, fmt::format("control character 0x{:02x} at byte {}", c, i + 1));
    }
    if (c == ' ' && spaces_too) fail(text, fmt::format("space at byte {}", i + 1));
  }
}

// user:password@host/name: curl would understand it, the grammar of references does not.
void refuse_credentials(std::string_view text) {
  if (credentials_length(text) == 0) return;
  fail(text,
       "after '@' a digest (sha256:…) is expected; a user name and password cannot be given here",
       "for credentials there are --src-creds, --dest-creds and the auth file");
}

void check_port(std::string_view text, std::string_view port) {
  const auto number = parse_uint(port);
  if (!all_digits(port) || port.size() > 5 || !number || *number == 0 || *number > 65535) {
    fail(text, fmt::format("{} is no port (1 to 65535)", quoted(port)));
  }
}

// HOST[:PORT]
void check_registry(std::string_view text, std::string_view registry) {
  const auto bracket = registry.rfind(']');
  const auto colon = registry.find(':', bracket == std::string_view::npos ? 0 : bracket);
  const auto host = registry.substr(0, colon);
  if (!(host.starts_with('[') ? is_bracketed_ipv6(host) : is_host_name(host))) {
    fail(text, fmt::format("{} is no registry host", quoted(host)));
  }
  if (colon != std::string_view::npos) check_port(text, registry.substr(colon + 1));
}

bool is_image_id(std::string_view name) noexcept {
  return name.size() == 64 && name.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

void check_repository(std::string_view text, std::string_view repository) {
  if (repository.empty()) fail(text, "no repository name");
  if (std::any_of(repository.begin(), repository.end(), is_upper)) {
    fail(text, "repository name must be lower case",
         "its first part is a registry only with a dot or a colon in it, or as localhost");
  }
  for (const auto component : split(repository, '/')) {
    if (component.empty()) {
      fail(text, "empty component in the repository name (two slashes, or one at the end)");
    }
    if (!is_path_component(component)) {
      fail(text, fmt::format("{} in the repository name must be letters and digits, joined by '.', "
                             "'_', '__' or '-'",
                             quoted(component)));
    }
  }
}

void check_tag(std::string_view text, std::string_view tag) {
  if (tag.empty()) fail(text, "nothing after the colon, where a tag belongs");
  if (tag.size() > kMaxTagBytes) {
    fail(text,
         fmt::format("the tag is {} characters long; {} are allowed", tag.size(), kMaxTagBytes));
  }
  if (!is_tag(tag)) {
    fail(text,
         fmt::format("{} is no tag: letters, digits, '_', '.' and '-', the first no '.' or '-'",
                     quoted(tag)));
  }
}

Digest parse_digest(std::string_view text, std::string_view digest) {
  try {
    return Digest::parse(digest);
  } catch (const Error& error) {
    fail(text, error.message());
  }
}

void refuse_scheme(std::string_view text) {
  const auto scheme = text.find("://");
  if (scheme == std::string_view::npos || text.find_first_of(".:/@") != scheme) return;
  fail(text, "a reference has no scheme",
       fmt::format("leave out \"{}\"", printable(text.substr(0, scheme + 3), 40)));
}

// The parts of NAME[:TAG][@DIGEST].
struct Parts {
  std::string_view name;
  std::optional<std::string_view> tag;
  std::optional<std::string_view> digest;
};

Parts split_reference(std::string_view text) noexcept {
  Parts parts{text, std::nullopt, std::nullopt};
  if (const auto at = text.find('@'); at != std::string_view::npos) {
    parts.digest = text.substr(at + 1);
    parts.name = text.substr(0, at);
  }
  const auto slash = parts.name.rfind('/');
  const auto colon = parts.name.find(':', slash == std::string_view::npos ? 0 : slash);
  if (colon != std::string_view::npos) {
    parts.tag = parts.name.substr(colon + 1);
    parts.name = parts.name.substr(0, colon);
  }
  return parts;
}

void check_text(std::string_view text) {
  if (text.empty()) throw Error(ErrorKind::usage, "empty image reference");
  refuse_credentials(text);
  refuse_unprintable(text, true);
  refuse_scheme(text);
}

}  // namespace

bool is_repository_name(std::string_view name) noexcept {
  if (name.size() > kMaxNameBytes) return false;
  const auto components = split(name, '/');
  return std::all_of(components.begin(), components.end(), is_path_component);
}

bool is_registry_component(std::string_view component) noexcept {
  return component.find_first_of(".:") != std::string_view::npos || component == "localhost";
}

bool is_tag(std::string_view tag) noexcept {
  return !tag.empty() && tag.size() <= kMaxTagBytes && tag.front() != '.' && tag.front() != '-' &&
         std::all_of(tag.begin(), tag.end(),
                     [](char c) { return is_alphanumeric(c) || c == '_' || c == '.' || c == '-'; });
}

RegistryReference RegistryReference::parse_name(std::string_view text, std::string_view name) {
  std::string_view registry = "docker.io";
  std::string repository(name);
  const auto slash = name.find('/');
  if (slash != std::string_view::npos && is_registry_component(name.substr(0, slash))) {
    registry = name.substr(0, slash);
    repository = name.substr(slash + 1);
    check_registry(text, registry);
  }
  if (is_image_id(name)) fail(text, "this is an image ID, not the name of an image");
  check_repository(text, repository);
  if (registry == "index.docker.io") registry = "docker.io";
  if (registry == "docker.io" && repository.find('/') == std::string::npos) {
    repository.insert(0, "library/");
  }
  RegistryReference result(std::string(registry), std::move(repository));
  if (result.name().size() > kMaxNameBytes) {
    fail(text, fmt::format("the name is {} characters long; {} are allowed", result.name().size(),
                           kMaxNameBytes));
  }
  return result;
}

RegistryReference RegistryReference::parse(std::string_view text) {
  check_text(text);
  const Parts parts = split_reference(text);
  RegistryReference result = parse_name(text, parts.name);
  if (parts.digest) result.digest_ = parse_digest(text, *parts.digest);
  if (parts.tag) check_tag(text, *parts.tag);
  if (parts.tag && parts.digest) {
    fail(text, "a tag and a digest together are not supported", "give one of them");
  }
  if (parts.tag) result.tag_ = *parts.tag;
  if (!parts.tag && !parts.digest) result.tag_ = "latest";
  return result;
}

RegistryReference RegistryReference::parse_repository(std::string_view text) {
  check_text(text);
  const Parts parts = split_reference(text);
  if (parts.tag || parts.digest) fail(text, "a repository without tag or digest is expected here");
  return parse_name(text, text);
}

std::string RegistryReference::identifier() const {
  return digest_ ? digest_->str() : tag_.value_or(std::string());
}

std::string RegistryReference::str() const {
  if (digest_) return name() + '@' + digest_->str();
  return tag_ ? name() + ':' + *tag_ : name();
}

std::string RegistryReference::misreading_hint() const {
  constexpr std::string_view kLibrary = "library/";
  const bool port_like = tag_ && all_digits(*tag_) && tag_->size() >= 2 && tag_->size() <= 5;
  if (registry_ != "docker.io" || !repository_.starts_with(kLibrary) || !port_like) return {};
  const auto host = repository_.substr(kLibrary.size()) + ':' + *tag_;
  return fmt::format(
      "{} was read as {}; if it is a registry, a repository name must follow: {}/NAME", host, str(),
      host);
}

RegistryReference RegistryReference::with_tag(std::string tag) const {
  check_tag(name() + ':' + tag, tag);
  RegistryReference result = without_identifier();
  result.tag_ = std::move(tag);
  return result;
}

RegistryReference RegistryReference::with_digest(const Digest& digest) const {
  RegistryReference result = without_identifier();
  result.digest_ = digest;
  return result;
}

RegistryReference RegistryReference::without_identifier() const { return {registry_, repository_}; }

namespace {

constexpr std::array kTransports{Transport::docker,        Transport::containers_storage,
                                 Transport::dir,           Transport::oci,
                                 Transport::oci_archive,   Transport::docker_archive,
                                 Transport::docker_daemon, Transport::sif,
                                 Transport::ostree,        Transport::atomic,
                                 Transport::tarball};

const Transport* transport_named(std::string_view name) noexcept {
  const auto* found = std::find_if(kTransports.begin(), kTransports.end(),
                                   [&](Transport t) { return to_string(t) == name; });
  return found == kTransports.end() ? nullptr : found;
}

std::string nearest_transport(std::string_view name) {
  std::vector<std::string> names;
  names.reserve(kTransports.size());
  for (const Transport transport : kTransports) names.emplace_back(to_string(transport));
  return nearest(name, names);
}

// What somebody who wrote `text` without a known transport probably means.
std::string transport_hint(std::string_view text) {
  if (text.starts_with("http://") || text.starts_with("https://")) {
    return "an image in a registry is written docker://" + shown(text.substr(text.find("//") + 2));
  }
  if (const auto colon = text.find(':'); colon != std::string_view::npos) {
    const std::string near = nearest_transport(text.substr(0, colon));
    if (!near.empty())
      return fmt::format("did you mean \"{}:{}\"?", near, near == "docker" ? "//" : "");
  }
  return fmt::format("an image in a registry is written docker://{}", shown(text));
}

[[noreturn]] void fail_transport(std::string_view text, std::string_view problem,
                                 std::string hint) {
  throw Error(ErrorKind::usage, fmt::format("invalid image name {}: {}", quoted(text), problem))
      .set_hint(std::move(hint));
}

}  // namespace

std::string_view to_string(Transport transport) noexcept {
  switch (transport) {
    case Transport::docker:
      return "docker";
    case Transport::containers_storage:
      return "containers-storage";
    case Transport::dir:
      return "dir";
    case Transport::oci:
      return "oci";
    case Transport::oci_archive:
      return "oci-archive";
    case Transport::docker_archive:
      return "docker-archive";
    case Transport::docker_daemon:
      return "docker-daemon";
    case Transport::sif:
      return "sif";
    case Transport::ostree:
      return "ostree";
    case Transport::atomic:
      return "atomic";
    case Transport::tarball:
      return "tarball";
  }
  return "";
}

ImageReference ImageReference::parse(std::string_view text) {
  if (text.empty()) throw Error(ErrorKind::usage, "empty image name");
  refuse_unprintable(text, false);
  const auto colon = text.find(':');
  if (colon == std::string_view::npos) fail_transport(text, "no transport", transport_hint(text));
  const auto name = text.substr(0, colon);
  const auto* transport = transport_named(name);
  if (transport == nullptr) {
    fail_transport(text, fmt::format("unknown transport {}", quoted(name)), transport_hint(text));
  }
  auto rest = text.substr(colon + 1);
  if (*transport == Transport::docker) {
    if (!rest.starts_with("//")) {
      fail_transport(text, "\"docker:\" must be followed by \"//\"", "docker://" + shown(rest));
    }
    rest.remove_prefix(2);
  }
  if (rest.empty())
    throw Error(ErrorKind::usage, fmt::format("nothing after \"{}\" in the image name", text));
  return {*transport, std::string(rest)};
}

std::string ImageReference::str() const {
  return fmt::format("{}:{}{}", to_string(transport), transport == Transport::docker ? "//" : "",
                     rest);
}

}  // namespace tug
