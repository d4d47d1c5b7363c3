#include "step/lookup.h"

#include "base/strings.h"

#include <utility>

namespace tug::step {
namespace {

// dict.update(): a key of `from` hides the one below, null or not (1.4, 3.1).
void overlay(Value& into, const Value& from) {
  const Value::Map* entries = from.as_map();
  if (entries == nullptr) return;
  for (const auto& [key, value] : *entries) into.set(key, value);
}

Value sources_1_to_5(const StepInput& input) {
  Value merged = Value::map();
  overlay(merged, input.config.global_defaults());
  overlay(merged, input.config.environment_defaults(input.environment));
  overlay(merged, input.sub_step.config);
  if (!input.environment.empty())
    if (const Value* own = input.sub_step.environment_config.find(input.environment))
      overlay(merged, *own);
  overlay(merged, input.overrides);
  return merged;
}

std::string source_of(const Value& value, const std::string& key) {
  if (!value.place()) return "the default of " + key;
  if (value.place()->file() == kStepConfigSource) return std::string(kStepConfigSource);
  return value.where();
}

}  // namespace

Lookup::Lookup(const StepInput& input, Value defaults)
    : input_(input), configured_(sources_1_to_5(input)), defaults_(std::move(defaults)) {}

bool Lookup::is_configured(std::string_view key) const { return configured_.find(key) != nullptr; }

std::optional<Lookup::Found> Lookup::find(Aliases aliases) {
  if (auto found = find_configured(aliases, false)) return found;
  if (auto found = find_artifact(aliases)) return found;
  return find_configured(aliases, true);
}

std::optional<Lookup::Found> Lookup::find_configured(Aliases aliases, bool with_defaults) {
  for (const std::string_view alias : aliases) {
    const Value* value = configured_.find(alias);
    const bool is_configured = value != nullptr;
    if (!is_configured && with_defaults) value = defaults_.find(alias);
    if (value == nullptr || value->is_null()) continue;
    return Found{std::string(alias), input_.decryptors.read(*value, input_.stop), is_configured,
                 source_of(*value, std::string(alias))};
  }
  return std::nullopt;
}

std::optional<Lookup::Found> Lookup::find_artifact(Aliases aliases) {
  for (const std::string_view alias : aliases)
    if (auto found = artifact(std::string(alias))) return found;
  return std::nullopt;
}

// With -e first what this environment recorded, then what any has (3.3).
std::optional<Lookup::Found> Lookup::artifact(const std::string& name) {
  const ResultKey own{input_.step, input_.sub_step.name, input_.environment};
  auto found = input_.results.find(name, input_.environment, own);
  if (!found && !input_.environment.empty()) found = input_.results.find(name, "", own);
  if (!found) return std::nullopt;
  if (!found->others.empty()) {
    std::vector<std::string> others;
    for (const ResultKey& other : found->others) others.push_back(other.str());
    notes_.push_back("the artifact " + name + " is taken from " + found->from.str() +
                     "; it differs from that of " + join(others, ", ") + " (set " + name +
                     " in the configuration to decide)");
  }
  return Found{name, found->value, false, "the artifact of " + found->from.str()};
}

}  // namespace tug::step
