#include "stream/file_source.h"

#include "stream_fixture.h"
#include "support/error_of.h"
#include "support/temp_dir.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

namespace tug {
namespace {

using test::check_error;
using test::read_all;
using test::TempDir;

UniqueFd open_file(const std::string& path) {
  return UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
}

TEST_CASE("what is small is read whole, and what is larger not at all") {
  CHECK(read_small(*memory_source("hello"), 5) == "hello");
  CHECK(read_small(*memory_source(""), 0) == "");
  CHECK_FALSE(read_small(*memory_source("hello"), 4).has_value());
  const std::string bytes(100'000, 'x');
  CHECK(read_small(*memory_source(bytes, 1), bytes.size()) == bytes.substr(1));
}

TEST_CASE("memory is yielded from an offset on, in pieces of any size") {
  for (const std::size_t step : std::initializer_list<std::size_t>{1, 3, 100}) {
    CHECK(read_all(memory_source("hello"), step) == "hello");
    CHECK(read_all(memory_source("hello", 2), step) == "llo");
    CHECK(read_all(memory_source("hello", 5), step).empty());
    CHECK(read_all(memory_source("hello", 50), step).empty());
    CHECK(read_all(memory_source(""), step).empty());
  }
}

TEST_CASE("a file is yielded from every offset") {
  const TempDir dir;
  const std::string bytes = test::random_bytes(1000);
  const std::string path = dir.write("blob", bytes);
  for (std::size_t offset = 0; offset <= bytes.size(); offset += 125) {
    auto source = file_source(open_file(path), path, bytes.size(), offset);
    CHECK(read_all(*source, 64) == bytes.substr(offset));
    std::byte more{};
    CHECK(source->read({&more, 1}) == 0);
  }
}

TEST_CASE("a file that has another size than expected is refused at once, with both sizes") {
  const TempDir dir;
  const std::string path = dir.write("blob", "12345");
  check_error(ErrorKind::local, path + " is truncated: 5 of 6 bytes",
              [&] { file_source(open_file(path), path, 6, 0); });
  check_error(ErrorKind::local, path + " has 5 bytes, not 4",
              [&] { file_source(open_file(path), path, 4, 0); });
  check_error(ErrorKind::local, path + " ends before byte 6",
              [&] { file_source(open_file(path), path, 5, 6); });
}

TEST_CASE("only regular files are read") {
  const TempDir dir;
  const std::string fifo = dir.at("fifo");
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  for (const std::string& path : {fifo, dir.path(), std::string("/dev/null")}) {
    check_error(ErrorKind::local, path + " is not a regular file",
                [&] { file_source(open_file(path), path, 0, 0); });
  }
  check_error(ErrorKind::local, "gone", [] { file_source(UniqueFd(), "gone", 0, 0); });
}

TEST_CASE("a file that changes while it is read never becomes complete") {
  const TempDir dir;
  const std::string path = dir.write("blob", std::string(1000, 'a'));
  struct Case {
    const char* what;
    void (*change)(const std::string& path);
  };
  const Case cases[] = {
      {"it ends at byte 500 of 1000",
       [](const std::string& p) { (void)::truncate(p.c_str(), 500); }},
      {"changed while it was read",
       [](const std::string& p) { (void)::truncate(p.c_str(), 1001); }},
      {"changed while it was read",
       [](const std::string& p) { std::ofstream(p, std::ios::in | std::ios::binary) << "B"; }},
      {"changed while it was read", [](const std::string& p) { (void)::chmod(p.c_str(), 0640); }},
  };
  for (const Case& c : cases) {
    CAPTURE(c.what);
    // An old time, so that a change is seen however coarse the file system's clock is.
    std::ofstream(path, std::ios::binary) << std::string(1000, 'a');
    const timespec times[] = {{1000, 0}, {1000, 0}};
    REQUIRE(::utimensat(AT_FDCWD, path.c_str(), times, 0) == 0);
    REQUIRE(::chmod(path.c_str(), 0600) == 0);
    ::usleep(20000);  // ctime cannot be set
    auto source = file_source(open_file(path), path, 1000, 0);
    std::string half(500, '\0');
    REQUIRE(source->read(std::as_writable_bytes(std::span(half))) == 500);
    c.change(path);
    check_error(ErrorKind::local, c.what, [&] { read_all(*source); });
  }
}

TEST_CASE("a part of a file, from any byte of it") {
  const test::TempDir dir;
  const std::string path = dir.write("file", "headCONTENTtail");
  const auto fd = std::make_shared<const UniqueFd>(open_file(path));
  for (std::uint64_t offset = 0; offset <= 7; ++offset) {
    CHECK(read_all(file_part_source(fd, path, 4, 7, offset), 2) ==
          std::string("CONTENT").substr(offset));
  }
  CHECK(read_all(file_part_source(fd, path, 15, 0, 0)).empty());
  check_error(ErrorKind::local, "ends before byte 8",
              [&] { (void)file_part_source(fd, path, 4, 7, 8); });
  check_error(ErrorKind::local, "changed while it was read",
              [&] { read_all(file_part_source(fd, path, 4, 20, 0)); });
}

TEST_CASE("bytes are skipped, and bounded") {
  CHECK(read_all(skipping_source(memory_source("0123456789"), 0)) == "0123456789");
  CHECK(read_all(skipping_source(memory_source("0123456789"), 7), 2) == "789");
  CHECK(read_all(skipping_source(memory_source("0123456789"), 11)).empty());
  CHECK(read_all(bounded_source(memory_source("0123456789"), 10, "x")) == "0123456789");
  check_error(ErrorKind::limit, "x is longer than 9 bytes",
              [] { read_all(bounded_source(memory_source("0123456789"), 9, "x"), 3); });
}

TEST_CASE("a verified stream passes when digest and size are right") {
  for (const DigestAlgorithm algorithm : {DigestAlgorithm::sha256, DigestAlgorithm::sha512}) {
    for (const std::string& bytes : {std::string(), std::string("a"), test::random_bytes(10000)}) {
      for (const std::size_t step : std::initializer_list<std::size_t>{1, 7, 20000}) {
        const Digest digest = Digest::of(algorithm, bytes);
        auto source = verifying_source(memory_source(bytes), digest, bytes.size(), "x");
        CHECK(read_all(*source, step) == bytes);
        std::byte more{};
        CHECK(source->read({&more, 1}) == 0);
      }
    }
  }
}

TEST_CASE("a stream with other content, at every length, is never yielded to its end") {
  const std::string good = "the content of a blob";
  const Digest digest = Digest::of(good);
  std::vector<std::pair<std::string, std::string>> cases;  // bytes, words of the error
  for (std::size_t size = 0; size < good.size(); ++size)
    cases.emplace_back(good.substr(0, size), "ends after");
  cases.emplace_back(good + "!", "is longer than 21 bytes");
  for (std::size_t i = 0; i < good.size(); ++i) {
    cases.emplace_back(good, "has the digest");
    cases.back().first[i] ^= 1;
  }
  for (const auto& [bytes, words] : cases) {
    for (const std::size_t step : std::initializer_list<std::size_t>{1, 5, 100}) {
      std::string got;
      auto source = verifying_source(memory_source(bytes), digest, good.size(), "the blob");
      check_error(ErrorKind::integrity, words, [&] {
        std::string piece(step, '\0');
        while (const std::size_t n = source->read(std::as_writable_bytes(std::span(piece))))
          got.append(piece, 0, n);
      });
      CHECK(got.size() < good.size());
    }
  }
}

TEST_CASE("a stream of unknown size is hashed, and ends only when the digest is right") {
  const std::string bytes(100'000, 'x');
  for (const std::uint64_t skip : {0ULL, 1ULL, 50'000ULL, 100'000ULL}) {
    const auto source = hashing_source(memory_source(bytes), Digest::of(bytes), "it", skip);
    CHECK(read_all(*source, 777) == bytes.substr(static_cast<std::size_t>(skip)));
    CHECK(source->result().digest == Digest::of(bytes));
    CHECK(source->result().size == bytes.size());
  }
  check_error(ErrorKind::integrity, "the tar has the digest " + Digest::of(bytes).str(), [&] {
    (void)read_all(*hashing_source(memory_source(bytes), Digest::of("y"), "the tar"), 777);
  });
}

}  // namespace
}  // namespace tug
