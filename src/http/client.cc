#include "http/client.h"

#include "base/stop.h"
#include "base/strings.h"
#include "http/body_feed.h"
#include "http/curl_loop.h"
#include "http/exchange.h"
#include "http/trust_store.h"

#include <tug/error.h>

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <mutex>
#include <utility>

namespace tug::http {
namespace {

// The ring of one body: large enough that the loop finds something whenever the socket has room,
// small enough that six of them stay within the program's 24 MB (measured; more gains nothing on
// loopback).
constexpr std::size_t kRingBytes = 256 * 1024;
constexpr std::size_t kMinRingBytes = 4 * 1024;

bool is_token_character(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool is_control(char c) noexcept {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && byte != '\t') || byte == 0x7F;
}

// A line break in a header would begin another one (faults F30, F89).
void check_header(std::string_view name, std::string_view value) {
  if (name.empty() || !std::all_of(name.begin(), name.end(), is_token_character)) {
    throw Error(ErrorKind::usage, "bad header name \"" + printable(name, 60) + "\"");
  }
  if (std::any_of(value.begin(), value.end(), is_control)) {
    throw Error(ErrorKind::usage, "control character in the value of header " + std::string(name));
  }
}

void check(const Request& request) {
  for (const auto& [name, value] : request.headers.fields()) check_header(name, value);
  check_header("Authorization", request.authorization.reveal());
}

// Reads a body's source into its feed, and enforces its length.
class Producer {
 public:
  Producer(const RequestBody& body, BodyFeed& feed) : body_(body), feed_(feed) {}

  [[nodiscard]] bool ended() const noexcept { return ended_; }
  // Moves one piece. True when the loop waits for it. After cancel() of the feed: ended().
  bool step() {
    const std::span<std::byte> room = feed_.room();
    if (room.empty()) {
      ended_ = true;
      return false;
    }
    const std::size_t size = body_.source->read(room);
    return size == 0 ? finish() : commit(size);
  }

 private:
  bool commit(std::size_t size) {
    read_ += size;
    if (body_.length && read_ > *body_.length) {
      throw Error(ErrorKind::local,
                  fmt::format("the content is longer than the {} bytes expected", *body_.length));
    }
    return feed_.commit(size);
  }
  bool finish() {
    if (body_.length && read_ != *body_.length) {
      throw Error(ErrorKind::local,
                  fmt::format("the content ended after {} of {} bytes", read_, *body_.length));
    }
    if (body_.before_last) body_.before_last();
    ended_ = true;
    return feed_.finish();
  }

  const RequestBody& body_;
  BodyFeed& feed_;
  std::uint64_t read_ = 0;
  bool ended_ = false;
};

// A body that fits is read to its end before its request goes out; then `whole`.
struct RingSize {
  std::size_t bytes;
  bool whole;
};
RingSize ring_size(const std::optional<std::uint64_t>& length) {
  if (!length || *length >= kRingBytes) return {kRingBytes, false};
  // A read wants a quarter of the ring free, the last one too, which only finds the end.
  return {std::max(static_cast<std::size_t>(*length) * 4 / 3 + 8, kMinRingBytes), true};
}

// The sink knows its exchange for as long as that lives.
class SinkLink {
 public:
  SinkLink(BodySink* sink, std::function<void()> wake) : sink_(sink) {
    if (sink_ != nullptr) sink_->when_room(std::move(wake));
  }
  SinkLink(const SinkLink&) = delete;
  SinkLink& operator=(const SinkLink&) = delete;
  ~SinkLink() {
    if (sink_ != nullptr) sink_->when_room({});
  }

 private:
  BodySink* const sink_;
};

}  // namespace

std::string_view to_string(Method method) noexcept {
  switch (method) {
    case Method::get:
      return "GET";
    case Method::head:
      return "HEAD";
    case Method::post:
      return "POST";
    case Method::put:
      return "PUT";
    case Method::patch:
      return "PATCH";
    case Method::del:
      return "DELETE";
  }
  return "GET";
}

struct Client::Impl {
  Impl(const Options& options, const Log& l) : log(l), loop(options) {}

  std::shared_ptr<const TlsSetup> tls_setup(const Request& request);
  void run(Exchange& exchange, const std::stop_token& stop);
  void feed(Exchange& exchange, Producer& producer, const std::stop_token& stop);

  const Log& log;
  std::mutex tls_mutex;
  std::vector<std::shared_ptr<const TlsSetup>> tls_setups;
  CurlLoop loop;
};

// Loading CAs takes tens of milliseconds: once per configuration, on the calling thread, and never
// for plain http.
std::shared_ptr<const TlsSetup> Client::Impl::tls_setup(const Request& request) {
  if (request.url.origin().scheme != "https") return nullptr;
  const TlsConfig config = request.tls ? *request.tls : TlsConfig{};
  const std::lock_guard lock(tls_mutex);
  for (const auto& setup : tls_setups) {
    if (setup->config == config) return setup;
  }
  auto setup = std::make_shared<TlsSetup>();
  setup->config = config;
  setup->key = fmt::format("tug-tls-{}", tls_setups.size());
  if (config.verify) {
    setup->trust =
        std::make_unique<const TrustStore>(config.ca_files, CurlLoop::default_ca_bundle());
    log.debug("CAs: " + setup->trust->description());
  }
  tls_setups.push_back(setup);
  return setup;
}

void Client::Impl::run(Exchange& exchange, const std::stop_token& stop) {
  const Request& request = exchange.request;
  std::optional<Producer> producer;
  if (request.body) {
    const RingSize ring = ring_size(request.body->length);
    exchange.feed = std::make_unique<BodyFeed>(ring.bytes);
    producer.emplace(*request.body, *exchange.feed);
    while (!producer->ended() && (ring.whole || !exchange.feed->has_released())) {
      throw_if_stopped(stop);
      producer->step();
    }
  }
  const SinkLink link(request.sink, [&] { loop.wake(exchange); });
  loop.submit(exchange);
  {
    const std::stop_callback on_stop(stop, [&] {
      loop.abort(exchange, std::make_exception_ptr(Error(ErrorKind::interrupted, "interrupted")));
    });
    if (producer) feed(exchange, *producer, stop);
    loop.wait(exchange);
  }
  if (exchange.failure) std::rethrow_exception(exchange.failure);
}

// Once submitted, the exchange must not be left before it is done: what the source throws goes
// through the loop, which ends the transfer with it.
void Client::Impl::feed(Exchange& exchange, Producer& producer, const std::stop_token& stop) {
  try {
    while (!producer.ended() && !stop.stop_requested()) {
      if (producer.step()) loop.wake(exchange);
    }
  } catch (...) {
    loop.abort(exchange, std::current_exception());
  }
}

Client::Client(Options options, const Log& log) : impl_(std::make_unique<Impl>(options, log)) {}
Client::~Client() = default;

Response Client::send(const Request& request, const std::stop_token& stop) {
  throw_if_stopped(stop);
  check(request);
  Exchange exchange(request);
  exchange.tls = impl_->tls_setup(request);
  const Log& log = impl_->log;
  const std::string name =
      log.enabled() ? fmt::format("{} {}", to_string(request.method), request.url.redacted())
                    : std::string();
  if (log.enabled()) log.debug("> " + name);
  try {
    impl_->run(exchange, stop);
  } catch (const Error& error) {
    if (log.enabled()) log.debug("< " + name + ": " + error.what());
    throw;
  }
  if (log.enabled()) log.debug(fmt::format("< {} {}", exchange.response.status, name));
  return std::move(exchange.response);
}

}  // namespace tug::http
