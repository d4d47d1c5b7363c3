// tug delete docker://IMAGE
#include "cli/delete_verb.h"

#include "cli/context.h"
#include "registry/repository.h"

#include <tug/error.h>

#include <fmt/format.h>

#include <cstdlib>

namespace tug::cli {
namespace {

RegistryReference image_named(const std::string& text) {
  const ImageReference reference = ImageReference::parse(text);
  if (reference.transport != Transport::docker) {
    Error error(ErrorKind::usage, fmt::format("Deleting images not implemented for {}: images",
                                              to_string(reference.transport)));
    if (reference.transport == Transport::containers_storage)
      error.set_hint("podman rmi or buildah rmi");
    throw error;
  }
  return RegistryReference::parse(reference.rest);
}

// What the registry stores under the tag: registries delete by digest.
Digest resolve(registry::Repository& repository, const RegistryReference& image,
               const std::stop_token& stop) {
  if (image.digest()) return *image.digest();
  if (const auto found = repository.head_manifest(image.identifier(), stop)) return found->digest;
  // A GET has a body that says what is wrong, and some registries do not answer HEAD.
  return Digest::of(repository.get_manifest(image.identifier(), stop).bytes);
}

int run(Context& context, const Arguments& arguments) {
  const RegistryReference image = image_named(arguments.positional()[0]);
  with_context("deleting docker://" + image.str(), [&] {
    try {
      registry::Host& host = context.transports().hosts.get(image, registry_access(arguments, ""));
      registry::Repository repository(host, image.without_identifier(), false);
      repository.delete_manifest(resolve(repository, image, context.stop()), context.stop());
    } catch (Error& error) {
      // Exit code 2 is said of images that are to be read (cli-surface.md A.7).
      if (error.kind() == ErrorKind::not_found) error.set_kind(ErrorKind::denied);
      throw;
    }
  });
  return EXIT_SUCCESS;
}

}  // namespace

Verb delete_verb() {
  return {"delete",
          "IMAGE",
          "Delete an image from a registry",
          "IMAGE is docker://HOST[:PORT]/NAME[:TAG|@DIGEST]. The manifest is deleted, and with it "
          "every tag that names it; the registry's garbage collection frees the layers.",
          {{"Registry access", registry_options("")}, {"Retrying", retry_options()}},
          1,
          run};
}

}  // namespace tug::cli
