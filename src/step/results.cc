#include "step/results.h"

#include "step/step_error.h"
#include "step/yaml.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

namespace tug::step {
namespace {

constexpr std::string_view kTop = "step-runner-results";

// Upstream's workflow: what stands later here has run later, if it has run.
int workflow_position(std::string_view step) noexcept {
  static constexpr std::array<std::string_view, 17> kWorkflow = {
      "generate-metadata",
      "tag-source",
      "static-code-analysis",
      "unit-test",
      "package",
      "push-artifacts",
      "create-container-image",
      "push-container-image",
      "sign-container-image",
      "container-image-unit-test",
      "container-image-static-compliance-scan",
      "container-image-static-vulnerability-scan",
      "create-deployment-environment",
      "deploy",
      "uat",
      "runtime-vulnerability-scan",
      "report"};
  const auto at = std::find(kWorkflow.begin(), kWorkflow.end(), step);
  return at == kWorkflow.end() ? -1 : static_cast<int>(std::distance(kWorkflow.begin(), at));
}

[[noreturn]] void not_ours(const std::string& path, const std::string& why) {
  throw StepError(StepStatus::fatal, path + " is not a results file of the step runner: " + why +
                                         " (it is left as it is; move it away)");
}

// A sub-step's result, as opposed to the mapping of an environment's step.
bool is_result(const Value& value) noexcept {
  return value.find("sub-step-implementer-name") != nullptr || value.find("success") != nullptr ||
         value.find("artifacts") != nullptr;
}

const Value* artifact_value(const Value& result, std::string_view name) {
  const Value* artifacts = result.find("artifacts");
  const Value::List* list = artifacts == nullptr ? nullptr : artifacts->as_list();
  if (list == nullptr) return nullptr;
  for (const Value& artifact : *list) {
    const Value* own_name = artifact.find("name");
    const Value* value = artifact.find("value");
    if (own_name == nullptr || value == nullptr || value->is_null()) continue;
    if (own_name->is_string() && *own_name->as_string() == name) return value;
  }
  return nullptr;
}

void require_map(const Value& value, const std::string& path) {
  if (!value.is_map()) not_ours(path, value.where() + " is " + std::string(value.type_name()));
}

// The levels above a result are mappings: step, sub-step; or environment, step, sub-step.
void check_levels(const Value& top, const std::string& path) {
  for (const auto& first : *top.as_map()) {
    require_map(first.second, path);
    for (const auto& second : *first.second.as_map()) {
      require_map(second.second, path);
      if (is_result(second.second)) continue;
      for (const auto& third : *second.second.as_map()) require_map(third.second, path);
    }
  }
}

Value artifact_entry(const Artifact& artifact) {
  return Value::map(
      {{"description", artifact.description}, {"name", artifact.name}, {"value", artifact.value}});
}

Value result_entry(const StepResult& result) {
  Value artifacts = Value::list();
  for (const Artifact& artifact : result.artifacts)
    artifacts.as_list()->push_back(artifact_entry(artifact));
  return Value::map({{"sub-step-implementer-name", result.implementer},
                     {"success", result.success},
                     {"message", result.message},
                     {"artifacts", std::move(artifacts)},
                     {"evidence", Value::list()}});
}

// The mapping under `key`, made when there is none.
Value& child(Value& map, const std::string& key) {
  if (Value* known = map.find(key); known != nullptr && known->is_map()) return *known;
  map.set(key, Value::map());
  return *map.find(key);
}

}  // namespace

std::string ResultKey::str() const {
  return step + "/" + sub_step + (environment.empty() ? "" : " in " + environment);
}

Results Results::parse(std::string_view text, const std::string& path) {
  Results results;
  Value document;
  try {
    document = parse_document(text, path);
  } catch (const Error& error) {
    not_ours(path, error.message());
  }
  if (document.is_null() && text.empty()) return results;
  const Value* top = document.find(kTop);
  if (top == nullptr) not_ours(path, "it has no key " + std::string(kTop));
  require_map(*top, path);
  check_levels(*top, path);
  results.document_ = std::move(document);
  return results;
}

std::vector<Results::Entry> Results::entries() const {
  std::vector<Entry> found;
  for (const auto& [first, children] : *document_.find(kTop)->as_map()) {
    for (const auto& [second, content] : *children.as_map()) {
      if (is_result(content)) {
        found.push_back({{first.str(), second.str(), ""}, &content});
        continue;
      }
      for (const auto& [third, result] : *content.as_map())
        found.push_back({{second.str(), third.str(), first.str()}, &result});
    }
  }
  return found;
}

std::optional<Results::Found> Results::find(std::string_view name, std::string_view environment,
                                            const ResultKey& replaced) const {
  struct Candidate {
    ResultKey key;
    const Value* value;
  };
  std::vector<Candidate> candidates;
  for (const Entry& entry : entries()) {
    if (entry.key == replaced) continue;
    if (!environment.empty() && entry.key.environment != environment) continue;
    if (const Value* value = artifact_value(*entry.content, name))
      candidates.push_back({entry.key, value});
  }
  if (candidates.empty()) return std::nullopt;
  // Of equals the last one: stable_sort keeps the order of the file.
  std::stable_sort(candidates.begin(), candidates.end(), [](const auto& a, const auto& b) {
    return workflow_position(a.key.step) < workflow_position(b.key.step);
  });
  const Candidate newest = candidates.back();
  Found found{*newest.value, newest.key, {}};
  for (const Candidate& other : candidates)
    if (!(*other.value == *newest.value)) found.others.push_back(other.key);
  return found;
}

void Results::record(const StepResult& result) {
  Value* at = document_.find(kTop);
  if (!result.key.environment.empty()) at = &child(*at, result.key.environment);
  Value& sub_steps = child(*at, result.key.step);
  // Read again it would be a result of a step that is called as the environment, and ours a part of
  // it.
  if (!result.key.environment.empty() && is_result(sub_steps))
    throw StepError(StepStatus::fatal, "the recorded results have a result where those of step " +
                                           result.key.step + " in " + result.key.environment +
                                           " go");
  // At the end, as the newest.
  Value::Map& entries = *sub_steps.as_map();
  std::erase_if(entries,
                [&](const auto& entry) { return entry.first.str() == result.key.sub_step; });
  entries.emplace_back(result.key.sub_step, result_entry(result));
}

}  // namespace tug::step
