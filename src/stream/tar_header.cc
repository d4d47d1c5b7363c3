#include "stream/tar_header.h"

#include <tug/error.h>

#include <fmt/format.h>

#include <numeric>
#include <string_view>

namespace tug {
namespace {

constexpr std::size_t kNameBytes = 100;
constexpr std::uint64_t kMaxOctalSize = (std::uint64_t{1} << 33U) - 1;  // eleven digits

// Offsets of the fields (POSIX, ustar).
constexpr std::size_t kMode = 100;
constexpr std::size_t kUid = 108;
constexpr std::size_t kGid = 116;
constexpr std::size_t kSize = 124;
constexpr std::size_t kTime = 136;
constexpr std::size_t kChecksum = 148;
constexpr std::size_t kType = 156;
constexpr std::size_t kLink = 157;
constexpr std::size_t kMagic = 257;
constexpr std::size_t kDeviceMajor = 329;
constexpr std::size_t kDeviceMinor = 337;

void put(std::string& block, std::size_t offset, std::string_view text) {
  block.replace(offset, text.size(), text);
}

void put_size(std::string& block, std::uint64_t size) {
  if (size <= kMaxOctalSize) return put(block, kSize, fmt::format("{:011o}", size));
  block[kSize] = '\x80';
  for (std::size_t i = 0; i < sizeof size; ++i)
    block[kSize + 11 - i] = static_cast<char>(size >> (8 * i) & 0xffU);
}

std::string block_of(const TarHeader& header, char type) {
  std::string block(kTarBlockBytes, '\0');
  put(block, 0, std::string_view(header.name).substr(0, kNameBytes));
  put(block, kMode, fmt::format("{:07o}", header.mode));
  put(block, kUid, "0000000");
  put(block, kGid, "0000000");
  put_size(block, header.size);
  put(block, kTime, "00000000000");
  block[kType] = type;
  put(block, kLink, header.link);
  put(block, kMagic, std::string_view("ustar\00000", 8));
  put(block, kDeviceMajor, "0000000");
  put(block, kDeviceMinor, "0000000");
  put(block, kChecksum, "        ");
  const unsigned sum = std::accumulate(block.begin(), block.end(), 0U, [](unsigned total, char c) {
    return total + static_cast<unsigned char>(c);
  });
  put(block, kChecksum, fmt::format("{:06o}", sum));
  block[kChecksum + 6] = '\0';
  return block;
}

// "LENGTH path=NAME\n", whose length counts its own digits.
std::string path_record(const std::string& name) {
  const std::string rest = " path=" + name + "\n";
  std::size_t length = rest.size();
  while (length != rest.size() + std::to_string(length).size())
    length = rest.size() + std::to_string(length).size();
  return std::to_string(length) + rest;
}

}  // namespace

std::string tar_header(const TarHeader& header) {
  if (header.link.size() > kNameBytes || header.name.size() > kTarBlockBytes / 2)
    throw Error(ErrorKind::limit, "a name is too long for a tar: " + header.name);
  const std::string block = block_of(header, static_cast<char>(header.kind));
  if (header.name.size() <= kNameBytes) return block;
  std::string record = path_record(header.name);
  const TarHeader extension{.name = "PaxHeaders.0/name", .size = record.size(), .mode = 0};
  record.append(tar_padding(record.size()), '\0');
  return block_of(extension, 'x') + record + block;
}

std::string tar_end() { return std::string(2 * kTarBlockBytes, '\0'); }

}  // namespace tug
