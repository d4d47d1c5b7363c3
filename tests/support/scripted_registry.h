// A registry in the test's own process: correct by itself, and wrong exactly where the test says.
//
// It keeps repositories in memory and speaks the distribution protocol: uploads by POST, PATCH, PUT
// (whole, streamed, chunked), mounts, manifests with digest checks and MANIFEST_BLOB_UNKNOWN, tags
// in pages, referrers, Basic and Bearer authentication with a token endpoint. A script of faults
// changes single answers:
//
//   ScriptedRegistry registry;
//   registry.script({.method = "PATCH", .act = Fault::Act::reset, .body_bytes = 1000});
//   push(registry.authority());
//   CHECK(registry.blob("team/app", digest) == bytes);
//   CHECK(registry.count("PATCH") == 2);
#ifndef TUG_TESTS_SUPPORT_SCRIPTED_REGISTRY_H_
#define TUG_TESTS_SUPPORT_SCRIPTED_REGISTRY_H_

#include "support/http_server.h"

#include <tug/digest.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tug::test {

// What happens to some requests instead of, or around, what a good registry does.
struct Fault {
  static constexpr int kAlways = 1 << 30;
  enum class Act {
    answer,        // reads the body, answers `response`; the registry does nothing
    answer_after,  // the registry does its work, but `response` is what is answered
    edit,          // the registry does its work; `edit` changes its answer
    answer_early,  // answers `response` after `body_bytes` of the body, then RST if `then_reset`
    reset,         // RST after `body_bytes` of the body, which are stored if `keep_part`
    close,         // closes without a word, and without doing anything
    close_after,   // does its work, and closes without a word
    stall,         // reads `body_bytes` of the body, then nothing until the peer hangs up
    stall_after,   // does its work, and never answers
    keep_less,     // stores `body_bytes` of the body, and answers as if that was all; `edit` if set
    handle,        // `handler` does all, byte by byte if it likes; the registry does nothing
  };

  std::string method;  // "": any
  std::string target;  // a regular expression searched in the request target; "": any
  int first = 1;       // from the first such request …
  int count = 1;       // … so many of them
  Act act = Act::answer;
  HttpResponse response;
  std::function<void(HttpResponse&)> edit;
  HttpServer::Handler handler;
  std::uint64_t body_bytes = 0;
  bool keep_part = true;
  bool then_reset = false;
};

class ScriptedRegistry {
 public:
  enum class Auth { none, basic, bearer };
  struct Options {
    std::optional<HttpServer::Tls> tls;
    Auth auth = Auth::none;
    std::string username = "user";
    std::string password = "password";
    bool anonymous_pull = false;  // bearer: tokens without a user, for pulling
    std::chrono::seconds token_lifetime{300};
    bool absolute_locations = false;    // else path-absolute
    bool single_use_locations = false;  // an old session URL answers 404
    HeaderList session_headers;         // sent with each POST that opens a session
    bool takes_one_post = false;        // POST with digest= and the blob stores it
    bool referrers = true;              // OCI-Subject and the referrers API
    std::size_t page_size = 1000;       // of tag lists
    // False: each answer ends its connection. (libcurl repeats a request by itself when a kept one
    // dies; tests that count requests after a lost answer want none.)
    bool keep_alive = true;
    bool says_close = true;  // without keep_alive: "Connection: close" announces it
    std::chrono::milliseconds closes_after{0};  // else: so long after its answer

    // What a product does differently from the good registry. Both are asked on the registry's own
    // origin alone, after the faults and, of the requests, with the heads only.
    // An answer in place of the work (the body is read and dropped); nullopt: the work is done.
    std::function<std::optional<HttpResponse>(const HttpRequest&)> rule;
    // Changes what the registry answers by itself.
    std::function<void(const HttpRequest&, HttpResponse&)> manner;
    // Of a session: "{name}" and "{id}" are put in.
    std::string session_path = "/v2/{name}/blobs/uploads/{id}";
    std::size_t kept_body_bytes = 16 << 20;  // of what is stored when a body is cut off
  };

  ScriptedRegistry();
  explicit ScriptedRegistry(Options options);
  ScriptedRegistry(const ScriptedRegistry&) = delete;
  ScriptedRegistry& operator=(const ScriptedRegistry&) = delete;
  ~ScriptedRegistry();

  // "127.0.0.1:PORT"
  [[nodiscard]] std::string authority() const;
  [[nodiscard]] std::string url(std::string_view target = "/") const;
  // A second server that knows the same sessions, wants no credentials, and is another origin:
  // where a Location may point to.
  [[nodiscard]] std::string other_url(std::string_view target = "/") const;

  // Adds a fault. Of several that match a request, the first added is taken.
  void script(Fault fault);
  // Bearer: what was issued so far is refused from now on.
  void revoke_tokens();

  // Puts content there beforehand. A manifest's content is not checked.
  void add_blob(const std::string& repository, std::string bytes);
  void add_manifest(const std::string& repository, const std::string& tag, std::string bytes,
                    std::string media_type);
  void remove_blob(const std::string& repository, const Digest& digest);

  // What is there now.
  [[nodiscard]] std::optional<std::string> blob(const std::string& repository,
                                                const Digest& digest) const;
  [[nodiscard]] std::size_t blob_count(const std::string& repository) const;
  // By tag or digest.
  [[nodiscard]] std::optional<std::string> manifest(const std::string& repository,
                                                    const std::string& reference) const;
  [[nodiscard]] std::optional<Digest> tag(const std::string& repository,
                                          const std::string& tag) const;
  // By digest; tags do not count.
  [[nodiscard]] std::size_t manifest_count(const std::string& repository) const;
  // Sessions that were opened and neither committed nor cancelled.
  [[nodiscard]] std::size_t open_sessions() const;
  // Their last path segments.
  [[nodiscard]] std::vector<std::string> open_session_ids() const;

  // What was asked. `target` is a regular expression, as in Fault.
  [[nodiscard]] std::vector<HttpRequest> requests() const;
  [[nodiscard]] std::vector<HttpRequest> other_requests() const;
  [[nodiscard]] std::size_t count(std::string_view method, const std::string& target = "") const;
  // "POST /v2/app/blobs/uploads/", …: for messages, and for comparing whole exchanges.
  [[nodiscard]] std::vector<std::string> story() const;
  [[nodiscard]] std::size_t connection_count() const;
  // Requests for the token endpoint.
  [[nodiscard]] std::size_t token_count() const { return count("", "^/token"); }

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tug::test

#endif  // TUG_TESTS_SUPPORT_SCRIPTED_REGISTRY_H_
