// Section 2.5 of the step contract: decryptors and masks.
#include "step/decrypt.h"

#include "base/fd.h"
#include "step/config.h"
#include "step/step_error.h"
#include "step/yaml.h"
#include "support/error_of.h"
#include "support/scoped_env.h"
#include "support/temp_dir.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <string>
#include <vector>

using namespace tug;
using namespace tug::step;
using tug::test::check_error;

namespace {

// A sops on PATH that writes down how it was called.
class FakeSops {
 public:
  explicit FakeSops(const std::string& script) {
    ::chmod(dir.write("bin/sops",
                      "#!/bin/sh\nprintf '%s\\n' \"$@\" >'" + dir.path() + "/calls'\n" + script)
                .c_str(),
            0755);
    env.set("PATH", dir.path() + "/bin:/usr/bin:/bin");
  }
  [[nodiscard]] std::string calls() const { return read_file(dir.path() + "/calls", 10'000); }
  test::TempDir dir;
  test::ScopedEnv env;
};

const char* const kDocument = R"(
step-runner-config:
  push-container-image:
  - config:
      container-registries:
        h:5000: {username: robot, password: 'ENC[AES256,data:x]'}
)";

Value registries(const Value& document) {
  return *(*document.find("step-runner-config")->find("push-container-image")->as_list())[0]
              .find("config")
              ->find("container-registries");
}

}  // namespace

TEST_CASE("sops is run on the file that the value came from, with the way to it") {
  const FakeSops sops("printf 'hunter22\\n'");
  Decryptors decryptors({{Decryptor::Kind::sops, {"--flag=x"}}});
  const Value read = decryptors.read(registries(parse_document(kDocument, "dir/psr.yaml")), {});
  CHECK(read.repr() == "{'h:5000': {'username': 'robot', 'password': 'hunter22\\n'}}");
  CHECK(sops.calls() ==
        "--decrypt\n--extract=[\"step-runner-config\"][\"push-container-image\"][0][\"config\"]"
        "[\"container-registries\"][\"h:5000\"][\"password\"]\ndir/psr.yaml\n--flag=x\n");
  CHECK(decryptors.mask().mask("login with hunter22 failed") == "login with ******** failed");
  const Value& entry = read.as_map()->front().second;
  CHECK(decryptors.claims(*entry.find("password")));
  CHECK_FALSE(decryptors.claims(*entry.find("username")));
}

TEST_CASE("a value is decrypted once") {
  const FakeSops sops("printf x >>\"$0.count\"; printf plain");
  Decryptors decryptors({{Decryptor::Kind::sops, {}}});
  const Value document = parse_document("k: ENC[x]\n", "f");
  for (int i = 0; i < 3; ++i) CHECK(decryptors.read(document, {}).find("k")->str() == "plain");
  CHECK(read_file(sops.dir.path() + "/bin/sops.count", 100) == "x");
}

TEST_CASE("sops that fails or is not there ends the step") {
  const Value document = registries(parse_document(kDocument, "psr.yaml"));
  Decryptors decryptors({{Decryptor::Kind::sops, {}}});
  {
    const FakeSops sops("exit 3");
    const Error error = test::error_of([&] { decryptors.read(document, {}); });
    CHECK(std::string(error.what())
              .find("h:5000.password in psr.yaml: sops failed with exit status 3") !=
          std::string::npos);
  }
  test::ScopedEnv env;
  env.set("PATH", "/nonexistent");
  try {
    decryptors.read(document, {});
    FAIL_CHECK("nothing was thrown");
  } catch (const StepError& error) {
    CHECK(error.status() == StepStatus::fatal);
    CHECK(std::string(error.what()).find("no program sops") != std::string::npos);
  }
}

TEST_CASE("a flag cannot be decrypted") {
  Decryptors decryptors({{Decryptor::Kind::sops, {}}});
  check_error(ErrorKind::local, "a in --step-config: sops decrypts values of files only",
              [&] { decryptors.read(parse_step_config({"a=ENC[x]"}), {}); });
}

TEST_CASE("what sops claims") {
  const FakeSops sops("printf plain");
  Decryptors decryptors({{Decryptor::Kind::sops, {}}});
  const auto read = [&](const std::string& yaml) {
    return decryptors.read(parse_document(yaml, "f"), {}).find("k")->str();
  };
  CHECK(read("k: ENC[x]\n") == "plain");
  CHECK(read("k: ENC[x]]\n") == "plain");
  CHECK(read("k: |\n  ENC[x]\n") == "plain");
  CHECK(read("k: ' ENC[x]'\n") == " ENC[x]");
  CHECK(read("k: ENC[x] \n") == "plain");
  CHECK(read("k: 'ENC[x] '\n") == "ENC[x] ");
  CHECK(read("k: |\n  ENC[x\n  y]\n") == "ENC[x\ny]\n");
  Decryptors none;
  CHECK(none.read(parse_document("k: ENC[x]\n", "f"), {}).find("k")->str() == "ENC[x]");
}

TEST_CASE("ObfuscationDefaults claims by name and changes nothing; the first decryptor wins") {
  const FakeSops sops("printf plain");
  const Value document =
      parse_document("{My-UserName: robot, a: {PASSWORD: {b: 'ENC[x]'}}, c: open}", "f");
  Decryptors decryptors({{Decryptor::Kind::obfuscation_defaults, {}}, {Decryptor::Kind::sops, {}}});
  CHECK(decryptors.read(document, {}) == document);
  CHECK(decryptors.mask().mask("robot open ENC[x]") == "******** open ********");
  CHECK(decryptors.claimed().mask("robot open") == "******** open");
}

TEST_CASE("a password is masked without any decryptor, a username is not") {
  Decryptors decryptors;
  decryptors.read(
      parse_document("{r: {username: robot, password: 'hunter22'}, n: {password: 012345}}", "f"),
      {});
  CHECK(decryptors.mask().mask("robot hunter22 012345 5349") == "robot ******** ******** ********");
  CHECK(decryptors.claimed().mask("hunter22") == "hunter22");
}

TEST_CASE("masks: the longest first, nothing of fewer than four characters") {
  SecretMask mask;
  mask.add("secret");
  mask.add("secret-longer");
  mask.add("abc");
  mask.add("secret");
  CHECK(mask.mask("secret-longer secret abc") == "******** ******** abc");
  CHECK(SecretMask().mask("as it is") == "as it is");
}

TEST_CASE("config-decryptors") {
  const auto read = [](const std::string& yaml) {
    return read_decryptors(parse_document(yaml, "f"));
  };
  const auto found = read(
      "[{implementer: SOPS, config: {additional_sops_args: ['--a', 7]}}, {implementer: "
      "ploigos_step_runner.config.decryptors.ObfuscationDefaults}]");
  REQUIRE(found.size() == 2);
  CHECK(found[0].kind == Decryptor::Kind::sops);
  CHECK(found[0].arguments == std::vector<std::string>{"--a", "7"});
  CHECK(found[1].kind == Decryptor::Kind::obfuscation_defaults);
  check_error(ErrorKind::usage, "no decryptor is called 'Vault'",
              [&] { read("[{implementer: Vault}]"); });
  check_error(ErrorKind::usage, "missing the key implementer", [&] { read("[{}]"); });
  check_error(ErrorKind::usage, "not a list", [&] { read("{}"); });
  check_error(ErrorKind::usage, "not a list of arguments",
              [&] { read("[{implementer: SOPS, config: {additional_sops_args: x}}]"); });
}
