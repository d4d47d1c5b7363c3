// tug inspect IMAGE
#include "cli/inspect_verb.h"

#include "base/strings.h"
#include "cli/context.h"
#include "cli/go_template.h"
#include "cli/image_view.h"
#include "cli/inspect_types.h"
#include "cli/output.h"
#include "oci/json.h"
#include "registry/pull_places.h"
#include "transport/containers_storage.h"
#include "transport/docker_archive.h"
#include "transport/docker_daemon.h"

#include <tug/error.h>
#include <tug/manifest.h>

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <future>
#include <optional>
#include <utility>

namespace tug::cli {
namespace {

// As Go writes a time: no zeros at the end of the fraction, UTC as Z.
Json go_time(const Json* value) {
  if (value == nullptr || value->as_string() == nullptr) return nullptr;
  std::string text = *value->as_string();
  if (text.ends_with("+00:00")) text = text.substr(0, text.size() - 6) + "Z";
  const auto dot = text.find('.');
  if (dot == std::string::npos) return text;
  const auto end = text.find_first_not_of("0123456789", dot + 1);
  const auto last = text.find_last_not_of('0', (end == std::string::npos ? text.size() : end) - 1);
  return text.substr(0, last == dot ? dot : last + 1) +
         (end == std::string::npos ? "" : text.substr(end));
}

Json or_null(const Json* value) { return value == nullptr ? Json() : *value; }

Json layer_data(const Descriptor& layer) {
  Json annotations;
  if (!layer.annotations.empty()) {
    annotations = Json::object();
    for (const auto& [key, value] : layer.annotations) annotations.set(key, value);
  }
  return Json::object({{"MIMEType", layer.media_type},
                       {"Digest", layer.digest.str()},
                       {"Size", layer.size},
                       {"Annotations", std::move(annotations)}});
}

Json inspect_json(const std::optional<RegistryReference>& repository, const ImageView& image,
                  const Json& config, const std::vector<std::string>& tags) {
  Json result = Json::object();
  if (repository) {
    result.set("Name", repository->name());
    if (repository->tag()) result.set("Tag", *repository->tag());
  }
  result.set("Digest", image.top_digest.str());
  result.set("RepoTags", Json::Array(tags.begin(), tags.end()));
  const Json* runtime = config.find("config");
  result.set("Created", go_time(config.find("created")));
  result.set("DockerVersion", config.string_or_empty("docker_version"));
  result.set("Labels", sorted(or_null(runtime == nullptr ? nullptr : runtime->find("Labels"))));
  result.set("Architecture", config.string_or_empty("architecture"));
  result.set("Os", config.string_or_empty("os"));
  Json::Array layers;
  Json::Array data;
  for (const Descriptor& layer : image.manifest.layers()) {
    layers.emplace_back(layer.digest.str());
    data.push_back(layer_data(layer));
  }
  result.set("Layers", layers.empty() ? Json() : Json(std::move(layers)));
  result.set("LayersData", data.empty() ? Json() : Json(std::move(data)));
  result.set("Env", or_null(runtime == nullptr ? nullptr : runtime->find("Env")));
  return result;
}

struct TagList {
  std::vector<std::string> tags;
  std::string warning;  // why there are none; said only when the image itself can be shown
};

// The tags, asked for while the manifest is on its way (user-asks 41). That somebody may not list
// them, or that the registry cannot, is no reason to fail (cli-surface.md A.4).
TagList list_tags(Context& context, const RegistryReference& repository,
                  const RegistryAccess& access, const std::stop_token& stop) {
  try {
    registry::PullPlaces places(context.transports().hosts, repository, access);
    return places.read([&](registry::PullPlaces::Place& place) {
      return TagList{place.repository().list_tags(stop), ""};
    });
  } catch (const Error& error) {
    const bool is_harmless = error.kind() == ErrorKind::denied || error.kind() == ErrorKind::auth ||
                             error.kind() == ErrorKind::not_found;
    if (!is_harmless) throw;
    return {{}, fmt::format("the tags are not listed: {}", error.what())};
  }
}

// A list of tags that is under way. Whoever does not need it any more does not wait for it.
class TagListing {
 public:
  TagListing(Context& context, const RegistryReference& repository, const RegistryAccess& access)
      : pass_on_(context.stop(), [this] { stop_.request_stop(); }),
        tags_(std::async(std::launch::async, [this, &context, repository, access] {
          return list_tags(context, repository, access, stop_.get_token());
        })) {}
  TagListing(const TagListing&) = delete;
  TagListing& operator=(const TagListing&) = delete;
  ~TagListing() { stop_.request_stop(); }
  TagList get() { return tags_.get(); }

 private:
  std::stop_source stop_;
  std::stop_callback<std::function<void()>> pass_on_;
  std::future<TagList> tags_;
};

// As JSON, or what the template makes of it.
void show(const Arguments& arguments, const Json& json, const GoType& type) {
  const std::string format = arguments.value("format").value_or("");
  write_stdout(format.empty() || is_json_format(format) ? json.dump(kGoIndented) + "\n"
                                                        : format_value(format, {&json, &type}));
}

// The repository that the reference names, as the user wrote it: a registry's may be read from a
// mirror. nullopt: it is a path, or an ID.
std::optional<RegistryReference> docker_name(const ImageReference& reference) {
  std::optional<RegistryReference> name;
  if (reference.transport == Transport::docker) {
    name = RegistryReference::parse(reference.rest);
  } else if (reference.transport == Transport::docker_daemon) {
    name = DaemonReference::parse(reference.rest).image;
  } else if (reference.transport == Transport::docker_archive) {
    name = DockerArchiveReference::parse(reference.rest).image;
  } else if (reference.transport == Transport::containers_storage) {
    const StoredName stored =
        find_stored_name(StorageReference::parse(reference.rest), StorageEnvironment::current());
    if (!stored.name.repository.empty())
      name = RegistryReference::parse_repository(stored.name.repository);
  }
  return name ? std::optional(name->without_identifier()) : std::nullopt;
}

int inspect(Context& context, const Arguments& arguments, const ImageReference& reference) {
  const TransportOptions options = transport_options(arguments, "");
  const auto source = open_source(reference, options, context.transports(), context.stop());
  const bool raw = arguments.flag("raw");
  const bool config_only = arguments.flag("config");
  if (raw && !config_only) {
    write_stdout(source->manifest(context.stop()).bytes);
    return EXIT_SUCCESS;
  }
  const std::optional<RegistryReference> repository =
      config_only ? std::nullopt : docker_name(reference);
  std::optional<TagListing> tags;
  if (reference.transport == Transport::docker && !config_only && !arguments.flag("no-tags"))
    tags.emplace(context, *repository, options.access);
  const ImageView image = view_image(*source, context.platform(), context.stop());
  if (!image.manifest.is_image() && !raw) {
    throw Error(ErrorKind::usage,
                fmt::format("this is an artifact (config {}), not a container image",
                            printable(image.manifest.config().media_type, 100)))
        .set_hint("--raw shows its manifest");
  }
  const std::string config_bytes = read_config(*source, image.manifest);
  if (raw) {
    write_stdout(config_bytes);
    return EXIT_SUCCESS;
  }
  const Json config = with_context("config " + image.manifest.config().digest.str(),
                                   [&] { return Json::parse(config_bytes); });
  const TagList listed = tags ? tags->get() : TagList{};
  if (!listed.warning.empty()) log_line(Level::warning, listed.warning);
  if (config_only) {
    show(arguments, oci_config(config), config_type());
  } else {
    show(arguments, inspect_json(repository, image, config, listed.tags), inspect_type());
  }
  return EXIT_SUCCESS;
}

int run(Context& context, const Arguments& arguments) {
  const std::string& text = arguments.positional()[0];
  if (arguments.has("manifest-digest")) {
    throw Error(ErrorKind::usage, "--manifest-digest is not supported by this version of tug")
        .set_hint("the member Digest is the manifest's digest");
  }
  if (arguments.flag("raw") && arguments.has("format"))
    throw Error(ErrorKind::usage, "raw output does not support format option");
  const ImageReference reference = ImageReference::parse(text);
  return with_context("inspecting " + reference.str(),
                      [&] { return inspect(context, arguments, reference); });
}

}  // namespace

Verb inspect_verb() {
  using Kind = Option::Kind;
  std::vector<Option> registry = registry_options("");
  registry.push_back(daemon_option("daemon-host"));
  return {
      "inspect",
      "IMAGE",
      "Show what is known of an image: digest, tags, layers, configuration",
      "IMAGE is docker://…, oci:…, docker-archive:… or any other source of a copy. Prints JSON.",
      {{"What to show",
        {{"raw", '\0', Kind::flag, "",
          "The manifest's bytes as they are stored; with --config the config's"},
         {"config", '\0', Kind::flag, "", "The image's configuration as OCI has it"},
         {"no-tags", 'n', Kind::flag, "", "Do not list the repository's tags"},
         {"format", 'f', Kind::value, "TEMPLATE",
          "Print what a Go template makes of it, for example '{{.Digest}}'"},
         {"manifest-digest", '\0', Kind::value, "ALGORITHM", "", true}}},  // refused by name
       {"Registry access", std::move(registry)},
       {"Retrying", retry_options()}},
      1,
      run};
}

}  // namespace tug::cli
