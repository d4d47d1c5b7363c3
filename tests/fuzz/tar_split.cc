// tar-split: any bytes are entries or refused with Error(integrity); what is handed on keeps the
// promises of the header.
#include "stream/tar_split.h"

#include "stream/file_source.h"

#include <tug/error.h>

#include <cstdint>
#include <cstdlib>
#include <limits>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  try {
    tug::TarSplitReader reader(tug::memory_source(bytes), "x");
    tug::TarSplitEntry entry;
    std::uint64_t total = 0;
    while (reader.next(entry)) {
      total += entry.payload.size() + entry.size;
      const std::string path = tug::clean_member_name(entry.name);
      const bool escapes = path.starts_with('/') || ("/" + path + "/").find("/../") != path.npos;
      if (escapes || path.find('\0') != path.npos || tug::clean_member_name(path) != path)
        std::abort();
      if (total > std::numeric_limits<std::int64_t>::max()) std::abort();
    }
  } catch (const tug::Error& error) {
    if (error.kind() != tug::ErrorKind::integrity) std::abort();
  }
  return 0;
}
