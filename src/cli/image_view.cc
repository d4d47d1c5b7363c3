#include "cli/image_view.h"

#include "cli/go_value.h"
#include "copy/plan.h"
#include "stream/file_source.h"

#include <tug/error.h>

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

namespace tug::cli {
namespace {

constexpr std::size_t kMaxConfigBytes = 4 * 1024 * 1024;

// A copy of the named members, in this order, those that are there.
Json::Object members(const Json& from, std::initializer_list<const char*> names) {
  Json::Object result;
  for (const char* name : names) {
    if (const Json* value = from.find(name); value != nullptr && !value->is_null())
      result.emplace_back(name, *value);
  }
  return result;
}

// "Not found" is said of images: a registry that has the manifest and not its config is broken.
std::unique_ptr<ByteSource> open_config(ImageSource& source, const Descriptor& config) {
  try {
    return source.blob(config).open(0);
  } catch (Error& error) {
    if (error.kind() == ErrorKind::not_found) error.set_kind(ErrorKind::integrity);
    throw;
  }
}

}  // namespace

ImageView view_image(ImageSource& source, const Platform& platform, const std::stop_token& stop) {
  RawManifest top = source.manifest(stop);
  return {top, Digest::of(top.bytes),
          choose_instance(source, parse_manifest_or_index(top.bytes, top.media_type), platform,
                          "see the index with --raw", stop)};
}

std::string read_config(ImageSource& source, const Manifest& manifest) {
  const Descriptor& config = manifest.config();
  if (config.size > kMaxConfigBytes)
    throw Error(ErrorKind::limit,
                fmt::format("the config {} has {} bytes", config.digest.str(), config.size));
  auto bytes = read_small(*open_config(source, config), config.size);
  if (!bytes || Digest::of(config.digest.algorithm(), *bytes) != config.digest) {
    throw Error(
        ErrorKind::integrity,
        fmt::format("the config's content does not match its digest {}", config.digest.str()));
  }
  return std::move(*bytes);
}

void refuse_format(const Arguments& arguments) {
  if (!arguments.has("format")) return;
  throw Error(ErrorKind::usage, "--format is not supported by this version of tug")
      .set_hint("the JSON has the fields that templates name");
}

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

}  // namespace tug::cli
