// F60-F72: what registries answer to the writes of a blob, and chunks.
#include "rows.h"

namespace tug::test {
namespace {

constexpr std::size_t kChunk = 300'000;

// The large layer in chunks, with these faults.
Case chunked(std::string id, const std::string& title, std::vector<Fault> faults,
             Ending ends = success()) {
  return {.id = std::move(id),
          .title = title,
          .registry = in_chunks_of(kChunk),
          .faults = std::move(faults),
          .ends = std::move(ends),
          .check = [](Lab& lab) {
            for (const HttpRequest& request : lab.requests("PATCH"))
              lab.expect(request.body_size <= kChunk, "no chunk is too large");
          }};
}
Case ranged(std::string id, const std::string& range, Times times = kAlways) {
  return chunked(std::move(id), "PATCH answers Range: " + (range.empty() ? "none" : range),
                 {sets_header("PATCH", "", "Range", range, times)});
}

Case status_of_patch(std::string id, int status) {
  return {.id = std::move(id),
          .title = "PATCH " + std::to_string(status),
          .faults = {sets_status("PATCH", "", status)},
          .check = [](Lab& lab) { lab.expect(whole_patches(lab) == 1, "accepted"); }};
}

Case status_of_commit(std::string id, int status, const std::string& target) {
  return {.id = std::move(id),
          .title = "PUT " + std::to_string(status) + " of what is stored",
          .faults = {sets_status("PUT", target, status)},
          .check = [](Lab& lab) {
            lab.expect(whole_patches(lab) == 1, "HEAD confirms it, nothing is sent again");
          }};
}

std::vector<Case> answers_to_writes() {
  const HttpResponse unknown = answer(404, error_body("BLOB_UPLOAD_UNKNOWN"));
  return {
      status_of_patch("F60a", 201),
      status_of_patch("F60b", 204),
      {.id = "F61a",
       .title = "the commit is answered 200 with HTML, and nothing is stored",
       .faults = {answers("PUT", kCommit, answer(200, kHtml), kAlways)},
       .ends = fails("protocol", "200")},
      {.id = "F61b",
       .title = "a small blob's PUT is answered 202, and nothing is stored",
       .faults = {answers("PUT", kSmallPut, answer(202), kAlways)},
       .ends = fails("protocol", "202")},
      status_of_commit("F61c", 202, kCommit),
      status_of_commit("F61d", 204, kCommit),
      status_of_commit("F61e", 200, kSmallPut),
      {.id = "F62",
       .title = "PUT 201 with another Docker-Content-Digest",
       .faults = {sets_header("PUT", kCommit, "Docker-Content-Digest", Digest::of("else").str())},
       .ends = fails("integrity", Digest::of("else").str()),
       .check =
           [](Lab& lab) {
             lab.expect(lab.requests("PUT", kManifests).empty(), "no manifest is put");
           }},
      {.id = "F63a",
       .title = "DIGEST_INVALID once",
       .faults = {answers("PUT", kCommit, answer(400, error_body("DIGEST_INVALID")))},
       .check = [](Lab& lab) { lab.expect(whole_patches(lab) == 2, "one restart"); }},
      {.id = "F63b",
       .title = "DIGEST_INVALID always",
       .faults = {answers("PUT", kCommit, answer(400, error_body("DIGEST_INVALID")), kAlways)},
       .ends = fails("integrity", "DIGEST_INVALID"),
       .check = [](Lab& lab) { lab.expect(whole_patches(lab) == 2, "one restart"); }},
      {.id = "F64a",
       .title = "BLOB_UPLOAD_UNKNOWN for a commit that was done",
       .faults = {answers_after("PUT", kCommit, unknown)},
       .check = [](Lab& lab) { lab.expect(whole_patches(lab) == 1, "HEAD finds it"); }},
      {.id = "F64b",
       .title = "BLOB_UPLOAD_UNKNOWN for a small blob that was stored",
       .faults = {answers_after("PUT", kSmallPut, unknown)},
       .check =
           [](Lab& lab) {
             lab.expect(lab.requests("PUT", kSmallPut).size() == 2, "HEAD finds it");
           }},
  };
}

// The second chunk is kept by half, and the registry is silent about it until the third.
Case half_kept() {
  Fault half = fault("PATCH", "", Act::keep_less, {1, 2});
  half.body_bytes = kChunk / 2;
  half.edit = [](HttpResponse& response) { set_header(response, "Range", ""); };
  Case row = chunked("F65", "416 in chunks, whose Range ends in the middle of one",
                     {half, sets_header("PATCH", "", "Range",
                                        "0-" + std::to_string(kChunk + kChunk / 2 - 1), {1, 3})});
  row.check = [](Lab& lab) {
    const auto patches = lab.requests("PATCH");
    lab.expect(patches.size() > 3 &&
                   patches[3].header("Content-Range").value_or("").starts_with("450000-"),
               "it goes on behind what is stored");
  };
  return row;
}

std::vector<Case> chunks() {
  const std::string too_large = "request body is too large, the limit is 4.00MiB";
  return {
      half_kept(),
      chunked("F66", "416 for ever",
              {answers("PATCH", "", answer(416, error_body("RANGE_INVALID")), kAlways)},
              fails("protocol", "416")),
      {.id = "F67",
       .title = "416 \"too large … 4.00MiB\" above 4 MiB",
       .registry =
           [&] {
             ScriptedRegistry::Options options;
             options.rule = [=](const HttpRequest& request) -> std::optional<HttpResponse> {
               const bool large = request.content_length().value_or(0) > 4 * kMiB;
               if (request.method != "PATCH" || !large) return std::nullopt;
               return answer(416, error_body("REQUESTED_RANGE_NOT_SATISFIABLE", too_large));
             };
             return options;
           }(),
       .image = {.layers = {10 * kMiB}},
       .check =
           [](Lab& lab) {
             lab.expect(lab.requests("PATCH").size() == 4, "one refusal, then three chunks");
           }},
      ranged("F68", "0-299999"),  // stuck at the first chunk, as ECR's
      ranged("F69a", "0-0"),
      ranged("F69b", "0--1"),
      ranged("F69c", "bytes=0-299999"),
      ranged("F69d", ""),
      ranged("F69e", "abc"),
      ranged("F69f", "0-99999999", {1, 2}),  // more than was sent: from the start, once
      chunked("F69g", "PATCH answers a Range beyond what was sent, always",
              {sets_header("PATCH", "", "Range", "0-99999999")},
              fails("protocol", "100000000 bytes after it was sent")),
      {.id = "F70",
       .title = "413 at any size",
       .faults = {answers("PATCH", "", answer(413), kAlways)},
       .image = {.layers = {10 * kMiB}},
       .ends = fails("limit", "does not take 1\\.0 MB in one request"),
       .check =
           [](Lab& lab) { lab.expect(lab.requests("PATCH").size() <= 6, "at most five steps"); }},
      {.id = "F71",
       .title = "OCI-Chunk-Max-Length: 1000000",
       .registry = in_chunks_of(1'000'000),
       .image = {.layers = {5 * kMiB}},
       .check =
           [](Lab& lab) {
             lab.expect(lab.requests("PATCH").size() == 6, "six chunks");
             for (const HttpRequest& request : lab.requests("PATCH"))
               lab.expect(request.body_size <= 1'000'000, "none above the limit");
           }},
      {.id = "F72a",
       .title = "405 on PATCH",
       .faults = {answers("PATCH", "", answer(405), kAlways)},
       .check =
           [](Lab& lab) { lab.expect(lab.requests("PATCH").size() == 1, "it is tried once"); }},
      {.id = "F72b",
       .title = "404 BLOB_UNKNOWN on a PUT with a body",
       .registry =
           [] {
             ScriptedRegistry::Options options;
             options.rule = [](const HttpRequest& request) -> std::optional<HttpResponse> {
               const bool has_body = request.content_length().value_or(0) > 0;
               if (request.method != "PUT" || !has_body) return std::nullopt;
               if (request.target.find("/blobs/") == std::string::npos) return std::nullopt;
               return answer(404, error_body("BLOB_UNKNOWN"));
             };
             return options;
           }(),
       .sessions_may_stay = true},  // after 404 there is none to be cancelled (5.15)
  };
}

}  // namespace

std::vector<Case> blob_cases() {
  std::vector<Case> rows = answers_to_writes();
  for (Case& row : chunks()) rows.push_back(std::move(row));
  return rows;
}

}  // namespace tug::test
