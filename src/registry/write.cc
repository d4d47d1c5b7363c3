#include "registry/write.h"

#include "base/strings.h"
#include "registry/error_body.h"
#include "registry/redirects.h"

#include <fmt/format.h>

#include <string>

namespace tug::registry {
namespace {

constexpr int kMaxHops = 3;

// Where it leads, without what may be a secret in it (rule S7).
std::string shown_location(const Answer& answer) {
  const auto location = answer.response.headers.get("Location");
  if (!location) return "nowhere";
  try {
    return printable(answer.url.resolve(*location).redacted(), 200);
  } catch (const Error& error) {
    return error.message();  // shows no query and no userinfo either
  }
}

Error refused_redirect(const Answer& answer, http::Method method, std::string_view why) {
  std::string message =
      fmt::format("{} redirected a {} with status {} to {}: {}", authority(answer.url),
                  http::to_string(method), answer.response.status, shown_location(answer), why);
  return Error(ErrorKind::protocol, std::move(message))
      .set_http_status(answer.response.status)
      .set_hint("a proxy in front of the registry may redirect http to https");
}

}  // namespace

Answer call_write(Host& host, Call call, RedirectTo to, const std::function<void(Call&)>& prepare,
                  const std::stop_token& stop) {
  for (int hops = 0;; ++hops) {
    if (prepare) prepare(call);
    Answer answer = host.call(call, stop);
    const int status = answer.response.status;
    if (!is_redirect(status)) return answer;
    if (status != 307 && status != 308)
      throw refused_redirect(answer, call.method, "a write cannot follow that");
    if (hops == kMaxHops) throw refused_redirect(answer, call.method, "too many redirects");
    const auto location = answer.response.headers.get("Location");
    if (!location) throw refused_redirect(answer, call.method, "there is no Location");
    http::Url target = host.resolve_location(answer.url, *location);
    if (to == RedirectTo::same_origin && target.origin() != answer.url.origin())
      throw refused_redirect(answer, call.method, "that is another host");
    call.url = std::move(target);
  }
}

}  // namespace tug::registry
