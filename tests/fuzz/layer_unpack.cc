// A layer unpacked into a directory that has files and links already: whatever the members are,
// nothing beside the directory changes, and what was made can be copied and removed. The input is a
// digit for the options and a tar, or a line for each member: TYPE NAME [LINK [CONTENT]].
#include "transport/layer_unpack.h"

#include "base/strings.h"
#include "stream/file_source.h"
#include "support/layer_tar.h"
#include "support/temp_dir.h"
#include "transport/directory_tree.h"

#include <tug/error.h>

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <tuple>

namespace {
namespace fs = std::filesystem;

// The places that a layer is not to reach, and the directory that it goes into.
struct Lab {
  tug::test::TempDir dir{fs::exists("/dev/shm") ? "/dev/shm" : fs::temp_directory_path()};
  tug::UniqueFd top{tug::open_directory(dir.path())};
  const std::string root = dir.path() + "/root";
  const std::string secret = dir.write("outside/secret", "secret");
  const std::string outside = dir.path() + "/outside";

  static auto look_at(const std::string& path) {
    struct stat s {};
    if (::lstat(path.c_str(), &s) != 0) std::abort();
    return std::tuple(s.st_ino, s.st_mode, s.st_uid, s.st_gid, s.st_nlink, s.st_size,
                      s.st_ctim.tv_sec, s.st_ctim.tv_nsec);
  }
  [[nodiscard]] auto state() const { return std::pair(look_at(outside), look_at(secret)); }
  void fill() const {
    (void)dir.write("root/low/f", "f");
    (void)dir.write("root/low/d/g", "g");
    fs::create_symlink("../outside", root + "/out");
    fs::create_symlink("../../outside/secret", root + "/low/s");
    fs::create_symlink("low/d", root + "/in");
  }
  void clear() const {
    for (const char* name : {"root", "copy"}) tug::remove_tree(top.get(), name, name);
    if (tug::names_in(top.get(), "top").size() != 1) std::abort();
  }
};

std::string tar_of(std::string_view lines, const std::string& outside) {
  if (lines.size() >= 512 && lines.substr(257, 5) == "ustar") return std::string(lines);
  std::string tar;
  for (const std::string_view line : tug::split(lines, '\n')) {
    if (line.size() < 3) continue;
    auto words = tug::split(line.substr(2), ' ');
    words.resize(3);
    tug::test::TarEntry entry{.name = std::string(words[0]),
                              .type = line[0],
                              .content = std::string(words[2]),
                              .link = std::string(words[1])};
    for (std::string* text : {&entry.name, &entry.link})
      if (text->starts_with('@')) text->replace(0, 1, outside);
    if (entry.type == 'x') entry.content = tug::test::pax_record(entry.name, entry.link);
    tar += tug::test::member_of(entry);
  }
  return tar + tug::test::kTarEnd;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Lab lab;
  static const auto before = lab.state();
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const unsigned bits = static_cast<unsigned char>(input[0]);
  lab.fill();
  try {
    const tug::UniqueFd root = tug::open_directory(lab.root);
    const auto source = tug::memory_source(tar_of(input.substr(1), lab.outside));
    tug::TarReader reader(*source, "t.tar", nullptr);
    tug::LayerUnpacker unpacker(root.get(), lab.root,
                                {.overlay = (bits & 1U) != 0,
                                 .in_user_namespace = (bits & 2U) != 0,
                                 .ignore_chown_errors = true},
                                {});
    for (tug::TarMember member; reader.next(member);) {
      if (::geteuid() != 0) member.mode |= 0700U;  // or it could not be removed
      unpacker.add(member, reader);
    }
    unpacker.finish();
    if ((bits & 4U) != 0 && ::mkdir((lab.dir.path() + "/copy").c_str(), 0700) == 0)
      tug::copy_tree(root.get(), tug::open_directory(lab.dir.path() + "/copy").get(), "copy", {});
  } catch (const tug::Error& error) {
    const auto kind = error.kind();
    if (kind != tug::ErrorKind::integrity && kind != tug::ErrorKind::local &&
        kind != tug::ErrorKind::limit)
      std::abort();
  }
  if (lab.state() != before) std::abort();
  lab.clear();
  return 0;
}
