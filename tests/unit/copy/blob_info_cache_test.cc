#include "copy/blob_info_cache.h"

#include <doctest/doctest.h>
#include <sqlite3.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>

namespace tug {
namespace {

struct TemporaryDirectory {
  std::string path;
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "tug-cache-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path = name;
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() { std::filesystem::remove_all(path); }
};

const Digest kTar = Digest::of("tar");
const Digest kGzip = Digest::of("gzip");
const Digest kZstd = Digest::of("zstd");

BlobInfoCache::Facts gzip_facts() {
  return {{{kGzip, kTar}}, {{kGzip, "gzip"}, {kTar, "uncompressed"}}, {kGzip}};
}

TEST_CASE("what was recorded is found again: by its own digest and by the layer's") {
  const TemporaryDirectory directory;
  const Log log;
  const std::string path = directory.path + "/new/blob-info-cache-v1.sqlite";
  {
    BlobInfoCache cache(path, log);
    CHECK(cache.candidates("reg:5000", kTar, true).empty());
    CHECK_FALSE(std::filesystem::exists(path));  // a question makes no file
    cache.record(RegistryReference::parse("reg:5000/a:1"), gzip_facts());
    cache.record(RegistryReference::parse("reg:5000/b:1"),
                 {{{kZstd, kTar}}, {{kZstd, "zstd"}}, {kZstd, kGzip}});
  }
  BlobInfoCache cache(path, log);
  const auto found = cache.candidates("reg:5000", kTar, true);
  REQUIRE(found.size() == 3);
  CHECK(found[0].digest == kTar);  // its own entries first, though it is the uncompressed one
  for (const auto& candidate : found) {
    if (candidate.digest == kGzip) {
      CHECK(candidate.compressor == "gzip");
      CHECK(candidate.repositories == std::vector<std::string>{"reg:5000/b", "reg:5000/a"});
    }
  }
  const auto exact = cache.candidates("reg:5000", kGzip, false);
  REQUIRE(exact.size() == 1);
  CHECK(exact[0].digest == kGzip);
  CHECK(cache.candidates("other:5000", kGzip, false)[0].repositories.empty());
}

TEST_CASE("a cache that cannot be used is an empty one") {
  const TemporaryDirectory directory;
  const Log log;
  SUBCASE("none") {
    BlobInfoCache cache("", log);
    cache.record(RegistryReference::parse("reg:5000/a:1"), gzip_facts());
    CHECK(cache.candidates("reg:5000", kTar, true).empty());
  }
  SUBCASE("not a database") {
    const std::string path = directory.path + "/junk";
    std::ofstream(path) << std::string(5000, 'j');
    BlobInfoCache cache(path, log);
    cache.record(RegistryReference::parse("reg:5000/a:1"), gzip_facts());
    CHECK(cache.candidates("reg:5000", kTar, true).empty());
    CHECK(std::filesystem::file_size(path) == 5000);
  }
  SUBCASE("a place that is no directory") {
    std::ofstream(directory.path + "/file") << "x";
    BlobInfoCache cache(directory.path + "/file/cache.sqlite", log);
    CHECK_NOTHROW(cache.record(RegistryReference::parse("reg:5000/a:1"), gzip_facts()));
  }
}

TEST_CASE("the schema is the one that podman, buildah and skopeo create") {
  const TemporaryDirectory directory;
  const Log log;
  const std::string path = directory.path + "/c.sqlite";
  BlobInfoCache(path, log).record(RegistryReference::parse("reg:5000/a:1"), gzip_facts());
  sqlite3* raw = nullptr;
  REQUIRE(sqlite3_open(path.c_str(), &raw) == SQLITE_OK);
  std::string names;
  sqlite3_exec(
      raw, "SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY name",
      [](void* out, int, char** values, char**) {
        *static_cast<std::string*>(out) += std::string(values[0]) + " ";
        return 0;
      },
      &names, nullptr);
  std::string location;
  sqlite3_exec(
      raw, "SELECT transport || ' ' || scope || ' ' || location FROM KnownLocations",
      [](void* out, int, char** values, char**) {
        *static_cast<std::string*>(out) = values[0];
        return 0;
      },
      &location, nullptr);
  sqlite3_close(raw);
  CHECK(names ==
        "DigestCompressors DigestSpecificVariantCompressors DigestTOCUncompressedPairs "
        "DigestUncompressedPairs "
        "DigestUncompressedPairs_index_uncompressedDigest KnownLocations ");
  CHECK(location == "docker reg:5000 reg:5000/a");
}

TEST_CASE("a directory on the way may be a link") {
  const TemporaryDirectory directory;
  const Log log;
  std::filesystem::create_directories(directory.path + "/var/home");
  std::filesystem::create_directory_symlink("var/home", directory.path + "/home");
  const std::string path = directory.path + "/home/cache/blob-info-cache-v1.sqlite";
  BlobInfoCache(path, log).record(RegistryReference::parse("reg:5000/a:1"), gzip_facts());
  CHECK(BlobInfoCache(path, log).candidates("reg:5000", kGzip, false).at(0).repositories.size() ==
        1);
}

// Another program that holds the cache.
class Holder {
 public:
  explicit Holder(const std::string& path) {
    REQUIRE(sqlite3_open(path.c_str(), &handle_) == SQLITE_OK);
    REQUIRE(sqlite3_exec(handle_, "BEGIN EXCLUSIVE", nullptr, nullptr, nullptr) == SQLITE_OK);
  }
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;
  ~Holder() { sqlite3_close(handle_); }

 private:
  sqlite3* handle_ = nullptr;
};

template <typename Work>
std::chrono::milliseconds time_of(Work work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                               start);
}

TEST_CASE("a cache that another process holds is not waited for") {
  using std::chrono::milliseconds;
  const TemporaryDirectory directory;
  const Log log;
  const std::string path = directory.path + "/c.sqlite";
  const RegistryReference repository = RegistryReference::parse("reg:5000/a:1");
  BlobInfoCache(path, log).record(repository, gzip_facts());
  const auto is_known = [](BlobInfoCache& cache) {
    return !cache.candidates("reg:5000", kGzip, false).empty();
  };
  for (const bool opened_before : {false, true}) {
    CAPTURE(opened_before);
    BlobInfoCache cache(path, log);
    if (opened_before) CHECK(is_known(cache));
    auto holder = std::make_unique<Holder>(path);
    const auto reading = time_of([&] {
      for (int blob = 0; blob < 20; ++blob) CHECK_FALSE(is_known(cache));
    });
    CHECK(reading >= milliseconds(400));  // briefly held is no reason to give up
    CHECK(reading < milliseconds(1500));
    if (opened_before)
      CHECK(time_of([&] { cache.record(repository, gzip_facts()); }) < milliseconds(4000));
    holder = nullptr;
    CHECK_FALSE(is_known(cache));  // this run asks no more
    cache.record(repository, {{}, {{kZstd, opened_before ? "zstd" : "gzip"}}, {kZstd}});
    const auto recorded = BlobInfoCache(path, log).candidates("reg:5000", kZstd, false);
    CHECK(recorded.at(0).compressor == (opened_before ? "zstd" : "gzip"));
  }
}

TEST_CASE("a stop ends the wait for a cache that is held") {
  const TemporaryDirectory directory;
  const Log log;
  const std::string path = directory.path + "/c.sqlite";
  const RegistryReference repository = RegistryReference::parse("reg:5000/a:1");
  BlobInfoCache(path, log).record(repository, gzip_facts());
  const Holder holder(path);
  std::stop_source stop;
  BlobInfoCache cache(path, log, stop.get_token());
  std::jthread user([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    stop.request_stop();
  });
  CHECK(time_of([&] { cache.record(repository, gzip_facts()); }) < std::chrono::milliseconds(1000));
  CHECK(time_of([&] { cache.candidates("reg:5000", kGzip, false); }) <
        std::chrono::milliseconds(300));
}

}  // namespace
}  // namespace tug
