#include "stream/compress.h"
#include "stream_fixture.h"
#include "support/error_of.h"

#include <vector>

namespace tug {
namespace {

using test::check_error;
using test::read_all;

std::string compress(const std::string& bytes, LayerCompression format) {
  CpuPool pool(1);
  return read_all(compressing_source(memory_source(bytes), {format, {}}, pool));
}
std::string decompress(const std::string& bytes, std::size_t in_step = 1 << 20,
                       std::size_t out_step = 1 << 20) {
  return read_all(
      decompressing_source(std::make_unique<test::DrippingSource>(bytes, in_step), "blob"),
      out_step);
}

const std::string kText = "a text, a text, a text\n";

TEST_CASE("plain bytes pass, whatever they begin with") {
  for (const std::string& bytes : {std::string(), std::string("x"), kText, std::string("\x1f"),
                                   std::string("\x1f\x8c is not gzip"), std::string("\x28\xb5\x2f"),
                                   std::string("\x28\xb5\x2f\xfc no frame"), std::string("P*M\x19"),
                                   test::random_bytes(100000, 3)}) {
    CHECK(decompress(bytes) == bytes);
    CHECK(decompress(bytes, 1, 3) == bytes);
  }
}

TEST_CASE("members and frames follow each other, in pieces of any size") {
  for (const LayerCompression format : {LayerCompression::gzip, LayerCompression::zstd}) {
    const std::string bytes = test::layer_bytes(30000);
    const std::string made =
        compress(kText, format) + compress("", format) + compress(bytes, format);
    for (const std::size_t in : std::initializer_list<std::size_t>{1, 2, 1000, 1 << 20}) {
      for (const std::size_t out : std::initializer_list<std::size_t>{1, 7, 1 << 20}) {
        CAPTURE(in);
        CAPTURE(out);
        CHECK(decompress(made, in, out) == kText + bytes);
      }
    }
  }
}

TEST_CASE("a stream that ends at any byte is truncated, except between members") {
  for (const LayerCompression format : {LayerCompression::gzip, LayerCompression::zstd}) {
    const std::string first = compress(kText, format);
    const std::string made = first + compress(test::layer_bytes(500), format);
    // Fewer bytes than the magic number has are a plain stream.
    const std::size_t magic = format == LayerCompression::gzip ? 2 : 4;
    for (std::size_t size = magic; size < made.size(); ++size) {
      CAPTURE(size);
      if (size == first.size()) {
        CHECK(decompress(made.substr(0, size)) == kText);
      } else {
        const auto words = "blob is truncated: it ends at byte " + std::to_string(size);
        for (const std::size_t step : std::initializer_list<std::size_t>{1, 1000})
          check_error(ErrorKind::integrity, words,
                      [&] { decompress(made.substr(0, size), step, 16); });
      }
    }
  }
}

TEST_CASE("a changed byte is an error or changes nothing but the header") {
  for (const LayerCompression format : {LayerCompression::gzip, LayerCompression::zstd}) {
    const std::string good = kText + test::random_bytes(50);
    const std::string made = compress(good, format);
    for (std::size_t at = 4; at < made.size(); ++at) {
      std::string bad = made;
      bad[at] = static_cast<char>(bad[at] ^ 0x55);
      CAPTURE(at);
      try {
        const std::string text = decompress(bad);
        CHECK(text == good);
        CHECK(at < 10);  // time, hints
      } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::integrity);
        CHECK(std::string(error.what()).starts_with("blob "));
      }
    }
  }
}

TEST_CASE("what follows the last member must be zeros, the last frame nothing") {
  const std::string gzip = compress(kText, LayerCompression::gzip);
  for (const std::size_t zeros : std::initializer_list<std::size_t>{1, 511, 200000})
    CHECK(decompress(gzip + std::string(zeros, '\0'), 1000) == kText);
  const std::string zero(1, '\0');
  for (const std::string& rest :
       {std::string("xy"), zero + "x", std::string(100000, '\0') + gzip, kText}) {
    check_error(ErrorKind::integrity, "blob is not valid gzip data near byte",
                [&] { decompress(gzip + rest); });
  }
  const std::string zstd = compress(kText, LayerCompression::zstd);
  for (const std::string& rest : {std::string("xxxxx"), std::string(512, '\0'), gzip + gzip})
    check_error(ErrorKind::integrity, "blob is not valid zstd data before byte",
                [&] { decompress(zstd + rest); });
}

TEST_CASE("skippable zstd frames are skipped, also in front") {
  const std::string skippable("\x5e\x2a\x4d\x18\x03\x00\x00\x00xyz", 11);
  const std::string frame = compress(kText, LayerCompression::zstd);
  CHECK(decompress(skippable + frame + skippable + frame + skippable, 1) == kText + kText);
  CHECK(decompress(skippable) == "");
}

TEST_CASE("zstd windows of 128 MiB are read, larger ones refused") {
  // A frame of one raw block "x": header without content size, window descriptor, block.
  const auto frame = [](unsigned window_log) {
    std::string bytes("\x28\xb5\x2f\xfd\x00", 5);
    bytes += static_cast<char>((window_log - 10) << 3U);
    return bytes + std::string("\x09\x00\x00x", 4);
  };
  CHECK(decompress(frame(17)) == "x");
  CHECK(decompress(frame(27)) == "x");
  check_error(ErrorKind::integrity, "more than 128 MiB", [&] { decompress(frame(28)); });
  check_error(ErrorKind::integrity, "more than 128 MiB", [&] { decompress(frame(31)); });
}

TEST_CASE("a small stream that stands for a large one is read in bounded pieces") {
  for (const LayerCompression format : {LayerCompression::gzip, LayerCompression::zstd}) {
    const std::string made = compress(std::string(20 << 20, '\0'), format);
    CHECK(made.size() < 100000);
    auto source = decompressing_source(memory_source(made), "blob");
    std::string piece(4096, '\0');
    std::size_t total = 0;
    while (const std::size_t got = source->read(std::as_writable_bytes(std::span(piece))))
      total += got;
    CHECK(total == 20 << 20);
  }
}

}  // namespace
}  // namespace tug
