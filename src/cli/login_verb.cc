// tug login REGISTRY[/PATH], tug logout REGISTRY[/PATH]
#include "cli/login_verb.h"

#include "base/strings.h"
#include "cli/context.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "registry/login.h"

#include <tug/error.h>

#include <fmt/format.h>

#include <cstdlib>

namespace tug::cli {
namespace {

using registry::Credential;
using registry::LoginKey;
using registry::LoginRequest;

Error usage(const char* message) { return {ErrorKind::usage, message}; }

registry::LoginFiles login_files(const Arguments& arguments) {
  return {arguments.value("authfile"), arguments.value("compat-auth-file")};
}

// ---- login -------------------------------------------------------------------------------------

LoginRequest login_request(const Arguments& arguments) {
  const std::vector<std::string>& targets = arguments.positional();
  if (targets.empty()) throw usage("please provide a registry to login to");
  if (targets.size() > 1) throw usage("login accepts only one registry to login to");
  LoginRequest request;
  request.target = targets.front();
  request.username = arguments.value("username").value_or("");
  request.password = Secret(arguments.value("password").value_or(""));
  request.files = login_files(arguments);
  request.tls_verify = arguments.optional_bool("tls-verify");
  request.cert_dir = arguments.value("cert-dir");
  return request;
}

void read_password_from_stdin(LoginRequest& request, const std::stop_token& stop) {
  if (!request.password.empty()) throw usage("Can't specify both --password-stdin and --password");
  if (request.username.empty()) throw usage("Must provide --username with --password-stdin");
  request.password = read_secret_to_end(stop);
  if (request.password.empty())
    throw usage("--password-stdin: there is no password on standard input");
}

Credential stored_login(Context& context, const LoginRequest& request) {
  return with_context("get credentials", [&] {
    return registry::find_login(context.registries(), request.target, request.files,
                                context.stop());
  });
}

int print_login(const LoginRequest& request, const Credential& stored) {
  if (stored.username.empty()) {
    throw Error(ErrorKind::auth,
                fmt::format("not logged into {}", LoginKey::parse(request.target).str()));
  }
  write_stdout(stored.username + "\n");
  return EXIT_SUCCESS;
}

// Whether the stored credentials are good. They stay where they are.
bool is_logged_in(Context& context, LoginRequest request, const Credential& stored) {
  if (stored.kind == Credential::Kind::identity_token)
    throw Error(ErrorKind::auth, "currently logged in, auth file contains an Identity token")
        .set_hint("log out first, or give --username");
  if (stored.username.empty() || stored.secret.empty()) return false;
  const LoginKey key = LoginKey::parse(request.target);
  write_stdout(fmt::format("Authenticating with existing credentials for {}\n", key.str()));
  request.username = stored.username;
  request.password = stored.secret;
  if (!registry::accepts_login(context.registries(), request, context.stop())) {
    write_stdout("Existing credentials are invalid, please enter valid username and password\n");
    return false;
  }
  write_stdout(
      fmt::format("Existing credentials are valid. Already logged in to {}\n", key.registry()));
  return true;
}

void ask_for_username(LoginRequest& request, const std::string& stored,
                      const std::stop_token& stop) {
  const std::string prompt =
      stored.empty() ? "Username: " : fmt::format("Username ({}): ", printable(stored, 100));
  const std::string answer =
      with_context("reading username", [&] { return ask_line(prompt, stop); });
  request.username = trim(answer);
  if (request.username.empty()) request.username = stored;
}

void ask_for_password(LoginRequest& request, const std::stop_token& stop) {
  request.password =
      with_context("reading password", [&] { return ask_secret("Password: ", stop); });
}

int store_login(Context& context, const LoginRequest& request, bool verbose) {
  const auto result = registry::log_in(context.registries(), request, context.stop());
  if (verbose) write_stdout(fmt::format("Used:  {}\n", result.stored_in));
  write_stdout("Login Succeeded!\n");
  return EXIT_SUCCESS;
}

int run_login(Context& context, const Arguments& arguments) {
  LoginRequest request = login_request(arguments);
  if (arguments.flag("get-login")) return print_login(request, stored_login(context, request));
  if (arguments.flag("password-stdin")) read_password_from_stdin(request, context.stop());
  std::string stored_name;
  if (request.username.empty()) {
    const Credential stored = stored_login(context, request);
    if (request.password.empty() && is_logged_in(context, request, stored)) return EXIT_SUCCESS;
    stored_name = stored.username;
  }
  with_context("getting username and password", [&] {
    if (request.username.empty()) ask_for_username(request, stored_name, context.stop());
    if (request.password.empty()) ask_for_password(request, context.stop());
  });
  return store_login(context, request, arguments.flag("verbose"));
}

// ---- logout ------------------------------------------------------------------------------------

int run_logout(Context& context, const Arguments& arguments) {
  const std::vector<std::string>& targets = arguments.positional();
  const registry::LoginFiles files = login_files(arguments);
  if (arguments.flag("all")) {
    if (!targets.empty()) throw usage("--all takes no arguments");
    registry::log_out_everywhere(context.registries(), files, context.stop());
    write_stdout("Removed login credentials for all registries\n");
    return EXIT_SUCCESS;
  }
  if (targets.empty()) throw usage("please provide a registry to logout from");
  if (targets.size() > 1) throw usage("logout accepts only one registry to logout from");
  const std::string key =
      registry::log_out(context.registries(), targets.front(), files, context.stop());
  write_stdout(fmt::format("Removed login credentials for {}\n", key));
  return EXIT_SUCCESS;
}

std::vector<Option> file_options() {
  using Kind = Option::Kind;
  return {{"authfile", '\0', Kind::value, "FILE",
           "Credentials file in place of the default one and of $REGISTRY_AUTH_FILE"},
          {"compat-auth-file", '\0', Kind::value, "FILE",
           "The same, but docker's config.json, as docker writes it"}};
}

}  // namespace

Verb login_verb() {
  using Kind = Option::Kind;
  return {
      "login",
      "REGISTRY[/PATH]",
      "Log in to a registry",
      "Checks user name and password with the registry and keeps them in the auth file, or with "
      "the\ncredential helper that it or registries.conf names. Asks for what is not given, if "
      "standard\ninput is a terminal. Without --username, good stored credentials are left as "
      "they are.",
      {{"Credentials",
        {{"username", 'u', Kind::value, "USER", "User name"},
         {"password", 'p', Kind::value, "PASS",
          "Password; other users can see it, --password-stdin hides it"},
         {"password-stdin", '\0', Kind::flag, "",
          "Read the password from standard input, to its end"},
         {"get-login", '\0', Kind::flag, "", "Print the stored user name, and do nothing else"}}},
       {"Where they are kept", file_options()},
       {"Registry access",
        {{"cert-dir", '\0', Kind::value, "DIR",
          "CA certificates (*.crt), client certificates (*.cert, *.key)"},
         {"tls-verify", '\0', Kind::optional_bool, "",
          "=false: accept any certificate, and plain http"}}},
       {"Output", {{"verbose", 'v', Kind::flag, "", "Say where the credentials were kept"}}}},
      kJudgedByVerb,
      run_login};
}

Verb logout_verb() {
  using Kind = Option::Kind;
  return {"logout",
          "REGISTRY[/PATH]",
          "Forget the login to a registry",
          "Removes the credentials from the auth file and from the credential helpers in use.",
          {{"What to forget", {{"all", 'a', Kind::flag, "", "The logins to all registries"}}},
           {"Where they are kept", file_options()},
           {"Registry access",
            {{"tls-verify", '\0', Kind::optional_bool, "", "No effect: no registry is asked"}}}},
          kJudgedByVerb,
          run_logout};
}

}  // namespace tug::cli
