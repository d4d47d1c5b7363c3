// Effective settings as tables: a row of the contract, a configuration, and what comes of it.
#ifndef TUG_TESTS_UNIT_STEP_SETTINGS_CASES_H_
#define TUG_TESTS_UNIT_STEP_SETTINGS_CASES_H_

#include "step/artifacts.h"
#include "step/settings.h"
#include "step/step_error.h"
#include "step/yaml.h"

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace tug::step::test {

inline constexpr const char* kStep = "push-container-image";

// What is expected: a member of the dry run's object and its compact JSON; or "status" and the
// start of the message; or "refusal", "warning": a part of one.
using Expected = std::vector<std::pair<std::string, std::string>>;

struct Case {
  std::string row;     // of the contract
  std::string config;  // below step-runner-config, in flow style
  Expected expected;
  std::vector<std::string> step_config;
  std::string environment;
  std::string results;  // below step-runner-results
};

// A configuration that is complete but for what `sub_step` adds to the sub-step's config.
inline std::string complete(const std::string& sub_step, const std::string& rest = "") {
  return "{global-defaults: {container-image-build-address: 'localhost/o/a:1', destination-url: "
         "reg.example, container-image-repository: o/a}, push-container-image: [{implementer: "
         "Skopeo, config: {" +
         sub_step + "}" + rest + "}]}";
}

inline const std::string kComplete = complete("");
inline const std::string kBuilt =
    "create-container-image: {Buildah: {artifacts: [{description: '', name: "
    "container-image-build-address, value: 'localhost/o/built:2'}, {description: '', name: "
    "container-image-repository, value: o/built}, {description: '', name: container-image-tag, "
    "value: '2.0'}], evidence: [], message: '', sub-step-implementer-name: Buildah, success: "
    "true}}";

struct Outcome {
  std::optional<EffectiveSettings> settings;
  Json json;
  int status = 0;
  std::string message;
};

inline Outcome run(const Case& c) {
  Outcome outcome;
  try {
    Config config;
    config.add(parse_document("step-runner-config: " + c.config + "\n", "psr.yaml"), "psr.yaml");
    const std::vector<SubStep> sub_steps = config.sub_steps(kStep);
    REQUIRE(!sub_steps.empty());
    const Value overrides = parse_step_config(c.step_config);
    const Results results =
        c.results.empty()
            ? Results()
            : Results::parse("step-runner-results: {" + c.results + "}\n", "results.yml");
    Decryptors decryptors(config.decryptors());
    outcome.settings = effective_settings({config,
                                           kStep,
                                           sub_steps.back(),
                                           c.environment,
                                           overrides,
                                           results,
                                           decryptors,
                                           "step-runner-working",
                                           {}});
    outcome.json = dry_run_json(*outcome.settings, decryptors.claimed());
  } catch (const StepError& error) {
    outcome.status = static_cast<int>(error.status());
    outcome.message = error.what();
  }
  return outcome;
}

inline std::string text_of(const Json& value) {
  return value.as_string() != nullptr ? *value.as_string() : value.dump();
}

inline bool any_contains(const std::vector<std::string>& lines, const std::string& part) {
  for (const std::string& line : lines)
    if (line.find(part) != std::string::npos) return true;
  return false;
}

inline void check_expectation(const Outcome& outcome, const std::string& name,
                              const std::string& wanted) {
  CAPTURE(name);
  CAPTURE(wanted);
  if (name == "status") {
    const std::string found = std::to_string(outcome.status) + " " + outcome.message;
    CAPTURE(found);
    CHECK(found.starts_with(wanted));
    return;
  }
  REQUIRE(outcome.settings);
  if (name == "refusal") {
    const std::string refusal = outcome.settings->refusal.value_or("");
    CAPTURE(refusal);
    CHECK((wanted.empty() ? refusal.empty() : refusal.find(wanted) != std::string::npos));
  } else if (name == "warning") {
    CHECK(any_contains(outcome.settings->warnings, wanted));
  } else if (name == "no warnings") {
    CHECK(outcome.settings->warnings.empty());
  } else {
    const Json* member = outcome.json.find(name);
    REQUIRE(member != nullptr);
    CHECK(text_of(*member) == wanted);
  }
}

inline void check(const Case& c) {
  CAPTURE(c.row);
  CAPTURE(c.config);
  const Outcome outcome = run(c);
  CAPTURE(outcome.message);
  for (const auto& [name, wanted] : c.expected) check_expectation(outcome, name, wanted);
}

inline void check_all(const std::vector<Case>& cases) {
  for (const Case& c : cases) check(c);
}

inline Case with(const std::string& row, const std::string& sub_step, Expected expected) {
  return {row, complete(sub_step), std::move(expected), {}, "", ""};
}

}  // namespace tug::step::test

#endif  // TUG_TESTS_UNIT_STEP_SETTINGS_CASES_H_
