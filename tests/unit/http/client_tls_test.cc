#include "support/error_of.h"
#include "support/http_server.h"
#include "support/scoped_env.h"
#include "support/temp_dir.h"
#include "unit/http/client_fixture.h"

#include <doctest/doctest.h>

#include <atomic>
#include <functional>
#include <latch>
#include <memory>
#include <span>
#include <string>
#include <thread>

namespace tug::http {
namespace {

using namespace std::chrono_literals;
using test::error_of;
using test::HttpConnection;
using test::HttpRequest;
using test::HttpServer;
using test::make_certificate;
using test::TempDir;
using test::TestCertificate;

void answer_ok(const HttpRequest&, HttpConnection& connection) { connection.send({200, {}, "ok"}); }

HttpServer::Options with_tls(const TestCertificate& certificate,
                             const std::string& client_ca = {}) {
  HttpServer::Options options;
  options.tls = HttpServer::Tls{certificate, client_ca};
  return options;
}

Request tls_request(const HttpServer& server, TlsConfig config) {
  Request request = make_request(Method::get, server.url("/v2/"));
  request.tls = std::make_shared<const TlsConfig>(std::move(config));
  return request;
}

TlsConfig trusting(const std::string& ca_file) {
  TlsConfig config;
  config.ca_files.push_back(ca_file);
  return config;
}

TEST_CASE("a CA file makes its server trusted; so does the server's own certificate") {
  const TempDir dir;
  const TestCertificate ca = make_certificate({"test ca"}, nullptr, true);
  const TestCertificate signed_by_ca = make_certificate({"127.0.0.1", "reg.example"}, &ca);
  const TestCertificate self_signed = make_certificate({"127.0.0.1"});
  const std::string ca_file = dir.write("ca.crt", ca.certificate_pem);
  const std::string own_file = dir.write("own.crt", self_signed.certificate_pem);
  Client client({}, kNoLog);

  HttpServer first(answer_ok, with_tls(signed_by_ca));
  CHECK(client.send(tls_request(first, trusting(ca_file)), {}).body == "ok");
  HttpServer second(answer_ok, with_tls(self_signed));
  CHECK(client.send(tls_request(second, trusting(own_file)), {}).body == "ok");

  PatternSource source(3'000'000);
  Request upload = make_upload(Method::patch, first.url("/u"), source, 3'000'000);
  upload.tls = std::make_shared<const TlsConfig>(trusting(ca_file));
  CHECK(client.send(upload, {}).body_sent_completely);
  CHECK(first.requests().back().body == PatternSource::text(3'000'000));
  CHECK(first.connection_count() == 1);  // equal configurations share connections
}

TEST_CASE(
    "an untrusted server is a tls error that tells the CAs and the certificate's names (F02)") {
  const TempDir dir;
  const std::string other = dir.write("other.crt", make_certificate({"other"}).certificate_pem);
  const std::string empty = dir.write("empty.crt", "nothing\n");
  HttpServer server(answer_ok, with_tls(make_certificate({"127.0.0.1", "reg.internal"})));
  Client client({}, kNoLog);
  TlsConfig config = trusting(other);
  config.ca_files.push_back(empty);
  config.ca_files.push_back(dir.path() + "/gone.crt");
  const Error error = error_of([&] { (void)client.send(tls_request(server, config), {}); });
  CAPTURE(std::string(error.what()));
  CHECK(error.kind() == ErrorKind::tls);
  CHECK_FALSE(error.retryable());
  CHECK(says(error, "TLS: 127.0.0.1:"));
  CHECK(says(error, "is not trusted"));
  CHECK(says(error, "self-signed certificate"));
  CHECK(says(error, "127.0.0.1, reg.internal"));
  CHECK(says(error, other));
  CHECK(says(error, "empty.crt (no certificate in it)"));
  CHECK(says(error, "gone.crt (not found)"));
  CHECK(says(error, "certs.d"));
  CHECK(server.request_count() == 0);
}

TEST_CASE("a certificate for another name is refused, and the error says for which it is") {
  const TempDir dir;
  const TestCertificate certificate = make_certificate({"reg.internal", "10.0.0.1"});
  const std::string file = dir.write("ca.crt", certificate.certificate_pem);
  HttpServer server(answer_ok, with_tls(certificate));
  Client client({}, kNoLog);
  const Error error = error_of([&] { (void)client.send(tls_request(server, trusting(file)), {}); });
  CAPTURE(std::string(error.what()));
  CHECK(error.kind() == ErrorKind::tls);
  CHECK(says(error, "reg.internal, 10.0.0.1"));
  CHECK(server.request_count() == 0);
}

TEST_CASE("without verification anything goes, and trust is never shared between configurations") {
  const TempDir dir;
  const TestCertificate certificate = make_certificate({"127.0.0.1"});
  const std::string file = dir.write("ca.crt", certificate.certificate_pem);
  HttpServer server(answer_ok, with_tls(certificate));
  Client client({}, kNoLog);
  TlsConfig insecure;
  insecure.verify = false;
  CHECK(client.send(tls_request(server, insecure), {}).status == 200);
  // The connection of the insecure request is still open, and must not serve a verified one.
  CHECK(error_of([&] { (void)client.send(tls_request(server, {}), {}); }).kind() == ErrorKind::tls);
  CHECK(client.send(tls_request(server, trusting(file)), {}).status == 200);
  CHECK(error_of([&] { (void)client.send(tls_request(server, {}), {}); }).kind() == ErrorKind::tls);
  TlsConfig other = trusting(dir.write("other.crt", make_certificate({"x"}).certificate_pem));
  CHECK(error_of([&] { (void)client.send(tls_request(server, other), {}); }).kind() ==
        ErrorKind::tls);
  CHECK(client.send(tls_request(server, insecure), {}).status == 200);
  CHECK(server.request_count() == 3);
}

TEST_CASE("a further connection resumes the TLS session, of its own configuration alone") {
  const TempDir dir;
  const TestCertificate certificate = make_certificate({"127.0.0.1"});
  const std::string file = dir.write("ca.crt", certificate.certificate_pem);
  std::atomic<bool> held = true;
  const HttpServer::Handler handler = [&](const HttpRequest& request, HttpConnection& connection) {
    if (request.target == "/held") {
      connection.send_raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no");
      while (held && connection.alive()) connection.stall(1ms);
      connection.send_raw("k");
    } else {
      connection.send({200, {{"Connection", "close"}}, "ok"});
    }
  };
  HttpServer server(handler, with_tls(certificate));
  HttpServer other_server(handler, with_tls(certificate));
  Client client({}, kNoLog);

  // While this one is under way, others need connections of their own.
  class Sink : public BodySink {
   public:
    void begin(int, const Headers&) override {}
    bool take(std::span<const std::byte>) override {
      begun.count_down(begun.try_wait() ? 0 : 1);
      return true;
    }
    void when_room(std::function<void()>) override {}
    std::latch begun{1};
  } sink;
  Request first = tls_request(server, trusting(file));
  first.url = Url::parse(server.url("/held"));
  first.sink = &sink;
  std::jthread holder([&] { CHECK(client.send(first, {}).status == 200); });
  sink.begun.wait();
  CHECK(server.resumed_session_count() == 0);

  const auto get = [&](const HttpServer& from, const TlsConfig& config) {
    CHECK(client.send(tls_request(from, config), {}).body == "ok");
  };
  get(server, trusting(file));
  CHECK(server.resumed_session_count() == 1);
  get(server, trusting(file));
  CHECK(server.resumed_session_count() == 2);
  TlsConfig insecure;
  insecure.verify = false;
  get(server, insecure);
  get(other_server, trusting(file));
  CHECK(error_of([&] { (void)client.send(tls_request(server, {}), {}); }).kind() == ErrorKind::tls);
  CHECK(server.resumed_session_count() == 2);
  CHECK(other_server.resumed_session_count() == 0);
  held = false;
}

TEST_CASE("plain http on the https port is told apart (F03)") {
  HttpServer server(answer_ok);
  Client client({}, kNoLog);
  for (const bool verify : {true, false}) {
    TlsConfig config;
    config.verify = verify;
    Request request = make_request(Method::get, "https://" + server.authority() + "/v2/");
    request.tls = std::make_shared<const TlsConfig>(config);
    const Error error = error_of([&] { (void)client.send(request, {}); });
    CAPTURE(std::string(error.what()));
    CHECK(error.kind() == ErrorKind::tls);
    CHECK(says(error, "speaks plain HTTP"));
    CHECK(says(error, "--tls-verify=false") == verify);
  }
  CHECK(server.request_count() == 0);
}

TEST_CASE("plain http to an https port is no HTTP") {
  HttpServer server(answer_ok, with_tls(make_certificate({"127.0.0.1"})));
  Client client({}, kNoLog);
  const Error error = error_of([&] {
    (void)client.send(make_request(Method::get, "http://" + server.authority() + "/"), {});
  });
  CAPTURE(std::string(error.what()));
  CHECK((error.kind() == ErrorKind::protocol || error.kind() == ErrorKind::network));
}

TEST_CASE("a client certificate is offered; without it the server's refusal is a tls error") {
  const TempDir dir;
  const TestCertificate ca = make_certificate({"client ca"}, nullptr, true);
  const TestCertificate own = make_certificate({"someone"}, &ca);
  const TestCertificate server_certificate = make_certificate({"127.0.0.1"});
  HttpServer server(answer_ok, with_tls(server_certificate, ca.certificate_pem));
  Client client({}, kNoLog);
  TlsConfig config = trusting(dir.write("ca.crt", server_certificate.certificate_pem));
  const Error error = error_of([&] { (void)client.send(tls_request(server, config), {}); });
  CAPTURE(std::string(error.what()));
  CHECK(error.kind() == ErrorKind::tls);
  CHECK(says(error, "no client certificate was offered"));

  config.client_certificates.emplace_back(dir.write("client.cert", own.certificate_pem),
                                          dir.write("client.key", own.key_pem));
  CHECK(client.send(tls_request(server, config), {}).body == "ok");

  config.client_certificates.front().second = dir.write("bad.key", "no key\n");
  const Error bad = error_of([&] { (void)client.send(tls_request(server, config), {}); });
  CAPTURE(std::string(bad.what()));
  CHECK(bad.kind() == ErrorKind::tls);
}

TEST_CASE("SSL_CERT_FILE and SSL_CERT_DIR are the system's CAs") {
  const TempDir dir;
  const TestCertificate certificate = make_certificate({"127.0.0.1"});
  HttpServer server(answer_ok, with_tls(certificate));
  test::ScopedEnv environment;
  environment.set("SSL_CERT_DIR", std::nullopt);
  environment.set("SSL_CERT_FILE", dir.write("bundle.pem", certificate.certificate_pem));
  CHECK(Client({}, kNoLog).send(tls_request(server, {}), {}).status == 200);

  environment.set("SSL_CERT_FILE", dir.path() + "/nowhere.pem");
  CHECK(error_of([&] { (void)Client({}, kNoLog).send(tls_request(server, {}), {}); }).kind() ==
        ErrorKind::tls);
  // Files of any name count, beside those with hashed names; one that is no certificate does no
  // harm.
  dir.write("empty.pem", "nothing\n");
  for (const bool hashed : {false, true}) {
    if (hashed) dir.write("0123abcd.0", make_certificate({"x"}).certificate_pem);
    environment.set("SSL_CERT_DIR", dir.path());
    CHECK(Client({}, kNoLog).send(tls_request(server, {}), {}).status == 200);
  }
}

TEST_CASE("an early answer and an abort work over TLS too") {
  HttpServer server(
      [](const HttpRequest& request, HttpConnection& connection) {
        if (request.path() == "/whole") return answer_ok(request, connection);
        connection.read_body_part(500'000);
        connection.send_early({413, {}, "too large"});
        connection.drain();
      },
      with_tls(make_certificate({"127.0.0.1"})));
  TlsConfig insecure;
  insecure.verify = false;
  const auto tls = std::make_shared<const TlsConfig>(insecure);
  Client client({}, kNoLog);
  PatternSource large(30'000'000);
  Request request = make_upload(Method::patch, server.url("/u"), large, 30'000'000);
  request.tls = tls;
  const Response response = client.send(request, {});
  CHECK(response.status == 413);
  CHECK(response.body == "too large");
  CHECK_FALSE(response.body_sent_completely);

  PatternSource broken(3'000'000);
  request = make_upload(Method::patch, server.url("/whole"), broken, std::nullopt);
  request.tls = tls;
  request.body->before_last = [] { throw Error(ErrorKind::integrity, "digest differs"); };
  CHECK(error_of([&] { (void)client.send(request, {}); }).kind() == ErrorKind::integrity);
  CHECK(server.wait_idle(20s));
  for (const HttpRequest& seen : server.requests()) CHECK_FALSE(seen.body_complete);
}

}  // namespace
}  // namespace tug::http
