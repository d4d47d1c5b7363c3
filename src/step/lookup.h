// Which value wins (step-contract section 3): seven sources, three passes. A value of references;
// the things it refers to outlive it. One thread.
#ifndef TUG_STEP_LOOKUP_H_
#define TUG_STEP_LOOKUP_H_

#include "step/config.h"
#include "step/decrypt.h"
#include "step/results.h"

#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace tug::step {

// The keys of one setting, in order of preference.
using Aliases = std::span<const std::string_view>;

// What one sub-step's settings are looked for in.
struct StepInput {
  const Config& config;
  std::string step;
  const SubStep& sub_step;
  std::string environment;  // -e, "" without
  const Value& overrides;   // --step-config, a mapping
  const Results& results;   // of earlier steps and sub-steps
  Decryptors& decryptors;
  std::string working_directory = "step-runner-working";
  std::stop_token stop;
};

class Lookup {
 public:
  // A setting's value and where it was found.
  struct Found {
    std::string key;             // the alias
    Value value;                 // decrypted, never null
    bool is_configured = false;  // in a source 1 to 5
    std::string
        source;  // "--step-config", "KEY.PATH in FILE", "artifact of STEP/SUB-STEP", "default"
  };

  // `defaults` are the implementer's (source 7), a mapping.
  Lookup(const StepInput& input, Value defaults);

  // The three passes of 3.2; nullopt when every alias is absent or null. Adds to notes() when
  // results disagree. Throws StepError(fatal) when the value cannot be decrypted.
  std::optional<Found> find(Aliases aliases);
  // Whether a source 1 to 5 has the key, null or not.
  [[nodiscard]] bool is_configured(std::string_view key) const;
  // Sources 1 to 5 merged as upstream prints them, undecrypted.
  [[nodiscard]] const Value& configured() const noexcept { return configured_; }
  [[nodiscard]] const std::vector<std::string>& notes() const noexcept { return notes_; }

 private:
  std::optional<Found> find_configured(Aliases aliases, bool with_defaults);
  std::optional<Found> find_artifact(Aliases aliases);
  std::optional<Found> artifact(const std::string& name);

  const StepInput& input_;
  Value configured_;  // sources 1-5
  Value defaults_;    // source 7
  std::vector<std::string> notes_;
};

}  // namespace tug::step

#endif  // TUG_STEP_LOOKUP_H_
