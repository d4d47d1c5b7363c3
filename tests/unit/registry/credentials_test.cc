#include "registry/credentials.h"

#include "base/strings.h"
#include "support/error_of.h"
#include "support/scoped_env.h"
#include "support/temp_dir.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <string>

using namespace tug;
using namespace tug::registry;
using Format = AuthFile::Format;
using Kind = Credential::Kind;

namespace {

std::string auth(const std::string& pair) { return R"({"auth":")" + base64_encode(pair) + "\"}"; }

// The user of the entry that serves `registry`/`repository`, "" for none.
std::string user_in(const std::string& text, Format format, std::string_view registry,
                    std::string_view repository) {
  const AuthFileEntry entry = match_auth_file(text, format, registry, repository, "f");
  return entry.credential ? entry.credential->username : "";
}

// A home directory of its own, with helpers on PATH, and nothing of the machine's environment.
class Home {
 public:
  Home() {
    for (const char* name : {"REGISTRY_AUTH_FILE", "DOCKER_CONFIG", "XDG_CONFIG_HOME"})
      env.set(name, std::nullopt);
    env.set("HOME", dir.path());
    env.set("XDG_RUNTIME_DIR", dir.path() + "/run");
    env.set("PATH", dir.path() + "/bin:/usr/bin:/bin");
  }
  void helper(const std::string& name, const std::string& script) const {
    ::chmod(dir.write("bin/docker-credential-" + name, "#!/bin/sh\n" + script).c_str(), 0755);
  }
  CredentialLookup find(std::string_view registry = "reg.example",
                        std::string_view repository = "team/app") const {
    return find_credential(access, registry, repository, helpers, Log(), {});
  }
  test::TempDir dir;
  test::ScopedEnv env;
  RegistryAccess access;
  std::vector<std::string> helpers{"containers-auth.json"};
};

}  // namespace

TEST_CASE("the most specific key of an auth file wins") {
  const std::string text =
      R"({"auths":{"reg.example":)" + auth("host:p") + R"(,"reg.example/team":)" + auth("team:p") +
      R"(,"reg.example/team/app":)" + auth("app:p") + R"(,"reg.example:5000":)" + auth("port:p") +
      R"(,"https://old.example/v1/":)" + auth("old:p") + R"(,"https://index.docker.io/v1/":)" +
      auth("hub:p") + R"(,"marked.example/x":{},"marked.example":)" + auth("marked:p") + "}}";
  struct Case {
    std::string_view registry, repository, user;
  };
  for (const Case& c :
       {Case{"reg.example", "team/app", "app"}, Case{"reg.example", "team/app/sub", "app"},
        Case{"reg.example", "team/other", "team"}, Case{"reg.example", "teams", "host"},
        Case{"reg.example:5000", "team/app", "port"}, Case{"reg.example:5001", "team/app", ""},
        Case{"old.example", "x", "old"}, Case{"docker.io", "library/alpine", "hub"},
        Case{"marked.example", "x/y", "marked"}, Case{"other.example", "x", ""}}) {
    CAPTURE(c.registry);
    CAPTURE(c.repository);
    CHECK(user_in(text, Format::containers, c.registry, c.repository) == c.user);
  }
  CHECK(user_in(R"({"auths":{"docker.io":)" + auth("a:p") + "}}", Format::containers, "docker.io",
                "x/y") == "a");
  CHECK(user_in(R"({"auths":{"registry-1.docker.io":)" + auth("a:p") + "}}", Format::containers,
                "docker.io", "x/y") == "a");
  // A bare host with a path is a key of legacy files only.
  const std::string legacy = R"({"reg.example/v1/":)" + auth("old:p") + "}";
  CHECK(user_in(legacy, Format::dockercfg, "reg.example", "x") == "old");
  CHECK(user_in(R"({"auths":)" + legacy + "}", Format::containers, "reg.example", "x").empty());
}

TEST_CASE("entries are read in all their forms") {
  struct Case {
    std::string entry;
    Kind kind;
    std::string user, secret, password;
  };
  std::string unpadded = base64_encode("u:p");
  while (unpadded.ends_with('=')) unpadded.pop_back();
  const Case cases[] = {
      {auth("u:p:q r"), Kind::password, "u", "p:q r", ""},
      {auth(std::string("u:p\0\0", 5)), Kind::password, "u", "p", ""},
      {R"({"auth":")" + unpadded + "\"}", Kind::password, "u", "p", ""},
      {R"({"username":"u","password":"p"})", Kind::password, "u", "p", ""},
      {R"({"identitytoken":"t"})", Kind::identity_token, "", "t", ""},
      {R"({"auth":")" + base64_encode("u:p") + R"(","identitytoken":"t"})", Kind::identity_token,
       "u", "t", "p"},
      {R"({"auth":")" + base64_encode("nocolon") + R"(","identitytoken":"t"})",
       Kind::identity_token, "", "t", ""},
      {R"({"registrytoken":"b"})", Kind::bearer, "", "b", ""},
      {R"({"auth":")" + base64_encode("nocolon") + "\"}", Kind::anonymous, "", "", ""},
      {R"({"email":"x"})", Kind::anonymous, "", "", ""},
      {"null", Kind::anonymous, "", "", ""},
      {"7", Kind::anonymous, "", "", ""},
  };
  for (const Case& c : cases) {
    CAPTURE(c.entry);
    const auto found =
        match_auth_file(R"({"auths":{"r":)" + c.entry + "}}", Format::containers, "r", "a", "f")
            .credential;
    CHECK(found.has_value() == (c.kind != Kind::anonymous));
    if (!found) continue;
    CHECK(found->kind == c.kind);
    CHECK(found->username == c.user);
    CHECK(found->secret.reveal() == c.secret);
    CHECK(found->password.reveal() == c.password);
    CHECK(found->origin == "f (key r)");
  }
}

TEST_CASE("helpers are named by credHelpers, and by credsStore in docker's file") {
  const std::string text =
      R"({"credsStore":"store","credHelpers":{"reg.example":"own","index.docker.io":"hub"}})";
  const auto own = match_auth_file(text, Format::containers, "reg.example", "a", "f");
  CHECK(own.helper == "own");
  CHECK(own.helper_keys == std::vector<std::string>{"reg.example"});
  CHECK(!own.helper_is_global);
  const auto hub = match_auth_file(text, Format::docker, "docker.io", "library/a", "f");
  CHECK(hub.helper == "hub");
  CHECK(hub.helper_keys ==
        std::vector<std::string>{"index.docker.io", "https://index.docker.io/v1/"});
  const auto store = match_auth_file(text, Format::docker, "other.example", "a", "f");
  CHECK(store.helper == "store");
  CHECK(store.helper_is_global);
  CHECK(!match_auth_file(text, Format::containers, "other.example", "a", "f").helper);
}

TEST_CASE("a broken auth file is an error that names it and shows nothing of it") {
  for (const std::string& text :
       {std::string("{"), std::string("[]"), std::string(R"({"auths":[]})"),
        std::string(R"({"auths":{"r":{"auth":"s3cret!"}}})"), std::string("s3cret"),
        std::string(R"({"auths":{},"auths":{}})"), std::string(10'000, '[')}) {
    CAPTURE(text.substr(0, 50));
    const Error error = test::error_of(
        [&] { match_auth_file(text, Format::containers, "r", "a", "/x/auth.json"); });
    CHECK(error.kind() == ErrorKind::auth);
    CHECK(std::string(error.what()).find("/x/auth.json") != std::string::npos);
    CHECK(std::string(error.what()).find("s3cret") == std::string::npos);
  }
  CHECK(!match_auth_file("", Format::containers, "r", "a", "f").credential);
  CHECK(!match_auth_file(R"({"auths":null})", Format::containers, "r", "a", "f").credential);
}

TEST_CASE("every truncation of an auth file is an error or an entry") {
  const std::string text = R"({"auths":{"r":)" + auth("u:p") + R"(},"credHelpers":{"r":"x"}})";
  for (std::size_t size = 0; size <= text.size(); ++size) {
    try {
      match_auth_file(text.substr(0, size), Format::docker, "r", "a", "f");
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::auth);
    }
  }
}

TEST_CASE("auth files are searched in their order") {
  Home home;
  const auto paths = [&] {
    std::vector<std::string> list;
    for (const AuthFile& file : auth_files(home.access)) list.push_back(file.path);
    return list;
  };
  const std::string h = home.dir.path();
  CHECK(paths() == std::vector<std::string>{h + "/run/containers/auth.json",
                                            h + "/.config/containers/auth.json",
                                            h + "/.docker/config.json", h + "/.dockercfg"});
  home.env.set("XDG_CONFIG_HOME", h + "/c");
  home.env.set("DOCKER_CONFIG", h + "/d");
  home.env.set("XDG_RUNTIME_DIR", std::nullopt);
  CHECK(paths()[0].starts_with("/run/containers/"));
  CHECK(paths()[1] == h + "/c/containers/auth.json");
  CHECK(paths()[2] == h + "/d/config.json");
  home.env.set("REGISTRY_AUTH_FILE", h + "/env.json");
  CHECK(paths() == std::vector<std::string>{h + "/env.json"});
  home.access.authfile = h + "/config.json";
  CHECK(paths() == std::vector<std::string>{h + "/config.json"});
  CHECK(auth_files(home.access)[0].format == Format::docker);
}

TEST_CASE("the first file with an entry wins, and the look-up says where it looked") {
  Home home;
  const std::string docker = home.dir.write(
      ".docker/config.json", R"({"auths":{"reg.example":)" + auth("docker:p") + "}}");
  CredentialLookup found = home.find();
  CHECK(found.credential.username == "docker");
  CHECK(found.credential.origin == docker + " (key reg.example)");
  CHECK(found.looked_in.size() == 3);
  CHECK(found.looked_in[0].ends_with("run/containers/auth.json (not there)"));

  home.dir.write("run/containers/auth.json",
                 R"({"auths":{"other.example":)" + auth("other:p") + "}}");
  CHECK(home.find().credential.username == "docker");
  home.dir.write(".config/containers/auth.json",
                 R"({"auths":{"reg.example/team":)" + auth("config:p") + "}}");
  CHECK(home.find().credential.username == "config");
  home.dir.write("run/containers/auth.json", "broken");
  test::check_error(ErrorKind::auth, "run/containers/auth.json", [&] { home.find(); });
}

TEST_CASE("a named file is the only one read, and may be missing") {
  Home home;
  home.dir.write(".docker/config.json", R"({"auths":{"reg.example":)" + auth("docker:p") + "}}");
  home.access.authfile = home.dir.path() + "/missing.json";
  const CredentialLookup found = home.find();
  CHECK(found.credential.kind == Kind::anonymous);
  CHECK(found.looked_in == std::vector<std::string>{home.dir.path() + "/missing.json (not there)"});
}

TEST_CASE("the command line comes before every file") {
  Home home;
  home.dir.write(".docker/config.json", R"({"auths":{"reg.example":)" + auth("docker:p") + "}}");
  home.access.anonymous = true;
  CHECK(home.find().credential.kind == Kind::anonymous);
  home.access.anonymous = false;
  home.access.credentials = std::pair{std::string("me"), Secret("pw")};
  CHECK(home.find().credential.username == "me");
  CHECK(describe(home.find().credential) == "user me from the command line");
  home.access.bearer_token = Secret("tok");
  CHECK(home.find().credential.kind == Kind::bearer);
  CHECK(describe(home.find().credential) == "the bearer token from the command line");
  home.access = {};
  home.access.credentials = std::pair{std::string("a:b"), Secret("pw")};
  test::check_error(ErrorKind::usage, "colon", [&] { home.find(); });
}

TEST_CASE("a credential helper is asked for the registry, by stdin") {
  Home home;
  home.helper("own",
              "read key; test \"$1\" = get || exit 9\n"
              "printf '{\"ServerURL\":\"%s\",\"Username\":\"u-%s\",\"Secret\":\"s\"}' $key $key\n");
  home.dir.write(
      "run/containers/auth.json",
      R"({"credHelpers":{"reg.example":"own"},"auths":{"reg.example":)" + auth("file:p") + "}}");
  const Credential credential = home.find().credential;
  CHECK(credential.username == "u-reg.example");
  CHECK(credential.secret.reveal() == "s");
  CHECK(credential.origin == "docker-credential-own");
}

TEST_CASE("what a credential helper answers") {
  Home home;
  home.dir.write("run/containers/auth.json", R"({"credHelpers":{"reg.example":"own"}})");
  const auto says = [&](const std::string& script) {
    home.helper("own", script);
    return home.find().credential;
  };
  CHECK(says("echo '{\"Username\":\"<token>\",\"Secret\":\"t\"}'").kind == Kind::identity_token);
  CHECK(says("echo 'credentials not found in native keychain'; exit 1").kind == Kind::anonymous);
  CHECK(says("echo '{\"Username\":\"\",\"Secret\":\"\"}'").kind == Kind::anonymous);
  test::check_error(ErrorKind::auth, "vault is locked",
                    [&] { says("echo 'vault is locked'; exit 1"); });
  const Error error = test::error_of([&] { says("echo s3cret"); });
  CHECK(error.kind() == ErrorKind::auth);
  CHECK(std::string(error.what()).find("s3cret") == std::string::npos);
  test::check_error(ErrorKind::local, "docker-credential-own",
                    [&] { says("head -c 100000 /dev/zero"); });
}

TEST_CASE("a missing helper is an error in credHelpers and skipped in credsStore") {
  Home home;
  home.dir.write("run/containers/auth.json", R"({"credHelpers":{"reg.example":"nosuch"}})");
  test::check_error(ErrorKind::auth, "docker-credential-nosuch is not installed",
                    [&] { home.find(); });
  home.dir.write("run/containers/auth.json", R"({"credHelpers":{"reg.example":"../evil"}})");
  test::check_error(ErrorKind::auth, "no name of a credential helper", [&] { home.find(); });
  home.dir.write("run/containers/auth.json", "{}");
  home.dir.write(".docker/config.json",
                 R"({"credsStore":"nosuch","auths":{"reg.example":)" + auth("docker:p") + "}}");
  const CredentialLookup found = home.find();
  CHECK(found.credential.username == "docker");
  CHECK(found.looked_in.back() == "docker-credential-nosuch (not installed)");
}

TEST_CASE("the Hub is asked for under both of its names") {
  Home home;
  home.helper("store",
              "read key; test \"$key\" = https://index.docker.io/v1/ || "
              "{ echo 'credentials not found in native keychain'; exit 1; }\n"
              "echo '{\"Username\":\"hub\",\"Secret\":\"s\"}'\n");
  home.dir.write(".docker/config.json", R"({"credsStore":"store"})");
  CHECK(home.find("docker.io", "library/alpine").credential.username == "hub");
  CHECK(home.find("reg.example", "x").credential.kind == Kind::anonymous);
}

TEST_CASE("registries.conf orders files and helpers, and passes over what fails") {
  Home home;
  home.dir.write("run/containers/auth.json", R"({"auths":{"reg.example":)" + auth("file:p") + "}}");
  home.helper("good", "echo '{\"Username\":\"helper\",\"Secret\":\"s\"}'");
  home.helper("bad", "echo broken; exit 3");
  home.helpers = {"bad", "nosuch", "good", "containers-auth.json"};
  const CredentialLookup found = home.find();
  CHECK(found.credential.username == "helper");
  CHECK(found.looked_in == std::vector<std::string>{"docker-credential-bad (failed)",
                                                    "docker-credential-nosuch (not installed)",
                                                    "docker-credential-good"});
  home.helpers = {"containers-auth.json", "good"};
  CHECK(home.find().credential.username == "file");
  home.helpers = {};
  CHECK(home.find().credential.kind == Kind::anonymous);
}
