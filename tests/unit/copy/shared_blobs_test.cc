#include "copy/shared_blobs.h"

#include "copy/execute.h"
#include "support/memory_images.h"

#include <tug/error.h>

#include <doctest/doctest.h>

#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

namespace tug {
namespace {

using Claim = SharedBlobs::Claim;
using Busy = SharedBlobs::Busy;

RegistryReference repository(const std::string& name) {
  return RegistryReference::parse("reg.example:5000/" + name);
}

const Descriptor kBlob{"application/octet-stream", Digest::of("blob"), 4};

TEST_CASE("the first who asks is to get the blob there, the others find it") {
  SharedBlobs blobs;
  {
    SharedBlobs::Answer answer = blobs.ask("k", repository("a"));
    Claim& claim = std::get<Claim>(answer);
    CHECK_FALSE(claim.elsewhere());
    CHECK(std::holds_alternative<Busy>(blobs.ask("k", repository("a"))));
    CHECK(std::holds_alternative<Busy>(blobs.ask("k", repository("b"))));
    CHECK(std::holds_alternative<Claim>(blobs.ask("other", repository("a"))));
    CHECK(
        std::holds_alternative<Claim>(blobs.ask("k", RegistryReference::parse("other.example/a"))));
    claim.is_there(kBlob);
  }
  CHECK(std::get<Descriptor>(blobs.ask("k", repository("a"))) == kBlob);
  SharedBlobs::Answer answer = blobs.ask("k", repository("b"));
  const auto& elsewhere = std::get<Claim>(answer).elsewhere();
  REQUIRE(elsewhere);
  CHECK(elsewhere->blob == kBlob);
  CHECK(elsewhere->repository.repository() == "a");
}

TEST_CASE("a claim that ends without the blob passes on to who waits") {
  SharedBlobs blobs;
  std::optional<SharedBlobs::Answer> first(blobs.ask("k", repository("a")));
  auto waiting =
      std::async(std::launch::async, [&] { return blobs.wait("k", repository("b"), {}); });
  first.reset();
  CHECK(std::holds_alternative<Claim>(waiting.get()));
}

TEST_CASE("who waits sees the blob appear, and a stop") {
  SharedBlobs blobs;
  SharedBlobs::Answer first = blobs.ask("k", repository("a"));
  std::stop_source stop;
  auto stopped = std::async(std::launch::async,
                            [&] { return blobs.wait("k", repository("b"), stop.get_token()); });
  stop.request_stop();
  CHECK_THROWS_AS(stopped.get(), Error);
  auto waiting =
      std::async(std::launch::async, [&] { return blobs.wait("k", repository("a"), {}); });
  std::get<Claim>(first).is_there(kBlob);
  CHECK(std::holds_alternative<Descriptor>(waiting.get()));
}

TEST_CASE("a registry that refuses all mounts is not waited for and not asked") {
  SharedBlobs blobs;
  for (const char* key : {"1", "2", "3"}) {
    SharedBlobs::Answer answer = blobs.ask(key, repository("a"));
    std::get<Claim>(answer).mounted(false);
    std::get<Claim>(answer).is_there(kBlob);
  }
  SharedBlobs::Answer known = blobs.ask("1", repository("b"));
  CHECK_FALSE(std::get<Claim>(known).elsewhere());
  const SharedBlobs::Answer first = blobs.ask("4", repository("a"));
  REQUIRE(std::holds_alternative<Claim>(first));
  CHECK(std::holds_alternative<Claim>(blobs.ask("4", repository("b"))));
}

// Registries whose repositories share their blobs, as far as mounts go.
struct Copies {
  test::MemorySource source;
  CopyOptions options;
  Log log;
  BlobInfoCache cache{"", log};
  CpuPool pool{2};
  Progress progress;
  CopyEnvironment environment{.pool = [this]() -> CpuPool& { return pool; },
                              .cache = cache,
                              .missing_blob_polls = {std::chrono::milliseconds(0)},
                              .blobs = std::make_shared<SharedBlobs>(),
                              .bodies = std::make_shared<BodySlots>()};
  CopyReport run(test::MemoryRegistry& registry) {
    return execute_copy(source, registry, options, environment, progress, {});
  }
};

TEST_CASE("the second image of a run mounts what the first has sent, without asking") {
  Copies f;
  test::MemoryRegistry one("reg.example:5000/one:1");
  test::MemoryRegistry two("reg.example:5000/two:1");
  f.source.set_top(f.source.add_image("{}", {"shared", "own"}));
  f.run(one);
  two.siblings = one.blobs;
  f.source.set_top(f.source.add_image("{}", {"shared", "other"}));
  const CopyReport report = f.run(two);
  CHECK(two.count("PUT blob") == 1);
  CHECK(two.count("HEAD blob") == 1);  // of "other"
  CHECK(two.count("mount") == 2);
  CHECK(report.bytes_sent < 600);
  SUBCASE("and in the same repository asks for nothing but what is new") {
    test::MemoryRegistry again("reg.example:5000/two:2");
    again.blobs = two.blobs;
    f.source.set_top(f.source.add_image("{}", {"shared", "third"}));
    f.run(again);
    CHECK(again.count("HEAD blob") == 1);
    CHECK(again.count("PUT blob") == 1);
    CHECK(again.count("mount") == 0);
  }
}

TEST_CASE("a refused mount is followed by the usual question and the upload") {
  Copies f;
  test::MemoryRegistry one("reg.example:5000/one:1");
  test::MemoryRegistry two("reg.example:5000/two:1");
  f.source.set_top(f.source.add_image("{}", {"shared"}));
  f.run(one);
  f.run(two);
  CHECK(two.count("mount") == 2);
  CHECK(two.count("HEAD blob") == 2);
  CHECK(two.count("PUT blob") == 2);
}

TEST_CASE("a layer that many copies at once would compress is compressed by one") {
  Copies f;
  f.source.set_top(f.source.add_image("{}", {"layer"}));
  f.source.give_tars(true);
  test::MemoryRegistry registry("reg.example:5000/app:1");
  f.options.skip_existing = false;
  {
    std::vector<std::jthread> copies;
    for (int i = 0; i < 8; ++i) copies.emplace_back([&] { (void)f.run(registry); });
  }
  const long sent = registry.count("PUT stream") + registry.count("PUT blob");
  CHECK(sent == 2);  // the layer and the config, each by one of them
}

TEST_CASE("a copy that fails gives its claims back to the others") {
  struct Failing : test::MemoryRegistry {
    using MemoryRegistry::MemoryRegistry;
    std::uint64_t put_blob(const Blob&, const SentCallback&, std::stop_token) override {
      throw Error(ErrorKind::server, "down");
    }
  };
  Copies f;
  Failing one("reg.example:5000/one:1");
  test::MemoryRegistry two("reg.example:5000/two:1");
  f.source.set_top(f.source.add_image("{}", {"shared"}));
  CHECK_THROWS_AS(f.run(one), Error);
  f.run(two);
  CHECK(two.count("PUT blob") == 2);
}

TEST_CASE("no more bodies than the user has said, in all copies together") {
  BodySlots slots(2);
  CHECK(slots.count() == 2);
  CHECK_FALSE(slots.is_free(1));
  const BodySlots usual;
  CHECK(usual.is_free(BodySlots::kSmall));
  CHECK_FALSE(usual.is_free(BodySlots::kSmall + 1));
  const BodySlots::Slot one(slots, {});
  std::optional<BodySlots::Slot> two(std::in_place, slots, std::stop_token());
  std::stop_source stop;
  auto third =
      std::async(std::launch::async, [&] { const BodySlots::Slot slot(slots, stop.get_token()); });
  CHECK(third.wait_for(std::chrono::milliseconds(20)) == std::future_status::timeout);
  SUBCASE("one that ends makes room") {
    two.reset();
    CHECK_NOTHROW(third.get());
  }
  SUBCASE("a stop ends the wait") {
    stop.request_stop();
    CHECK_THROWS_AS(third.get(), Error);
  }
}

}  // namespace
}  // namespace tug
