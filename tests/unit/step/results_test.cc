// Sections 3.3 and 6.3 of the step contract: results read, written, and refused.
#include "step/results.h"

#include "base/fd.h"
#include "step/step_error.h"
#include "step/yaml.h"
#include "support/temp_dir.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <thread>
#include <vector>

using namespace tug;
using namespace tug::step;

namespace {

StepResult result(const std::string& sub_step, const std::string& environment, Value tag) {
  StepResult made;
  made.key = {"push-container-image", sub_step, environment};
  made.implementer = "Skopeo";
  made.artifacts = {{"container-image-push-tag", std::move(tag),
                     "Container image tag container image was pushed to."}};
  return made;
}

template <typename Work>
std::string fatal(Work&& work) {
  try {
    work();
  } catch (const StepError& error) {
    CHECK(error.status() == StepStatus::fatal);
    return error.what();
  }
  return {};
}

const char* const kBefore = R"(step-runner-results:
    generate-metadata:
        SemanticVersion:
            artifacts:
            -   description: Full constructured semantic version
                name: version
                value: '1.10'
            -   description: ''
                name: odd
                value: 1.1
            evidence:
            -   description: ''
                name: e
                value: 2024-01-02
            message: ''
            sub-step-implementer-name: SemanticVersion
            success: true
)";

const char* const kAfter = R"(step-runner-results:
    DEV:
        push-container-image:
            Skopeo:
                artifacts:
                -   description: Container image tag container image was pushed to.
                    name: container-image-push-tag
                    value: v2
                evidence: []
                message: ''
                sub-step-implementer-name: Skopeo
                success: true
    generate-metadata:
        SemanticVersion:
            artifacts:
            -   description: Full constructured semantic version
                name: version
                value: '1.10'
            -   description: ''
                name: odd
                value: 1.1
            evidence:
            -   description: ''
                name: e
                value: 2024-01-02
            message: ''
            sub-step-implementer-name: SemanticVersion
            success: true
    push-container-image:
        Skopeo:
            artifacts:
            -   description: Container image tag container image was pushed to.
                name: container-image-push-tag
                value: 1.1
            evidence: []
            message: 'it failed: why'
            sub-step-implementer-name: Skopeo
            success: false
)";

}  // namespace

TEST_CASE("a result is added, and replaced; what others recorded stays as it is") {
  const test::TempDir dir;
  dir.write("w/step-runner-results.yml", kBefore);
  const ResultsDirectory results(dir.path() + "/w");
  results.prepare();
  CHECK(read_file(results.yaml_file(), 10'000) == kBefore);
  results.record(result("Skopeo", "", "first"), {});
  StepResult failed = result("Skopeo", "", 1.1);
  failed.success = false;
  failed.message = "it failed: why";
  results.record(failed, {});
  results.record(result("Skopeo", "DEV", "v2"), {});
  CHECK(read_file(results.yaml_file(), 10'000) == kAfter);
  CHECK(std::filesystem::exists(results.lock_file()));
  CHECK(Value::from_json(Json::parse(read_file(results.json_file(), 10'000)))
            .find("step-runner-results")
            ->find("DEV")
            ->find("push-container-image")
            ->find("Skopeo")
            ->repr() ==
        "{'sub-step-implementer-name': 'Skopeo', 'success': True, 'message': '', 'artifacts': "
        "[{'description': 'Container image tag container image was pushed to.', 'name': "
        "'container-image-push-tag', 'value': 'v2'}], 'evidence': []}");
}

TEST_CASE("a result that would not be found again is not recorded") {
  Results results = Results::parse(
      "step-runner-results: {DEV: {push-container-image: {success: true}}}", "r.yml");
  CHECK(fatal([&] { results.record(result("Skopeo", "DEV", "1")); }).find("in DEV") !=
        std::string::npos);
  results.record(result("Skopeo", "TEST", "1"));
  CHECK(results.find("container-image-push-tag", "TEST", {}));
}

TEST_CASE("prepare makes the directory and writes no results") {
  const test::TempDir dir;
  const ResultsDirectory results(dir.path() + "/a/step-runner-working");
  CHECK_FALSE(results.load().find("x", "", {}));
  CHECK_FALSE(std::filesystem::exists(results.path()));
  results.prepare();
  CHECK(std::filesystem::is_directory(results.path()));
  CHECK_FALSE(std::filesystem::exists(results.yaml_file()));
  dir.write("a/step-runner-working/step-runner-results.yml", "");
  results.prepare();
  results.record(result("Skopeo", "", "v"), {});
  CHECK(results.load().find("container-image-push-tag", "", {})->value.str() == "v");
}

TEST_CASE("a results file that is not ours is refused and left untouched") {
  for (const std::string text :
       {"not: ours\n", "- list\n", "a: b: c\n", "step-runner-results: text\n",
        "step-runner-results:\n", "step-runner-results: {a: b}\n",
        "step-runner-results: {a: {b: c}}\n", "step-runner-results: {a: {b: {c: d}}}\n",
        "# nothing\n", "\x01"}) {
    CAPTURE(text);
    const test::TempDir dir;
    const std::string file = dir.write("step-runner-results.yml", text);
    const ResultsDirectory results(dir.path());
    const std::string refused = fatal([&] { results.prepare(); });
    CAPTURE(refused);
    CHECK(refused.find(file + " is not a results file") == 0);
    CHECK_FALSE(fatal([&] { results.record(result("Skopeo", "", "v"), {}); }).empty());
    CHECK(read_file(file, 10'000) == text);
  }
}

TEST_CASE("a directory that cannot be written is found out beforehand") {
  const test::TempDir dir;
  dir.write("file", "x");
  CHECK_FALSE(fatal([&] { ResultsDirectory(dir.path() + "/file").prepare(); }).empty());
  CHECK_FALSE(fatal([&] { ResultsDirectory("/proc/nowhere").prepare(); }).empty());
  std::filesystem::create_directories(dir.path() + "/d/step-runner-results.json");
  CHECK(fatal([&] { ResultsDirectory(dir.path() + "/d").prepare(); }).find("is not a file") !=
        std::string::npos);
  std::filesystem::create_directories(dir.path() + "/l/step-runner-results.pkl.lock");
  CHECK_FALSE(fatal([&] { ResultsDirectory(dir.path() + "/l").prepare(); }).empty());
  if (::geteuid() != 0) {
    std::filesystem::create_directories(dir.path() + "/ro");
    ::chmod((dir.path() + "/ro").c_str(), 0555);
    CHECK_FALSE(fatal([&] { ResultsDirectory(dir.path() + "/ro").prepare(); }).empty());
  }
}

TEST_CASE("recording waits for the lock, and no longer than one is willing to") {
  const test::TempDir dir;
  const ResultsDirectory results(dir.path());
  results.prepare();
  UniqueFd lock(::open(results.lock_file().c_str(), O_RDWR));
  REQUIRE(::flock(lock.get(), LOCK_EX) == 0);
  std::stop_source stop;
  stop.request_stop();
  CHECK_THROWS_AS(results.record(result("Skopeo", "", "v"), stop.get_token()), Error);
  CHECK_FALSE(std::filesystem::exists(results.yaml_file()));
  std::jthread later([&] { results.record(result("Skopeo", "", "v"), {}); });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  CHECK_FALSE(std::filesystem::exists(results.yaml_file()));
  lock = UniqueFd();
  later.join();
  CHECK(std::filesystem::exists(results.yaml_file()));
}

TEST_CASE("many at once lose nothing") {
  const test::TempDir dir;
  const ResultsDirectory results(dir.path());
  results.prepare();
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i)
      threads.emplace_back(
          [&results, i] { results.record(result("sub " + std::to_string(i), "", i), {}); });
  }
  const Results all = results.load();
  CHECK(
      all.document().find("step-runner-results")->find("push-container-image")->as_map()->size() ==
      8);
}

TEST_CASE("the newest of this run wins, and the others are named") {
  Results results;
  results.record(result("b", "", "one"));
  results.record(result("a", "", "two"));
  results.record(result("c", "", Value()));
  const auto found = results.find("container-image-push-tag", "", {});
  REQUIRE(found);
  CHECK(found->value.str() == "two");
  CHECK(found->from.str() == "push-container-image/a");
  REQUIRE(found->others.size() == 1);
  CHECK(found->others.front().str() == "push-container-image/b");
  results.record(result("b", "", "two"));
  CHECK(results.find("container-image-push-tag", "", {})->from.sub_step == "b");
  CHECK(results.find("container-image-push-tag", "", {})->others.empty());
  CHECK(results.find("container-image-push-tag", "", {"push-container-image", "b", ""})
            ->from.sub_step == "a");
  CHECK_FALSE(results.find("container-image-push-tag", "DEV", {}));
  CHECK_FALSE(results.find("nothing", "", {}));
}
