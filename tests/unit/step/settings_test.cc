// Section 1 of the step contract, row by row.
#include "settings_cases.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace tug;
using namespace tug::step;
using namespace tug::step::test;

TEST_CASE("section 1: the settings, their keys and their defaults") {
  check_all({
      {"1 to 8: defaults",
       kComplete,
       {{"source", "containers-storage:localhost/o/a:1"},
        {"destination", "docker://reg.example/o/a:latest"},
        {"tag", "latest"},
        {"src-tls-verify", "true"},
        {"dest-tls-verify", "true"},
        {"authfile", "step-runner-working/push-container-image/container-auth.json"},
        {"logins", "[]"},
        {"no warnings", ""},
        {"refusal", ""}},
       {},
       "",
       ""},
      with("1: source type", "container-image-pull-registry-type: 'oci:'",
           {{"source", "oci:localhost/o/a:1"}, {"destination", "docker://reg.example/o/a:latest"}}),
      with("1 and 4: one alias for two things", "container-image-registry-type: 'oci:'",
           {{"source", "oci:localhost/o/a:1"}, {"destination", "oci:reg.example/o/a:latest"}}),
      with("1 and 4: the own key wins over the shared one",
           "container-image-registry-type: 'oci:', container-image-push-registry-type: 'docker://'",
           {{"source", "oci:localhost/o/a:1"}, {"destination", "docker://reg.example/o/a:latest"}}),
      with("2: pull address before build address", "container-image-pull-address: 'localhost/x:2'",
           {{"source", "containers-storage:localhost/x:2"}}),
      with("5: push registry before destination-url", "container-image-push-registry: 'r:5000'",
           {{"destination", "docker://r:5000/o/a:latest"}}),
      with("5: container-image-registry is no alias", "container-image-registry: localhost",
           {{"destination", "docker://reg.example/o/a:latest"}}),
      with("5: nothing reads destination", "destination: other.example",
           {{"destination", "docker://reg.example/o/a:latest"}}),
      with("6: push repository before repository", "container-image-push-repository: x/y",
           {{"destination", "docker://reg.example/x/y:latest"}}),
      with("7: push tag", "container-image-push-tag: v1, container-image-tag: v2", {{"tag", "v1"}}),
      with("7: tag", "container-image-tag: v2, container-image-version: v3", {{"tag", "v2"}}),
      with("7: version", "container-image-version: v3", {{"tag", "v3"}}),
      with("9: auth file", "containers-config-auth-file: own/auth.json",
           {{"authfile", "own/auth.json"}}),
      with("3: the comma key", "'source-tls,verify': 'false'",
           {{"src-tls-verify", "true"}, {"warning", "src-tls-verify"}}),
      with("3: the undocumented key works", "source-tls-verify: false",
           {{"src-tls-verify", "false"}, {"no warnings", ""}}),
      with("3: the undocumented key comes first", "source-tls-verify: true, src-tls-verify: false",
           {{"src-tls-verify", "true"}}),
      with("3: the comma key passes the check, and then there is no value",
           "'source-tls,verify': true, src-tls-verify: null", {{"refusal", "none"}}),
      with("3: source-tls-verify alone does not pass the check",
           "source-tls-verify: true, src-tls-verify: null",
           {{"status",
             "200 Missing required step configuration or previous step result artifact keys: "
             "[['source-tls,verify', 'src-tls-verify']]"}}),
      with("values are pasted together as they are: a slash",
           "container-image-push-registry: reg.example/",
           {{"destination", "docker://reg.example//o/a:latest"},
            {"refusal", "invalid reference format"}}),
      with("values are pasted together as they are: a transport",
           "container-image-push-registry: 'docker://reg.example'",
           {{"destination", "docker://docker://reg.example/o/a:latest"},
            {"refusal", "invalid reference format"}}),
      with("values are pasted together as they are: upper case",
           "container-image-push-repository: Org/App", {{"refusal", "invalid reference format"}}),
      with(
          "11: additional artifacts, a mapping and a path",
          "additional-artifacts: [{name: n, value: v}, /tmp/dir/report.xml], "
          "container-image-push-tag: t",
          {{"artifacts",
            R"({"container-image-push-registry":"reg.example","container-image-push-repository":"o/a",)"
            R"("container-image-push-tag":"t","container-image-address-by-tag":"reg.example/o/a:t",)"
            R"("container-image-short-address-by-tag":"o/a:t","n":"v","report.xml":"/tmp/dir/report.xml"})"}}),
      with("11: anything but a list is ignored", "additional-artifacts: text", {{"tag", "latest"}}),
      with("11: an entry without a value", "additional-artifacts: [{name: n}]",
           {{"status", "44 additional-artifacts"}}),
  });
}

TEST_CASE("1.1: scalars are written as Python prints them") {
  check_all({
      with("float", "container-image-push-tag: 1.10",
           {{"tag", "1.1"},
            {"destination", "docker://reg.example/o/a:1.1"},
            {"warning", "container-image-push-tag: 1.10"},
            {"warning", "quote it"}}),
      with("float that survives", "container-image-push-tag: 1.1",
           {{"tag", "1.1"}, {"warning", "container-image-push-tag"}}),
      with("quoted", "container-image-push-tag: '1.10'", {{"tag", "1.10"}, {"no warnings", ""}}),
      with("true", "container-image-push-tag: yes", {{"tag", "True"}, {"warning", "yes"}}),
      with("integer", "container-image-push-tag: 7", {{"tag", "7"}}),
      with("octal", "container-image-push-tag: 010", {{"tag", "8"}, {"warning", "010"}}),
      with("a commit hash of digits", "container-image-tag: 6944208", {{"tag", "6944208"}}),
      with("a repository", "container-image-push-repository: 010",
           {{"destination", "docker://reg.example/8:latest"},
            {"warning", "container-image-push-repository: 010"}}),
  });
}

TEST_CASE("1.2: booleans") {
  std::vector<Case> cases = {
      with("real boolean", "dest-tls-verify: false", {{"dest-tls-verify", "false"}}),
      with("integer 0", "dest-tls-verify: 0", {{"dest-tls-verify", "false"}, {"refusal", ""}}),
      with("integer 1", "src-tls-verify: 1", {{"src-tls-verify", "true"}, {"refusal", ""}}),
      with("integer 2", "dest-tls-verify: 2", {{"refusal", "dest-tls-verify"}}),
      with("float", "dest-tls-verify: 1.0", {{"refusal", "'1.0'"}}),
      with("list", "src-tls-verify: [false]", {{"refusal", "[false]"}}),
      with("empty", "dest-tls-verify: ''", {{"status", "44 invalid truth value ''"}}),
      with("no trimming", "dest-tls-verify: ' false'",
           {{"status", "44 invalid truth value ' false' for dest-tls-verify"}}),
      with("something else", "src-tls-verify: maybe",
           {{"status", "44 invalid truth value 'maybe' for src-tls-verify"}}),
      {"--step-config", kComplete, {{"dest-tls-verify", "false"}}, {"dest-tls-verify=OFF"}, "", ""},
      {"--step-config 2",
       kComplete,
       {{"status", "44 invalid truth"}},
       {"dest-tls-verify=2"},
       "",
       ""},
  };
  for (const char* text : {"y", "yes", "t", "true", "on", "1", "Y", "TRUE", "On"})
    cases.push_back(
        with("true", "src-tls-verify: '" + std::string(text) + "'", {{"src-tls-verify", "true"}}));
  for (const char* text : {"n", "no", "f", "false", "off", "0", "No", "FALSE", "oFF"})
    cases.push_back(with("false", "src-tls-verify: '" + std::string(text) + "'",
                         {{"src-tls-verify", "false"}}));
  check_all(cases);
}

TEST_CASE("1.3: a date ends the run, where it concerns this sub-step") {
  check_all({
      with(
          "in the sub-step", "container-image-tag: 2024-01-02",
          {{"status", "44 step-runner-config.push-container-image[0].config.container-image-tag"}}),
      with("in a setting of nobody", "x: {y: [2024-01-02]}", {{"status", "44 "}}),
      {"in global-defaults",
       "{global-defaults: {x: 2024-01-02}, push-container-image: {implementer: Skopeo}}",
       {{"status", "44 "}},
       {},
       "",
       ""},
      {"in another environment",
       complete("", ", environment-config: {PROD: {x: 2024-01-02}}"),
       {{"tag", "latest"}},
       {},
       "DEV",
       ""},
      {"in this environment",
       complete("", ", environment-config: {DEV: {x: 2024-01-02}}"),
       {{"status", "44 "}},
       {},
       "DEV",
       ""},
      with("quoted", "container-image-tag: '2024-01-02'", {{"tag", "2024-01-02"}}),
  });
}

TEST_CASE("1.4: null, empty and missing") {
  check_all({
      with("null hides the default", "container-image-push-tag: null",
           {{"status",
             "200 Missing required step configuration or previous step result artifact keys: "
             "[['container-image-push-tag', 'container-image-tag', 'container-image-version']]"}}),
      with("null hides a lower source", "destination-url: ~", {{"status", "200 Missing"}}),
      with("null leaves the next alias", "container-image-push-tag:, container-image-version: v",
           {{"tag", "v"}}),
      {"null leaves the artifact",
       complete("container-image-push-tag: null"),
       {{"tag", "2.0"}},
       {},
       "",
       kBuilt},
      with("empty tag", "container-image-push-tag: ''",
           {{"status", "44 container-image-push-tag is empty"}}),
      with("empty registry", "destination-url: ''", {{"status", "44 destination-url is empty"}}),
      with("empty repository", "container-image-push-repository: ''",
           {{"status", "44 container-image-push-repository is empty"}}),
      with("empty address", "container-image-pull-address: ''",
           {{"status", "44 container-image-pull-address is empty"}}),
      {"empty with --step-config",
       kComplete,
       {{"status", "44 container-image-tag is empty"}},
       {"container-image-tag="},
       "",
       ""},
      with("empty transport", "container-image-pull-registry-type: ''",
           {{"status", "44 container-image-pull-registry-type is empty"}}),
      with("empty transport, and the address has one",
           "container-image-pull-registry-type: '', container-image-pull-address: 'oci:/tmp/x'",
           {{"source", "oci:/tmp/x"}, {"refusal", ""}}),
      with("False and 0 are present", "container-image-push-tag: 0", {{"tag", "0"}}),
      with("an empty auth file counts as none", "containers-config-auth-file: ''",
           {{"authfile", "step-runner-working/push-container-image/container-auth.json"}}),
  });
}

TEST_CASE("1.5: all missing settings are listed together") {
  const std::string prefix =
      "200 Missing required step configuration or previous step result artifact keys: ";
  check_all({
      {"nothing configured",
       "{push-container-image: {implementer: Skopeo}}",
       {{"status", prefix + "[['container-image-pull-address', 'container-image-build-address'], "
                            "['container-image-push-registry', 'destination-url'], "
                            "['container-image-push-repository', 'container-image-repository']]"}},
       {},
       "",
       ""},
      with("a single key has no inner brackets", "dest-tls-verify: null",
           {{"status", prefix + "['dest-tls-verify']"}}),
      with("in the order of the table",
           "dest-tls-verify: null, container-image-pull-registry-type: null, destination-url: null",
           {{"status",
             prefix + "[['container-image-pull-registry-type', 'container-image-registry-type'], "
                      "['container-image-push-registry', 'destination-url'], 'dest-tls-verify']"}}),
      with("before truth values", "destination-url: null, dest-tls-verify: maybe",
           {{"status", prefix}}),
  });
}
