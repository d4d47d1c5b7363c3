// References: how a user names an image.
//
// RegistryReference is what stands after `docker://` (grammar: registry-protocol.md 1.1, rules
// cli-surface.md A.8). ImageReference is a whole argument, `TRANSPORT:rest`. Values; constructible
// only valid.
#ifndef TUG_REFERENCE_H_
#define TUG_REFERENCE_H_

#include "tug/digest.h"

#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace tug {

// True for a repository path: lower-case components joined by '/', at most 255 characters with the
// host.
bool is_repository_name(std::string_view name) noexcept;
// True for [A-Za-z0-9_][A-Za-z0-9._-]{0,127}.
bool is_tag(std::string_view tag) noexcept;

// True for the first component of a name that is a registry: it has a dot or a colon, or is
// localhost. There is no other rule (cli-surface.md A.8).
bool is_registry_component(std::string_view component) noexcept;

// HOST[:PORT]/NAME[:TAG|@DIGEST], normalised: no host → docker.io; docker.io and no slash →
// library/; index.docker.io → docker.io; neither tag nor digest → tag "latest".
class RegistryReference {
 public:
  // Throws Error(usage) naming what is wrong and where: upper case, spaces, control characters, a
  // tag that is too long, tag and digest together, a host without a dot, colon or "localhost" taken
  // as a Hub path, …
  static RegistryReference parse(std::string_view text);
  // A repository alone (list-tags, mount sources): a tag or digest is an error.
  static RegistryReference parse_repository(std::string_view text);

  // "host[:port]" as the user wrote it (docker.io for the Hub): the key for certs.d,
  // registries.conf and auth.
  [[nodiscard]] const std::string& registry() const noexcept { return registry_; }
  // "library/alpine"
  [[nodiscard]] const std::string& repository() const noexcept { return repository_; }
  [[nodiscard]] const std::optional<std::string>& tag() const noexcept { return tag_; }
  [[nodiscard]] const std::optional<Digest>& digest() const noexcept { return digest_; }
  // What goes into /manifests/<…>: the tag or the digest. Requires that one is there.
  [[nodiscard]] std::string identifier() const;
  // "docker.io/library/alpine"
  [[nodiscard]] std::string name() const { return registry_ + "/" + repository_; }
  // "docker.io/library/alpine:latest" or "…@sha256:…"
  [[nodiscard]] std::string str() const;

  // For an error about this name: "registry:5000" is Docker Hub's library/registry with the tag
  // "5000", which hardly anybody means. "" when there is nothing to say.
  [[nodiscard]] std::string misreading_hint() const;

  [[nodiscard]] RegistryReference with_tag(
      std::string tag) const;  // Throws Error(usage) for a bad tag.
  [[nodiscard]] RegistryReference with_digest(const Digest& digest) const;
  [[nodiscard]] RegistryReference without_identifier() const;

  friend bool operator==(const RegistryReference&, const RegistryReference&) = default;

 private:
  RegistryReference(std::string registry, std::string repository)
      : registry_(std::move(registry)), repository_(std::move(repository)) {}
  // `text` is what messages quote, `name` its part before tag and digest.
  static RegistryReference parse_name(std::string_view text, std::string_view name);
  std::string registry_;
  std::string repository_;
  std::optional<std::string> tag_;
  std::optional<Digest> digest_;
};

// skopeo's transports. Those that tug cannot serve yet are parsed, so that the error can name them.
enum class Transport {
  docker,
  containers_storage,
  dir,
  oci,
  oci_archive,
  docker_archive,
  docker_daemon,
  sif,
  ostree,
  atomic,
  tarball
};
std::string_view to_string(Transport transport) noexcept;  // "docker", "oci-archive", …

// "docker://host/name:tag", "oci:path:ref", …: the transport and the text after its colon, not yet
// parsed further.
struct ImageReference {
  Transport transport;
  std::string rest;  // for docker without the leading "//"

  // Throws Error(usage): no colon, unknown transport (with the nearest known one), control
  // characters.
  static ImageReference parse(std::string_view text);
  [[nodiscard]] std::string str() const;
  friend bool operator==(const ImageReference&, const ImageReference&) = default;
};

}  // namespace tug

#endif  // TUG_REFERENCE_H_
