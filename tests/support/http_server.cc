#include "support/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <list>
#include <mutex>
#include <stdexcept>
#include <thread>

namespace tug::test {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaxHead = 1 << 20;
constexpr std::size_t kBuffer = 256 << 10;

template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* pointer) const noexcept {
    Free(pointer);
  }
};
using SslContext = std::unique_ptr<SSL_CTX, Deleter<SSL_CTX_free>>;
using SslPtr = std::unique_ptr<SSL, Deleter<SSL_free>>;
using BioPtr = std::unique_ptr<BIO, Deleter<BIO_free_all>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using CertPtr = std::unique_ptr<X509, Deleter<X509_free>>;
using DigestPtr = std::unique_ptr<EVP_MD_CTX, Deleter<EVP_MD_CTX_free>>;

template <typename T>
T* check_ssl(T* pointer, const char* what) {
  if (pointer == nullptr) throw std::runtime_error(std::string("OpenSSL: ") + what);
  return pointer;
}
void check_ssl(int result, const char* what) {
  if (result <= 0) throw std::runtime_error(std::string("OpenSSL: ") + what);
}

BioPtr memory_bio(std::string_view text) {
  return BioPtr(check_ssl(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), "BIO"));
}
CertPtr load_certificate(std::string_view pem) {
  const BioPtr bio = memory_bio(pem);
  return CertPtr(check_ssl(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr), "certificate"));
}
KeyPtr load_key(std::string_view pem) {
  const BioPtr bio = memory_bio(pem);
  return KeyPtr(
      check_ssl(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr), "private key"));
}
std::string drain_bio(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return std::string(data, static_cast<std::size_t>(size));
}

SslContext make_context(const HttpServer::Tls& tls) {
  SslContext context(check_ssl(SSL_CTX_new(TLS_server_method()), "SSL_CTX"));
  check_ssl(SSL_CTX_use_certificate(context.get(),
                                    load_certificate(tls.certificate.certificate_pem).get()),
            "use certificate");
  check_ssl(SSL_CTX_use_PrivateKey(context.get(), load_key(tls.certificate.key_pem).get()),
            "use key");
  // Without it, OpenSSL refuses to resume sessions once client certificates are asked for.
  SSL_CTX_set_session_id_context(context.get(), reinterpret_cast<const unsigned char*>("tug"), 3);
  if (!tls.client_ca_pem.empty()) {
    const CertPtr ca = load_certificate(tls.client_ca_pem);
    check_ssl(X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), ca.get()), "client CA");
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  return context;
}

// A non-blocking socket with or without TLS, whose every wait ends when `stop_fd` becomes readable.
class Socket {
 public:
  Socket(int fd, int stop_fd, SSL_CTX* context) : fd_(fd), stop_fd_(stop_fd) {
    const int one = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (context == nullptr) return;
    ssl_.reset(check_ssl(SSL_new(context), "SSL"));
    check_ssl(SSL_set_fd(ssl_.get(), fd_), "SSL_set_fd");
    SSL_set_accept_state(ssl_.get());
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }

  // 0: the peer is gone, the deadline is over, or the server stops.
  std::size_t read_some(char* buffer, std::size_t size) {
    return transfer(
        [&] {
          return ssl_ ? SSL_read(ssl_.get(), buffer, static_cast<int>(size))
                      : static_cast<int>(::recv(fd_, buffer, size, 0));
        },
        POLLIN);
  }
  bool write_all(std::string_view bytes) {
    while (!bytes.empty()) {
      const std::size_t sent = transfer(
          [&] {
            return ssl_ ? SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()))
                        : static_cast<int>(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL));
          },
          POLLOUT);
      if (sent == 0) return false;
      bytes.remove_prefix(sent);
    }
    return true;
  }
  // True when the time is over; false earlier when the peer hung up or the server stops.
  bool wait_for_hangup(std::optional<milliseconds> duration) {
    return !wait(POLLRDHUP, duration ? std::optional(Clock::now() + *duration) : std::nullopt) &&
           !over_;
  }
  void reset() {
    const linger now{1, 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close_fd();
  }
  void close() {
    if (fd_ < 0) return;
    if (ssl_ && SSL_is_init_finished(ssl_.get())) SSL_shutdown(ssl_.get());
    ::shutdown(fd_, SHUT_WR);
    std::array<char, 4096> rest;  // unread bytes would turn the FIN into a RST
    while (::recv(fd_, rest.data(), rest.size(), MSG_DONTWAIT) > 0) {
    }
    close_fd();
  }
  [[nodiscard]] bool open() const { return fd_ >= 0 && !over_; }

 private:
  void close_fd() {
    ssl_.reset();
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  template <typename Call>
  std::size_t transfer(Call call, short events) {
    while (open()) {
      ERR_clear_error();
      const int result = call();
      if (result > 0) return static_cast<std::size_t>(result);
      short wanted = events;
      if (ssl_) {
        const int error = SSL_get_error(ssl_.get(), result);
        if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) break;
        wanted = error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
      } else if (result == 0 || (errno != EAGAIN && errno != EINTR)) {
        break;
      }
      wait(wanted, std::nullopt);
    }
    over_ = true;
    return 0;
  }
  // True when one of `events` (or a hangup) came; over_ is set when the server stops.
  bool wait(short events, std::optional<Clock::time_point> deadline) {
    while (open()) {
      std::array<pollfd, 2> fds{pollfd{fd_, events, 0}, pollfd{stop_fd_, POLLIN, 0}};
      int timeout = -1;
      if (deadline) {
        const auto left = std::chrono::ceil<milliseconds>(*deadline - Clock::now());
        timeout = static_cast<int>(std::max<milliseconds::rep>(0, left.count()));
      }
      const int count = ::poll(fds.data(), fds.size(), timeout);
      if (count == 0) return false;
      if (fds[1].revents != 0) over_ = true;
      if (count > 0 && fds[0].revents != 0) return true;
    }
    return false;
  }

  int fd_;
  int stop_fd_;
  SslPtr ssl_;
  bool over_ = false;
};

class BodyHash {
 public:
  BodyHash() : context_(EVP_MD_CTX_new()) {
    EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr);
  }
  void update(std::string_view bytes) {
    EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size());
  }
  [[nodiscard]] std::string hex() const {
    const DigestPtr copy(EVP_MD_CTX_new());
    std::array<unsigned char, EVP_MAX_MD_SIZE> raw;
    unsigned size = 0;
    EVP_MD_CTX_copy_ex(copy.get(), context_.get());
    EVP_DigestFinal_ex(copy.get(), raw.data(), &size);
    std::string text;
    for (unsigned i = 0; i < size; ++i) {
      text += "0123456789abcdef"[raw[i] >> 4];
      text += "0123456789abcdef"[raw[i] & 15];
    }
    return text;
  }

 private:
  DigestPtr context_;
};

const char* reason(int status) {
  switch (status) {
    case 100:
      return "Continue";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 401:
      return "Unauthorized";
    case 404:
      return "Not Found";
    case 429:
      return "Too Many Requests";
    default:
      return "Status";
  }
}

bool has_field(const HeaderList& headers, const char* name) {
  return std::any_of(headers.begin(), headers.end(),
                     [&](const auto& field) { return strcasecmp(field.first.c_str(), name) == 0; });
}

std::string render_head(int status, const HeaderList& headers) {
  std::string text = "HTTP/1.1 " + std::to_string(status) + " " + reason(status) + "\r\n";
  for (const auto& [name, value] : headers) text += name + ": " + value + "\r\n";
  return text;
}

std::string render(const HttpResponse& response, bool to_head) {
  std::string text = render_head(response.status, response.headers);
  const bool no_body = response.status == 204 || response.status == 304 || response.status < 200;
  if (!no_body && !has_field(response.headers, "Content-Length") &&
      !has_field(response.headers, "Transfer-Encoding")) {
    text += "Content-Length: " + std::to_string(response.body.size()) + "\r\n";
  }
  text += "\r\n";
  if (!no_body && !to_head) text += response.body;
  return text;
}

std::string trimmed(std::string text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  while (!text.empty() && blank(text.back())) text.pop_back();
  text.erase(text.begin(), std::find_if_not(text.begin(), text.end(), blank));
  return text;
}

// "GET /x HTTP/1.1\r\nName: value\r\n…"; false when the request line has not two spaces.
bool parse_head(std::string_view head, HttpRequest& request) {
  const std::size_t line_end = head.find("\r\n");
  const std::string_view line = head.substr(0, line_end);
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || last == first) return false;
  request.method = line.substr(0, first);
  request.target = line.substr(first + 1, last - first - 1);
  for (std::size_t at = line_end + 2; at < head.size();) {
    const std::size_t end = std::min(head.find("\r\n", at), head.size());
    const std::string_view field = head.substr(at, end - at);
    const std::size_t colon = field.find(':');
    if (colon != std::string_view::npos) {
      request.headers.emplace_back(field.substr(0, colon),
                                   trimmed(std::string(field.substr(colon + 1))));
    }
    at = end + 2;
  }
  return true;
}

class Connection final : public HttpConnection {
 public:
  using Publish = std::function<void(const HttpRequest&)>;
  Connection(Socket& socket, const HttpServer::Options& options)
      : socket_(socket), options_(options) {
    buffer_.resize(kBuffer);
  }

  // Reads the next request's head. False when the connection ended.
  bool next_request(HttpRequest request) {
    if (!alive() || !finish_body()) return false;
    std::string head;
    for (;;) {
      const std::string_view have(buffer_.data() + begin_, end_ - begin_);
      const std::size_t old = head.size();
      head.append(have);
      const std::size_t end = head.find("\r\n\r\n", old < 3 ? 0 : old - 3);
      if (end != std::string::npos) {
        begin_ += end + 4 - old;
        head.resize(end + 2);
        break;
      }
      begin_ = end_ = 0;
      if (head.size() > kMaxHead || !fill()) return false;
      if (head.empty() && !is_http(buffer_[begin_])) return refuse_garbage();
    }
    if (!parse_head(head, request)) return false;
    start(std::move(request));
    return true;
  }
  [[nodiscard]] const HttpRequest& request() const { return request_; }
  [[nodiscard]] bool acted() const { return acted_; }
  [[nodiscard]] bool wants_close() const { return close_after_; }
  void set_publish(Publish publish) { publish_ = std::move(publish); }
  void finish_request() {
    if (!published_) publish();
  }

  bool read_body(const std::function<void(std::string_view)>& sink) override {
    for (std::string_view piece = pull(UINT64_MAX); !piece.empty(); piece = pull(UINT64_MAX)) {
      if (sink) sink(piece);
    }
    publish();
    return request_.body_complete;
  }
  bool read_body_part(std::uint64_t bytes) override {
    while (bytes > 0) {
      const std::string_view piece = pull(bytes);
      if (piece.empty()) break;
      bytes -= piece.size();
    }
    publish();
    return bytes == 0;
  }
  void send(const HttpResponse& response) override {
    if (!request_.body_complete) read_body(nullptr);
    send_early(response);
  }
  void send_early(const HttpResponse& response) override {
    acted_ = true;
    for (const auto& [name, value] : response.headers) {
      if (strcasecmp(name.c_str(), "Connection") == 0 && strcasecmp(value.c_str(), "close") == 0) {
        close_after_ = true;
      }
    }
    write(render(response, request_.method == "HEAD"));
  }
  void send_interim(int status, const HeaderList& headers) override {
    write(render_head(status, headers) + "\r\n");
  }
  void send_raw(std::string_view bytes) override {
    acted_ = true;
    write(bytes);
  }
  void drip(std::string_view bytes, milliseconds pause) override {
    acted_ = true;
    publish();
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      if (!socket_.write_all(bytes.substr(i, 1)) || !socket_.wait_for_hangup(pause)) return;
    }
  }
  void stall(std::optional<milliseconds> duration) override { socket_.wait_for_hangup(duration); }
  void drain() override {
    acted_ = true;
    begin_ = end_ = 0;
    while (socket_.read_some(buffer_.data(), buffer_.size()) > 0) {
    }
  }
  void reset() override {
    acted_ = true;
    publish();
    socket_.reset();
  }
  void close() override {
    acted_ = true;
    publish();
    socket_.close();
  }
  [[nodiscard]] bool alive() const override { return socket_.open(); }

 private:
  void start(HttpRequest request) {
    request_ = std::move(request);
    hash_ = BodyHash();
    chunked_ = request_.chunked();
    left_ = chunked_ ? 0 : request_.content_length().value_or(0);
    request_.body_complete = !chunked_ && left_ == 0;
    acted_ = close_after_ = published_ = false;
  }
  // What an early answer left of the body is not the next request.
  bool finish_body() {
    return request_.method.empty() || request_.body_complete || read_body(nullptr);
  }

  static bool is_http(char first) { return (first >= 'A' && first <= 'Z') || first == '\r'; }
  // What a server does that gets a TLS handshake on its plain HTTP port.
  bool refuse_garbage() {
    socket_.write_all("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    return false;
  }
  bool fill() {
    if (begin_ < end_) return true;
    begin_ = 0;
    end_ = socket_.read_some(buffer_.data(), buffer_.size());
    return end_ > 0;
  }
  std::optional<std::string> read_line() {
    std::string line;
    while (line.size() < kMaxHead && fill()) {
      const char c = buffer_[begin_++];
      if (c == '\n') return trimmed(line);
      line += c;
    }
    return std::nullopt;
  }
  // Reads the line before a chunk; false at the end of the body (then complete) or of the
  // connection.
  bool next_chunk() {
    if (request_.body_size > 0 && !read_line()) return false;  // the CRLF after the last chunk
    const auto line = read_line();
    if (!line) return false;
    left_ = std::strtoull(line->c_str(), nullptr, 16);
    if (left_ > 0) return true;
    for (auto trailer = read_line(); trailer; trailer = read_line()) {
      if (trailer->empty()) {
        request_.body_complete = true;
        break;
      }
    }
    return false;
  }
  // Some more of the body, valid until the next call; empty at its end.
  std::string_view pull(std::uint64_t max) {
    if (request_.body_complete || (left_ == 0 && chunked_ && !next_chunk()) || !fill()) return {};
    const std::size_t size =
        static_cast<std::size_t>(std::min<std::uint64_t>({left_, max, end_ - begin_}));
    const std::string_view piece(buffer_.data() + begin_, size);
    begin_ += size;
    left_ -= size;
    account(piece);
    return piece;
  }
  void account(std::string_view piece) {
    request_.body_size += piece.size();
    if (request_.body.size() < options_.kept_body_bytes) {
      request_.body.append(piece.substr(0, options_.kept_body_bytes - request_.body.size()));
    }
    if (options_.hash_bodies) hash_.update(piece);
    if (!chunked_ && left_ == 0) request_.body_complete = true;
  }
  void publish() {
    if (options_.hash_bodies) request_.body_sha256 = hash_.hex();
    if (publish_) publish_(request_);
    published_ = true;
  }
  // The record must be final before the client can know of the answer.
  void write(std::string_view bytes) {
    if (!published_) publish();
    socket_.write_all(bytes);
  }

  Socket& socket_;
  const HttpServer::Options& options_;
  Publish publish_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  HttpRequest request_;
  BodyHash hash_;
  bool chunked_ = false;
  std::uint64_t left_ = 0;  // of the body, or of its current chunk
  bool acted_ = false;
  bool close_after_ = false;
  bool published_ = false;
};

int listen_on_loopback(std::uint16_t& port, int receive_buffer) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) throw std::runtime_error("socket");
  if (receive_buffer > 0) {
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  }
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(fd, generic, size) != 0 || ::listen(fd, 128) != 0 ||
      ::getsockname(fd, generic, &size) != 0) {
    ::close(fd);
    throw std::runtime_error("bind or listen");
  }
  port = ntohs(address.sin_port);
  return fd;
}

void add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const std::unique_ptr<X509_EXTENSION, Deleter<X509_EXTENSION_free>> extension(
      check_ssl(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()), "extension"));
  check_ssl(X509_add_ext(certificate, extension.get(), -1), "add extension");
}

std::string alternative_names(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) {
    in6_addr ignored;
    const bool ip = inet_pton(AF_INET, name.c_str(), &ignored) == 1 ||
                    inet_pton(AF_INET6, name.c_str(), &ignored) == 1;
    text += (text.empty() ? "" : ",") + std::string(ip ? "IP:" : "DNS:") + name;
  }
  return text;
}

}  // namespace

std::string HttpRequest::path() const {
  // A proxy's clients give the whole URL (RFC 9112 3.2.2).
  const std::size_t start = target.starts_with("http://") ? target.find('/', 7) : 0;
  const std::size_t end = target.find('?');
  return start == std::string::npos || start > end ? "/" : target.substr(start, end - start);
}

std::string HttpRequest::query() const {
  const std::size_t mark = target.find('?');
  return mark == std::string::npos ? "" : target.substr(mark + 1);
}

namespace {
std::string percent_decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      out +=
          static_cast<char>(std::strtol(std::string(text.substr(i + 1, 2)).c_str(), nullptr, 16));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}
}  // namespace

std::optional<std::string> HttpRequest::query_value(std::string_view key) const {
  const std::string all = query();
  std::string_view rest = all;
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    const std::size_t equals = pair.find('=');
    if (percent_decode(pair.substr(0, equals)) != key) continue;
    return equals == std::string_view::npos ? "" : percent_decode(pair.substr(equals + 1));
  }
  return std::nullopt;
}

std::optional<std::string> HttpRequest::header(std::string_view name) const {
  for (const auto& [have, value] : headers) {
    if (have.size() == name.size() && strncasecmp(have.data(), name.data(), name.size()) == 0) {
      return value;
    }
  }
  return std::nullopt;
}

std::optional<std::uint64_t> HttpRequest::content_length() const {
  const auto value = header("Content-Length");
  return value ? std::optional<std::uint64_t>(std::strtoull(value->c_str(), nullptr, 10))
               : std::nullopt;
}

bool HttpRequest::chunked() const {
  const auto value = header("Transfer-Encoding");
  return value && strcasecmp(value->c_str(), "chunked") == 0;
}

TestCertificate make_certificate(const std::vector<std::string>& names,
                                 const TestCertificate* issuer, bool is_ca) {
  static std::atomic<long> serial{1000};
  const KeyPtr key(check_ssl(EVP_EC_gen("P-256"), "key"));
  const CertPtr certificate(check_ssl(X509_new(), "X509"));
  X509_set_version(certificate.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), serial++);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 24 * 3600);
  X509_set_pubkey(certificate.get(), key.get());
  const std::string common_name = names.empty() ? "tug test" : names.front();
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1,
                             0);
  const CertPtr issuer_certificate = issuer ? load_certificate(issuer->certificate_pem) : nullptr;
  const KeyPtr issuer_key = issuer ? load_key(issuer->key_pem) : nullptr;
  X509* signer = issuer ? issuer_certificate.get() : certificate.get();
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(signer));
  add_extension(certificate.get(), signer, NID_basic_constraints,
                is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
  if (!names.empty()) {
    add_extension(certificate.get(), signer, NID_subject_alt_name, alternative_names(names));
  }
  check_ssl(X509_sign(certificate.get(), issuer ? issuer_key.get() : key.get(), EVP_sha256()),
            "sign");

  const BioPtr certificate_out(BIO_new(BIO_s_mem()));
  const BioPtr key_out(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(certificate_out.get(), certificate.get());
  PEM_write_bio_PrivateKey(key_out.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  return {drain_bio(certificate_out.get()), drain_bio(key_out.get())};
}

struct HttpServer::Impl {
  struct Worker {
    std::thread thread;
    std::atomic<bool> done{false};
  };

  Impl(Handler handler_in, Options options_in)
      : handler(std::move(handler_in)), options(std::move(options_in)) {
    if (options.tls) context = make_context(*options.tls);
    listener = listen_on_loopback(port, options.receive_buffer);
    stop_fd = ::eventfd(0, EFD_CLOEXEC);
    acceptor = std::thread([this] { accept_loop(); });
  }
  ~Impl() {
    const std::uint64_t one = 1;
    (void)!::write(stop_fd, &one, sizeof one);  // never read: every poll sees it from now on
    acceptor.join();
    for (Worker& worker : workers) worker.thread.join();
    ::close(listener);
    ::close(stop_fd);
  }

  void accept_loop() {
    for (;;) {
      std::array<pollfd, 2> fds{pollfd{listener, POLLIN, 0}, pollfd{stop_fd, POLLIN, 0}};
      if (::poll(fds.data(), fds.size(), -1) < 0) continue;
      if (fds[1].revents != 0) return;
      const int fd = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) continue;
      workers.remove_if([](Worker& worker) {
        if (!worker.done) return false;
        worker.thread.join();
        return true;
      });
      begin_worker(fd);
    }
  }
  void begin_worker(int fd) {
    int index = 0;
    {
      const std::lock_guard lock(mutex);
      index = static_cast<int>(connections++);
      ++open;
    }
    Worker& worker = workers.emplace_back();
    worker.thread = std::thread([this, &worker, fd, index] {
      // SSL_write() has no MSG_NOSIGNAL; blocked, the signal stays with this thread and dies with
      // it.
      sigset_t pipe_signal;
      sigemptyset(&pipe_signal);
      sigaddset(&pipe_signal, SIGPIPE);
      pthread_sigmask(SIG_BLOCK, &pipe_signal, nullptr);
      try {
        serve(fd, index);
      } catch (const std::exception& error) {
        const std::lock_guard lock(mutex);
        errors.emplace_back(error.what());
      }
      {
        const std::lock_guard lock(mutex);
        --open;
        idle.notify_all();
      }
      worker.done = true;
    });
  }
  void serve(int fd, int index) {
    Socket socket(fd, stop_fd, context.get());
    Connection connection(socket, options);
    for (int count = 0;; ++count) {
      HttpRequest blank;
      blank.connection = index;
      blank.index_on_connection = count;
      if (!connection.next_request(std::move(blank))) break;
      const std::size_t slot = record(connection.request());
      connection.set_publish([this, slot](const HttpRequest& request) { update(slot, request); });
      handler(connection.request(), connection);
      connection.finish_request();
      if (!connection.acted() || connection.wants_close()) break;
    }
    socket.close();
  }
  std::size_t record(const HttpRequest& request) {
    const std::lock_guard lock(mutex);
    ++request_total;
    if (!options.keep_requests) return 0;
    requests.push_back(request);
    return requests.size() - 1;
  }
  void update(std::size_t slot, const HttpRequest& request) {
    const std::lock_guard lock(mutex);
    if (options.keep_requests) requests[slot] = request;
  }

  Handler handler;
  Options options;
  SslContext context;
  std::uint16_t port = 0;
  int listener = -1;
  int stop_fd = -1;
  std::thread acceptor;
  std::list<Worker> workers;  // of the acceptor's thread
  mutable std::mutex mutex;
  mutable std::condition_variable idle;
  std::vector<HttpRequest> requests;
  std::vector<std::string> errors;
  std::size_t request_total = 0;
  std::size_t connections = 0;
  std::size_t open = 0;
};

HttpServer::HttpServer(Handler handler) : HttpServer(std::move(handler), Options{}) {}
HttpServer::HttpServer(Handler handler, Options options)
    : impl_(std::make_unique<Impl>(std::move(handler), std::move(options))) {}
HttpServer::~HttpServer() = default;

std::uint16_t HttpServer::port() const noexcept { return impl_->port; }
std::string HttpServer::authority() const { return "127.0.0.1:" + std::to_string(impl_->port); }
std::string HttpServer::url(std::string_view target) const {
  return (impl_->context ? "https://" : "http://") + authority() + std::string(target);
}
std::vector<HttpRequest> HttpServer::requests() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->requests;
}
std::size_t HttpServer::request_count() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->request_total;
}
std::size_t HttpServer::connection_count() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->connections;
}
std::size_t HttpServer::resumed_session_count() const {
  return impl_->context ? static_cast<std::size_t>(SSL_CTX_sess_hits(impl_->context.get())) : 0;
}
bool HttpServer::wait_idle(milliseconds limit) const {
  std::unique_lock lock(impl_->mutex);
  return impl_->idle.wait_for(lock, limit, [this] { return impl_->open == 0; });
}
std::vector<std::string> HttpServer::handler_errors() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->errors;
}

}  // namespace tug::test
