// Words that the rows of the table share.
#ifndef TUG_TESTS_FAULTS_ROWS_H_
#define TUG_TESTS_FAULTS_ROWS_H_

#include "support/faults.h"
#include "table.h"

#include <string>

namespace tug::test {

using Act = Fault::Act;

inline const std::string kBlobs = "/blobs/";
inline const std::string kUploads = "/blobs/uploads/";
// The PUT without a body that follows the PATCH of the large layer; small blobs go in one PUT.
inline const std::string kCommit = "_state=2%2B.*digest=";
inline const std::string kSmallPut = "_state=1%2B.*digest=";
inline const std::string kManifests = "/manifests/";

inline const std::string kHtml = "<html><head><title>Bad Gateway</title></head></html>";

// Bodies that begin at the blob's first byte.
inline std::size_t whole_patches(const Lab& lab) {
  std::size_t count = 0;
  for (const HttpRequest& request : lab.requests("PATCH"))
    if (request.header("Content-Range").value_or("0-").starts_with("0-")) ++count;
  return count;
}

// libcurl repeats by itself what a kept connection lost, and it would be counted.
inline ScriptedRegistry::Options one_request_per_connection() {
  ScriptedRegistry::Options options;
  options.keep_alive = false;
  return options;
}

// The large layer goes in chunks of at most so many bytes.
inline ScriptedRegistry::Options in_chunks_of(std::size_t bytes) {
  ScriptedRegistry::Options options;
  options.session_headers = {{"OCI-Chunk-Max-Length", std::to_string(bytes)}};
  return options;
}

inline ScriptedRegistry::Options with_auth(ScriptedRegistry::Auth auth) {
  ScriptedRegistry::Options options;
  options.auth = auth;
  options.username = "robot";
  options.password = "s3cr3t-pa55word";
  return options;
}
inline ScriptedRegistry::Options with_bearer() { return with_auth(ScriptedRegistry::Auth::bearer); }
inline ScriptedRegistry::Options with_basic() { return with_auth(ScriptedRegistry::Auth::basic); }

// A certificate for 127.0.0.1 and the CA that signed it, made once.
struct TestPki {
  TestCertificate ca = make_certificate({}, nullptr, true);
  TestCertificate server = make_certificate({"127.0.0.1", "localhost"}, &ca);
};
inline const TestPki& pki() {
  static const TestPki made;
  return made;
}
inline ScriptedRegistry::Options with_tls(ScriptedRegistry::Options options = {}) {
  options.tls = HttpServer::Tls{pki().server, ""};
  return options;
}
// Makes the program trust it, and verify.
inline void trust_ca(Lab& lab) {
  lab.dir.write("certs/ca.crt", pki().ca.certificate_pem);
  lab.flags.push_back("--dest-cert-dir=" + lab.dir.path() + "/certs");
}

}  // namespace tug::test

#endif  // TUG_TESTS_FAULTS_ROWS_H_
