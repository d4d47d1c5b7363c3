// A results file of earlier steps: what is recorded in it can be read again, or StepError(fatal).
#include "step/results.h"
#include "step/step_error.h"
#include "step/yaml_writer.h"

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tug::step;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const char* environment : {"", "DEV"}) {
    try {
      Results results = Results::parse(text, "results.yml");
      const ResultKey ours{"push-container-image", "Tug", environment};
      if (const auto found = results.find("container-image-tag", environment, ours))
        if (found->from == ours || found->value.is_null()) std::abort();
      results.record({ours, "Tug", true, "", {{"a", Value("b"), ""}}});
      results = Results::parse(results.document().to_json().dump(), "results.json");
      if (!results.find("a", environment, {})) std::abort();
    } catch (const StepError& error) {
      if (error.status() != StepStatus::fatal) std::abort();
    }
  }
  return 0;
}
