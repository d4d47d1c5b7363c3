// F84-F89: content that changes or cannot be read, interruption, and words that are no references.
#include "rows.h"

#include <signal.h>

#include <chrono>
#include <filesystem>
#include <fstream>

namespace tug::test {
namespace {

// More than is read ahead before the first byte of the body is taken.
const ImageShape kBig{.layers = {48 * kMiB}};
constexpr std::uint64_t kEarly = kMiB;

// When the head of the PATCH is there, `change` happens to the layer's file; then the body is read.
Case layer_changes(std::string id, const std::string& title,
                   std::function<void(const std::string& file)> change) {
  const auto file = std::make_shared<std::string>();
  Case row{.id = std::move(id), .title = title};
  row.registry.rule = [file, change = std::move(change)](
                          const HttpRequest& request) -> std::optional<HttpResponse> {
    if (request.method == "PATCH") change(*file);
    return std::nullopt;
  };
  row.image = kBig;
  row.arrange = [file](Lab& lab) { *file = lab.image.path_of(Digest::of(lab.image.layer(0))); };
  row.ends = fails("local", "changed while it was read|truncated");
  row.check = [](Lab& lab) {
    lab.expect(lab.requests("PUT", kCommit).empty(), "it is never committed");
    for (const HttpRequest& request : lab.requests("PATCH"))
      lab.expect(!request.body_complete, "the body is never complete");
    lab.expect(lab.requests("DELETE", kUploads).size() == 1, "the session is cancelled");
  };
  return row;
}

// The layer's file is this long, whatever the manifest says.
Case wrong_size(std::string id, const std::string& title, std::int64_t more) {
  return {.id = std::move(id),
          .title = title,
          .arrange =
              [more](Lab& lab) {
                const std::string file = lab.image.path_of(Digest::of(lab.image.layer(1)));
                const auto size = static_cast<std::int64_t>(lab.image.layer(1).size()) + more;
                std::filesystem::resize_file(file, static_cast<std::uintmax_t>(size));
              },
          .ends = fails("local|integrity", "sha256:[0-9a-f]{64}"),
          .check =
              [](Lab& lab) {
                lab.expect(lab.requests("PUT", kCommit).empty(), "it is never committed");
              }};
}

Case interrupted(std::string id, int signal_number, const std::string& title, Fault stalls,
                 const std::string& method) {
  return {.id = std::move(id),
          .title = title,
          .faults = {std::move(stalls)},
          .image = kBig,
          .act =
              [=](Lab& lab) {
                lab.start();
                lab.wait_until("a " + method + " is on its way",
                               [&] { return lab.registry.count(method, kUploads) > 0; });
                const auto begun = std::chrono::steady_clock::now();
                lab.program->signal(signal_number);
                lab.finish();
                // It is 2 s; a sanitizer needs longer.
                lab.expect(std::chrono::steady_clock::now() - begun < std::chrono::seconds(15),
                           "it ends soon");
              },
          .ends = {"interrupted", "", 128 + signal_number},
          .check =
              [](Lab& lab) {
                lab.expect(lab.requests("PUT", kManifests).empty(), "no manifest is put");
              }};
}

Case bad_words(std::string id, const std::string& title, const std::string& reference,
               std::vector<std::string> flags = {}) {
  return {.id = std::move(id),
          .title = title,
          .flags = std::move(flags),
          .arrange =
              [reference](Lab& lab) {
                lab.destination = "docker://" + lab.registry.authority() + "/" + reference;
              },
          .ends = fails("usage"),
          .check =
              [](Lab& lab) { lab.expect(lab.registry.connection_count() == 0, "nobody is asked"); },
          .max_requests = 0};
}

std::vector<Case> words() {
  return {
      bad_words("F89a", "a tag with CR LF", "team/app:v1\r\nX-Evil: 1"),
      bad_words("F89b", "a tag with a space", "team/app:v 1"),
      bad_words("F89c", "a repository with ..", "team/../app:v1"),
      bad_words("F89d", "a repository with %2f", "team%2fapp:v1"),
      bad_words("F89e", "a repository with a line end", "team/app\n:v1"),
      bad_words("F89f", "another tag with a slash", "team/app:v1", {"--additional-tag=a/b"}),
      bad_words("F89g", "a token with CR LF", "team/app:v1",
                {"--dest-registry-token=abc\r\nX-Evil: 1"}),
      bad_words("F89h", "a user agent with CR LF", "team/app:v1",
                {"--user-agent-prefix=abc\r\nX-Evil: 1"}),
      bad_words("F89i", "a user agent with an escape", "team/app:v1",
                {"--user-agent-prefix=abc\x1b[31m"}),
  };
}

}  // namespace

std::vector<Case> local_cases() {
  Fault stops_reading = fault("PATCH", "", Act::stall, kAlways);
  stops_reading.body_bytes = kEarly;
  std::vector<Case> rows{
      layer_changes("F84", "the layer is truncated while it is sent",
                    [](const std::string& file) { std::filesystem::resize_file(file, 24 * kMiB); }),
      layer_changes("F85", "the layer is overwritten while it is sent",
                    [](const std::string& file) {
                      std::fstream out(file, std::ios::in | std::ios::out | std::ios::binary);
                      out.seekp(40 * kMiB);
                      out << "not what it was";
                    }),
      {.id = "F86a",
       .title = "a directory in place of the layer",
       .arrange =
           [](Lab& lab) {
             const std::string file = lab.image.path_of(Digest::of(lab.image.layer(1)));
             std::filesystem::remove(file);
             std::filesystem::create_directory(file);
           },
       .ends = fails("local", "sha256:[0-9a-f]{64}")},
      {.id = "F86b",
       .title = "EIO in the middle of a layer",
       .tested_by = "unit/registry/upload_test.cc: a file that cannot be read ends the upload",
       .why_not_here = "no file system at hand fails on demand"},
      wrong_size("F87a", "a layer that is shorter than declared", -1),
      wrong_size("F87b", "a layer that is longer than declared", 1),
      interrupted("F88a", SIGINT, "SIGINT in mid-body", stops_reading, "PATCH"),
      interrupted("F88b", SIGTERM, "SIGTERM in mid-body", stops_reading, "PATCH"),
      interrupted("F88c", SIGINT, "SIGINT while the registry is silent",
                  fault("POST", kUploads, Act::stall, kAlways), "POST"),
  };
  for (Case& row : words()) rows.push_back(std::move(row));
  return rows;
}

}  // namespace tug::test
