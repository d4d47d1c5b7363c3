// The containers-storage: transport: images of the local store of podman, buildah and
// CRI-O, read without any of their code and without disturbing them (containers-storage-format.md).
//
// The records are a snapshot, taken when the source is opened; the store is not locked afterwards.
// Layers come as uncompressed tars (Form::layer_tar), made from the store's files while they are
// read, and always checked against their diff ID.
#ifndef TUG_TRANSPORT_CONTAINERS_STORAGE_H_
#define TUG_TRANSPORT_CONTAINERS_STORAGE_H_

#include "transport/storage_conf.h"
#include "transport/storage_reference.h"

#include <tug/transport.h>

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>

namespace tug {

struct ListedImages;  // open.h
class StoreSnapshot;  // storage_store.h

// Throws Error(not_found) "does not resolve to an image ID", Error(usage) for a reference,
// configuration or driver that is not accepted, Error(local) for what cannot be read,
// Error(integrity) for a broken store. `stop` ends the reading of layers, whose open() is
// given none. `note` is told what the user should know: with `note_signatures` also of signatures
// in the store.
std::unique_ptr<ImageSource> open_containers_storage(
    const StorageReference& reference, const StorageEnvironment& environment,
    const std::function<void(std::string_view)>& note, const std::stop_token& stop,
    bool note_signatures = false);

// A place for one image in such a store, which is made where there is none. Throws Error(usage) for
// a reference, a configuration or a driver that tug cannot write, Error(local) when we may not.
std::unique_ptr<ImageDestination> open_containers_storage_destination(
    const StorageReference& reference, const StorageEnvironment& environment);

// Removes an image with all its names, and the layers that nothing else in the store needs, as
// podman's library does. Throws as open_containers_storage; Error(denied) while a container uses
// the image.
void delete_from_containers_storage(const StorageReference& reference,
                                    const StorageEnvironment& environment,
                                    const std::stop_token& stop);

// The store that `reference` names, or the one that is configured.
StorageConfig storage_config_of(const StorageReference& reference,
                                const StorageEnvironment& environment);

// The image that `reference` names, where what may be an ID's beginning is one in `snapshot`.
ImageName name_in(const StoreSnapshot& snapshot, const StorageReference& reference);

// What a reference means in its store.
struct StoredName {
  std::string driver;
  std::string graph_root;
  ImageName name;  // with the ID only if the reference has it
  std::string id;  // of the image
};
// Throws as open_containers_storage.
StoredName find_stored_name(const StorageReference& reference,
                            const StorageEnvironment& environment);

// All images of a store by each of their names with a tag. `store`: "[STORE]", or "" for the one
// that is configured. Throws as open_containers_storage, and Error(usage) when `store` names an
// image.
ListedImages list_containers_storage(std::string_view store, const StorageEnvironment& environment,
                                     const std::function<void(std::string_view)>& note);

}  // namespace tug

#endif  // TUG_TRANSPORT_CONTAINERS_STORAGE_H_
