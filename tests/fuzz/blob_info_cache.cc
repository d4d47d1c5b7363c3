// A blob info cache that anybody may have written: it answers, and never fails.
#include "copy/blob_info_cache.h"

#include "support/temp_dir.h"

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const tug::test::TempDir dir(
      std::filesystem::exists("/dev/shm") ? "/dev/shm" : std::filesystem::temp_directory_path());
  static const tug::Log log;
  for (const char* suffix : {"-journal", "-wal", "-shm"})
    std::filesystem::remove(dir.path() + "/cache.sqlite" + suffix);
  const std::string path = dir.write("cache.sqlite", {reinterpret_cast<const char*>(data), size});
  tug::BlobInfoCache cache(path, log);
  for (const char* content : {"tar", "gzip"}) {
    const auto found = cache.candidates("reg:5000", tug::Digest::of(content), true);
    if (found.size() > 5) std::abort();
    for (const auto& candidate : found)
      if (candidate.repositories.size() > 5) std::abort();
  }
  cache.record(tug::RegistryReference::parse("reg:5000/a:1"),
               {{}, {{tug::Digest::of("x"), "gzip"}}, {tug::Digest::of("x")}});
  return 0;
}
