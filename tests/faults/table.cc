#include "table.h"

#include "base/strings.h"
#include "oci/json.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iterator>
#include <mutex>
#include <regex>
#include <thread>
#include <utility>

namespace tug::test {
namespace {

using std::chrono::seconds;

constexpr std::size_t kParallelRows = 4;
constexpr seconds kTimeLimit{120};  // sanitizers are slow; a hang is longer
constexpr std::size_t kMaxMessage = 2500;
constexpr std::size_t kMaxWarnings = 4 * 1024 + 256;  // F99; the rest is for escapes

bool found(const std::string& pattern, const std::string& text) {
  return pattern.empty() || std::regex_search(text, std::regex(pattern));
}

// Control characters, and those that turn text around. A line end is the log's own.
bool is_readable(const std::string& text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if ((byte < 0x20 && byte != '\n') || byte == 0x7f) return false;
    const std::string_view rest = std::string_view(text).substr(i);
    const auto second = rest.size() > 1 ? static_cast<unsigned char>(rest[1]) : 0;
    if (byte == 0xc2 && second >= 0x80 && second <= 0x9f) return false;  // C1
    for (const std::string_view bidi : {"\u200e", "\u200f", "\u202a", "\u202b", "\u202c", "\u202d",
                                        "\u202e", "\u2066", "\u2067", "\u2068", "\u2069"}) {
      if (rest.starts_with(bidi)) return false;
    }
  }
  return true;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (const std::string_view line : split(text, '\n'))
    if (!line.empty()) lines.emplace_back(line);
  return lines;
}

}  // namespace

// --- Lab -----------------------------------------------------------------------------------------

Lab::Lab(const Case& chosen)
    : row(chosen),
      registry(chosen.registry),
      image(dir.at("layout"), shape_of(chosen, registry)),
      destination("docker://" + registry.authority() + "/" + kRepository + ":" + kTag),
      flags(chosen.flags),
      secrets{chosen.registry.password} {
  if (chosen.registry.auth != ScriptedRegistry::Auth::none) {
    const std::string pair = chosen.registry.username + ":" + chosen.registry.password;
    flags.push_back("--dest-creds=" + pair);
    secrets.push_back(base64_encode(pair));
  }
  if (!chosen.verify_tls) flags.push_back("--dest-tls-verify=false");
  for (std::size_t i = 0; chosen.mountable && i < chosen.image.layers.size(); ++i)
    registry.add_blob("team/base", image.layer(i));
  for (const Fault& fault : chosen.faults) registry.script(fault);
  if (chosen.arrange) chosen.arrange(*this);
}

ImageShape Lab::shape_of(const Case& row, const ScriptedRegistry& registry) {
  ImageShape shape = row.image;
  if (row.mountable) {
    shape.pulled_from_host = registry.authority();
    shape.pulled_from_repository = "team/base";
  }
  return shape;
}

void Lab::start() {
  tag_before_ = registry.tag(kRepository, kTag);
  manifests_before_ = registry.manifest_count(kRepository);
  std::vector<std::string> arguments{"copy", "--json", "--insecure-policy", "--no-cache",
                                     "--retry-delay=10ms"};
  arguments.insert(arguments.end(), flags.begin(), flags.end());
  arguments.insert(arguments.end(), {image.reference(), destination});
  program = std::make_unique<Program>(dir.path(), arguments, environment);
}

void Lab::finish() { timed_out_ = !program->wait(kTimeLimit); }

void Lab::run() {
  start();
  finish();
}

HttpServer& Lab::add_server(HttpServer::Handler handler, HttpServer::Options options,
                            bool may_see_credentials) {
  others_.push_back(
      {std::make_unique<HttpServer>(std::move(handler), std::move(options)), may_see_credentials});
  return *others_.back().server;
}

void Lab::wait_until(const std::string& what, const std::function<bool()>& condition) {
  const auto limit = std::chrono::steady_clock::now() + kTimeLimit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > limit) return expect(false, "it came to this: " + what);
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
  }
}

void Lab::expect(bool condition, const std::string& what) {
  if (!condition) complaints.push_back(what);
}

std::vector<HttpRequest> Lab::requests(const std::string& method, const std::string& target) const {
  std::vector<HttpRequest> all = registry.requests();
  std::erase_if(all, [&](const HttpRequest& request) {
    return (!method.empty() && request.method != method) || !found(target, request.target);
  });
  return all;
}

// --- what must hold for all ----------------------------------------------------------------------

class Judge {
 public:
  explicit Judge(Lab& lab) : lab_(lab), row_(lab.row) {}

  void judge() {
    lab_.expect(!lab_.timed_out_, "it ends within the time limit");
    lab_.expect(lab_.program->exit_code().has_value(), "no signal ends it");
    judge_ending();
    judge_registry();
    judge_output();
    judge_requests();
    if (row_.check) row_.check(lab_);
  }

 private:
  [[nodiscard]] bool succeeded() const { return lab_.program->exit_code() == 0; }

  void judge_ending() {
    const Ending& ends = row_.ends;
    const bool must_succeed = ends.error_class.empty();
    const int expected = must_succeed ? 0 : ends.exit_code;
    lab_.expect(lab_.program->exit_code() == expected,
                "the exit code is " + std::to_string(expected));
    const Json document = output();
    if (must_succeed) {
      lab_.expect(document.string_or_empty("digest") == Digest::of(lab_.image.top()).str(),
                  "the image's digest is reported");
      return;
    }
    const Json* error = document.find("error");
    const Json details = error != nullptr ? *error : Json();
    const std::string error_class = details.string_or_empty("class");
    const std::string message = details.string_or_empty("message");
    lab_.expect(found("^(?:" + ends.error_class + ")$", error_class),
                "the error's class is " + ends.error_class + ", not " + error_class);
    lab_.expect(found(ends.says, message), "the message says " + ends.says);
    lab_.expect(ends.error_class == "usage" || message.find(lab_.destination) != std::string::npos,
                "the message says what could not be pushed where");
  }

  [[nodiscard]] Json output() {
    try {
      return Json::parse(lab_.program->out());
    } catch (const std::exception&) {
      lab_.expect(false, "standard output is JSON");
      return {};
    }
  }

  void judge_registry() {
    const ScriptedRegistry& registry = lab_.registry;
    if (succeeded()) {
      lab_.expect(registry.manifest(kRepository, kTag) == lab_.image.top(),
                  "the tag names the image's manifest");
      for (const std::string& manifest : lab_.image.manifests()) {
        lab_.expect(registry.manifest(kRepository, Digest::of(manifest).str()) == manifest,
                    "the registry has every manifest");
      }
      for (const std::string& blob : lab_.image.blobs()) {
        lab_.expect(registry.blob(kRepository, Digest::of(blob)) == blob,
                    "the registry has exactly the bytes of every blob");
      }
    } else {
      lab_.expect(registry.tag(kRepository, kTag) == lab_.tag_before_, "the tag is as before");
      lab_.expect(
          row_.children_may_stay || registry.manifest_count(kRepository) == lab_.manifests_before_,
          "there is no new manifest");
    }
    for (const std::string& id : registry.open_session_ids()) {
      const bool unheard_of = !succeeded() && lab_.requests("", id + "\\b").empty();
      lab_.expect(row_.sessions_may_stay || unheard_of, "no session stays open: " + id);
    }
  }

  void judge_output() {
    const std::string err = lab_.program->err();
    const std::string all = lab_.program->out() + err;
    lab_.expect(is_readable(all), "no control or bidi characters");
    for (const std::string& secret : lab_.secrets)
      lab_.expect(secret.empty() || all.find(secret) == std::string::npos, "no secret is told");
    // Tokens as the scripted registry makes them, the header, and the state of a session URL.
    lab_.expect(!found("token-[0-9]|Bearer [A-Za-z0-9]|Basic [A-Za-z0-9+/]{8}|_state=[0-9]", all),
                "no credential is told");
    const bool debug = std::count(row_.flags.begin(), row_.flags.end(), "--debug") > 0;
    std::size_t fatal = 0;
    std::size_t warnings = 0;
    for (const std::string& line : lines_of(err)) {
      const bool is_fatal = line.find(" level=fatal msg=") != std::string::npos;
      const bool is_warning = line.find(" level=warning msg=") != std::string::npos;
      fatal += is_fatal ? 1 : 0;
      warnings += is_warning ? line.size() - line.find("msg=\"") - 6 : 0;  // without the quotes
      const bool is_debug = debug && line.find(" level=debug msg=") != std::string::npos;
      lab_.expect(is_fatal || is_warning || is_debug, "standard error has log lines only: " + line);
      lab_.expect(!is_fatal || line.size() <= kMaxMessage, "the message is not too long");
      lab_.expect(!is_warning || (!row_.warns.empty() && found(row_.warns, line)),
                  "an expected warning: " + line);
    }
    lab_.expect(fatal == (succeeded() ? 0U : 1U), "one fatal line on failure, else none");
    lab_.expect(warnings <= kMaxWarnings, "warnings do not fill the screen");
    lab_.expect(row_.warns.empty() || warnings > 0, "there is a warning");
  }

  void judge_requests() {
    std::size_t count = 0;
    const auto look_at = [&](const std::vector<HttpRequest>& requests, bool may_see_credentials) {
      count += requests.size();
      for (const HttpRequest& request : requests) {
        lab_.expect(!request.has_header("Expect"), "no request expects 100-continue");
        lab_.expect(!request.has_header("Accept-Encoding"), "nothing is asked for compressed");
        lab_.expect(may_see_credentials ||
                        (!request.has_header("Authorization") && !request.has_header("Cookie")),
                    "no credential for another origin: " + request.method + " " + request.target);
      }
    };
    look_at(lab_.registry.requests(), true);
    judge_manner(lab_.registry.requests());
    look_at(lab_.registry.other_requests(), false);
    for (const Lab::Other& other : lab_.others_)
      look_at(other.server->requests(), other.may_see_credentials);
    lab_.expect(count <= row_.max_requests, std::to_string(count) + " requests are at most " +
                                                std::to_string(row_.max_requests));
  }

  void judge_manner(const std::vector<HttpRequest>& requests) {
    lab_.expect(requests.empty() || !requests.front().has_header("Authorization"),
                "nobody is given credentials who did not ask");
    for (const HttpRequest& request : requests) {
      if (request.method != "PUT" || !found("/manifests/", request.target)) continue;
      lab_.expect(request.has_header("Content-Type") && request.has_header("Content-Length"),
                  "a manifest has a type and a length");
    }
  }

  Lab& lab_;
  const Case& row_;
};

namespace {

// What to show of a row that failed.
std::string story_of(const Lab& lab) {
  std::string text;
  for (const std::string& complaint : lab.complaints) text += "\n  expected: " + complaint;
  if (lab.program) {
    const auto code = lab.program->exit_code();
    text += "\n  exit code " + (code ? std::to_string(*code) : "none") + " after " +
            std::to_string(lab.program->elapsed().count()) + " ms";
    text += "\n  stderr: " + printable(lab.program->err(), 3000);
    text += "\n  stdout: " + printable(lab.program->out(), 1500);
  }
  for (const HttpRequest& request : lab.registry.requests()) {
    text += "\n    " + request.method + " " + printable(request.target, 200) + " (" +
            request.header("Content-Range").value_or("") + " " + std::to_string(request.body_size) +
            " bytes)";
  }
  for (const HttpRequest& request : lab.registry.other_requests())
    text += "\n    other: " + request.method + " " + printable(request.target, 200);
  return text;
}

// "" when the words are in the file.
std::string look_up(const std::string& file_and_words) {
  const auto colon = file_and_words.find(": ");
  const std::string file = file_and_words.substr(0, colon);
  std::ifstream in(TUG_SOURCE "/tests/" + file, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  const bool there = colon != std::string::npos &&
                     text.find(file_and_words.substr(colon + 2)) != std::string::npos;
  return there ? "" : "there is no such test: " + file_and_words;
}

// What is wrong; "" when nothing is.
std::string run_row(const Case& row) {
  try {
    if (!row.tested_by.empty()) return look_up(row.tested_by);
    Lab lab(row);
    if (row.act) {
      row.act(lab);
    } else {
      lab.run();
    }
    Judge(lab).judge();
    return lab.complaints.empty() ? "" : story_of(lab);
  } catch (const std::exception& error) {
    return std::string("it threw ") + error.what();
  }
}

std::vector<Case> chosen_of(const std::vector<Case>& rows) {
  const char* pattern = std::getenv("TUG_FAULTS");
  std::vector<Case> chosen = rows;
  if (pattern != nullptr)
    std::erase_if(chosen, [&](const Case& row) { return !found(pattern, row.id); });
  return chosen;
}

}  // namespace

void run_table(const std::vector<Case>& all) {
  const std::vector<Case> rows = chosen_of(all);
  std::vector<std::string> wrong(rows.size());
  std::atomic<std::size_t> next = 0;
  std::vector<std::thread> workers;
  for (std::size_t i = 0; i < kParallelRows; ++i) {
    workers.emplace_back([&] {
      for (std::size_t at = next++; at < rows.size(); at = next++) wrong[at] = run_row(rows[at]);
    });
  }
  for (std::thread& worker : workers) worker.join();
  for (std::size_t i = 0; i < rows.size(); ++i)
    CHECK_MESSAGE(wrong[i].empty(), rows[i].id << " " << rows[i].title << ": " << wrong[i]);
}

}  // namespace tug::test
