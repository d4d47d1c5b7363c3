#include "transport/storage_driver.h"

#include "support/error_of.h"
#include "support/file_status.h"
#include "support/temp_dir.h"
#include "transport/storage_write.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <regex>

namespace tug {
namespace {

namespace fs = std::filesystem;
using test::TempDir;

// A store without layers.
struct Store {
  explicit Store(const std::string& name) : driver(directory.path(), name) {
    make_store(directory.path(), name);
  }
  // A layer with one file.
  void layer(const std::string& id, const std::string& parent = "") const {
    (void)driver.create(id, parent, {});
    directory.write(driver.files_of(id).substr(directory.path().size() + 1) + "/of-" + id, id);
  }
  [[nodiscard]] std::string text(const std::string& path) const {
    return read_file(directory.path() + "/overlay/" + path, 100'000);
  }
  [[nodiscard]] unsigned mode(const std::string& id) const {
    return test::mode_of(driver.files_of(id));
  }

  TempDir directory;
  StorageDriver driver;
};

}  // namespace

TEST_CASE("overlay: a layer of its own") {
  const Store store("overlay");
  CHECK(store.driver.is_overlay());
  CHECK(!store.driver.has("a"));
  store.layer("a");
  CHECK(store.driver.has("a"));
  CHECK(store.mode("a") == 0555);
  const std::string link = store.text("a/link");
  CHECK(std::regex_match(link, std::regex("[A-Z2-7]{26}")));
  const std::string home = store.directory.path() + "/overlay";
  CHECK(fs::read_symlink(home + "/l/" + link) == "../a/diff");
  for (const char* name : {"/a/work", "/a/merged", "/a/empty"})
    CHECK(fs::is_directory(home + name));
  CHECK(!fs::exists(home + "/a/lower"));
}

TEST_CASE("overlay: what is below, nearest first") {
  const Store store("overlay");
  store.layer("a");
  ::chmod(store.driver.files_of("a").c_str(), 01750);
  store.layer("b", "a");
  store.layer("c", "b");
  const std::string a = "l/" + store.text("a/link");
  const std::string b = "l/" + store.text("b/link");
  CHECK(store.text("b/lower") == a);
  CHECK(store.text("c/lower") == b + ":" + a);
  CHECK(store.mode("c") == 01750);
  CHECK(!fs::exists(store.directory.path() + "/overlay/b/empty"));
  CHECK(!fs::exists(store.driver.files_of("b") + "/of-a"));
}

TEST_CASE("overlay: as many layers as the driver takes") {
  const Store store("overlay");
  store.layer("a");
  const auto lower = [&](int layers) {
    std::string text;
    for (int number = 0; number < layers; ++number)
      text += (number == 0 ? "" : ":") + std::string(28, 'l');
    store.directory.write("overlay/a/lower", text);
  };
  lower(499);
  CHECK_NOTHROW(store.layer("b", "a"));
  lower(500);
  test::check_error(ErrorKind::limit, "more than 500 layers", [&] { store.layer("c", "a"); });
}

TEST_CASE("overlay: a layer that is removed takes its link along, and nothing else") {
  const Store store("overlay");
  store.layer("a");
  store.layer("b", "a");
  const std::string home = store.directory.path() + "/overlay/";
  const std::string link = store.text("a/link");
  store.driver.remove("a");
  CHECK(!store.driver.has("a"));
  CHECK(!fs::exists(fs::symlink_status(home + "l/" + link)));
  CHECK(store.driver.has("b"));

  // What a stranger wrote there leads nowhere.
  store.directory.write("overlay/secret", "x");
  store.directory.write("overlay/b/link", "../secret");
  store.driver.remove("b");
  CHECK(fs::exists(home + "secret"));
  CHECK_NOTHROW(store.driver.remove("b"));
}

TEST_CASE("vfs: what is below is copied") {
  const Store store("vfs");
  CHECK(!store.driver.is_overlay());
  store.layer("a");
  CHECK(store.mode("a") == 0555);
  ::chmod(store.driver.files_of("a").c_str(), 0750);
  store.layer("b", "a");
  CHECK(store.mode("b") == 0750);
  CHECK(read_file(store.driver.files_of("b") + "/of-a", 10) == "a");
  CHECK(read_file(store.driver.files_of("b") + "/of-b", 10) == "b");
  CHECK(!fs::exists(store.driver.files_of("a") + "/of-b"));
  store.driver.remove("a");
  CHECK(!store.driver.has("a"));
  CHECK(store.driver.has("b"));
}

TEST_CASE("what a process left that was killed is not built upon") {
  for (const char* name : {"overlay", "vfs"}) {
    INFO(name);
    const Store store(name);
    store.layer("a");
    (void)store.driver.create("a", "", {});
    CHECK(store.driver.has("a"));
    CHECK(fs::is_empty(store.driver.files_of("a")));
    if (store.driver.is_overlay()) {
      const fs::directory_iterator links(store.directory.path() + "/overlay/l");
      CHECK(std::distance(begin(links), end(links)) == 1);
    }
  }
}

TEST_CASE("a parent that is not there") {
  for (const char* name : {"overlay", "vfs"}) {
    const Store store(name);
    test::check_error(ErrorKind::local, "/gone", [&] { store.layer("a", "gone"); });
  }
}

}  // namespace tug
