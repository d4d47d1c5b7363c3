#include "step/step_error.h"

#include <utility>

namespace tug::step {
namespace {

ErrorKind kind_of(StepStatus status) noexcept {
  return status == StepStatus::fatal ? ErrorKind::local : ErrorKind::usage;
}

}  // namespace

StepError::StepError(StepStatus status, std::string message, std::string recorded)
    : Error(kind_of(status), std::move(message)), status_(status), recorded_(std::move(recorded)) {}

std::string closing_line(StepStatus status, std::string_view step, std::string_view reason) {
  const std::string name(step);
  const std::string why(reason);
  switch (status) {
    case StepStatus::success:
    case StepStatus::usage:
      break;
    case StepStatus::fatal:
      return "Fatal error calling step (" + name + "): " + why;
    case StepStatus::missing_config:
      return "specified -c/--config must exist and not be empty: " + why;
    case StepStatus::invalid_config:
      return "specified -c/--config is invalid configuration: " + why;
    case StepStatus::not_successful:
      return "Step " + name + " not successful";
  }
  return {};
}

}  // namespace tug::step
