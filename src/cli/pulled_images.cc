#include "cli/pulled_images.h"

#include "base/fd.h"
#include "base/user_state.h"
#include "oci/json.h"

#include <tug/digest.h>
#include <tug/manifest.h>

#include <fmt/format.h>

namespace tug::cli {
namespace {

constexpr Json::Limits kLimits{.max_bytes = 32 * 1024 * 1024, .max_depth = 4};

// "" when there is no home.
std::string path_of(const std::string& name) {
  const std::string directory = user_state_directory();
  if (directory.empty()) return {};
  return directory + fmt::format("/pulled/{}.json", Digest::of(name).hex());
}

}  // namespace

void remember_pulled(const std::string& name, const PulledImage& image) noexcept {
  try {
    const std::string path = path_of(name);
    if (path.empty()) return;
    make_directories(path.substr(0, path.rfind('/')), 0777);
    write_file_atomically(path,
                          Json::object({{"name", name},
                                        {"manifest", image.manifest},
                                        {"manifestType", image.manifest_type},
                                        {"config", image.config}})
                              .dump(),
                          0600);
  } catch (const std::exception&) {  // inspect asks the registry
  }
}

std::optional<PulledImage> recall_pulled(const std::string& name) noexcept {
  try {
    const std::string path = path_of(name);
    if (path.empty()) return std::nullopt;
    const auto text = read_file_if_exists(path, kLimits.max_bytes);
    if (!text) return std::nullopt;
    const Json json = Json::parse(*text, kLimits);
    if (json.string_or_empty("name") != name) return std::nullopt;
    PulledImage image{json.string_or_empty("manifest"), json.string_or_empty("manifestType"),
                      json.string_or_empty("config")};
    const Digest expected = Manifest::parse(image.manifest, image.manifest_type).config().digest;
    if (Digest::of(expected.algorithm(), image.config) != expected) return std::nullopt;
    return image;
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

}  // namespace tug::cli
