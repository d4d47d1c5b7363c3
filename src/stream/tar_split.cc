#include "stream/tar_split.h"

#include "base/strings.h"

#include <tug/error.h>

#include <fmt/format.h>

#include <array>
#include <limits>
#include <utility>
#include <vector>

namespace tug {
namespace {

// Limits on what strangers write. Headers of one member are at most a few MiB together (a pax
// header and two long names of up to 1 MiB each), trailing bytes come in pieces of 1 MiB.
constexpr std::size_t kMaxSegment = 8 * 1024 * 1024;
constexpr std::size_t kMaxName = 64 * 1024;
constexpr std::size_t kMaxKey = 64;
constexpr std::size_t kMaxFields = 32;
constexpr std::uint64_t kMaxTotal = std::numeric_limits<std::int64_t>::max();

constexpr std::uint64_t kSegmentType = 2;
constexpr std::uint64_t kFileType = 1;

constexpr std::size_t base64_length(std::size_t bytes) { return (bytes + 2) / 3 * 4; }

void append_utf8(std::string& text, std::uint32_t c) {
  const auto add = [&](std::uint32_t byte) { text += static_cast<char>(byte); };
  const auto add_tail = [&](unsigned shift) { add(0x80U | ((c >> shift) & 0x3fU)); };
  if (c < 0x80) {
    add(c);
  } else if (c < 0x800) {
    add(0xc0U | (c >> 6U));
    add_tail(0);
  } else if (c < 0x10000) {
    add(0xe0U | (c >> 12U));
    add_tail(6);
    add_tail(0);
  } else {
    add(0xf0U | (c >> 18U));
    add_tail(12);
    add_tail(6);
    add_tail(0);
  }
}

int hex_digit(int c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Eight bytes, most significant first.
std::uint64_t big_endian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (const char byte : bytes) value = (value << 8U) | static_cast<std::uint8_t>(byte);
  return value;
}

}  // namespace

// A scanner for flat JSON objects: strings, numbers and null, nothing nested.
class TarSplitReader::Parser {
 public:
  Parser(std::unique_ptr<ByteSource> json, std::string name)
      : json_(std::move(json)), name_(std::move(name)), input_(kInputSize) {}

  bool next(TarSplitEntry& entry) {
    skip_space();
    if (peek() < 0) return false;
    read_object();
    if (!type_) fail("it has no type");
    if (position_ != entries_) fail("its position is not the next number");
    if (*type_ == kSegmentType) {
      fill_segment(entry);
    } else if (*type_ == kFileType) {
      fill_file(entry);
    } else {
      fail(fmt::format("type {} is unknown", *type_));
    }
    ++entries_;
    return true;
  }

 private:
  static constexpr std::size_t kInputSize = 64 * 1024;
  static constexpr int kEnd = -1;

  // --- what an object means ---

  void fill_segment(TarSplitEntry& entry) {
    decode(payload_, kMaxSegment, "segment");
    entry = {};
    entry.kind = TarSplitEntry::Kind::segment;
    entry.payload = *payload_;
    count(entry.payload.size());
  }

  void fill_file(TarSplitEntry& entry) {
    entry = {};
    entry.kind = TarSplitEntry::Kind::file;
    entry.name = member_name();
    entry.size = size_.value_or(0);
    decode(payload_, sizeof(std::uint64_t), "checksum");
    if (payload_->size() == sizeof(std::uint64_t)) {
      entry.crc = big_endian(*payload_);
    } else if (!payload_->empty()) {
      fail("its checksum has not 8 bytes");
    }
    count(entry.size);
  }

  std::string_view member_name() {
    if (raw_name_) {
      decode(raw_name_, kMaxName, "name");
    } else if (!plain_name_) {
      fail("it has no name");
    } else if (plain_name_->size() > kMaxName) {
      fail("its name is too long");
    } else if (!is_utf8(*plain_name_)) {
      fail("its name is not UTF-8");
    }
    const std::string& name = raw_name_ ? *raw_name_ : *plain_name_;
    if (name.find('\0') != std::string::npos) fail("its name has a NUL byte");
    return name;
  }

  // Base64 in place; what is not there becomes "".
  void decode(std::optional<std::string>& text, std::size_t most, const char* what) {
    auto bytes = base64_decode(text ? std::string_view(*text) : std::string_view());
    if (!bytes) fail(fmt::format("its {} is not base64", what));
    if (bytes->size() > most) fail(fmt::format("its {} is too long", what));
    text = std::move(*bytes);
  }

  // So that nobody who adds sizes up has to think of overflow.
  void count(std::uint64_t size) {
    if (size > kMaxTotal - total_) fail("the sizes add up to more than a tar can have");
    total_ += size;
  }

  // --- JSON ---

  void read_object() {
    forget_fields();
    expect('{');
    skip_space();
    if (peek() == '}') return void(take());
    for (std::size_t fields = 0; fields < kMaxFields; ++fields) {
      read_field();
      skip_space();
      const int c = take();
      if (c == '}') return;
      if (c != ',') unexpected(c);
      skip_space();
    }
    fail("it has too many fields");
  }

  void forget_fields() {
    type_.reset();
    position_.reset();
    size_.reset();
    payload_.reset();
    plain_name_.reset();
    raw_name_.reset();
  }

  void read_field() {
    std::string key;
    read_string(key, kMaxKey);
    skip_space();
    expect(':');
    skip_space();
    if (key == "type") {
      once(type_) = read_number();
    } else if (key == "position") {
      once(position_) = read_number();
    } else if (key == "size") {
      once(size_) = read_number();
    } else if (key == "payload") {
      read_text_or_null(payload_, base64_length(kMaxSegment));
    } else if (key == "name") {
      read_text_or_null(plain_name_, kMaxName);
    } else if (key == "name_raw") {
      read_text_or_null(raw_name_, base64_length(kMaxName));
    } else {
      skip_value();
    }
  }

  template <typename T>
  std::optional<T>& once(std::optional<T>& field) {
    if (field) fail("it has a field twice");
    return field;
  }

  void read_text_or_null(std::optional<std::string>& field, std::size_t most) {
    once(field);
    if (peek() == 'n') return expect_word("null");
    read_string(field.emplace(), most);
  }

  // A field of a later version: any value that is not nested.
  void skip_value() {
    const int c = peek();
    if (c == '"') {
      std::string ignored;
      read_string(ignored, kMaxName);
    } else if (c == 't') {
      expect_word("true");
    } else if (c == 'f') {
      expect_word("false");
    } else if (c == 'n') {
      expect_word("null");
    } else {
      read_number();
    }
  }

  // A size or a running number: no sign, no fraction, at most 63 bits.
  std::uint64_t read_number() {
    if (peek() < '0' || peek() > '9') unexpected(peek());
    if (peek() == '0') {
      take();
      return 0;
    }
    std::uint64_t value = 0;
    while (peek() >= '0' && peek() <= '9') {
      const auto digit = static_cast<std::uint64_t>(take() - '0');
      if (value > (kMaxTotal - digit) / 10) fail("a number is too large");
      value = value * 10 + digit;
    }
    return value;
  }

  void read_string(std::string& text, std::size_t most) {
    expect('"');
    for (;;) {
      append_plain(text, most);
      const int c = take();
      if (c == '"') return;
      if (c != '\\') unexpected(c);
      read_escape(text);
    }
  }

  // The characters up to the next quote, backslash or control character.
  void append_plain(std::string& text, std::size_t most) {
    for (;;) {
      if (peek() == kEnd) return;
      const char* const first = input_.data() + begin_;
      const char* const last = input_.data() + end_;
      const char* at = first;
      while (at != last && *at != '"' && *at != '\\' && static_cast<std::uint8_t>(*at) >= 0x20)
        ++at;
      const auto size = static_cast<std::size_t>(at - first);
      if (text.size() + size > most) fail("a text is too long");
      text.append(first, size);
      begin_ += size;
      if (at != last) return;
    }
  }

  void read_escape(std::string& text) {
    constexpr std::string_view kLetters = "\"\\/bfnrt";
    constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
    const int c = take();
    if (c == 'u') return append_utf8(text, read_code_point());
    const std::size_t which = c < 0 ? std::string_view::npos : kLetters.find(static_cast<char>(c));
    if (which == std::string_view::npos) unexpected(c);
    text += kMeanings[which];
  }

  // Behind "\u"; a pair of surrogates is one character.
  std::uint32_t read_code_point() {
    const std::uint32_t first = read_hex4();
    if (first < 0xd800 || first > 0xdfff) return first;
    if (first > 0xdbff) fail("half a surrogate pair");
    expect('\\');
    expect('u');
    const std::uint32_t second = read_hex4();
    if (second < 0xdc00 || second > 0xdfff) fail("half a surrogate pair");
    return 0x10000U + ((first - 0xd800U) << 10U) + (second - 0xdc00U);
  }

  std::uint32_t read_hex4() {
    std::uint32_t value = 0;
    for (int i = 0; i < 4; ++i) {
      const int c = take();
      const int digit = hex_digit(c);
      if (digit < 0) unexpected(c);
      value = value * 16 + static_cast<std::uint32_t>(digit);
    }
    return value;
  }

  void expect(char wanted) {
    const int c = take();
    if (c != wanted) unexpected(c);
  }
  void expect_word(std::string_view word) {
    for (const char c : word) expect(c);
  }
  void skip_space() {
    while (peek() == ' ' || peek() == '\n' || peek() == '\r' || peek() == '\t') take();
  }

  // --- bytes ---

  int peek() {
    if (begin_ == end_ && !refill()) return kEnd;
    return static_cast<std::uint8_t>(input_[begin_]);
  }
  int take() {
    const int c = peek();
    if (c != kEnd) ++begin_;
    return c;
  }
  bool refill() {
    if (ended_) return false;
    consumed_ += end_;
    begin_ = 0;
    end_ = json_->read(std::as_writable_bytes(std::span(input_)));
    ended_ = end_ == 0;
    return !ended_;
  }

  [[noreturn]] void unexpected(int c) const {
    if (c == kEnd) fail("the data ends inside of it");
    fail(c > 0x20 && c < 0x7f ? fmt::format("unexpected '{}'", static_cast<char>(c))
                              : fmt::format("unexpected byte 0x{:02x}", c));
  }
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorKind::integrity, fmt::format("{}: tar-split entry {}, before byte {}: {}",
                                                  name_, entries_, consumed_ + begin_, what));
  }

  const std::unique_ptr<ByteSource> json_;
  const std::string name_;
  std::vector<char> input_;
  std::size_t begin_ = 0;  // what is not taken yet: [begin_, end_) of input_
  std::size_t end_ = 0;
  std::uint64_t consumed_ = 0;  // bytes before input_
  bool ended_ = false;
  std::uint64_t entries_ = 0;
  std::uint64_t total_ = 0;
  // The fields of one object.
  std::optional<std::uint64_t> type_;
  std::optional<std::uint64_t> position_;
  std::optional<std::uint64_t> size_;
  std::optional<std::string> payload_;
  std::optional<std::string> plain_name_;
  std::optional<std::string> raw_name_;
};

TarSplitReader::TarSplitReader(std::unique_ptr<ByteSource> json, std::string name)
    : parser_(std::make_unique<Parser>(std::move(json), std::move(name))) {}
TarSplitReader::TarSplitReader(TarSplitReader&&) noexcept = default;
TarSplitReader& TarSplitReader::operator=(TarSplitReader&&) noexcept = default;
TarSplitReader::~TarSplitReader() = default;

bool TarSplitReader::next(TarSplitEntry& entry) { return parser_->next(entry); }

std::string clean_member_name(std::string_view name) {
  std::vector<std::string_view> parts;
  for (const std::string_view part : split(name, '/')) {
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      parts.push_back(part);
    } else if (!parts.empty()) {
      parts.pop_back();
    }
  }
  std::string path;
  for (const std::string_view part : parts) {
    if (!path.empty()) path += '/';
    path += part;
  }
  return path;
}

namespace {

// Slicing by 8: table[k][b] is what byte b does when k more bytes follow it.
using CrcTables = std::array<std::array<std::uint64_t, 256>, 8>;

constexpr CrcTables make_crc_tables() {
  constexpr std::uint64_t kPolynomial = 0xd800000000000000;  // x^64+x^4+x^3+x+1, reflected
  CrcTables tables{};
  for (std::size_t byte = 0; byte < 256; ++byte) {
    std::uint64_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? kPolynomial : 0);
    tables[0][byte] = crc;
  }
  for (std::size_t k = 1; k < 8; ++k) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::uint64_t before = tables[k - 1][byte];
      tables[k][byte] = tables[0][before & 0xffU] ^ (before >> 8U);
    }
  }
  return tables;
}

constexpr CrcTables kCrcTables = make_crc_tables();

}  // namespace

void Crc64::update(std::span<const std::byte> bytes) noexcept {
  std::size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8) {
    std::uint64_t word = 0;
    for (std::size_t i = 0; i < 8; ++i)
      word |= std::to_integer<std::uint64_t>(bytes[at + i]) << (8 * i);
    word ^= state_;
    state_ = 0;
    for (std::size_t i = 0; i < 8; ++i) state_ ^= kCrcTables[7 - i][(word >> (8 * i)) & 0xffU];
  }
  for (; at < bytes.size(); ++at) {
    state_ = (state_ >> 8U) ^
             kCrcTables[0][(state_ ^ std::to_integer<std::uint64_t>(bytes[at])) & 0xffU];
  }
}

}  // namespace tug
