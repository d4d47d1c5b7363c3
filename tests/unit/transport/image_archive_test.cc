#include "transport/image_archive.h"

#include "stream/compress.h"
#include "support/error_of.h"
#include "support/read_all.h"
#include "support/tar_bytes.h"
#include "support/temp_dir.h"
#include "transport/archive_file.h"
#include "unit/transport/directory_fixture.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

namespace tug {
namespace {

using test::check_error;
using test::kNobody;
using test::kNoStop;
using test::read_all;
using test::tar_of;
using test::TarMember;
using test::TempDir;

ImageArchive open(const std::string& path) { return ImageArchive::open(path, "/tmp", kNoStop); }

std::string gzipped(const std::string& bytes) {
  CpuPool pool(1);
  return read_all(
      compressing_source(memory_source(bytes), {LayerCompression::gzip, std::nullopt}, pool));
}

}  // namespace

TEST_CASE("where a name in an archive leads") {
  CHECK(member_path("a/b") == "a/b");
  CHECK(member_path("./a//b/./") == "a/b");
  CHECK(member_path("a/../b") == "b");
  CHECK(member_path("../b", "a") == "b");
  CHECK(member_path("../../b", "a/c") == "b");
  for (const char* out : {"", ".", "/a", "..", "../a", "a/../../b", "a/.."})
    CHECK_FALSE(member_path(out));
  CHECK_FALSE(member_path("../../b", "a"));
  CHECK_FALSE(member_path("/b", "a"));
  CHECK_FALSE(member_path(std::string_view("a\0b", 3)));
}

TEST_CASE("members are read by their names, plain and compressed, large and small") {
  const TempDir dir;
  const std::string large(std::size_t{3} << 20U, 'L');
  const std::string tar = tar_of({{"./small", "the small one"},
                                  {"large", large},
                                  {"x/link", "", '2', "../large"},
                                  {"x/chain", "", '2', "link"},
                                  {"hard", "", '1', "./small"},
                                  {"dir/", "", '5'},
                                  {"after", "it"}});
  for (const std::string& bytes : {tar, gzipped(tar)}) {
    const ImageArchive archive = open(dir.write("x.tar", bytes));
    CHECK(archive.read("small", 100) == "the small one");
    CHECK(archive.read("hard", 100) == "the small one");
    CHECK(archive.read("after", 100) == "it");
    for (const char* name : {"large", "x/link", "x/chain", "./large"}) {
      CHECK(archive.size_of(name) == large.size());
      CHECK(read_all(archive.open_member(name)) == large);
      CHECK(read_all(archive.open_member(name, large.size() - 5)) == "LLLLL");
      CHECK(archive.front_of(name) == "LLLL");
    }
    CHECK(archive.front_of("after") == "it");
    CHECK(archive.has("dir"));
    CHECK_FALSE(archive.size_of("dir"));
    CHECK_FALSE(archive.has("nothing"));
    check_error(ErrorKind::local, "there is no nothing in",
                [&] { (void)archive.read("nothing", 10); });
    check_error(ErrorKind::local, "dir in", [&] { (void)archive.read("dir", 10); });
    check_error(ErrorKind::local, "larger than", [&] { (void)archive.read("small", 10); });
  }
}

TEST_CASE("members of a compressed archive are found in any order, at once and half read") {
  const TempDir dir;
  std::vector<TarMember> members;
  const auto content = [](std::size_t n) {
    return std::string((std::size_t{1} << 20U) + 100 * (n + 1), static_cast<char>('a' + n));
  };
  for (std::size_t n = 0; n < 5; ++n) members.push_back({std::to_string(n), content(n)});
  const ImageArchive archive = open(dir.write("x.tgz", gzipped(tar_of(members))));
  for (const std::size_t n : {0U, 1U, 2U, 4U, 3U, 3U, 0U})
    CHECK(read_all(archive.open_member(std::to_string(n))) == content(n));
  {
    const auto half = archive.open_member("2");
    std::vector<std::byte> some(1000);
    CHECK(half->read(some) > 0);
    CHECK(read_all(archive.open_member("2")) == content(2));
  }
  (void)archive.open_member("1");  // nobody reads it
  CHECK(read_all(archive.open_member("3", 7)) == content(3).substr(7));
  std::vector<std::jthread> threads;
  std::array<bool, 5> is_right{};
  for (std::size_t n = 0; n < 5; ++n) {
    threads.emplace_back(
        [&, n] { is_right[n] = read_all(archive.open_member(std::to_string(n))) == content(n); });
  }
  threads.clear();
  CHECK(is_right == std::array<bool, 5>{true, true, true, true, true});
}

TEST_CASE("nothing leads out of the archive") {
  const TempDir dir;
  dir.write("secret", "not yours");
  const ImageArchive archive = open(dir.write("x.tar", tar_of({{"/abs", "1"},
                                                               {"../up", "2"},
                                                               {"a/../../up", "3"},
                                                               {"out", "", '2', "../secret"},
                                                               {"root", "", '2', "/etc/passwd"},
                                                               {"hard", "", '1', "/etc/passwd"},
                                                               {"loop", "", '2', "pool"},
                                                               {"pool", "", '2', "loop"},
                                                               {"null", "", '3'}})));
  for (const char* name : {"out", "root", "hard", "loop"}) {
    CHECK_FALSE(archive.size_of(name));
    check_error(ErrorKind::integrity, "leads to no file inside",
                [&] { (void)archive.read(name, 100); });
  }
  for (const char* name : {"abs", "up"}) CHECK_FALSE(archive.has(name));
  for (const char* name : {"/abs", "../up", "/etc/passwd"})
    check_error(ErrorKind::integrity, "leads out", [&] { (void)archive.read(name, 100); });
  check_error(ErrorKind::local, "not a regular file", [&] { (void)archive.read("null", 100); });
}

TEST_CASE("of two members with one name the first is read; a document may not be there twice") {
  const TempDir dir;
  const ImageArchive archive =
      open(dir.write("x.tar", tar_of({{"a", "first"}, {"./a", "second"}, {"b", "b"}})));
  CHECK(read_all(archive.open_member("a")) == "first");
  check_error(ErrorKind::integrity, "more than one member a",
              [&] { (void)archive.read("a", 100); });
  CHECK(archive.read("b", 100) == "b");
}

TEST_CASE("a blob has its size, and a manifest its digest") {
  const TempDir dir;
  const ImageArchive archive = open(dir.write("x.tar", tar_of({{"m", "{}"}, {"n", "[]"}})));
  const Descriptor descriptor = test::descriptor_of("{}", media_type::kOciManifest);
  CHECK(archive.read_manifest("m", descriptor) == "{}");
  CHECK(read_all(archive.blob("m", descriptor).open(1)) == "}");
  check_error(ErrorKind::integrity, "is damaged",
              [&] { (void)archive.read_manifest("n", descriptor); });
  Descriptor longer = descriptor;
  longer.size = 3;
  check_error(ErrorKind::integrity, "has 2 bytes, but its descriptor says 3",
              [&] { (void)archive.read_manifest("m", longer); });
  check_error(ErrorKind::integrity, "descriptor says 3",
              [&] { (void)archive.blob("m", longer).open(0); });
}

TEST_CASE("what cannot be read twice is kept, and can be waited for no longer than one wants") {
  const TempDir dir;
  const std::string fifo = dir.at("fifo");
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  std::thread writer([&] {
    TempDir other;
    const std::string bytes = gzipped(tar_of({{"a", "through the pipe"}}));
    const int fd = ::open(fifo.c_str(), O_WRONLY | O_CLOEXEC);
    (void)!::write(fd, bytes.data(), 10);
    ::usleep(20000);
    (void)!::write(fd, bytes.data() + 10, bytes.size() - 10);
    ::close(fd);
  });
  const ImageArchive archive = ImageArchive::open(fifo, dir.path(), kNoStop);
  writer.join();
  CHECK(archive.read("a", 100) == "through the pipe");
  CHECK(test::files_in(dir.path()) == std::set<std::string>{"fifo"});

  check_error(ErrorKind::usage, "only once", [&] { require_regular_file(fifo); });
  std::stop_source stop;
  std::jthread stopper([&] {
    ::usleep(50000);
    stop.request_stop();
  });
  check_error(ErrorKind::interrupted, "",
              [&] { ImageArchive::open(fifo, dir.path(), stop.get_token()); });
}

TEST_CASE("what cannot be opened") {
  const TempDir dir;
  check_error(ErrorKind::local, "No such file", [&] { open(dir.path() + "/none"); });
  check_error(ErrorKind::local, "is a directory, not an archive", [&] { open(dir.path()); });
}

// --- writing

namespace {

// What a file holds that was written with `write`.
template <typename Write>
std::string written(const TempDir& dir, Write write) {
  ArchiveFile file(dir.path() + "/out.tar", dir.path());
  write(file);
  CHECK_FALSE(::access((dir.path() + "/out.tar").c_str(), F_OK) == 0);
  file.finish();
  std::string bytes = read_file(dir.path() + "/out.tar", 1 << 20U);
  ::unlink((dir.path() + "/out.tar").c_str());
  CHECK(test::files_in(dir.path()).empty());
  return bytes;
}

void add_unknown(ArchiveFile& file, const std::string& name, const std::string& content) {
  file.add_unknown(
      *memory_source(content),
      [&](std::uint64_t size) -> std::optional<TarHeader> {
        CHECK(size == content.size());
        if (name.empty()) return std::nullopt;
        return TarHeader{.name = name, .mode = 0644};
      },
      kNobody, kNoStop);
}

}  // namespace

TEST_CASE("an archive is the same whichever way its members come") {
  const TempDir dir;
  const std::string content(1000, 'c');
  const std::string expected = tar_of({{"a", content}, {"b", ""}, {"c", std::string(512, 'x')}});
  CHECK(written(dir, [&](ArchiveFile& file) {
          file.add({.name = "a", .mode = 0644}, content);
          file.add({.name = "b", .mode = 0644});
          file.add({.name = "c", .size = 512, .mode = 0644}, *memory_source(std::string(512, 'x')),
                   kNobody, kNoStop);
        }) == expected);
  CHECK(written(dir, [&](ArchiveFile& file) {
          add_unknown(file, "a", content);
          add_unknown(file, "", std::string(5000, 'd'));  // dropped
          add_unknown(file, "b", "");
          add_unknown(file, "c", std::string(512, 'x'));
          add_unknown(file, "", std::string(5000, 'd'));
        }) == expected);
}

TEST_CASE("what is a pipe is written as it comes") {
  const TempDir dir;
  const std::string fifo = dir.at("fifo");
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  std::string got;
  std::thread reader([&] {
    const int fd = ::open(fifo.c_str(), O_RDONLY | O_CLOEXEC);
    char piece[1000];
    for (ssize_t size = 0; (size = ::read(fd, piece, sizeof piece)) > 0;)
      got.append(piece, static_cast<std::size_t>(size));
    ::close(fd);
  });
  {
    ArchiveFile file(fifo, dir.path());
    CHECK_FALSE(file.replaces_content());
    add_unknown(file, "a", "unknown");
    add_unknown(file, "", "dropped");
    file.add({.name = "b", .mode = 0644}, "known");
    file.finish();
  }
  reader.join();
  CHECK(got == tar_of({{"a", "unknown"}, {"b", "known"}}));
  CHECK(test::files_in(dir.path()) == std::set<std::string>{"fifo"});
}

TEST_CASE("a file is replaced at the end, through a link too, or stays as it was") {
  const TempDir dir;
  dir.write("old.tar", "old");
  REQUIRE(::symlink("old.tar", dir.at("link").c_str()) == 0);
  {
    ArchiveFile dropped(dir.path() + "/link", dir.path());
    CHECK(dropped.replaces_content());
    dropped.add({.name = "a"}, "new");
  }
  CHECK(read_file(dir.path() + "/old.tar", 100) == "old");
  ArchiveFile file(dir.path() + "/link", dir.path());
  file.add({.name = "a"}, "new");
  file.finish();
  CHECK(read_file(dir.path() + "/old.tar", 10000).starts_with("a"));
  CHECK(std::filesystem::is_symlink(dir.path() + "/link"));
  // Links are resolved in it.
  CHECK(test::files_in(dir.path()) == std::set<std::string>{"old.tar"});

  check_error(ErrorKind::local, "Is a directory", [&] { ArchiveFile(dir.path(), "/tmp"); });
  check_error(ErrorKind::local, "none", [&] { ArchiveFile(dir.path() + "/none/x", "/tmp"); });
  check_error(ErrorKind::integrity, "has 3 bytes, not 4", [&] {
    ArchiveFile(dir.path() + "/x", "/tmp")
        .add({.name = "a", .size = 4}, *memory_source("abc"), kNobody, kNoStop);
  });
}

}  // namespace tug
