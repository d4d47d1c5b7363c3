#include "registry/redirects.h"

#include "registry/error_body.h"

#include <tug/error.h>

#include <string>
#include <string_view>

namespace tug::registry {
namespace {

Error refused(const Answer& answer, const std::string& why) {
  return Error(ErrorKind::protocol, authority(answer.url) + " redirected " + answer.url.redacted() +
                                        " (" + status_text(answer.response.status) + ") " + why)
      .set_http_status(answer.response.status);
}

}  // namespace

bool is_redirect(int status) noexcept {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

bool is_local(const http::Url& url) noexcept {
  return url.has_private_ip_literal() || url.is_loopback() ||
         std::string_view(url.origin().host).ends_with(".localhost");
}

http::Url redirect_target(const Answer& answer, bool local_allowed) {
  const auto locations = answer.response.headers.get_all("Location");
  if (locations.empty()) throw refused(answer, "without saying where to");
  for (const std::string_view location : locations) {
    if (location != locations.front()) throw refused(answer, "to two places at once");
  }
  http::Url target = with_context([&] { return "redirect from " + answer.url.redacted(); },
                                  [&] { return answer.url.resolve(locations.front()); });
  if (answer.url.origin().scheme == "https" && target.origin().scheme != "https") {
    throw refused(answer, "from https to plain http, " + target.redacted());
  }
  if (!local_allowed && is_local(target)) {
    throw refused(answer, "to a private address, " + target.redacted());
  }
  return target;
}

}  // namespace tug::registry
