#include "transport/directory_tree.h"

#include "support/error_of.h"
#include "support/file_status.h"
#include "support/temp_dir.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <string>
#include <vector>

namespace tug {
namespace {

namespace fs = std::filesystem;
using test::status_of;
using test::TempDir;

// A tree to copy, what is beside it, and an empty place.
struct Trees {
  Trees() {
    directory.write("outside/secret", "secret");
    fs::create_directory(from());
    fs::create_directory(to());
  }
  [[nodiscard]] std::string from() const { return directory.path() + "/from"; }
  [[nodiscard]] std::string to() const { return directory.path() + "/to"; }
  [[nodiscard]] std::string secret() const { return directory.path() + "/outside/secret"; }

  void copy(std::stop_token stop = {}) const {
    copy_tree(open_directory(from()).get(), open_directory(to()).get(), to(), stop);
  }
  void remove(const std::string& name) const {
    remove_tree(open_directory(directory.path()).get(), name, directory.path() + "/" + name);
  }

  TempDir directory;
};

// Deeper than a path may be long. The last directory has a file "leaf".
void make_deep(const std::string& path, int levels) {
  UniqueFd at = open_directory(path);
  const std::string name(200, 'd');
  for (int level = 0; level < levels; ++level) {
    REQUIRE(::mkdirat(at.get(), name.c_str(), 0755) == 0);
    at = UniqueFd(::openat(at.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    REQUIRE(at);
  }
  const UniqueFd leaf(::openat(at.get(), "leaf", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  REQUIRE(leaf);
}

int depth_of(const std::string& path) {
  UniqueFd at = open_directory(path);
  const std::string name(200, 'd');
  for (int levels = 0;; ++levels) {
    UniqueFd next(::openat(at.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!next) return ::faccessat(at.get(), "leaf", F_OK, 0) == 0 ? levels : -1;
    at = std::move(next);
  }
}

}  // namespace

TEST_CASE("copy_tree: files with their modes, times and attributes") {
  const Trees trees;
  trees.directory.write("from/a/file", std::string(100'000, 'x'));
  trees.directory.write("from/empty", "");
  fs::create_directory(trees.from() + "/hollow");
  const bool has_attributes =
      ::setxattr((trees.from() + "/a/file").c_str(), "user.note", "n\0t", 3, 0) == 0;
  ::chmod((trees.from() + "/a/file").c_str(), 04751);
  ::chmod((trees.from() + "/hollow").c_str(), 01777);
  const std::array<timespec, 2> times{timespec{5, 6}, timespec{1'000'000'000, 123'456'789}};
  for (const char* name : {"/a/file", "/a", "/hollow"})
    ::utimensat(AT_FDCWD, (trees.from() + name).c_str(), times.data(), 0);
  trees.copy();

  CHECK(read_file(trees.to() + "/a/file", 200'000) == std::string(100'000, 'x'));
  CHECK(fs::is_empty(trees.to() + "/empty"));
  for (const char* name : {"/a/file", "/a", "/hollow", "/empty"}) {
    INFO(name);
    const struct stat before = status_of(trees.from() + name);
    const struct stat after = status_of(trees.to() + name);
    CHECK(before.st_mode == after.st_mode);
    CHECK(before.st_uid == after.st_uid);
    CHECK(before.st_mtim.tv_sec == after.st_mtim.tv_sec);
    CHECK(before.st_mtim.tv_nsec == after.st_mtim.tv_nsec);
    CHECK(before.st_ino != after.st_ino);
  }
  if (has_attributes) {
    std::array<char, 10> value{};
    CHECK(::getxattr((trees.to() + "/a/file").c_str(), "user.note", value.data(), value.size()) ==
          3);
    CHECK(std::string(value.data(), 3) == std::string("n\0t", 3));
  }
}

TEST_CASE("copy_tree: owners") {
  if (::geteuid() != 0) return;
  const Trees trees;
  trees.directory.write("from/set", "x");
  fs::create_symlink("nowhere", trees.from() + "/link");
  REQUIRE(::lchown((trees.from() + "/link").c_str(), 3, 4) == 0);
  REQUIRE(::chown((trees.from() + "/set").c_str(), 1, 2) == 0);
  REQUIRE(::chmod((trees.from() + "/set").c_str(), 06755) == 0);  // a new owner takes these away
  trees.copy();
  CHECK(status_of(trees.to() + "/set").st_uid == 1);
  CHECK(status_of(trees.to() + "/set").st_gid == 2);
  CHECK((status_of(trees.to() + "/set").st_mode & 07777U) == 06755);
  CHECK(status_of(trees.to() + "/link").st_uid == 3);
}

TEST_CASE("copy_tree: names that are one file stay one") {
  const Trees trees;
  trees.directory.write("from/a/one", "1");
  fs::create_directory(trees.from() + "/b");
  fs::create_hard_link(trees.from() + "/a/one", trees.from() + "/b/two");
  // The other name is not in the tree: what is copied is a file of its own.
  fs::create_hard_link(trees.secret(), trees.from() + "/shared");
  trees.copy();
  CHECK(status_of(trees.to() + "/a/one").st_ino == status_of(trees.to() + "/b/two").st_ino);
  CHECK(status_of(trees.to() + "/a/one").st_nlink == 2);
  CHECK(status_of(trees.to() + "/shared").st_nlink == 1);
  CHECK(read_file(trees.to() + "/shared", 10) == "secret");
}

TEST_CASE("copy_tree: links are copied, not followed") {
  const Trees trees;
  fs::create_directory_symlink(trees.directory.path() + "/outside", trees.from() + "/out");
  fs::create_symlink("../outside/secret", trees.from() + "/up");
  fs::create_symlink("nowhere", trees.from() + "/dangling");
  trees.copy();
  CHECK(fs::read_symlink(trees.to() + "/out") == trees.directory.path() + "/outside");
  CHECK(fs::read_symlink(trees.to() + "/up") == "../outside/secret");
  CHECK(fs::read_symlink(trees.to() + "/dangling") == "nowhere");
}

TEST_CASE("copy_tree: pipes are made, sockets left out") {
  const Trees trees;
  REQUIRE(::mkfifo((trees.from() + "/pipe").c_str(), 0640) == 0);
  const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = trees.from() + "/socket";
  REQUIRE(path.size() < sizeof address.sun_path);
  std::copy(path.begin(), path.end(), address.sun_path);
  REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  trees.copy();
  CHECK(S_ISFIFO(status_of(trees.to() + "/pipe").st_mode));
  CHECK(!fs::exists(fs::symlink_status(trees.to() + "/socket")));
}

TEST_CASE("copy_tree: deeper than a path is long, and gone again") {
  const Trees trees;
  make_deep(trees.from(), 60);
  trees.copy();
  CHECK(depth_of(trees.to()) == 60);
  trees.remove("from");
  trees.remove("to");
  CHECK(!fs::exists(trees.from()));
  CHECK(!fs::exists(trees.to()));
}

TEST_CASE("copy_tree: ends when it is told to") {
  const Trees trees;
  trees.directory.write("from/a", "x");
  std::stop_source stop;
  stop.request_stop();
  test::check_error(ErrorKind::interrupted, "", [&] { trees.copy(stop.get_token()); });
  CHECK(fs::is_empty(trees.to()));
}

TEST_CASE("remove_tree: what is linked to stays") {
  const Trees trees;
  fs::create_directory_symlink(trees.directory.path() + "/outside", trees.from() + "/out");
  fs::create_directory_symlink("../../outside", trees.directory.at("from/a/out"));
  trees.remove("from");
  CHECK(!fs::exists(trees.from()));
  CHECK(read_file(trees.secret(), 10) == "secret");
  fs::create_directory_symlink("outside", trees.from());
  trees.remove("from");
  CHECK(!fs::exists(fs::symlink_status(trees.from())));
  CHECK(read_file(trees.secret(), 10) == "secret");
}

TEST_CASE("remove_tree: many directories, one file, nothing at all") {
  const Trees trees;
  for (int number = 0; number < 300; ++number)
    trees.directory.write("from/" + std::to_string(number) + "/below/file", "x");
  trees.remove("from");
  CHECK(!fs::exists(trees.from()));
  trees.directory.write("file", "x");
  trees.remove("file");
  CHECK(!fs::exists(trees.directory.path() + "/file"));
  CHECK_NOTHROW(trees.remove("file"));
}

TEST_CASE("names_in: all but the directory and the one above") {
  const Trees trees;
  trees.directory.write("from/.hidden", "");
  trees.directory.write("from/..more", "");
  trees.directory.write("from/a/b", "");
  const UniqueFd directory = open_directory(trees.from());
  // Twice: the descriptor stays where it is.
  for (int time = 0; time < 2; ++time) {
    std::vector<std::string> names = names_in(directory.get(), trees.from());
    std::sort(names.begin(), names.end());
    CHECK(names == std::vector<std::string>{"..more", ".hidden", "a"});
  }
}

}  // namespace tug
