#include "copy/conversion.h"

#include "base/strings.h"
#include "copy/layers.h"
#include "oci/convert.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace tug {
namespace {

std::string_view name_of(ManifestFormat format) noexcept {
  return format == ManifestFormat::oci ? "OCI" : "Docker's schema 2";
}

std::string_view name_of(LayerCompression compression) noexcept {
  return compression == LayerCompression::gzip ? "gzip" : "zstd";
}

}  // namespace

std::optional<ManifestFormat> Conversion::format_for(std::string_view type) const {
  std::optional<ManifestFormat> wanted = options_.format;
  if (!wanted && !(options_.preserve_digests && form_.holds_any_format)) wanted = form_.format;
  if (!wanted && wants_zstd()) wanted = ManifestFormat::oci;
  return wanted && *wanted != format_of(type) ? wanted : std::nullopt;
}

// A Docker manifest cannot hold layers in zstd (containers/image converts it as well).
bool Conversion::wants_zstd() const noexcept {
  return options_.compression == LayerCompression::zstd &&
         form_.layers != ImageForm::Layers::plain && form_.layers != ImageForm::Layers::kept;
}

bool Conversion::is_optional() const noexcept { return !options_.format && form_.holds_any_format; }

Conversion::LayerWork Conversion::work_for(std::string_view type, ManifestFormat format) const {
  if (!media_type::is_layer(type)) return LayerWork::none;
  const auto now = compression_of(type);
  if (form_.layers == ImageForm::Layers::plain)
    return now ? LayerWork::decompress : LayerWork::none;
  if (format == ManifestFormat::docker && now == LayerCompression::zstd) return LayerWork::compress;
  if (form_.layers == ImageForm::Layers::kept) return LayerWork::none;
  if (options_.compression) {
    return now == options_.compression ? LayerWork::none : LayerWork::compress;
  }
  const bool is_wanted =
      !now && form_.layers == ImageForm::Layers::compressed && !options_.preserve_digests;
  return is_wanted ? LayerWork::compress : LayerWork::none;
}

bool Conversion::is_optional(std::string_view type, ManifestFormat format) const noexcept {
  const bool is_impossible =
      format == ManifestFormat::docker && compression_of(type) == LayerCompression::zstd;
  return !is_impossible && !options_.compression && form_.layers != ImageForm::Layers::plain;
}

void Conversion::note_format(ManifestFormat format) {
  add_change(fmt::format("the image is converted to {} ({})", name_of(format),
                         options_.format ? "--format"
                         : form_.format  ? "as the destination wants it"
                                         : "Docker's cannot hold zstd layers"));
}

void Conversion::note_layer(std::string_view type, ManifestFormat format, LayerWork work) {
  const auto now = compression_of(type);
  if (work == LayerWork::decompress) {
    add_change("layers are decompressed");
  } else if (format == ManifestFormat::docker && now == LayerCompression::zstd) {
    add_change("zstd layers are compressed with gzip, for a Docker manifest cannot hold them");
  } else if (options_.compression) {
    add_change(fmt::format("layers are compressed with {} (--dest-compress-format)",
                           name_of(*options_.compression)));
  } else {
    add_change("plain layers are compressed");
  }
}

void Conversion::note_lost(ManifestFormat format, const std::vector<std::string>& what) {
  lost_.insert(what.begin(), what.end());
  if (!what.empty()) lost_to_ = format;
}

void Conversion::add_change(std::string clause) {
  if (std::find(changes_.begin(), changes_.end(), clause) == changes_.end())
    changes_.push_back(std::move(clause));
}

std::string Conversion::losses() const {
  if (!lost_to_) return {};
  return fmt::format("lost in the conversion to {}: {}", name_of(*lost_to_),
                     join({lost_.begin(), lost_.end()}, ", "));
}

}  // namespace tug
