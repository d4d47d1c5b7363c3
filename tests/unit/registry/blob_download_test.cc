// Repository::open_blob(): layers on their way out of a registry.
#include "registry/blob_download.h"

#include "support/error_of.h"
#include "support/read_all.h"
#include "support/registry_lab.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace tug::registry {
namespace {

using test::blob_of;
using test::check_error;
using test::Fault;
using test::HttpConnection;
using test::HttpRequest;
using test::read_all;
using test::RegistryLab;
using test::some_bytes;

const std::string kBytes = some_bytes(1'500'000);

// A storage that sends `served` whole, or from the byte that Range names, and breaks off after
// `piece` bytes of each answer.
struct Storage {
  std::string served = kBytes;
  std::size_t piece = 1 << 30;
  bool knows_range = true;
  std::string content_range = {};  // instead of the right one

  void operator()(const HttpRequest& request, HttpConnection& connection) const {
    const auto range = request.header("Range");
    const std::size_t from = range && knows_range ? std::stoul(range->substr(6)) : 0;
    std::string head =
        range && knows_range ? "HTTP/1.1 206 Partial Content\r\n" : "HTTP/1.1 200 OK\r\n";
    if (range && knows_range) {
      head += "Content-Range: " +
              (!content_range.empty()
                   ? content_range
                   : "bytes " + std::to_string(from) + "-" + std::to_string(served.size() - 1) +
                         "/" + std::to_string(served.size())) +
              "\r\n";
    }
    head += "Content-Length: " + std::to_string(served.size() - from) + "\r\n\r\n";
    connection.send_raw(head + served.substr(from, piece));
    if (served.size() - from > piece) connection.close();
  }
};

Fault storage(Storage what, int count = Fault::kAlways) {
  return {.method = "GET",
          .target = "/blobs/sha256",
          .count = count,
          .act = Fault::Act::handle,
          .response = {},
          .edit = {},
          .handler = what};
}

std::vector<std::string> ranges(const RegistryLab& lab) {
  std::vector<std::string> result;
  for (const HttpRequest& request : lab.registry.requests()) {
    if (request.method == "GET" && request.path().find("/blobs/") != std::string::npos)
      result.push_back(request.header("Range").value_or("all"));
  }
  return result;
}

const Descriptor kBlob = blob_of(kBytes).descriptor;

}  // namespace

TEST_CASE("a blob comes in while it is read, from any byte on") {
  RegistryLab lab;
  lab.registry.script(storage({}));
  CHECK(read_all(lab.repository.open_blob(kBlob, 0, lab.stop), 10'000) == kBytes);
  CHECK(read_all(lab.repository.open_blob(kBlob, 700'000, lab.stop)) == kBytes.substr(700'000));
  CHECK(read_all(lab.repository.open_blob(kBlob, kBytes.size(), lab.stop)).empty());
  CHECK(ranges(lab) == std::vector<std::string>{"all", "bytes=700000-"});
}

TEST_CASE("one that breaks off, again and again, goes on where it was") {
  RegistryLab lab;
  lab.registry.script(storage({.piece = 200'000}));
  CHECK(read_all(lab.repository.open_blob(kBlob, 0, lab.stop)) == kBytes);
  CHECK(ranges(lab) == std::vector<std::string>{"all", "bytes=200000-", "bytes=400000-",
                                                "bytes=600000-", "bytes=800000-", "bytes=1000000-",
                                                "bytes=1200000-", "bytes=1400000-"});
}

TEST_CASE("a registry that knows no Range sends all again, and what was read is skipped") {
  RegistryLab lab;
  lab.registry.script(storage({.piece = 400'000, .knows_range = false}, 1));
  lab.registry.script(storage({.knows_range = false}));
  CHECK(read_all(lab.repository.open_blob(kBlob, 0, lab.stop)) == kBytes);
  CHECK(ranges(lab) == std::vector<std::string>{"all", "bytes=400000-"});
}

TEST_CASE("bad gateways and resets on the way are got over, patience has an end") {
  RegistryLab lab;
  lab.registry.script(storage({.piece = 400'000}, 1));
  lab.registry.script({.method = "GET",
                       .target = "/blobs/",
                       .count = 1,
                       .response = {502, {}, ""},
                       .edit = {},
                       .handler = {}});
  lab.registry.script({.method = "GET",
                       .target = "/blobs/",
                       .count = 1,
                       .act = Fault::Act::reset,
                       .response = {},
                       .edit = {},
                       .handler = {}});
  lab.registry.script(storage({}));
  CHECK(read_all(lab.repository.open_blob(kBlob, 0, lab.stop)) == kBytes);

  RegistryLab dead;
  dead.registry.script(storage({.piece = 0}));
  check_error(ErrorKind::network, "broke off its answer after 0 of 1500000 bytes",
              [&] { read_all(dead.repository.open_blob(kBlob, 0, dead.stop)); });
}

TEST_CASE("what is not the blob is an error that names it") {
  struct Case {
    std::string_view name;
    Fault fault;
    ErrorKind kind;
    std::string_view says;
  };
  Fault missing{.method = "GET",
                .target = "/blobs/",
                .count = Fault::kAlways,
                .response = {404, {}, ""},
                .edit = {},
                .handler = {}};
  const Case cases[] = {
      {"longer", storage({.served = kBytes + "x"}), ErrorKind::integrity,
       "longer than the 1500000 bytes"},
      {"shorter", storage({.served = kBytes.substr(0, 1'000'000)}), ErrorKind::integrity,
       "sent 1000000 bytes, but its descriptor says 1500000"},
      {"missing", missing, ErrorKind::not_found, "404"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    RegistryLab lab;
    lab.registry.script(c.fault);
    check_error(c.kind, c.says, [&] { read_all(lab.repository.open_blob(kBlob, 0, lab.stop)); });
    check_error(c.kind, "reading blob " + kBlob.digest.str(),
                [&] { read_all(lab.repository.open_blob(kBlob, 0, lab.stop)); });
  }
  for (const char* range : {"bytes 0-1499999/1500000", "bytes 700001-1499999/1500000", "pages 1-2",
                            "bytes", "bytes x-y/z"}) {
    CAPTURE(range);
    RegistryLab lab;
    lab.registry.script(storage({.content_range = range}));
    check_error(ErrorKind::protocol, "byte 700000 was asked for",
                [&] { read_all(lab.repository.open_blob(kBlob, 700'000, lab.stop)); });
  }
}

TEST_CASE("a redirect to storage is followed, with the range, without credentials") {
  RegistryLab lab;
  lab.registry.script({.method = "GET",
                       .target = "^/v2/team/app/blobs/",
                       .count = Fault::kAlways,
                       .response = {307, {{"Location", lab.registry.other_url("/storage/1")}}, ""},
                       .edit = {},
                       .handler = {}});
  Fault stored = storage({.piece = 1'000'000});
  stored.target = "^/storage/1";
  lab.registry.script(stored);
  CHECK(read_all(lab.repository.open_blob(kBlob, 0, lab.stop)) == kBytes);
  const auto requests = lab.registry.other_requests();
  REQUIRE(requests.size() == 2);
  CHECK(requests[1].header("Range") == "bytes=1000000-");
  CHECK_FALSE(requests[1].has_header("Authorization"));
}

TEST_CASE("a download ends when its reader leaves, or is stopped, wherever it is") {
  RegistryLab lab;
  lab.registry.script(storage({}, 3));
  std::vector<std::byte> buffer(1000);
  {
    const auto unread = lab.repository.open_blob(kBlob, 0, lab.stop);
    const auto begun = lab.repository.open_blob(kBlob, 0, lab.stop);
    CHECK(begun->read(buffer) == buffer.size());
  }
  lab.registry.script({.method = "GET",
                       .target = "/blobs/",
                       .count = Fault::kAlways,
                       .act = Fault::Act::stall,
                       .response = {},
                       .edit = {},
                       .handler = {}});
  std::stop_source stop;
  const auto stopped = lab.repository.open_blob(kBlob, 0, stop.get_token());
  const auto begun = lab.repository.open_blob(kBlob, 0, stop.get_token());
  stop.request_stop();
  check_error(ErrorKind::interrupted, "", [&] {
    while (stopped->read(buffer) > 0) {
    }
    while (begun->read(buffer) > 0) {
    }
    throw Error(ErrorKind::usage, "both were read to their end");
  });
}

}  // namespace tug::registry
