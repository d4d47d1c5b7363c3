#include "stream/tar_reader.h"

#include "base/strings.h"
#include "stream/tar_header.h"
#include "stream/tar_split_writer.h"

#include <tug/error.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

namespace tug {
namespace {

constexpr std::size_t kMaxNameBytes = 4095;
constexpr std::uint64_t kMaxHeaderBytes = 1024 * 1024;
constexpr std::uint64_t kMaxMembers = std::uint64_t{4} << 20U;
constexpr std::size_t kSegmentBytes = std::size_t{1024} * 1024;
constexpr std::uint64_t kMaxSize = std::numeric_limits<std::int64_t>::max();
constexpr std::string_view kXattr = "SCHILY.xattr.";

using Block = std::array<char, kTarBlockBytes>;

std::string_view field(const Block& block, std::size_t at, std::size_t size) {
  return std::string_view(block.data() + at, size);
}

std::string_view until_nul(std::string_view text) { return text.substr(0, text.find('\0')); }

// Octal digits with blanks and NULs around them, or GNU's binary form; nullopt for what is neither.
std::optional<std::int64_t> number(std::string_view text) {
  const auto first = static_cast<unsigned char>(text.front());
  if ((first & 0x80U) != 0) {
    const bool negative = (first & 0x40U) != 0;
    const std::uint8_t invert = negative ? 0xff : 0;
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
      std::uint8_t byte = static_cast<std::uint8_t>(text[i]) ^ invert;
      if (i == 0) byte &= 0x7fU;
      if ((value >> 56U) != 0) return std::nullopt;
      value = (value << 8U) | byte;
    }
    if ((value >> 63U) != 0) return std::nullopt;
    return negative ? ~static_cast<std::int64_t>(value) : static_cast<std::int64_t>(value);
  }
  const std::size_t begin = text.find_first_not_of(std::string_view(" \0", 2));
  if (begin == std::string_view::npos) return 0;
  text = text.substr(begin, text.find_last_not_of(std::string_view(" \0", 2)) + 1 - begin);
  text = until_nul(text);
  std::uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '7' || (value >> 60U) != 0) return std::nullopt;
    value = value * 8 + static_cast<std::uint64_t>(c - '0');
  }
  return static_cast<std::int64_t>(value);
}

bool is_checksum_right(const Block& block) {
  const auto wanted = number(field(block, 148, 8));
  std::int64_t plain = 0;
  std::int64_t with_signs = 0;
  for (std::size_t i = 0; i < block.size(); ++i) {
    const char c = i >= 148 && i < 156 ? ' ' : block[i];
    plain += static_cast<unsigned char>(c);
    with_signs += static_cast<signed char>(c);
  }
  return wanted && (*wanted == plain || *wanted == with_signs);
}

std::string_view ustar_prefix(const Block& block) {
  const bool is_star = field(block, 508, 4) == std::string_view("tar\0", 4);
  return until_nul(field(block, 345, is_star ? 131 : 155));
}

// GNU has two times there, but Go before 1.8 wrote a prefix, and Go still reads one where a time is
// none.
std::string_view gnu_prefix(const Block& block) {
  const auto is_time = [&](std::size_t at) {
    return block[at] == '\0' || number(field(block, at, 12)).has_value();
  };
  const std::string_view text = until_nul(field(block, 345, 155));
  const bool is_ascii = std::all_of(text.begin(), text.end(),
                                    [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  return is_ascii && !(is_time(345) && is_time(357)) ? text : std::string_view();
}

bool is_zero(const Block& block) {
  return std::all_of(block.begin(), block.end(), [](char c) { return c == 0; });
}

struct Time {
  std::int64_t seconds;
  std::uint32_t nanoseconds;
};

// "-12.5": seconds with a fraction.
std::optional<Time> parse_time(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  const std::size_t dot = text.find('.');
  const auto whole = parse_uint(text.substr(0, dot));
  if (!whole || *whole > (kMaxSize >> 8U)) return std::nullopt;
  std::uint32_t fraction = 0;
  if (dot != std::string_view::npos) {
    std::string digits(text.substr(dot + 1, 9));
    digits.resize(9, '0');
    const auto value = parse_uint(digits);
    if (!value) return std::nullopt;
    fraction = static_cast<std::uint32_t>(*value);
  }
  auto seconds = static_cast<std::int64_t>(*whole);
  if (!negative) return Time{seconds, fraction};
  if (fraction == 0) return Time{-seconds, 0};
  return Time{-seconds - 1, 1'000'000'000 - fraction};
}

std::optional<TarMember::Kind> kind_of(char type) {
  using Kind = TarMember::Kind;
  switch (type) {
    case '\0':
    case '0':
      return Kind::file;
    case '1':
      return Kind::hardlink;
    case '2':
      return Kind::symlink;
    case '3':
      return Kind::character_device;
    case '4':
      return Kind::block_device;
    case '5':
      return Kind::directory;
    case '6':
      return Kind::fifo;
    default:
      return std::nullopt;
  }
}

}  // namespace

TarReader::TarReader(ByteSource& source, std::string name, TarSplitWriter* split)
    : source_(source), name_(std::move(name)), split_(split) {}

bool TarReader::next(TarMember& member) {
  end_member();
  Records records;
  std::string long_name;
  std::string long_link;
  Block block{};
  const auto id = [&](std::string_view text) {
    const auto value = number(text);
    if (!value || *value < 0 || *value > std::numeric_limits<std::uint32_t>::max())
      fail("a header has a number that is none");
    return static_cast<std::uint32_t>(*value);
  };
  for (;;) {
    if (!read_block(block)) {
      if (!records.empty() || !long_name.empty() || !long_link.empty())
        fail("it ends behind the header of a header");
      flush_segment();
      return false;
    }
    if (is_zero(block)) {
      if (read_block(block) && !is_zero(block)) fail("a block of zeros stands between its members");
      read_tail();
      return false;
    }
    if (!is_checksum_right(block)) fail("the checksum of a header is wrong");
    const auto size = number(field(block, 124, 12));
    if (!size || *size < 0) fail("a header has a size that is none");
    const char type = block[156];
    if (type == 'x' || type == 'g') {
      const std::string text = read_header_data(static_cast<std::uint64_t>(*size));
      records = parse_records(text);
      if (type == 'g') {
        // For nobody, as in Go, which takes a global header for a member: what stands before it is
        // not about the next one any more.
        records.clear();
        long_name.clear();
        long_link.clear();
      }
      continue;
    }
    if (type == 'L' || type == 'K') {
      const std::string text = read_header_data(static_cast<std::uint64_t>(*size));
      (type == 'L' ? long_name : long_link) = until_nul(text);
      continue;
    }
    if (type == 'S') fail("it has a sparse member, which a store could not give back");
    const auto kind = kind_of(type);
    if (!kind)
      fail(fmt::format("it has a member of type {:#04x}, which nobody knows",
                       static_cast<unsigned char>(type)));
    member = TarMember{.name = std::string(until_nul(field(block, 0, 100))), .kind = *kind};
    member.link = until_nul(field(block, 157, 100));
    member.size = static_cast<std::uint64_t>(*size);
    member.mode = id(field(block, 100, 8)) & 07777U;
    member.uid = id(field(block, 108, 8));
    member.gid = id(field(block, 116, 8));
    const auto mtime = number(field(block, 136, 12));
    if (!mtime) fail("a header has a time that is none");
    member.mtime = *mtime;
    const bool is_ustar = field(block, 257, 6) == std::string_view("ustar\0", 6);
    const bool is_gnu = field(block, 257, 8) == std::string_view("ustar  \0", 8);
    if (is_ustar || is_gnu) {
      if (*kind == TarMember::Kind::character_device || *kind == TarMember::Kind::block_device) {
        member.device_major = id(field(block, 329, 8));
        member.device_minor = id(field(block, 337, 8));
      }
    }
    const std::string_view prefix = is_ustar ? ustar_prefix(block)
                                    : is_gnu ? gnu_prefix(block)
                                             : std::string_view();
    if (!prefix.empty()) member.name = std::string(prefix) + "/" + member.name;
    apply(records, member);
    if (!long_name.empty()) member.name = long_name;
    if (!long_link.empty()) member.link = long_link;
    break;
  }
  if (++members_ > kMaxMembers)
    throw Error(ErrorKind::limit, fmt::format("{} has more than {} members", name_, kMaxMembers));
  if (member.name.size() > kMaxNameBytes || member.link.size() > kMaxNameBytes) {
    throw Error(ErrorKind::limit,
                fmt::format("{} has a name of more than {} bytes", name_, kMaxNameBytes));
  }
  if (member.kind == TarMember::Kind::file && member.name.ends_with('/') && block[156] != '0')
    member.kind = TarMember::Kind::directory;
  // Everything but files has no content, whatever its header says.
  const bool has_content = block[156] == '0' || block[156] == '\0';
  if (!has_content) member.size = 0;
  if (member.kind != TarMember::Kind::file && member.size != 0)
    fail("its member " + printable(member.name, 200) + " is a directory with content");
  flush_segment();
  has_member_ = true;
  member_name_ = member.name;
  member_size_ = left_ = member.size;
  crc_ = {};
  return true;
}

std::size_t TarReader::read(std::span<std::byte> buffer) {
  if (left_ == 0) return 0;
  const std::size_t got = source_.read(
      buffer.first(static_cast<std::size_t>(std::min<std::uint64_t>(left_, buffer.size()))));
  if (got == 0) fail("it ends within its member " + printable(member_name_, 200));
  left_ -= got;
  offset_ += got;
  if (split_ != nullptr) crc_.update(buffer.first(got));
  return got;
}

// --- bytes

std::size_t TarReader::read_up_to(std::span<char> buffer) {
  std::size_t filled = 0;
  while (filled < buffer.size()) {
    const std::size_t got = source_.read(std::as_writable_bytes(buffer.subspan(filled)));
    if (got == 0) break;
    filled += got;
  }
  offset_ += filled;
  if (split_ != nullptr) segment_.append(buffer.data(), filled);
  return filled;
}

// False at the end, where no block begins.
bool TarReader::read_block(std::span<char> block) {
  const std::size_t got = read_up_to(block);
  if (got != 0 && got != block.size()) fail("it ends within a block");
  return got != 0;
}

std::string TarReader::read_header_data(std::uint64_t size) {
  if (size > kMaxHeaderBytes) {
    throw Error(ErrorKind::limit, fmt::format("{} has a header of more than {}", name_,
                                              human_bytes(kMaxHeaderBytes)));
  }
  if (segment_.size() > 3 * kMaxHeaderBytes)
    throw Error(ErrorKind::limit, name_ + " has too many headers for one member");
  std::string text(static_cast<std::size_t>(size), '\0');
  if (read_up_to(text) != text.size()) fail("it ends within a header");
  skip_padding(size);
  return text;
}

void TarReader::skip_padding(std::uint64_t size) {
  std::array<char, kTarBlockBytes> padding{};
  // The last member's may be missing.
  read_up_to(std::span(padding).first(tar_padding(size)));
}

void TarReader::end_member() {
  if (!has_member_) return;
  has_member_ = false;
  std::array<std::byte, 16384> passed_over{};
  while (read(passed_over) != 0) {
  }
  if (split_ != nullptr) split_->file(member_name_, member_size_, crc_.value());
  skip_padding(member_size_);
}

void TarReader::read_tail() {
  std::array<char, 16384> piece{};
  while (read_up_to(piece) != 0) {
    if (segment_.size() >= kSegmentBytes) flush_segment();
  }
  flush_segment();
}

void TarReader::flush_segment() {
  if (split_ != nullptr && !segment_.empty()) split_->segment(segment_);
  segment_.clear();
}

// --- pax

TarReader::Records TarReader::parse_records(const std::string& text) const {
  Records records;
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::size_t space = rest.find(' ');
    const auto length = space == std::string_view::npos || space > 10
                            ? std::nullopt
                            : parse_uint(rest.substr(0, space));
    if (!length || *length < space + 3 || *length > rest.size() || rest[*length - 1] != '\n')
      fail("a pax header is broken");
    const std::string_view record = rest.substr(space + 1, *length - space - 2);
    const std::size_t equals = record.find('=');
    if (equals == std::string_view::npos || equals == 0) fail("a pax header is broken");
    // The kernel would read the name of an attribute to the NUL, and see another one.
    const std::string key(record.substr(0, equals));
    if (key.find('\0') != std::string::npos) fail("a pax header has a NUL in a key");
    records[key] = record.substr(equals + 1);
    rest.remove_prefix(*length);
  }
  return records;
}

void TarReader::apply(const Records& records, TarMember& member) const {
  const auto number_of = [&](const std::string& value, std::uint64_t most) {
    const auto found = parse_uint(value);
    if (!found || *found > most) fail("a pax header has a number that is none");
    return *found;
  };
  constexpr std::uint64_t kMaxId = std::numeric_limits<std::uint32_t>::max();
  for (const auto& [key, value] : records) {
    if (key.starts_with("GNU.sparse."))
      fail("it has a sparse member, which a store could not give back");
    if (value.empty() && !key.starts_with(kXattr)) continue;
    const bool is_text = key == "path" || key == "linkpath";
    if (is_text && value.find('\0') != std::string::npos) fail("a pax header has a NUL in a name");
    if (key == "path") {
      member.name = value;
    } else if (key == "linkpath") {
      member.link = value;
    } else if (key == "size") {
      member.size = number_of(value, kMaxSize);
    } else if (key == "uid") {
      member.uid = static_cast<std::uint32_t>(number_of(value, kMaxId));
    } else if (key == "gid") {
      member.gid = static_cast<std::uint32_t>(number_of(value, kMaxId));
    } else if (key == "mtime") {
      const auto time = parse_time(value);
      if (!time) fail("a pax header has a time that is none");
      member.mtime = time->seconds;
      member.mtime_ns = time->nanoseconds;
    } else if (key.starts_with(kXattr)) {
      member.xattrs[key.substr(kXattr.size())] = value;
    }
  }
}

void TarReader::fail(const std::string& what) const {
  throw Error(
      ErrorKind::integrity,
      fmt::format("{} is no tar that can be stored: {} (before byte {})", name_, what, offset_));
}

}  // namespace tug
