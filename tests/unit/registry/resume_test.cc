// Uploads that another process goes on with (registry-protocol.md 5.8), and the files that tell it.
#include "base/fd.h"
#include "base/strings.h"
#include "oci/json.h"
#include "registry/resume_state.h"
#include "support/error_of.h"
#include "support/registry_lab.h"
#include "support/temp_dir.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <string>
#include <vector>

namespace tug::registry {
namespace {

using test::Fault;
using test::LabOptions;
using test::RegistryLab;
using test::some_bytes;
using test::TempDir;
using Act = Fault::Act;

const std::string kLarge = some_bytes(50'000);
const Log kNoLog;

// A registry that lives longer than the "processes" that push to it: each push has a ResumeState of
// its own. (The lab is one process; what it remembers of the registry plays no part here.)
class Lab {
 public:
  explicit Lab(LabOptions options = {}) : lab_(with_state(std::move(options), *this)) {}

  RegistryLab& operator*() { return lab_; }
  RegistryLab* operator->() { return &lab_; }
  // Breaks the upload off after `bytes` of it, so that it fails.
  void break_off(std::uint64_t bytes, bool streamed = false) {
    reset_after(bytes);
    const Error error = test::error_of([&] {
      if (streamed) {
        push_stream();
      } else {
        push();
      }
    });
    CHECK(error.kind() == ErrorKind::network);
  }
  void reset_after(std::uint64_t bytes) {
    Fault fault;
    fault.method = "PATCH";
    fault.act = Act::reset;
    fault.body_bytes = bytes;
    lab_.registry.script(fault);
  }
  void push() { lab_.put(kLarge); }
  Descriptor push_stream() {
    return lab_.repository.put_stream(test::stream_of(kLarge, &opened, "the key"), nullptr, {});
  }
  [[nodiscard]] std::vector<std::string> files() const {
    std::vector<std::string> names;
    if (!std::filesystem::exists(dir_.path() + "/uploads")) return names;
    for (const auto& file : std::filesystem::directory_iterator(dir_.path() + "/uploads"))
      names.push_back(file.path().string());
    return names;
  }
  // Bytes of bodies that reached the registry.
  [[nodiscard]] std::uint64_t received() const {
    std::uint64_t sum = 0;
    for (const auto& request : lab_.registry.requests()) sum += request.body_size;
    return sum;
  }

  std::vector<std::uint64_t> opened;

 private:
  static LabOptions with_state(LabOptions options, const Lab& lab) {
    options.tuning = {.small_blob = 1000,
                      .resume_from = 1'000'000,
                      .keep_from = 20'000,
                      .chunk = 16'000,
                      .resumed_chunk = 16'000,
                      .smallest_chunk = 500,
                      .held_chunk = 6'000,
                      .max_held_chunk = 10'000};
    options.retry.attempts = 1;
    options.registry.keep_alive = false;
    options.resume = ResumeState::in_directory(lab.dir_.path() + "/uploads", kNoLog);
    return options;
  }
  const TempDir dir_;
  RegistryLab lab_;
};

TEST_CASE("what broke off is continued, and nothing is left behind") {
  Lab lab;
  lab.break_off(30'000);
  CHECK(lab.files().size() == 1);
  CHECK(lab->registry.count("DELETE") == 0);
  REQUIRE(lab->notes().size() == 1);
  CHECK(lab->notes()[0].find("goes on from there") != std::string::npos);
  const std::uint64_t before = lab.received();
  lab.push();
  CHECK(lab->holds(kLarge));
  CHECK(lab.received() - before <= 20'000);
  CHECK(lab->registry.count("POST") == 1);
  CHECK(lab.files().empty());
  CHECK(lab->registry.open_sessions() == 0);
}

TEST_CASE("a stream is made again from where it broke off") {
  Lab lab;
  lab.break_off(30'000, true);
  lab.opened.clear();
  CHECK(lab.push_stream().digest == Digest::of(kLarge));
  CHECK(lab->holds(kLarge));
  REQUIRE(lab.opened.size() == 1);
  CHECK(lab.opened[0] >= 30'000);
  CHECK(lab.files().empty());
}

TEST_CASE("what is small or has no name is cancelled") {
  Lab lab;
  SUBCASE("no name") {
    lab.reset_after(30'000);
    test::error_of([&] { lab->put_stream(kLarge); });
  }
  SUBCASE("small") {
    lab.reset_after(5'000);
    test::error_of([&] { lab->put(some_bytes(19'000)); });
  }
  CHECK(lab->registry.count("DELETE") == 1);
  CHECK(lab.files().empty());
  CHECK(lab->notes().empty());
}

TEST_CASE("a failure that trying again will not mend is not kept") {
  Lab lab;
  Fault fault;
  fault.method = "PATCH";
  fault.act = Act::answer;
  fault.response = {403, {}, R"({"errors":[{"code":"DENIED","message":"quota"}]})"};
  lab->registry.script(fault);
  CHECK(test::error_of([&] { lab.push(); }).kind() == ErrorKind::denied);
  CHECK(lab.files().empty());
  CHECK(lab->registry.open_sessions() == 0);
}

TEST_CASE("sessions on another host are not written down") {
  Lab lab;
  Fault elsewhere;
  elsewhere.method = "POST";
  elsewhere.act = Act::edit;
  elsewhere.edit = [&lab](test::HttpResponse& response) {
    for (auto& [name, value] : response.headers) {
      if (name == "Location") value = lab->registry.other_url(value) + "&sig=s3cret";
    }
  };
  lab->registry.script(elsewhere);
  lab.break_off(30'000);
  CHECK(lab->registry.other_requests().size() == 2);  // the body, and the end of its session
  CHECK(lab.files().empty());
  CHECK(lab->notes().empty());
}

// What the registry says when it is asked for the session, and whether the rest goes into it.
TEST_CASE("a session that is not what it was costs a request or two") {
  struct Case {
    const char* name;
    std::function<void(Fault&)> on_get;
    bool continued;
  };
  const auto answers = [](int status) {
    return [status](Fault& fault) {
      fault.act = Act::answer;
      fault.response = {status, {}, ""};
    };
  };
  const auto range = [](std::string value) {
    return [value = std::move(value)](Fault& fault) {
      fault.act = Act::edit;
      fault.edit = [value](test::HttpResponse& response) {
        std::erase_if(response.headers, [](const auto& header) { return header.first == "Range"; });
        if (!value.empty()) response.headers.emplace_back("Range", value);
      };
    };
  };
  const Case cases[] = {
      {"404", answers(404), false},
      {"400, olareg", answers(400), false},
      {"403", answers(403), false},
      {"500", answers(500), false},
      {"200, a portal", answers(200), false},
      {"no Range", range(""), false},
      {"nothing there", range("0-0"), false},
      {"0--1", range("0--1"), false},
      {"garbage", range("abc"), false},
      {"little", range("0-499"), false},
      {"more than the blob", range("0-99999"), false},
      {"less than is there: refused at once", range("0-24999"), false},
      {"all there is", [](Fault& fault) { fault.count = 0; }, true},
  };
  for (const Case& c : cases) {
    INFO(c.name);
    Lab lab;
    lab.break_off(30'000);
    Fault fault;
    fault.method = "GET";
    fault.target = "/uploads/";
    fault.count = Fault::kAlways;
    c.on_get(fault);
    lab->registry.script(fault);
    lab.push();
    CHECK(lab->holds(kLarge));
    CHECK(lab.files().empty());
    CHECK((lab->registry.count("POST") == 1) == c.continued);
    CHECK(lab->requests() < 25);
  }
}

TEST_CASE("the registry cannot be asked: what is kept stays kept") {
  Lab lab;
  lab.break_off(30'000);
  Fault fault;
  fault.method = "GET";
  fault.target = "/uploads/";
  fault.act = Act::close;
  lab->registry.script(fault);
  CHECK(test::error_of([&] { lab.push(); }).kind() == ErrorKind::network);
  CHECK(lab.files().size() == 1);
  lab.push();
  CHECK(lab->registry.count("POST") == 1);
  CHECK(lab->holds(kLarge));
}

TEST_CASE("a blob that is there needs no state any more") {
  Lab lab;
  lab.break_off(30'000);
  REQUIRE(lab.files().size() == 1);
  lab->registry.add_blob("team/app", kLarge);
  CHECK(lab->repository.has_blob(test::blob_of(kLarge).descriptor, {}));
  CHECK(lab.files().empty());
}

// --- the files -----------------------------------------------------------------------------------

const ResumeState::Key kKey{"reg.example:5000", "team/app", "sha256:" + std::string(64, 'a')};

TEST_CASE("a file holds many uploads, and goes with the last") {
  const TempDir dir;
  const std::string path = dir.at("state");
  ResumeState::Key other = kKey;
  other.repository = "team/other";
  {
    const auto state = ResumeState::in_file(path, kNoLog, {});
    state->claim(kKey)->save("/v2/a?x=1");
    state->claim(other)->save("/v2/b");
    CHECK(state->claim(kKey)->session() == "/v2/a?x=1");
    test::check_error(ErrorKind::local, "in use", [&] { ResumeState::in_file(path, kNoLog, {}); });
  }
  const auto state = ResumeState::in_file(path, kNoLog, {});
  const auto claim = state->claim(kKey);
  REQUIRE(claim);
  CHECK(claim->session() == "/v2/a?x=1");
  CHECK_FALSE(state->claim(kKey));  // one at a time
  claim->forget();
  CHECK(std::filesystem::exists(path));
  state->forget(other);
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("the lock that a killed process left alone goes when its blob turns out to be there") {
  const TempDir dir;
  const auto state = ResumeState::in_directory(dir.path(), kNoLog);
  const auto files = [&] {
    std::vector<std::string> names;
    for (const auto& file : std::filesystem::directory_iterator(dir.path()))
      names.push_back(file.path().string());
    return names;
  };
  state->claim(kKey)->save("/v2/a");
  REQUIRE(files().size() == 1);
  const std::string path = files().front();
  std::filesystem::rename(path, path + ".lock");
  state->forget(kKey);
  CHECK(files() == std::vector<std::string>());
}

TEST_CASE("what a file says is believed within limits") {
  const TempDir dir;
  const std::string path = dir.at("state");
  const auto session_of = [&](const std::string& session, std::int64_t age) {
    write_file_atomically(
        path,
        Json::object(
            {{"version", 1},
             {"uploads", Json::array({Json::object({{"registry", kKey.registry},
                                                    {"repository", kKey.repository},
                                                    {"blob", kKey.blob},
                                                    {"session", session},
                                                    {"saved", std::time(nullptr) - age}})})}})
            .dump(),
        0600);
    return ResumeState::in_file(path, kNoLog, {})->claim(kKey)->session();
  };
  CHECK(session_of("/v2/x?_state=a%20b", 0) == "/v2/x?_state=a%20b");
  CHECK(session_of("/v2/x", 6 * 86'400) == "/v2/x");
  CHECK_FALSE(session_of("/v2/x", 8 * 86'400));
  CHECK_FALSE(session_of("/v2/x", -3600));
  CHECK_FALSE(session_of("http://evil.example/v2/x", 0));
  CHECK_FALSE(session_of("//evil.example/v2/x", 0));
  CHECK_FALSE(session_of("v2/x", 0));
  CHECK_FALSE(session_of("/v2/x y", 0));
  CHECK_FALSE(session_of("/v2/x\r\nA: b", 0));
  CHECK_FALSE(session_of("/v2/\x7f", 0));
  CHECK_FALSE(session_of("/v2/\xc3\xa9", 0));
  CHECK_FALSE(session_of("/" + std::string(9000, 'x'), 0));
  CHECK_FALSE(session_of("", 0));
}

TEST_CASE("a file that is none of ours is refused and left alone") {
  const TempDir dir;
  const std::string path = dir.at("precious");
  for (const char* content : {"", "notes", "[]", "{}", R"({"version":2,"uploads":[]})",
                              R"({"version":1,"uploads":{}})"}) {
    INFO(content);
    dir.write("precious", content);
    test::check_error(ErrorKind::local, "holds something else",
                      [&] { ResumeState::in_file(path, kNoLog, {}); });
    CHECK(read_file(path, 1000) == content);
  }
}

TEST_CASE("nowhere to write: nothing is kept, and it is said once") {
  std::vector<std::string> notes;
  CHECK_FALSE(ResumeState::in_directory("", kNoLog)->claim(kKey));
  CHECK_FALSE(ResumeState::in_directory("/proc/self/none", kNoLog)->claim(kKey));
  const TempDir dir;
  const auto state = ResumeState::in_file(dir.at("d/state"), kNoLog,
                                          [&](std::string_view note) { notes.emplace_back(note); });
  std::filesystem::rename(dir.path() + "/d", dir.path() + "/moved");
  const auto claim = state->claim(kKey);
  REQUIRE(claim);
  claim->save("/v2/a");
  claim->save("/v2/b");
  CHECK_FALSE(claim->session());
  CHECK(notes.size() == 1);
}

}  // namespace
}  // namespace tug::registry
