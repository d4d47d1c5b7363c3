// An image's configuration behind --format: whatever a registry put into its members, a text or
// Error(usage), Error(limit).
#include "cli/go_value.h"

#include "cli/go_template.h"
#include "cli/inspect_types.h"

#include <tug/error.h>

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tug;
  using namespace tug::cli;
  Json json;
  try {
    json = Json::parse({reinterpret_cast<const char*>(data), size});
  } catch (const Error&) {
    return 0;
  }
  for (const GoType* type : {&inspect_type(), &config_type(), &GoType::any()}) {
    for (const char* format :
         {"{{.}} {{json .}}", R"({{printf "%v %s %d %q %t %x" . .Digest .Size .Name .A .Layers}})",
          R"({{.Created}} {{.Created.Unix}} {{.Created.Format "2006-01-02T15:04:05.999Z07:00"}})",
          "table {{range $k, $v := .Labels}}{{$k}}\t{{$v | upper}}\n{{end}}{{join .Env \",\"}}"}) {
      try {
        (void)format_value(format, {&json, type});
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::usage && error.kind() != ErrorKind::limit) std::abort();
      }
    }
  }
  return 0;
}
