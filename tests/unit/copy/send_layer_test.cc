#include "copy/send_layer.h"

#include "base/cpu_pool.h"
#include "stream/compress.h"
#include "support/memory_images.h"
#include "support/registry_lab.h"
#include "transport/storage_layer.h"
#include "unit/transport/storage_fixture.h"

#include <tug/error.h>

#include <doctest/doctest.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>

namespace tug {
namespace {

using test::Fault;
using test::LabOptions;
using test::MadeLayer;
using test::RegistryLab;

// A destination whose streams go to a registry over HTTP.
class RemoteRegistry : public test::MemoryRegistry {
 public:
  explicit RemoteRegistry(registry::Repository& repository)
      : MemoryRegistry("reg.example/team/app:1"), repository_(repository) {}
  Descriptor put_stream(const StreamedBlob& blob, const SentCallback& sent,
                        std::stop_token stop) override {
    return repository_.put_stream(blob, sent, stop);
  }

 private:
  registry::Repository& repository_;
};

std::string decompressed(const std::string& bytes) {
  return test::read_all(decompressing_source(memory_source(bytes, 0), "layer"));
}

}  // namespace

TEST_CASE("a layer of a store goes on where the registry has it until when the connection broke") {
  test::StoreFixture store;
  const MadeLayer made = test::make_layer(std::string(64, '1'), "",
                                          {{"noise", test::some_bytes(2'500'000), '0', "", 0},
                                           {"more", test::some_bytes(2'500'000, 2), '0', "", 0}});
  store.add(made);
  StorageConfig config;
  config.driver = store.driver();
  config.graph_root = store.root();
  const StorePaths paths = StorePaths::find(config, nullptr);
  const auto layer =
      std::make_shared<const StorageLayer>(paths, *StoreSnapshot::read(paths).chain(made.id));
  const Blob blob{.descriptor = {std::string(media_type::kOciLayer), made.diff_id(), 0},
                  .form = Blob::Form::layer_tar,
                  .diff_id = made.diff_id(),
                  .open = [&](std::uint64_t offset) { return layer->open(offset); }};
  CpuPool pool(2);
  for (const LayerCompression format : {LayerCompression::gzip, LayerCompression::zstd}) {
    CAPTURE(static_cast<int>(format));
    LabOptions options;
    options.tuning.resume_from = 1'000'000;
    options.registry.keep_alive = false;
    RegistryLab lab(options);
    Fault cut;
    cut.method = "PATCH";
    cut.act = Fault::Act::reset;
    cut.body_bytes = 3'000'000;
    lab.registry.script(cut);
    RemoteRegistry remote(lab.repository);
    const SentLayer sent = send_compressed(
        blob, {format, std::nullopt}, "application/test", remote,
        [&]() -> CpuPool& { return pool; }, nullptr, lab.stop);
    const auto stored = lab.registry.blob("team/app", sent.descriptor.digest);
    REQUIRE(stored.has_value());
    CHECK(decompressed(*stored) == made.tar);
    std::size_t first_chunk = 0;
    for (const auto& request : lab.registry.requests()) {
      if (request.header("Content-Range") && first_chunk == 0)
        first_chunk = std::stoul(*request.header("Content-Range"));
    }
    CHECK(first_chunk == 3'000'000);  // what the registry had was not sent again
  }
}

}  // namespace tug
