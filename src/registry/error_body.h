// What a registry says when it refuses (registry-protocol.md 6.6), turned into an Error.
#ifndef TUG_REGISTRY_ERROR_BODY_H_
#define TUG_REGISTRY_ERROR_BODY_H_

#include "http/client.h"

#include <tug/digest.h>
#include <tug/error.h>

#include <string>
#include <string_view>
#include <vector>

namespace tug::registry {

struct RegistryFault {
  std::string code;     // "DENIED", "" when the body had none
  std::string message;  // printable, cut
  std::string detail;   // printable text of `detail`, "" when absent
};

// All faults of an error body, liberal in form: {"errors":[…]}, {"details":…}, {"message":…},
// {"error":…}, plain text, HTML (its title). Never throws. At most 16.
std::vector<RegistryFault> parse_error_body(std::string_view body, std::string_view content_type);

// Every digest in the `detail`s of the body: which blobs a manifest PUT missed.
std::vector<Digest> digests_in_error_body(std::string_view body);

// The Error for a response whose status is a failure: kind by status (refined by codes), message
// "HOST answered 403 Forbidden: DENIED: …", codes, retryable by http::is_retryable_status. An HTML
// page where JSON was due says so (user-asks 35).
Error error_from_response(const http::Response& response, const http::Url& url);

// "404 Not Found"
std::string status_text(int status);
// True for a web page where a registry should have spoken: by its type, or by how it begins.
bool is_html(std::string_view body, std::string_view content_type);
// "host" or "host:port", the port only when it is not the scheme's own: for messages.
std::string authority(const http::Url& url);

}  // namespace tug::registry

#endif  // TUG_REGISTRY_ERROR_BODY_H_
