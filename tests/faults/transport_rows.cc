// F01-F24: connections that are refused, cut, silent or slow, and servers that are busy.
#include "rows.h"

#include <chrono>

namespace tug::test {
namespace {

using std::chrono::milliseconds;

// More than the buffers between two processes take.
const ImageShape kBig{.layers = {20 * kMiB}};
// Beyond 64 MiB an upload that was cut off is resumed, not started again.
const ImageShape kResumable{.layers = {80 * kMiB}};
constexpr std::uint64_t kCutAt = 70 * kMiB;

ScriptedRegistry::Options keeps_all() {
  ScriptedRegistry::Options options;
  options.kept_body_bytes = 80 * kMiB;
  return options;
}

// A port where nobody listens.
std::string dead_authority() {
  const HttpServer gone([](const HttpRequest&, HttpConnection&) {});
  return gone.authority();
}

// 500 whose body has no end.
void endless_error(const HttpRequest&, HttpConnection& connection) {
  connection.read_body();
  connection.send_raw("HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n");
  const std::string chunk = "10000\r\n" + std::string(0x10000, 'x') + "\r\n";
  while (connection.alive()) connection.send_raw(chunk);
}

void many_headers(const HttpRequest&, HttpConnection& connection) {
  connection.read_body();
  std::string head = "HTTP/1.1 202 Accepted\r\n";
  for (int i = 0; i < 4000; ++i)
    head += "X-Filler-" + std::to_string(i) + ": " + std::string(84, 'x') + "\r\n";
  connection.send_raw(head + "Content-Length: 0\r\n\r\n");
}

void expect_little_memory(Lab& lab) {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
  return;
#endif
#endif
  lab.expect(lab.program->peak_memory_kib() < 100 * 1024, "memory is bounded");
#endif
  (void)lab;
}

Case retry_after(std::string id, const std::string& value) {
  return {.id = std::move(id),
          .title = "429 with Retry-After: " + value,
          .faults = {answers("PATCH", "", answer(429, "", {{"Retry-After", value}}))},
          .check = [](Lab& lab) { lab.expect(whole_patches(lab) == 2, "it is sent again"); }};
}

// The RST may take the answer along that nobody has read yet: then the next whole body is refused
// in peace.
Case early_413() {
  Case row{.id = "F21a",
           .title = "413 with HTML while the body is on its way, then RST; chunks pass"};
  row.registry.rule = [](const HttpRequest& request) -> std::optional<HttpResponse> {
    const bool large = request.content_length().value_or(0) > 4 * kMiB;
    return large ? std::optional(answer(413, kHtml)) : std::nullopt;
  };
  Fault early = answers("PATCH", "", answer(413, "<html><h1>413 Too Large</h1></html>"));
  early.act = Act::answer_early;
  early.body_bytes = 100'000;
  early.then_reset = true;
  row.faults = {early};
  row.image = {.layers = {8 * kMiB}};
  row.check = [](Lab& lab) {
    const auto patches = lab.requests("PATCH");
    lab.expect(!patches.empty() && patches.back().header("Content-Range"), "chunks pass");
  };
  return row;
}

std::vector<Case> connections() {
  return {
      {.id = "F01",
       .title = "connection refused",
       .arrange =
           [](Lab& lab) { lab.destination = "docker://" + dead_authority() + "/team/app:v1"; },
       .ends = fails("network", "after 4 attempts.*refused|refused"),
       .max_requests = 0},
      {.id = "F02a",
       .title = "a self-signed certificate",
       .registry = with_tls(),
       .verify_tls = true,
       .ends = fails("tls", "certs\\.d"),
       .check = [](Lab& lab) { lab.expect(lab.registry.connection_count() == 1, "one attempt"); },
       .max_requests = 0},
      {.id = "F02b",
       .title = "a certificate for another name",
       .registry =
           [] {
             ScriptedRegistry::Options options;
             options.tls = HttpServer::Tls{make_certificate({"other.test"}, &pki().ca), ""};
             return options;
           }(),
       .verify_tls = true,
       .arrange = trust_ca,
       .ends = fails("tls"),
       .max_requests = 0},
      {.id = "F03a",
       .title = "plain http on the https port, with verification",
       .verify_tls = true,
       .ends = fails("tls|network"),
       .max_requests = 0},
      {.id = "F03b",
       .title = "plain http, --dest-tls-verify=false: no credential before http answered",
       .registry = with_basic(),
       .check =
           [](Lab& lab) {
             const auto all = lab.registry.requests();
             lab.expect(!all.empty() && all.front().method == "HEAD" &&
                            !all.front().has_header("Authorization"),
                        "the first request has no credential");
           }},
      {.id = "F04a",
       .title = "hangs up on every POST",
       .faults = {fault("POST", "", Act::close, kAlways)},
       .ends = fails("network", "repository does not exist"),
       .max_requests = 60},
      {.id = "F04b", .title = "hangs up on POST once", .faults = {fault("POST", "", Act::close)}},
      {.id = "F05a",
       .title = "RST in the middle of a PATCH: too little to resume",
       .faults = {resets("PATCH", "", kMiB)},
       .check = [](Lab& lab) { lab.expect(whole_patches(lab) == 2, "it starts again, once"); }},
      {.id = "F05b",
       .title = "RST after 70 of 80 MiB: resumed at the offset that GET tells",
       .registry = keeps_all(),
       .faults = {resets("PATCH", "", kCutAt)},
       .image = kResumable,
       .check =
           [](Lab& lab) {
             lab.expect(whole_patches(lab) == 1, "one whole body");
             const auto patches = lab.requests("PATCH");
             lab.expect(patches.size() > 1 && patches[1]
                                                  .header("Content-Range")
                                                  .value_or("")
                                                  .starts_with(std::to_string(kCutAt) + "-"),
                        "the next one goes on at the cut");
           }},
      {.id = "F06",
       .title = "RST after 70 of 80 MiB, and the session is gone",
       .registry = keeps_all(),
       .faults = {resets("PATCH", "", kCutAt),
                  answers("GET", kUploads, answer(404, error_body("BLOB_UPLOAD_UNKNOWN")))},
       .image = kResumable,
       .check =
           [](Lab& lab) {
             lab.expect(lab.requests("HEAD", kBlobs).size() > 2, "HEAD asks whether it is there");
             lab.expect(whole_patches(lab) == 2, "a whole body in a new session");
           },
       .sessions_may_stay = true},
      {.id = "F07",
       .title = "RST in every PATCH",
       .faults = {resets("PATCH", "", kMiB, kAlways)},
       .ends = fails("network", "after 4 attempts"),
       .check =
           [](Lab& lab) {
             lab.expect(lab.requests("PUT", kManifests).empty(), "no manifest is put");
           }},
      {.id = "F08",
       .title = "stops reading the body for ever",
       .faults = {fault("PATCH", "", Act::stall, kAlways)},
       .flags = {"--stall-timeout=1s", "--retry-times=1"},
       .image = kBig,
       .ends = fails("network", "after 2 attempts")},
      {.id = "F09a",
       .title = "reads a whole PATCH and never answers",
       .faults = {fault("PATCH", "", Act::stall_after)},
       .flags = {"--stall-timeout=1s"}},
      {.id = "F09b",
       .title = "commits and never answers",
       .faults = {fault("PUT", kCommit, Act::stall_after)},
       .flags = {"--stall-timeout=1s"},
       .check = [](Lab& lab) { lab.expect(whole_patches(lab) == 1, "the body is sent once"); }},
      {.id = "F10",
       .title = "the head of an answer drips",
       .faults = {handles("POST", "",
                          [](const HttpRequest&, HttpConnection& connection) {
                            connection.drip("HTTP/1.1 202 Accepted\r\nX: " +
                                                std::string(1000, 'x') + "\r\n\r\n",
                                            milliseconds(100));
                          })},
       .flags = {"--stall-timeout=1s", "--retry-times=1"},
       .ends = fails("network")},
      {.id = "F11a",
       .title = "commits, and cuts the connection before the answer",
       .registry = one_request_per_connection(),
       .faults = {fault("PUT", kCommit, Act::close_after)},
       .check =
           [](Lab& lab) {
             lab.expect(whole_patches(lab) == 1, "the body is sent once");
             lab.expect(lab.requests("PUT", kCommit).size() == 1, "one commit");
           }},
      {.id = "F11b",
       .title = "stores a small blob, and cuts the connection before the answer",
       .registry = one_request_per_connection(),
       .faults = {fault("PUT", kSmallPut, Act::close_after)},
       .check =
           [](Lab& lab) {
             lab.expect(lab.requests("PUT", kSmallPut).size() == 2, "each small blob is sent once");
           }},
  };
}

std::vector<Case> answers_lost_or_strange() {
  return {
      {.id = "F12a",
       .title = "stores the manifest, and cuts the connection before the answer",
       .faults = {fault("PUT", kManifests, Act::close_after)}},
      {.id = "F12b",
       .title = "cuts the connection without storing the manifest, once",
       .faults = {fault("PUT", kManifests, Act::close)}},
      {.id = "F12c",
       .title = "cuts the connection without storing the manifest, always",
       .faults = {fault("PUT", kManifests, Act::close, kAlways)},
       .ends = fails("network", "pushing manifest")},
      {.id = "F13",
       .title = "201 whose body is cut off",
       .faults = {edits("PUT", "",
                        [](HttpResponse& response) {
                          set_header(response, "Content-Length", "100");
                          set_header(response, "Connection", "close");
                          response.body = "0123456789";
                        })},
       .check = [](Lab& lab) { lab.expect(whole_patches(lab) == 1, "nothing is sent again"); }},
      {.id = "F14",
       .title = "400 KiB of headers",
       .faults = {handles("POST", "", many_headers)},
       .ends = fails("protocol", "header"),
       .check = expect_little_memory},
      {.id = "F15",
       .title = "500 with a body that has no end",
       .faults = {handles("POST", "", endless_error)},
       .ends = fails("server", "500"),
       .check = expect_little_memory},
      {.id = "F16a",
       .title = "502 with HTML, three times",
       .faults = {answers("PATCH", "", answer(502, kHtml), {3})}},
      {.id = "F16b",
       .title = "502 with HTML, escapes and bidi overrides, always",
       .faults = {answers(
           "PATCH", "",
           answer(502, "<html><title>\x1b[31mBad \u202eGateway\u2066\r\n\x07</title>" +
                           std::string(3000, 'y') + "</html>"),
           kAlways)},
       .ends = fails("server", "502.*Bad")},
      {.id = "F17",
       .title = "503 with Retry-After: 2, once",
       .faults = {answers("PATCH", "", answer(503, "", {{"Retry-After", "2"}}))},
       .check =
           [](Lab& lab) {
             lab.expect(lab.program->elapsed() >= milliseconds(2000), "it waits for 2 s");
           }},
      {.id = "F18",
       .title = "429 with Retry-After: 3600",
       .faults = {answers("PATCH", "", answer(429, "", {{"Retry-After", "3600"}}), kAlways)},
       .ends = fails("rate-limited", "3600 s"),
       .check = [](Lab& lab) { lab.expect(lab.requests("PATCH").size() == 1, "one attempt"); }},
      retry_after("F19a", "1.889377ms"),
      retry_after("F19b", ""),
      retry_after("F19c", "-5"),
      retry_after("F19d", "Thu, 01 Jan 1970 00:00:00 GMT"),
      {.id = "F20a",
       .title = "429 to everything",
       .faults = {answers("", "", answer(429, "slow down"), kAlways)},
       .ends = fails("rate-limited", "429 Too Many Requests"),  // of a HEAD: no body says why
       .max_requests = 8},
      {.id = "F20b",
       .title = "429 to every POST: all workers together stay within bounds",
       .faults = {answers("POST", "", answer(429), kAlways)},
       .image = {.layers = {1000, 1001, 1002, 1003, 1004, 1005}},
       .ends = fails("rate-limited", "429")},
      early_413(),
      {.id = "F21b",
       .title = "413 with HTML to chunks too",
       .faults = {answers("PATCH", "", answer(413, kHtml), kAlways)},
       .ends = fails("limit", "413")},
      {.id = "F22",
       .title = "411 to a body of unknown length",
       .tested_by = "unit/registry/upload_test.cc: F22 411",
       .why_not_here = "only layers of containers-storage are of unknown length"},
      {.id = "F23",
       .title = "417 to Expect, which is never sent (asserted in every row)",
       .registry =
           [] {
             ScriptedRegistry::Options options;
             options.rule = [](const HttpRequest& request) {
               return request.has_header("Expect") ? std::optional(answer(417)) : std::nullopt;
             };
             return options;
           }()},
      {.id = "F24",
       .title = "closes each connection after an answer, without saying so",
       .registry =
           [] {
             ScriptedRegistry::Options options;
             options.keep_alive = false;
             options.says_close = false;
             return options;
           }(),
       .check = [](Lab& lab) { lab.expect(whole_patches(lab) == 1, "no body twice"); }},
  };
}

}  // namespace

std::vector<Case> transport_cases() {
  std::vector<Case> rows = connections();
  for (Case& row : answers_lost_or_strange()) rows.push_back(std::move(row));
  return rows;
}

}  // namespace tug::test
