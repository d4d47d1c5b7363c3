#include "transport/dir.h"

#include "base/strings.h"

#include <tug/error.h>
#include <tug/manifest.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace tug {
namespace {

constexpr std::size_t kMaxVersionBytes = 4096;

bool is_hex(std::string_view text) noexcept {
  return (text.size() == 64 || text.size() == 128) &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool is_signature(std::string_view name) noexcept {
  constexpr std::string_view kPrefix = "signature-";
  return name.starts_with(kPrefix) && parse_uint(name.substr(kPrefix.size())).has_value();
}

class DirSource final : public ImageSource {
 public:
  explicit DirSource(ImageDirectory directory) : directory_(std::move(directory)) {}

  [[nodiscard]] std::string describe() const override { return "dir:" + directory_.path(); }
  // Nothing says of what type it is but itself.
  [[nodiscard]] RawManifest manifest(std::stop_token) override {
    return {directory_.read(std::string(dir_files::kManifest), kMaxManifestBytes), ""};
  }
  [[nodiscard]] RawManifest manifest(const Descriptor& descriptor, std::stop_token) override {
    return {directory_.read_manifest(dir_files::manifest(descriptor.digest), descriptor),
            descriptor.media_type};
  }
  [[nodiscard]] std::vector<Blob> layers(const Manifest& manifest) override {
    std::vector<Blob> layers;
    for (const Descriptor& layer : manifest.layers()) layers.push_back(blob(layer));
    return layers;
  }
  [[nodiscard]] Blob blob(const Descriptor& descriptor) override {
    return directory_.blob(dir_files::blob(descriptor.digest), descriptor);
  }

 private:
  const ImageDirectory directory_;
};

// containers/image does not ask for the file, but one that says something else is not for us.
void check_version(const ImageDirectory& directory) {
  if (!directory.has(std::string(dir_files::kVersion))) return;
  const std::string text = dir_files::version(directory);
  if (text == dir_files::kVersionText || text == "Directory Transport Version: 1.0\n") return;
  throw Error(ErrorKind::integrity, directory.path_of(std::string(dir_files::kVersion)) +
                                        " says \"" + printable(trim(text), 100) +
                                        "\"; only version 1.1 of a dir: image is known, and 1.0");
}

}  // namespace

namespace dir_files {

std::string blob(const Digest& digest) { return std::string(digest.hex()); }
std::string manifest(const Digest& digest) { return blob(digest) + "." + std::string(kManifest); }

bool is_content(std::string_view name) noexcept {
  if (is_hex(name) || is_signature(name)) return true;
  const std::size_t dot = name.find('.');
  if (dot == std::string_view::npos || !is_hex(name.substr(0, dot))) return false;
  const std::string_view rest = name.substr(dot + 1);
  return rest == kManifest || is_signature(rest);
}

void require_path(const std::string& path) {
  if (path.empty()) throw Error(ErrorKind::usage, "dir: needs the path of a directory (dir:PATH)");
}

std::string version(const ImageDirectory& directory) {
  return directory.read(std::string(kVersion), kMaxVersionBytes);
}

}  // namespace dir_files

std::unique_ptr<ImageSource> open_dir(const std::string& path,
                                      const std::function<void(std::string_view)>& note) {
  dir_files::require_path(path);
  ImageDirectory directory(path);
  check_version(directory);
  if (!directory.has(std::string(dir_files::kManifest))) {
    throw Error(ErrorKind::local, path + " is no dir: image: there is no file " +
                                      directory.path_of(std::string(dir_files::kManifest)));
  }
  if (note && directory.has("signature-1"))
    note("tug copies no signatures: those in " + path +
         " stay behind (--remove-signatures: they may)");
  return std::make_unique<DirSource>(std::move(directory));
}

}  // namespace tug
