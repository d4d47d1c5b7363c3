// Section 4 of the step contract: container-registries and the auth file.
#include "settings_cases.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace tug;
using namespace tug::step;
using namespace tug::step::test;

TEST_CASE("4.1: container-registries in three shapes") {
  const std::string one = R"([{"registry":"reg.example","username":"u","tls-verify":true}])";
  check_all({
      with("a", "container-registries: {reg.example: {username: u, password: pw}}",
           {{"logins", one}}),
      with("b", "container-registries: {any: {uri: reg.example, username: u, password: pw}}",
           {{"logins", one}}),
      with("c", "container-registries: [{uri: reg.example, username: u, password: pw}]",
           {{"logins", one}}),
      with("a and b mixed, in order",
           "container-registries: {z: {username: u, password: pw}, a: {uri: b, username: v, "
           "password: pw}}",
           {{"logins", R"([{"registry":"z","username":"u","tls-verify":true},)"
                       R"({"registry":"b","username":"v","tls-verify":true}])"}}),
      with("null", "container-registries: null", {{"logins", "[]"}}),
      with("empty mapping", "container-registries: {}", {{"logins", "[]"}}),
      with("empty list", "container-registries: []", {{"logins", "[]"}}),
      with("no username", "container-registries: {r: {password: hunter22}}",
           {{"status",
             "200 Configuration for container registry (r) must specify a 'username': "
             "{'password': '********'}"}}),
      with("username before password", "container-registries: {r: {}}",
           {{"status",
             "200 Configuration for container registry (r) must specify a 'username': {}"}}),
      with("no password", "container-registries: {r: {username: u, passwd: hunter22}}",
           {{"status",
             "200 Configuration for container registry (r) must specify a 'password': "
             "{'username': '********', 'passwd': '********'}"}}),
      with("list without uri", "container-registries: [{username: u, password: hunter22}]",
           {{"status",
             "200 Configuration for container registry must specify a 'uri': {'username': "
             "'********', 'password': '********'}"}}),
      with("list without username", "container-registries: [{uri: r}]",
           {{"status",
             "200 Configuration for container registry must specify a 'username': {'uri': 'r'}"}}),
      with("entry is text", "container-registries: {r: hunter22}",
           {{"status",
             "200 Configuration for container registry (r) must specify a 'username': "
             "'********'"}}),
      with("text", "container-registries: reg.example",
           {{"status",
             "200 step-runner-config.push-container-image[0].config.container-registries in "
             "psr.yaml is text, neither"}}),
      {"--step-config",
       kComplete,
       {{"status",
         "200 container-registries in --step-config is text, neither a mapping nor a list of "
         "registries (it cannot be given with --step-config)"}},
       {"container-registries=reg.example"},
       "",
       ""},
      with("empty uri", "container-registries: [{uri: '', username: u, password: pw}]",
           {{"status", "200 "}}),
      with("empty username", "container-registries: {r: {username: '', password: pw}}",
           {{"status", "200 "}}),
      with("empty password", "container-registries: {r: {username: u, password: ''}}",
           {{"status", "200 "}}),
      with("null password", "container-registries: {r: {username: u, password: }}",
           {{"status", "200 "}}),
  });
}

TEST_CASE("4.1: the messages that upstream does not record are empty in the results") {
  const auto recorded = [](const std::string& sub_step) {
    try {
      Config config;
      config.add(parse_document("step-runner-config: " + complete(sub_step), "f"), "f");
      const SubStep sub = config.sub_steps(kStep).front();
      const Value overrides = parse_step_config({});
      const Results results;
      Decryptors decryptors;
      effective_settings({config, kStep, sub, "", overrides, results, decryptors, "w", {}});
    } catch (const StepError& error) {
      CHECK(std::string(error.what()).size() > 10);
      return error.recorded();
    }
    return std::string("no error");
  };
  CHECK(recorded("container-registries: text").empty());
  CHECK(recorded("container-registries: {r: {username: u, password: ''}}").empty());
  CHECK(recorded("container-registries: {r: {username: u}}") ==
        "Configuration for container registry (r) must specify a 'password': {'username': "
        "'********'}");
}

TEST_CASE("4.2: verification of TLS during a login") {
  const auto login = [](const std::string& settings, const std::string& entry,
                        const std::string& verify) {
    return with("dest " + settings + " entry " + entry,
                settings + "container-registries: {r: {username: u, password: pw" + entry + "}}",
                {{"logins", R"([{"registry":"r","username":"u","tls-verify":)" + verify + "}]"}});
  };
  check_all({
      login("", "", "true"),
      login("dest-tls-verify: false, ", "", "false"),
      login("dest-tls-verify: 'no', ", ", tls-verify: true", "false"),
      login("dest-tls-verify: 0, ", "", "false"),
      login("dest-tls-verify: false, ", ", tls-verify: nonsense", "false"),
      login("", ", tls-verify: false", "false"),
      login("", ", tls-verify: 'False'", "false"),
      login("", ", tls-verify: 0", "false"),
      login("src-tls-verify: false, ", "", "true"),
      with("'no' is refused",
           "container-registries: {r: {username: u, password: pw, tls-verify: 'no'}}",
           {{"status", "44 "}}),
      with("null is refused",
           "container-registries: {r: {username: u, password: pw, tls-verify: }}",
           {{"status", "44 "}}),
      with("it is for login alone",
           "container-registries: {reg.example: {username: u, password: pw, tls-verify: false}}",
           {{"dest-tls-verify", "true"}}),
  });
}

TEST_CASE("4.3: which auth file") {
  check_all({
      {"default",
       kComplete,
       {{"authfile", "step-runner-working/push-container-image/container-auth.json"}},
       {},
       "",
       ""},
      {"with -e",
       kComplete,
       {{"authfile", "step-runner-working/push-container-image/DEV/container-auth.json"}},
       {},
       "DEV",
       ""},
      with("absolute", "containers-config-auth-file: /run/auth.json",
           {{"authfile", "/run/auth.json"}}),
  });
  CHECK(run({"", kComplete, {}, {}, "", ""}).settings->authfile_is_default);
  CHECK_FALSE(run(with("", "containers-config-auth-file: x", {})).settings->authfile_is_default);
}

TEST_CASE("4.4: what login is given") {
  struct LoginCase {
    std::string entry, registry, host, username, password;
  };
  for (const LoginCase& c : std::vector<LoginCase>{
           {"uri: 'https://reg.example', username: u, password: pw", "reg.example", "reg.example",
            "u", "pw"},
           {"uri: 'http://h:5102/fake-org/', username: u, password: pw", "h:5102/fake-org",
            "h:5102", "u", "pw"},
           {"uri: 'h:5102/fake-org', username: u, password: 'a: b c'", "h:5102/fake-org", "h:5102",
            "u", "a: b c"},
           {"uri: '[::1]:5000', username: 12, password: 1.10", "[::1]:5000", "[::1]:5000", "12",
            "1.10"},
           {"uri: r, username: u, password: 0123", "r", "r", "u", "0123"},
           {"uri: r, username: u, password: yes", "r", "r", "u", "yes"},
           {"uri: r, username: u, password: 0", "r", "r", "u", "0"},
           {"uri: r, username: u, password: \"line\\n\"", "r", "r", "u", "line"},
       }) {
    CAPTURE(c.entry);
    const Outcome outcome = run(with("", "container-registries: [{" + c.entry + "}]", {}));
    CAPTURE(outcome.message);
    REQUIRE(outcome.settings);
    const Login& login = outcome.settings->logins.front();
    CHECK(login.registry == c.registry);
    CHECK(login.host() == c.host);
    CHECK(login.username == c.username);
    CHECK(login.password.reveal() == c.password);
  }
  check_all({
      with("numeric password", "container-registries: {r: {username: u, password: 7777777}}",
           {{"warning", "container-registries.r.password"}}),
      with("password of two lines", R"(container-registries: {r: {username: u, password: "a\nb"}})",
           {{"status", "44 "}}),
      with("username of two lines",
           R"(container-registries: {r: {username: "a\nb", password: pw}})", {{"status", "44 "}}),
      with("foreign scheme",
           "container-registries: [{uri: 'docker://r', username: u, password: pw}]",
           {{"status", "44 "}}),
      with("user in the uri", "container-registries: [{uri: 'u@r', username: u, password: pw}]",
           {{"status", "44 "}}),
      with("nothing but a scheme",
           "container-registries: [{uri: 'https://', username: u, password: pw}]",
           {{"status", "44 "}}),
  });
}

TEST_CASE("a username that a decryptor claims is not printed") {
  check({"2.5",
         "{config-decryptors: [{implementer: ObfuscationDefaults}], global-defaults: "
         "{container-image-build-address: 'l/a:1', destination-url: r.example, "
         "container-image-repository: a, container-registries: {r: {username: me, password: pw}}}, "
         "push-container-image: {implementer: Skopeo}}",
         {{"logins", R"([{"registry":"r","username":"********","tls-verify":true}])"}},
         {},
         "",
         ""});
}

TEST_CASE("no password is printed") {
  const std::string password = "hunter22-7777";
  for (const std::string& entry : std::vector<std::string>{
           "{username: u, password: " + password + "}", "{username: u, passwd: " + password + "}",
           "{username: u, password: \"" + password + "\\nx\"}",
           "{uri: 'a b', username: u, password: " + password + "}",
           "{username: u, password: " + password + ", tls-verify: 'no'}",
           "{username: u, password: [" + password + "]}"}) {
    const Outcome outcome = run(with("", "container-registries: {r: " + entry + "}", {}));
    CHECK(outcome.message.find("hunter22") == std::string::npos);
    CHECK(outcome.json.dump().find("hunter22") == std::string::npos);
    if (!outcome.settings) continue;
    CHECK(describe(*outcome.settings, SecretMask()).find("hunter22") == std::string::npos);
    for (const std::string& warning : outcome.settings->warnings)
      CHECK(warning.find("hunter22") == std::string::npos);
  }
}
