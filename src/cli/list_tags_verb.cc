// tug list-tags docker://REPOSITORY
#include "cli/list_tags_verb.h"

#include "base/strings.h"
#include "cli/context.h"
#include "cli/image_view.h"
#include "cli/output.h"
#include "oci/json.h"
#include "registry/repository.h"

#include <tug/error.h>

#include <fmt/format.h>

#include <cstdlib>
#include <utility>

namespace tug::cli {
namespace {

// The answer is written when it is whole, so that one that breaks off leaves nothing behind. Only
// of a list that is longer than any that somebody made by hand the beginning goes out before.
constexpr std::size_t kMaxHeld = 4'000'000;

class TagDocument {
 public:
  explicit TagDocument(const std::string& repository)
      : held_(fmt::format("{{\n    \"Repository\": {},\n    \"Tags\": [",
                          Json(repository).dump(kGoIndented))) {}

  void add(const std::vector<std::string>& tags) {
    for (const std::string& tag : tags) {
      held_ += std::exchange(is_empty_, false) ? "\n" : ",\n";
      held_ += "        " + Json(tag).dump(kGoIndented);
    }
    if (held_.size() > kMaxHeld) write_stdout(std::exchange(held_, {}));
  }
  void end() { write_stdout(held_ + (is_empty_ ? "]\n}\n" : "\n    ]\n}\n")); }

 private:
  std::string held_;
  bool is_empty_ = true;
};

RegistryReference repository_named(const std::string& text) {
  const ImageReference reference = ImageReference::parse(text);
  if (reference.transport != Transport::docker) {
    throw Error(ErrorKind::usage,
                fmt::format("Unsupported transport '{}' for tag listing. Only supported: docker",
                            to_string(reference.transport)));
  }
  return RegistryReference::parse_repository(reference.rest);
}

int run(Context& context, const Arguments& arguments) {
  const RegistryReference repository = repository_named(arguments.positional()[0]);
  registry::Host& host = context.transports().hosts.get(repository, registry_access(arguments, ""));
  TagDocument document(repository.name());
  try {
    registry::Repository(host, repository, false)
        .list_tags([&](const auto& tags) { document.add(tags); }, context.stop());
  } catch (Error& error) {
    // Exit code 2 is said of images alone (cli-surface.md A.7).
    if (error.kind() == ErrorKind::not_found) error.set_kind(ErrorKind::denied);
    throw;
  }
  document.end();
  return EXIT_SUCCESS;
}

}  // namespace

Verb list_tags_verb() {
  return {"list-tags",
          "REPOSITORY",
          "List the tags of a repository",
          "REPOSITORY is docker://HOST[:PORT]/NAME. Prints JSON, with the tags in the registry's "
          "order.",
          {{"Registry access", registry_options("")}, {"Retrying", retry_options()}},
          1,
          run};
}

}  // namespace tug::cli
