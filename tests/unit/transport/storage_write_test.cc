#include "transport/storage_write.h"

#include "support/error_of.h"
#include "support/file_status.h"
#include "support/temp_dir.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <optional>
#include <regex>
#include <thread>

namespace tug {
namespace {

namespace fs = std::filesystem;
using test::check_error;
using test::check_error_parts;
using test::mode_of;
using test::TempDir;

template <typename T>
T number_at(const std::string& bytes, std::size_t at) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof value; ++i)
    value |=
        static_cast<T>(static_cast<T>(static_cast<unsigned char>(bytes.at(at + i))) << (8 * i));
  return value;
}

}  // namespace

TEST_CASE("StorageLock: one at a time") {
  const TempDir dir;
  const std::string path = dir.path() + "/layers.lock";
  std::optional<StorageLock> held(std::in_place, path, std::stop_token());
  CHECK(mode_of(path) == 0644);

  std::stop_source stop;
  stop.request_stop();
  check_error(ErrorKind::interrupted, "",
              [&] { const StorageLock second(path, stop.get_token()); });

  // The two threads know of each other by the file alone, which ThreadSanitizer does not see.
  std::atomic<bool> is_held = true;
  bool was_held = false;
  std::jthread waiter([&] {
    const StorageLock second(path, {});
    was_held = is_held;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  is_held = false;
  held.reset();
  waiter.join();
  CHECK(!was_held);
}

TEST_CASE("StorageLock: a lock file is no link, and no place that is not there") {
  const TempDir dir;
  const std::string outside = dir.write("outside", "x");
  fs::create_symlink(outside, dir.path() + "/layers.lock");
  check_error_parts(ErrorKind::local, {"lock", dir.path() + "/layers.lock"},
                    [&] { const StorageLock lock(dir.path() + "/layers.lock", {}); });
  check_error_parts(ErrorKind::local, {"lock", "nowhere"},
                    [&] { const StorageLock lock(dir.path() + "/nowhere/layers.lock", {}); });
  CHECK(read_file(outside, 10) == "x");
}

TEST_CASE("StorageLock: touched, it has another 64 bytes") {
  const TempDir dir;
  const std::string path = dir.write("layers.lock", "what an older version of podman wrote");
  const auto before = std::chrono::duration_cast<std::chrono::nanoseconds>(
                          std::chrono::system_clock::now().time_since_epoch())
                          .count();
  const StorageLock lock(path, {});
  CHECK(read_file(path, 100) == "what an older version of podman wrote");
  lock.touch();
  const std::string first = read_file(path, 100);
  lock.touch();
  const std::string second = read_file(path, 100);
  REQUIRE(first.size() == 64);
  REQUIRE(second.size() == 64);
  CHECK(first != second);
  // Time, counter, process (containers-storage-format.md 4), then anything.
  CHECK(number_at<std::uint64_t>(first, 0) >= static_cast<std::uint64_t>(before));
  CHECK(number_at<std::uint64_t>(second, 8) == number_at<std::uint64_t>(first, 8) + 1);
  CHECK(number_at<std::uint32_t>(first, 16) == static_cast<std::uint32_t>(::getpid()));
  CHECK(first.substr(20) != second.substr(20));
}

TEST_CASE("StorageRecords: what is not known stays as it is") {
  const TempDir dir;
  const std::string path = dir.write(
      "images.json", R"([{"id":"a","names":["x"],"future":{"z":1,"a":[18446744073709551615]}},)"
                     R"({"id":"b"},{"no":"id"},{"id":7}])");
  StorageRecords records = StorageRecords::read(path);
  REQUIRE(records.all().size() == 4);
  REQUIRE(records.find("b") != nullptr);
  CHECK(records.find("c") == nullptr);
  records.find("b")->set("names", Json(Json::Array{Json("<new>")}));
  records.erase("c");
  records.write();
  CHECK(read_file(path, 1000) ==
        R"([{"id":"a","names":["x"],"future":{"z":1,"a":[18446744073709551615]}},)"
        R"({"id":"b","names":["\u003cnew\u003e"]},{"no":"id"},{"id":7}])");
  CHECK(mode_of(path) == 0600);

  records.erase("a");
  CHECK(records.all().size() == 3);
  CHECK(records.find("a") == nullptr);
  CHECK(StorageRecords::read(path).find("a") != nullptr);  // not written yet
}

TEST_CASE("StorageRecords: no file, an empty one, a broken one") {
  const TempDir dir;
  StorageRecords none = StorageRecords::read(dir.path() + "/layers.json");
  CHECK(none.all().empty());
  CHECK(!fs::exists(dir.path() + "/layers.json"));
  CHECK(StorageRecords::read(dir.write("empty.json", "")).all().empty());
  for (const char* text :
       {"{", "{}", "[{\"id\":\"a\"}", R"([{"id":"../../etc"}])", R"([{"id":".."}])"}) {
    INFO(text);
    const std::string path = dir.write("bad.json", text);
    check_error(ErrorKind::integrity, path, [&] { StorageRecords::read(path); });
  }
  none.write();
  CHECK(read_file(dir.path() + "/layers.json", 10) == "[]");
}

TEST_CASE("storage_time: as Go writes it") {
  for (int time = 0; time < 100; ++time) {
    const std::string text = storage_time();
    INFO(text);
    CHECK(
        std::regex_match(text, std::regex(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,8}[1-9])?Z)")));
  }
}

TEST_CASE("make_store: directories and locks, again and again") {
  for (const std::string driver : {"overlay", "vfs"}) {
    INFO(driver);
    const TempDir dir;
    const std::string root = dir.path() + "/a/store";
    make_store(root, driver);
    CHECK(mode_of(root) == 0700);
    for (const std::string name : {"tmp", "mounts"}) CHECK(mode_of(root + "/" + name) == 0700);
    for (const std::string what : {"layers", "images", "containers"}) {
      CHECK(mode_of(root + "/" + driver + "-" + what) == 0700);
      CHECK(fs::file_size(root + "/" + driver + "-" + what + "/" + what + ".lock") == 0);
    }
    CHECK(fs::is_directory(root + (driver == "vfs" ? "/vfs/dir" : "/overlay/l")));
    CHECK(fs::exists(root + "/storage.lock"));
    StorageLock(root + "/" + driver + "-layers/layers.lock", {}).touch();
    make_store(root, driver);
    CHECK(fs::file_size(root + "/" + driver + "-layers/layers.lock") == 64);
  }
}

TEST_CASE("write_new_file: never over what is there") {
  const TempDir dir;
  const UniqueFd directory = open_directory(dir.path());
  write_new_file(directory.get(), "link", "ABC", 0644, dir.path() + "/link");
  CHECK(read_file(dir.path() + "/link", 10) == "ABC");
  CHECK(mode_of(dir.path() + "/link") == 0644);
  check_error_parts(ErrorKind::local, {"make", "/link"}, [&] {
    write_new_file(directory.get(), "link", "DEF", 0644, dir.path() + "/link");
  });
  fs::create_symlink("elsewhere", dir.path() + "/dangling");
  check_error_parts(ErrorKind::local, {"make", "/dangling"}, [&] {
    write_new_file(directory.get(), "dangling", "DEF", 0644, dir.path() + "/dangling");
  });
  CHECK(read_file(dir.path() + "/link", 10) == "ABC");
  CHECK(!fs::exists(dir.path() + "/elsewhere"));
}

}  // namespace tug
