#include "step/config.h"

#include "base/fd.h"
#include "base/strings.h"
#include "step/step_error.h"
#include "step/truth.h"
#include "step/yaml.h"

#include <algorithm>
#include <utility>

namespace tug::step {
namespace {

constexpr std::string_view kTop = "step-runner-config";

[[noreturn]] void invalid(std::string message) {
  throw StepError(StepStatus::invalid_config, std::move(message));
}

std::string type_of(const Value& value) { return std::string(value.type_name()); }

// --- merging ---

std::string dotted(const std::string& path, const Value& key) {
  return (path.empty() ? "" : path + ".") + printable(key.str(), 200);
}

// The values stay out of the message: one may be a password.
[[noreturn]] void conflict(const std::string& path, const Value& one, const Value& other) {
  std::string message = "Conflict at " + path + ": it has two values that differ";
  if (one.place() && other.place())
    message += ", " + one.where() + " and " + other.where() + "; remove one";
  invalid(message);
}

void merge_at(const std::string& path, Value& into, const Value& from) {
  if (!into.is_map() || !from.is_map()) {
    if (!(into == from)) conflict(path, into, from);
    return;
  }
  for (const auto& [key, value] : *from.as_map()) {
    Value::Map& entries = *into.as_map();
    const auto entry = std::find_if(entries.begin(), entries.end(),
                                    [&wanted = key](const auto& e) { return e.first == wanted; });
    if (entry == entries.end()) {
      entries.emplace_back(key, value);
    } else {
      merge_at(dotted(path, key), entry->second, value);
    }
  }
}

void require_map(const Value& value, const std::string& what) {
  if (!value.is_map()) invalid(what + " is " + type_of(value) + ", not a mapping");
}

// --- sub-steps ---

// The mapping under `key`; an empty one when it is absent or nothing follows it.
Value map_or_empty(const Value& entry, std::string_view key) {
  const Value* value = entry.find(key);
  if (value == nullptr || value->is_null()) return Value::map();
  require_map(*value, value->where());
  return *value;
}

bool read_continue(const Value& entry) {
  const Value* value = entry.find("continue-sub-steps-on-failure");
  if (value == nullptr) return false;
  if (const auto flag = value->as_bool()) return *flag;
  const std::string* text = value->as_string();
  const auto flag = text == nullptr ? std::nullopt : strtobool(*text);
  if (!flag) invalid(value->where() + ": invalid truth value " + value->repr());
  return *flag;
}

SubStep read_sub_step(const std::string& step, const Value& entry) {
  if (!entry.is_map())
    invalid("a sub-step of " + step + ", " + entry.where() + ", is " + type_of(entry) +
            ", not a mapping");
  const Value* implementer = entry.find("implementer");
  if (implementer == nullptr || implementer->is_null())
    invalid("a sub-step of " + step + ", " + entry.where() + ", is missing the key implementer");
  const Value* name = entry.find("name");
  SubStep sub_step;
  sub_step.implementer = implementer->str();
  sub_step.name = name == nullptr || name->is_null() ? sub_step.implementer : name->str();
  sub_step.continue_on_failure = read_continue(entry);
  sub_step.config = map_or_empty(entry, "config");
  sub_step.environment_config = map_or_empty(entry, "environment-config");
  for (auto& [environment, config] : *sub_step.environment_config.as_map()) {
    if (config.is_null()) config = Value::map();
    require_map(config, config.where());
  }
  return sub_step;
}

void merge_sub_step(SubStep& into, const SubStep& from, const std::string& where) {
  const std::string what = "sub-step " + into.name + ", " + where + ": ";
  if (into.implementer != from.implementer)
    invalid(what + "its implementer is " + from.implementer + " here and " + into.implementer +
            " elsewhere; give one of them another name");
  if (into.continue_on_failure != from.continue_on_failure)
    invalid(what + "its continue-sub-steps-on-failure is not what it is elsewhere");
  const std::string hint =
      "sub-step " + into.name + ", of which there are two (give one a name of its own)";
  with_context(hint, [&] {
    deep_merge(into.config, from.config);
    deep_merge(into.environment_config, from.environment_config);
  });
}

}  // namespace

std::string_view SubStep::implementer_class() const noexcept {
  return std::string_view(implementer).substr(implementer.rfind('.') + 1);
}

void deep_merge(Value& into, const Value& from) { merge_at("", into, from); }

// --- files ---

Config Config::load(const std::vector<std::string>& paths) {
  std::vector<std::string> files;
  for (const std::string& path : paths)
    for (std::string& file : config_files(path)) files.push_back(std::move(file));
  Config config;
  for (const std::string& file : files) {
    Value document;
    try {
      document = parse_document(read_file(file, kMaxDocumentBytes), file);
    } catch (const Error& error) {
      invalid(error.what());
    }
    config.add(document, file);
  }
  return config;
}

Config Config::for_flags_alone(const std::string& step) {
  Config config;
  SubStep sub_step;
  sub_step.name = sub_step.implementer = "Skopeo";
  config.steps_.emplace_back(step, std::vector<SubStep>{sub_step});
  return config;
}

void Config::add(const Value& document, const std::string& file) {
  if (document.is_null()) invalid(file + " has no content");
  require_map(document, "the top level of " + file);
  const Value* top = document.find(kTop);
  if (top == nullptr)
    invalid(file + ": missing expected top level key (" + std::string(kTop) + ")");
  require_map(*top, top->where());
  for (const auto& [key, value] : *top->as_map()) {
    const std::string name = key.str();
    if (name == "global-defaults") {
      require_map(value, value.where());
      with_context("global-defaults", [&, &from = value] { deep_merge(global_defaults_, from); });
    } else if (name == "global-environment-defaults") {
      add_environment_defaults(value);
    } else if (name == "config-decryptors") {
      for (Decryptor& decryptor : read_decryptors(value))
        decryptors_.push_back(std::move(decryptor));
    } else {
      add_step(name, value);
    }
  }
}

void Config::add_environment_defaults(const Value& environments) {
  require_map(environments, environments.where());
  for (const auto& [environment, defaults] : *environments.as_map()) {
    require_map(defaults, defaults.where());
    if (const Value* own = defaults.find("environment-name"))
      invalid("Conflict at environment-name: " + own->where() +
              " sets what the environment's name is for; remove it");
    const std::string name = environment.str();
    if (environment_defaults_.find(name) == nullptr)
      environment_defaults_.set(name, Value::map({{"environment-name", name}}));
    with_context("global-environment-defaults of " + printable(name, 100),
                 [&, &from = defaults] { deep_merge(*environment_defaults_.find(name), from); });
  }
}

void Config::add_step(const std::string& step, const Value& content) {
  if (content.is_map()) {
    add_sub_step(step, content);
  } else if (content.is_list()) {
    for (const Value& entry : *content.as_list()) add_sub_step(step, entry);
  } else {
    invalid("step " + printable(step, 100) + ", " + content.where() + ", is " + type_of(content) +
            ", neither a mapping nor a list of sub-steps");
  }
}

void Config::add_sub_step(const std::string& step, const Value& entry) {
  SubStep sub_step = read_sub_step(step, entry);
  auto known = std::find_if(steps_.begin(), steps_.end(),
                            [&](const auto& candidate) { return candidate.first == step; });
  if (known == steps_.end()) known = steps_.insert(steps_.end(), {step, std::vector<SubStep>()});
  std::vector<SubStep>& sub_steps = known->second;
  const auto same = std::find_if(sub_steps.begin(), sub_steps.end(),
                                 [&](const SubStep& other) { return other.name == sub_step.name; });
  if (same == sub_steps.end()) {
    sub_steps.push_back(std::move(sub_step));
  } else {
    merge_sub_step(*same, sub_step, entry.where());
  }
}

Value Config::environment_defaults(std::string_view environment) const {
  const Value* defaults = environment.empty() ? nullptr : environment_defaults_.find(environment);
  return defaults == nullptr ? Value::map() : *defaults;
}

std::vector<SubStep> Config::sub_steps(std::string_view step) const {
  for (const auto& [name, sub_steps] : steps_)
    if (name == step) return sub_steps;
  return {};
}

// --- --step-config ---

std::pair<std::string, std::string> parse_key_value(std::string_view item) {
  const std::size_t equals = item.find('=');
  const std::string_view key = trim(item.substr(0, std::min(equals, item.size())));
  // Without its text: half of KEY=VALUE may be a password.
  if (equals == std::string_view::npos) invalid("a --step-config item has no '=': write KEY=VALUE");
  if (key.empty()) invalid("a --step-config item has no key before its '=': write KEY=VALUE");
  return {std::string(key), std::string(item.substr(equals + 1))};
}

Value parse_step_config(const std::vector<std::string>& items) {
  Value overrides = Value::map();
  for (const std::string& item : items) {
    auto [key, value] = parse_key_value(item);
    overrides.set(key, std::move(value));
  }
  overrides.set_place(
      std::make_shared<const Place>(Place{nullptr, std::string(kStepConfigSource), true}));
  return overrides;
}

}  // namespace tug::step
