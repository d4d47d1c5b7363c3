// The configuration files of a workflow, merged (step-contract 2.3, 2.4). A value.
#ifndef TUG_STEP_CONFIG_H_
#define TUG_STEP_CONFIG_H_

#include "step/decrypt.h"
#include "step/value.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tug::step {

struct SubStep {
  std::string name;         // default: the implementer as written
  std::string implementer;  // as written: "Skopeo", "ploigos_step_runner.….Skopeo"
  bool continue_on_failure = false;
  Value config = Value::map();
  Value environment_config = Value::map();  // environment → mapping

  // "Skopeo": the implementer's last dotted part.
  [[nodiscard]] std::string_view implementer_class() const noexcept;
};

class Config {
 public:
  // Reads files and directories in order. Throws StepError(missing_config): one does not exist or
  // has size 0; StepError(invalid_config): everything else, naming file and key.
  static Config load(const std::vector<std::string>& paths);
  // What stands in when there are no files: one Skopeo sub-step of `step`, without configuration.
  static Config for_flags_alone(const std::string& step);

  // Merges one parsed file. Throws StepError(invalid_config). Exposed for tests.
  void add(const Value& document, const std::string& file);

  [[nodiscard]] const Value& global_defaults() const noexcept { return global_defaults_; }
  // With environment-name in it; an empty mapping for an environment without an entry, and for "".
  [[nodiscard]] Value environment_defaults(std::string_view environment) const;
  // In the order in which the files name them; empty for a step that no file configures.
  [[nodiscard]] std::vector<SubStep> sub_steps(std::string_view step) const;
  [[nodiscard]] const std::vector<Decryptor>& decryptors() const noexcept { return decryptors_; }

 private:
  void add_environment_defaults(const Value& environments);
  void add_step(const std::string& step, const Value& content);
  void add_sub_step(const std::string& step, const Value& entry);

  Value global_defaults_ = Value::map();
  Value environment_defaults_ = Value::map();
  std::vector<std::pair<std::string, std::vector<SubStep>>> steps_;
  std::vector<Decryptor> decryptors_;
};

// The files that a -c PATH means, in order: itself, or every regular file below it but dot files
// and what is in dot directories (2.3). Directories are read in the order of names, so that two
// runs agree. Throws as Config::load.
std::vector<std::string> config_files(const std::string& path);

// Merges `from` into the mapping `into`, deeply; lists are leaves. Throws StepError(invalid_config)
// "Conflict at PATH …" when a leaf has two values that are not equal as Python compares them (2.4).
void deep_merge(Value& into, const Value& from);

// One --step-config item: split at the first '=', the key trimmed, the value as it is (2.1). Throws
// StepError(invalid_config) when there is no '=' or no key.
std::pair<std::string, std::string> parse_key_value(std::string_view item);
// All of them, as a mapping; a later item with the same key wins.
Value parse_step_config(const std::vector<std::string>& items);

}  // namespace tug::step

#endif  // TUG_STEP_CONFIG_H_
