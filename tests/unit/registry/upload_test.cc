// Faults on the way of a blob (registry-protocol.md section 9), each against a registry that is
// good but for that fault. Whatever happens: an upload that returns means that the registry holds
// exactly these bytes, and the number of requests is bounded.
#include "registry/repository.h"
#include "support/error_of.h"
#include "support/registry_lab.h"

#include <doctest/doctest.h>

#include <string>
#include <thread>
#include <vector>

namespace tug::registry {
namespace {

using std::chrono::milliseconds;
using test::blob_of;
using test::Fault;
using test::HttpResponse;
using test::LabOptions;
using test::RegistryLab;
using test::some_bytes;
using Act = Fault::Act;

const std::string kSmall = some_bytes(800);     // one PUT (mode B)
const std::string kLarge = some_bytes(50'000);  // one PATCH (mode A)
const std::string kEmpty;
constexpr std::size_t kMaxRequests = 60;

UploadTuning small_sizes() {
  return {.small_blob = 1000,
          .one_post = 900,
          .one_post_trial = 0,  // other modes are tested
          .resume_from = 20'000,
          .chunk = 16'000,
          .resumed_chunk = 16'000,
          .smallest_chunk = 500,
          .held_chunk = 6'000,
          .max_held_chunk = 10'000};
}

LabOptions lab_options() {
  LabOptions options;
  options.tuning = small_sizes();
  options.stall = milliseconds(300);
  options.registry.keep_alive = false;
  return options;
}

std::string error_body(const std::string& code, const std::string& message = "scripted") {
  return R"({"errors":[{"code":")" + code + R"(","message":")" + message + "\"}]}";
}
HttpResponse answer(int status, const std::string& body = "", test::HeaderList headers = {}) {
  headers.emplace_back("Content-Type", body.starts_with("<") ? "text/html" : "application/json");
  return {status, std::move(headers), body};
}
Fault fault(std::string method, Act act, HttpResponse response = {}, int count = 1, int first = 1) {
  Fault f;
  f.method = std::move(method);
  f.target = "/blobs/";
  f.act = act;
  f.response = std::move(response);
  f.count = count;
  f.first = first;
  return f;
}
Fault reset_after(std::string method, std::uint64_t bytes, int count = 1) {
  Fault f = fault(std::move(method), Act::reset, {}, count);
  f.body_bytes = bytes;
  return f;
}
Fault edit(std::string method, std::function<void(HttpResponse&)> change,
           int count = Fault::kAlways) {
  Fault f = fault(std::move(method), Act::edit, {}, count);
  f.edit = std::move(change);
  return f;
}
void set_header(HttpResponse& response, const std::string& name, const std::string& value) {
  std::erase_if(response.headers, [&](const auto& field) { return field.first == name; });
  if (!value.empty()) response.headers.emplace_back(name, value);
}
Fault with_header(std::string method, const std::string& name, const std::string& value,
                  int count = Fault::kAlways) {
  return edit(
      std::move(method), [=](HttpResponse& r) { set_header(r, name, value); }, count);
}

struct Case {
  std::string_view name;
  const std::string& bytes;
  std::vector<Fault> faults;
  std::optional<ErrorKind> fails = std::nullopt;  // else it must succeed
  std::string_view says = "";
  // Bodies that begin at the first byte, -1: not asserted.
  int whole_bodies = -1;
  std::size_t max_requests = kMaxRequests;
};

std::vector<std::string> ranges_of(const RegistryLab& lab) {
  std::vector<std::string> ranges;
  for (const auto& request : lab.registry.requests()) {
    if (request.method == "PATCH")
      ranges.push_back(request.header("Content-Range").value_or("whole"));
  }
  return ranges;
}

void check_case(const Case& c, LabOptions options = lab_options()) {
  CAPTURE(c.name);
  RegistryLab lab(std::move(options));
  for (const Fault& f : c.faults) lab.registry.script(f);
  if (c.fails) {
    const Error error = test::error_of([&] { lab.put(c.bytes); });
    const std::string line = error.what();
    CHECK(to_string(error.kind()) == to_string(*c.fails));
    INFO("the error: ", line);
    CHECK(line.find(c.says) != std::string::npos);
    CHECK(line.find(Digest::of(c.bytes).str()) != std::string::npos);
    CHECK(line.find(lab.repository.name().name()) != std::string::npos);
    CHECK_FALSE(lab.holds(c.bytes));
  } else {
    CHECK_NOTHROW(lab.put(c.bytes));
    CHECK(lab.holds(c.bytes));
    CHECK(lab.reports().back() == c.bytes.size());
  }
  CHECK(lab.registry.blob_count("team/app") == (c.fails ? 0 : 1));
  CHECK(lab.requests() <= c.max_requests);
  if (c.whole_bodies >= 0) {
    int bodies = 0;
    for (const auto& request : lab.registry.requests()) {
      const bool from_start = request.header("Content-Range").value_or("0-").starts_with("0-");
      if (request.body_size > 0 && from_start) ++bodies;
    }
    CHECK(bodies == c.whole_bodies);
  }
  INFO(lab.debug_log());
}

// --- one POST (mode D) ---------------------------------------------------------------------------

LabOptions one_post_options(bool takes_it) {
  LabOptions options = lab_options();
  options.tuning.one_post_trial = 100;
  options.registry.takes_one_post = takes_it;
  return options;
}
const std::string kTiny(90, 't');
const std::string kSmaller(800, 's');

// "POST 90" for each request that is no question.
std::vector<std::string> writes_of(const RegistryLab& lab) {
  std::vector<std::string> writes;
  for (const auto& request : lab.registry.requests()) {
    if (request.method != "HEAD" && request.method != "GET")
      writes.push_back(request.method + " " + std::to_string(request.body_size));
  }
  return writes;
}

TEST_CASE("a registry that takes a blob in one POST is given the small ones so") {
  RegistryLab lab(one_post_options(true));
  lab.put(kSmaller);  // too large to try it with
  lab.put(kTiny);
  CHECK(lab.registry.count("HEAD") == 1);  // what was said the first time is looked at
  lab.put(kSmaller + "1");
  lab.put(kSmaller + std::string(100, '2'));
  lab.put(kSmaller + std::string(101, '3'));  // over one_post
  CHECK(lab.registry.count("HEAD") == 1);
  using Lines = std::vector<std::string>;
  CHECK(writes_of(lab) ==
        Lines{"POST 0", "PUT 800", "POST 90", "POST 801", "POST 900", "POST 0", "PUT 901"});
  CHECK(lab.registry.blob_count("team/app") == 5);
  CHECK(lab.reports().back() == 901);
  CHECK(lab.registry.requests()[3].header("Content-Type") == "application/octet-stream");
}

TEST_CASE("what one repository has taught of one POST holds for the others of the registry") {
  RegistryLab lab(one_post_options(true));
  lab.put(kTiny);
  LabOptions options = one_post_options(true);
  Repository other(lab.host,
                   RegistryReference::parse_repository(lab.registry.authority() + "/team/other"),
                   true, options.tuning);
  other.put_blob(
      test::blob_of(kSmaller), [](std::uint64_t) {}, lab.stop);
  CHECK(writes_of(lab) == std::vector<std::string>{"POST 90", "POST 800"});
}

TEST_CASE("a registry that takes no blob in one POST is asked once") {
  struct Trial {
    std::string_view name;
    std::optional<Fault> fault;
    std::vector<std::string> writes;  // of the blob it is tried with
  };
  const auto post = [](Act act, HttpResponse response = {}) {
    return fault("POST", act, std::move(response));
  };
  using Lines = std::vector<std::string>;
  const Lines again{"POST 90", "POST 0", "PUT 90"};
  const Trial trials[] = {
      {"opens a session, which is used", std::nullopt, {"POST 90", "PUT 90"}},
      {"400", post(Act::answer, answer(400, error_body("DIGEST_INVALID"))), again},
      {"403 of something in front", post(Act::answer, answer(403, "<html>no</html>")), again},
      {"405", post(Act::answer, answer(405)), again},
      {"413", post(Act::answer, answer(413)), again},
      {"500", post(Act::answer, answer(500)), again},
      {"200", post(Act::answer, answer(200)), again},
      {"hangs up, without reading", post(Act::close), {"POST 0", "POST 0", "PUT 90"}},
      {"201, but it is not there", post(Act::answer, answer(201)), again},
      {"201, and stored something else",
       post(Act::answer, answer(201, "", {{"Docker-Content-Digest", Digest::of("other").str()}})),
       again},
  };
  for (const Trial& trial : trials) {
    CAPTURE(trial.name);
    RegistryLab lab(one_post_options(false));
    if (trial.fault) lab.registry.script(*trial.fault);
    lab.put(kTiny);
    CHECK(writes_of(lab) == trial.writes);
    lab.put(kTiny + "2");
    lab.put(kSmaller);
    const Lines writes = writes_of(lab);
    CHECK(Lines(writes.begin() + static_cast<std::ptrdiff_t>(trial.writes.size()), writes.end()) ==
          Lines{"POST 0", "PUT 91", "POST 0", "PUT 800"});
    CHECK(lab.registry.blob_count("team/app") == 3);
    CHECK(lab.registry.count("DELETE") == 0);
  }
}

TEST_CASE("a registry that is overloaded has not shown whether it takes one POST") {
  RegistryLab lab(one_post_options(true));
  lab.registry.script(fault("POST", Act::answer, answer(503)));
  lab.put(kTiny);
  lab.put(kTiny + "2");
  lab.put(kSmaller);
  CHECK(writes_of(lab) ==
        std::vector<std::string>{"POST 90", "POST 0", "PUT 90", "POST 91", "POST 800"});
}

TEST_CASE("a registry that refuses the writer is not asked in another way") {
  RegistryLab lab(one_post_options(true));
  lab.registry.script(
      fault("POST", Act::answer, answer(403, error_body("DENIED", "quota")), Fault::kAlways));
  test::check_error(ErrorKind::denied, "quota", [&] { lab.put(kTiny); });
  CHECK(lab.requests() == 1);
}

TEST_CASE("what is not the blob is sent in no POST") {
  RegistryLab lab(one_post_options(true));
  Blob blob = test::blob_of(kTiny);
  blob.descriptor.digest = Digest::of("other");
  test::check_error(ErrorKind::integrity, "", [&] {
    lab.repository.put_blob(
        blob, [](std::uint64_t) {}, lab.stop);
  });
  CHECK(writes_of(lab).empty());
  CHECK(lab.put(kTiny) == kTiny.size());
  CHECK(writes_of(lab) == std::vector<std::string>{"POST 90"});
}

TEST_CASE("a manifest's missing blobs end the trust in one POST") {
  RegistryLab lab(one_post_options(true));
  lab.put(kTiny);
  Fault missing = fault("PUT", Act::answer, answer(400, error_body("MANIFEST_BLOB_UNKNOWN")));
  missing.target = "/manifests/";
  lab.registry.script(missing);
  const std::string manifest = R"({"schemaVersion":2})";
  const Descriptor descriptor{std::string(media_type::kOciManifest), Digest::of(manifest),
                              manifest.size()};
  CHECK_THROWS_AS(lab.repository.put_manifest("1", descriptor, manifest, lab.stop),
                  MissingBlobsError);
  lab.put(kSmaller);
  CHECK(writes_of(lab) == std::vector<std::string>{"POST 90", "PUT 19", "POST 0", "PUT 800"});
}

// --- without faults ------------------------------------------------------------------------------

TEST_CASE("a small blob goes in one PUT, a large one in one PATCH, an empty one in no body") {
  struct Exchange {
    std::string bytes;
    std::vector<std::string> methods;
  };
  for (const Exchange& e :
       {Exchange{kSmall, {"POST", "PUT"}}, Exchange{std::string(1000, 'x'), {"POST", "PUT"}},
        Exchange{kLarge, {"POST", "PATCH", "PUT"}}, Exchange{"", {"POST", "PUT"}},
        Exchange{"1", {"POST", "PUT"}}}) {
    CAPTURE(e.bytes.size());
    RegistryLab lab(lab_options());
    CHECK(lab.put(e.bytes) == e.bytes.size());
    CHECK(lab.holds(e.bytes));
    std::vector<std::string> methods;
    for (const auto& request : lab.registry.requests()) {
      if (request.target.find("/blobs/") == std::string::npos) continue;
      methods.push_back(request.method);
      CHECK_FALSE(request.has_header("Expect"));
      CHECK_FALSE(request.has_header("Content-Range"));
      CHECK(request.content_length().has_value());
      if (request.body_size > 0)
        CHECK(request.header("Content-Type") == "application/octet-stream");
    }
    CHECK(methods == e.methods);
    CHECK(lab.registry.open_sessions() == 0);
  }
}

TEST_CASE("sha512 blobs say so when the session is opened") {
  RegistryLab lab(lab_options());
  Blob blob = blob_of(kLarge);
  blob.descriptor.digest = Digest::of(DigestAlgorithm::sha512, kLarge);
  lab.repository.put_blob(blob, {}, lab.stop);
  CHECK(lab.registry.count("POST", "digest-algorithm=sha512") == 1);
  CHECK(lab.registry.blob("team/app", blob.descriptor.digest) == kLarge);
}

TEST_CASE("a chunked upload sends every byte once") {
  for (const std::size_t size : {50'000U, 48'000U, 48'001U, 16'001U, 16'000U}) {
    CAPTURE(size);
    const std::string bytes = some_bytes(size);
    LabOptions options = lab_options();
    options.registry.session_headers = {{"OCI-Chunk-Max-Length", "15999"}};
    RegistryLab lab(options);
    CHECK(lab.put(bytes) == bytes.size());
    CHECK(lab.holds(bytes));
    for (const auto& request : lab.registry.requests()) {
      CHECK(request.body_size <= 15'999);
      if (request.method == "PATCH") CHECK(request.has_header("Content-Range"));
      CHECK(request.body_size != 1);
    }
  }
}

// --- transport -----------------------------------------------------------------------------------

TEST_CASE("broken connections and lost answers") {
  const Case cases[] = {
      {"F04 hangs up on POST",
       kLarge,
       {fault("POST", Act::close, {}, Fault::kAlways)},
       ErrorKind::network,
       "repository",
       0,
       6},
      {"F04 once", kLarge, {fault("POST", Act::close)}, {}, "", 1},
      {"F05 reset in PATCH, session has the rest",
       kLarge,
       {reset_after("PATCH", 25'000)},
       {},
       "",
       1},
      {"F05 reset in PATCH, too little to resume",
       kLarge,
       {reset_after("PATCH", 10'000)},
       {},
       "",
       2},
      {"F06 reset in PATCH, session gone",
       kLarge,
       {reset_after("PATCH", 25'000),
        fault("GET", Act::answer, answer(404, error_body("BLOB_UPLOAD_UNKNOWN")))},
       {},
       "",
       2},
      {"F06 olareg: 400 for a session that is gone",
       kLarge,
       {reset_after("PATCH", 25'000),
        fault("GET", Act::answer, answer(400, error_body("BLOB_UPLOAD_UNKNOWN")))},
       {},
       "",
       2},
      {"F07 reset always",
       kLarge,
       {reset_after("PATCH", 10'000, Fault::kAlways)},
       ErrorKind::network,
       "after 4 attempts",
       4},
      {"reset in PUT", kSmall, {reset_after("PUT", 300)}, {}, "", 2},
      {"reset in PUT always",
       kSmall,
       {reset_after("PUT", 300, Fault::kAlways)},
       ErrorKind::network,
       "after 4 attempts"},
      {"F11 commit stored, answer lost", kLarge, {fault("PUT", Act::close_after)}, {}, "", 1, 5},
      {"F11 PUT with body stored, answer lost",
       kSmall,
       {fault("PUT", Act::close_after)},
       {},
       "",
       1,
       4},
      {"commit lost before it was done", kLarge, {fault("PUT", Act::close)}, {}, "", 1},
      {"commit never comes through",
       kLarge,
       {fault("PUT", Act::close, {}, Fault::kAlways)},
       ErrorKind::network,
       "after 4 attempts",
       4},
      {"F09 PATCH stored, never answered", kLarge, {fault("PATCH", Act::stall_after)}, {}, ""},
      {"F13 body of the answer cut",
       kLarge,
       {edit("PUT",
             [](HttpResponse& r) {
               set_header(r, "Content-Length", "100");
               set_header(r, "Connection", "close");
               r.body = "0123456789";
             })},
       {},
       "",
       1},
      {"F16 502 HTML three times",
       kLarge,
       {fault("PATCH", Act::answer, answer(502, "<html><title>Bad Gateway</title></html>"), 3)},
       {},
       "",
       4},
      {"503 on POST once", kLarge, {fault("POST", Act::answer, answer(503))}, {}, "", 1},
      {"500 on PATCH always",
       kLarge,
       {fault("PATCH", Act::answer, answer(500), Fault::kAlways)},
       ErrorKind::server,
       "500",
       4},
      {"507 is not retried",
       kLarge,
       {fault("PATCH", Act::answer, answer(507), Fault::kAlways)},
       ErrorKind::server,
       "507",
       1},
      {"F24 keep-alive closed silently",
       kLarge,
       {edit("", [](HttpResponse& r) { set_header(r, "Connection", "close"); })},
       {},
       "",
       1},
  };
  for (const Case& c : cases) check_case(c);
}

TEST_CASE("a connection that ends a moment after its answer costs one try (F24)") {
  LabOptions options = lab_options();
  options.registry.says_close = false;
  options.registry.closes_after = milliseconds(50);
  RegistryLab lab(options);
  const std::string large = some_bytes(8'000'000);  // more than the sockets take in that time
  lab.put(large);
  CHECK(lab.holds(large));
  CHECK(lab.registry.count("POST") <= 2);
  CHECK(lab.requests() < 15);
}

TEST_CASE("a server that stops reading is given up, and tried again (F08)") {
  Fault stalls = fault("PATCH", Act::stall);
  stalls.body_bytes = 1000;
  RegistryLab lab(lab_options());
  lab.registry.script(stalls);
  const std::string bytes = some_bytes(20'000'000);  // more than the buffers between us take
  lab.put(bytes);
  CHECK(lab.holds(bytes));
}

TEST_CASE("the commit of a large blob is waited for longer than for an answer to nothing") {
  RegistryLab lab(lab_options());
  lab.registry.script(edit(
      "PUT", [](HttpResponse&) { std::this_thread::sleep_for(milliseconds(700)); }, 1));
  const std::string bytes = some_bytes(20'000'000);
  lab.put(bytes);
  CHECK(lab.holds(bytes));
  CHECK(lab.registry.count("PUT") == 1);
  CHECK(lab.registry.count("HEAD") == 0);  // nobody had to look whether it is there
}

TEST_CASE("Retry-After is waited for, within reason") {
  struct Wait {
    std::string value;
    int status;
    milliseconds at_least;
    bool fails = false;
  };
  // F17, F18, F19
  for (const Wait& w : {Wait{"2", 503, milliseconds(2000)}, Wait{"7", 429, milliseconds(7000)},
                        Wait{"1.889377ms", 429, milliseconds(0)}, Wait{"", 429, milliseconds(0)},
                        Wait{"-5", 503, milliseconds(0)},
                        Wait{"Thu, 01 Jan 1970 00:00:00 GMT", 503, milliseconds(0)},
                        Wait{"3600", 429, milliseconds(0), true}}) {
    CAPTURE(w.value);
    RegistryLab lab(lab_options());
    lab.registry.script(
        fault("PATCH", Act::answer, answer(w.status, "", {{"Retry-After", w.value}})));
    if (w.fails) {
      test::check_error(ErrorKind::rate_limited, "3600 s (Retry-After)", [&] { lab.put(kLarge); });
      CHECK(lab.registry.count("PATCH") == 1);
      // The session is cancelled at once, not after the pause.
      CHECK(lab.registry.open_sessions() == 0);
      CHECK(lab.slept() == milliseconds(0));
    } else {
      lab.put(kLarge);
      CHECK(lab.holds(kLarge));
      CHECK(lab.slept() >= w.at_least);
    }
    CHECK(lab.slept() < milliseconds(3'000'000));
  }
}

TEST_CASE("429 to everything ends, and soon (F20)") {
  check_case({"F20",
              kLarge,
              {fault("", Act::answer, answer(429, "slow down"), Fault::kAlways)},
              ErrorKind::rate_limited,
              "429",
              0,
              8});
  check_case({"429 on the body",
              kLarge,
              {fault("PATCH", Act::answer, answer(429), Fault::kAlways)},
              ErrorKind::rate_limited,
              "after 4 attempts",
              4,
              20});
}

TEST_CASE("progress in chunks resets the count of attempts") {
  LabOptions options = lab_options();
  options.registry.session_headers = {{"OCI-Chunk-Max-Length", "2000"}};
  Fault every_other = fault("PATCH", Act::answer, answer(503));
  std::vector<Fault> faults;
  for (int i = 1; i < 26; i += 2) {
    Fault f = every_other;
    f.first = i;
    faults.push_back(f);
  }
  check_case({"every other chunk fails", some_bytes(20'000), faults, {}, "", -1, 60}, options);
}

TEST_CASE("getting as far as before is no progress") {
  LabOptions options = lab_options();
  options.registry.session_headers = {{"OCI-Chunk-Max-Length", "2000"}};
  Fault second_chunk = reset_after("PATCH", 100, Fault::kAlways);
  second_chunk.target = "_state=2";
  Fault gone =
      fault("GET", Act::answer, answer(404, error_body("BLOB_UPLOAD_UNKNOWN")), Fault::kAlways);
  check_case({"the second chunk never comes through",
              kLarge,
              {second_chunk, gone},
              ErrorKind::network,
              "after ",
              -1,
              40},
             options);
}

TEST_CASE("a whole body that broke off is resumed at the confirmed offset, and only there") {
  RegistryLab lab(lab_options());
  lab.registry.script(reset_after("PATCH", 25'000));
  lab.put(kLarge);
  CHECK(lab.holds(kLarge));
  CHECK(ranges_of(lab) == std::vector<std::string>{"whole", "25000-40999", "41000-49999"});
}

TEST_CASE("chunks are never resumed on registries that do not know them") {
  // 0-0 and the like: see the table of Range; here the session's answer is useless.
  for (const std::string range : {"0-0", "0--1", "abc", "", "0-99999999"}) {
    CAPTURE(range);
    check_case({"useless status",
                kLarge,
                {reset_after("PATCH", 25'000), with_header("GET", "Range", range)},
                {},
                "",
                2});
  }
}

TEST_CASE("progress goes back to 0 when a blob is started again") {
  RegistryLab lab(lab_options());
  lab.registry.script(reset_after("PATCH", 10'000));
  const std::uint64_t sent = lab.put(kLarge);
  CHECK(sent >= kLarge.size());
  const auto reports = lab.reports();
  CHECK(std::count(reports.begin(), reports.end(), 0) >= 1);
  CHECK(reports.back() == kLarge.size());
}

// --- authentication ------------------------------------------------------------------------------

LabOptions with_bearer() {
  LabOptions options = lab_options();
  options.registry.auth = test::ScriptedRegistry::Auth::bearer;
  options.with_credentials = true;
  return options;
}

TEST_CASE("a 401 on the commit costs a token, not the body (F36)") {
  RegistryLab lab(with_bearer());
  Fault expires =
      fault("PUT", Act::answer,
            answer(401, error_body("UNAUTHORIZED"),
                   {{"WWW-Authenticate", "Bearer realm=\"" + lab.registry.url("/token") +
                                             "\",service=\"scripted\",error=\"invalid_token\""}}));
  lab.registry.script(expires);
  lab.put(kLarge);
  CHECK(lab.holds(kLarge));
  CHECK(lab.registry.count("PATCH") == 1);
  CHECK(lab.registry.count("PUT") == 2);
  CHECK(lab.registry.token_count() == 2);
}

TEST_CASE("a 401 in the middle of a body starts the blob again with a new token (F37)") {
  RegistryLab lab(with_bearer());
  Fault expires =
      fault("PATCH", Act::answer_early,
            answer(401, error_body("UNAUTHORIZED"),
                   {{"WWW-Authenticate", "Bearer realm=\"" + lab.registry.url("/token") +
                                             "\",service=\"scripted\",error=\"invalid_token\""},
                    {"Connection", "close"}}));
  expires.body_bytes = 10'000;
  lab.registry.script(expires);
  lab.put(kLarge);
  CHECK(lab.holds(kLarge));
  CHECK(lab.registry.count("PATCH") == 2);
  CHECK(lab.requests() <= 12);
}

TEST_CASE("a 401 to a chunk costs a token and that chunk, however often it comes") {
  LabOptions options = with_bearer();
  options.registry.session_headers = {{"OCI-Chunk-Max-Length", "10000"}};
  RegistryLab lab(options);
  for (const int request : {2, 4, 6, 8}) {
    lab.registry.script(fault(
        "PATCH", Act::answer,
        answer(401, error_body("UNAUTHORIZED"),
               {{"WWW-Authenticate",
                 "Bearer realm=\"" + lab.registry.url("/token") + "\",service=\"scripted\""}}),
        1, request));
  }
  lab.put(kLarge);
  CHECK(lab.holds(kLarge));
  CHECK(lab.registry.count("POST", "/blobs/uploads/") == 1);
  const std::vector<std::string> ranges{"0-9999",      "10000-19999", "10000-19999",
                                        "20000-29999", "20000-29999", "30000-39999",
                                        "30000-39999", "40000-49999", "40000-49999"};
  CHECK(ranges_of(lab) == ranges);
  CHECK(lab.registry.token_count() == 5);
}

TEST_CASE("401 to every body ends in an auth error (F35)") {
  RegistryLab lab(with_bearer());
  lab.registry.script(
      fault("PATCH", Act::answer,
            answer(401, error_body("UNAUTHORIZED"),
                   {{"WWW-Authenticate",
                     "Bearer realm=\"" + lab.registry.url("/token") + "\",service=\"scripted\""}}),
            Fault::kAlways));
  test::check_error(ErrorKind::auth, "401", [&] { lab.put(kLarge); });
  CHECK(lab.registry.count("PATCH") <= 3);
  CHECK(lab.requests() <= 20);
}

TEST_CASE("403 and 405 on POST are refusals, 404 is a missing repository (F39)") {
  const Case cases[] = {
      {"403",
       kLarge,
       {fault("POST", Act::answer, answer(403, error_body("DENIED", "quota exceeded")),
              Fault::kAlways)},
       ErrorKind::denied,
       "quota exceeded",
       0,
       2},
      {"405",
       kLarge,
       {fault("POST", Act::answer, answer(405), Fault::kAlways)},
       ErrorKind::denied,
       "read-only",
       0,
       2},
      {"404",
       kLarge,
       {fault("POST", Act::answer, answer(404, error_body("NAME_UNKNOWN")), Fault::kAlways)},
       ErrorKind::not_found,
       "404",
       0,
       2},
      {"403 in the body",
       kLarge,
       {fault("PATCH", Act::answer, answer(403, error_body("DENIED")), Fault::kAlways)},
       ErrorKind::denied,
       "DENIED",
       1,
       4},
  };
  for (const Case& c : cases) check_case(c);
}

// --- redirects and Location ----------------------------------------------------------------------

TEST_CASE("redirects of writes") {
  const Case cases[] = {
      {"F50 commit 302",
       kLarge,
       {fault("PUT", Act::answer, answer(302, "", {{"Location", "/v2/"}}), Fault::kAlways)},
       ErrorKind::protocol,
       "302",
       1},
      {"F50 commit 303",
       kLarge,
       {fault("PUT", Act::answer, answer(303, "", {{"Location", "/v2/"}}), Fault::kAlways)},
       ErrorKind::protocol,
       "303",
       1},
      {"301 on PATCH",
       kLarge,
       {fault("PATCH", Act::answer, answer(301, "", {{"Location", "/v2/"}}), Fault::kAlways)},
       ErrorKind::protocol,
       "301",
       1},
      {"301 on POST",
       kLarge,
       {fault("POST", Act::answer, answer(301, "", {{"Location", "/v2/"}}), Fault::kAlways)},
       ErrorKind::protocol,
       "301",
       0},
      {"307 without Location",
       kLarge,
       {fault("PATCH", Act::answer, answer(307), Fault::kAlways)},
       ErrorKind::protocol,
       "Location",
       1},
      {"307 in a circle",
       kLarge,
       {fault("PATCH", Act::answer, answer(307, "", {{"Location", "?again"}}), Fault::kAlways)},
       ErrorKind::protocol,
       "too many redirects",
       4},
  };
  for (const Case& c : cases) check_case(c);
}

TEST_CASE("a refused redirect of a write is told without its secrets (S7)") {
  struct Told {
    std::string_view name;
    std::string location;
    std::string_view says;
  };
  for (const Told& t :
       {Told{"a signed URL", "https://s3.example/b?X-Amz-Signature=s3cret&token=s3cret",
             "https://s3.example/b"},
        Told{"relative", "/login?token=s3cret", "/login"},
        Told{"userinfo", "https://user:s3cret@s3.example/b", "URL"},
        Told{"no URL", "https://s3.example:x/b?token=s3cret", "https://s3.example:x/b"}}) {
    CAPTURE(t.name);
    RegistryLab lab(lab_options());
    lab.registry.script(
        fault("PATCH", Act::answer, answer(301, "", {{"Location", t.location}}), Fault::kAlways));
    const std::string line = test::error_of([&] { lab.put(kLarge); }).what();
    CAPTURE(line);
    CHECK(line.find(t.says) != std::string::npos);
    CHECK(line.find("s3cret") == std::string::npos);
    CHECK(lab.debug_log().find("s3cret") == std::string::npos);
  }
}

TEST_CASE("307 repeats a write with its body (F51)") {
  for (const std::string method : {"PATCH", "PUT"}) {
    for (const std::string* bytes : {&kSmall, &kLarge}) {
      CAPTURE(method);
      RegistryLab lab(lab_options());
      Fault redirect;
      redirect.method = method;
      redirect.target = "/blobs/uploads/session-1\\?_state=";
      redirect.response = answer(307);
      // The same session by another spelling; the query is kept as it came.
      redirect.response.headers.emplace_back(
          "Location",
          "/v2/team/app/blobs/uploads/session-1?again&digest=" + Digest::of(*bytes).str());
      lab.registry.script(redirect);
      lab.put(*bytes);
      CHECK(lab.holds(*bytes));
    }
  }
}

TEST_CASE("what a Location may be") {
  const std::string session = "/v2/team/app/blobs/uploads/session-1";
  struct Location {
    std::string value;
    bool good;
  };
  for (const Location& l : {
           Location{session, true}, Location{"session-1?x=1", true},  // path-relative
           Location{session + "?a=%2B+=/&b=&a;b#part", true},         // F55
           Location{"HTTP://{host}" + session, true}, Location{"//{host}" + session, true},
           Location{"", false}, Location{"ftp://{host}" + session, false},
           Location{"http://user:pw@{host}" + session, false},
           Location{"http://[::1" + session, false},
           Location{session + "?" + std::string(65'536, 'x'), false},  // F58
       }) {
    CAPTURE(l.value.substr(0, 80));
    RegistryLab lab(lab_options());
    std::string value = l.value;
    if (const auto at = value.find("{host}"); at != std::string::npos)
      value.replace(at, 6, lab.registry.authority());
    lab.registry.script(with_header("POST", "Location", value));
    if (l.good) {
      lab.put(kLarge);
      CHECK(lab.holds(kLarge));
    } else {
      CHECK(test::error_of([&] { lab.put(kLarge); }).kind() == ErrorKind::protocol);
      CHECK(lab.registry.count("PATCH") == 0);
    }
  }
}

TEST_CASE("the query of a session URL is kept byte for byte, and digest is appended (F55)") {
  RegistryLab lab(lab_options());
  const std::string query = "?a=%2B+=/&b=&c%3dd";
  lab.registry.script(
      with_header("PATCH", "Location", "/v2/team/app/blobs/uploads/session-1" + query));
  lab.put(kLarge);
  std::string put;
  for (const auto& request : lab.registry.requests())
    if (request.method == "PUT") put = request.target;
  CHECK(put.starts_with("/v2/team/app/blobs/uploads/session-1" + query + "&digest=sha256"));
}

TEST_CASE("Locations that are missing, double, or carry another digest") {
  const Case cases[] = {
      {"F52 POST without Location",
       kLarge,
       {with_header("POST", "Location", "")},
       ErrorKind::protocol,
       "Location",
       0,
       2},
      {"F53 PATCH without Location", kLarge, {with_header("PATCH", "Location", "")}, {}, "", 1, 4},
      {"two Locations",
       kLarge,
       {edit("POST", [](HttpResponse& r) { r.headers.emplace_back("Location", "/else"); })},
       ErrorKind::protocol,
       "two different",
       0,
       2},
      {"another digest in the query",
       kLarge,
       {with_header("PATCH", "Location", "/v2/team/app/blobs/uploads/session-1?digest=sha256:00")},
       ErrorKind::protocol,
       "another digest",
       1},
      {"our digest in the query already",
       kLarge,
       {with_header("PATCH", "Location",
                    "/v2/team/app/blobs/uploads/session-1?digest=" + Digest::of(kLarge).str())},
       {},
       "",
       1},
  };
  for (const Case& c : cases) check_case(c);
}

TEST_CASE("single-use session URLs (F59)") {
  LabOptions options = lab_options();
  options.registry.single_use_locations = true;
  check_case({"GCR", kLarge, {}, {}, "", 1, 4}, options);
  options.registry.session_headers = {{"OCI-Chunk-Max-Length", "7000"}};
  check_case({"with chunks", kLarge, {}, {}, "", 1}, options);
}

TEST_CASE("a session on another host gets the body and no credentials (F56)") {
  LabOptions options = with_bearer();
  RegistryLab lab(options);
  lab.registry.script(edit("POST", [&](HttpResponse& r) {
    set_header(r, "Location", lab.registry.other_url("/v2/team/app/blobs/uploads/session-1"));
  }));
  lab.put(kLarge);
  CHECK(lab.holds(kLarge));
  REQUIRE(lab.registry.other_requests().size() == 2);
  for (const auto& request : lab.registry.other_requests()) {
    CHECK_FALSE(request.has_header("Authorization"));
    CHECK_FALSE(request.has_header("Cookie"));
  }
}

// --- blob protocol -------------------------------------------------------------------------------

TEST_CASE("what registries answer to writes of blobs") {
  const auto html = answer(200, "<html>welcome</html>");
  const Case cases[] = {
      {"F60 PATCH 201",
       kLarge,
       {edit("PATCH", [](HttpResponse& r) { r.status = 201; })},
       {},
       "",
       1,
       4},
      {"F60 PATCH 204",
       kLarge,
       {edit("PATCH", [](HttpResponse& r) { r.status = 204; })},
       {},
       "",
       1,
       4},
      {"PATCH 200 HTML",
       kLarge,
       {fault("PATCH", Act::answer, html, Fault::kAlways)},
       ErrorKind::protocol,
       "200",
       1,
       5},
      {"F61 commit 200 HTML",
       kLarge,
       {fault("PUT", Act::answer, html, Fault::kAlways)},
       ErrorKind::protocol,
       "200",
       1,
       9},
      {"F61 commit 202, stored",
       kLarge,
       {edit("PUT", [](HttpResponse& r) { r.status = 202; })},
       {},
       "",
       1,
       5},
      {"F61 commit 204, stored",
       kLarge,
       {edit("PUT", [](HttpResponse& r) { r.status = 204; })},
       {},
       "",
       1,
       5},
      {"F61 PUT 200, stored",
       kSmall,
       {edit("PUT", [](HttpResponse& r) { r.status = 200; })},
       {},
       "",
       1,
       4},
      {"F61 PUT 202, not stored",
       kSmall,
       {fault("PUT", Act::answer, answer(202), Fault::kAlways)},
       ErrorKind::protocol,
       "202"},
      {"F62 garbage digest is no digest",
       kLarge,
       {with_header("PUT", "Docker-Content-Digest", "sha256:zz")},
       {},
       "",
       1,
       4},
      {"F62 digest of another algorithm",
       kLarge,
       {with_header("PUT", "Docker-Content-Digest",
                    Digest::of(DigestAlgorithm::sha512, "x").str())},
       {},
       "",
       1,
       4},
      {"F63 DIGEST_INVALID once",
       kLarge,
       {fault("PUT", Act::answer, answer(400, error_body("DIGEST_INVALID")))},
       {},
       "",
       2},
      {"F63 DIGEST_INVALID always",
       kLarge,
       {fault("PUT", Act::answer, answer(400, error_body("DIGEST_INVALID")), Fault::kAlways)},
       ErrorKind::integrity,
       "DIGEST_INVALID",
       2},
      {"Quay: BLOB_UPLOAD_INVALID once",
       kSmall,
       {fault("PUT", Act::answer, answer(400, error_body("BLOB_UPLOAD_INVALID")))},
       {},
       "",
       2},
      {"400 without a code",
       kLarge,
       {fault("PUT", Act::answer, answer(400), Fault::kAlways)},
       ErrorKind::protocol,
       "400",
       1},
      {"409 once", kLarge, {fault("PATCH", Act::answer, answer(409))}, {}, "", 2},
      {"F64 stored, but UPLOAD_UNKNOWN",
       kLarge,
       {fault("PUT", Act::answer_after, answer(404, error_body("BLOB_UPLOAD_UNKNOWN")))},
       {},
       "",
       1,
       5},
      {"F64 stored, but UPLOAD_UNKNOWN, small",
       kSmall,
       {fault("PUT", Act::answer_after, answer(404, error_body("BLOB_UPLOAD_UNKNOWN")))},
       {},
       "",
       1,
       4},
      {"404 on commit",
       kLarge,
       {fault("PUT", Act::answer, answer(404, error_body("BLOB_UPLOAD_UNKNOWN")))},
       {},
       "",
       2},
      {"404 on PATCH (Artifactory cluster)",
       kLarge,
       {fault("PATCH", Act::answer, answer(404))},
       {},
       "",
       2},
      {"F72 405 on PATCH",
       kLarge,
       {fault("PATCH", Act::answer, answer(405), Fault::kAlways)},
       {},
       "",
       2,
       8},
      {"F72 404 BLOB_UNKNOWN on PUT with body",
       kSmall,
       {[] {
         Fault f = fault("PUT", Act::answer, answer(404, error_body("BLOB_UNKNOWN")));
         f.target = "_state=1";
         return f;
       }()},
       {},
       "",
       2},
      {"neither PATCH nor PUT",
       kLarge,
       {fault("PATCH", Act::answer, answer(405), Fault::kAlways),
        fault("PUT", Act::answer, answer(405), Fault::kAlways)},
       ErrorKind::denied,
       "405"},
      {"F73 500 on commit, stored",
       kLarge,
       {fault("PUT", Act::answer_after, answer(500))},
       {},
       "",
       1,
       5},
      {"F73 500 on PUT, stored",
       kSmall,
       {fault("PUT", Act::answer_after, answer(500))},
       {},
       "",
       1,
       4},
      {"500 on commit once", kLarge, {fault("PUT", Act::answer, answer(500))}, {}, "", 1, 6},
      {"F74 500 on commit always",
       kLarge,
       {fault("PUT", Act::answer, answer(500), Fault::kAlways)},
       ErrorKind::server,
       "500",
       1},
      {"F83 empty blob refused",
       kEmpty,
       {fault("PUT", Act::answer, answer(400, error_body("EMPTY")), Fault::kAlways)},
       ErrorKind::protocol,
       "refuses empty blobs"},
  };
  for (const Case& c : cases) check_case(c);
}

TEST_CASE("a commit that names another digest is an integrity error, tried no more (F62)") {
  RegistryLab lab(lab_options());
  lab.registry.script(with_header("PUT", "Docker-Content-Digest", Digest::of("other").str()));
  test::check_error(ErrorKind::integrity, Digest::of("other").str(), [&] { lab.put(kLarge); });
  CHECK(lab.registry.count("PUT") == 1);
}

TEST_CASE("requests that are too large") {
  const auto large = [](std::string_view text) { return answer(413, std::string(text)); };
  Fault early = fault("PATCH", Act::answer_early,
                      large("<html><h1>413 Request Entity Too Large</h1></html>"));
  early.response.headers.emplace_back("Connection", "close");
  early.body_bytes = 2000;
  early.then_reset = true;
  const Case cases[] = {
      {"F21 early 413, then RST", kLarge, {early}, {}, ""},
      {"413 on the whole body", kLarge, {fault("PATCH", Act::answer, large(""), 1)}, {}, "", 2},
      {"413 twice", kLarge, {fault("PATCH", Act::answer, large(""), 2)}, {}, "", 3},
      {"F67 GHCR's 416",
       kLarge,
       {fault("PATCH", Act::answer,
              answer(416,
                     error_body("REQUESTED_RANGE_NOT_SATISFIABLE", "request body is too large")))},
       {},
       "",
       2},
      {"F70 413 at any size",
       kLarge,
       {fault("PATCH", Act::answer, large(""), Fault::kAlways)},
       ErrorKind::limit,
       "in one request",
       6},
      {"413 for a small blob",
       kSmall,
       {fault("PUT", Act::answer, large("")),
        fault("PATCH", Act::answer, large(""), Fault::kAlways)},
       ErrorKind::limit,
       "500 B"},
  };
  for (const Case& c : cases) check_case(c);
}

TEST_CASE("what one blob taught about sizes, the next one knows") {
  RegistryLab lab(lab_options());
  lab.registry.script(fault("PATCH", Act::answer, answer(413)));
  lab.put(kLarge);
  const std::string second = some_bytes(50'000, 2);
  lab.put(second);
  CHECK(lab.holds(second));
  CHECK(lab.registry.count("POST") == 3);
}

TEST_CASE("--chunk-size: larger blobs go in chunks of it, within the registry's limits") {
  const auto patches = [](std::uint64_t size, test::HeaderList headers) {
    LabOptions options = lab_options();
    options.chunk_size = size;
    options.registry.session_headers = std::move(headers);
    RegistryLab lab(options);
    lab.put(kLarge);
    CHECK(lab.holds(kLarge));
    lab.put_stream(some_bytes(30'000, 3));
    CHECK(lab.holds(some_bytes(30'000, 3)));
    lab.put(kSmall);
    CHECK(lab.holds(kSmall));
    return lab.registry.count("PATCH");
  };
  CHECK(patches(20'000, {}) == 3 + 5);  // a stream's chunks wait in memory: 6,000 at most
  CHECK(patches(50'000, {}) == 1 + 5);
  CHECK(patches(5'000, {}) == 10 + 6);
  CHECK(patches(5'000, {{"OCI-Chunk-Min-Length", "10000"}}) == 5 + 3);
  CHECK(patches(20'000, {{"OCI-Chunk-Max-Length", "10000"}}) == 5 + 5);
  CHECK(patches(400, {}) == 125 + 75 + 2);
}

TEST_CASE("trouble with offsets in chunks") {
  LabOptions options = lab_options();
  options.registry.session_headers = {{"OCI-Chunk-Max-Length", "10000"}};
  const auto range = [](const std::string& value, int count, int first) {
    Fault f = with_header("PATCH", "Range", value, count);
    f.first = first;
    return f;
  };
  const Case cases[] = {
      {"F68 Range stuck at the first chunk (ECR)",
       kLarge,
       {with_header("PATCH", "Range", "0-9999")},
       {},
       "",
       1,
       8},
      {"F69 no Range", kLarge, {with_header("PATCH", "Range", "")}, {}, "", 1, 8},
      {"F69 0-0", kLarge, {with_header("PATCH", "Range", "0-0")}, {}, "", 1, 8},
      {"F69 0--1", kLarge, {with_header("PATCH", "Range", "0--1")}, {}, "", 1, 8},
      {"F69 abc", kLarge, {with_header("PATCH", "Range", "abc")}, {}, "", 1, 8},
      {"F69 bytes=0-9999", kLarge, {with_header("PATCH", "Range", "bytes=0-9999")}, {}, "", 1, 8},
      {"F69 more than was sent, once", kLarge, {range("0-99999", 1, 2)}, {}, "", 2},
      {"F69 more than was sent, always",
       kLarge,
       {range("0-99999", Fault::kAlways, 1)},
       ErrorKind::protocol,
       "after it was sent"},
      {"a Range that is wrong, while GET is right", kLarge, {range("0-12344", 1, 2)}, {}, "", 1, 9},
      {"F66 416 for ever",
       kLarge,
       {fault("PATCH", Act::answer, answer(416, error_body("RANGE_INVALID")), Fault::kAlways)},
       ErrorKind::protocol,
       "bytes from 0",
       -1},
      {"416 once, GET tells",
       kLarge,
       {fault("PATCH", Act::answer, answer(416, error_body("RANGE_INVALID")), 1, 3)},
       {},
       "",
       1,
       10},
      {"chunk reset, part stored",
       kLarge,
       {[] {
         Fault f = reset_after("PATCH", 4'000);
         f.first = 3;
         return f;
       }()},
       {},
       "",
       1},
      {"chunk lost before it was stored",
       kLarge,
       {fault("PATCH", Act::close, {}, 1, 3)},
       {},
       "",
       1},
      {"chunk stored, answer lost",
       kLarge,
       {fault("PATCH", Act::close_after, {}, 1, 3)},
       {},
       "",
       1},
      {"last chunk stored, answer lost",
       kLarge,
       {fault("PATCH", Act::close_after, {}, 1, 5)},
       {},
       "",
       1},
      {"first chunk lost", kLarge, {fault("PATCH", Act::close)}, {}, "", 1},
  };
  for (const Case& c : cases) check_case(c, options);
}

TEST_CASE("a chunk that was only stored in part is completed from the byte the registry names") {
  struct Short {
    std::string_view name;
    std::string range_of_patch;  // "": the true one
    std::string range_of_416;    // "": none, as distribution has it; then GET tells
    std::vector<std::string> ranges;
  };
  const std::vector<std::string> honest{"0-9999",      "10000-19999", "15000-24999",
                                        "25000-34999", "35000-44999", "45000-49999"};
  const std::vector<std::string> refused{"0-9999",      "10000-19999", "20000-29999", "15000-24999",
                                         "25000-34999", "35000-44999", "45000-49999"};
  for (const Short& c : {Short{"R5.1, honest", "", "", honest},
                         Short{"F65, 416 with Range", "0-19999", "0-14999", refused},
                         Short{"416 without Range", "0-19999", "", refused},
                         Short{"no Range at all, 416", "none", "", refused}}) {
    CAPTURE(c.name);
    LabOptions options = lab_options();
    options.registry.session_headers = {{"OCI-Chunk-Max-Length", "10000"}};
    RegistryLab lab(options);
    Fault half = fault("PATCH", Act::keep_less, {}, 1, 2);
    half.body_bytes = 5'000;
    half.edit = [&c](HttpResponse& r) {
      if (!c.range_of_patch.empty())
        set_header(r, "Range", c.range_of_patch == "none" ? "" : c.range_of_patch);
    };
    lab.registry.script(half);
    if (!c.range_of_416.empty()) {
      Fault tells = with_header("PATCH", "Range", c.range_of_416, 1);
      tells.first = 3;
      lab.registry.script(tells);
    }
    lab.put(kLarge);
    CHECK(lab.holds(kLarge));
    CHECK(ranges_of(lab) == c.ranges);
    CHECK(lab.registry.count("GET", "/blobs/uploads/") == (c.range_of_416.empty() ? 1 : 0));
    CHECK(lab.registry.count("POST") == 1);
  }
}

TEST_CASE("OCI-Chunk-Min-Length raises the chunks that Max-Length asks for") {
  LabOptions options = lab_options();
  options.registry.session_headers = {{"OCI-Chunk-Min-Length", "20000"},
                                      {"OCI-Chunk-Max-Length", "30000"}};
  RegistryLab lab(options);
  lab.put(kLarge);
  CHECK(lab.holds(kLarge));
  std::vector<std::uint64_t> sizes;
  for (const auto& request : lab.registry.requests())
    if (request.method == "PATCH") sizes.push_back(request.body_size);
  CHECK(sizes == std::vector<std::uint64_t>{20'000, 20'000, 10'000});
}

// --- mounts --------------------------------------------------------------------------------------

TEST_CASE("mounts") {
  struct Mount {
    std::string_view name;
    std::vector<Fault> faults;
    bool there;
    bool mounted;
    std::size_t posts;
  };
  const auto refused = [](int status) {
    Fault f = fault("POST", Act::answer, answer(status));
    f.target = "mount=";
    return f;
  };
  Fault reset = reset_after("POST", 0);
  reset.target = "mount=";
  Fault liar = with_header("POST", "Docker-Content-Digest", Digest::of("other").str());
  liar.target = "mount=";
  const Mount mounts[] = {
      {"201", {}, true, true, 1},
      {"F75 202", {}, false, false, 1},
      {"F76 400", {refused(400)}, true, false, 2},
      {"F76 401", {refused(401)}, true, false, 2},
      {"F76 403", {refused(403)}, true, false, 2},
      {"F76 404", {refused(404)}, true, false, 2},
      {"F76 405", {refused(405)}, true, false, 2},
      {"F76 500", {refused(500)}, true, false, 2},
      {"F76 429", {refused(429)}, true, false, 2},
      {"F76 302", {refused(302)}, true, false, 2},
      {"F76 RST", {reset}, true, false, 2},
      {"F77 another digest", {liar}, true, false, 2},
  };
  for (const Mount& m : mounts) {
    CAPTURE(m.name);
    RegistryLab lab(lab_options());
    if (m.there) lab.registry.add_blob("team/base", kLarge);
    for (const Fault& f : m.faults) lab.registry.script(f);
    const Descriptor descriptor = blob_of(kLarge).descriptor;
    CHECK(lab.repository.mount_blob(descriptor, "team/base", lab.stop) == m.mounted);
    if (!m.mounted) lab.put(kLarge);
    CHECK(lab.holds(kLarge));
    CHECK(lab.registry.count("POST") == m.posts);
    CHECK(lab.registry.count("POST", "mount=sha256%3A[0-9a-f]{64}&from=team%2Fbase") == 1);
    CHECK(lab.registry.open_sessions() == 0);
  }
}

TEST_CASE("a token that cannot be had for the mount does not hinder the push (F46)") {
  RegistryLab lab(with_bearer());
  Fault refuse;
  refuse.target = "^/token.*team%2Fbase|^/token.*team/base";
  refuse.count = Fault::kAlways;
  refuse.response = answer(400, R"({"details":"invalid repository name"})");
  lab.registry.script(refuse);
  lab.registry.add_blob("team/base", kLarge);
  CHECK_FALSE(lab.repository.mount_blob(blob_of(kLarge).descriptor, "team/base", lab.stop));
  lab.put(kLarge);
  CHECK(lab.holds(kLarge));
}

TEST_CASE("a mount from the repository itself needs no token of its own, and opens the upload") {
  RegistryLab lab(with_bearer());
  lab.put(kLarge);
  const auto tokens = lab.registry.token_count();
  const std::string own = lab.repository.name().repository();
  CHECK(lab.repository.mount_blob(blob_of(kLarge).descriptor, own, lab.stop));
  CHECK_FALSE(lab.repository.mount_blob(blob_of(kSmall).descriptor, own, lab.stop));
  CHECK(lab.registry.open_sessions() == 1);
  lab.put(kSmall);
  CHECK(lab.registry.token_count() == tokens);
  CHECK(lab.registry.count("POST") == 3);
  CHECK(lab.registry.open_sessions() == 0);
}

TEST_CASE("the session that a refused mount opened takes a stream of whatever digest") {
  RegistryLab lab(lab_options());
  CHECK_FALSE(lab.repository.mount_blob(blob_of(kSmall).descriptor, "team/base", lab.stop));
  CHECK(lab.registry.open_sessions() == 1);
  lab.put_stream(kLarge);
  CHECK(lab.holds(kLarge));
  CHECK(lab.registry.count("POST") == 1);
  CHECK(lab.registry.open_sessions() == 0);
}

TEST_CASE("a session whose Location names a digest takes no stream") {
  RegistryLab lab(lab_options());
  Fault bound = fault("POST", Act::edit);
  bound.target = "mount=";
  bound.edit = [](HttpResponse& response) {
    for (auto& [name, value] : response.headers) {
      if (name != "Location") continue;
      value += value.find('?') == std::string::npos ? "?digest=" : "&digest=";
      value += Digest::of(kSmall).str();
    }
  };
  lab.registry.script(bound);
  CHECK_FALSE(lab.repository.mount_blob(blob_of(kSmall).descriptor, "team/base", lab.stop));
  lab.put_stream(kLarge);
  CHECK(lab.holds(kLarge));
  CHECK(lab.registry.count("POST") == 2);
}

TEST_CASE("sessions of refused mounts that no upload needs are cancelled") {
  RegistryLab lab(lab_options());
  const auto mount = [&](const std::string& bytes, const std::string& from) {
    CHECK_FALSE(lab.repository.mount_blob(blob_of(bytes).descriptor, from, lab.stop));
  };
  mount(kSmall, "team/base");
  mount(kSmall, "team/other");  // in place of the first
  CHECK(lab.registry.count("DELETE") == 1);
  CHECK(lab.registry.open_sessions() == 1);
  for (int i = 0; i < 100; ++i) mount("blob " + std::to_string(i), "team/base");
  CHECK(lab.registry.open_sessions() == 64);
  lab.repository.cancel_sessions(lab.stop);
  CHECK(lab.registry.open_sessions() == 0);
  const std::size_t asked = lab.requests();
  lab.repository.cancel_sessions(lab.stop);
  CHECK(lab.requests() == asked);
}

TEST_CASE("a registry that has gone away is not asked to cancel one session after the other") {
  RegistryLab lab(lab_options());
  for (int i = 0; i < 60; ++i)
    lab.repository.mount_blob(blob_of("blob " + std::to_string(i)).descriptor, "team/base",
                              lab.stop);
  Fault gone = fault("DELETE", Act::stall);
  gone.count = Fault::kAlways;
  lab.registry.script(gone);
  std::stop_source stopped;
  stopped.request_stop();
  const auto start = std::chrono::steady_clock::now();
  lab.repository.cancel_sessions(stopped.get_token());
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(2));
  CHECK(lab.registry.count("DELETE") <= 8);
}

TEST_CASE("a registry that is silent about one session after a stop is asked about no other") {
  LabOptions options = lab_options();
  options.stall = milliseconds(60'000);  // it is not the stall that ends the cancelling
  RegistryLab lab(options);
  CHECK_FALSE(lab.repository.mount_blob(blob_of(kSmall).descriptor, "team/base", lab.stop));
  lab.registry.script(fault("DELETE", Act::stall, {}, Fault::kAlways));
  std::stop_source stop;
  const Blob blob = blob_of(kLarge, nullptr, [&](std::uint64_t offset) {
    if (offset > 20'000) stop.request_stop();
  });
  const Error error = test::error_of([&] { lab.repository.put_blob(blob, {}, stop.get_token()); });
  CHECK(error.kind() == ErrorKind::interrupted);
  CHECK(lab.registry.count("DELETE") == 1);
  lab.repository.cancel_sessions(stop.get_token());
  CHECK(lab.registry.count("DELETE") == 1);
}

// --- local content -------------------------------------------------------------------------------

TEST_CASE("wrong content is never committed, in any mode") {
  for (const std::string* named : {&kSmall, &kLarge}) {
    for (const std::string_view max : {"", "10000"}) {
      for (const int change : {0, 1, 2}) {
        CAPTURE(named->size());
        CAPTURE(max);
        CAPTURE(change);
        std::string bytes = *named;
        if (change == 0) bytes.back() ^= 1;
        if (change == 1) bytes.pop_back();
        if (change == 2) bytes.push_back('x');
        LabOptions options = lab_options();
        if (!max.empty())
          options.registry.session_headers = {{"OCI-Chunk-Max-Length", std::string(max)}};
        RegistryLab lab(options);
        const Error error =
            test::error_of([&] { lab.repository.put_blob(blob_of(bytes, named), {}, lab.stop); });
        CHECK(error.kind() == ErrorKind::integrity);
        CHECK(std::string_view(error.what()).find(Digest::of(*named).str()) !=
              std::string_view::npos);
        CHECK(lab.registry.blob_count("team/app") == 0);
        CHECK(lab.registry.count("DELETE") == 1);
        CHECK(lab.registry.open_sessions() == 0);
        for (const auto& request : lab.registry.requests()) {
          if (request.method == "PUT") CHECK_FALSE(request.body_complete);
        }
      }
    }
  }
}

TEST_CASE("a file that cannot be read ends the upload and the session (F84, F86)") {
  for (const std::uint64_t at : {0U, 700U, 35'000U}) {
    CAPTURE(at);
    RegistryLab lab(lab_options());
    const Blob blob = blob_of(kLarge, nullptr, [at](std::uint64_t offset) {
      if (offset >= at) throw Error(ErrorKind::local, "layer.tar: Input/output error");
    });
    test::check_error(ErrorKind::local, "Input/output error",
                      [&] { lab.repository.put_blob(blob, {}, lab.stop); });
    CHECK(lab.registry.blob_count("team/app") == 0);
    CHECK(lab.registry.open_sessions() == 0);
    CHECK(lab.registry.count("PUT") == 0);
  }
}

TEST_CASE("a source that lost its own network is opened again") {
  RegistryLab lab(lab_options());
  int failures = 2;
  const Blob blob = blob_of(kLarge, nullptr, [&](std::uint64_t offset) {
    if (offset > 20'000 && failures-- > 0)
      throw Error(ErrorKind::network, "source: reset").set_retryable(true);
  });
  lab.repository.put_blob(blob, {}, lab.stop);
  CHECK(lab.holds(kLarge));
}

TEST_CASE("a stop request ends a body, and the session is cancelled (F88)") {
  RegistryLab lab(lab_options());
  std::stop_source stop;
  const Blob blob = blob_of(kLarge, nullptr, [&](std::uint64_t offset) {
    if (offset > 20'000) stop.request_stop();
  });
  const Error error = test::error_of([&] { lab.repository.put_blob(blob, {}, stop.get_token()); });
  CHECK(error.kind() == ErrorKind::interrupted);
  CHECK(lab.registry.blob_count("team/app") == 0);
  CHECK(lab.registry.open_sessions() == 0);
}

// --- streams -------------------------------------------------------------------------------------

struct StreamCase {
  std::string_view name;
  std::vector<Fault> faults;
  std::vector<std::uint64_t> opened;  // where the stream had to be made from
  test::HeaderList session_headers = {};
  std::optional<ErrorKind> fails = std::nullopt;
};

TEST_CASE("a blob of unknown length") {
  const auto length_required = answer(411);
  const auto acr = answer(400, error_body("CONTENT_LENGTH_INVALID"));
  Fault no_length_at_all = fault("PATCH", Act::answer, length_required, Fault::kAlways);
  no_length_at_all.target = "session-[12]\\?";
  const StreamCase cases[] = {
      {"streams", {}, {0}},
      {"F22 411", {fault("PATCH", Act::answer, length_required)}, {0, 0}},
      {"F22 ACR", {fault("PATCH", Act::answer, acr)}, {0, 0}},
      {"411 for chunks too", {no_length_at_all}, {0, 0, 0, 0}},
      {"405 on PATCH", {fault("PATCH", Act::answer, answer(405), Fault::kAlways)}, {0, 0, 0}},
      {"Max-Length", {}, {0}, {{"OCI-Chunk-Max-Length", "7000"}}},
      {"413", {fault("PATCH", Act::answer, answer(413))}, {0, 0}},
      {"reset, resumed", {reset_after("PATCH", 25'000)}, {0, 25'000}},
      {"reset, and the registry claims more than there is",
       {reset_after("PATCH", 25'000), with_header("GET", "Range", "0-99999999")},
       {0, 0}},
      {"reset, restarted", {reset_after("PATCH", 5'000)}, {0, 0}},
      {"chunk reset",
       {[] {
         Fault f = reset_after("PATCH", 3'000);
         f.first = 2;
         return f;
       }()},
       {0},
       {{"OCI-Chunk-Max-Length", "7000"}}},
      {"chunk answer lost",
       {fault("PATCH", Act::close_after, {}, 1, 3)},
       {0},
       {{"OCI-Chunk-Max-Length", "7000"}}},
      {"commit answer lost", {fault("PUT", Act::close_after)}, {0}},
      {"chunks must be larger than we hold",
       {fault("PATCH", Act::answer, length_required)},
       {0, 0, 0},
       {{"OCI-Chunk-Min-Length", "20000"}}},
      {"500 always",
       {fault("PATCH", Act::answer, answer(500), Fault::kAlways)},
       {0, 0, 0, 0},
       {},
       ErrorKind::server},
  };
  for (const StreamCase& c : cases) {
    CAPTURE(c.name);
    LabOptions options = lab_options();
    options.registry.session_headers = c.session_headers;
    RegistryLab lab(options);
    for (const Fault& f : c.faults) lab.registry.script(f);
    std::vector<std::uint64_t> opened;
    if (c.fails) {
      CHECK(test::error_of([&] { lab.put_stream(kLarge, &opened); }).kind() == *c.fails);
      CHECK(lab.registry.blob_count("team/app") == 0);
    } else {
      const Descriptor made = lab.put_stream(kLarge, &opened);
      CHECK(made.digest == Digest::of(kLarge));
      CHECK(made.size == kLarge.size());
      CHECK(made.media_type == media_type::kOciLayerGzip);
      CHECK(lab.holds(kLarge));
    }
    CHECK(opened == c.opened);
    CHECK(lab.requests() <= kMaxRequests);
    CHECK(lab.registry.open_sessions() == 0);
    INFO(lab.debug_log());
  }
}

TEST_CASE("a registry that wants a length is asked only once per repository") {
  RegistryLab lab(lab_options());
  Fault f = fault("PATCH", Act::answer, answer(411));
  lab.registry.script(f);
  lab.put_stream(kLarge);
  std::vector<std::uint64_t> opened;
  const std::string second = some_bytes(30'000, 3);
  lab.put_stream(second, &opened);
  CHECK(lab.holds(second));
  CHECK(opened == std::vector<std::uint64_t>{0});
}

}  // namespace
}  // namespace tug::registry
