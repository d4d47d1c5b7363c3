#include "transport/layer_unpack.h"

#include "stream/file_source.h"
#include "support/error_of.h"
#include "support/layer_tar.h"
#include "support/temp_dir.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <vector>

namespace tug {
namespace {

namespace fs = std::filesystem;
using test::check_error;
using test::TarEntry;

// A layer's directory with something secret beside it. Owners need root; they are left alone here.
class Lab {
 public:
  Lab() {
    fs::create_directory(root());
    fs::create_directory(outside());
    put(outside() + "/secret", "secret");
  }
  [[nodiscard]] std::string root() const { return directory_.path() + "/root"; }
  [[nodiscard]] std::string outside() const { return directory_.path() + "/outside"; }

  static void put(const std::string& path, const std::string& text) {
    fs::create_directories(fs::path(path).parent_path());
    std::ofstream(path) << text;
  }

  void unpack(const std::vector<TarEntry>& entries, bool overlay = false) const {
    std::string tar;
    for (const TarEntry& entry : entries) tar += test::member_of(entry);
    const auto source = memory_source(tar + test::kTarEnd);
    TarReader reader(*source, "t.tar", nullptr);
    const UniqueFd directory = open_directory(root());
    LayerUnpacker unpacker(directory.get(), root(),
                           {.overlay = overlay, .ignore_chown_errors = true}, {});
    TarMember member;
    while (reader.next(member)) unpacker.add(member, reader);
    unpacker.finish();
  }

  [[nodiscard]] bool has(const std::string& path) const {
    return fs::exists(fs::symlink_status(root() + "/" + path));
  }
  [[nodiscard]] std::string read(const std::string& path) const {
    return read_file(root() + "/" + path, 1000);
  }
  void check_outside() const {
    CHECK(read_file(outside() + "/secret", 100) == "secret");
    struct stat status {};
    REQUIRE(::stat((outside() + "/secret").c_str(), &status) == 0);
    CHECK(status.st_nlink == 1);
    std::size_t count = 0;
    for (const auto& entry : fs::directory_iterator(outside())) {
      (void)entry;
      ++count;
    }
    CHECK(count == 1);
  }

 private:
  test::TempDir directory_;
};

TarEntry file(const std::string& name, const std::string& content = "x") {
  return {.name = name, .content = content};
}
TarEntry link(const std::string& name, const std::string& to, char type = '2') {
  return {.name = name, .type = type, .link = to};
}
TarEntry directory(const std::string& name, unsigned mode = 0755) {
  return {.name = name, .type = '5', .mode = mode};
}

}  // namespace

TEST_CASE("members become files, with modes and times, directories last") {
  const Lab lab;
  lab.unpack({directory("./d/", 01777),
              file("./d/f", "hello"),
              link("./l", "d"),
              link("./h", "./d/f", '1'),
              {.name = "./pipe", .type = '6', .mode = 0600},
              {.name = "./su", .content = "s", .mode = 04755},
              file("a/b/c"),
              file("l/through")});
  CHECK(lab.read("d/f") == "hello");
  CHECK(lab.read("h") == "hello");
  CHECK(lab.read("a/b/c") == "x");
  CHECK(lab.read("d/through") == "x");
  struct stat status {};
  REQUIRE(::stat((lab.root() + "/d").c_str(), &status) == 0);
  CHECK((status.st_mode & 07777U) == 01777);
  CHECK(status.st_mtime == 1'700'000'000);
  REQUIRE(::stat((lab.root() + "/su").c_str(), &status) == 0);
  CHECK((status.st_mode & 07777U) == 04755);
  REQUIRE(::stat((lab.root() + "/h").c_str(), &status) == 0);
  CHECK(status.st_nlink == 2);
}

TEST_CASE("nothing leaves the directory") {
  for (const bool overlay : {false, true}) {
    const Lab lab;
    const std::string far = "../../../../../../../../../../.." + lab.outside();
    const std::vector<std::vector<TarEntry>> layers = {
        {file("../outside/evil")},
        {file("a/../../outside/evil")},
        {link("s", lab.outside()), file("s/evil")},
        {link("s2", far), file("s2/evil")},
        {link("s3", far), file("s3/secret", "overwritten")},
        {link("h", "../outside/secret", '1')},
        {link("h2", far + "/secret", '1')},
        {link("s4", lab.outside()), link("h3", "s4/secret", '1')},
        {link("s5", lab.outside()), file("s5/.wh.secret", "")},
        {link("s6", lab.outside()), file("s6/.wh..wh..opq", "")},
        {file("../outside/.wh.secret", "")},
        {file(".wh...", "")},
        {file(".wh..", "")},
        {file("d/.wh.", "")},
        {file("d2/.wh...", "")},
    };
    for (const std::vector<TarEntry>& layer : layers) {
      CAPTURE(layer.back().name);
      try {
        lab.unpack(layer, overlay);
      } catch (const Error& error) {
        CHECK((error.kind() == ErrorKind::integrity || error.kind() == ErrorKind::local));
      }
      lab.check_outside();
    }
  }
}

TEST_CASE("an absolute name or link begins at the layer") {
  const Lab lab;
  lab.unpack({directory("real"), link("abs", "/real"), file("/top"), file("abs/f")});
  CHECK(lab.has("top"));
  CHECK(lab.has("real/f"));
}

TEST_CASE("members that cannot be") {
  struct Case {
    std::vector<TarEntry> layer;
    ErrorKind kind;
    std::string_view says;
  };
  const Case cases[] = {
      {{file("a"), file("./a")}, ErrorKind::integrity, "two members"},
      {{directory("d"), link("l", "d"), file("d/x"), file("l/x")}, ErrorKind::integrity, "replace"},
      {{file("a"), file("a/b")}, ErrorKind::local, "Not a directory"},
      {{file(".")}, ErrorKind::integrity, "no directory"},
      {{link("h", "h", '1')}, ErrorKind::integrity, "not there"},
      {{directory("d"), link("h", "d", '1')}, ErrorKind::integrity, "no file"},
      {{link("s", "s"), file("s/x")}, ErrorKind::local, "symbolic links"},
      {{link("s", "nowhere"), file("s/x")}, ErrorKind::integrity, "link to nothing"},
      {{{.name = "PaxHeaders",
         .type = 'x',
         .content = test::pax_record("path", std::string(300, 'n'))},
        file("x")},
       ErrorKind::local,
       "name too long"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.says);
    const Lab lab;
    check_error(c.kind, c.kind == ErrorKind::local ? "cannot" : c.says,
                [&] { lab.unpack(c.layer); });
  }
}

TEST_CASE(
    "attributes by which the kernel sees other files, or another label, are not the layer's") {
  const Lab lab;
  const std::string records = test::pax_record("SCHILY.xattr.trusted.overlay.opaque", "y") +
                              test::pax_record("SCHILY.xattr.user.overlay.redirect", "/etc") +
                              test::pax_record("SCHILY.xattr.user.fuseoverlayfs.opaque", "y") +
                              test::pax_record("SCHILY.xattr.user.containers.override_stat", "0") +
                              test::pax_record("SCHILY.xattr.security.selinux", "label") +
                              test::pax_record("SCHILY.xattr.user.own", "kept");
  lab.unpack({{.name = "pax", .type = 'x', .content = records}, directory("d")}, true);
  const std::string path = lab.root() + "/d";
  std::string names(1000, '\0');
  const ssize_t size = ::listxattr(path.c_str(), names.data(), names.size());
  REQUIRE(size >= 0);
  names.resize(static_cast<std::size_t>(size));
  CHECK(names.find("overlay") == std::string::npos);
  CHECK(names.find("label") == std::string::npos);
  CHECK(names.find("containers") == std::string::npos);
  const bool has_attributes = ::setxattr(path.c_str(), "user.probe", "1", 1, 0) == 0;
  CHECK((names.find("user.own") != std::string::npos) == has_attributes);
}

TEST_CASE("whiteouts remove what was below, whatever their order") {
  const Lab lab;
  Lab::put(lab.root() + "/gone/deep/x", "x");
  Lab::put(lab.root() + "/opaque/old/x", "x");
  Lab::put(lab.root() + "/opaque/kept/old", "x");
  Lab::put(lab.root() + "/file", "old");
  Lab::put(lab.root() + "/becomes/y", "y");
  lab.unpack({file(".wh.gone", ""), file("opaque/kept/new"), file("opaque/.wh..wh..opq", ""),
              file("file", "new"), file(".wh.file", ""), file("becomes", "a file"),
              file(".wh.nothing", ""), file(".wh..wh.plnk/x", "")});
  CHECK_FALSE(lab.has("gone"));
  CHECK_FALSE(lab.has("opaque/old"));
  CHECK_FALSE(lab.has("opaque/kept/old"));
  CHECK(lab.has("opaque/kept/new"));
  CHECK(lab.read("file") == "new");
  CHECK(lab.read("becomes") == "a file");
  CHECK_FALSE(lab.has(".wh..wh.plnk"));
}

TEST_CASE("a whiteout beside a link of the same layer is not about what the link names") {
  const Lab lab;
  lab.unpack({directory("d"), link("l", "d"), file(".wh.l", "")}, true);
  CHECK(lab.has("l"));
  CHECK(::getxattr((lab.root() + "/d").c_str(), "trusted.overlay.opaque", nullptr, 0) < 0);
}

}  // namespace tug
