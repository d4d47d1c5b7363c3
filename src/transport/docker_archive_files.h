// The members of a docker-archive that are written, as containers/image makes them
// (docker/internal/tarfile/writer.go), so that the same images are the same bytes. Pure.
#ifndef TUG_TRANSPORT_DOCKER_ARCHIVE_FILES_H_
#define TUG_TRANSPORT_DOCKER_ARCHIVE_FILES_H_

#include <tug/digest.h>
#include <tug/reference.h>

#include <string>
#include <string_view>
#include <vector>

namespace tug {

std::string docker_archive_layer(const Digest& diff_id);
std::string docker_archive_config(const Digest& digest);

// An image that is in the archive.
struct DockerArchiveImage {
  Digest config;
  std::vector<Digest> diff_ids;
  std::vector<RegistryReference> names;  // with tags
  std::string legacy_id;                 // of its last layer; "" without layers
};

// manifest.json, and `repositories`, which Docker before 1.10 reads.
std::string docker_archive_manifest(const std::vector<DockerArchiveImage>& images);
std::string docker_archive_repositories(const std::vector<DockerArchiveImage>& images);

// What Docker before 1.10 reads: a directory for each layer.
struct LegacyLayer {
  std::string id;
  std::string json;
};
// `config` is valid JSON.
std::vector<LegacyLayer> legacy_layers(const std::vector<Digest>& diff_ids,
                                       std::string_view config);

}  // namespace tug

#endif  // TUG_TRANSPORT_DOCKER_ARCHIVE_FILES_H_
