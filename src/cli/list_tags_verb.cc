// tug list-tags docker://REPOSITORY | docker-archive:PATH
#include "cli/list_tags_verb.h"

#include "base/strings.h"
#include "cli/context.h"
#include "cli/image_view.h"
#include "cli/output.h"
#include "oci/json.h"
#include "registry/pull_places.h"
#include "registry/repository.h"
#include "transport/docker_archive.h"

#include <tug/error.h>

#include <fmt/format.h>

#include <cstdlib>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

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
    if (held_.size() <= kMaxHeld) return;
    has_begun_ = true;
    write_stdout(std::exchange(held_, {}));
  }
  [[nodiscard]] bool has_begun() const noexcept { return has_begun_; }
  void end() { write_stdout(held_ + (is_empty_ ? "]\n}\n" : "\n    ]\n}\n")); }

 private:
  std::string held_;
  bool is_empty_ = true;
  bool has_begun_ = false;  // something of it is written
};

// As skopeo: no repository, and null for no tags.
int list_archive(Context& context, const std::string& rest) {
  const std::vector<std::string> tags =
      docker_archive_tags(DockerArchiveReference::parse(rest), context.stop());
  const Json list = tags.empty() ? Json() : Json(Json::Array(tags.begin(), tags.end()));
  write_stdout(Json::object({{"Tags", list}}).dump(kGoIndented) + "\n");
  return EXIT_SUCCESS;
}

// Writes the tags that one place has under the name of `repository`. What is returned broke off
// when a part was written already, so that no other place can be asked for the rest.
std::optional<Error> write_tags(registry::PullPlaces::Place& place, const std::string& repository,
                                const std::stop_token& stop) {
  TagDocument document(repository);
  try {
    place.repository().list_tags([&](const auto& tags) { document.add(tags); }, stop,
                                 place.is_last());
  } catch (const Error& error) {
    if (!document.has_begun()) throw;
    return error;
  }
  document.end();
  return std::nullopt;
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
  registry::PullPlaces places(context.transports().hosts, repository,
                              registry_access(arguments, ""));
  try {
    const std::optional<Error> broken_off = places.read([&](registry::PullPlaces::Place& place) {
      return write_tags(place, repository.name(), context.stop());
    });
    if (broken_off) throw Error(*broken_off);
  } catch (Error& error) {
    // Exit code 2 is said of images alone (cli-surface.md A.7).
    if (error.kind() == ErrorKind::not_found) error.set_kind(ErrorKind::denied);
    throw;
  }
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
