// tug manifest-digest FILE
#include "cli/manifest_digest_verb.h"

#include "base/strings.h"
#include "cli/context.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "oci/schema1.h"

#include <tug/digest.h>
#include <tug/error.h>
#include <tug/manifest.h>

#include <fmt/format.h>

#include <cstdlib>

namespace tug::cli {
namespace {

int run(Context& context, const Arguments& arguments) {
  const std::string& path = arguments.positional()[0];
  // A file of that name; for skopeo, too, it is not standard input, which is /dev/stdin.
  const std::string bytes =
      read_input(path == "-" ? "./-" : path, kMaxManifestBytes, context.stop());
  const auto payload =
      with_context("the digest of " + printable(path, 200), [&] { return schema1_payload(bytes); });
  write_stdout(Digest::of(payload.value_or(bytes)).str() + "\n");
  return EXIT_SUCCESS;
}

}  // namespace

Verb manifest_digest_verb() {
  return {"manifest-digest",
          "FILE",
          "Print the digest of a manifest in a file",
          "The signatures of a schema 1 manifest are left out, as its registry does.",
          {},
          1,
          run};
}

}  // namespace tug::cli
