// Images that `buildah pull` has seen, for a `buildah inspect` that is given neither credentials
// nor TLS flags: what containers-storage is to the real buildah. Manifest and config only.
#ifndef TUG_CLI_PULLED_IMAGES_H_
#define TUG_CLI_PULLED_IMAGES_H_

#include <optional>
#include <string>

namespace tug::cli {

struct PulledImage {
  std::string manifest;
  std::string manifest_type;
  std::string config;
};

// Below $XDG_STATE_HOME/tug or ~/.local/state/tug, a file (0600) for each `name`. Best effort: what
// cannot be stored, or is no longer whole, is asked of the registry again. Nothing here is a
// credential.
void remember_pulled(const std::string& name, const PulledImage& image) noexcept;
std::optional<PulledImage> recall_pulled(const std::string& name) noexcept;

}  // namespace tug::cli

#endif  // TUG_CLI_PULLED_IMAGES_H_
