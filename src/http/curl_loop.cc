#include "http/curl_loop.h"

#include "base/fd.h"
#include "base/strings.h"
#include "http/response_head.h"
#include "http/spare_sockets.h"
#include "http/transfer_clock.h"

#include <tug/error.h>

#include <curl/curl.h>
#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace tug::http {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// Measured on loopback: 64 KiB, curl's default, costs a third more CPU for a large body than 256
// KiB; beyond that nothing is gained. The buffer is allocated for each handle that sends.
constexpr long kUploadBuffer = 256 * 1024;
constexpr long kSmallUploadBuffer = 16 * 1024;
constexpr std::uint64_t kLargeBody = 256 * 1024;
constexpr long kDownloadBuffer = 128 * 1024;
constexpr std::size_t kIdleHandles = 8;
constexpr long kIdleConnections = 64;
// Below the 60 s after which common servers and balancers close idle connections: less is lost to
// the race between their close and our next request.
constexpr long kMaxIdleSeconds = 50;
// A slow source's bytes are sent at least this often, however few they are.
constexpr milliseconds kFlushAfter{1000};
constexpr milliseconds kLongPoll{60'000};
// How long the rest of an early answer is waited for, after its last byte, when its end is not
// plain.
constexpr milliseconds kEarlyAnswerGrace{300};

struct FreeEasy {
  void operator()(CURL* easy) const noexcept { curl_easy_cleanup(easy); }
};
struct FreeList {
  void operator()(curl_slist* list) const noexcept {
    // The list holds a copy of the Authorization header.
    for (curl_slist* item = list; item != nullptr; item = item->next) {
      explicit_bzero(item->data, strlen(item->data));
    }
    curl_slist_free_all(list);
  }
};
struct FreeMulti {
  void operator()(CURLM* multi) const noexcept { curl_multi_cleanup(multi); }
};
struct FreeShare {
  void operator()(CURLSH* share) const noexcept { curl_share_cleanup(share); }
};
using EasyPtr = std::unique_ptr<CURL, FreeEasy>;
using ListPtr = std::unique_ptr<curl_slist, FreeList>;
using MultiPtr = std::unique_ptr<CURLM, FreeMulti>;
using SharePtr = std::unique_ptr<CURLSH, FreeShare>;

void init_curl() {
  static std::once_flag once;
  std::call_once(once, [] {
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
      throw Error(ErrorKind::local, "libcurl cannot be initialised");
    }
  });
}

template <typename T>
void set(CURL* easy, CURLoption option, T value) {
  const CURLcode code = curl_easy_setopt(easy, option, value);
  if (code == CURLE_OK) return;
  throw Error(ErrorKind::local, fmt::format("libcurl refuses option {}: {}",
                                            static_cast<int>(option), curl_easy_strerror(code)));
}

double seconds(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

// A chunk of `size` bytes on the wire: its size in hex, two line ends.
std::uint64_t chunk_framing(std::size_t size) { return fmt::formatted_size("{:x}", size) + 4; }

// One exchange in the loop. All members belong to the loop thread.
class Transfer {
 public:
  // `spares` belongs to the loop and outlives it.
  Transfer(Exchange& x, EasyPtr handle, const Client::Options& options, SpareSockets& spares)
      : exchange_(x),
        request_(x.request),
        easy_(std::move(handle)),
        spares_(spares),
        opens_spare_(x.request.spare_connection),
        clock_(options.timeouts) {
    set_connection_options(options);
    set_request_options(options);
    set_tls_options();
  }
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  [[nodiscard]] CURL* easy() const noexcept { return easy_.get(); }
  [[nodiscard]] Exchange& exchange() const noexcept { return exchange_; }
  EasyPtr release_handle() { return std::move(easy_); }

  // Looks at what the last perform did. Called often; must be cheap.
  void observe(Clock::time_point now);
  // When to look again at the latest.
  [[nodiscard]] std::optional<Clock::time_point> next_look() const;
  [[nodiscard]] bool expired(Clock::time_point now) const {
    const auto deadline = clock_.deadline();
    return deadline && *deadline <= now;
  }
  // Goes on after the feed was empty, or the sink full.
  void resume() { curl_easy_pause(easy_.get(), CURLPAUSE_CONT); }

  // curl is through with it / patience is at its end: puts the outcome into the exchange.
  void conclude(CURLcode code);
  void conclude_expired();

 private:
  void set_connection_options(const Client::Options& options);
  void set_proxy();
  void set_request_options(const Client::Options& options);
  void set_body_options();
  void set_headers();
  void add_header(const std::string& line);
  void set_tls_options();

  // Callbacks; an exception in one is kept in failure_ and ends the transfer.
  static std::size_t on_read(char* data, std::size_t size, std::size_t count, void* self) noexcept;
  static int on_seek(void* self, curl_off_t offset, int origin) noexcept;
  static std::size_t on_header(char* data, std::size_t size, std::size_t count,
                               void* self) noexcept;
  static std::size_t on_body(char* data, std::size_t size, std::size_t count, void* self) noexcept;
  static curl_socket_t on_open_socket(void* self, curlsocktype, curl_sockaddr* address) noexcept;
  static int on_socket(void* self, curl_socket_t socket, curlsocktype) noexcept;
  static int on_request(void* self, char*, char*, int, int) noexcept;
  static CURLcode on_tls_context(CURL*, void* context, void* self) noexcept;
  std::size_t read(std::span<std::byte> target);
  enum class Taken { all, none_yet, none_ever };
  Taken take_body(std::string_view data);
  std::size_t refuse_to_send();
  std::size_t starve();

  [[nodiscard]] bool sends_body() const noexcept { return request_.method > Method::head; }
  [[nodiscard]] std::optional<std::uint64_t> body_length() const;
  [[nodiscard]] bool body_sent() const;
  [[nodiscard]] std::uint64_t body_bytes_sent() const;
  // The server has answered with something else than success, and needs no more of the body.
  [[nodiscard]] bool answered_early() const { return head_.complete() && head_.status() >= 300; }
  [[nodiscard]] bool answer_is_whole(Clock::time_point now) const;
  void stop_for_answer(Clock::time_point now);

  void fill_response(bool broken);
  [[nodiscard]] Error error_of(CURLcode code);
  [[nodiscard]] Error tls_error(const std::string& reason) const;
  [[nodiscard]] Error connect_error(CURLcode code, const std::string& reason) const;
  [[nodiscard]] Error transfer_error(CURLcode code, const std::string& reason) const;
  [[nodiscard]] Error timeout_error() const;
  [[nodiscard]] std::string progress_text() const;
  // By a socket the URL's host is nobody.
  [[nodiscard]] std::string peer() const {
    return request_.unix_socket.empty() ? request_.url.origin().authority() : request_.unix_socket;
  }

  Exchange& exchange_;
  const Request& request_;
  EasyPtr easy_;
  ListPtr headers_;
  std::array<char, CURL_ERROR_SIZE> error_text_{};
  std::shared_ptr<PeerCertificate> certificate_;
  SpareSockets& spares_;
  bool opens_spare_;              // with the first connection of its own
  std::vector<std::byte> spare_;  // the address where it is to be opened
  curl_socket_t connected_ = -1;  // a spare one that this transfer got

  TransferClock clock_;
  Clock::time_point begun_ = Clock::now();
  bool request_begun_ = false;
  std::uint64_t taken_ = 0;     // of the body, by curl
  std::uint64_t wire_ = 0;      // the same with the framing of chunks
  std::uint64_t uploaded_ = 0;  // of wire_, accepted by the socket
  bool end_given_ = false;      // of a chunked body
  std::optional<Clock::time_point> starved_since_;
  bool stopped_for_answer_ = false;
  bool held_for_answer_ = false;  // curl's sending is paused while an early answer comes in

  ResponseHead head_;
  bool head_seen_ = false;
  bool sink_begun_ = false;
  std::string body_;
  Clock::time_point received_at_;
  bool body_cut_ = false;       // at max_response_bytes
  std::exception_ptr failure_;  // from a callback
};

// --- options ---

void Transfer::set_connection_options(const Client::Options& options) {
  CURL* e = easy_.get();
  set(e, CURLOPT_PRIVATE, this);
  set(e, CURLOPT_ERRORBUFFER, error_text_.data());
  set(e, CURLOPT_NOSIGNAL, 1L);
  // Or the end of a transfer waits for the resolver's thread.
  set(e, CURLOPT_QUICK_EXIT, 1L);
  set(e, CURLOPT_PROTOCOLS_STR, "http,https");
  // Bodies over HTTP/2 share one connection and its flow-control window
  // (registry-protocol.md 5.14).
  set(e, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(e, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options.timeouts.connect.count()));
  set(e, CURLOPT_TCP_NODELAY, 1L);
  // So that NAT does not forget the silent wait for a commit.
  set(e, CURLOPT_TCP_KEEPALIVE, 1L);
  set(e, CURLOPT_TCP_KEEPIDLE, 30L);
  set(e, CURLOPT_TCP_KEEPINTVL, 30L);
  set(e, CURLOPT_MAXAGE_CONN, kMaxIdleSeconds);
  set(e, CURLOPT_OPENSOCKETFUNCTION, &Transfer::on_open_socket);
  set(e, CURLOPT_OPENSOCKETDATA, this);
  set(e, CURLOPT_SOCKOPTFUNCTION, &Transfer::on_socket);
  set(e, CURLOPT_SOCKOPTDATA, this);
  set(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  set_proxy();
}

// libcurl reads http_proxy, https_proxy, all_proxy and no_proxy itself, but never HTTP_PROXY (which
// a CGI server fills from a request's header) and does proxy to loopback.
void Transfer::set_proxy() {
  const Url& url = request_.url;
  if (!request_.unix_socket.empty())
    set(easy_.get(), CURLOPT_UNIX_SOCKET_PATH, request_.unix_socket.c_str());
  if (url.is_loopback() || !request_.unix_socket.empty()) {
    set(easy_.get(), CURLOPT_PROXY, "");
  } else if (url.origin().scheme == "http" && !env("http_proxy") && !env("REQUEST_METHOD")) {
    if (const auto proxy = env_nonempty("HTTP_PROXY"))
      set(easy_.get(), CURLOPT_PROXY, proxy->c_str());
  }
}

void Transfer::set_request_options(const Client::Options& options) {
  CURL* e = easy_.get();
  set(e, CURLOPT_URL, request_.url.str().c_str());
  set(e, CURLOPT_PATH_AS_IS, 1L);
  set(e, CURLOPT_USERAGENT, options.user_agent.c_str());
  set(e, CURLOPT_HEADERFUNCTION, &Transfer::on_header);
  set(e, CURLOPT_HEADERDATA, this);
  set(e, CURLOPT_WRITEFUNCTION, &Transfer::on_body);
  set(e, CURLOPT_WRITEDATA, this);
  set(e, CURLOPT_PREREQFUNCTION, &Transfer::on_request);
  set(e, CURLOPT_PREREQDATA, this);
  if (request_.sink != nullptr) set(e, CURLOPT_BUFFERSIZE, kDownloadBuffer);
  if (request_.method == Method::head) set(e, CURLOPT_NOBODY, 1L);
  if (sends_body()) set_body_options();
  if (request_.body && request_.body->on_new_connection) set(e, CURLOPT_FRESH_CONNECT, 1L);
  set_headers();
}

void Transfer::set_body_options() {
  CURL* e = easy_.get();
  const auto length = body_length();
  const bool large = !length || *length >= kLargeBody;
  set(e, CURLOPT_UPLOAD, 1L);
  set(e, CURLOPT_CUSTOMREQUEST, std::string(to_string(request_.method)).c_str());
  set(e, CURLOPT_UPLOAD_BUFFERSIZE, large ? kUploadBuffer : kSmallUploadBuffer);
  set(e, CURLOPT_INFILESIZE_LARGE, length ? static_cast<curl_off_t>(*length) : curl_off_t{-1});
  set(e, CURLOPT_READFUNCTION, &Transfer::on_read);
  set(e, CURLOPT_READDATA, this);
  set(e, CURLOPT_SEEKFUNCTION, &Transfer::on_seek);
  set(e, CURLOPT_SEEKDATA, this);
}

void Transfer::set_headers() {
  // libcurl would ask for "100 Continue" with every body and wait a second for it
  // (registry-protocol.md 1.6).
  add_header("Expect:");
  if (sends_body() && !body_length()) add_header("Transfer-Encoding: chunked");
  for (const auto& [name, value] : request_.headers.fields()) {
    add_header(value.empty() ? name + ";" : name + ": " + value);  // "name:" would remove it
  }
  if (!request_.authorization.empty()) {
    Secret line("Authorization: " + std::string(request_.authorization.reveal()));
    add_header(std::string(line.reveal()));
  }
  set(easy_.get(), CURLOPT_HTTPHEADER, headers_.get());
}

void Transfer::add_header(const std::string& line) {
  curl_slist* longer = curl_slist_append(headers_.get(), line.c_str());
  if (longer == nullptr) throw std::bad_alloc();
  (void)headers_.release();
  headers_.reset(longer);
}

void Transfer::set_tls_options() {
  if (!exchange_.tls) return;
  CURL* e = easy_.get();
  const TlsSetup& tls = *exchange_.tls;
  set(e, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  set(e, CURLOPT_SSL_VERIFYPEER, tls.config.verify ? 1L : 0L);
  set(e, CURLOPT_SSL_VERIFYHOST, tls.config.verify ? 2L : 0L);
  // CAs come from our own store (on_tls_context). libcurl reuses a connection only when its own TLS
  // options are equal; it knows nothing of our store, so the unused CA directory's name tells
  // configurations apart.
  set(e, CURLOPT_CAINFO, static_cast<const char*>(nullptr));
  set(e, CURLOPT_CAPATH, tls.key.c_str());
  if (tls.trust) {
    set(e, CURLOPT_SSL_CTX_FUNCTION, &Transfer::on_tls_context);
    set(e, CURLOPT_SSL_CTX_DATA, this);
  }
  if (!tls.config.client_certificates.empty()) {
    const auto& [certificate, key] = tls.config.client_certificates.front();
    set(e, CURLOPT_SSLCERT, certificate.c_str());
    set(e, CURLOPT_SSLKEY, key.c_str());
    set(e, CURLOPT_KEYPASSWD, "");  // or OpenSSL asks for a passphrase on the terminal
  }
}

// --- callbacks ---

std::size_t Transfer::on_read(char* data, std::size_t size, std::size_t count,
                              void* self) noexcept {
  auto& transfer = *static_cast<Transfer*>(self);
  return transfer.read(std::as_writable_bytes(std::span(data, size * count)));
}

std::size_t Transfer::read(std::span<std::byte> target) {
  if (answered_early()) return refuse_to_send();
  std::size_t size = 0;
  if (exchange_.feed) {
    size = exchange_.feed->take(target);
    if (size == 0 && !exchange_.feed->ended()) return starve();
  } else {
    const std::string& body = request_.small_body;
    size = std::min<std::size_t>(target.size(), body.size() - static_cast<std::size_t>(taken_));
    std::copy_n(reinterpret_cast<const std::byte*>(body.data()) + taken_, size, target.data());
  }
  if (starved_since_) {
    starved_since_.reset();
    clock_.on_starved(Clock::now(), false);
  }
  end_given_ = size == 0;
  taken_ += size;
  wire_ += size;
  if (!body_length()) wire_ += chunk_framing(size);
  return size;
}

std::size_t Transfer::starve() {
  const auto now = Clock::now();
  if (!starved_since_) starved_since_ = now;
  clock_.on_starved(now, true);
  return CURL_READFUNC_PAUSE;
}

// libcurl stops sending by itself when an error comes early, but not when that says "Connection:
// close". To abort at once would lose the part of the answer that is still on its way.
std::size_t Transfer::refuse_to_send() {
  if (answer_is_whole(Clock::now())) return CURL_READFUNC_ABORT;
  held_for_answer_ = true;
  return CURL_READFUNC_PAUSE;
}

// libcurl repeats a request by itself when a reused connection turns out to be dead. A body that is
// not in memory cannot be repeated, and a PATCH must not (registry-protocol.md 5.8): then it is an
// error.
int Transfer::on_seek(void* self, curl_off_t offset, int origin) noexcept {
  auto& transfer = *static_cast<Transfer*>(self);
  if (transfer.exchange_.feed || offset != 0 || origin != SEEK_SET) return CURL_SEEKFUNC_CANTSEEK;
  transfer.taken_ = transfer.wire_ = 0;
  transfer.end_given_ = false;
  return CURL_SEEKFUNC_OK;
}

curl_socket_t Transfer::on_open_socket(void* self, curlsocktype, curl_sockaddr* address) noexcept {
  auto& transfer = *static_cast<Transfer*>(self);
  try {
    const std::span all(reinterpret_cast<const std::byte*>(&address->addr), address->addrlen);
    if (UniqueFd spare = transfer.spares_.take(all)) return transfer.connected_ = spare.release();
    if (std::exchange(transfer.opens_spare_, false)) transfer.spare_.assign(all.begin(), all.end());
  } catch (...) {  // no memory: then without
  }
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

int Transfer::on_socket(void* self, curl_socket_t socket, curlsocktype) noexcept {
  const auto& transfer = *static_cast<Transfer*>(self);
  return socket == transfer.connected_ ? CURL_SOCKOPT_ALREADY_CONNECTED : CURL_SOCKOPT_OK;
}

std::size_t Transfer::on_header(char* data, std::size_t size, std::size_t count,
                                void* self) noexcept {
  auto& transfer = *static_cast<Transfer*>(self);
  try {
    transfer.head_.add_line({data, size * count});
    return size * count;
  } catch (Error& error) {
    error.add_context("answer of " + transfer.peer());
    transfer.failure_ = std::make_exception_ptr(error);
  } catch (...) {
    transfer.failure_ = std::current_exception();
  }
  return 0;
}

std::size_t Transfer::on_body(char* data, std::size_t size, std::size_t count,
                              void* self) noexcept {
  auto& transfer = *static_cast<Transfer*>(self);
  try {
    const Taken taken = transfer.take_body({data, size * count});
    if (taken == Taken::all) return size * count;
    if (taken == Taken::none_yet) return CURL_WRITEFUNC_PAUSE;
  } catch (...) {
    transfer.failure_ = std::current_exception();
  }
  return CURL_WRITEFUNC_ERROR;
}

Transfer::Taken Transfer::take_body(std::string_view data) {
  received_at_ = Clock::now();
  clock_.on_received(received_at_);
  if (request_.sink != nullptr && head_.status() >= 200 && head_.status() < 300) {
    if (!std::exchange(sink_begun_, true)) request_.sink->begin(head_.status(), head_.headers());
    const bool taken = request_.sink->take(std::as_bytes(std::span(data.data(), data.size())));
    clock_.on_starved(received_at_, !taken);
    return taken ? Taken::all : Taken::none_yet;
  }
  const std::size_t room = request_.max_response_bytes - body_.size();
  body_.append(data.substr(0, room));
  body_cut_ = data.size() > room;
  return body_cut_ ? Taken::none_ever : Taken::all;
}

int Transfer::on_request(void* self, char*, char*, int, int) noexcept {
  auto& transfer = *static_cast<Transfer*>(self);
  transfer.request_begun_ = true;
  transfer.clock_.on_request(Clock::now(), transfer.sends_body() && transfer.body_length() != 0,
                             transfer.request_.bytes_to_digest);
  return CURL_PREREQFUNC_OK;
}

CURLcode Transfer::on_tls_context(CURL*, void* context, void* self) noexcept {
  auto& transfer = *static_cast<Transfer*>(self);
  try {
    transfer.certificate_ = std::make_shared<PeerCertificate>();
    transfer.exchange_.tls->trust->install(context, transfer.certificate_);
    return CURLE_OK;
  } catch (...) {
    return CURLE_OUT_OF_MEMORY;
  }
}

// --- watching ---

// nullopt: unknown, chunked.
std::optional<std::uint64_t> Transfer::body_length() const {
  return request_.body ? request_.body->length
                       : std::optional<std::uint64_t>(request_.small_body.size());
}

bool Transfer::body_sent() const {
  if (!sends_body()) return true;
  const auto length = body_length();
  return length ? uploaded_ >= *length : end_given_ && uploaded_ >= wire_;
}

std::uint64_t Transfer::body_bytes_sent() const { return std::min(uploaded_, taken_); }

void Transfer::observe(Clock::time_point now) {
  // After the connection of its own: a server may take one at a time.
  if (!spare_.empty()) spares_.open(std::exchange(spare_, {}));
  curl_off_t uploaded = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_SIZE_UPLOAD_T, &uploaded);
  if (static_cast<std::uint64_t>(uploaded) != uploaded_) {
    uploaded_ = static_cast<std::uint64_t>(uploaded);
    clock_.on_sent(now);
    if (request_.body && request_.body->sent) request_.body->sent(body_bytes_sent());
  }
  if (request_begun_ && body_sent()) clock_.on_body_done(now, body_bytes_sent());
  if (head_.complete() && !head_seen_) {
    head_seen_ = true;
    received_at_ = now;
    clock_.on_head(now);
  }
  if (answered_early() && !body_sent()) stop_for_answer(now);
  if (starved_since_ && now - *starved_since_ >= kFlushAfter) {
    starved_since_ = now;
    if (exchange_.feed->has_released()) resume();
  }
}

bool Transfer::answer_is_whole(Clock::time_point now) const {
  const auto length = head_.headers().get("Content-Length");
  const auto number = length ? parse_uint(*length) : std::nullopt;
  if (number && body_.size() >= *number) return true;
  return head_seen_ && now - received_at_ >= kEarlyAnswerGrace;
}

void Transfer::stop_for_answer(Clock::time_point now) {
  if (!stopped_for_answer_) {
    stopped_for_answer_ = true;
    if (exchange_.feed) exchange_.feed->cancel();
    clock_.on_starved(now, false);
    if (std::exchange(starved_since_, std::nullopt)) resume();  // a paused transfer would never end
  }
  if (held_for_answer_ && answer_is_whole(now)) resume();
}

std::optional<Clock::time_point> Transfer::next_look() const {
  if (held_for_answer_) return received_at_ + kEarlyAnswerGrace;
  if (starved_since_) return *starved_since_ + kFlushAfter;
  return clock_.deadline();
}

// --- outcomes ---

void Transfer::conclude(CURLcode code) {
  observe(Clock::now());
  if (failure_) {
    exchange_.failure = failure_;
  } else if (head_.complete()) {
    fill_response(code != CURLE_OK);
  } else {
    exchange_.failure = std::make_exception_ptr(error_of(code));
  }
}

void Transfer::conclude_expired() {
  if (head_.complete()) {
    fill_response(true);
  } else {
    exchange_.failure = std::make_exception_ptr(timeout_error());
  }
}

void Transfer::fill_response(bool broken) {
  Response& response = exchange_.response;
  response.status = head_.status();
  response.headers = head_.headers();
  response.body = std::move(body_);
  response.truncated = broken || body_cut_;
  response.body_sent_completely = body_sent();
  response.body_bytes_sent = body_bytes_sent();
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

enum class Cause { tls, protocol, network };

Cause cause_of(CURLcode code, std::string_view text) {
  switch (code) {
    case CURLE_SSL_CONNECT_ERROR:
      // A connection that breaks during the handshake is like one that breaks later.
      return contains(text, "SSL_ERROR_SYSCALL") || contains(text, "Connection reset") ||
                     contains(text, "unexpected eof")
                 ? Cause::network
                 : Cause::tls;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CLIENTCERT:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_ENGINE_INITFAILED:
    case CURLE_USE_SSL_FAILED:
      return Cause::tls;
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
      // With TLS 1.3 a server refuses the client's certificate after the handshake.
      if (contains(text, "SSL routines") && contains(text, "alert")) return Cause::tls;
      return contains(text, "Too large response headers") ? Cause::protocol : Cause::network;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:  // HTTP/0.9
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_URL_MALFORMAT:
    case CURLE_OUT_OF_MEMORY:  // what libcurl says to a header line over 100 KB
      return Cause::protocol;
    default:
      return Cause::network;
  }
}

Error Transfer::error_of(CURLcode code) {
  const std::string reason =
      printable(error_text_[0] != '\0' ? error_text_.data() : curl_easy_strerror(code));
  switch (cause_of(code, reason)) {
    case Cause::tls:
      return tls_error(reason);
    case Cause::protocol:
      if (code == CURLE_OUT_OF_MEMORY && !head_.any_received()) break;
      return Error(ErrorKind::protocol,
                   fmt::format("{} sent something else than an HTTP response: {}", peer(),
                               code == CURLE_OUT_OF_MEMORY ? "header line too long" : reason));
    case Cause::network:
      break;
  }
  return request_begun_ ? transfer_error(code, reason) : connect_error(code, reason);
}

Error Transfer::tls_error(const std::string& reason) const {
  const bool not_tls = contains(reason, "wrong version number") ||
                       contains(reason, "packet length too long") ||
                       contains(reason, "unknown protocol");
  if (not_tls) {
    Error error(ErrorKind::tls, fmt::format("TLS: {} speaks plain HTTP, not https", peer()));
    // Who does not verify allowed it already.
    if (!exchange_.tls || exchange_.tls->config.verify) {
      error.set_hint(
          "--tls-verify=false, or insecure = true in registries.conf, allows plain HTTP");
    }
    return error;
  }
  if (contains(reason, "alert")) {
    Error error(ErrorKind::tls, fmt::format("TLS: {} refused the handshake: {}", peer(), reason));
    error.set_hint(exchange_.tls && exchange_.tls->config.client_certificates.empty()
                       ? "no client certificate was offered; one belongs into certs.d as "
                         "client.cert and client.key"
                       : "the client certificate may be the wrong one");
    return error;
  }
  Error error(ErrorKind::tls, fmt::format("TLS: {} is not trusted: {}", peer(), reason));
  std::string hint;
  if (certificate_ && !certificate_->names.empty()) {
    hint = "its certificate is for " + join(certificate_->names, ", ") + "; ";
  }
  if (exchange_.tls && exchange_.tls->trust) {
    hint += "CAs used: " + exchange_.tls->trust->description() + "; ";
  }
  error.set_hint(hint + "a registry's own CA belongs into certs.d/" + request_.url.origin().host +
                 "[:port]/ca.crt, --tls-verify=false turns the check off");
  return error;
}

Error Transfer::connect_error(CURLcode code, const std::string& reason) const {
  long error_number = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_OS_ERRNO, &error_number);
  long proxy_status = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_HTTP_CONNECTCODE, &proxy_status);
  std::string why = reason;
  if (code == CURLE_COULDNT_RESOLVE_HOST) {
    why = "cannot resolve the host name " + request_.url.origin().host;
  } else if (code == CURLE_COULDNT_CONNECT && error_number != 0 && !contains(reason, "proxy")) {
    why = errno_text(static_cast<int>(error_number));
  } else if (code == CURLE_OPERATION_TIMEDOUT) {
    why = fmt::format("no connection after {:.1f} s", seconds(Clock::now() - begun_));
  }
  Error error(ErrorKind::network, fmt::format("connecting to {}: {}", peer(), why));
  // A proxy that refuses (407, 403) will refuse again.
  error.set_retryable(proxy_status < 400 || proxy_status >= 500);
  return error;
}

std::string Transfer::progress_text() const {
  std::string text;
  if (sends_body() && body_length() != 0) {
    text = body_sent() ? "after the whole body of " + human_bytes(body_bytes_sent())
                       : "after " + human_bytes(body_bytes_sent()) +
                             (body_length() ? " of " + human_bytes(*body_length()) : "");
    text += " and ";
  } else {
    text = "after ";
  }
  return text + fmt::format("{:.1f} s", seconds(Clock::now() - begun_));
}

Error Transfer::transfer_error(CURLcode code, const std::string& reason) const {
  std::string what = fmt::format("connection to {} broke: {}", peer(), reason);
  if (code == CURLE_GOT_NOTHING) what = peer() + " closed the connection without an answer";
  if (code == CURLE_OK) what = peer() + " closed the connection in the middle of its answer";
  Error error(ErrorKind::network, what + ", " + progress_text());
  error.set_retryable(true);
  return error;
}

Error Transfer::timeout_error() const {
  const double limit = seconds(clock_.limit());
  const std::string what = clock_.phase() == TransferClock::Phase::sending
                               ? fmt::format("{} took no data for {:.1f} s", peer(), limit)
                               : fmt::format("{} did not answer within {:.1f} s", peer(), limit);
  Error error(ErrorKind::network, what + ", " + progress_text());
  error.set_retryable(true);
  return error;
}

}  // namespace

// --- the loop ---

struct CurlLoop::Impl {
  explicit Impl(const Client::Options& o) : options(o) {}
  ~Impl() {
    {
      const std::lock_guard lock(mutex);
      if (!thread.joinable()) return;
      quit = true;
      curl_multi_wakeup(multi.get());
    }
    thread.join();
  }

  // Under `mutex`.
  void start();
  void notify(Exchange& exchange);

  // The loop thread's.
  void run();
  bool take_work();
  void begin(Exchange& exchange);
  void attend(Exchange& exchange);
  void collect();
  void watch();
  void finish(Transfer& transfer);
  void report(Exchange& exchange);
  Transfer* find(const Exchange& exchange) const;
  EasyPtr acquire_handle();
  [[nodiscard]] int poll_timeout() const;

  const Client::Options options;
  // TLS sessions, which libcurl would otherwise keep for each handle: further connections to a host
  // resume the first one's, and save both sides the certificates. Without locks, because handles
  // are the loop thread's alone. Like connections, a session serves equal TLS options only.
  SharePtr sessions;
  MultiPtr multi;
  std::thread thread;

  std::mutex mutex;
  std::vector<Exchange*> submitted;
  std::vector<Exchange*> woken;
  bool quit = false;

  SpareSockets spares;
  std::vector<std::unique_ptr<Transfer>> active;
  std::vector<EasyPtr> idle;
};

void CurlLoop::Impl::start() {
  if (thread.joinable()) return;
  init_curl();
  multi.reset(curl_multi_init());
  sessions.reset(curl_share_init());
  if (!multi || !sessions) throw std::bad_alloc();
  curl_share_setopt(sessions.get(), CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
  curl_multi_setopt(multi.get(), CURLMOPT_PIPELINING, static_cast<long>(CURLPIPE_NOTHING));
  curl_multi_setopt(multi.get(), CURLMOPT_MAXCONNECTS, kIdleConnections);
  curl_multi_setopt(multi.get(), CURLMOPT_MAX_HOST_CONNECTIONS,
                    static_cast<long>(options.max_connections_per_host));
  // The thread inherits the mask: signals go to others, and SIGPIPE, which OpenSSL's writes can
  // raise, stays pending for ever.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    thread = std::thread([this] { run(); });
  } catch (...) {
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void CurlLoop::Impl::notify(Exchange& exchange) {
  if (exchange.done) return;
  woken.push_back(&exchange);
  curl_multi_wakeup(multi.get());
}

void CurlLoop::Impl::run() {
  while (take_work()) {
    int running = 0;
    curl_multi_perform(multi.get(), &running);
    collect();
    watch();
    curl_multi_poll(multi.get(), nullptr, 0, poll_timeout(), nullptr);
  }
  idle.clear();
}

bool CurlLoop::Impl::take_work() {
  std::vector<Exchange*> fresh;
  std::vector<Exchange*> calling;
  {
    const std::lock_guard lock(mutex);
    if (quit) return false;
    fresh.swap(submitted);
    calling.swap(woken);
  }
  // An exchange may be finished while it is still on the list: find() knows only those that live.
  for (Exchange* exchange : calling) attend(*exchange);
  for (Exchange* exchange : fresh) begin(*exchange);
  return true;
}

void CurlLoop::Impl::begin(Exchange& exchange) {
  {
    const std::lock_guard lock(mutex);
    exchange.failure = exchange.abort;
  }
  try {
    if (!exchange.failure) {
      auto transfer = std::make_unique<Transfer>(exchange, acquire_handle(), options, spares);
      if (curl_multi_add_handle(multi.get(), transfer->easy()) != CURLM_OK) throw std::bad_alloc();
      active.push_back(std::move(transfer));
      return;
    }
  } catch (...) {
    exchange.failure = std::current_exception();
  }
  report(exchange);
}

void CurlLoop::Impl::attend(Exchange& exchange) {
  Transfer* transfer = find(exchange);
  if (transfer == nullptr) return;
  {
    const std::lock_guard lock(mutex);
    exchange.failure = exchange.abort;
  }
  if (exchange.failure) {
    finish(*transfer);
  } else {
    transfer->resume();
  }
}

void CurlLoop::Impl::collect() {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi.get(), &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    char* data = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &data);
    auto* transfer = reinterpret_cast<Transfer*>(data);
    transfer->conclude(message->data.result);
    finish(*transfer);
  }
}

void CurlLoop::Impl::watch() {
  const auto now = Clock::now();
  std::vector<Transfer*> expired;
  for (const auto& transfer : active) {
    transfer->observe(now);
    if (transfer->expired(now)) expired.push_back(transfer.get());
  }
  for (Transfer* transfer : expired) {
    transfer->conclude_expired();
    finish(*transfer);
  }
}

int CurlLoop::Impl::poll_timeout() const {
  const auto now = Clock::now();
  auto soonest = now + kLongPoll;
  for (const auto& transfer : active) {
    if (const auto look = transfer->next_look()) soonest = std::min(soonest, *look);
  }
  const auto wait = std::chrono::ceil<milliseconds>(soonest - now).count();
  return static_cast<int>(std::max<milliseconds::rep>(wait, 0));
}

// Removing a transfer that is not complete closes its connection: the server never sees its body's
// end.
void CurlLoop::Impl::finish(Transfer& transfer) {
  Exchange& exchange = transfer.exchange();
  curl_multi_remove_handle(multi.get(), transfer.easy());
  EasyPtr easy = transfer.release_handle();
  curl_easy_reset(easy.get());
  if (idle.size() < kIdleHandles) idle.push_back(std::move(easy));
  std::erase_if(active, [&](const auto& item) { return item.get() == &transfer; });
  report(exchange);
}

void CurlLoop::Impl::report(Exchange& exchange) {
  if (exchange.feed) exchange.feed->cancel();
  const std::lock_guard lock(mutex);
  std::erase(woken, &exchange);
  exchange.done = true;
  exchange.finished.notify_all();  // locked: the waiter may destroy the exchange as soon as it can
}

Transfer* CurlLoop::Impl::find(const Exchange& exchange) const {
  const auto found = std::find_if(active.begin(), active.end(), [&](const auto& transfer) {
    return &transfer->exchange() == &exchange;
  });
  return found == active.end() ? nullptr : found->get();
}

EasyPtr CurlLoop::Impl::acquire_handle() {
  if (!idle.empty()) {
    EasyPtr easy = std::move(idle.back());
    idle.pop_back();
    return easy;
  }
  EasyPtr easy(curl_easy_init());
  if (!easy) throw std::bad_alloc();
  set(easy.get(), CURLOPT_SHARE, sessions.get());  // stays through curl_easy_reset()
  return easy;
}

CurlLoop::CurlLoop(const Client::Options& options) : impl_(std::make_unique<Impl>(options)) {}
CurlLoop::~CurlLoop() = default;

const char* CurlLoop::default_ca_bundle() noexcept {
  const curl_version_info_data* info = curl_version_info(CURLVERSION_NOW);
  return info->age >= CURLVERSION_SEVENTH ? info->cainfo : nullptr;
}

void CurlLoop::submit(Exchange& exchange) {
  const std::lock_guard lock(impl_->mutex);
  impl_->start();
  impl_->submitted.push_back(&exchange);
  curl_multi_wakeup(impl_->multi.get());
}

void CurlLoop::wake(Exchange& exchange) {
  const std::lock_guard lock(impl_->mutex);
  impl_->notify(exchange);
}

void CurlLoop::abort(Exchange& exchange, std::exception_ptr reason) {
  const std::lock_guard lock(impl_->mutex);
  if (exchange.abort) return;
  exchange.abort = std::move(reason);
  impl_->notify(exchange);
}

void CurlLoop::wait(Exchange& exchange) {
  std::unique_lock lock(impl_->mutex);
  exchange.finished.wait(lock, [&] { return exchange.done; });
}

}  // namespace tug::http
