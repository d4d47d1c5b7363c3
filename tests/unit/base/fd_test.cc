#include "base/fd.h"

#include "support/file_status.h"
#include "support/temp_dir.h"

#include <tug/error.h>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace tug {
namespace {

using test::mode_of;
using test::TempDir;

// The message of the Error(local) that `work` throws; "" when it throws none.
std::string local_error(const std::function<void()>& work) {
  try {
    work();
    return {};
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::local);
    return error.what();
  }
}

std::vector<std::string> names_in(const std::string& directory) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory))
    names.push_back(entry.path().filename().string());
  return names;
}

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

TEST_CASE("a UniqueFd closes once, whoever ends up with it") {
  const int raw = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  {
    UniqueFd a(raw);
    UniqueFd b(std::move(a));
    CHECK_FALSE(a);  // NOLINT(bugprone-use-after-move)
    UniqueFd c;
    c = std::move(b);
    CHECK(c.get() == raw);
    CHECK(is_open(raw));
    c = UniqueFd();
    CHECK_FALSE(is_open(raw));
  }
  UniqueFd d(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int released = d.release();
  d = UniqueFd();
  CHECK(is_open(released));
  ::close(released);
}

TEST_CASE("errno has words, known or not") {
  CHECK(errno_text(ENOENT) == "No such file or directory");
  CHECK(errno_text(99999) == "error 99999");
}

TEST_CASE("a directory that cannot be opened is named with the reason") {
  const TempDir dir;
  dir.write("file", "x");
  CHECK(open_directory(dir.path()));
  CHECK(local_error([&] { open_directory(dir.path() + "/none"); }) ==
        "directory " + dir.path() + "/none does not exist");
  CHECK(local_error([&] { open_directory(dir.path() + "/file"); }) ==
        dir.path() + "/file is not a directory");
  CHECK(local_error([&] { open_directory(std::string("/\0x", 3)); }).find("Invalid argument") !=
        std::string::npos);
}

// --- open_beneath ---

// A layer's directory with everything that leads astray in it, and a secret beside it.
struct Tree {
  TempDir dir;
  UniqueFd root;

  Tree() {
    dir.write("secret", "outside");
    dir.write("root/file", "file");
    dir.write("root/a/b/deep", "deep");
    dir.write("root/secret", "inside");
    link("a/b", "to_b");
    link("/a", "absolute");
    link("../../../../secret", "root_secret");
    link("/secret", "absolute_secret");
    link(dir.path() + "/secret", "host_secret");
    link("../to_b/deep", "a/through");
    link("loop2", "loop1");
    link("loop1", "loop2");
    link("/a/b", "a/up");
    link("none", "dangling");
    link("a/", "slash");
    link(".", "here");
    link("file", "chain0");
    for (int i = 1; i <= 41; ++i)
      link("chain" + std::to_string(i - 1), "chain" + std::to_string(i));
    REQUIRE(::mkfifo(dir.at("root/fifo").c_str(), 0600) == 0);
    root = open_directory(dir.path() + "/root");
  }
  void link(const std::string& target, const std::string& name) const {
    std::filesystem::create_symlink(target, dir.at("root/" + name));
  }
};

using Opener = UniqueFd (*)(int, const std::string&, bool);

// What opening says: the content of a file, "directory", "other", or the name of the errno.
std::string outcome(Opener opener, const Tree& tree, const std::string& path, bool follow_last) {
  const UniqueFd fd = opener(tree.root.get(), path, follow_last);
  if (!fd) {
    const int error = errno;
    return ::strerrorname_np(error);
  }
  struct stat status {};
  REQUIRE(::fstat(fd.get(), &status) == 0);
  CHECK((::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC) != 0);
  if (S_ISDIR(status.st_mode)) return "directory";
  if (!S_ISREG(status.st_mode)) return "other";
  return read_fd(fd.get(), path, 100);
}

TEST_CASE("open_beneath never leaves its directory, by openat2 or by the walk") {
  const Tree tree;
  struct Case {
    std::string path;
    std::string no_follow;
    std::string follow;
  };
  const Case cases[] = {
      {"file", "file", "file"},
      {"/file", "file", "file"},
      {"./a//b/./deep", "deep", "deep"},
      {"a/../file", "file", "file"},
      {"../file", "file", "file"},
      {"../secret", "inside", "inside"},
      {"../../../../../secret", "inside", "inside"},
      {"a/b/../../../../secret", "inside", "inside"},
      {"to_b/deep", "deep", "deep"},
      {"to_b/../b/deep", "deep", "deep"},
      {"absolute/b/deep", "deep", "deep"},
      {"a/up/deep", "deep", "deep"},
      {"a/through", "ELOOP", "deep"},
      {"root_secret", "ELOOP", "inside"},
      {"absolute_secret", "ELOOP", "inside"},
      {"host_secret", "ELOOP", "ENOENT"},
      {"here/here/here/file", "file", "file"},
      {"slash/b/deep", "deep", "deep"},
      {"slash/", "directory", "directory"},
      {"slash", "ELOOP", "directory"},
      {"loop1", "ELOOP", "ELOOP"},
      {"loop1/x", "ELOOP", "ELOOP"},
      {"dangling", "ELOOP", "ENOENT"},
      {"chain39", "ELOOP", "file"},
      {"chain40", "ELOOP", "ELOOP"},
      {"a", "directory", "directory"},
      {"a/", "directory", "directory"},
      {".", "directory", "directory"},
      {"..", "directory", "directory"},
      {"/", "directory", "directory"},
      {"", "ENOENT", "ENOENT"},
      {"none", "ENOENT", "ENOENT"},
      {"none/x", "ENOENT", "ENOENT"},
      {"none/../file", "ENOENT", "ENOENT"},
      {"file/", "ENOTDIR", "ENOTDIR"},
      {"file/x", "ENOTDIR", "ENOTDIR"},
      {"file/..", "ENOTDIR", "ENOTDIR"},
      {"fifo", "other", "other"},  // at once, though nobody writes to it
      {std::string("file\0x", 6), "EINVAL", "EINVAL"},
      {std::string(300, 'n'), "ENAMETOOLONG", "ENAMETOOLONG"},
      {std::string(5000, '/') + "file", "ENAMETOOLONG", "ENAMETOOLONG"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.path.substr(0, 60));
    CHECK(outcome(open_beneath, tree, c.path, false) == c.no_follow);
    CHECK(outcome(open_beneath, tree, c.path, true) == c.follow);
    CHECK(outcome(detail::open_beneath_by_walk, tree, c.path, false) == c.no_follow);
    CHECK(outcome(detail::open_beneath_by_walk, tree, c.path, true) == c.follow);
  }
}

TEST_CASE("links that multiply end the walk, not the memory") {
  const Tree tree;
  std::string many;
  for (int i = 0; i < 800; ++i) many += "grow/";
  tree.link(many, "grow");
  CHECK(outcome(open_beneath, tree, "grow/x", false) == "ELOOP");
  CHECK(outcome(detail::open_beneath_by_walk, tree, "grow/x", false) == "ELOOP");
}

// --- reading ---

TEST_CASE("a file is read whole, up to the limit") {
  const TempDir dir;
  for (const std::size_t size : {0U, 1U, 4095U, 4096U, 4097U, 100000U}) {
    const std::string bytes(size, 'b');
    const std::string path = dir.write("file", bytes);
    CHECK(read_file(path, size) == bytes);
    CHECK(read_file_if_exists(path, size + 1) == bytes);
    if (size > 0)
      CHECK(local_error([&] { read_file(path, size - 1); }).find(path + " is larger than") == 0);
  }
  CHECK(read_file("/proc/self/cgroup", 1 << 20).find(':') !=
        std::string::npos);  // announces size 0
  CHECK(local_error([] { read_file("/proc/self/maps", 10); }).find("is larger than 10 B") !=
        std::string::npos);
}

TEST_CASE("a file of terabytes is refused before memory is asked for") {
  const TempDir dir;
  const std::string path = dir.write("sparse", "x");
  REQUIRE(::truncate(path.c_str(), off_t{1} << 42U) == 0);
  CHECK(local_error([&] { read_file(path, 1000); }).find("is larger than 1.0 kB") !=
        std::string::npos);
}

TEST_CASE("only regular files are read, and a FIFO blocks nobody") {
  const TempDir dir;
  REQUIRE(::mkfifo(dir.at("fifo").c_str(), 0600) == 0);
  for (const std::string& path : {dir.path(), dir.at("fifo"), std::string("/dev/zero")}) {
    CHECK(local_error([&] { read_file(path, 10); }) == path + " is not a regular file");
    CHECK(local_error([&] { read_file_if_exists(path, 10); }) == path + " is not a regular file");
  }
}

TEST_CASE("a missing file is absent or an error, as the caller wants it") {
  const TempDir dir;
  dir.write("file", "x");
  CHECK(local_error([&] { read_file(dir.path() + "/none", 9); }) ==
        "cannot open " + dir.path() + "/none: No such file or directory");
  CHECK_FALSE(read_file_if_exists(dir.path() + "/none", 9));
  CHECK_FALSE(read_file_if_exists(dir.path() + "/none/deeper", 9));
  CHECK_FALSE(read_file_if_exists(dir.path() + "/file/deeper", 9));
  std::filesystem::create_symlink("self", dir.at("self"));
  CHECK(local_error([&] { read_file_if_exists(dir.path() + "/self", 9); }).find("cannot open") ==
        0);
  CHECK(local_error([&] {
          read_file_if_exists(std::string("a\0b", 3), 9);
        }).find("Invalid argument") != std::string::npos);
}

// --- writing ---

TEST_CASE("a file is replaced at once, with its mode, and nothing else is left") {
  const TempDir dir;
  const std::string path = dir.path() + "/auth.json";
  write_file_atomically(path, "one", 0600);
  CHECK(read_file(path, 99) == "one");
  CHECK(mode_of(path) == 0600);
  const std::string large(1 << 20, 'z');
  write_file_atomically(path, large, 0644);
  CHECK(read_file(path, large.size()) == large);
  CHECK(mode_of(path) == 0644);
  write_file_atomically(path, "", 0600);
  CHECK(read_file(path, 0).empty());
  CHECK(names_in(dir.path()) == std::vector<std::string>{"auth.json"});
}

TEST_CASE("a write that fails leaves the old file and no temporary one") {
  const TempDir dir;
  const std::string path = dir.write("auth.json", "old");
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  rlimit small = before;
  small.rlim_cur = 10;
  const auto handler = ::signal(SIGXFSZ, SIG_IGN);
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  const std::string message =
      local_error([&] { write_file_atomically(path, std::string(100, 'n'), 0600); });
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
  ::signal(SIGXFSZ, handler);
  CHECK(message == "cannot write " + path + ": File too large");
  CHECK(read_file(path, 9) == "old");
  CHECK(names_in(dir.path()) == std::vector<std::string>{"auth.json"});
}

TEST_CASE("a process that is killed while it writes leaves the old file and no temporary one") {
  const TempDir dir;
  const std::string path = dir.write("auth.json", "old");
  const int unnamed = ::open(dir.path().c_str(), O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);
  if (unnamed < 0) {
    MESSAGE("the file system has no files without a name: " << ::strerror(errno));
    return;
  }
  ::close(unnamed);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    // The write itself raises the signal.
    const rlimit no_core{0, 0};
    const rlimit small{10, 10};
    ::signal(SIGXFSZ, SIG_DFL);
    ::setrlimit(RLIMIT_CORE, &no_core);
    ::setrlimit(RLIMIT_FSIZE, &small);
    local_error([&] { write_file_atomically(path, std::string(100, 'n'), 0600); });
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status));
  CHECK(read_file(path, 9) == "old");
  CHECK(names_in(dir.path()) == std::vector<std::string>{"auth.json"});
}

TEST_CASE("through a symbolic link its target is replaced") {
  const TempDir dir;
  dir.write("real/auth.json", "old");
  std::filesystem::create_symlink("real/auth.json", dir.at("link2"));
  std::filesystem::create_symlink("link2", dir.at("link"));
  write_file_atomically(dir.path() + "/link", "new", 0600);
  CHECK(std::filesystem::is_symlink(dir.path() + "/link"));
  CHECK(read_file(dir.path() + "/real/auth.json", 9) == "new");
  CHECK(names_in(dir.path() + "/real").size() == 1);
}

TEST_CASE("what must not be replaced is left alone") {
  const TempDir dir;
  dir.write("file", "x");
  std::filesystem::create_directory(dir.path() + "/directory");
  std::filesystem::create_symlink("none", dir.at("dangling"));
  std::filesystem::create_symlink("/dev/null", dir.at("null"));
  REQUIRE(::mkfifo(dir.at("fifo").c_str(), 0600) == 0);
  const std::size_t entries = names_in(dir.path()).size();
  struct Case {
    std::string path;
    std::string message;
  };
  const Case cases[] = {
      {dir.path() + "/directory", "not a regular file"},
      {dir.path() + "/fifo", "not a regular file"},
      {dir.path() + "/dangling", "cannot write through the symbolic link"},
      {dir.path() + "/null", "cannot write"},
      {"/dev/null", "not a regular file"},
      {dir.path() + "/none/file", "does not exist"},
      {dir.path() + "/file/x", "Not a directory"},
      {dir.path() + "/none/", "Is a directory"},
      {"", "cannot write"},
      {"/dev/full/x", "Not a directory"},
      {std::string("a\0b", 3), "Invalid argument"},
      {"/proc/tug-test", "cannot write /proc/tug-test"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.path);
    CHECK(local_error([&] { write_file_atomically(c.path, "new", 0600); }).find(c.message) !=
          std::string::npos);
  }
  CHECK(names_in(dir.path()).size() == entries);
  CHECK(read_file(dir.path() + "/file", 9) == "x");
}

TEST_CASE("a link to another user's file is refused") {
  if (::geteuid() != 0) return;  // only root can make one
  const TempDir dir;
  const std::string theirs = dir.write("theirs", "theirs");
  REQUIRE(::chown(theirs.c_str(), 12345, 12345) == 0);
  std::filesystem::create_symlink("theirs", dir.at("link"));
  CHECK(local_error([&] {
          write_file_atomically(dir.path() + "/link", "ours", 0600);
        }).find("belongs to another user") != std::string::npos);
  CHECK(read_file(theirs, 9) == "theirs");
}

TEST_CASE("an output file is replaced, made, or written in place where it is not regular") {
  const test::TempDir temp;
  const std::string path = temp.path() + "/digest";
  for (const char* text : {"a long first content", "short"}) {
    check_output_file(path);
    write_output_file(path, text);
    CHECK(read_file(path, 100) == text);
  }
  check_output_file("/dev/null");
  write_output_file("/dev/null", "gone");
  CHECK_THROWS_WITH_AS(check_output_file(temp.path() + "/no/digest"),
                       doctest::Contains("/no/digest cannot be written: No such file"), Error);
  CHECK_THROWS_AS(write_output_file(temp.path() + "/no/digest", "x"), Error);
}

TEST_CASE("directories are made with their parents") {
  const TempDir dir;
  const std::string deep = dir.path() + "/a/b//c/";
  make_directories(deep, 0700);
  make_directories(deep, 0700);
  CHECK(std::filesystem::is_directory(deep));
  CHECK(mode_of(dir.path() + "/a/b") == 0700);
  make_directories("/", 0700);
  make_directories(".", 0700);
  dir.write("file", "x");
  CHECK(local_error([&] {
          make_directories(dir.path() + "/file", 0700);
        }).find("Not a directory") != std::string::npos);
  CHECK(local_error([&] {
          make_directories(dir.path() + "/file/x", 0700);
        }).find("Not a directory") != std::string::npos);
  CHECK(local_error([] {
          make_directories("/proc/tug/x", 0700);
        }).find("cannot create directory /proc/tug") == 0);
  CHECK(local_error([] { make_directories("", 0700); }).find("cannot create directory") == 0);
}

TEST_CASE("a descriptor's lock is waited for, ends with it, and gives way to a stop") {
  const TempDir dir;
  const std::string path = dir.write("file", "x");
  const UniqueFd first(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  {
    const UniqueFd second(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    CHECK(lock_exclusively(second.get()));
    CHECK_FALSE(lock_exclusively(first.get()));
    CHECK(errno == EWOULDBLOCK);
    CHECK_FALSE(lock_exclusively(first.get(), std::chrono::milliseconds(30)));
    std::stop_source stop;
    stop.request_stop();
    CHECK_THROWS_AS(lock_exclusively(first.get(), std::chrono::hours(1), stop.get_token()), Error);
  }
  CHECK(lock_exclusively(first.get()));
  CHECK_FALSE(lock_exclusively(-1, std::chrono::hours(1)));
  CHECK(errno == EBADF);
}

}  // namespace
}  // namespace tug
