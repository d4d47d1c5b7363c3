#include "stream/tar_split_writer.h"

#include "base/strings.h"
#include "oci/json.h"
#include "stream/gzip.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

namespace tug {
namespace {

constexpr std::size_t kMaxSegment = std::size_t{1024} * 1024;

std::string big_endian(std::uint64_t value) {
  std::string bytes(8, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<char>(value >> (8 * (bytes.size() - 1 - i)));
  return bytes;
}

}  // namespace

TarSplitWriter::TarSplitWriter(Write write)
    : write_(std::move(write)),
      encoder_(fast_gzip_member_encoder()),
      encoded_(encoded_bound(LayerCompression::gzip)) {}

void TarSplitWriter::segment(std::string_view bytes) {
  do {
    const std::string_view piece = bytes.substr(0, kMaxSegment);
    add(fmt::format("{{\"type\":2,\"payload\":\"{}\",\"position\":{}}}\n", base64_encode(piece),
                    position_++));
    bytes.remove_prefix(piece.size());
  } while (!bytes.empty());
}

void TarSplitWriter::file(std::string_view name, std::uint64_t size, std::uint64_t crc) {
  std::string line = is_utf8(name)
                         ? "{\"type\":1,\"name\":" + Json(name).dump({.escape_html = true})
                         : "{\"type\":1,\"name_raw\":\"" + base64_encode(name) + "\"";
  if (size == 0) {
    line += ",\"payload\":null";
  } else {
    line += fmt::format(",\"size\":{},\"payload\":\"{}\"", size, base64_encode(big_endian(crc)));
  }
  add(line + fmt::format(",\"position\":{}}}\n", position_++));
}

void TarSplitWriter::finish() { flush(); }

void TarSplitWriter::add(std::string_view text) {
  const std::size_t chunk = chunk_size(LayerCompression::gzip);
  while (!text.empty()) {
    const std::string_view piece = text.substr(0, chunk - pending_.size());
    pending_ += piece;
    text.remove_prefix(piece.size());
    if (pending_.size() == chunk) flush();
  }
}

void TarSplitWriter::flush() {
  const std::size_t size = encoder_->encode(std::as_bytes(std::span(pending_)), encoded_);
  write_(std::span(encoded_).first(size));
  pending_.clear();
}

}  // namespace tug
