// What has to become of the images of one copy at their destination, from what the user asks for
// and what the place holds: the format of manifests, the compression of layers. Decides; the
// planner does it. Pure.
#ifndef TUG_COPY_CONVERSION_H_
#define TUG_COPY_CONVERSION_H_

#include <tug/copy.h>
#include <tug/manifest.h>
#include <tug/transport.h>

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace tug {

class Conversion {
 public:
  // The references must outlive it.
  Conversion(const CopyOptions& options, const ImageForm& form) : options_(options), form_(form) {}

  // The format that a manifest or index of `type` is to be converted to; nullopt: it has that.
  [[nodiscard]] std::optional<ManifestFormat> format_for(std::string_view type) const;
  // Whether what cannot be converted may stay as it is: nobody has asked in so many words, and the
  // place can hold it.
  [[nodiscard]] bool is_optional() const noexcept;

  enum class LayerWork { none, compress, decompress };
  // What has to be done to a layer of `type`, in a manifest that will be of `format`.
  [[nodiscard]] LayerWork work_for(std::string_view type, ManifestFormat format) const;
  // It is only what the place likes best, so that a layer which it cannot be done to stays.
  [[nodiscard]] bool is_optional(std::string_view type, ManifestFormat format) const noexcept;

  // Layers that have to be made go as they are, without compression.
  [[nodiscard]] bool makes_plain_layers() const noexcept {
    return form_.layers == ImageForm::Layers::plain;
  }
  [[nodiscard]] bool takes_tars() const noexcept { return form_.takes_tars; }

  // --- what was done, for whoever has to be told

  void note_format(ManifestFormat format);
  void note_layer(std::string_view type, ManifestFormat format, LayerWork work);
  void note_lost(ManifestFormat format, const std::vector<std::string>& what);
  // Clauses: "the image is converted to OCI (--format)".
  [[nodiscard]] const std::vector<std::string>& changes() const noexcept { return changes_; }
  // "lost in the conversion to Docker's schema 2: annotations"; "" when nothing was.
  [[nodiscard]] std::string losses() const;

 private:
  // Layers are to become zstd, and the place takes them so.
  [[nodiscard]] bool wants_zstd() const noexcept;
  void add_change(std::string clause);

  const CopyOptions& options_;
  const ImageForm& form_;

  std::vector<std::string> changes_;  // in the order in which they turned up
  std::set<std::string> lost_;
  std::optional<ManifestFormat> lost_to_;
};

}  // namespace tug

#endif  // TUG_COPY_CONVERSION_H_
