#include "registry/upload_content.h"

#include "support/error_of.h"
#include "support/read_all.h"
#include "support/registry_lab.h"

#include <doctest/doctest.h>

namespace tug::registry {
namespace {

using test::blob_of;
using test::check_error;
using test::some_bytes;
using test::stream_of;

std::string read_all(ByteSource& source) { return test::read_all(source, 1000); }

// All chunks from the start, joined; checks that none breaks the limits.
std::string read_in_chunks(UploadContent& content, std::uint64_t size, std::uint64_t max) {
  std::string bytes;
  for (;;) {
    content.seek(bytes.size());
    const auto chunk = content.chunk(size, max);
    const std::string part = read_all(*chunk.source);
    CHECK(part.size() == chunk.length);
    CHECK(part.size() <= max);
    bytes += part;
    if (chunk.last || part.empty()) return bytes;
    CHECK(part.size() != 1);
  }
}

TEST_CASE("a blob in chunks of any size is the blob") {
  const std::string bytes = some_bytes(10'007);
  const Blob blob = blob_of(bytes);
  for (const std::uint64_t size : {7U, 1000U, 5003U, 10'006U, 10'007U, 20'000U}) {
    CAPTURE(size);
    BlobContent content(blob);
    CHECK(read_in_chunks(content, size, size) == bytes);
    CHECK(content.finish() == blob.descriptor);
  }
}

TEST_CASE("a stream in chunks of any size is the stream, and nothing is made twice") {
  const std::string bytes = some_bytes(10'007);
  for (const std::uint64_t size : {7U, 1000U, 5003U, 10'006U, 10'007U, 20'000U}) {
    CAPTURE(size);
    std::vector<std::uint64_t> opened;
    const StreamedBlob blob = stream_of(bytes, &opened);
    StreamContent content(blob);
    CHECK(read_in_chunks(content, size, size) == bytes);
    CHECK(content.finish().digest == Digest::of(bytes));
    CHECK(opened == std::vector<std::uint64_t>{0});
  }
}

TEST_CASE("a chunk of a stream is sent again, whole or in part, without making it again") {
  const std::string bytes = some_bytes(10'000);
  std::vector<std::uint64_t> opened;
  const StreamedBlob blob = stream_of(bytes, &opened);
  StreamContent content(blob);
  content.seek(0);
  CHECK(read_all(*content.chunk(4000, 4000).source) == bytes.substr(0, 4000));
  content.seek(1500);
  CHECK(read_all(*content.chunk(4000, 4000).source) == bytes.substr(1500, 4000));
  CHECK(opened.size() == 1);
  content.seek(0);  // gone from memory
  CHECK(read_all(*content.chunk(4000, 4000).source) == bytes.substr(0, 4000));
  content.seek(4000);
  CHECK(read_all(*content.rest().source) == bytes.substr(4000));
  CHECK(content.finish().size == bytes.size());
  CHECK(opened == std::vector<std::uint64_t>{0, 0, 4000});
}

TEST_CASE("a blob is read again from the start to send a later part, so that all of it is hashed") {
  const std::string bytes = some_bytes(10'000);
  const Blob blob = blob_of(bytes);
  BlobContent content(blob);
  content.seek(0);
  read_all(*content.rest().source);
  content.seek(6000);
  CHECK(read_all(*content.rest().source) == bytes.substr(6000));
  CHECK(content.finish() == blob.descriptor);
}

TEST_CASE("content that is not what the descriptor names is found out") {
  const std::string named = some_bytes(10'000);
  std::string other = named;
  other[9'999] ^= 1;
  struct Case {
    std::string bytes;
    std::string_view says;
  };
  for (const Case& c :
       {Case{other, "hashes to sha256:"}, Case{named + "x", "more bytes"},
        Case{named.substr(0, 9'999), "ends after 9999 bytes"}, Case{"", "ends after 0 bytes"}}) {
    CAPTURE(c.says);
    const Blob blob = blob_of(c.bytes, &named);
    check_error(ErrorKind::integrity, c.says, [&] {
      BlobContent content(blob);
      content.seek(0);
      read_all(*content.rest().source);
      content.finish();
    });
    check_error(ErrorKind::integrity, Digest::of(named).str(), [&] {
      BlobContent content(blob);
      read_in_chunks(content, 3000, 3000);
      content.finish();
    });
  }
}

TEST_CASE("a source that throws is opened again") {
  const std::string bytes = some_bytes(20'000);
  int throws = 1;
  const Blob blob = blob_of(bytes, nullptr, [&](std::uint64_t at) {
    if (at >= 7000 && throws-- > 0) throw Error(ErrorKind::network, "gone").set_retryable(true);
  });
  BlobContent content(blob);
  content.seek(0);
  check_error(ErrorKind::network, "gone", [&] { read_all(*content.rest().source); });
  content.seek(0);
  CHECK(read_all(*content.rest().source) == bytes);
  CHECK(content.finish() == blob.descriptor);
}

TEST_CASE("a stop ends what reads without sending") {
  const std::string bytes = some_bytes(50'000);
  std::stop_source stop;
  const Blob blob = blob_of(bytes, nullptr, [&](std::uint64_t at) {
    if (at >= 14'000) stop.request_stop();
    if (at >= 28'000) FAIL("read on after the stop");
  });
  BlobContent content(blob, stop.get_token());
  check_error(ErrorKind::interrupted, "", [&] { content.seek(45'000); });
  int reads = 0;
  const StreamedBlob stream{"type", [&](std::uint64_t offset) {
                              return std::make_unique<test::PiecewiseSource>(
                                  std::make_shared<const std::string>(bytes), offset, 1000,
                                  [&](std::uint64_t) { ++reads; });
                            }};
  StreamContent streamed(stream, stop.get_token());
  check_error(ErrorKind::interrupted, "", [&] { streamed.measure(); });
  check_error(ErrorKind::interrupted, "", [&] {
    streamed.seek(0);
    (void)streamed.chunk(40'000, 40'000);
  });
  CHECK(reads <= 2);
}

TEST_CASE("a stream that was measured must be the same the second time") {
  std::string bytes = some_bytes(1000);
  const auto current = std::make_shared<std::string>(bytes);
  const StreamedBlob blob{"type", [current](std::uint64_t offset) {
                            return std::make_unique<test::PiecewiseSource>(
                                std::make_shared<const std::string>(*current), offset, 100);
                          }};
  StreamContent content(blob);
  content.measure();
  CHECK(content.size() == 1000);
  CHECK(content.descriptor()->digest == Digest::of(bytes));
  content.seek(0);
  CHECK(content.rest().length == 1000);
  (*current)[5] ^= 1;
  content.seek(1);
  content.seek(0);
  read_all(*content.rest().source);
  check_error(ErrorKind::integrity, "second time", [&] { content.finish(); });
}

}  // namespace
}  // namespace tug::registry
