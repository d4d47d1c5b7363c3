// The table of faults, end to end: each row is a registry that does something wrong, one run of the
// program against it, and how that must end. What must hold in every case is asserted in one place
// (table.cc):
//
// - exit code 0 only if the registry holds exactly the bytes of the image under its tag; otherwise
//   the tag is what it was before, and there is no new manifest;
// - on failure one readable line on standard error and an error of the class that the row names
//   with --json; no secret, no control or bidi character, of sensible length; no crash;
// - requests and time are bounded; none has an Expect header;
// - nobody but the registry (and the token service that it names) ever gets an Authorization;
// - no upload session stays open (but one that nobody heard of: its POST was under way at the end).
//
// Numbers are those of registry-protocol.md section 9. TUG_FAULTS=REGEX runs the rows whose id
// matches.
#ifndef TUG_TESTS_FAULTS_TABLE_H_
#define TUG_TESTS_FAULTS_TABLE_H_

#include "image.h"
#include "program.h"
#include "support/scripted_registry.h"
#include "support/temp_dir.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tug::test {

inline const std::string kRepository = "team/app";
inline const std::string kTag = "v1";

struct Case;

// What a row runs in. `registry` is there and scripted, nothing has run yet when arrange() is
// called.
class Lab {
 public:
  explicit Lab(const Case& row);

  // Runs the program to its end with the row's arguments. Done for every row that has no `act`.
  void run();
  // The same in two halves.
  void start();
  void finish();
  // Another server, whose requests must never carry credentials unless it `may_see_credentials`.
  HttpServer& add_server(HttpServer::Handler handler, HttpServer::Options options = {},
                         bool may_see_credentials = false);
  // Waits until `condition` holds; complains when it does not come to that.
  void wait_until(const std::string& what, const std::function<bool()>& condition);
  // Adds to the complaints, which make the row fail.
  void expect(bool condition, const std::string& what);

  // Of the requests that the registry got: those of one method with a body, …
  [[nodiscard]] std::vector<HttpRequest> requests(const std::string& method,
                                                  const std::string& target = "") const;

  const Case& row;
  TempDir dir;
  ScriptedRegistry registry;
  Image image;
  std::string destination;         // "docker://127.0.0.1:PORT/team/app:v1"
  std::vector<std::string> flags;  // more arguments
  Variables environment;
  std::vector<std::string> secrets;  // that no output may show
  std::unique_ptr<Program> program;
  std::vector<std::string> complaints;

 private:
  friend class Judge;
  struct Other {
    std::unique_ptr<HttpServer> server;
    bool may_see_credentials;
  };
  static ImageShape shape_of(const Case& row, const ScriptedRegistry& registry);

  std::optional<Digest> tag_before_;
  std::size_t manifests_before_ = 0;
  bool timed_out_ = false;
  // Before `others_`' handlers run no more, nothing that they use may go.
  std::vector<Other> others_;
};

// How a run must end.
struct Ending {
  std::string error_class;  // "": exit code 0
  std::string says;         // a regular expression, found in the message
  int exit_code = 1;
};
inline Ending success() { return {}; }
inline Ending fails(std::string error_class, std::string says = "") {
  return {std::move(error_class), std::move(says)};
}

struct Case {
  std::string id;     // "F61b": number and variant
  std::string title;  // what the registry does
  ScriptedRegistry::Options registry = {};
  std::vector<Fault> faults = {};
  std::vector<std::string> flags = {};
  ImageShape image = {};
  // The layers are in team/base of the same registry too, and the image says so.
  bool mountable = false;
  bool verify_tls = false;  // else --dest-tls-verify=false
  std::function<void(Lab&)> arrange = nullptr;
  std::function<void(Lab&)> act = nullptr;
  Ending ends = {};
  std::function<void(Lab&)> check = nullptr;
  std::size_t max_requests = 60;
  std::string warns = "";          // a regular expression: each warning line must match it
  bool sessions_may_stay = false;  // the registry says that there is none, or where it is not
  bool children_may_stay = false;  // an index failed after its images
  // "file: words in it": where the number is tested when it cannot be end to end, and why.
  std::string tested_by = "";
  std::string why_not_here = "";
};

std::vector<Case> transport_cases();      // F01-F24
std::vector<Case> auth_cases();           // F25-F46
std::vector<Case> redirect_cases();       // F47-F59
std::vector<Case> blob_cases();           // F60-F72
std::vector<Case> blob_presence_cases();  // F73-F83
std::vector<Case> local_cases();          // F84-F89
std::vector<Case> manifest_cases();       // F90-F99

// Runs the rows, several at once, and fails the running test for each that did not end as it must.
void run_table(const std::vector<Case>& rows);

}  // namespace tug::test

#endif  // TUG_TESTS_FAULTS_TABLE_H_
