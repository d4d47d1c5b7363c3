// tug delete docker://IMAGE|containers-storage:IMAGE
#include "cli/delete_verb.h"

#include "cli/context.h"
#include "registry/repository.h"
#include "transport/containers_storage.h"

#include <tug/error.h>

#include <fmt/format.h>

#include <cstdlib>

namespace tug::cli {
namespace {

// What the registry stores under the tag: registries delete by digest.
Digest resolve(registry::Repository& repository, const RegistryReference& image,
               const std::stop_token& stop) {
  if (image.digest()) return *image.digest();
  if (const auto found = repository.head_manifest(image.identifier(), stop)) return found->digest;
  // A GET has a body that says what is wrong, and some registries do not answer HEAD.
  return Digest::of(repository.get_manifest(image.identifier(), stop).bytes);
}

void delete_from_registry(Context& context, const Arguments& arguments,
                          const RegistryReference& image) {
  registry::Host& host = context.transports().hosts.get(image, registry_access(arguments, ""));
  registry::Repository repository(host, image.without_identifier(), false);
  repository.delete_manifest(resolve(repository, image, context.stop()), context.stop());
}

void delete_image(Context& context, const Arguments& arguments, const ImageReference& reference) {
  if (reference.transport == Transport::docker) {
    delete_from_registry(context, arguments, RegistryReference::parse(reference.rest));
  } else if (reference.transport == Transport::containers_storage) {
    delete_from_containers_storage(StorageReference::parse(reference.rest),
                                   StorageEnvironment::current(), context.stop());
  } else {
    throw Error(ErrorKind::usage, fmt::format("Deleting images not implemented for {}: images",
                                              to_string(reference.transport)));
  }
}

int run(Context& context, const Arguments& arguments) {
  const ImageReference reference = ImageReference::parse(arguments.positional()[0]);
  const std::string name = reference.transport == Transport::docker
                               ? "docker://" + RegistryReference::parse(reference.rest).str()
                               : reference.str();
  with_context("deleting " + name, [&] {
    try {
      delete_image(context, arguments, reference);
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
          "Delete an image from a registry or from a store",
          "IMAGE is docker://HOST[:PORT]/NAME[:TAG|@DIGEST]. The manifest is deleted, and with it "
          "every tag that names it; the registry's garbage collection frees the layers. Or IMAGE "
          "is containers-storage:NAME: the image is deleted with all its names and with the layers "
          "that nothing else needs.",
          {{"Registry access", registry_options("")}, {"Retrying", retry_options()}},
          1,
          run};
}

}  // namespace tug::cli
