// Small images on disk, as OCI layouts: what the program under test is told to push.
#ifndef TUG_TESTS_FAULTS_IMAGE_H_
#define TUG_TESTS_FAULTS_IMAGE_H_

#include <tug/digest.h>

#include <cstddef>
#include <string>
#include <vector>

namespace tug::test {

inline constexpr std::size_t kMiB = 1 << 20;

struct ImageShape {
  // A layer that goes in one PUT, and one that goes by PATCH (at most, and more than, 1 MiB).
  std::vector<std::size_t> layers{200'000, kMiB + kMiB / 2};
  int images = 1;            // more than one: under an index
  std::string subject = "";  // the digest of another manifest, which this one refers to
  // Where the layers were pulled from, as containerd notes it: "HOST:PORT" and a repository.
  std::string pulled_from_host = "";
  std::string pulled_from_repository = "";
};

// One image, or an index of some, in a directory.
class Image {
 public:
  // Writes the layout.
  Image(std::string directory, const ImageShape& shape);

  [[nodiscard]] std::string reference() const { return "oci:" + directory_; }
  // Of a blob or a manifest in the layout.
  [[nodiscard]] std::string path_of(const Digest& digest) const;

  [[nodiscard]] const std::string& top() const noexcept { return top_; }
  [[nodiscard]] const std::string& top_type() const noexcept { return top_type_; }
  // The images' manifests; without an index that is the top.
  [[nodiscard]] const std::vector<std::string>& manifests() const noexcept { return manifests_; }
  // Configs and layers, as bytes. All images share the layers.
  [[nodiscard]] const std::vector<std::string>& blobs() const noexcept { return blobs_; }
  [[nodiscard]] const std::string& config() const { return blobs_.at(0); }
  [[nodiscard]] const std::string& layer(std::size_t number) const { return layers_.at(number); }

 private:
  std::string add(const std::string& bytes);  // its digest
  std::string add_image(int number, const ImageShape& shape);

  const std::string directory_;
  std::string top_;
  std::string top_type_;
  std::vector<std::string> manifests_;
  std::vector<std::string> layers_;
  std::vector<std::string> blobs_;
};

}  // namespace tug::test

#endif  // TUG_TESTS_FAULTS_IMAGE_H_
