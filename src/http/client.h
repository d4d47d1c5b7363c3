// One HTTP exchange at a time per caller, many callers at once.
//
// Client owns one thread with one curl multi handle, and the connections. send() blocks the calling
// thread until the answer is there. The caller's thread also reads the request's body, ahead of the
// transfer, into a small ring of buffers: reading and hashing run beside the sending, and the loop
// thread never waits for a disk. curl's API is known to curl_loop.cc alone.
//
// No redirect is followed, nothing is retried, no cookie, netrc or credential is added here: those
// are the registry layer's decisions.
#ifndef TUG_HTTP_CLIENT_H_
#define TUG_HTTP_CLIENT_H_

#include "base/log.h"
#include "http/headers.h"
#include "http/tls_config.h"
#include "http/url.h"

#include <tug/blob.h>
#include <tug/registry.h>
#include <tug/secret.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tug::http {

enum class Method { get, head, post, put, patch, del };
std::string_view to_string(Method method) noexcept;

// The body of a request. Without a length it goes out with Transfer-Encoding: chunked.
struct RequestBody {
  ByteSource* source = nullptr;         // borrowed until send() returns; read by the calling thread
  std::optional<std::uint64_t> length;  // bytes that `source` must yield, not one more or less
  // Called on the calling thread after the last byte was read from the source and before it is
  // handed to the network: the place to compare digests. A throw aborts the request with its last
  // part unsent, so that the server never sees a complete body.
  std::function<void()> before_last;
  std::function<void(std::uint64_t)>
      sent;  // bytes sent so far, on the loop thread; cheap, must not throw
  // On a connection that nothing was sent on before: a kept one may be about to end, and this body
  // is not worth finding out.
  bool on_new_connection = false;
};

// Where the body of an answer goes, piece by piece, if its status is 2xx. The loop thread calls
// begin() and take(), which must not wait: all other exchanges would wait with them. A throw ends
// the exchange.
class BodySink {
 public:
  BodySink() = default;
  BodySink(const BodySink&) = delete;
  BodySink& operator=(const BodySink&) = delete;
  virtual ~BodySink() = default;
  // Before the first piece.
  virtual void begin(int status, const Headers& headers) = 0;
  // False: there is no room now. The same bytes come again when `wake` was called, and nobody's
  // patience counts until then.
  virtual bool take(std::span<const std::byte> bytes) = 0;
  // By send(): what to call, on any thread, when there is room again; at its end nothing.
  virtual void when_room(std::function<void()> wake) = 0;
};

struct Request {
  Method method = Method::get;
  Url url;
  std::string unix_socket =
      {};  // not empty: the path that the server listens at, whatever `url` names
  Headers headers = {};
  Secret authorization = {};  // the Authorization header's value; empty: none. Never logged.
  std::optional<RequestBody> body =
      {};  // an empty body with Content-Length: 0 for POST/PUT/PATCH/DELETE without one
  std::string small_body = {};  // alternative to `body`: bytes at hand (a manifest, a form)
  std::shared_ptr<const TlsConfig> tls = {};   // nullptr: system CAs, verified
  std::size_t max_response_bytes = 64 * 1024;  // more: reading stops, `truncated` is set
  // Takes the body instead of Response::body (and its limit). Borrowed until send() returns.
  BodySink* sink = nullptr;
  // If it needs a connection of its own, opens another one to the same address after it (TCP alone,
  // nothing is sent), for a request that will follow as soon as this one failed.
  bool spare_connection = false;
  // What the server has to hash or move before it can answer, though it is not in this request's
  // body: the answer may take longer for it.
  std::uint64_t bytes_to_digest = 0;
};

struct Response {
  int status = 0;
  Headers headers;
  std::string body;
  bool truncated =
      false;  // the body was longer than max_response_bytes, or broke off after the headers
  bool body_sent_completely =
      true;  // false: the server answered before it had the whole request body
  std::uint64_t body_bytes_sent = 0;
};

// Any thread may call send(). The destructor waits for the loop thread; no send() may be running
// then.
class Client {
 public:
  struct Options {
    Timeouts timeouts;
    std::string user_agent = "tug";
    std::size_t max_connections_per_host = 32;
  };
  Client(Options options, const Log& log);
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client();

  // One exchange. Any HTTP status is a Response. A body's first bytes are read before anything is
  // sent, so that a slow or broken source holds no connection. Throws Error: usage (a header that
  // cannot be sent), network (retryable; the message has curl's reason, host and port), tls,
  // protocol (unparsable, header flood), interrupted, and whatever the body's source or
  // `before_last` or `sink` threw. When a response's status had arrived before the connection
  // broke, that Response wins over the break.
  Response send(const Request& request, const std::stop_token& stop);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tug::http

#endif  // TUG_HTTP_CLIENT_H_
