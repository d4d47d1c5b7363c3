// libFuzzer's mutator for targets that read tars. Their headers have a checksum, so that almost
// every change that is made blindly ends at the first look; here headers, and fields in them, are
// changed where they stand and summed up again. What is no tar is changed as usual.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <random>
#include <vector>

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned int seed);

namespace {

constexpr std::size_t kBlock = 512;
struct Field {
  std::size_t at;
  std::size_t size;
};
// name, mode, uid, gid, size, mtime, type, link, magic, major, minor, prefix
constexpr Field kFields[] = {{0, 100}, {100, 8},   {108, 8}, {116, 8}, {124, 12}, {136, 12},
                             {156, 1}, {157, 100}, {257, 8}, {329, 8}, {337, 8},  {345, 155}};

bool is_tar(const std::uint8_t* data, std::size_t size) {
  return size >= kBlock && std::memcmp(data + 257, "ustar", 5) == 0;
}

std::size_t octal(const std::uint8_t* digits, std::size_t size) {
  std::size_t value = 0;
  for (; size != 0 && *digits >= '0' && *digits <= '7'; ++digits, --size)
    value = value * 8 + (*digits - std::size_t{'0'});
  return value;
}

// Where headers are, as the sizes in them say.
std::vector<std::size_t> headers_in(const std::uint8_t* data, std::size_t size) {
  std::vector<std::size_t> headers;
  for (std::size_t at = 0; at + kBlock <= size && data[at] != 0;) {
    headers.push_back(at);
    const std::size_t content = octal(data + at + 124, 11);
    if (content > size) break;
    at += kBlock + (content + kBlock - 1) / kBlock * kBlock;
  }
  return headers;
}

void sum_up(std::uint8_t* header) {
  std::memset(header + 148, ' ', 8);
  unsigned sum = 0;
  for (std::size_t i = 0; i < kBlock; ++i) sum += header[i];
  char digits[8];
  std::snprintf(digits, sizeof digits, "%06o", sum);
  std::memcpy(header + 148, digits, 7);
}

}  // namespace

std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                    unsigned int seed) {
  std::minstd_rand random(seed);
  const auto below = [&](std::size_t limit) { return random() % limit; };
  if (!is_tar(data, size) || below(8) == 0) return LLVMFuzzerMutate(data, size, max_size);
  const std::vector<std::size_t> headers = headers_in(data, size);
  if (headers.empty()) return LLVMFuzzerMutate(data, size, max_size);
  const std::size_t here = headers[below(headers.size())];
  const std::size_t other = headers[below(headers.size())];
  const Field field = kFields[below(std::size(kFields))];
  switch (below(6)) {
    case 0: {  // a name in the place of another's link or name
      const std::size_t from = below(2) == 0 ? 0 : 157;
      std::memmove(data + here + (below(2) == 0 ? 0 : 157), data + other + from, 100);
      break;
    }
    case 1: {  // a member once more, at the front of another
      const std::size_t length = below(2) == 0 || here + 2 * kBlock > size ? kBlock : 2 * kBlock;
      if (size + length > max_size) break;
      const std::vector<std::uint8_t> copy(data + here, data + here + length);
      std::memmove(data + other + length, data + other, size - other);
      std::memcpy(data + other, copy.data(), length);
      size += length;
      break;
    }
    case 2: {  // a content: of a pax header, most of all
      const std::size_t length = octal(data + here + 124, 11);
      if (length == 0 || length > size - here - kBlock) break;
      LLVMFuzzerMutate(data + here + kBlock, length, length);
      break;
    }
    case 3:  // another type
      data[here + 156] = static_cast<std::uint8_t>("0123456xgLKSV\0"[below(14)]);
      break;
    default:
      LLVMFuzzerMutate(data + here + field.at, field.size, field.size);
  }
  for (const std::size_t header : headers_in(data, size)) sum_up(data + header);
  return size;
}
