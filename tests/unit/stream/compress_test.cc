#include "stream/compress.h"

#include "base/subprocess.h"
#include "stream/chunk_encoder.h"
#include "stream/gzip.h"
#include "stream_fixture.h"
#include "support/error_of.h"

#include <map>
#include <thread>
#include <vector>

namespace tug {
namespace {

using test::check_error;
using test::layer_bytes;
using test::random_bytes;
using test::read_all;

constexpr std::size_t kMiB = 1024 * 1024;

std::string compress(const std::string& bytes, const CompressionSpec& spec, unsigned threads = 2,
                     std::uint64_t skip = 0) {
  CpuPool pool(threads);
  return read_all(compressing_source(memory_source(bytes), spec, pool, skip));
}

std::string decompress(const std::string& bytes) {
  return read_all(decompressing_source(memory_source(bytes), "the layer"));
}

std::string name_of(const CompressionSpec& spec) {
  return (spec.format == LayerCompression::gzip ? "gzip " : "zstd ") +
         (spec.level ? std::to_string(*spec.level) : "default");
}

std::vector<CompressionSpec> all_specs() {
  std::vector<CompressionSpec> specs = {{LayerCompression::gzip, {}}, {LayerCompression::zstd, {}}};
  for (int level = 1; level <= 9; ++level) specs.push_back({LayerCompression::gzip, level});
  for (const int level : {1, 2, 3, 4, 5, 9, 19, 22})
    specs.push_back({LayerCompression::zstd, level});
  return specs;
}

const std::vector<CompressionSpec> kSomeSpecs = {{LayerCompression::gzip, {}},
                                                 {LayerCompression::gzip, 1},
                                                 {LayerCompression::gzip, 9},
                                                 {LayerCompression::zstd, {}},
                                                 {LayerCompression::zstd, 1}};

TEST_CASE("levels outside of the format's range are refused with the range") {
  CpuPool pool(1);
  for (const int level : {-1, 0, 10, 100}) {
    check_error(ErrorKind::usage, "1 to 9", [&] {
      compressing_source(memory_source(""), {LayerCompression::gzip, level}, pool);
    });
  }
  for (const int level : {-5, 0, 23}) {
    check_error(ErrorKind::usage, "1 to 22", [&] {
      CompressionSpec{LayerCompression::zstd, level}.validate();
    });
  }
  for (const CompressionSpec& spec : all_specs()) CHECK_NOTHROW(spec.validate());
}

TEST_CASE("every level gives back what went in") {
  const std::string bytes = layer_bytes(kMiB + 12345);
  for (const CompressionSpec& spec : all_specs()) {
    CAPTURE(name_of(spec));
    const std::string made = compress(bytes, spec);
    CHECK(made.size() < bytes.size() * 7 / 10);
    CHECK(decompress(made) == bytes);
  }
}

TEST_CASE("any length and any content comes back") {
  for (const CompressionSpec& spec : kSomeSpecs) {
    const std::size_t chunk = chunk_size(spec.format);
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, chunk - 1, chunk, chunk + 1}) {
      for (const std::string& bytes :
           {layer_bytes(size), random_bytes(size), std::string(size, '\0')}) {
        CAPTURE(name_of(spec));
        CAPTURE(size);
        const std::string made = compress(bytes, spec);
        CHECK_FALSE(made.empty());
        CHECK(made.size() <= (size / chunk + 1) * 64 + size + size / 100);
        CHECK(decompress(made) == bytes);
      }
    }
  }
}

TEST_CASE("members and frames are one per chunk, without a time") {
  const std::string two = layer_bytes(kMiB) + random_bytes(kMiB);
  for (const int level : {1, 2, 9}) {
    const std::string made = compress(two, {LayerCompression::gzip, level});
    // RFC 1952: magic, deflate, no flags, no time, (level hint), system unknown.
    const std::string head("\x1f\x8b\x08\x00\x00\x00\x00\x00", 8);
    CHECK(made.substr(0, 8) == head);
    CHECK(made[9] == '\xff');
    const std::string first = compress(two.substr(0, kMiB), {LayerCompression::gzip, level});
    const std::string second = compress(two.substr(kMiB), {LayerCompression::gzip, level});
    CHECK(made == first + second);
  }
  const std::string bytes = layer_bytes(5 * kMiB);
  CHECK(compress(bytes, {LayerCompression::zstd, {}}) ==
        compress(bytes.substr(0, 4 * kMiB), {LayerCompression::zstd, 3}) +
            compress(bytes.substr(4 * kMiB), {LayerCompression::zstd, 3}));
}

TEST_CASE("the same bytes come out with any number of threads and any size of pieces") {
  const std::string bytes = layer_bytes(10 * kMiB + 777);
  for (const CompressionSpec& spec : kSomeSpecs) {
    if (spec.level == 9) continue;
    CAPTURE(name_of(spec));
    const std::string expected = compress(bytes, spec, 1);
    for (const unsigned threads : {1U, 2U, 7U, 64U})
      CHECK(compress(bytes, spec, threads) == expected);
    CpuPool pool(3);
    auto source =
        compressing_source(std::make_unique<test::DrippingSource>(bytes, 4099), spec, pool);
    CHECK(read_all(*source, 1000) == expected);
  }
}

TEST_CASE("an encoder that was used for other chunks and levels gives the same bytes") {
  CpuPool pool(1);  // one thread: its encoder is used for everything
  std::map<std::string, std::string> made;
  for (int round = 0; round < 2; ++round) {
    for (const CompressionSpec& spec : kSomeSpecs) {
      for (const std::uint64_t seed : {1U, 2U}) {
        const std::string name = name_of(spec) + " seed " + std::to_string(seed);
        CAPTURE(name);
        const std::string bytes =
            read_all(compressing_source(memory_source(layer_bytes(kMiB / 2, seed)), spec, pool));
        CHECK(made.emplace(name, bytes).first->second == bytes);
      }
    }
  }
}

TEST_CASE("result is digest and size of all compressed bytes, skipped ones included") {
  const std::string bytes = layer_bytes(5 * kMiB);
  for (const CompressionSpec& spec : kSomeSpecs) {
    CAPTURE(name_of(spec));
    const std::string whole = compress(bytes, spec);
    const std::size_t size = whole.size();
    for (const std::size_t skip : {std::size_t{0}, std::size_t{1}, size / 3, size - 1, size}) {
      CAPTURE(skip);
      CpuPool pool(2);
      auto source = compressing_source(memory_source(bytes), spec, pool, skip);
      CHECK(read_all(*source) == whole.substr(skip));
      CHECK(source->result().digest == Digest::of(whole));
      CHECK(source->result().size == size);
      std::byte more{};
      CHECK(source->read({&more, 1}) == 0);
    }
    check_error(ErrorKind::integrity, "1 fewer than were sent before",
                [&] { compress(bytes, spec, 2, size + 1); });
  }
}

TEST_CASE("a source that fails ends the stream with its error") {
  class Failing final : public ByteSource {
   public:
    std::size_t read(std::span<std::byte> buffer) override {
      if (read_ > 5 * kMiB) throw Error(ErrorKind::local, "disk on fire");
      read_ += buffer.size();
      return buffer.size();
    }

   private:
    std::size_t read_ = 0;
  };
  for (const CompressionSpec& spec : kSomeSpecs) {
    CpuPool pool(2);
    check_error(ErrorKind::local, "disk on fire",
                [&] { read_all(compressing_source(std::make_unique<Failing>(), spec, pool)); });
  }
}

TEST_CASE("a source that is dropped at any time leaves the pool usable and its permits free") {
  CpuPool pool(2);
  const std::string bytes = layer_bytes(8 * kMiB);
  for (const CompressionSpec& spec : kSomeSpecs) {
    for (const std::size_t reads : std::initializer_list<std::size_t>{0, 1, 20}) {
      auto source = compressing_source(memory_source(bytes), spec, pool);
      std::string piece(100000, '\0');
      for (std::size_t i = 0; i < reads; ++i)
        (void)source->read(std::as_writable_bytes(std::span(piece)));
    }
  }
  std::size_t permits = 0;
  while (pool.try_take_permit()) ++permits;
  CHECK(permits == pool.threads() + 2);
  // Without any permit, one buffer is enough to get on.
  CHECK(decompress(read_all(compressing_source(memory_source(bytes), {}, pool))) == bytes);
}

TEST_CASE("sources without a permit get on, and those with several then give back") {
  CpuPool pool(2);
  const std::string bytes = random_bytes(12 * kMiB);  // so that what is read is what was made
  const auto permits = [&] {
    std::size_t left = 0;
    while (pool.try_take_permit()) ++left;
    for (std::size_t i = 0; i < left; ++i) pool.return_permit();
    return left;
  };
  std::string piece(100000, '\0');
  const auto read_a_chunk = [&](DigestingSource& source) {
    for (int i = 0; i < 12; ++i) (void)source.read(std::as_writable_bytes(std::span(piece)));
  };
  const auto greedy = compressing_source(memory_source(bytes), {}, pool);
  read_a_chunk(*greedy);
  CHECK(permits() == 0);
  std::vector<std::unique_ptr<DigestingSource>> others;
  for (int i = 0; i < 3; ++i) {
    others.push_back(compressing_source(memory_source(bytes), {}, pool));
    read_a_chunk(*others.back());
  }
  CHECK(pool.permits_are_overdrawn());
  for (int i = 0; i < 4; ++i) read_a_chunk(*greedy);
  CHECK_FALSE(pool.permits_are_overdrawn());
}

TEST_CASE("several sources share a pool") {
  CpuPool pool(2);
  const std::string bytes = layer_bytes(4 * kMiB);
  const std::string gzip = compress(bytes, {LayerCompression::gzip, {}});
  const std::string zstd = compress(bytes, {LayerCompression::zstd, {}});
  std::vector<std::thread> threads;
  std::vector<std::string> made(6);
  for (std::size_t i = 0; i < made.size(); ++i) {
    threads.emplace_back([&, i] {
      const auto format = i % 2 == 0 ? LayerCompression::gzip : LayerCompression::zstd;
      made[i] = read_all(compressing_source(memory_source(bytes), {format, {}}, pool));
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (std::size_t i = 0; i < made.size(); ++i) CHECK(made[i] == (i % 2 == 0 ? gzip : zstd));
}

TEST_CASE("random and compressed data is seen as such, and nothing else") {
  const auto looks = [](std::string_view bytes) {
    return looks_incompressible(std::as_bytes(std::span(bytes)));
  };
  const std::string text = layer_bytes(kMiB);
  CHECK(looks(random_bytes(kMiB)));
  CHECK(looks(random_bytes(300000)));
  CHECK_FALSE(looks(text));
  CHECK_FALSE(looks(std::string(kMiB, 'x')));
  CHECK_FALSE(looks(random_bytes(10000)));  // too few bytes to say
  CHECK_FALSE(looks(""));
  CHECK_FALSE(looks(random_bytes(kMiB / 2) + text.substr(0, kMiB / 2)));
  CHECK(looks(compress(layer_bytes(8 * kMiB), {LayerCompression::gzip, 9}).substr(0, kMiB)));
}

TEST_CASE("gzip, zstd and python accept what was made") {
  const std::string bytes = layer_bytes(7 * kMiB + 1);
  const auto run = [](const std::vector<std::string>& argv, const std::string& input) {
    return run_process(argv, input, std::chrono::seconds(60), 64 * kMiB, {});
  };
  const std::vector<std::string> python = {
      "python3", "-c",
      "import gzip,sys; sys.stdout.buffer.write(gzip.decompress(sys.stdin.buffer.read()))"};
  const struct {
    LayerCompression format;
    std::vector<std::string> argv;
  } cases[] = {{LayerCompression::gzip, {"gzip", "-t"}},
               {LayerCompression::gzip, {"gzip", "-dc"}},
               {LayerCompression::gzip, python},
               {LayerCompression::zstd, {"zstd", "-qt"}},
               {LayerCompression::zstd, {"zstd", "-dc"}}};
  for (const auto& c : cases) {
    for (const auto& level : {std::optional<int>(), std::optional<int>(1)}) {
      CAPTURE(c.argv[0]);
      const auto result = run(c.argv, compress(bytes, {c.format, level}));
      if (!result) {
        MESSAGE("skipped: there is no " << c.argv[0]);
        continue;
      }
      CHECK(result->exit_status == 0);
      CHECK((result->output.empty() || result->output == bytes));
    }
  }
}

}  // namespace
}  // namespace tug
