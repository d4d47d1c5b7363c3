#include "transport/oci_layout.h"

#include "base/fd.h"
#include "base/strings.h"
#include "oci/json.h"
#include "stream/file_source.h"
#include "transport/open.h"

#include <tug/error.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

namespace tug {
namespace {

constexpr std::string_view kRefName = "org.opencontainers.image.ref.name";
constexpr std::string_view kLayoutVersion = "1.0.0";
constexpr std::size_t kMaxLayoutFileBytes = 64 * 1024;
// How many entries an error message lists before it only counts them.
constexpr std::size_t kMaxListed = 10;

const std::string* ref_name(const Descriptor& descriptor) {
  const auto found = descriptor.annotations.find(std::string(kRefName));
  return found == descriptor.annotations.end() ? nullptr : &found->second;
}

// How a user selects this entry: by its name, else by its position.
std::string selector(const Descriptor& descriptor, std::size_t position) {
  if (const std::string* name = ref_name(descriptor); name != nullptr && !name->empty()) {
    return printable(*name, 200);
  }
  return "@" + std::to_string(position);
}

std::string list_images(const Index& index) {
  const std::vector<Descriptor>& entries = index.manifests();
  std::vector<std::string> listed;
  for (std::size_t i = 0; i < entries.size() && i < kMaxListed; ++i) {
    listed.push_back(selector(entries[i], i));
  }
  std::string text = join(listed, ", ");
  if (entries.size() > kMaxListed) {
    text += " and " + std::to_string(entries.size() - kMaxListed) + " more";
  }
  return text;
}

Error no_such_image(const Index& index, const OciReference& reference) {
  Error error(ErrorKind::not_found, reference.str() + ": no such image; " + reference.path +
                                        "/index.json lists " + list_images(index));
  std::vector<std::string> names;
  for (const Descriptor& entry : index.manifests()) {
    if (const std::string* name = ref_name(entry)) names.push_back(*name);
  }
  const std::string likely = nearest(reference.name, names);
  if (!likely.empty()) error.set_hint("did you mean \"" + printable(likely, 200) + "\"?");
  return error;
}

const Descriptor* find_by_name(const Index& index, const std::string& name) {
  for (const Descriptor& entry : index.manifests()) {
    const std::string* entry_name = ref_name(entry);
    if (entry_name != nullptr && *entry_name == name) return &entry;
  }
  return nullptr;
}

// A regular file beneath the layout; links are followed as long as they stay in it.
struct OpenedFile {
  UniqueFd fd;
  std::string name;
  std::uint64_t size = 0;
};

// Why a file of the layout could not be opened, in the user's words.
Error open_error(int directory, const std::string& relative, const std::string& name,
                 int error_number) {
  std::array<char, 256> target{};
  const ssize_t length = ::readlinkat(directory, relative.c_str(), target.data(), target.size());
  if (length > 0) {
    const std::string_view text(target.data(), static_cast<std::size_t>(length));
    return Error(ErrorKind::local, name + " is a symbolic link to " + printable(text, 200) +
                                       ", which leads nowhere inside the layout");
  }
  return Error(ErrorKind::local, "cannot open " + name + ": " + errno_text(error_number));
}

OpenedFile open_file(int directory, const std::string& root, const std::string& relative) {
  OpenedFile file{open_beneath(directory, relative, /*follow_last=*/true), root + "/" + relative,
                  0};
  const int error_number = errno;
  if (!file.fd) throw open_error(directory, relative, file.name, error_number);
  struct stat status {};
  if (::fstat(file.fd.get(), &status) != 0) {
    throw Error(ErrorKind::local, "cannot examine " + file.name + ": " + errno_text(errno));
  }
  if (!S_ISREG(status.st_mode)) throw Error(ErrorKind::local, file.name + " is not a regular file");
  file.size = static_cast<std::uint64_t>(status.st_size);
  return file;
}

std::string read_small_file(int directory, const std::string& root, const std::string& relative,
                            std::size_t max_bytes) {
  const OpenedFile file = open_file(directory, root, relative);
  return read_fd(file.fd.get(), file.name, max_bytes);
}

UniqueFd open_layout_directory(const std::string& path) {
  try {
    return open_directory(path);
  } catch (Error& error) {
    struct stat status {};
    if (::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode)) {
      error.set_hint("a layout in a tar file is oci-archive:" + path);
    }
    throw;
  }
}

// Where blobs are: `prefix`alg/hex beneath `directory`, which the user knows as `root`.
struct BlobStore {
  UniqueFd directory;
  std::string root;
  std::string prefix;

  [[nodiscard]] OpenedFile open(const Descriptor& descriptor) const {
    const Digest& digest = descriptor.digest;
    const std::string relative =
        prefix + std::string(digest.algorithm_name()) + "/" + std::string(digest.hex());
    OpenedFile file = open_file(directory.get(), root, relative);
    if (file.size != descriptor.size) {
      throw Error(ErrorKind::integrity, file.name + " has " + std::to_string(file.size) +
                                            " bytes, but its descriptor says " +
                                            std::to_string(descriptor.size));
    }
    return file;
  }
};

class OciLayoutSource final : public ImageSource {
 public:
  OciLayoutSource(OciReference reference, Descriptor image, BlobStore blobs)
      : reference_(std::move(reference)), image_(std::move(image)), blobs_(std::move(blobs)) {}

  [[nodiscard]] std::string describe() const override { return reference_.str(); }
  [[nodiscard]] RawManifest manifest(std::stop_token stop) override {
    return manifest(image_, stop);
  }

  [[nodiscard]] RawManifest manifest(const Descriptor& descriptor, std::stop_token) override {
    if (descriptor.size > kMaxManifestBytes) {
      throw Error(ErrorKind::limit, "manifest " + descriptor.digest.str() + " in " +
                                        reference_.path + " is " + human_bytes(descriptor.size) +
                                        " long; the limit is " + human_bytes(kMaxManifestBytes));
    }
    const OpenedFile file = blobs_.open(descriptor);
    std::string bytes = read_fd(file.fd.get(), file.name, kMaxManifestBytes);
    const Digest actual = Digest::of(descriptor.digest.algorithm(), bytes);
    if (actual != descriptor.digest) {
      throw Error(ErrorKind::integrity,
                  file.name + " is damaged: its content has the digest " + actual.str());
    }
    return {std::move(bytes), descriptor.media_type};
  }

  [[nodiscard]] std::vector<Blob> layers(const Manifest& manifest) override {
    std::vector<Blob> layers;
    layers.reserve(manifest.layers().size());
    for (const Descriptor& layer : manifest.layers()) layers.push_back(blob(layer));
    return layers;
  }

  // Nothing is opened yet: a blob that the destination has already need not be here at all.
  [[nodiscard]] Blob blob(const Descriptor& descriptor) override {
    auto open = [this, descriptor](std::uint64_t offset) {
      OpenedFile file = blobs_.open(descriptor);
      return file_source(std::move(file.fd), std::move(file.name), descriptor.size, offset);
    };
    return {descriptor, Blob::Form::exact, std::nullopt, descriptor.size, false, std::move(open)};
  }

 private:
  const OciReference reference_;
  const Descriptor image_;
  const BlobStore blobs_;
};

void check_layout_version(int directory, const std::string& path) {
  const std::string name = path + "/oci-layout";
  struct stat status {};
  if (::fstatat(directory, "oci-layout", &status, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT) {
    throw Error(ErrorKind::local, path + " is no OCI layout: there is no file " + name);
  }
  const std::string text = read_small_file(directory, path, "oci-layout", kMaxLayoutFileBytes);
  const Json layout = with_context(name, [&] { return Json::parse(text); });
  const std::optional<std::string> version = layout.string_member("imageLayoutVersion");
  if (!version) throw Error(ErrorKind::integrity, name + " has no imageLayoutVersion");
  if (*version != kLayoutVersion) {
    throw Error(ErrorKind::integrity, name + " says version \"" + printable(*version, 100) +
                                          "\" of the layout; only " + std::string(kLayoutVersion) +
                                          " is known");
  }
}

Index read_index(int directory, const std::string& path) {
  std::string text = read_small_file(directory, path, "index.json", kMaxManifestBytes);
  return with_context(path + "/index.json", [&] {
    if (trim(text).empty()) throw Error(ErrorKind::integrity, "the file is empty");
    return Index::parse(std::move(text));
  });
}

BlobStore open_blob_store(UniqueFd directory, const std::string& path,
                          const std::optional<std::string>& shared_blob_dir) {
  if (shared_blob_dir) return {open_directory(*shared_blob_dir), *shared_blob_dir, ""};
  // Beneath the layout, not beneath its "blobs", which may be a link inside the layout but not one
  // out of it.
  return {std::move(directory), path, "blobs/"};
}

}  // namespace

OciReference OciReference::parse(std::string_view rest) {
  const std::size_t colon = rest.find(':');
  OciReference reference;
  reference.path = rest.substr(0, colon);
  if (reference.path.empty())
    throw Error(ErrorKind::usage, "oci: needs the path of a layout (oci:PATH[:REF])");
  if (colon == std::string_view::npos) return reference;
  const std::string_view name = rest.substr(colon + 1);
  if (!name.starts_with('@')) {
    reference.name = name;
    return reference;
  }
  const std::optional<std::uint64_t> position = parse_uint(name.substr(1));
  if (!position) {
    throw Error(ErrorKind::usage,
                "oci:" + printable(rest, 300) +
                    ": after @ stands the image's position in index.json, a number");
  }
  reference.index = *position;
  return reference;
}

std::string OciReference::str() const {
  std::string text = "oci:" + path;
  if (index) return text + ":@" + std::to_string(*index);
  return name.empty() ? text : text + ":" + name;
}

const Descriptor& select_image(const Index& index, const OciReference& reference) {
  const std::vector<Descriptor>& entries = index.manifests();
  if (entries.empty()) {
    throw Error(ErrorKind::not_found,
                reference.str() + ": the layout holds no image (index.json lists none)");
  }
  if (reference.index) {
    if (*reference.index >= entries.size()) throw no_such_image(index, reference);
    return entries[*reference.index];
  }
  if (!reference.name.empty()) {
    const Descriptor* found = find_by_name(index, reference.name);
    if (found == nullptr) throw no_such_image(index, reference);
    return *found;
  }
  if (entries.size() > 1) {
    throw Error(ErrorKind::usage, reference.str() + " holds " + std::to_string(entries.size()) +
                                      " images, name one of them: " + list_images(index))
        .set_hint("oci:PATH:NAME or oci:PATH:@POSITION");
  }
  return entries.front();
}

std::unique_ptr<ImageSource> open_oci_layout(const OciReference& reference,
                                             const std::optional<std::string>& shared_blob_dir) {
  UniqueFd directory = open_layout_directory(reference.path);
  check_layout_version(directory.get(), reference.path);
  const Index index = read_index(directory.get(), reference.path);
  const Descriptor& image = select_image(index, reference);
  return std::make_unique<OciLayoutSource>(
      reference, image, open_blob_store(std::move(directory), reference.path, shared_blob_dir));
}

ListedImages list_oci_layout(const OciReference& layout) {
  if (layout.index || (!layout.name.empty() && layout.name != "*")) {
    throw Error(ErrorKind::usage, layout.str() + " names an image, where all are asked for")
        .set_hint("oci:" + layout.path);
  }
  const UniqueFd directory = open_layout_directory(layout.path);
  check_layout_version(directory.get(), layout.path);
  const Index index = read_index(directory.get(), layout.path);
  ListedImages listed;
  std::map<std::string, Digest> seen;
  for (std::size_t i = 0; i < index.manifests().size(); ++i) {
    const Descriptor& entry = index.manifests()[i];
    const std::string* name = ref_name(entry);
    if (name == nullptr || name->empty()) {
      ++listed.unnamed;
      continue;
    }
    const auto [other, is_new] = seen.emplace(*name, entry.digest);
    if (!is_new && other->second != entry.digest) {
      throw Error(
          ErrorKind::usage,
          layout.path + "/index.json lists several images under the name " + printable(*name, 200));
    }
    if (!is_new) continue;
    // A name that looks like a position is reached by its own.
    const std::string selected = name->front() == '@' ? "@" + std::to_string(i) : *name;
    listed.images.push_back({*name, {Transport::oci, layout.path + ":" + selected}});
  }
  return listed;
}

}  // namespace tug
