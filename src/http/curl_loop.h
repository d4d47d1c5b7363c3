// The one thread that owns the curl multi handle, and all connections.
#ifndef TUG_HTTP_CURL_LOOP_H_
#define TUG_HTTP_CURL_LOOP_H_

#include "http/client.h"
#include "http/exchange.h"

#include <exception>
#include <memory>

namespace tug::http {

// Any thread may call. The thread starts with the first submit() and ends with the destructor,
// before which every exchange must be done.
class CurlLoop {
 public:
  explicit CurlLoop(const Client::Options& options);
  CurlLoop(const CurlLoop&) = delete;
  CurlLoop& operator=(const CurlLoop&) = delete;
  ~CurlLoop();

  // libcurl's built-in CA bundle; may be null.
  static const char* default_ca_bundle() noexcept;

  // Starts `exchange`, which must stay where it is until wait() returned.
  void submit(Exchange& exchange);
  // There is something in its feed, or room in its sink, that is worth going on with.
  void wake(Exchange& exchange);
  // Ends it now, with `reason` as its failure, its connection closed. Of several aborts the first
  // counts; none has an effect once the exchange is done.
  void abort(Exchange& exchange, std::exception_ptr reason);
  // Returns when it is done.
  void wait(Exchange& exchange);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tug::http

#endif  // TUG_HTTP_CURL_LOOP_H_
