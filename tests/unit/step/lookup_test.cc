// Section 3 of the step contract: which value wins.
#include "settings_cases.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace tug;
using namespace tug::step;
using namespace tug::step::test;

TEST_CASE("3.1: sources, the strongest first") {
  const std::string global = "global-defaults: {container-image-tag: global}";
  const std::string environments =
      "global-environment-defaults: {DEV: {container-image-tag: global-dev}, PROD: "
      "{container-image-tag: global-prod}}";
  const auto config = [&](const std::string& own, const std::string& rest) {
    return "{" + global + ", " + environments +
           ", push-container-image: [{implementer: Skopeo, config: {container-image-build-address: "
           "'l/a:1', destination-url: r.example, container-image-repository: a" +
           own + "}" + rest + "}]}";
  };
  const std::string own = ", container-image-tag: own";
  const std::string dev = ", environment-config: {DEV: {container-image-tag: own-dev}}";
  check_all({
      {"--step-config",
       config(own, dev),
       {{"tag", "flag"}},
       {"container-image-tag=flag"},
       "DEV",
       kBuilt},
      {"environment-config", config(own, dev), {{"tag", "own-dev"}}, {}, "DEV", kBuilt},
      {"config, for want of -e", config(own, dev), {{"tag", "own"}}, {}, "", kBuilt},
      {"config", config(own, dev), {{"tag", "own"}}, {}, "PROD", kBuilt},
      {"global-environment-defaults",
       config("", dev),
       {{"tag", "global-prod"}},
       {},
       "PROD",
       kBuilt},
      {"global-defaults", config("", ""), {{"tag", "global"}}, {}, "", kBuilt},
      {"global-defaults, in an environment nobody configured",
       config("", ""),
       {{"tag", "global"}},
       {},
       "QA",
       kBuilt},
      {"artifacts", complete(""), {{"tag", "2.0"}}, {}, "", kBuilt},
      {"defaults", complete(""), {{"tag", "latest"}}, {}, "", ""},
      {"combining is shallow",
       "{global-defaults: {container-image-build-address: 'l/a:1', destination-url: r, "
       "container-image-repository: a, container-registries: {one: {username: u, password: pw}}}, "
       "push-container-image: {implementer: Skopeo, config: {container-registries: {two: "
       "{username: v, "
       "password: pw}}}}}",
       {{"logins", R"([{"registry":"two","username":"v","tls-verify":true}])"}},
       {},
       "",
       ""},
  });
}

TEST_CASE("3.2: three passes over the aliases") {
  check_all({
      {"a later configured alias beats an artifact of an earlier one",
       complete("container-image-version: v3"),
       {{"tag", "v3"}},
       {},
       "",
       kBuilt},
      {"an artifact of a later alias beats the default of an earlier one",
       kComplete,
       {{"tag", "2.0"}},
       {},
       "",
       kBuilt},
      {"among configured aliases order beats source",
       complete("", ", environment-config: {}"),
       {{"tag", "latest"}},
       {},
       "",
       ""},
      {"--step-config of a later alias loses",
       "{global-defaults: {container-image-push-tag: global, container-image-build-address: "
       "'l/a:1', "
       "destination-url: r.example, container-image-repository: a}, push-container-image: "
       "{implementer: Skopeo}}",
       {{"tag", "global"}},
       {"container-image-tag=flag"},
       "",
       ""},
  });
}

TEST_CASE("3.3: artifacts of earlier steps") {
  const auto result = [](const std::string& step, const std::string& sub_step,
                         const std::string& name, const std::string& value,
                         const std::string& success = "true") {
    return step + ": {" + sub_step + ": {artifacts: [{name: " + name + ", value: " + value +
           "}], success: " + success + "}}";
  };
  const std::string metadata =
      result("generate-metadata", "SemanticVersion", "container-image-tag", "m");
  check_all({
      {"only what is missing is taken",
       kComplete,
       {{"source", "containers-storage:localhost/o/a:1"}, {"tag", "2.0"}},
       {},
       "",
       kBuilt},
      {"everything but the registry",
       "{push-container-image: {implementer: Skopeo, config: {destination-url: r.example}}}",
       {{"source", "containers-storage:localhost/o/built:2"},
        {"destination", "docker://r.example/o/built:2.0"}},
       {},
       "",
       kBuilt},
      {"the later step of the workflow is the newer",
       kComplete,
       {{"tag", "2.0"},
        {"warning", "generate-metadata/SemanticVersion"},
        {"warning", "is taken from create-container-image/Buildah"}},
       {},
       "",
       kBuilt + ", " + metadata},
      {"results of failed steps count",
       kComplete,
       {{"tag", "f"}},
       {},
       "",
       result("push-container-image", "other", "container-image-push-tag", "f", "false")},
      {"but not the one that this run replaces",
       kComplete,
       {{"tag", "latest"}},
       {},
       "",
       result("push-container-image", "Skopeo", "container-image-push-tag", "old")},
      {"the type stays",
       kComplete,
       {{"tag", "1.1"}, {"no warnings", ""}},
       {},
       "",
       result("generate-metadata", "x", "container-image-tag", "1.10")},
      {"without -e any environment counts",
       kComplete,
       {{"tag", "p"}},
       {},
       "",
       "PROD: {" + result("generate-metadata", "x", "container-image-tag", "p") + "}"},
      {"with -e its own results come first",
       kComplete,
       {{"tag", "d"}},
       {},
       "DEV",
       "PROD: {" + result("deploy", "x", "container-image-tag", "p") + "}, DEV: {" +
           result("generate-metadata", "x", "container-image-tag", "d") + "}"},
      {"with -e then those of any",
       kComplete,
       {{"tag", "p"}},
       {},
       "DEV",
       "PROD: {" + result("deploy", "x", "container-image-tag", "p") + "}"},
      {"an earlier alias of PROD outranks a later one of DEV",
       kComplete,
       {{"tag", "p"}},
       {},
       "DEV",
       "PROD: {" + result("push-container-image", "Skopeo", "container-image-push-tag", "p") +
           "}, DEV: {" + result("generate-metadata", "x", "container-image-tag", "d") + "}"},
  });
}
