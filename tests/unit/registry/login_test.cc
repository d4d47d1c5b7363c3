#include "registry/login.h"

#include "base/strings.h"
#include "oci/json.h"
#include "support/error_of.h"
#include "support/file_status.h"
#include "support/scoped_env.h"
#include "support/scripted_registry.h"
#include "support/temp_dir.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

using namespace tug;
using namespace tug::registry;
using test::check_error;
using test::error_of;
using test::mode_of;
using test::ScriptedRegistry;
using Auth = ScriptedRegistry::Auth;

namespace {

constexpr const char* kPassword = "s3cr:et wörd";

ScriptedRegistry::Options wanting(Auth auth) {
  ScriptedRegistry::Options options;
  options.auth = auth;
  options.username = "alice";
  options.password = kPassword;
  return options;
}

std::string content_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

bool exists(const std::string& path) { return std::filesystem::exists(path); }

// A registry that knows alice, and a home directory with nothing of the machine's in it.
class Lab {
 public:
  explicit Lab(Auth auth = Auth::basic, const std::string& registries_conf = "")
      : registry(wanting(auth)),
        log_([this](std::string_view line) { remember(debug_, line); }),
        http_({.timeouts = {.connect = std::chrono::milliseconds(5000),
                            .stall = std::chrono::milliseconds(20'000)}},
              log_),
        environment{http_, conf_, {}, log_, [this](std::string_view n) { remember(notes_, n); }} {
    if (!registries_conf.empty()) conf_.merge(registries_conf, "registries.conf");
    for (const char* name : {"REGISTRY_AUTH_FILE", "DOCKER_CONFIG", "XDG_CONFIG_HOME"})
      env.set(name, std::nullopt);
    std::filesystem::create_directory(dir.path() + "/run");
    env.set("HOME", dir.path());
    env.set("XDG_RUNTIME_DIR", dir.path() + "/run");
    env.set("PATH", dir.path() + "/bin:/usr/bin:/bin");
  }

  // alice's good login to the registry, kept in auth.json.
  LoginRequest request(const std::string& path = "") const {
    LoginRequest request;
    request.target = registry.authority() + path;
    request.username = "alice";
    request.password = Secret(kPassword);
    request.files.authfile = file();
    request.tls_verify = false;  // the scripted registry speaks plain http
    return request;
  }
  LoginResult log_in(const LoginRequest& request) const {
    return registry::log_in(environment, request, stop);
  }
  std::string file() const { return dir.path() + "/auth.json"; }
  std::string default_file() const { return dir.path() + "/run/containers/auth.json"; }

  // A helper that notes its verb and input, and then runs `script`.
  void helper(const std::string& name, const std::string& script = "") const {
    const std::string log = dir.path() + "/" + name + ".log";
    const std::string note = "#!/bin/sh\n{ printf '%s ' \"$1\"; cat; echo; } >> " + log + "\n";
    ::chmod(dir.write("bin/docker-credential-" + name, note + script).c_str(), 0755);
  }
  std::string asked(const std::string& name) const {
    return content_of(dir.path() + "/" + name + ".log");
  }
  std::string entry() const { return base64_encode("alice:" + std::string(kPassword)); }

  std::string debug_log() const { return joined(debug_); }
  std::string notes() const { return joined(notes_); }

  test::TempDir dir;
  test::ScopedEnv env;
  ScriptedRegistry registry;
  std::stop_token stop;

 private:
  void remember(std::vector<std::string>& list, std::string_view line) {
    const std::lock_guard lock(mutex_);
    list.emplace_back(line);
  }
  std::string joined(const std::vector<std::string>& list) const {
    const std::lock_guard lock(mutex_);
    return join(list, "\n");
  }
  mutable std::mutex mutex_;
  std::vector<std::string> debug_;
  std::vector<std::string> notes_;
  Log log_;
  http::Client http_;
  RegistriesConf conf_;

 public:
  const Environment environment;
};

}  // namespace

// ---- what one logs in to -----------------------------------------------------------------------

TEST_CASE("a login's key is the registry, or the path below it, without a scheme") {
  struct Case {
    std::string_view text, key, registry, path;
  };
  for (const Case& c : {
           Case{"reg.example", "reg.example", "reg.example", ""},
           Case{"reg.example:5000/team/app", "reg.example:5000/team/app", "reg.example:5000",
                "team/app"},
           Case{"https://reg.example", "reg.example", "reg.example", ""},
           Case{"HTTP://localhost:5000/v1/", "localhost:5000", "localhost:5000", ""},
           Case{"https://index.docker.io/v1/", "index.docker.io", "docker.io", ""},
           Case{"docker.io", "docker.io", "docker.io", ""},
           Case{"docker.io/vendor", "docker.io/vendor", "docker.io", "vendor"},
           Case{" reg.example\n", "reg.example", "reg.example", ""},
       }) {
    CAPTURE(c.text);
    const LoginKey key = LoginKey::parse(c.text);
    CHECK(key.str() == c.key);
    CHECK(key.registry() == c.registry);
    CHECK(key.path() == c.path);
  }
  for (const char* text :
       {"", "/", "https://", "quay", "quay/team", "reg.example/", "reg.example/A",
        "reg.example/a:tag", "reg.example:x", "reg.example//a", "a b.example"}) {
    CAPTURE(text);
    check_error(ErrorKind::usage, "is not HOST[:PORT][/PATH] of a registry",
                [&] { (void)LoginKey::parse(text); });
  }
}

// ---- asking the registry -----------------------------------------------------------------------

TEST_CASE("good credentials are stored, as containers' tools write them") {
  for (const Auth auth : {Auth::basic, Auth::bearer}) {
    const Lab lab(auth);
    const LoginResult result = lab.log_in(lab.request());
    CHECK(result.key == lab.registry.authority());
    CHECK(result.stored_in == lab.file());
    CHECK(content_of(lab.file()) == "{\n\t\"auths\": {\n\t\t\"" + lab.registry.authority() +
                                        "\": {\n\t\t\t\"auth\": \"" + lab.entry() +
                                        "\"\n\t\t}\n\t}\n}");
    CHECK(mode_of(lab.file()) == 0600);
    CHECK(lab.registry.token_count() == (auth == Auth::bearer ? 1 : 0));
    // What was stored is found again.
    const auto found = find_login(lab.environment, lab.registry.authority() + "/team/app",
                                  lab.request().files, lab.stop);
    CHECK(found.username == "alice");
    CHECK(found.secret.reveal() == kPassword);
  }
}

TEST_CASE("a wrong password changes no file") {
  for (const Auth auth : {Auth::basic, Auth::bearer}) {
    const Lab lab(auth);
    LoginRequest request = lab.request();
    request.password = Secret("wr0ng");
    const Error error = error_of([&] { lab.log_in(request); });
    CHECK(error.kind() == ErrorKind::auth);
    CHECK(error.http_status() == 401);
    CHECK(std::string_view(error.what())
              .starts_with("logging into \"" + lab.registry.authority() +
                           "\": invalid username/password (hint: "));
    CHECK(!exists(lab.file()));

    const std::string before = R"({ "auths": {"other.example": {"auth": "YTpi"} } })"
                               "\n";
    lab.dir.write("auth.json", before);
    CHECK(error_of([&] { lab.log_in(request); }).http_status() == 401);
    CHECK(content_of(lab.file()) == before);
    CHECK(!accepts_login(lab.environment, request, lab.stop));
    CHECK(accepts_login(lab.environment, lab.request(), lab.stop));
    CHECK(content_of(lab.file()) == before);
  }
}

TEST_CASE("what is no registry, or fails, gets nothing stored") {
  Lab lab(Auth::none);
  test::Fault page;
  page.target = "^/v2/$";
  page.response = {200, {{"Content-Type", "text/html"}}, "<!DOCTYPE html>"};
  lab.registry.script(page);
  check_error(ErrorKind::protocol, "authenticating creds for", [&] { lab.log_in(lab.request()); });
  CHECK(!exists(lab.file()));
  // One that asks for nothing takes anything.
  CHECK(lab.log_in(lab.request()).stored_in == lab.file());
}

TEST_CASE("a private CA's registry is logged in to with its certificates, a web server is not") {
  const test::TestCertificate ca = test::make_certificate({"a test's CA"}, nullptr, true);
  ScriptedRegistry::Options options = wanting(Auth::basic);
  options.tls = test::HttpServer::Tls{test::make_certificate({"127.0.0.1"}, &ca), ""};
  ScriptedRegistry tls_registry(options);
  const Lab lab;
  LoginRequest request = lab.request();
  request.target = tls_registry.authority();
  request.tls_verify = true;
  check_error(ErrorKind::tls, "authenticating creds for", [&] { lab.log_in(request); });
  lab.dir.write("certs/ca.crt", ca.certificate_pem);
  request.cert_dir = lab.dir.path() + "/certs";
  CHECK(lab.log_in(request).stored_in == lab.file());

  test::Fault page;
  page.target = "^/v2/$";
  page.response = {200, {{"Content-Type", "text/html"}}, "<!DOCTYPE html>"};
  tls_registry.script(page);
  check_error(ErrorKind::protocol, "web page", [&] { lab.log_in(request); });
}

TEST_CASE("credentials that cannot be sent are refused before anything is") {
  const Lab lab;
  const auto refused = [&](const std::string& user, const std::string& password, const char* why) {
    LoginRequest request = lab.request();
    request.username = user;
    request.password = Secret(password);
    check_error(ErrorKind::usage, why, [&] { lab.log_in(request); });
  };
  refused("", "p", "the user name is empty");
  refused("alice", "", "the password is empty");
  refused("al:ice", "p", "colon");
  refused("al\nice", "p", "the user name has a line break");
  refused("alice", "p\n", "the password has a line break");
  refused("alice", std::string("p\0q", 3), "the password has a line break");
  CHECK(lab.registry.requests().empty());
  CHECK(!exists(lab.file()));
}

TEST_CASE("the debug log tells where a login went, and no secret") {
  const Lab lab(Auth::bearer);
  lab.log_in(lab.request());
  LoginRequest wrong = lab.request();
  wrong.password = Secret("wr0ng");
  CHECK(error_of([&] { lab.log_in(wrong); }).http_status() == 401);
  const std::string log = lab.debug_log();
  CHECK(log.find("stored the login to " + lab.registry.authority() + " in " + lab.file()) !=
        std::string::npos);
  for (const std::string& secret :
       {std::string(kPassword), lab.entry(), std::string("wr0ng"), base64_encode("alice:wr0ng")})
    CHECK(log.find(secret) == std::string::npos);
}

// ---- the file ----------------------------------------------------------------------------------

TEST_CASE("a login is merged into what is there") {
  const Lab lab;
  const std::string key = lab.registry.authority();
  lab.dir.write("auth.json",
                R"({"HttpHeaders":{"a":1.50},"auths":{")" + key +
                    R"(":{"auth":"eDp5","identitytoken":"old"},"q":{"auth":"cTpx",)"
                    R"("email":"e<"}},"credHelpers":{"z":"h"},"n":12345678901234567890123})");
  lab.log_in(lab.request());
  CHECK(content_of(lab.file()) ==
        "{\n\t\"HttpHeaders\": {\n\t\t\"a\": 1.50\n\t},\n\t\"auths\": {\n\t\t\"" + key +
            "\": {\n\t\t\t\"auth\": \"" + lab.entry() +
            "\"\n\t\t},\n\t\t\"q\": {\n\t\t\t\"auth\": \"cTpx\",\n\t\t\t\"email\": \"e\\u003c\"\n"
            "\t\t}\n\t},\n\t\"credHelpers\": {\n\t\t\"z\": \"h\"\n\t},\n\t\"n\": "
            "12345678901234567890123\n}");
  lab.log_in(lab.request("/team"));
  CHECK(find_login(lab.environment, key + "/team", lab.request().files, lab.stop).origin ==
        lab.file() + " (key " + key + "/team)");
}

TEST_CASE("a file that is no auth file is refused before the password leaves, and stays") {
  const Lab lab;
  for (const char* text : {"no json", "[]", "\"x\"", R"({"auths":[]})", R"({"auths":{})",
                           R"({"auths":{},"auths":{}})"}) {
    CAPTURE(text);
    lab.dir.write("auth.json", text);
    check_error(ErrorKind::auth, lab.file(), [&] { lab.log_in(lab.request()); });
    CHECK(content_of(lab.file()) == text);
  }
  CHECK(lab.registry.requests().empty());
  lab.dir.write("auth.json", "");  // as mktemp leaves it
  CHECK(lab.log_in(lab.request()).stored_in == lab.file());
}

TEST_CASE("a named file's directory must be there, the default one's is made") {
  const Lab lab;
  LoginRequest request = lab.request();
  request.files.authfile = lab.dir.path() + "/no/auth.json";
  check_error(ErrorKind::local, "/no does not exist", [&] { lab.log_in(request); });
  CHECK(lab.registry.requests().empty());
  CHECK(!exists(lab.dir.path() + "/no"));

  request.files.authfile.reset();
  CHECK(lab.log_in(request).stored_in == lab.default_file());
  CHECK(mode_of(lab.default_file()) == 0600);
  CHECK(mode_of(lab.dir.path() + "/run/containers") == 0700);

  test::ScopedEnv env;
  env.set("XDG_RUNTIME_DIR", lab.dir.path() + "/gone");
  check_error(ErrorKind::local, "XDG_RUNTIME_DIR", [&] { lab.log_in(request); });
  CHECK(!exists(lab.dir.path() + "/gone"));
  env.set("REGISTRY_AUTH_FILE", lab.file());
  CHECK(lab.log_in(request).stored_in == lab.file());
}

TEST_CASE("DOCKER_CONFIG says where logins are kept, if nothing else does") {
  const Lab lab;
  LoginRequest request = lab.request();
  request.files.authfile.reset();
  const std::string directory = lab.dir.path() + "/docker";
  const std::string file = directory + "/config.json";
  test::ScopedEnv env;
  env.set("DOCKER_CONFIG", directory);
  env.set("XDG_RUNTIME_DIR", lab.dir.path() + "/gone");  // not looked at
  CHECK(lab.log_in(request).stored_in == file);
  CHECK(mode_of(directory) == 0700);
  const auto log_out = [&] {
    return registry::log_out(lab.environment, request.target, request.files, lab.stop);
  };
  CHECK(log_out() == request.target);
  check_error(ErrorKind::auth, "not logged into", [&] { (void)log_out(); });

  env.set("REGISTRY_AUTH_FILE", lab.file());
  CHECK(lab.log_in(request).stored_in == lab.file());
  request.files.authfile = lab.dir.path() + "/named.json";
  CHECK(lab.log_in(request).stored_in == *request.files.authfile);
}

TEST_CASE("a file that others can read is closed, with a note") {
  const Lab lab;
  ::chmod(lab.dir.write("auth.json", "{}").c_str(), 0644);
  lab.log_in(lab.request());
  CHECK(mode_of(lab.file()) == 0600);
  CHECK(lab.notes().find("other users could read " + lab.file()) != std::string::npos);
}

TEST_CASE("a symbolic link is written through, one to nothing is refused") {
  const Lab lab;
  const std::string target = lab.dir.write("real/auth.json", "{}");
  std::filesystem::create_symlink("real/auth.json", lab.file());
  lab.log_in(lab.request());
  CHECK(std::filesystem::is_symlink(lab.file()));
  CHECK(content_of(target).find(lab.entry()) != std::string::npos);
  std::filesystem::remove(target);
  check_error(ErrorKind::local, lab.file(), [&] { lab.log_in(lab.request()); });
}

TEST_CASE("logins at the same time all end in the file") {
  const Lab lab;
  constexpr int kLogins = 8;
  std::filesystem::create_symlink("auth.json", lab.dir.path() + "/link.json");
  lab.dir.write("auth.json", "{}");
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kLogins; ++i) {
      threads.emplace_back([&, i] {
        LoginRequest request = lab.request("/team" + std::to_string(i));
        if (i % 2 == 0) request.files.authfile = lab.dir.path() + "/link.json";
        CHECK_NOTHROW(lab.log_in(request));
      });
    }
  }
  const Json document = Json::parse(content_of(lab.file()));
  for (int i = 0; i < kLogins; ++i)
    CHECK(document.find("auths")->find(lab.registry.authority() + "/team" + std::to_string(i)));
}

TEST_CASE("a file that would be too large to be read again is not written") {
  const Lab lab;
  const std::string before = R"({"x":")" + std::string(1024 * 1024 - 50, 'x') + "\"}";
  lab.dir.write("auth.json", before);
  check_error(ErrorKind::limit, lab.file(), [&] { lab.log_in(lab.request()); });
  CHECK(content_of(lab.file()) == before);
}

TEST_CASE("docker's oldest file is not written") {
  const Lab lab;
  LoginRequest request = lab.request();
  request.files.authfile = lab.dir.path() + "/.dockercfg";
  check_error(ErrorKind::usage, "oldest format", [&] { lab.log_in(request); });
}

// ---- helpers -----------------------------------------------------------------------------------

TEST_CASE("credHelpers names the program that keeps the login") {
  const Lab lab;
  const std::string key = lab.registry.authority();
  const std::string before = R"({"credHelpers":{")" + key + R"(":"keep"}})";
  lab.dir.write("auth.json", before);
  check_error(ErrorKind::auth, "docker-credential-keep is not installed",
              [&] { lab.log_in(lab.request()); });

  lab.helper("keep");
  CHECK(lab.log_in(lab.request()).stored_in == "credential helper: keep");
  CHECK(lab.asked("keep") == R"(store {"ServerURL":")" + key +
                                 R"(","Username":"alice","Secret":")" + kPassword + "\"}\n");
  CHECK(content_of(lab.file()) == before);
  CHECK(log_out(lab.environment, key, lab.request().files, lab.stop) == key);
  CHECK(lab.asked("keep").ends_with("erase " + key + "\n"));
  CHECK(content_of(lab.file()) == before);

  // Helpers know no paths: those stay in the file.
  CHECK(lab.log_in(lab.request("/team")).stored_in == lab.file());
}

TEST_CASE("a helper that refuses is an error in its words, without the secret") {
  const Lab lab;
  lab.dir.write("auth.json", R"({"credHelpers":{")" + lab.registry.authority() + R"(":"bad"}})");
  lab.helper("bad", "echo the keyring is locked; exit 1\n");
  check_error(ErrorKind::auth, "docker-credential-bad store failed",
              [&] { lab.log_in(lab.request()); });
  check_error(ErrorKind::auth, "the keyring is locked", [&] { lab.log_in(lab.request()); });
  check_error(ErrorKind::auth, "the keyring is locked", [&] {
    log_out(lab.environment, lab.registry.authority(), lab.request().files, lab.stop);
  });
  lab.helper("bad", std::string("echo 'no room for ") + kPassword + "'; exit 1\n");
  const Error error = error_of([&] { lab.log_in(lab.request()); });
  CHECK(std::string_view(error.what()).find(kPassword) == std::string_view::npos);
}

TEST_CASE("registries.conf's helpers are tried in order") {
  const Lab lab(Auth::basic, R"(credential-helpers = ["absent", "keep", "containers-auth.json"])");
  lab.helper("keep");
  CHECK(lab.log_in(lab.request()).stored_in == "credential helper: keep");
  CHECK(lab.notes().find("docker-credential-absent is not installed") != std::string::npos);
  CHECK(!exists(lab.file()));
  CHECK(lab.log_in(lab.request("/team")).stored_in == lab.file());

  lab.helper("keep", "echo 'credentials not found in native keychain'; exit 1\n");
  check_error(ErrorKind::auth, "not logged into", [&] {
    log_out(lab.environment, lab.registry.authority(), lab.request().files, lab.stop);
  });
}

TEST_CASE("docker's file is written docker's way") {
  const Lab lab;
  LoginRequest request = lab.request();
  request.files.authfile.reset();
  request.files.compat_authfile = lab.file();
  CHECK(lab.log_in(request).stored_in == lab.file());

  request.target += "/team";
  check_error(ErrorKind::usage, "cannot keep a login for a path", [&] { lab.log_in(request); });
  request = lab.request();
  request.files.compat_authfile = lab.file();
  check_error(ErrorKind::usage, "exclude each other", [&] { lab.log_in(request); });

  // Docker's own key for the Hub.
  lab.dir.write("auth.json", R"({"auths":{"https://index.docker.io/v1/":{"auth":"YTpi"}}})");
  const LoginFiles files{std::nullopt, lab.file()};
  CHECK(log_out(lab.environment, "docker.io", files, lab.stop) == "docker.io");
  CHECK(content_of(lab.file()) == "{\n\t\"auths\": {}\n}");
}

TEST_CASE("docker's credsStore keeps the login, and the file a mark") {
  const Lab lab;
  const std::string key = lab.registry.authority();
  lab.dir.write("auth.json", R"({"auths":{")" + key + R"(":{"auth":"eDp5"}},"credsStore":"all"})");
  LoginRequest request = lab.request();
  request.files = {std::nullopt, lab.file()};
  lab.helper("all");
  CHECK(lab.log_in(request).stored_in == "credential helper: all");
  CHECK(content_of(lab.file()) ==
        "{\n\t\"auths\": {\n\t\t\"" + key + "\": {}\n\t},\n\t\"credsStore\": \"all\"\n}");
  std::filesystem::remove(lab.dir.path() + "/bin/docker-credential-all");
  CHECK(lab.log_in(request).stored_in == lab.file());  // as the reader passes a missing one over
}

// ---- logging out -------------------------------------------------------------------------------

TEST_CASE("logging out removes the entry and nothing else") {
  const Lab lab;
  const LoginFiles files = lab.request().files;
  check_error(ErrorKind::local, "checking authfile: stat " + lab.file() + ": no such file",
              [&] { log_out(lab.environment, "a.example", files, lab.stop); });
  const std::string before =
      R"({"auths":{"a.example":{"auth":"YTpi"},"b.example/x":{"auth":"YTpi"}}})";
  lab.dir.write("auth.json", before);
  for (const char* target : {"c.example", "a.example:5000", "b.example", "b.example/x/y"}) {
    CAPTURE(target);
    check_error(ErrorKind::auth, std::string("not logged into ") + target,
                [&] { log_out(lab.environment, target, files, lab.stop); });
  }
  check_error(ErrorKind::auth, "still accessed with user a from " + lab.file(),
              [&] { log_out(lab.environment, "a.example/team", files, lab.stop); });
  CHECK(content_of(lab.file()) == before);
  CHECK(log_out(lab.environment, "https://a.example", files, lab.stop) == "a.example");
  CHECK(content_of(lab.file()) ==
        "{\n\t\"auths\": {\n\t\t\"b.example/x\": {\n\t\t\t\"auth\": \"YTpi\"\n\t\t}\n\t}\n}");
  check_error(ErrorKind::auth, "not logged into a.example",
              [&] { log_out(lab.environment, "a.example", {}, lab.stop); });
  CHECK(!exists(lab.dir.path() + "/run/containers"));
}

TEST_CASE("logging out everywhere empties the file and the helpers") {
  const Lab lab(Auth::none, R"(credential-helpers = ["absent", "list", "containers-auth.json"])");
  const LoginFiles files = lab.request().files;
  lab.helper("list", R"(test $1 = list && echo '{"x.example":"u","y.example":"v"}')"
                     "\n:\n");
  lab.helper("one");
  lab.dir.write("auth.json", R"({"auths":{"a":{"auth":"YTpi"}},"credHelpers":{"o.example":"one",)"
                             R"("p.example":"missing"},"credsStore":"not-dockers"})");
  check_error(ErrorKind::auth, "docker-credential-missing is not installed",
              [&] { log_out_everywhere(lab.environment, files, lab.stop); });
  // What could be forgotten is.
  CHECK(lab.asked("list") == "list unused\nerase x.example\nerase y.example\n");
  CHECK(lab.asked("one") == "erase o.example\n");
  const Json document = Json::parse(content_of(lab.file()));
  CHECK(document.find("auths")->as_object()->empty());
  CHECK(document.find("credHelpers")->as_object()->size() == 2);
}
