// Sections 6.1, 6.2 and 6.4 of the step contract.
#include "step/artifacts.h"

#include "step/config.h"
#include "step/yaml.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace tug;
using namespace tug::step;

namespace {

EffectiveSettings settings() {
  EffectiveSettings made;
  made.source = "containers-storage:localhost/o/a:1";
  made.source_address = "localhost/o/a:1";
  made.registry_value = made.registry = "reg.example";
  made.repository_value = made.repository = "o/a";
  made.tag_value = 1.1;
  made.tag = "1.1";
  return made;
}

const Digest kDigest = Digest::parse("sha256:" + std::string(64, 'a'));

}  // namespace

TEST_CASE("the eight artifacts, word for word and in order") {
  const std::string digest = kDigest.str();
  const std::vector<Artifact> expected = {
      {"container-image-push-registry", "reg.example",
       "Container image registry container image was pushed to."},
      {"container-image-push-repository", "o/a",
       "Container image repository container image was pushed to."},
      {"container-image-push-tag", 1.1, "Container image tag container image was pushed to."},
      {"container-image-address-by-tag", "reg.example/o/a:1.1",
       "Pushed container image address by tag."},
      {"container-image-short-address-by-tag", "o/a:1.1",
       "Pushed container image short address (no registry) by tag."},
      {"container-image-push-digest", digest,
       "Container image digest container image was pushed to."},
      {"container-image-address-by-digest", "reg.example/o/a@" + digest,
       "Pushed container image address by digest."},
      {"container-image-short-address-by-digest", "o/a@" + digest,
       "Pushed container image short address (no registry) by digest."},
  };
  CHECK(artifacts_after_push(settings(), kDigest) == expected);
  CHECK(artifacts_before_push(settings()) ==
        std::vector<Artifact>(expected.begin(), expected.begin() + 5));
  EffectiveSettings more = settings();
  more.additional_artifacts = {{"n", "v", ""}};
  CHECK(artifacts_before_push(more).size() == 6);
  CHECK(artifacts_after_push(more, kDigest).back() == Artifact{"n", "v", ""});
}

TEST_CASE("messages of what went wrong") {
  CHECK(copy_failed_message(settings(), "connection refused") ==
        "Error pushing container image (localhost/o/a:1)  to tag (reg.example/o/a:1.1) using "
        "skopeo: connection refused");
  CHECK(digest_failed_message("x") == "Error getting pushed container image digest: x");
  Login login;
  login.uri = "https://r";
  login.username = "robot";
  CHECK(login_failed_message(login, "401") ==
        "Failed to login to container registry (https://r) with username (robot): 401");
  login.hide_username = true;
  CHECK(login_failed_message(login, "401").find("robot") == std::string::npos);
}

TEST_CASE("artifacts for programs: JSON, environment, handover") {
  const std::vector<Artifact> artifacts = {
      {"container-image-push-tag", 1.1, ""},
      {"container-image-address-by-tag", "reg:5000/o/a:1.1", ""},
      {"it's", "it's $HOME", ""},
      {"9 lives", "", ""},
      {"list", Value::list({"a", 1}), ""},
      {"text", "1.10", ""}};
  CHECK(
      artifacts_json(artifacts).dump() ==
      R"({"container-image-push-tag":1.1,"container-image-address-by-tag":"reg:5000/o/a:1.1","it's":"it's $HOME",)"
      R"("9 lives":"","list":["a",1],"text":"1.10"})");
  CHECK(artifacts_env(artifacts) ==
        "CONTAINER_IMAGE_PUSH_TAG=1.1\nCONTAINER_IMAGE_ADDRESS_BY_TAG=reg:5000/o/a:1.1\n"
        "IT_S='it'\\''s $HOME'\n_9_LIVES=\nLIST='[\"a\",1]'\nTEXT=1.10\n");
  CHECK(artifacts_handover({{"container-image-push-tag", 1.1, ""}, {"text", "1.10", ""}}) ==
        "step-runner-config:\n    global-defaults:\n        container-image-push-tag: 1.1\n        "
        "text: '1.10'\n");
  Config config;
  config.add(parse_document(artifacts_handover(artifacts), "handover.yaml"), "handover.yaml");
  CHECK(config.global_defaults().find("text")->str() == "1.10");
}
