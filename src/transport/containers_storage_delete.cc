// Removing an image from a containers/storage store, as its own library does it.
#include "base/fd.h"
#include "base/strings.h"
#include "oci/json.h"
#include "transport/containers_storage.h"
#include "transport/directory_tree.h"
#include "transport/storage_driver.h"
#include "transport/storage_store.h"
#include "transport/storage_write.h"

#include <tug/error.h>

#include <algorithm>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace tug {
namespace {

constexpr std::size_t kMaxMountBytes = std::size_t{16} * 1024 * 1024;

// The image's top layer, and its copies for other user namespaces.
std::vector<std::string> top_layers(const Json& image) {
  std::vector<std::string> layers;
  if (std::string top = image.string_or_empty("layer"); !top.empty())
    layers.push_back(std::move(top));
  if (const Json* mapped = image.find("mapped-layers");
      mapped != nullptr && mapped->as_array() != nullptr) {
    for (const Json& layer : *mapped->as_array()) {
      if (layer.as_string() != nullptr) layers.push_back(*layer.as_string());
    }
  }
  return layers;
}

// An image in the one store that is written. With the locks of layers, images and containers held,
// in podman's order.
class Removal {
 public:
  Removal(const StoredName& image, const std::stop_token& stop)
      : image_(image),
        paths_{image.driver, image.graph_root, {image.graph_root}, {image.graph_root}},
        layers_directory_(paths_.layers_directory(image.graph_root)),
        images_directory_(paths_.images_directory(image.graph_root)),
        containers_directory_(image.graph_root + "/" + image.driver + "-containers"),
        layers_lock_(layers_directory_ + "/layers.lock", stop),
        images_lock_(images_directory_ + "/images.lock", stop),
        containers_lock_(containers_directory_ + "/containers.lock", stop),
        layers_(StorageRecords::read(layers_directory_ + "/layers.json")),
        images_(StorageRecords::read(images_directory_ + "/images.json")) {}

  void run() {
    const std::vector<std::string> doomed = layers_of_nobody_else();
    refuse_mounted(doomed);
    // First of all it is an image no more. Whoever finds incomplete layers removes them: so what
    // is left when this process is killed goes too.
    images_.erase(image_.id);
    images_.write();
    images_lock_.touch();
    remove_tree(open_directory(images_directory_).get(), image_.id,
                images_directory_ + "/" + image_.id);
    if (doomed.empty()) return;
    for (const std::string& id : doomed) mark_incomplete(*layers_.find(id));
    layers_.write();
    layers_lock_.touch();
    for (const std::string& id : doomed) remove_layer(id);
    layers_.write();
    layers_lock_.touch();
  }

 private:
  // Of `file`, and of those that are gone after the next start of the machine.
  static Json::Array with_volatile(const std::string& directory, const std::string& file) {
    StorageRecords lasting = StorageRecords::read(directory + "/" + file);
    StorageRecords passing = StorageRecords::read(directory + "/volatile-" + file);
    for (Json& record : passing.all()) lasting.all().push_back(std::move(record));
    return std::move(lasting.all());
  }

  // Top first. Throws when the image is not in this store, or is a container's.
  std::vector<std::string> layers_of_nobody_else() {
    const Json* record = images_.find(image_.id);
    if (record == nullptr) {
      throw Error(ErrorKind::not_found,
                  "the image " + image_.id + " is not in the store " + image_.graph_root);
    }
    std::set<std::string> used;
    for (const Json& container : with_volatile(containers_directory_, "containers.json")) {
      if (container.string_or_empty("image") == image_.id) {
        throw Error(ErrorKind::denied, "the image " + image_.id + " is used by the container " +
                                           printable(container.string_or_empty("id"), 100));
      }
      used.insert(container.string_or_empty("layer"));
    }
    for (const Json& other : images_.all()) {
      if (&other == record) continue;
      for (std::string& layer : top_layers(other)) used.insert(std::move(layer));
    }
    const Json::Array all = with_volatile(layers_directory_, "layers.json");
    std::vector<std::string> doomed;
    const auto is_doomed = [&](const std::string& id) {
      return std::find(doomed.begin(), doomed.end(), id) != doomed.end();
    };
    const auto is_free = [&](const std::string& id) {
      return layers_.find(id) != nullptr && !used.contains(id) && !is_doomed(id) &&
             std::none_of(all.begin(), all.end(), [&](const Json& layer) {
               return layer.string_or_empty("parent") == id &&
                      !is_doomed(layer.string_or_empty("id"));
             });
    };
    std::vector<std::string> tops = top_layers(*record);
    std::reverse(tops.begin(), tops.end());  // the copies first: they may stand on the others
    for (std::string id : tops) {
      while (!id.empty() && is_free(id)) {
        doomed.push_back(id);
        id = layers_.find(id)->string_or_empty("parent");
      }
    }
    return doomed;
  }

  // Files of a mounted layer are somebody's to read.
  static void refuse_mounted(const std::vector<std::string>& layers) {
    const auto mounts = read_file_if_exists("/proc/self/mountinfo", kMaxMountBytes).value_or("");
    for (const std::string& id : layers) {
      if (mounts.find("/" + id) == std::string::npos) continue;
      throw Error(ErrorKind::denied, "the layer " + id + " is mounted")
          .set_hint("podman image unmount");
    }
  }

  static void mark_incomplete(Json& layer) {
    const Json* known = layer.find("flags");
    Json flags = known != nullptr && known->is_object() ? *known : Json::object();
    flags.set("incomplete", true);
    layer.set("flags", std::move(flags));
  }

  void remove_layer(const std::string& id) {
    remove_layer_files(StorageDriver(image_.graph_root, image_.driver), layers_directory_, id);
    layers_.erase(id);
  }

  const StoredName& image_;
  const StorePaths paths_;
  const std::string layers_directory_, images_directory_, containers_directory_;
  const StorageLock layers_lock_, images_lock_, containers_lock_;
  StorageRecords layers_, images_;
};

}  // namespace

void delete_from_containers_storage(const StorageReference& reference,
                                    const StorageEnvironment& environment,
                                    const std::stop_token& stop) {
  const StorageConfig config = storage_config_of(reference, environment);
  require_one_root(config, "podman rmi");
  const StoredName image = find_stored_name(reference, environment);
  require_known_driver(image.graph_root, image.driver, "podman rmi");
  require_root_user("podman unshare tug …, or podman rmi");
  Removal(image, stop).run();
}

}  // namespace tug
