#include "base/temporary_file.h"

#include "support/error_of.h"
#include "support/file_status.h"
#include "support/temp_dir.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <iterator>
#include <span>
#include <string>
#include <string_view>

namespace tug {
namespace {

namespace fs = std::filesystem;

std::ptrdiff_t count_entries(const std::string& path) {
  return std::distance(fs::directory_iterator(path), fs::directory_iterator());
}

}  // namespace

TEST_CASE("a temporary file is nothing until it has its name") {
  const test::TempDir dir;
  const UniqueFd fd = open_directory(dir.path());
  {
    TemporaryFile dropped(fd.get(), "dropped", 0644);
    dropped.write("half of it");
  }
  CHECK(count_entries(dir.path()) == 0);
  TemporaryFile file(fd.get(), "kept", 0640);
  file.write("one, ");
  file.write("two");
  file.commit_as("kept");
  CHECK(read_file(dir.path() + "/kept", 100) == "one, two");
  CHECK(count_entries(dir.path()) == 1);
  CHECK(test::mode_of(dir.path() + "/kept") == 0640);
}

TEST_CASE("it replaces what has its name, or lets it be") {
  const test::TempDir dir;
  const UniqueFd fd = open_directory(dir.path());
  dir.write("name", "old");
  {
    TemporaryFile file(fd.get(), "name", 0644);
    file.write("new");
    CHECK_FALSE(file.commit_as_new("name"));
  }
  CHECK(read_file(dir.path() + "/name", 100) == "old");
  {
    TemporaryFile file(fd.get(), "name", 0644);
    file.write("new");
    file.commit_as("name");
  }
  CHECK(read_file(dir.path() + "/name", 100) == "new");
  {
    TemporaryFile file(fd.get(), "other", 0644);
    CHECK(file.commit_as_new("other"));
  }
  CHECK(count_entries(dir.path()) == 2);
}

TEST_CASE("a directory in its place is an error that names the file, and leaves nothing behind") {
  const test::TempDir dir;
  const UniqueFd fd = open_directory(dir.path());
  fs::create_directory(dir.path() + "/name");
  test::check_error(ErrorKind::local, "cannot write the file", [&] {
    TemporaryFile file(fd.get(), "the file", 0644);
    file.commit_as("name");
  });
  CHECK(count_entries(dir.path()) == 1);
}

TEST_CASE("it is written anywhere, and cut") {
  const test::TempDir dir;
  const UniqueFd fd = open_directory(dir.path());
  TemporaryFile file(fd.get(), "kept", 0644);
  const auto put = [&](std::uint64_t offset, std::string_view text) {
    file.write_at(offset, std::as_bytes(std::span(text)));
  };
  put(4, "content and more");
  put(0, "head");
  file.truncate(11);
  file.commit_as("kept");
  CHECK(read_file(dir.path() + "/kept", 100) == "headcontent");
}

TEST_CASE("an unnamed file is for reading and writing, and never seen") {
  const test::TempDir dir;
  const UniqueFd file = open_unnamed_file(dir.path());
  CHECK(count_entries(dir.path()) == 0);
  CHECK(::write(file.get(), "text", 4) == 4);
  CHECK(read_fd(file.get(), "it", 100) == "text");
  test::check_error(ErrorKind::local, "/none/such", [] { (void)open_unnamed_file("/none/such"); });
}

}  // namespace tug
