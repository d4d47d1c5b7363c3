// tug inspect IMAGE
#include "cli/inspect_verb.h"

#include "base/strings.h"
#include "cli/context.h"
#include "cli/output.h"
#include "oci/json.h"
#include "registry/repository.h"

#include <tug/error.h>
#include <tug/manifest.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <future>
#include <utility>

namespace tug::cli {
namespace {

constexpr std::size_t kMaxConfigBytes = 4 * 1024 * 1024;
constexpr Json::DumpStyle kGoIndented{4, ' ', true};

// The image that the reference (through an index, if it names one) has for the platform.
struct Inspected {
  RawManifest top;
  Digest top_digest;
  Manifest manifest;
};

Inspected find_image(ImageSource& source, const Platform& platform, const std::stop_token& stop) {
  RawManifest raw = source.manifest(stop);
  Digest digest = Digest::of(raw.bytes);
  RawManifest top = raw;
  ManifestOrIndex document = parse_manifest_or_index(std::move(raw.bytes), raw.media_type);
  for (int depth = 0; std::holds_alternative<Index>(document); ++depth) {
    const Descriptor* chosen = depth > 8 ? nullptr : std::get<Index>(document).choose(platform);
    if (chosen == nullptr) {
      throw Error(ErrorKind::not_found,
                  fmt::format("no image for {} in the index {}", platform.str(), digest.str()))
          .set_hint(
              "choose one with --override-os, --override-arch, --override-variant, or see the "
              "index with --raw");
    }
    const Descriptor child = *chosen;
    RawManifest child_raw = source.manifest(child, stop);
    document = parse_manifest_or_index(std::move(child_raw.bytes), child.media_type);
  }
  return {std::move(top), std::move(digest), std::get<Manifest>(std::move(document))};
}

std::string read_config(ImageSource& source, const Manifest& manifest) {
  const Descriptor& config = manifest.config();
  if (config.size > kMaxConfigBytes)
    throw Error(ErrorKind::limit,
                fmt::format("the config {} has {} bytes", config.digest.str(), config.size));
  const auto opened = source.blob(config).open(0);
  std::string bytes;
  std::array<std::byte, 16 * 1024> buffer{};
  while (const std::size_t size = opened->read(buffer)) {
    bytes.append(reinterpret_cast<const char*>(buffer.data()), size);
    if (bytes.size() > config.size) break;
  }
  if (Digest::of(config.digest.algorithm(), bytes) != config.digest) {
    throw Error(
        ErrorKind::integrity,
        fmt::format("the config's content does not match its digest {}", config.digest.str()));
  }
  return bytes;
}

// A copy of the named members, in this order, those that are there.
Json::Object members(const Json& from, std::initializer_list<const char*> names) {
  Json::Object result;
  for (const char* name : names) {
    if (const Json* value = from.find(name); value != nullptr && !value->is_null())
      result.emplace_back(name, *value);
  }
  return result;
}

// Objects that are maps in Go (labels, ports, volumes), the way its encoder writes them: by key.
Json sorted(Json value) {
  if (Json::Object* object = value.as_object()) {
    std::sort(object->begin(), object->end(),
              [](const Json::Member& a, const Json::Member& b) { return a.first < b.first; });
  }
  return value;
}

// The OCI view of an image configuration: the members that the OCI specification has, in its order
// (config.md).
Json oci_config(const Json& config) {
  Json::Object result = members(
      config, {"created", "author", "architecture", "variant", "os", "os.version", "os.features"});
  const Json* runtime = config.find("config");
  Json::Object settings = members(runtime == nullptr ? Json::object() : *runtime,
                                  {"User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes",
                                   "WorkingDir", "Labels", "StopSignal"});
  for (Json::Member& member : settings) member.second = sorted(std::move(member.second));
  result.emplace_back("config", std::move(settings));
  const Json* rootfs = config.find("rootfs");
  result.emplace_back("rootfs",
                      members(rootfs == nullptr ? Json::object() : *rootfs, {"type", "diff_ids"}));
  if (const Json* history = config.find("history");
      history != nullptr && history->as_array() != nullptr) {
    Json::Array entries;
    for (const Json& entry : *history->as_array())
      entries.emplace_back(
          members(entry, {"created", "created_by", "author", "comment", "empty_layer"}));
    result.emplace_back("history", std::move(entries));
  }
  return result;
}

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

Json inspect_json(const std::optional<RegistryReference>& repository, const Inspected& image,
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

// The tags, asked for while the manifest is on its way (user-asks 41). A registry that does not
// tell them is no reason to fail.
TagList list_tags(Context& context, const RegistryReference& repository,
                  const RegistryAccess& access) {
  try {
    registry::Host& host = context.transports().hosts.get(repository, access);
    return {registry::Repository(host, repository, false).list_tags(context.stop()), ""};
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::interrupted) throw;
    return {{}, fmt::format("the tags are not listed: {}", error.what())};
  }
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
  const auto repository = source->repository();
  std::future<TagList> tags;
  if (repository && !config_only && !arguments.flag("no-tags")) {
    tags = std::async(std::launch::async,
                      [&] { return list_tags(context, *repository, options.access); });
  }
  const Inspected image = find_image(*source, context.platform(), context.stop());
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
  const TagList listed = tags.valid() ? tags.get() : TagList{};
  if (!listed.warning.empty()) log_line(Level::warning, listed.warning);
  const Json result =
      config_only ? oci_config(config) : inspect_json(repository, image, config, listed.tags);
  write_stdout(result.dump(kGoIndented) + "\n");
  return EXIT_SUCCESS;
}

int run(Context& context, const Arguments& arguments) {
  const std::string& text = arguments.positional()[0];
  if (arguments.has("format"))
    throw Error(ErrorKind::usage, "--format is not supported by this version of tug")
        .set_hint("the JSON has the fields that templates name");
  const ImageReference reference = ImageReference::parse(text);
  return with_context("inspecting " + reference.str(),
                      [&] { return inspect(context, arguments, reference); });
}

}  // namespace

Verb inspect_verb() {
  using Kind = Option::Kind;
  std::vector<Option> registry = registry_options("");
  return {"inspect",
          "IMAGE",
          "Show what is known of an image: digest, tags, layers, configuration",
          "IMAGE is docker://…, oci:… or containers-storage:…. Prints JSON.",
          {{"What to show",
            {{"raw", '\0', Kind::flag, "",
              "The manifest's bytes as they are stored; with --config the config's"},
             {"config", '\0', Kind::flag, "", "The image's configuration as OCI has it"},
             {"no-tags", 'n', Kind::flag, "", "Do not list the repository's tags"},
             {"format", 'f', Kind::value, "TEMPLATE", "", true}}},
           {"Registry access", std::move(registry)},
           {"Retrying",
            {{"retry-times", '\0', Kind::value, "N",
              "Tries of each operation beyond the first; default 3"},
             {"retry-delay", '\0', Kind::value, "D",
              "Fixed delay between tries; default exponential with jitter"}}}},
          1,
          run};
}

}  // namespace tug::cli
