// Requests that change something, and the one rule they have for redirects (registry-protocol.md
// 5.10).
#ifndef TUG_REGISTRY_WRITE_H_
#define TUG_REGISTRY_WRITE_H_

#include "registry/host.h"

#include <functional>
#include <stop_token>

namespace tug::registry {

// Where a redirected write may lead. An upload session may live on another host (without
// credentials, which Host sees to); everything else stays at the registry.
enum class RedirectTo { same_origin, any_host };

// One write: 307 and 308 repeat it, method and body unchanged, at most 3 times; 301, 302 and 303
// are Error(protocol), because following them means GET, which looks like success (harbor#20980).
// `prepare` is called before each try: a streamed body is set there, from its beginning.
Answer call_write(Host& host, Call call, RedirectTo to, const std::function<void(Call&)>& prepare,
                  const std::stop_token& stop);

}  // namespace tug::registry

#endif  // TUG_REGISTRY_WRITE_H_
