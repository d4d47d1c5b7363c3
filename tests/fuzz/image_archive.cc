// A tar with images in it, plain or compressed: any bytes are an index of members or refused; what
// a member yields is its size, and nothing is found outside.
#include "transport/image_archive.h"

#include "support/read_all.h"

#include <tug/error.h>

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const tug::UniqueFd file(::memfd_create("archive", MFD_CLOEXEC));
  if (!file || ::write(file.get(), data, size) != static_cast<ssize_t>(size)) return 0;
  try {
    const auto archive =
        tug::ImageArchive::open("/proc/self/fd/" + std::to_string(file.get()), "/tmp", {});
    if (archive.has("../x") || archive.has("/x") || archive.has("")) std::abort();
    for (const char* name : {"manifest.json", "index.json", "a", "link/a", "hard"}) {
      const auto length = archive.size_of(name);
      if (!length) continue;
      if (archive.front_of(name).size() > 4) std::abort();
      if (*length > (1U << 20U)) continue;
      if (tug::test::read_all(archive.open_member(name)).size() != *length) std::abort();
      (void)archive.read(name, 1U << 20U);
    }
  } catch (const tug::Error&) {
  }
  return 0;
}
