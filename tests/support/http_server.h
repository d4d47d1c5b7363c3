// A small HTTP/1.1 server for tests: 127.0.0.1, a port of the system's choice, raw sockets, a
// thread per connection, TLS if asked for.
//
// It does exactly what the handler says, wrong things included: answer early, stall, drip, reset,
// close without a word, read half a body. The handler runs on the connection's thread once per
// request, after the request's head was read and before its body was. When it returns without
// having sent or closed anything, the server closes the connection silently.
//
//   HttpServer server([](const HttpRequest& request, HttpConnection& connection) {
//     connection.read_body();
//     connection.send({201, {{"Location", "/x"}}, ""});
//   });
//   client.get(server.url("/v2/"));
//   CHECK(server.requests().size() == 1);
#ifndef TUG_TESTS_SUPPORT_HTTP_SERVER_H_
#define TUG_TESTS_SUPPORT_HTTP_SERVER_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tug::test {

using HeaderList = std::vector<std::pair<std::string, std::string>>;

// One request as it came in. The body_* members grow while the handler reads the body; requests()
// has their final state.
struct HttpRequest {
  std::string method;
  std::string target;  // the request target, byte for byte: "/v2/?a=b", or a proxy's "http://…"
  HeaderList headers;  // names as received
  std::string body;    // its first Options::kept_body_bytes bytes, without the chunk framing
  std::uint64_t body_size = 0;  // bytes received
  std::string body_sha256;      // hex, of the bytes received; set when the body's reading ended
  bool body_complete = false;   // Content-Length reached, or the last chunk seen
  int connection = 0;           // 0, 1, …: which connection brought it
  int index_on_connection = 0;  // 0 for its first request

  // The part of the target before '?', and after it ("" if none).
  [[nodiscard]] std::string path() const;
  [[nodiscard]] std::string query() const;
  // The value of a key in the query, percent-decoded.
  [[nodiscard]] std::optional<std::string> query_value(std::string_view key) const;
  // The first field of that name, without case.
  [[nodiscard]] std::optional<std::string> header(std::string_view name) const;
  [[nodiscard]] bool has_header(std::string_view name) const { return header(name).has_value(); }
  // What the head announces. Without a length and not chunked: 0.
  [[nodiscard]] std::optional<std::uint64_t> content_length() const;
  [[nodiscard]] bool chunked() const;
};

struct HttpResponse {
  int status = 200;
  HeaderList headers;
  std::string body;  // Content-Length is added unless `headers` has it or Transfer-Encoding. Not
                     // sent to HEAD, 204 and 304.
};

// What the handler can do with the connection that a request came by. Functions that write or read
// end quietly when the peer is gone: alive() then says so. The destructor of the server makes each
// of them return at once.
class HttpConnection {
 public:
  virtual ~HttpConnection() = default;

  // Reads the rest of the body, each piece into `sink` too. False when the peer broke off before
  // its end.
  virtual bool read_body(const std::function<void(std::string_view)>& sink = nullptr) = 0;
  // Reads at least `bytes` more of the body if there are so many (it may read up to one buffer more
  // from the socket, but no more of it is counted). False when the body or the connection ended
  // first.
  virtual bool read_body_part(std::uint64_t bytes) = 0;

  // Reads the rest of the body, answers, and keeps the connection open for the next request (unless
  // "Connection: close" is among the headers).
  virtual void send(const HttpResponse& response) = 0;
  // Answers at once, whatever of the body is still to come, and leaves the connection open; end
  // with drain(), reset() or close().
  virtual void send_early(const HttpResponse& response) = 0;
  // An interim response (100, 103).
  virtual void send_interim(int status, const HeaderList& headers = {}) = 0;
  // These bytes and nothing else. Afterwards the connection goes on to the next request; see
  // close().
  virtual void send_raw(std::string_view bytes) = 0;
  // One byte every `pause`.
  virtual void drip(std::string_view bytes, std::chrono::milliseconds pause) = 0;

  // Neither reads nor writes until `duration` is over, the server stops, or (without a duration)
  // the peer hangs up.
  virtual void stall(std::optional<std::chrono::milliseconds> duration = std::nullopt) = 0;
  // Reads and drops whatever comes until the peer hangs up.
  virtual void drain() = 0;
  // Ends with a RST (SO_LINGER 0), so that the peer may lose what it has not read.
  virtual void reset() = 0;
  // Ends with a FIN after what was sent. (As with any socket, the peer gets a RST if it goes on
  // sending.)
  virtual void close() = 0;
  // False once either side ended the connection, or the server is stopping.
  [[nodiscard]] virtual bool alive() const = 0;
};

// A certificate with its key, PEM.
struct TestCertificate {
  std::string certificate_pem;
  std::string key_pem;
};
// Self-signed, or signed by `issuer`. `names` are DNS names or IP addresses (subjectAltName).
// `is_ca`: may sign others.
TestCertificate make_certificate(const std::vector<std::string>& names,
                                 const TestCertificate* issuer = nullptr, bool is_ca = false);

class HttpServer {
 public:
  struct Tls {
    TestCertificate certificate;
    std::string client_ca_pem;  // not empty: a client certificate signed by this CA is required
  };
  struct Options {
    std::optional<Tls> tls;
    std::size_t kept_body_bytes = 16 << 20;  // of each body in HttpRequest::body
    bool keep_requests = true;  // false: requests() stays empty (throughput measurements)
    bool hash_bodies = true;    // false: body_sha256 stays empty
    int receive_buffer = 0;     // SO_RCVBUF; 0: the system's
  };
  using Handler = std::function<void(const HttpRequest&, HttpConnection&)>;

  explicit HttpServer(Handler handler);
  HttpServer(Handler handler, Options options);
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  // Ends every connection and joins every thread. The handler is not running afterwards.
  ~HttpServer();

  [[nodiscard]] std::uint16_t port() const noexcept;
  [[nodiscard]] std::string authority() const;  // "127.0.0.1:PORT"
  [[nodiscard]] std::string url(
      std::string_view target = "/") const;  // "http://127.0.0.1:PORT/", https with TLS

  // All requests whose head was read, in that order; those still being handled included.
  [[nodiscard]] std::vector<HttpRequest> requests() const;
  [[nodiscard]] std::size_t request_count() const;
  // Connections accepted so far (those that failed in the TLS handshake included).
  [[nodiscard]] std::size_t connection_count() const;
  // TLS handshakes that resumed an earlier connection's session.
  [[nodiscard]] std::size_t resumed_session_count() const;
  // Waits until no connection is open and no handler runs, or `limit` is over: then false.
  bool wait_idle(std::chrono::milliseconds limit) const;
  // What escaped from handlers (a failed CHECK is not an exception; std::exception::what()
  // otherwise).
  [[nodiscard]] std::vector<std::string> handler_errors() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tug::test

#endif  // TUG_TESTS_SUPPORT_HTTP_SERVER_H_
