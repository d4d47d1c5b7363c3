#include "transport/storage_layer.h"

#include "base/fd.h"
#include "support/error_of.h"
#include "support/read_all.h"
#include "unit/transport/storage_fixture.h"

#include <tug/error.h>

#include <doctest/doctest.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

namespace tug {
namespace {

namespace fs = std::filesystem;
using test::MadeLayer;
using test::make_layer;
using test::Member;
using test::StoreFixture;

std::string id(char c) { return std::string(64, c); }

StorePaths paths_of(const StoreFixture& store) {
  StorageConfig config;
  config.driver = store.driver();
  config.graph_root = store.root();
  return StorePaths::find(config, nullptr);
}

// The layer `top` of the store as it is on disk now.
std::shared_ptr<const StorageLayer> open_layer(const StoreFixture& store, const std::string& top) {
  const StorePaths paths = paths_of(store);
  const StoreSnapshot snapshot = StoreSnapshot::read(paths);
  const auto chain = snapshot.chain(top);
  REQUIRE(chain.has_value());
  return std::make_shared<const StorageLayer>(paths, *chain);
}

std::string read_all(const StorageLayer& layer, std::uint64_t offset = 0, std::size_t step = 1000) {
  const std::unique_ptr<ByteSource> source = layer.open(offset);
  std::string all = test::read_all(*source, step);
  std::array<std::byte, 10> more{};
  CHECK(source->read(more) == 0);
  return all;
}

// Reads until the error that must come; gives it and says how much came before.
struct Failure {
  ErrorKind kind;
  std::string text;
  std::size_t bytes_before = 0;
};
Failure failure(const StoreFixture& store, const std::string& top) {
  Failure failed{ErrorKind::usage, "", 0};
  try {
    const auto layer = open_layer(store, top);
    const auto source = layer->open(0);
    std::vector<std::byte> buffer(100);
    while (const std::size_t n = source->read(buffer)) failed.bytes_before += n;
    FAIL("no error");
  } catch (const Error& error) {
    failed.kind = error.kind();
    failed.text = error.what();
  }
  return failed;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

const std::vector<Member> kMembers = {
    {"dir/", "", '5', "", 0},
    {"dir/a", "content of a", '0', "", 0},
    {"dir/empty", "", '0', "", 0},
    {"link", "", '2', "", 0},
    {"big", std::string(5000, 'b'), '0', "", 0},
    {".wh.gone", "", '0', "", 0},
    {"exact", std::string(512, 'e'), '0', "", 0},
};

}  // namespace

TEST_CASE("a layer's tar is made again byte for byte, from any offset, in any step") {
  for (const std::string driver : {"overlay", "vfs"}) {
    CAPTURE(driver);
    StoreFixture store(driver);
    const MadeLayer made = make_layer(id('1'), "", kMembers);
    store.add(made);
    const auto layer = open_layer(store, made.id);
    CHECK(layer->size() == made.tar.size());
    for (const std::size_t step : {1U, 7U, 512U, 100'000U})
      CHECK(read_all(*layer, 0, step) == made.tar);
    for (std::size_t offset = 0; offset <= made.tar.size(); offset += 371) {
      CHECK(read_all(*layer, offset) == made.tar.substr(offset));
    }
    CHECK(read_all(*layer, made.tar.size()).empty());
  }
}

TEST_CASE("several threads read one layer at once") {
  StoreFixture store;
  const MadeLayer made = make_layer(id('1'), "", kMembers);
  store.add(made);
  const auto layer = open_layer(store, made.id);
  std::vector<std::string> read(4);
  std::vector<std::thread> threads;
  for (std::string& text : read) {
    threads.emplace_back([&layer, &text] { text = test::read_all(layer->open(0), 100); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& text : read) CHECK(text == made.tar);
}

TEST_CASE("a source outlives the blob that it came from") {
  StoreFixture store;
  const MadeLayer made = make_layer(id('1'), "", kMembers);
  store.add(made);
  std::unique_ptr<ByteSource> source = open_layer(store, made.id)->open(0);
  std::vector<std::byte> buffer(made.tar.size());
  CHECK(source->read(buffer) > 0);
}

TEST_CASE("names are cleaned before the file system sees them") {
  struct Case {
    std::string name;
    std::string stored_at;
  };
  const Case cases[] = {
      {"./a", "a"},     {"/a", "a"},           {"./dot/../x", "x"},
      {"../../y", "y"}, {"a//b/./c", "a/b/c"}, {"sp ace", "sp ace"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    StoreFixture store;
    const MadeLayer made = make_layer(id('1'), "", {{c.name, "data", '0', c.stored_at, 0}});
    store.add(made);
    CHECK(read_all(*open_layer(store, made.id)) == made.tar);
  }
}

TEST_CASE(
    "a path through a link of the layer stays in the layer, be the link relative or absolute") {
  for (const std::string target : {"usr/lib", "/usr/lib", "../../../../usr/lib"}) {
    CAPTURE(target);
    StoreFixture store;
    const MadeLayer made =
        make_layer(id('1'), "", {{"lib/secret", "of the layer", '0', "usr/lib/secret", 0}});
    store.add(made);
    fs::create_directory_symlink(target, store.layer_directory(made.id) + "/lib");
    CHECK(read_all(*open_layer(store, made.id)) == made.tar);
  }
}

TEST_CASE("members that cannot have data have none, whatever their header says") {
  StoreFixture store;
  const MadeLayer made = make_layer(
      id('1'), "", {{"a", "data", '0', "", 0}, {"hard", "", '1', "", 4}, {"b", "x", '0', "", 0}});
  store.add(made);
  CHECK(read_all(*open_layer(store, made.id)) == made.tar);
}

TEST_CASE("an empty layer, one without end blocks, and one with long trailing padding") {
  for (const std::string& trailer :
       {std::string(), std::string("garbage"), std::string(1'500'000, '\0')}) {
    StoreFixture store;
    const MadeLayer made =
        make_layer(id('1'), "", trailer.empty() ? std::vector<Member>{} : kMembers, trailer);
    store.add(made);
    CHECK(read_all(*open_layer(store, made.id), 0, 65536) == made.tar);
  }
}

TEST_CASE(
    "an overlay layer without own files has those of the layers below; a vfs layer does not") {
  StoreFixture store;
  const MadeLayer base = make_layer(id('1'), "", {{"f", "data", '0', "", 0}});
  store.add(base);
  MadeLayer copy = base;
  copy.id = id('2');
  copy.parent = base.id;
  copy.members.clear();
  store.add(copy);
  CHECK(read_all(*open_layer(store, copy.id)) == base.tar);
  StoreFixture vfs("vfs");
  vfs.add(base);
  vfs.add(copy);
  CHECK(failure(vfs, copy.id).kind == ErrorKind::local);
}

TEST_CASE("with an image store the files are there and the tar-split data is not") {
  StoreFixture graph;
  StoreFixture images;
  const MadeLayer made = make_layer(id('1'), "", kMembers);
  images.add(made);
  fs::create_directories(graph.root() + "/overlay-layers");
  fs::rename(images.tar_split_path(made.id), graph.tar_split_path(made.id));
  StorageConfig config;
  config.driver = "overlay";
  config.graph_root = graph.root();
  config.image_store = images.root();
  const StorePaths paths = StorePaths::find(config, nullptr);
  const StoreSnapshot snapshot = StoreSnapshot::read(paths);
  const auto chain = snapshot.chain(made.id);
  REQUIRE(chain.has_value());
  CHECK(read_all(*std::make_shared<const StorageLayer>(paths, *chain)) == made.tar);
}

TEST_CASE(
    "a layer known by its table of contents is checked against the digest that its image claims") {
  StoreFixture store;
  const MadeLayer made = make_layer(id('1'), "", kMembers);
  store.add(made, R"(,"toc-digest":"x","diff-size":-1,"flags":{"expected-layer-diffid":")" +
                      made.diff_id().str() + R"("},"no":"diff-digest")");
  const auto layer = open_layer(store, made.id);
  CHECK(layer->size() == made.tar.size());
  CHECK(read_all(*layer) == made.tar);
}

TEST_CASE("layers that cannot be made again are refused before a byte is given") {
  struct Case {
    std::string name;
    ErrorKind kind;
    std::function<std::string(StoreFixture&, MadeLayer&)>
        make;  // returns what the message must say
  };
  const auto add = [](StoreFixture& store, const MadeLayer& layer) { store.add(layer); };
  const Case cases[] = {
      {"no tar-split data", ErrorKind::local,
       [&](StoreFixture& s, MadeLayer& l) {
         add(s, l);
         fs::remove(s.tar_split_path(l.id));
         return s.tar_split_path(l.id);
       }},
      {"sizes that do not add up", ErrorKind::integrity,
       [&](StoreFixture& s, MadeLayer& l) {
         s.add(l, R"(,"diff-digest":")" + l.diff_id().str() + R"(","diff-size":10240)");
         return std::string("the original had 10240");
       }},
      {"no digest", ErrorKind::integrity,
       [&](StoreFixture& s, MadeLayer& l) {
         s.add(l, R"(,"no":"diff-digest")");
         return std::string("no digest");
       }},
      {"no directory", ErrorKind::local,
       [&](StoreFixture& s, MadeLayer& l) {
         add(s, l);
         fs::remove_all(s.layer_directory(l.id));
         return s.layer_directory(l.id);
       }},
      {"composefs", ErrorKind::usage,
       [&](StoreFixture& s, MadeLayer& l) {
         add(s, l);
         s.dir().write("overlay/" + l.id + "/composefs-data/composefs.blob", "x");
         return std::string("composefs");
       }},
      {"broken tar-split data", ErrorKind::integrity,
       [&](StoreFixture& s, MadeLayer& l) {
         l.tar_split += "{";
         add(s, l);
         return s.tar_split_path(l.id);
       }},
      {"tar-split data that is a FIFO", ErrorKind::local,
       [&](StoreFixture& s, MadeLayer& l) {
         add(s, l);
         fs::remove(s.tar_split_path(l.id));
         REQUIRE(::mkfifo(s.tar_split_path(l.id).c_str(), 0600) == 0);
         return s.tar_split_path(l.id);
       }},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    StoreFixture store;
    MadeLayer made = make_layer(id('1'), "", kMembers);
    const std::string part = c.make(store, made);
    const Failure failed = failure(store, made.id);
    CAPTURE(failed.text);
    CHECK(to_string(failed.kind) == to_string(c.kind));
    CHECK(contains(failed.text, part));
    CHECK(failed.bytes_before == 0);
  }
}

TEST_CASE("files that are not what they were stop the layer before its last byte, and are named") {
  struct Case {
    std::string name;
    ErrorKind kind;
    std::function<void(const std::string& file)> damage;
  };
  const Case cases[] = {
      {"gone", ErrorKind::local, [](const std::string& f) { fs::remove(f); }},
      {"shorter", ErrorKind::integrity, [](const std::string& f) { fs::resize_file(f, 4999); }},
      {"longer", ErrorKind::integrity, [](const std::string& f) { fs::resize_file(f, 5001); }},
      {"a FIFO", ErrorKind::local,
       [](const std::string& f) {
         fs::remove(f);
         REQUIRE(::mkfifo(f.c_str(), 0600) == 0);
       }},
      {"a directory", ErrorKind::local,
       [](const std::string& f) {
         fs::remove(f);
         fs::create_directory(f);
       }},
      {"a link out of the layer", ErrorKind::local,
       [](const std::string& f) {
         fs::remove(f);
         fs::create_symlink("/etc/passwd", f);
       }},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    StoreFixture store;
    const MadeLayer made = make_layer(id('1'), "", kMembers);
    store.add(made);
    const std::string file = store.layer_directory(made.id) + "/big";
    c.damage(file);
    const Failure failed = failure(store, made.id);
    CAPTURE(failed.text);
    CHECK(to_string(failed.kind) == to_string(c.kind));
    CHECK(contains(failed.text, file));
    CHECK(failed.bytes_before < made.tar.size());
  }
}

TEST_CASE("a file with other content of the same size never lets the last byte out") {
  StoreFixture store;
  const MadeLayer made = make_layer(id('1'), "", kMembers);
  store.add(made);
  const std::string file =
      store.dir().write("overlay/" + made.id + "/diff/exact", std::string(512, 'E'));
  const Failure failed = failure(store, made.id);
  CAPTURE(failed.text);
  CHECK(failed.kind == ErrorKind::integrity);
  CHECK(failed.bytes_before < made.tar.size());
  CHECK(contains(failed.text, made.id.substr(0, 12)));
  CHECK(contains(failed.text, file + " is damaged"));
}

TEST_CASE("a stop ends the reading of a layer") {
  StoreFixture store;
  const MadeLayer made = make_layer(id('1'), "", kMembers);
  store.add(made);
  const StorePaths paths = paths_of(store);
  const StoreSnapshot snapshot = StoreSnapshot::read(paths);
  std::stop_source stop;
  const auto layer =
      std::make_shared<const StorageLayer>(paths, *snapshot.chain(made.id), stop.get_token());
  const auto source = layer->open(0);
  const auto skipping = layer->open(5000);
  std::vector<std::byte> buffer(100);
  CHECK(source->read(buffer) > 0);
  stop.request_stop();
  test::check_error(ErrorKind::interrupted, "", [&] { (void)source->read(buffer); });
  test::check_error(ErrorKind::interrupted, "", [&] { (void)skipping->read(buffer); });
  const auto fresh =
      std::make_shared<const StorageLayer>(paths, *snapshot.chain(made.id), stop.get_token());
  test::check_error(ErrorKind::interrupted, "", [&] { (void)fresh->open(0); });
}

// Waits until the file is opened so many times. It has to be watched for IN_ACCESS as well: of two
// equal events in a row, nothing between them, the kernel may tell one.
void wait_for_opens(int watcher, int times) {
  std::array<inotify_event, 64> events{};
  for (int seen = 0; seen < times;) {
    const ssize_t size = ::read(watcher, events.data(), sizeof events);
    REQUIRE(size > 0);
    const auto count = static_cast<std::size_t>(size) / sizeof(inotify_event);
    for (std::size_t i = 0; i < count; ++i) seen += (events[i].mask & IN_OPEN) != 0 ? 1 : 0;
  }
}

TEST_CASE("a stop ends the search for the damaged file") {
  StoreFixture store;
  const MadeLayer made =
      make_layer(id('1'), "", {{"large", std::string(32 << 20, 'l'), '0', "", 0}});
  store.add(made, R"(,"diff-size":)" + std::to_string(made.tar.size()) + R"(,"diff-digest":")" +
                      Digest::of("another tar").str() + "\"");
  const StorePaths paths = paths_of(store);
  const StoreSnapshot snapshot = StoreSnapshot::read(paths);
  const UniqueFd watcher(::inotify_init1(IN_CLOEXEC));
  REQUIRE(::inotify_add_watch(watcher.get(), (store.layer_directory(made.id) + "/large").c_str(),
                              IN_OPEN | IN_ACCESS) >= 0);
  std::stop_source stop;
  std::thread user([&] {
    wait_for_opens(watcher.get(), 2);  // to read the layer, and to look for what is wrong with it
    stop.request_stop();
  });
  const auto layer =
      std::make_shared<const StorageLayer>(paths, *snapshot.chain(made.id), stop.get_token());
  test::check_error(ErrorKind::interrupted, "", [&] {
    const auto source = layer->open(0);
    std::vector<std::byte> buffer(1 << 20);
    while (source->read(buffer) > 0) {
    }
  });
  user.join();
}

}  // namespace tug
