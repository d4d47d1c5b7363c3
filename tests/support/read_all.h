// Reading a source to its end, for tests.
#ifndef TUG_TESTS_SUPPORT_READ_ALL_H_
#define TUG_TESTS_SUPPORT_READ_ALL_H_

#include <tug/blob.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace tug::test {

// Everything that `source` yields, asked for in pieces of `step` bytes.
inline std::string read_all(ByteSource& source, std::size_t step = 100000) {
  std::string all;
  std::string piece(step, '\0');
  while (const std::size_t got = source.read(std::as_writable_bytes(std::span(piece))))
    all.append(piece, 0, got);
  return all;
}
inline std::string read_all(std::unique_ptr<ByteSource> source, std::size_t step = 100000) {
  return read_all(*source, step);
}

}  // namespace tug::test

#endif  // TUG_TESTS_SUPPORT_READ_ALL_H_
