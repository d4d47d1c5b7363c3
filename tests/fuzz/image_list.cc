// --from-file, and --shard in its first line: pairs with different destinations, each in one shard,
// or Error(usage).
#include "cli/image_list.h"

#include <tug/error.h>

#include <cstdint>
#include <cstdlib>
#include <set>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tug::cli;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string_view line = text.substr(0, text.find('\n'));
  try {
    std::set<std::string> places;
    for (const ImagePair& pair : parse_image_list(text.substr(line.size()), "list.txt")) {
      if (!places.insert(pair.destination.str()).second) std::abort();
      int shards = 0;
      for (std::uint64_t i = 1; i <= 3; ++i) shards += Shard{i, 3}.has(pair.destination) ? 1 : 0;
      if (shards != 1) std::abort();
    }
    const Shard shard = Shard::parse(line);
    if (shard.number == 0 || shard.number > shard.count) std::abort();
  } catch (const tug::Error& error) {
    if (error.kind() != tug::ErrorKind::usage) std::abort();
  }
  return 0;
}
