// dir: and oci: directories as anybody may have written them: an image or refused, and nothing is
// read outside. The input is the files, each NAME, a newline, and its content up to a NUL; what
// begins with "->" is a link.
#include "base/strings.h"
#include "support/read_all.h"
#include "support/temp_dir.h"
#include "transport/dir.h"
#include "transport/oci_layout.h"

#include <tug/error.h>

#include <algorithm>
#include <cstdlib>
#include <functional>

namespace {
namespace fs = std::filesystem;
constexpr std::string_view kSecret = "never to be read";

void require_inside(const std::string& bytes) {
  if (bytes.find(kSecret) != std::string::npos) std::abort();
}

// Everything that a copy would read.
void read_image(tug::ImageSource& source, const tug::RawManifest& raw, int depth) {
  require_inside(raw.bytes);
  const auto parsed = tug::parse_manifest_or_index(raw.bytes, raw.media_type);
  if (const auto* index = std::get_if<tug::Index>(&parsed)) {
    for (const auto& child : index->manifests())
      if (depth < 3) read_image(source, source.manifest(child, {}), depth + 1);
    return;
  }
  const auto& manifest = std::get<tug::Manifest>(parsed);
  std::vector<tug::Blob> blobs = source.layers(manifest);
  blobs.push_back(source.blob(manifest.config()));
  for (const tug::Blob& blob : blobs) {
    const std::string bytes = tug::test::read_all(blob.open(0));
    if (bytes.size() != blob.descriptor.size) std::abort();
    require_inside(bytes);
  }
  (void)source.referrers(manifest.digest(), {});
}

// Links last, and none beneath a link, so that the target itself writes nothing outside.
void write_files(const tug::test::TempDir& dir, std::string_view input) {
  for (const bool links : {false, true}) {
    for (const std::string_view file : tug::split(input, '\0')) {
      const std::string name = "image/" + std::string(file.substr(0, file.find('\n')));
      const std::string_view content = file.substr(std::min(name.size() - 5, file.size()));
      if (content.starts_with("->") != links || ("/" + name + "/").find("/../") != name.npos)
        continue;
      try {
        const fs::path path = fs::path(dir.path()) / name;
        if (!links)
          (void)dir.write(name, content);
        else if (fs::canonical(path.parent_path()) == path.parent_path())
          fs::create_symlink(content.substr(2), path);
      } catch (const std::exception&) {  // no name of a file, or there is one
      }
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const tug::test::TempDir dir(fs::exists("/dev/shm") ? "/dev/shm"
                                                             : fs::temp_directory_path());
  static const std::string path = dir.path() + "/image";
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  if (input.find(kSecret) != input.npos) return 0;  // a fuzzer sees what it is compared with
  static const std::string secret = dir.write("secret", kSecret);
  (void)dir.at("image/x");
  write_files(dir, input);
  const std::function<void()> uses[] = {
      [&] {
        const auto source = tug::open_dir(path, [](std::string_view) {});
        read_image(*source, source->manifest({}), 0);
      },
      [&] {
        const auto destination = tug::open_dir_destination(path);
        if (const auto manifest = destination->existing_manifest({}))
          require_inside(manifest->bytes);
      },
      [&] {
        const auto source = tug::open_oci_layout(tug::OciReference::parse(path), std::nullopt);
        read_image(*source, source->manifest({}), 0);
      }};
  for (const auto& use : uses) {
    try {
      use();
    } catch (const tug::Error&) {
    }
  }
  fs::remove_all(path);
  return 0;
}
