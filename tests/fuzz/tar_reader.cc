// A layer's tar: any bytes are members or refused; what tar-split keeps of them, with the contents,
// is the same bytes again.
#include "stream/tar_reader.h"

#include "stream/compress.h"
#include "stream/file_source.h"
#include "stream/tar_split.h"
#include "stream/tar_split_writer.h"

#include <tug/error.h>

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  std::string packed;
  std::string contents;
  try {
    tug::TarSplitWriter split([&](std::span<const std::byte> piece) {
      packed.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    });
    const auto source = tug::memory_source(bytes);
    tug::TarReader reader(*source, "x", &split);
    tug::TarMember member;
    std::string buffer(4096, '\0');
    while (reader.next(member)) {
      while (const std::size_t got = reader.read(std::as_writable_bytes(std::span(buffer))))
        contents.append(buffer, 0, got);
    }
    split.finish();
  } catch (const tug::Error& error) {
    const bool is_expected =
        error.kind() == tug::ErrorKind::integrity || error.kind() == tug::ErrorKind::limit;
    if (!is_expected) std::abort();
    return 0;
  }
  tug::TarSplitReader reader(tug::decompressing_source(tug::memory_source(packed), "x"), "x");
  tug::TarSplitEntry entry;
  std::string again;
  std::size_t at = 0;
  while (reader.next(entry)) {
    again += entry.payload;
    again += contents.substr(at, entry.size);
    at += entry.size;
  }
  if (again != bytes) std::abort();
  return 0;
}
