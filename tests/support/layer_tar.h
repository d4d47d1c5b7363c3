// Tars as anybody may make them, header by header.
#ifndef TUG_TESTS_SUPPORT_LAYER_TAR_H_
#define TUG_TESTS_SUPPORT_LAYER_TAR_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace tug::test {

struct TarEntry {
  std::string name;
  char type = '0';
  std::string content = {};
  std::string link = {};
  unsigned mode = 0644;
  std::uint64_t claimed = 0;  // a size in the header of what has no content
};

inline std::string padded(std::string text) {
  text.resize((text.size() + 511) / 512 * 512, '\0');
  return text;
}

inline std::string header_of(const TarEntry& entry) {
  std::string block(512, '\0');
  const auto put = [&](std::size_t at, std::string_view text) {
    block.replace(at, text.size(), text);
  };
  const auto octal = [](std::uint64_t value, std::size_t width) {
    std::string digits(width, '0');
    for (std::size_t i = width; i-- > 0; value /= 8) digits[i] = static_cast<char>('0' + value % 8);
    return digits;
  };
  put(0, std::string_view(entry.name).substr(0, 100));
  put(100, octal(entry.mode, 7));
  put(108, "0000000");
  put(116, "0000000");
  put(124, octal(entry.content.empty() ? entry.claimed : entry.content.size(), 11));
  put(136, octal(1'700'000'000, 11));
  put(148, "        ");
  block[156] = entry.type;
  put(157, std::string_view(entry.link).substr(0, 100));
  put(257, std::string_view("ustar\00000", 8));
  std::uint64_t sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  put(148, octal(sum, 6) + std::string("\0 ", 2));
  return block;
}

inline std::string member_of(const TarEntry& entry) {
  return header_of(entry) + padded(entry.content);
}

// "12 key=value\n", counted with its own length.
inline std::string pax_record(const std::string& key, const std::string& value) {
  const std::string rest = " " + key + "=" + value + "\n";
  std::size_t length = rest.size() + 1;
  while (std::to_string(length).size() + rest.size() != length)
    length = std::to_string(length).size() + rest.size();
  return std::to_string(length) + rest;
}

inline const std::string kTarEnd = std::string(1024, '\0');

}  // namespace tug::test

#endif  // TUG_TESTS_SUPPORT_LAYER_TAR_H_
