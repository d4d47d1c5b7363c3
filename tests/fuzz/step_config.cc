// Configuration files of a workflow, each ended by a NUL byte: merged into sub-steps and defaults,
// or StepError(invalid_config), or Error(usage) for what is no YAML.
#include "base/strings.h"
#include "step/config.h"
#include "step/step_error.h"
#include "step/yaml.h"

#include <tug/error.h>

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    tug::step::Config config;
    for (const std::string_view document : tug::split(text, '\0'))
      config.add(tug::step::parse_document(document, "psr.yaml"), "psr.yaml");
    for (const auto& sub_step : config.sub_steps("push-container-image")) {
      if (!sub_step.config.is_map() || !sub_step.environment_config.is_map()) std::abort();
      (void)sub_step.implementer_class();
    }
    if (!config.global_defaults().is_map() || !config.environment_defaults("DEV").is_map())
      std::abort();
  } catch (const tug::step::StepError& error) {
    if (error.status() != tug::step::StepStatus::invalid_config) std::abort();
  } catch (const tug::Error& error) {
    if (error.kind() != tug::ErrorKind::usage) std::abort();
  }
  return 0;
}
