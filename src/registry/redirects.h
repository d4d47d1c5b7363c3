// Where a response may send us (registry-protocol.md 5.4, 5.10, rules S4-S6): pure decisions.
#ifndef TUG_REGISTRY_REDIRECTS_H_
#define TUG_REGISTRY_REDIRECTS_H_

#include "http/url.h"
#include "registry/host.h"

namespace tug::registry {

constexpr int kMaxRedirects = 5;

// 301, 302, 303, 307, 308.
bool is_redirect(int status) noexcept;

// The host is this machine or a private address: what no public server may send us to.
bool is_local(const http::Url& url) noexcept;

// The Location of a redirected read, resolved. Throws Error(protocol): none, several that differ,
// https to http, or a private address although `local_allowed` is false.
http::Url redirect_target(const Answer& answer, bool local_allowed);

}  // namespace tug::registry

#endif  // TUG_REGISTRY_REDIRECTS_H_
