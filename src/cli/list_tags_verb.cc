// tug list-tags docker://REPOSITORY | docker-archive:PATH
#include "cli/list_tags_verb.h"

#include "base/strings.h"
#include "cli/context.h"
#include "cli/image_view.h"
#include "cli/output.h"
#include "oci/json.h"
#include "registry/repository.h"
#include "transport/docker_archive.h"

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

// As skopeo: no repository, and null for no tags.
int list_archive(Context& context, const std::string& rest) {
  const std::vector<std::string> tags =
      docker_archive_tags(DockerArchiveReference::parse(rest), context.stop());
  const Json list = tags.empty() ? Json() : Json(Json::Array(tags.begin(), tags.end()));
  write_stdout(Json::object({{"Tags", list}}).dump(kGoIndented) + "\n");
  return EXIT_SUCCESS;
}

int run(Context& context, const Arguments& arguments) {
  const ImageReference reference = ImageReference::parse(arguments.positional()[0]);
  if (reference.transport == Transport::docker_archive)
    return list_archive(context, reference.rest);
  if (reference.transport != Transport::docker) {
    throw Error(ErrorKind::usage, fmt::format("Unsupported transport '{}' for tag listing. Only "
                                              "supported: docker, docker-archive",
                                              to_string(reference.transport)));
  }
  const RegistryReference repository = RegistryReference::parse_repository(reference.rest);
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
          "REPOSITORY is docker://HOST[:PORT]/NAME, or docker-archive:PATH. Prints JSON, with the "
          "tags in\nthe registry's or the archive's order.",
          {{"Registry access", registry_options("")}, {"Retrying", retry_options()}},
          1,
          run};
}

}  // namespace tug::cli
