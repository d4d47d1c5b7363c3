// A profile of the scripted registry for each product of registry-protocol.md section 7, and a push
// through each. The rules that tug has by host name (chunk_rule in src/registry/upload_rules.cc) do
// not apply on loopback: here it has to cope by what it is answered. Sizes are scaled down where a
// product's own would take too long, and the row says so.
#ifndef TUG_TESTS_FAULTS_PROFILES_H_
#define TUG_TESTS_FAULTS_PROFILES_H_

#include "rows.h"

namespace tug::test {

std::vector<Case> cloud_profiles();   // what is rented
std::vector<Case> hosted_profiles();  // what people run themselves

// --- words that they share

using Answer = std::optional<HttpResponse>;

// 5 MiB: more than the 4 MiB that some take at once.
inline const ImageShape kLargeImage{.layers = {200'000, 5 * kMiB}};

inline bool is_upload(const HttpRequest& request) {
  return request.method == "PATCH" || (request.method == "PUT" && !request.target.empty() &&
                                       request.target.find("/manifests/") == std::string::npos);
}
inline bool is_manifest_put(const HttpRequest& request) {
  return request.method == "PUT" && request.target.find("/manifests/") != std::string::npos;
}
inline std::uint64_t length_of(const HttpRequest& request) {
  return request.content_length().value_or(0);
}
inline bool has_range(const HttpRequest& request) { return request.has_header("Content-Range"); }

inline void expect_one_body_each(Lab& lab) {
  lab.expect(whole_patches(lab) == 1, "the large layer is sent once");
}

}  // namespace tug::test

#endif  // TUG_TESTS_FAULTS_PROFILES_H_
