// Sections 2.1 to 2.4 of the step contract: files, merging, sub-steps, KEY=VALUE.
#include "step/config.h"

#include "step/step_error.h"
#include "step/yaml.h"
#include "support/temp_dir.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

using namespace tug;
using namespace tug::step;

namespace {

// "102 REASON", or "" when nothing is thrown.
template <typename Work>
std::string failure(Work&& work) {
  try {
    work();
  } catch (const StepError& error) {
    return std::to_string(static_cast<int>(error.status())) + " " + error.what();
  }
  return {};
}

Config config_of(const std::vector<std::string>& documents) {
  Config config;
  int number = 0;
  for (const std::string& document : documents) {
    const std::string file = std::string(1, static_cast<char>('a' + number++)) + ".yaml";
    config.add(parse_document(document, file), file);
  }
  return config;
}

std::string failure_of(const std::vector<std::string>& documents) {
  return failure([&] { config_of(documents); });
}

std::string top(const std::string& content) { return "step-runner-config: " + content + "\n"; }

}  // namespace

TEST_CASE("a complete file") {
  const Config config = config_of({R"(
step-runner-config:
  global-defaults:
    destination-url: registry.example.xyz
  global-environment-defaults:
    DEV: {destination-url: dev.example.xyz}
  push-container-image:
  - implementer: Skopeo
    name: to the main registry
    continue-sub-steps-on-failure: 'yes'
    config: {container-image-push-tag: v1}
    environment-config:
      DEV: {dest-tls-verify: false}
  - implementer: ploigos_step_runner.step_implementers.push_container_image.Skopeo
  other-step:
    implementer: Other
ignored: true
)"});
  CHECK(config.global_defaults().repr() == "{'destination-url': 'registry.example.xyz'}");
  CHECK(config.environment_defaults("DEV").repr() ==
        "{'environment-name': 'DEV', 'destination-url': 'dev.example.xyz'}");
  CHECK(config.environment_defaults("PROD").repr() == "{}");
  CHECK(config.environment_defaults("").repr() == "{}");
  const auto sub_steps = config.sub_steps("push-container-image");
  REQUIRE(sub_steps.size() == 2);
  CHECK(sub_steps[0].name == "to the main registry");
  CHECK(sub_steps[0].continue_on_failure);
  CHECK(sub_steps[0].environment_config.repr() == "{'DEV': {'dest-tls-verify': False}}");
  CHECK(sub_steps[1].name == "ploigos_step_runner.step_implementers.push_container_image.Skopeo");
  CHECK(sub_steps[1].implementer_class() == "Skopeo");
  CHECK_FALSE(sub_steps[1].continue_on_failure);
  CHECK(config.sub_steps("other-step").front().implementer_class() == "Other");
  CHECK(config.sub_steps("no-step").empty());
}

TEST_CASE("odd configuration is refused with a sentence") {
  struct Case {
    std::string document, says;
  };
  for (const Case& c : std::vector<Case>{
           {"", "102 a.yaml has no content"},
           {"# nothing\n", "102 a.yaml has no content"},
           {"null\n", "102 a.yaml has no content"},
           {"- a\n", "102 the top level of a.yaml is a list, not a mapping"},
           {"text\n", "102 the top level of a.yaml is text"},
           {"other: {}\n", "102 a.yaml: missing expected top level key (step-runner-config)"},
           {top(""), "102 step-runner-config in a.yaml is null, not a mapping"},
           {top("[]"), "102 step-runner-config in a.yaml is a list"},
           {top("{global-defaults: }"), "102 step-runner-config.global-defaults in a.yaml is null"},
           {top("{global-environment-defaults: }"),
            "102 step-runner-config.global-environment-defaults"},
           {top("{global-environment-defaults: {DEV: }}"),
            "102 step-runner-config.global-environment-defaults.DEV in a.yaml is null"},
           {top("{config-decryptors: }"),
            "102 step-runner-config.config-decryptors in a.yaml is null"},
           {top("{config-decryptors: [{implementer: Nope}]}"),
            "102 step-runner-config.config-decryptors[0]"},
           {top("{push-container-image: }"), "102 step push-container-image, "},
           {top("{push-container-image: text}"), "102 step push-container-image, "},
           {top("{push-container-image: [text]}"), "102 a sub-step of push-container-image, "},
           {top("{push-container-image: [{config: {}}]}"),
            "102 a sub-step of push-container-image, step-runner-config.push-container-image[0] in "
            "a.yaml, is "
            "missing the key implementer"},
           {top("{push-container-image: {implementer: }}"),
            "102 a sub-step of push-container-image"},
           {top("{p: {implementer: Skopeo, config: []}}"),
            "102 step-runner-config.p.config in a.yaml is a list"},
           {top("{p: {implementer: Skopeo, environment-config: {DEV: x}}}"),
            "102 step-runner-config.p.environment-config.DEV in a.yaml is text"},
           {top("{p: {implementer: Skopeo, continue-sub-steps-on-failure: maybe}}"),
            "102 step-runner-config.p"},
           {top("{p: {implementer: Skopeo, continue-sub-steps-on-failure: 1}}"),
            "102 step-runner-config.p"},
           {top("{global-environment-defaults: {DEV: {environment-name: DEV}}}"),
            "102 Conflict at environment-name"},
       }) {
    CAPTURE(c.document);
    const std::string found = failure_of({c.document});
    CAPTURE(found);
    CHECK(found.starts_with(c.says));
  }
  CHECK(failure_of({top("{p: {implementer: Skopeo, config: , environment-config: {DEV: }}}")})
            .empty());
}

TEST_CASE("files are merged deeply, and leaves must agree") {
  struct Case {
    std::string first, second, says;
  };
  for (const Case& c : std::vector<Case>{
           {"{a: 1}", "{b: 2}", ""},
           {"{a: {b: 1}}", "{a: {c: 2}}", ""},
           {"{a: 1}", "{a: true}", ""},
           {"{a: [1, 2]}", "{a: [1, 2.0]}", ""},
           {"{a: null}", "{a: null}", ""},
           {"{a: '0'}", "{a: 0}", "Conflict at a"},
           {"{a: {b: {c: x}}}", "{a: {b: {c: y}}}", "Conflict at a.b.c"},
           {"{a: [1]}", "{a: [2]}", "Conflict at a"},
           {"{a: {b: 1}}", "{a: 1}", "Conflict at a"},
           {"{a: null}", "{a: 1}", "Conflict at a"},
       }) {
    CAPTURE(c.first);
    CAPTURE(c.second);
    for (const std::string& place :
         {std::string("{global-defaults: %}"),
          std::string("{global-environment-defaults: {DEV: %}}"),
          std::string("{p: {implementer: I, config: %}}"),
          std::string("{p: [{implementer: I, environment-config: {DEV: %}}]}")}) {
      const auto document = [&](std::string content) {
        std::string text = place;
        return top(text.replace(text.find('%'), 1, content));
      };
      const std::string found = failure_of({document(c.first), document(c.second)});
      CAPTURE(found);
      CHECK(found.empty() == c.says.empty());
      if (!c.says.empty() && place.find("DEV: %}}]") == std::string::npos)
        CHECK(found.find(c.says + ":") != std::string::npos);
    }
  }
  CHECK(config_of(
            {top("{global-defaults: {a: {x: 1}}}"), top("{global-defaults: {a: {y: 2}, b: 3}}")})
            .global_defaults()
            .repr() == "{'a': {'x': 1, 'y': 2}, 'b': 3}");
}

TEST_CASE("a conflict names both files and no value") {
  const std::string found =
      failure_of({top("{global-defaults: {container-registries: {r: {password: hunter22}}}}"),
                  top("{global-defaults: {container-registries: {r: {password: hunter33}}}}")});
  CHECK(found.find("Conflict at container-registries.r.password") != std::string::npos);
  CHECK(found.find("a.yaml") != std::string::npos);
  CHECK(found.find("b.yaml") != std::string::npos);
  CHECK(found.find("hunter") == std::string::npos);
}

TEST_CASE("sub-steps of one name are one sub-step") {
  const auto both = config_of(
      {top("{p: [{implementer: Skopeo, config: {a: 1}}, {implementer: Skopeo, config: {b: 2}}]}")});
  REQUIRE(both.sub_steps("p").size() == 1);
  CHECK(both.sub_steps("p").front().config.repr() == "{'a': 1, 'b': 2}");
  CHECK(failure_of({top("{p: [{implementer: Skopeo, config: {a: 1}}, {implementer: Skopeo, config: "
                        "{a: 2}}]}")})
            .find("Conflict at a") != std::string::npos);
  CHECK(failure_of({top("{p: [{implementer: A, name: n}, {implementer: B, name: n}]}")})
            .starts_with("102 sub-step n"));
  CHECK(failure_of({top("{p: {implementer: A}}"),
                    top("{p: {implementer: A, continue-sub-steps-on-failure: true}}")})
            .starts_with("102 sub-step A"));
  CHECK(config_of({top("{p: [{implementer: A, name: x}, {implementer: A, name: y}]}")})
            .sub_steps("p")
            .size() == 2);
}

TEST_CASE("files and directories") {
  const test::TempDir dir;
  dir.write("d/b.json", R"({"step-runner-config": {"global-defaults": {"b": 1}}})");
  dir.write("d/a", top("{global-defaults: {a: 1}}"));
  dir.write("d/sub/deep/c.txt", top("{global-defaults: {c: 1}}"));
  dir.write("d/.hidden", "not a configuration");
  dir.write("d/.git/config", "not a configuration");
  dir.write("real.yaml", top("{global-defaults: {d: 1}}"));
  std::filesystem::create_symlink(dir.at("real.yaml"), dir.at("d/link.yaml"));
  std::filesystem::create_symlink(dir.at("nowhere"), dir.at("d/dangling"));
  CHECK(config_files(dir.path() + "/d") ==
        std::vector<std::string>{dir.at("d/a"), dir.at("d/b.json"), dir.at("d/link.yaml"),
                                 dir.at("d/sub/deep/c.txt")});
  CHECK(Config::load({dir.path() + "/d"}).global_defaults().repr() ==
        "{'a': 1, 'b': 1, 'd': 1, 'c': 1}");
  CHECK(Config::load({dir.at("d/a"), dir.at("d/b.json")}).global_defaults().repr() ==
        "{'a': 1, 'b': 1}");
}

TEST_CASE("files that cannot be configuration") {
  const test::TempDir dir;
  std::filesystem::create_directories(dir.path() + "/empty/.dot");
  const auto load = [](const std::string& path) { return failure([&] { Config::load({path}); }); };
  CHECK(load(dir.path() + "/none.yaml").starts_with("101 "));
  CHECK(load(dir.write("zero.yaml", "")).starts_with("101 "));
  CHECK(load("/dev/null").starts_with("101 "));
  CHECK(load(dir.path() + "/empty")
            .starts_with("102 directory " + dir.path() + "/empty has no files"));
  dir.write("with-zero/psr.yaml", "");
  CHECK(load(dir.path() + "/with-zero").starts_with("102 "));
  CHECK(load(dir.write("broken.yaml", "a: b: c\n")).find("broken.yaml: line 1") !=
        std::string::npos);
  std::filesystem::create_directories(dir.path() + "/loop");
  std::filesystem::create_directory_symlink(dir.path() + "/loop", dir.path() + "/loop/again");
  CHECK(load(dir.path() + "/loop").starts_with("102 directory "));
  if (::geteuid() != 0) {
    ::chmod(dir.write("secret.yaml", top("{}")).c_str(), 0);
    CHECK(load(dir.path() + "/secret.yaml").starts_with("102 "));
  }
}

TEST_CASE("KEY=VALUE") {
  using Pair = std::pair<std::string, std::string>;
  CHECK(parse_key_value("a=b") == Pair{"a", "b"});
  CHECK(parse_key_value(" a = b ") == Pair{"a", " b "});
  CHECK(parse_key_value("a=b=c") == Pair{"a", "b=c"});
  CHECK(parse_key_value("a='b'") == Pair{"a", "'b'"});
  CHECK(parse_key_value("a=") == Pair{"a", ""});
  CHECK(failure([] { parse_key_value("password"); }).starts_with("102 "));
  CHECK(failure([] { parse_key_value("=b"); }).starts_with("102 "));
  const Value overrides = parse_step_config({"a=1", "b=yes", "a=2"});
  CHECK(overrides.repr() == "{'a': '2', 'b': 'yes'}");
  CHECK(overrides.find("a")->where() == "a in --step-config");
}

TEST_CASE("flags alone") {
  const Config config = Config::for_flags_alone("push-container-image");
  REQUIRE(config.sub_steps("push-container-image").size() == 1);
  CHECK(config.sub_steps("push-container-image").front().implementer_class() == "Skopeo");
}

TEST_CASE("the last line on stderr") {
  CHECK(closing_line(StepStatus::missing_config, "s", "x") ==
        "specified -c/--config must exist and not be empty: x");
  CHECK(closing_line(StepStatus::invalid_config, "s", "x") ==
        "specified -c/--config is invalid configuration: x");
  CHECK(closing_line(StepStatus::not_successful, "s", "x") == "Step s not successful");
  CHECK(closing_line(StepStatus::fatal, "s", "x") == "Fatal error calling step (s): x");
}
