// How the step ends when it does not end well: an exit status, a line for the person who ran it,
// and, for a failed step, the message that is recorded (step-contract 2.2, 6.2).
#ifndef TUG_STEP_STEP_ERROR_H_
#define TUG_STEP_STEP_ERROR_H_

#include <tug/error.h>

#include <string>

namespace tug::step {

// The exit statuses of 2.2.
enum class StepStatus : int {
  success = 0,
  usage = 2,
  fatal = 44,            // an exception in upstream: asked for 300, which is 44 to the system
  missing_config = 101,  // a -c path that does not exist or is empty
  invalid_config = 102,  // and what ends upstream with status 1 and a traceback (section 9)
  not_successful = 200,  // the step ran and failed: its result is recorded
};

// Thrown by this layer for everything that decides the exit status. Its text is the reason alone;
// closing_line() puts upstream's words in front.
class StepError : public Error {
 public:
  StepError(StepStatus status, std::string message) : StepError(status, message, message) {}
  // `recorded` is the message in the results where that differs from what a person is told:
  // upstream records an empty one for some malformed container-registries (4.1).
  StepError(StepStatus status, std::string message, std::string recorded);

  [[nodiscard]] StepStatus status() const noexcept { return status_; }
  // Meant for not_successful: no artifacts are recorded with it.
  [[nodiscard]] const std::string& recorded() const noexcept { return recorded_; }

 private:
  StepStatus status_;
  std::string recorded_;
};

// Upstream's last line on stderr for a status (2.2), with `reason` where that has one:
//   "specified -c/--config must exist and not be empty: REASON", "specified -c/--config is invalid
//   configuration: REASON", "Step NAME not successful", "Fatal error calling step (NAME): REASON".
// "" for success and usage.
std::string closing_line(StepStatus status, std::string_view step, std::string_view reason);

}  // namespace tug::step

#endif  // TUG_STEP_STEP_ERROR_H_
