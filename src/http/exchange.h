// One request on its way through the loop: what the calling thread and the loop thread share.
#ifndef TUG_HTTP_EXCHANGE_H_
#define TUG_HTTP_EXCHANGE_H_

#include "http/body_feed.h"
#include "http/client.h"
#include "http/tls_config.h"
#include "http/trust_store.h"

#include <condition_variable>
#include <exception>
#include <memory>
#include <optional>
#include <string>

namespace tug::http {

// A TlsConfig made ready for use. Immutable.
struct TlsSetup {
  TlsConfig config;
  std::string key;  // differs for configurations that differ: keeps their connections apart
  std::unique_ptr<const TrustStore> trust;  // null when the peer is not verified
};

// Lives on the calling thread's stack from CurlLoop::submit() until it is done.
struct Exchange {
  explicit Exchange(const Request& r) : request(r) {}
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  const Request& request;
  std::shared_ptr<const TlsSetup> tls;  // null for plain http
  std::unique_ptr<BodyFeed> feed;       // for Request::body

  // Under the loop's mutex.
  std::exception_ptr abort;  // why the calling side wants it ended
  bool done = false;
  std::condition_variable finished;

  // Written by the loop before `done`: one of the two.
  std::exception_ptr failure;
  Response response;
};

}  // namespace tug::http

#endif  // TUG_HTTP_EXCHANGE_H_
