// The docker-daemon: transport: images of a Docker daemon, read and written through its HTTP API
// (/images/get and /images/load), each as a docker-archive on its way.
#ifndef TUG_TRANSPORT_DOCKER_DAEMON_H_
#define TUG_TRANSPORT_DOCKER_DAEMON_H_

#include "base/log.h"

#include <tug/digest.h>
#include <tug/reference.h>
#include <tug/transport.h>

#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

namespace tug {

// What stands after "docker-daemon:": NAME:TAG, NAME@DIGEST, or an image's ID as ALGORITHM:HEX. A
// value.
struct DaemonReference {
  std::optional<RegistryReference> image;
  std::optional<Digest> id;  // one of the two is there

  // Throws Error(usage), as containers/image: a name alone, the repository "sha256".
  static DaemonReference parse(std::string_view text);
  // What the daemon is asked for: "busybox:latest", Docker Hub's names shortened.
  [[nodiscard]] std::string familiar() const;
  [[nodiscard]] std::string str() const { return "docker-daemon:" + familiar(); }
  friend bool operator==(const DaemonReference&, const DaemonReference&) = default;
};

// How to reach the daemon. A value.
struct DaemonAccess {
  // --daemon-host: unix://PATH, or http://, tcp:// and https:// HOST[:PORT], the last two by TLS.
  std::string host = "unix:///var/run/docker.sock";
  std::optional<std::string> cert_dir = {};  // with ca.pem, cert.pem, key.pem, as docker has them
  bool tls_verify = true;
};

// Has the daemon save the image into a temporary file without a name, and reads that. Throws
// Error(not_found) for an image that the daemon does not have, Error(network/server) naming the
// daemon, and what open_docker_archive() throws.
std::unique_ptr<ImageSource> open_docker_daemon(const DaemonReference& reference,
                                                const DaemonAccess& access,
                                                const std::string& temporary_directory,
                                                const Log& log, const std::stop_token& stop);

// The image goes to the daemon as it is read; the daemon takes it when finish() returned, else not
// at all. Throws Error(usage) for a reference without a tag.
std::unique_ptr<ImageDestination> open_docker_daemon_destination(
    const DaemonReference& reference, const DaemonAccess& access,
    const std::string& temporary_directory, const Log& log);

namespace detail {
// What the daemon says of an image that it was to load: a stream of JSON objects, one of which may
// be an error. nullopt: none. Never throws.
std::optional<std::string> error_in_load_answer(std::string_view body) noexcept;
}  // namespace detail

}  // namespace tug

#endif  // TUG_TRANSPORT_DOCKER_DAEMON_H_
