#include "registry/login.h"

#include "base/fd.h"
#include "base/strings.h"
#include "registry/error_body.h"
#include "registry/login_store.h"

#include <tug/error.h>

#include <sys/stat.h>

#include <cerrno>
#include <utility>

namespace tug::registry {
namespace {

// A whole registry has no repository of its own, but registries.conf is asked about one.
constexpr const char* kAnyRepository = "login";

std::string quoted(std::string_view text) { return "\"" + printable(text, 300) + "\""; }

// "https://host:port/v1/" → "host:port". A URL's path is no namespace: docker's keys end in /v1/.
std::string_view without_url_parts(std::string_view text) noexcept {
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (!starts_with_ignore_case(text, scheme)) continue;
    text.remove_prefix(scheme.size());
    return text.substr(0, text.find_first_of("/?#"));
  }
  return text;
}

// A repository of `registry` that the login is good for: `path`, or any. `text` is for messages.
RegistryReference repository_of(std::string_view text, const std::string& registry,
                                const std::optional<std::string>& path) {
  // "quay/team" is a reference too, but of docker.io.
  const bool is_hub = registry == "docker.io" || registry == "index.docker.io";
  std::string why = "the name of a registry needs a dot, a port, or to be localhost";
  try {
    auto reference =
        RegistryReference::parse_repository(registry + "/" + path.value_or(kAnyRepository));
    if (reference.registry() == registry || is_hub) return reference;
  } catch (const Error& error) {
    if (path && !registry.empty()) why = error.message();
  }
  throw Error(ErrorKind::usage, quoted(text) + " is not HOST[:PORT][/PATH] of a registry")
      .set_hint(why);
}

// RFC 7617 has no way to send these, and an auth file none to keep them.
void require_sendable(const LoginRequest& request) {
  if (request.username.empty() || request.password.empty()) {
    throw Error(
        ErrorKind::usage,
        std::string("the ") + (request.username.empty() ? "user name" : "password") + " is empty");
  }
  if (request.username.find(':') != std::string::npos)
    throw Error(ErrorKind::usage, "a user name cannot have a colon in it (RFC 7617)");
  constexpr std::string_view kUnsendable("\r\n\0", 3);
  if (request.username.find_first_of(kUnsendable) != std::string::npos)
    throw Error(ErrorKind::usage, "the user name has a line break in it");
  if (request.password.reveal().find_first_of(kUnsendable) != std::string_view::npos)
    throw Error(ErrorKind::usage, "the password has a line break in it");
}

// GET /v2/ with the request's credentials. Throws for every answer but success.
void ask_registry(const Environment& environment, const LoginKey& key, const LoginRequest& request,
                  const std::stop_token& stop) {
  RegistryAccess access;
  access.credentials = {request.username, request.password};
  access.cert_dir = request.cert_dir;
  access.tls_verify = request.tls_verify;
  Host host(environment, key.reference(), access);
  Call ping;
  ping.path = "/v2/";
  const Answer answer = host.call(ping, stop);
  const http::Response& response = answer.response;
  if (response.status != 200) throw host.failure(answer, {});
  if (is_html(response.body, response.headers.get("Content-Type").value_or(""))) {
    throw Error(ErrorKind::protocol,
                authority(answer.url) + " answered with a web page where a registry was expected");
  }
}

// nullopt: the registry takes them; else how it refused them. Everything else is thrown.
std::optional<Error> refusal(const Environment& environment, const LoginKey& key,
                             const LoginRequest& request, const std::stop_token& stop) {
  try {
    ask_registry(environment, key, request, stop);
    return std::nullopt;
  } catch (Error& error) {
    const bool refused = error.kind() == ErrorKind::auth && error.http_status() == 401;
    if (refused) return error;
    error.add_context("authenticating creds for " + quoted(key.str()));
    throw;
  }
}

// skopeo's words, with what the registry said behind them.
Error invalid_credentials(const LoginKey& key, const Error& refused) {
  // Its last part names the credentials, which whoever logs in knows better than Host.
  const std::string said = refused.message().substr(0, refused.message().rfind("; "));
  Error error(ErrorKind::auth, "invalid username/password");
  error.set_http_status(401).set_registry_codes(refused.registry_codes());
  return error.add_context("logging into " + quoted(key.str())).set_hint(said);
}

void require_named_file(const AuthFile& file) {
  struct stat status {};
  if (!file.named || ::stat(file.path.c_str(), &status) == 0) return;
  throw Error(ErrorKind::local,
              "checking authfile: stat " + file.path + ": " + to_lower(errno_text(errno)));
}

}  // namespace

LoginKey LoginKey::parse(std::string_view text) {
  const std::string_view key = without_url_parts(trim(text));
  const std::size_t slash = key.find('/');
  const std::string registry(key.substr(0, slash));
  std::optional<std::string> path;
  if (slash != std::string_view::npos) path = key.substr(slash + 1);
  return {std::string(key), path.value_or(""), repository_of(text, registry, path)};
}

LoginResult log_in(const Environment& environment, const LoginRequest& request,
                   const std::stop_token& stop) {
  const LoginKey key = LoginKey::parse(request.target);
  require_sendable(request);
  const LoginStore store(environment, request.files, stop);
  store.check(key);
  if (const auto refused = refusal(environment, key, request, stop))
    throw invalid_credentials(key, *refused);
  return {key.str(), store.save(key, request.username, request.password)};
}

bool accepts_login(const Environment& environment, const LoginRequest& request,
                   const std::stop_token& stop) {
  return !refusal(environment, LoginKey::parse(request.target), request, stop);
}

Credential find_login(const Environment& environment, std::string_view target,
                      const LoginFiles& files, const std::stop_token& stop) {
  return LoginStore(environment, files, stop).find(LoginKey::parse(target));
}

std::string log_out(const Environment& environment, std::string_view target,
                    const LoginFiles& files, const std::stop_token& stop) {
  const LoginKey key = LoginKey::parse(target);
  const LoginStore store(environment, files, stop);
  require_named_file(store.file());
  const auto context = [&] { return "logging out of " + quoted(key.str()); };
  if (with_context(context, [&] { return store.erase(key); })) return key.str();
  Error error(ErrorKind::auth, "not logged into " + key.str());
  const Credential elsewhere = store.find(key);
  if (elsewhere.kind != Credential::Kind::anonymous)
    error.set_hint("it is still accessed with " + describe(elsewhere));
  throw error;
}

void log_out_everywhere(const Environment& environment, const LoginFiles& files,
                        const std::stop_token& stop) {
  const LoginStore store(environment, files, stop);
  require_named_file(store.file());
  store.erase_all();
}

}  // namespace tug::registry
