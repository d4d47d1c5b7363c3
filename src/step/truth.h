// Booleans of the step (step-contract 1.2), three readings of them. Pure functions.
#ifndef TUG_STEP_TRUTH_H_
#define TUG_STEP_TRUTH_H_

#include <optional>
#include <string_view>

namespace tug::step {

// Upstream's strtobool: any case, no trimming; y yes t true on 1 / n no f false off 0.
std::optional<bool> strtobool(std::string_view text);
// What skopeo's and buildah's flags accept: 1 t T true True TRUE / 0 f F false False FALSE.
std::optional<bool> parse_flag_bool(std::string_view text) noexcept;

}  // namespace tug::step

#endif  // TUG_STEP_TRUTH_H_
