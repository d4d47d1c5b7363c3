// A template behind --format: a text, or Error(usage) or Error(limit).
#include "cli/go_template.h"

#include "cli/inspect_types.h"

#include <tug/error.h>

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tug;
  using namespace tug::cli;
  static const Json image = Json::parse(
      R"({"Digest":"sha256:ab","Created":"2023-11-14T22:13:20.5+02:00","Labels":{"a":"1"},)"
      R"("Os":"linux","Layers":["l1","l2"],"LayersData":[{"Size":12}],"Env":null})");
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const GoType* type : {&inspect_type(), &GoType::any()}) {
    try {
      (void)is_json_format(text);
      (void)format_value(text, {&image, type});
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::usage && error.kind() != ErrorKind::limit) std::abort();
    }
  }
  return 0;
}
