// The time limits of one exchange (registry-protocol.md 5.9), as a pure decision: the caller says
// what happened when, the clock says when patience ends.
#ifndef TUG_HTTP_TRANSFER_CLOCK_H_
#define TUG_HTTP_TRANSFER_CLOCK_H_

#include <tug/registry.h>

#include <chrono>
#include <cstdint>
#include <optional>

namespace tug::http {

// One thread. A value.
class TransferClock {
 public:
  using Time = std::chrono::steady_clock::time_point;
  // What is being waited for.
  enum class Phase {
    connecting,  // nothing to watch: connecting has its own limit, and so has waiting for a free
                 // connection
    sending,     // the peer takes the body
    starved,     // our own source, or sink, is slow: nobody's fault, no limit
    waiting,     // the body is out: the answer's head
    receiving,   // the answer's body
  };

  explicit TransferClock(const Timeouts& timeouts) : timeouts_(timeouts) {}

  // The connection stands, the request goes out. `has_body`: one that is not empty.
  // `bytes_to_digest`: what the server works through before it answers, besides that body.
  void on_request(Time now, bool has_body, std::uint64_t bytes_to_digest);
  // The peer accepted more of the body.
  void on_sent(Time now);
  // The source has (no longer) nothing to send, or the sink no room.
  void on_starved(Time now, bool starved);
  // The peer has the whole body of `bytes`.
  void on_body_done(Time now, std::uint64_t bytes);
  // The head of the final response is complete.
  void on_head(Time now);
  void on_received(Time now);

  [[nodiscard]] Phase phase() const noexcept;
  // When to give up; nullopt: never.
  [[nodiscard]] std::optional<Time> deadline() const;
  // How long the wait was allowed to be, for the message.
  [[nodiscard]] std::chrono::milliseconds limit() const;

 private:
  Timeouts timeouts_;
  bool started_ = false;
  bool sending_ = false;
  bool starved_ = false;
  bool head_done_ = false;
  std::uint64_t bytes_to_digest_ = 0;
  Time last_activity_;
};

}  // namespace tug::http

#endif  // TUG_HTTP_TRANSFER_CLOCK_H_
