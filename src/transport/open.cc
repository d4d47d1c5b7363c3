#include "transport/open.h"

#include "base/temporary_file.h"
#include "transport/containers_storage.h"
#include "transport/dir.h"
#include "transport/docker.h"
#include "transport/docker_archive.h"
#include "transport/docker_daemon.h"
#include "transport/oci_layout.h"

#include <tug/error.h>

#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <system_error>

namespace tug {
namespace {

// Transports of skopeo that tug has no plans for: each needs a tool or a service of its own.
bool is_never_served(Transport transport) {
  switch (transport) {
    case Transport::sif:
    case Transport::ostree:
    case Transport::atomic:
    case Transport::tarball:
      return true;
    default:
      return false;
  }
}

[[noreturn]] void refuse(const ImageReference& reference, std::string_view role) {
  const std::string name(to_string(reference.transport));
  if (is_never_served(reference.transport)) {
    throw Error(ErrorKind::usage, "tug does not serve the transport " + name + ":");
  }
  throw Error(ErrorKind::usage, name + ": as the " + std::string(role) +
                                    " of a copy is not supported by this version of tug");
}

constexpr std::string_view kStorage = "containers-storage:";

std::string spool_directory(const TransportOptions& options) {
  return options.temporary_directory.value_or(temporary_directory());
}

DaemonAccess daemon_access(const TransportOptions& options) {
  DaemonAccess access;
  if (options.daemon_host) access.host = *options.daemon_host;
  access.cert_dir = options.access.cert_dir;
  access.tls_verify = options.access.tls_verify.value_or(true);
  return access;
}

OciReference oci_reference(const ImageReference& reference) {
  return OciReference::parse(reference.rest, reference.transport);
}

// Whether the file is there or not. A pipe has no path to resolve.
std::string one_spelling(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode))
    return std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino);
  std::error_code error;
  const std::filesystem::path whole = std::filesystem::absolute(path, error);
  if (error) return path;
  const std::filesystem::path resolved = std::filesystem::weakly_canonical(whole, error);
  return error ? whole.lexically_normal().string() : resolved.string();
}

}  // namespace

std::unique_ptr<ImageSource> open_source(const ImageReference& reference,
                                         const TransportOptions& options,
                                         const TransportEnvironment& environment,
                                         const std::stop_token& stop) {
  switch (reference.transport) {
    case Transport::docker:
      return open_registry_source(environment.hosts, RegistryReference::parse(reference.rest),
                                  options.access, stop);
    case Transport::containers_storage:
      return open_containers_storage(StorageReference::parse(reference.rest),
                                     StorageEnvironment::current(), environment.note, stop,
                                     options.note_signatures);
    case Transport::oci:
      return open_oci_layout(OciReference::parse(reference.rest), options.shared_blob_dir);
    case Transport::dir:
      return open_dir(reference.rest, options.note_signatures ? environment.note : nullptr);
    case Transport::oci_archive:
      return open_oci_archive(oci_reference(reference), spool_directory(options), stop);
    case Transport::docker_archive:
      return open_docker_archive(DockerArchiveReference::parse(reference.rest),
                                 spool_directory(options), stop);
    case Transport::docker_daemon:
      return open_docker_daemon(DaemonReference::parse(reference.rest), daemon_access(options),
                                spool_directory(options), environment.log, stop);
    default:
      refuse(reference, "source");
  }
}

std::unique_ptr<ImageDestination> open_destination(const ImageReference& reference,
                                                   const TransportOptions& options,
                                                   const TransportEnvironment& environment,
                                                   const std::stop_token& stop) {
  switch (reference.transport) {
    case Transport::docker:
      return open_registry_destination(environment.hosts, RegistryReference::parse(reference.rest),
                                       options.access, stop);
    case Transport::oci:
      return open_oci_layout_destination(
          OciReference::parse(reference.rest), options.shared_blob_dir,
          options.layers.value_or(ImageForm::Layers::compressed), environment.note);
    case Transport::dir:
      return open_dir_destination(reference.rest, options.layers.value_or(ImageForm::Layers::kept));
    case Transport::oci_archive:
      return open_oci_archive_destination(oci_reference(reference), spool_directory(options),
                                          options.layers.value_or(ImageForm::Layers::compressed),
                                          environment.note);
    case Transport::docker_archive:
      return open_docker_archive_destination(DockerArchiveReference::parse(reference.rest),
                                             options.additional_names, spool_directory(options));
    case Transport::containers_storage:
      return open_containers_storage_destination(StorageReference::parse(reference.rest),
                                                 StorageEnvironment::current());
    case Transport::docker_daemon:
      return open_docker_daemon_destination(DaemonReference::parse(reference.rest),
                                            daemon_access(options), spool_directory(options),
                                            environment.log);
    default:
      refuse(reference, "destination");
  }
}

std::optional<ArchivePlace> archive_place(const ImageReference& destination) {
  switch (destination.transport) {
    case Transport::docker_archive: {
      const DockerArchiveReference reference = DockerArchiveReference::parse(destination.rest);
      check_destination(reference);
      return ArchivePlace{reference.path, one_spelling(reference.path),
                          reference.image ? reference.image->str() : std::string()};
    }
    case Transport::oci_archive: {
      const OciReference reference = oci_reference(destination);
      check_destination(reference);
      return ArchivePlace{reference.path, one_spelling(reference.path), reference.name};
    }
    default:
      return std::nullopt;
  }
}

std::shared_ptr<SharedArchive> open_shared_archive(const ImageReference& destination,
                                                   const TransportOptions& options,
                                                   const TransportEnvironment& environment) {
  if (destination.transport == Transport::docker_archive) {
    return open_shared_docker_archive(DockerArchiveReference::parse(destination.rest).path,
                                      spool_directory(options));
  }
  return open_shared_oci_archive(oci_reference(destination).path, spool_directory(options),
                                 options.layers.value_or(ImageForm::Layers::compressed),
                                 environment.note);
}

ListedImages list_images(std::string_view place, const TransportEnvironment& environment,
                         const std::stop_token& stop) {
  // The reference to a store needs an image, but here there may be none.
  if (place.starts_with(kStorage)) {
    return list_containers_storage(place.substr(kStorage.size()), StorageEnvironment::current(),
                                   environment.note);
  }
  const ImageReference reference = ImageReference::parse(place);
  if (reference.transport == Transport::oci) return list_oci_layout(oci_reference(reference));
  if (reference.transport == Transport::oci_archive)
    return list_oci_archive(oci_reference(reference), stop);
  if (reference.transport == Transport::docker_archive)
    return list_docker_archive(DockerArchiveReference::parse(reference.rest), stop);
  throw Error(ErrorKind::usage, "all images of " + std::string(to_string(reference.transport)) +
                                    ": cannot be listed by this version of tug")
      .set_hint("oci:PATH, oci-archive:PATH, docker-archive:PATH and containers-storage: can");
}

}  // namespace tug
