// The docker-archive: transport: what `docker save` writes and `docker load` reads, a tar with
// manifest.json, the configs and the layers of one or more images.
//
// Source: such an archive has no manifest; what is read is the Docker schema 2 manifest that
// containers/image makes of it, byte for byte: the config as it is, layers by their diff IDs, which
// they are compared with. Destination: a new archive, of one image or of those of a bulk copy.
#ifndef TUG_TRANSPORT_DOCKER_ARCHIVE_H_
#define TUG_TRANSPORT_DOCKER_ARCHIVE_H_

#include "base/fd.h"
#include "transport/image_archive.h"

#include <tug/reference.h>
#include <tug/transport.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace tug {

struct ListedImages;  // open.h
class SharedArchive;  // new_archive.h

// What stands after "docker-archive:": PATH, PATH:NAME[:TAG] or PATH:@INDEX. The path ends at the
// first colon, as in containers/image.
struct DockerArchiveReference {
  std::string path;
  std::optional<RegistryReference> image;  // with a tag
  std::optional<std::size_t> index;        // position in manifest.json, from 0

  // Throws Error(usage): no path, a name that is none or has a digest, @ without a number.
  static DockerArchiveReference parse(std::string_view rest);
  [[nodiscard]] std::string str() const;  // "docker-archive:PATH:REF"
  friend bool operator==(const DockerArchiveReference&, const DockerArchiveReference&) = default;
};

// An item of manifest.json.
struct DockerArchiveItem {
  std::string config;  // names of members
  std::vector<std::string> tags;
  std::vector<std::string> layers;
};
// Throws Error(integrity).
std::vector<DockerArchiveItem> parse_docker_archive_manifest(std::string_view text);

// Throws Error(not_found) for a name or position that is not there and for an archive of no image,
// Error(usage) when a name is needed; both list what there is. Error(integrity) for an archive that
// contradicts itself, and what ImageArchive::open throws.
std::unique_ptr<ImageSource> open_docker_archive(const DockerArchiveReference& reference,
                                                 const std::string& temporary_directory,
                                                 const std::stop_token& stop);

// The only image of an archive that is open; `description` is what describe() says.
std::unique_ptr<ImageSource> open_docker_archive(ImageArchive archive, std::string description,
                                                 const std::stop_token& stop);

// `additional`: names that the image has as well. Nothing is written before the first put, and the
// archive appears when all of it is there; a pipe or device is written as it comes. Throws
// Error(usage) for a position, Error(local) for a file that is there already (as containers/image,
// nothing is added to it) or cannot be written.
std::unique_ptr<ImageDestination> open_docker_archive_destination(
    const DockerArchiveReference& reference, const std::vector<RegistryReference>& additional,
    const std::string& temporary_directory);

// Throws Error(usage) for a position.
void check_destination(const DockerArchiveReference& reference);

// A new archive for several images. An image that is in with its config already gets a further name.
std::shared_ptr<SharedArchive> open_shared_docker_archive(const std::string& path,
                                                          const std::string& temporary_directory);

// The same for one image into an open stream, which is written as it comes; `description` as above.
std::unique_ptr<ImageDestination> open_docker_archive_stream(
    UniqueFd stream, std::string description, const RegistryReference& image,
    const std::string& temporary_directory);

// The name:tag that --additional-tag gives. Throws Error(usage) for one without a tag.
RegistryReference parse_additional_tag(std::string_view text);

// By their names: an image may have several.
ListedImages list_docker_archive(const DockerArchiveReference& archive,
                                 const std::stop_token& stop);
// What list-tags prints: all names in order, "@INDEX" for an image that has none.
std::vector<std::string> docker_archive_tags(const DockerArchiveReference& archive,
                                             const std::stop_token& stop);

}  // namespace tug

#endif  // TUG_TRANSPORT_DOCKER_ARCHIVE_H_
