// What stands after "containers-storage:": [STORE]NAME, and the many forms of NAME
// (containers-storage-format.md 2.1). Values.
#ifndef TUG_TRANSPORT_STORAGE_REFERENCE_H_
#define TUG_TRANSPORT_STORAGE_REFERENCE_H_

#include <tug/digest.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tug {

// The bracketed part: [driver@]graphroot[+runroot][:opt,opt…].
struct StoreSpec {
  std::string driver;  // "": whichever is there
  std::string graph_root;
  std::string run_root;  // not needed for reading
  std::vector<std::string> options;

  friend bool operator==(const StoreSpec&, const StoreSpec&) = default;
};

struct StorageReference {
  std::optional<StoreSpec> store;
  std::string image;  // a name, an id, …: see ImageName

  // Throws Error(usage).
  static StorageReference parse(std::string_view rest);
  // The same where no image need be named.
  static StorageReference parse_store(std::string_view rest);
  friend bool operator==(const StorageReference&, const StorageReference&) = default;
};

// An image as a store knows it: by name, by id, or both.
struct ImageName {
  std::string repository;  // normalised: "docker.io/library/many"; "" when only an id was given
  std::string tag;         // "latest" when the text had neither tag nor digest
  std::optional<Digest> digest;
  std::string id;  // the whole image id; "" when none was given

  // The id of the image whose id begins with the text, if the store's look-up of the text (2.2)
  // finds such a one.
  using FindId = std::function<std::optional<std::string>(const std::string& prefix)>;
  // Throws Error(usage). Ids and their prefixes win over names, as in containers/image.
  static ImageName parse(std::string_view text, const FindId& find_id);

  // "repository:tag@digest", as it stands among an image's names; "" without a repository.
  [[nodiscard]] std::string name() const;
  [[nodiscard]] std::string str() const;  // with "@id"
  friend bool operator==(const ImageName&, const ImageName&) = default;
};

// "localhost/many:3" → "localhost/many"; for a name as it stands among an image's names.
std::string_view repository_of(std::string_view name) noexcept;

}  // namespace tug

#endif  // TUG_TRANSPORT_STORAGE_REFERENCE_H_
