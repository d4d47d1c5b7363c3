#include "registry/host.h"

#include "base/fd.h"
#include "base/strings.h"
#include "registry/redirects.h"
#include "registry/token_service.h"
#include "registry/upload_session.h"
#include "registry/warnings.h"
#include "stream/file_source.h"
#include "support/error_of.h"
#include "support/http_server.h"
#include "support/temp_dir.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

using namespace tug;
using namespace tug::registry;
using std::chrono::milliseconds;
using test::check_error;
using test::error_of;
using test::HttpRequest;
using test::HttpResponse;
using test::HttpServer;

namespace {

// ---- servers -----------------------------------------------------------------------------------

const test::TestCertificate& ca() {
  static const test::TestCertificate certificate =
      test::make_certificate({"a test's CA"}, nullptr, true);
  return certificate;
}

HttpServer::Options options(bool tls) {
  static const test::TestCertificate leaf =
      test::make_certificate({"127.0.0.1", "localhost"}, &ca());
  HttpServer::Options options;
  if (tls) options.tls = HttpServer::Tls{leaf, ""};
  return options;
}

// Answers what its function says, and tells what it saw.
class Server {
 public:
  using Answer = std::function<HttpResponse(const HttpRequest&)>;
  explicit Server(Answer answer, bool tls = true)
      : answer_(std::move(answer)),
        server_(
            [this](const HttpRequest& request, test::HttpConnection& connection) {
              connection.read_body();
              HttpResponse response;
              {
                const std::lock_guard lock(mutex_);
                response = answer_(request);
              }
              connection.send(response);
            },
            options(tls)) {}
  void answer(Answer answer) {
    const std::lock_guard lock(mutex_);
    answer_ = std::move(answer);
  }
  // "GET /v2/ -", "GET /token Basic", "PUT /v2/a Bearer t1".
  [[nodiscard]] std::vector<std::string> seen() const {
    std::vector<std::string> lines;
    for (const HttpRequest& request : server_.requests()) {
      std::string authorization = request.header("Authorization").value_or("-");
      if (authorization.starts_with("Basic ")) authorization = "Basic";
      lines.push_back(request.method + " " + request.path() + " " + authorization);
    }
    return lines;
  }
  [[nodiscard]] std::size_t count(std::string_view prefix) const {
    std::size_t n = 0;
    for (const std::string& line : seen()) n += line.starts_with(prefix) ? 1U : 0U;
    return n;
  }
  [[nodiscard]] const HttpServer& http() const { return server_; }
  [[nodiscard]] std::string url(std::string_view target) const { return server_.url(target); }
  [[nodiscard]] RegistryReference reference(const std::string& name = "team/app:1") const {
    return RegistryReference::parse(server_.authority() + "/" + name);
  }

 private:
  std::mutex mutex_;
  Answer answer_;
  HttpServer server_;
};

HttpResponse challenge(const std::string& text) { return {401, {{"WWW-Authenticate", text}}, ""}; }

// A registry with Bearer authentication, the token service at its /token. Accepts the tokens in
// `valid`.
struct BearerRegistry {
  explicit BearerRegistry(bool tls = true)
      : server([this](const HttpRequest& r) { return answer(r); }, tls) {}

  HttpResponse answer(const HttpRequest& request) {
    if (request.path() == "/token") return token ? token(request) : issue(request);
    const std::string authorization = request.header("Authorization").value_or("");
    const bool good =
        authorization.starts_with("Bearer ") && valid.contains(authorization.substr(7));
    if (good && work) return work(request);
    if (good) return {200, {}, "ok"};
    if (request.path() == "/v2/" || to_strangers == 0) return demand();
    return {to_strangers, {}, ""};
  }
  HttpResponse issue(const HttpRequest&) {
    const std::string name = "t" + std::to_string(++issued);
    valid.insert(name);
    return {
        200, {}, R"({"token":")" + name + R"(","expires_in":)" + std::to_string(lifetime) + "}"};
  }
  HttpResponse demand() const {
    return challenge("Bearer realm=\"" + (realm.empty() ? server.url("/token") : realm) +
                     "\",service=\"the service\"" +
                     (scope.empty() ? "" : ",scope=\"" + scope + "\""));
  }

  std::set<std::string> valid;
  int issued = 0;
  int lifetime = 300;
  int to_strangers = 0;  // what all but the ping says without a token; 0: the challenge
  std::string realm, scope;
  Server::Answer token, work;
  Server server;
};

// A TLS port in trouble. It says `last_words` to a TLS greeting and hangs up, with a RST if it has
// none; to plain HTTP it says what nginx says there.
class TroubledTlsPort {
 public:
  explicit TroubledTlsPort(std::string last_words) : last_words_(std::move(last_words)) {
    REQUIRE(::listen(listener_.get(), 16) == 0);  // not bound: at a free port
    acceptor_ = std::jthread([this] {
      for (;;) {
        const UniqueFd peer(::accept(listener_.get(), nullptr, nullptr));
        if (!peer) return;
        serve(peer.get());
      }
    });
  }
  ~TroubledTlsPort() { ::shutdown(listener_.get(), SHUT_RDWR); }
  [[nodiscard]] RegistryReference reference() const {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    return RegistryReference::parse("127.0.0.1:" + std::to_string(ntohs(address.sin_port)) + "/a");
  }
  [[nodiscard]] int greetings() const { return greetings_; }

 private:
  void serve(int peer) {
    constexpr char kHandshake = 0x16;
    std::array<char, 16'384> bytes{};
    const bool tls = ::recv(peer, bytes.data(), bytes.size(), 0) > 0 && bytes.front() == kHandshake;
    greetings_ += tls ? 1 : 0;
    const std::string words =
        tls ? last_words_ : "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
    ::send(peer, words.data(), words.size(), MSG_NOSIGNAL);
    const linger abort{1, 0};
    if (words.empty()) ::setsockopt(peer, SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
  }

  const std::string last_words_;
  const UniqueFd listener_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  std::atomic<int> greetings_{0};
  std::jthread acceptor_;
};

// ---- the program's side
// --------------------------------------------------------------------------

struct World {
  World() {
    dir.write("ca.crt", ca().certificate_pem);
    access.cert_dir = dir.path();
    access.anonymous = true;
  }
  Environment environment() {
    Timing timing;
    timing.now = [this] {
      return std::chrono::steady_clock::time_point(std::chrono::hours(1) + milliseconds(elapsed));
    };
    timing.sleep = [this](milliseconds duration, const std::stop_token&) {
      const std::lock_guard lock(mutex);
      sleeps.push_back(duration);
      elapsed += duration.count();
    };
    timing.jitter = [] { return 0.5; };
    return {client,
            conf,
            retry,
            log,
            [this](std::string_view text) {
              const std::lock_guard lock(mutex);
              notes.emplace_back(text);
            },
            timing};
  }
  void login(const std::string& user = "me", const std::string& password = "s3cret") {
    access.anonymous = false;
    access.credentials = std::pair{user, Secret(password)};
  }
  milliseconds slept() {
    milliseconds sum{0};
    for (const milliseconds one : sleeps) sum += one;
    return sum;
  }

  test::TempDir dir;
  std::mutex mutex;
  std::vector<std::string> lines, notes;
  std::vector<milliseconds> sleeps;
  std::atomic<std::int64_t> elapsed{0};
  Log log{[this](std::string_view line) {
    const std::lock_guard lock(mutex);
    lines.emplace_back(line);
  }};
  http::Client client{{}, log};
  RegistriesConf conf;
  RetryPolicy retry;
  RegistryAccess access;
};

const std::string kPath = "/v2/team/app/manifests/1";
const std::vector<std::string> kScopes{"repository:team/app:pull,push"};

Call get(std::string path = kPath) {
  Call call;
  call.path = std::move(path);
  call.scopes = kScopes;
  return call;
}
Call send(http::Method method, std::string body, std::string path = "/v2/team/app/x") {
  Call call = get(std::move(path));
  call.method = method;
  call.small_body = std::move(body);
  return call;
}
bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}
using Lines = std::vector<std::string>;

}  // namespace

// ---- the first question (1.2, 1.3)
// -----------------------------------------------------------------

TEST_CASE("the first read carries the question, and no ping is sent") {
  World world;
  Server server([](const HttpRequest&) { return HttpResponse{200, {}, "hello"}; });
  Host host(world.environment(), server.reference(), world.access);
  const Answer answer = host.call(get(), {});
  CHECK(answer.response.body == "hello");
  CHECK(answer.url.str() == server.url(kPath));
  CHECK(server.seen() == Lines{"GET " + kPath + " -"});
  CHECK(host.describe_credential() == "no credentials were asked for");
}

TEST_CASE("a first write is preceded by a ping") {
  World world;
  world.login();
  BearerRegistry registry;
  Host host(world.environment(), registry.server.reference(), world.access);
  CHECK(host.call(send(http::Method::put, "body"), {}).response.status == 200);
  CHECK(registry.server.seen() ==
        Lines{"GET /v2/ -", "GET /token Basic", "PUT /v2/team/app/x Bearer t1"});
}

TEST_CASE("a challenged read fetches a token and is repeated") {
  World world;
  world.login();
  BearerRegistry registry;
  Host host(world.environment(), registry.server.reference(), world.access);
  CHECK(host.call(get(), {}).response.body == "ok");
  CHECK(registry.server.seen() ==
        Lines{"GET " + kPath + " -", "GET /token Basic", "GET " + kPath + " Bearer t1"});
  const HttpRequest token = registry.server.http().requests()[1];
  CHECK(token.query_value("service") == "the service");
  CHECK(token.query_value("scope") == "repository:team/app:pull,push");
  CHECK(token.query_value("account") == "me");
  CHECK(token.query_value("client_id") == "tug");
  CHECK(token.header("Authorization") == "Basic " + base64_encode("me:s3cret"));
  CHECK(host.call(get(), {}).response.body == "ok");
  CHECK(registry.server.seen().back() == "GET " + kPath + " Bearer t1");
  CHECK(registry.issued == 1);
  CHECK(host.describe_credential() == "user me from the command line");
}

TEST_CASE("an anonymous token is fetched without Authorization") {
  World world;
  BearerRegistry registry;
  Host host(world.environment(), registry.server.reference(), world.access);
  CHECK(host.call(get(), {}).response.status == 200);
  CHECK(registry.server.seen()[1] == "GET /token -");
  CHECK(!registry.server.http().requests()[1].query_value("account"));
}

TEST_CASE("F25: a 401 without a challenge falls back to that of the ping") {
  World world;
  world.login();
  BearerRegistry registry;
  registry.to_strangers = 401;
  Host host(world.environment(), registry.server.reference(), world.access);
  CHECK(host.call(get(), {}).response.status == 200);
  CHECK(registry.server.seen() == Lines{"GET " + kPath + " -", "GET /v2/ -", "GET /token Basic",
                                        "GET " + kPath + " Bearer t1"});
}

TEST_CASE("a registry that hides what is private from strangers is asked again with credentials") {
  for (const int status : {403, 404}) {
    CAPTURE(status);
    World world;
    world.login();
    BearerRegistry registry;
    registry.to_strangers = status;
    Host host(world.environment(), registry.server.reference(), world.access);
    CHECK(host.call(get(), {}).response.body == "ok");
    Call head = get("/v2/team/app/blobs/x");
    head.method = http::Method::head;
    CHECK(host.call(head, {}).response.status == 200);
    CHECK(registry.server.seen() == Lines{"GET " + kPath + " -", "GET /v2/ -", "GET /token Basic",
                                          "GET " + kPath + " Bearer t1",
                                          "HEAD /v2/team/app/blobs/x Bearer t1"});
  }
}

TEST_CASE("a tag that is not there yet costs at most one ping") {
  struct Case {
    bool anonymous;
    HttpResponse ping;
    Lines pings;
  };
  for (const Case& c : {Case{false, {200, {}, "{}"}, {"GET /v2/ -"}},
                        Case{false, {404, {}, "no registry's root"}, {"GET /v2/ -"}},
                        Case{false, challenge("Negotiate"), {"GET /v2/ -"}},
                        Case{true, challenge("Basic realm=x"), {}}}) {
    CAPTURE(c.anonymous);
    CAPTURE(c.ping.status);
    World world;
    if (!c.anonymous) world.login();
    Server server([&](const HttpRequest& request) {
      if (request.path() == "/v2/") return c.ping;
      return HttpResponse{404, {}, R"({"errors":[{"code":"MANIFEST_UNKNOWN"}]})"};
    });
    Host host(world.environment(), server.reference(), world.access);
    Lines expected{"GET " + kPath + " -"};
    expected.insert(expected.end(), c.pings.begin(), c.pings.end());
    expected.push_back("GET " + kPath + " -");
    CHECK(contains(host.call(get(), {}).response.body, "MANIFEST_UNKNOWN"));
    CHECK(host.call(get(), {}).response.status == 404);
    CHECK(server.seen() == expected);
  }
}

TEST_CASE("F03: with verification on, plain http is never spoken") {
  World world;
  world.login();
  Server server([](const HttpRequest&) { return HttpResponse{}; }, false);
  Host host(world.environment(), server.reference(), world.access);
  const Error error = error_of([&] { host.call(get(), {}); });
  CHECK((error.kind() == ErrorKind::tls || error.kind() == ErrorKind::network));
  CHECK(server.http().request_count() == 0);
}

TEST_CASE("F02: an unknown CA is a TLS error, tried once, with a hint") {
  World world;
  world.access.cert_dir = std::nullopt;
  Server server([](const HttpRequest&) { return HttpResponse{}; });
  Host host(world.environment(), server.reference(), world.access);
  const Error error = error_of([&] { host.call(get(), {}); });
  CHECK(error.kind() == ErrorKind::tls);
  CHECK(!error.hint().empty());
  CHECK(server.http().connection_count() == 1);
}

TEST_CASE("without verification https is tried first, then http, and no credential before that") {
  World world;
  world.login();
  world.access.cert_dir = std::nullopt;
  world.access.tls_verify = false;
  SUBCASE("plain http") {
    BearerRegistry registry(false);
    Host host(world.environment(), registry.server.reference(), world.access);
    CHECK(host.call(get(), {}).response.status == 200);
    CHECK(registry.server.seen() ==
          Lines{"GET " + kPath + " -", "GET /token Basic", "GET " + kPath + " Bearer t1"});
  }
  SUBCASE("https with any certificate") {
    BearerRegistry registry(true);
    Host host(world.environment(), registry.server.reference(), world.access);
    CHECK(host.call(get(), {}).url.origin().scheme == "https");
    CHECK(registry.server.seen()[0] == "GET " + kPath + " -");
  }
  SUBCASE("registries.conf may say it, the flag overrules it") {
    BearerRegistry registry(false);
    world.conf.merge(
        "[[registry]]\nlocation=\"" + registry.server.http().authority() + "\"\ninsecure=true\n",
        "r.conf");
    world.access.tls_verify = std::nullopt;
    Host insecure(world.environment(), registry.server.reference(), world.access);
    CHECK(insecure.call(get(), {}).response.status == 200);
    world.access.tls_verify = true;
    Host secure(world.environment(), registry.server.reference(), world.access);
    CHECK_THROWS_AS(secure.call(get(), {}), Error);
  }
}

TEST_CASE("without verification, what answers http but is no registry leaves it at https") {
  World world;
  world.login();
  world.access.tls_verify = false;
  SUBCASE("a broken connection is tried again, by https each time") {
    TroubledTlsPort port("");
    Host host(world.environment(), port.reference(), world.access);
    for (const int greetings : {4, 8}) {
      const Error error = error_of([&] { host.call(get(), {}); });
      CHECK(error.kind() == ErrorKind::network);
      CHECK(contains(error.what(), "after 4 attempts"));
      CHECK(contains(error.what(), "answered 400 Bad Request"));
      CHECK(port.greetings() == greetings);
    }
  }
  SUBCASE("a refused handshake is told with its reason") {
    TroubledTlsPort port(std::string("\x15\x03\x03\x00\x02\x02\x28", 7));  // handshake_failure
    Host host(world.environment(), port.reference(), world.access);
    check_error(ErrorKind::tls, "alert handshake failure", [&] { host.call(get(), {}); });
    CHECK(port.greetings() == 1);
  }
  SUBCASE("a redirect to https is no registry that speaks http") {
    Server secure([](const HttpRequest&) { return HttpResponse{}; });
    Server plain(
        [&](const HttpRequest&) {
          return HttpResponse{301, {{"Location", secure.url("/v2/")}}, ""};
        },
        false);
    world.conf.merge(
        "[[registry]]\nlocation=\"" + secure.http().authority() + "\"\ninsecure=true\n", "r.conf");
    Host host(world.environment(), plain.reference(), world.access);
    check_error(ErrorKind::tls, secure.url("/v2/") + " answered 200",
                [&] { host.call(get(), {}); });
  }
}

TEST_CASE("without verification, an overloaded registry that speaks http is asked again") {
  World world;
  world.access.tls_verify = false;
  int asked = 0;
  Server server(
      [&](const HttpRequest&) {
        return HttpResponse{++asked < 3 ? 503 : 200, {}, ""};
      },
      false);
  Host host(world.environment(), server.reference(), world.access);
  CHECK(host.call(get(), {}).url.origin().scheme == "http");
  const std::string question = "GET " + kPath + " -";
  CHECK(server.seen() == Lines{question, question, question, "GET /v2/ -"});
}

TEST_CASE("without verification, a registry by http in trouble is asked again by all workers") {
  int status = 0;
  SUBCASE("503") { status = 503; }
  SUBCASE("429") { status = 429; }
  SUBCASE("500") { status = 500; }
  SUBCASE("no answer") {}
  std::atomic<int> troubles{3};
  const HttpServer server(
      [&](const HttpRequest& request, test::HttpConnection& connection) {
        connection.read_body();
        std::this_thread::sleep_for(milliseconds(20));  // so that the others wait for this one
        if (request.path() != kPath || --troubles < 0) {
          connection.send({200, {{"Docker-Distribution-Api-Version", "registry/2.0"}}, "ok"});
        } else if (status != 0) {
          connection.send({status, {}, ""});
        } else {
          connection.close();
        }
      },
      options(false));
  World world;
  world.access.tls_verify = false;
  Hosts hosts(world.environment());
  const auto reference = RegistryReference::parse(server.authority() + "/team/app");
  std::atomic<int> good{0};
  std::mutex mutex;
  std::vector<std::string> errors;
  {
    std::vector<std::jthread> workers;
    for (int i = 0; i < 8; ++i) {
      workers.emplace_back([&] {
        try {
          const Answer answer = hosts.get(reference, world.access).call(get(), {});
          good += answer.url.origin().scheme == "http" ? 1 : 0;
        } catch (const Error& error) {
          const std::lock_guard lock(mutex);
          errors.emplace_back(error.what());
        }
      });
    }
  }
  CHECK(errors == Lines{});
  CHECK(good == 8);
}

TEST_CASE("without verification, a ping follows an answer by http that anybody may have given") {
  struct Case {
    std::string_view name;
    HttpResponse answer;
    bool pings;
  };
  const Case cases[] = {
      {"nothing that says registry", {200, {}, ""}, true},
      {"the API's version",
       {404, {{"Docker-Distribution-Api-Version", "registry/2.0"}}, ""},
       false},
      {"a digest", {200, {{"Docker-Content-Digest", Digest::of("").str()}}, ""}, false},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    World world;
    world.access.tls_verify = false;
    world.access.anonymous = true;
    Server server(
        [&](const HttpRequest& request) {
          return request.target == "/v2/" ? HttpResponse{} : c.answer;
        },
        false);
    Host host(world.environment(), server.reference(), world.access);
    CHECK(host.call(get(), {}).response.status == c.answer.status);
    CHECK(server.seen().size() == (c.pings ? 2 : 1));
    CHECK(host.call(get(), {}).response.status == c.answer.status);
    CHECK(server.seen().size() == (c.pings ? 3 : 2));
  }
}

TEST_CASE("F01: a refused connection is tried a bounded number of times") {
  World world;
  std::optional<RegistryReference> gone;
  {
    const Server server([](const HttpRequest&) { return HttpResponse{}; });
    gone = server.reference();
  }
  for (const bool verify : {true, false}) {
    world.sleeps.clear();
    world.access.tls_verify = verify;
    Host host(world.environment(), *gone, world.access);
    const Error error = error_of([&] { host.call(get(), {}); });
    CHECK(error.kind() == ErrorKind::network);
    CHECK(!error.retryable());
    CHECK(contains(error.what(), "after 4 attempts"));
    CHECK(world.sleeps.size() == 3);
  }
}

TEST_CASE("a registry that has answered is waited for while it is restarted") {
  World world;
  std::atomic<std::int64_t> back_at = 0;
  std::atomic<int> status = 200;
  const HttpServer server(
      [&](const HttpRequest&, test::HttpConnection& connection) {
        connection.read_body();
        if (world.elapsed < back_at) return connection.reset();
        connection.send({status, {}, "{}"});
      },
      options(true));
  const auto reference = RegistryReference::parse(server.authority() + "/team/app:1");
  // The calls of one that answered first and is away for so long then.
  const auto call_after = [&](milliseconds away) {
    Host host(world.environment(), reference, world.access);
    host.call(get(), {});
    back_at = away.count();
    return host.call(get(), {});
  };
  SUBCASE("longer than four attempts last") {
    CHECK(call_after(milliseconds(12'000)).response.status == 200);
    CHECK(world.slept() < milliseconds(14'000));
  }
  SUBCASE("but not for ever") {
    check_error(ErrorKind::network, "attempts", [&] { call_after(milliseconds(60'000)); });
    CHECK(world.slept() < milliseconds(17'000));
  }
  SUBCASE("nor when fewer attempts were asked for") {
    world.retry.attempts = 2;
    check_error(ErrorKind::network, "after 2 attempts", [&] { call_after(milliseconds(60'000)); });
  }
  SUBCASE("nor when the delay was said") {
    world.retry.fixed_delay = milliseconds(10);
    check_error(ErrorKind::network, "after 4 attempts", [&] { call_after(milliseconds(60'000)); });
  }
  SUBCASE("nor when it answers, but has an error") {
    Host host(world.environment(), reference, world.access);
    host.call(get(), {});
    status = 503;
    check_error(ErrorKind::server, "after 4 attempts", [&] { host.call(get(), {}); });
  }
}

TEST_CASE("what answers the ping but is no registry is refused") {
  struct Case {
    HttpResponse response;
    ErrorKind kind;
  };
  World world;
  const Case cases[] = {
      {{200, {{"Content-Type", "text/html"}}, "<html><title>Sign in</title>"}, ErrorKind::protocol},
      {{404, {}, "nothing here"}, ErrorKind::protocol},
      {{403, {}, "go away"}, ErrorKind::denied},
      {{501, {}, ""}, ErrorKind::server},
      {{302, {{"Location", "/v2/"}}, ""}, ErrorKind::protocol},
  };
  for (const Case& c : cases) {
    CAPTURE(c.response.status);
    Server server([&](const HttpRequest&) { return c.response; });
    Host host(world.environment(), server.reference(), world.access);
    const Error error = error_of([&] { host.call(send(http::Method::post, ""), {}); });
    CHECK(to_string(error.kind()) == to_string(c.kind));
    CHECK(server.count("POST") == 0);
  }
}

// ---- tokens and 401 (3.2-3.5)
// ----------------------------------------------------------------------

TEST_CASE("F28-F30: an unusable token is an auth error after one request, and is never sent") {
  for (const std::string& body :
       {std::string("<html>"), std::string("{}"), std::string(R"({"token":123})"),
        std::string("[]"), std::string(R"({"token":"x\r\nX-Evil: 1"})"),
        std::string(2'000'000, ' ')}) {
    CAPTURE(body.substr(0, 40));
    World world;
    BearerRegistry registry;
    registry.token = [&](const HttpRequest&) {
      return HttpResponse{200, {{"Content-Type", "text/html"}}, body};
    };
    Host host(world.environment(), registry.server.reference(), world.access);
    const Error error = error_of([&] { host.call(get(), {}); });
    CHECK(error.kind() == ErrorKind::auth);
    CHECK(registry.server.count("GET /token") == 1);
    for (const std::string& line : registry.server.seen()) CHECK(!contains(line, "Bearer"));
  }
}

TEST_CASE("F35: a registry that refuses every token costs at most two fetches") {
  World world;
  world.login();
  BearerRegistry registry;
  registry.token = [&](const HttpRequest&) {
    return HttpResponse{200, {}, R"({"token":"useless"})"};
  };
  Host host(world.environment(), registry.server.reference(), world.access);
  const Error error = error_of([&] { host.call(get(), {}); });
  CHECK(error.kind() == ErrorKind::auth);
  CHECK(error.http_status() == 401);
  CHECK(registry.server.count("GET /token") == 1);
  CHECK(contains(error.what(), "user me from the command line"));
  CHECK(contains(error.what(), "asked for repository:team/app:pull,push"));
  CHECK(!contains(error.what(), "s3cret"));

  // With a scope that grows each time.
  int n = 0;
  registry.server.answer([&](const HttpRequest& request) {
    registry.scope = "repository:other" + std::to_string(++n) + ":pull";
    return registry.answer(request);
  });
  const std::size_t before = registry.server.count("GET /token");
  CHECK_THROWS_AS(host.call(get(), {}), Error);
  CHECK(registry.server.count("GET /token") - before <= 2);
}

TEST_CASE("F36: a token that the registry no longer takes is fetched anew, once") {
  World world;
  world.login();
  BearerRegistry registry;
  Host host(world.environment(), registry.server.reference(), world.access);
  host.call(get(), {});
  registry.valid.clear();  // before its time
  CHECK(host.call(send(http::Method::put, "manifest"), {}).response.status == 200);
  CHECK(registry.issued == 2);
  CHECK(registry.server.count("PUT") == 2);
  CHECK(registry.server.http().requests().back().body == "manifest");
}

TEST_CASE("F37: a streamed body's 401 is returned, and the next try carries a new token") {
  World world;
  world.login();
  BearerRegistry registry;
  Host host(world.environment(), registry.server.reference(), world.access);
  host.call(get(), {});
  registry.valid.clear();
  const auto patch = [&] {
    const auto source = memory_source("a layer");
    Call call = send(http::Method::patch, "");
    call.body = http::RequestBody{source.get(), 7, {}, {}};
    return host.call(call, {}).response.status;
  };
  CHECK(patch() == 401);
  CHECK(patch() == 200);
  CHECK(registry.issued == 2);
  // A token fetched for the very call and refused is the end of it.
  registry.valid.clear();
  registry.token = [](const HttpRequest&) {
    return HttpResponse{200, {}, R"({"token":"useless"})"};
  };
  CHECK(patch() == 401);
  check_error(ErrorKind::auth, "401", [&] { patch(); });
}

TEST_CASE("F38: a wider scope that the registry asks for is merged, and remembered") {
  World world;
  world.login();
  BearerRegistry registry;
  std::string asked;
  registry.token = [&](const HttpRequest& request) {
    asked = request.query_value("scope").value_or("");
    HttpResponse response = registry.issue(request);
    if (!contains(asked, "admin")) registry.valid.clear();
    return response;
  };
  registry.scope = "repository:team/app:admin";
  Host host(world.environment(), registry.server.reference(), world.access);
  CHECK(host.call(get(), {}).response.status == 200);
  CHECK(asked == "repository:team/app:pull,push,admin");
  const int issued = registry.issued;
  CHECK(host.call(get(), {}).response.status == 200);
  CHECK(registry.issued == issued);
}

TEST_CASE("a scope is asked for by the 401 that names it, not by one before") {
  World world;
  world.login();
  BearerRegistry registry;
  Host host(world.environment(), registry.server.reference(), world.access);
  const auto scopes_asked = [&] {
    std::string all;
    for (const HttpRequest& request : registry.server.http().requests()) all += request.query();
    return all;
  };
  SUBCASE("of another repository") {
    registry.scope = "repository:other/app:pull";
    Call other = get("/v2/other/app/manifests/1");
    other.scopes = {registry.scope};
    CHECK(host.call(other, {}).response.status == 200);
    CHECK(contains(scopes_asked(), "other"));
    CHECK(host.call(get(), {}).response.status == 200);
    registry.valid.clear();
    registry.to_strangers = 401;  // and no challenge
    const std::string before = scopes_asked();
    CHECK(host.call(get(), {}).response.status == 200);
    CHECK(registry.issued == 3);
    CHECK(!contains(scopes_asked().substr(before.size()), "other"));
  }
  SUBCASE("of the ping") {
    registry.scope = "registry:catalog:search";
    registry.to_strangers = 401;
    CHECK(host.call(get(), {}).response.status == 200);
    CHECK(registry.server.count("GET /v2/ -") == 1);
    CHECK(!contains(scopes_asked(), "catalog"));
  }
}

TEST_CASE("cancelling sessions, which wants `delete`, changes nothing for what is pushed next") {
  World world;
  world.login();
  BearerRegistry registry;
  registry.work = [&](const HttpRequest& request) {
    if (request.method != "DELETE") return HttpResponse{200, {}, "ok"};
    registry.scope = "repository:team/app:delete";
    return registry.demand();
  };
  Host host(world.environment(), registry.server.reference(), world.access);
  host.call(get(), {});
  const RegistryReference name = registry.server.reference();
  const UploadTuning tuning;
  UploadHabits habits;
  CancelTime cancel_time;
  const UploadTarget target{host, name, kScopes, tuning, habits, cancel_time};
  const http::Url session = http::Url::parse(registry.server.url("/v2/team/app/session"));
  cancel_sessions(target, {{session, {}, {}, false}, {session, {}, {}, false}}, {});
  CHECK(registry.server.count("DELETE /v2/team/app/session Bearer t1") == 2);
  CHECK(host.call(get(), {}).response.status == 200);
  CHECK(registry.issued == 1);
  // Even the next token is asked for without it.
  world.elapsed += 1'000'000;
  CHECK(host.call(get(), {}).response.status == 200);
  CHECK(registry.server.count("DELETE") == 2);
  for (const HttpRequest& request : registry.server.http().requests())
    CHECK(!contains(request.query_value("scope").value_or(""), "delete"));
}

TEST_CASE("F31: a short-lived token is not fetched more often than every 50 s") {
  World world;
  BearerRegistry registry;
  registry.lifetime = 1;
  Host host(world.environment(), registry.server.reference(), world.access);
  for (int i = 0; i < 100; ++i) {
    world.elapsed += 1000;
    host.call(get(), {});
    host.refresh_token(kScopes, std::chrono::seconds(60), {});
  }
  CHECK(registry.issued <= 3);
}

TEST_CASE("R3.9: a token is renewed before a long body") {
  World world;
  BearerRegistry registry;
  Host host(world.environment(), registry.server.reference(), world.access);
  host.refresh_token(kScopes, std::chrono::seconds(60), {});  // nothing is known yet: nothing to do
  CHECK(registry.server.http().request_count() == 0);
  host.call(get(), {});
  world.elapsed += 250'000;
  host.call(get(), {});
  CHECK(registry.issued == 1);
  host.refresh_token(kScopes, std::chrono::seconds(60), {});
  CHECK(registry.issued == 2);
}

TEST_CASE("F44: the token service is tried again on 503, 429 and a spurious 404") {
  struct Case {
    std::vector<int> statuses;
    bool succeeds;
  };
  for (const Case& c : {Case{{503, 503, 200}, true}, Case{{429, 200}, true}, Case{{404, 200}, true},
                        Case{{404, 404}, false}, Case{{401}, false}, Case{{400}, false},
                        Case{{503, 503, 503, 503}, false}}) {
    World world;
    world.login();
    BearerRegistry registry;
    std::size_t n = 0;
    registry.token = [&](const HttpRequest& request) {
      const int status = c.statuses.at(n++);
      return status == 200 ? registry.issue(request)
                           : HttpResponse{status, {}, R"({"details":"why"})"};
    };
    Host host(world.environment(), registry.server.reference(), world.access);
    CAPTURE(c.statuses.back());
    if (c.succeeds) {
      CHECK(host.call(get(), {}).response.status == 200);
    } else {
      const Error error = error_of([&] { host.call(get(), {}); });
      CHECK(error.kind() == (c.statuses.back() == 503 ? ErrorKind::server : ErrorKind::auth));
      CHECK(contains(error.what(), "/token"));
      CHECK(!error.retryable());
    }
    CHECK(n == c.statuses.size());
  }
}

TEST_CASE("identity tokens go by POST, and a rotated one is used from then on") {
  World world;
  world.access.anonymous = false;
  BearerRegistry registry;
  world.access.authfile =
      world.dir.write("auth.json", R"({"auths":{")" + registry.server.http().authority() +
                                       R"(":{"identitytoken":"r s3cret"}}})");
  std::vector<std::string> bodies;
  registry.token = [&](const HttpRequest& request) {
    bodies.push_back(request.body);
    HttpResponse response = registry.issue(request);
    response.body.insert(1, R"("refresh_token":"rotated",)");
    return response;
  };
  Host host(world.environment(), registry.server.reference(), world.access);
  CHECK(host.call(get(), {}).response.status == 200);
  world.elapsed += 1'000'000;
  CHECK(host.call(get(), {}).response.status == 200);
  REQUIRE(bodies.size() == 2);
  CHECK(registry.server.count("POST /token -") == 2);
  CHECK(bodies[0] ==
        "grant_type=refresh_token&service=the%20service&client_id=tug&"
        "scope=repository%3Ateam%2Fapp%3Apull%2Cpush&refresh_token=r%20s3cret");
  CHECK(contains(bodies[1], "refresh_token=rotated"));
  for (const std::string& line : world.lines) CHECK(!contains(line, "s3cret"));
}

TEST_CASE("F34: a service without POST gets the password, but never the identity token") {
  for (const bool has_password : {false, true}) {
    CAPTURE(has_password);
    for (const int status : {404, 405, 501}) {
      World world;
      world.access.anonymous = false;
      BearerRegistry registry;
      world.access.authfile = world.dir.write(
          "auth.json", R"({"auths":{")" + registry.server.http().authority() +
                           R"(":{"identitytoken":"identity")" +
                           (has_password ? R"(,"auth":")" + base64_encode("me:pw") + "\"" : "") +
                           "}}}");
      registry.token = [&](const HttpRequest& request) {
        return request.method == "POST" ? HttpResponse{status, {}, ""} : registry.issue(request);
      };
      Host host(world.environment(), registry.server.reference(), world.access);
      if (has_password) {
        CHECK(host.call(get(), {}).response.status == 200);
        CHECK(registry.server.http().requests()[2].header("Authorization") ==
              "Basic " + base64_encode("me:pw"));
      } else {
        check_error(ErrorKind::auth, "identity token", [&] { host.call(get(), {}); });
        CHECK(registry.server.count("GET /token") == 0);
        CHECK(registry.server.count("POST /token") == 1);
      }
    }
  }
}

TEST_CASE("a token given by the user is sent without an exchange, and only when asked for") {
  World world;
  world.access.anonymous = false;
  world.access.bearer_token = Secret("given");
  BearerRegistry registry;
  registry.valid.insert("given");
  Host host(world.environment(), registry.server.reference(), world.access);
  CHECK(host.call(get(), {}).response.status == 200);
  CHECK(registry.server.seen() == Lines{"GET " + kPath + " -", "GET " + kPath + " Bearer given"});
  registry.valid.clear();
  check_error(ErrorKind::auth, "the bearer token from the command line",
              [&] { host.call(get(), {}); });
  world.access.bearer_token = Secret("bad\r\ntoken");
  Host other(world.environment(), registry.server.reference(), world.access);
  check_error(ErrorKind::usage, "bearer token", [&] { other.call(get(), {}); });
}

TEST_CASE("Basic is sent after the challenge, on every request, and refused once is refused") {
  World world;
  world.login("me", "s3cret");
  std::string expected = "Basic " + base64_encode("me:s3cret");
  Server server([&](const HttpRequest& request) {
    return request.header("Authorization") == expected ? HttpResponse{200, {}, "ok"}
                                                       : challenge("Basic realm=\"the registry\"");
  });
  Host host(world.environment(), server.reference(), world.access);
  CHECK(host.call(get(), {}).response.status == 200);
  CHECK(host.call(send(http::Method::post, "x"), {}).response.status == 200);
  CHECK(server.seen() ==
        Lines{"GET " + kPath + " -", "GET " + kPath + " Basic", "POST /v2/team/app/x Basic"});
  expected = "Basic changed";
  const Error error = error_of([&] { host.call(get(), {}); });
  CHECK(error.kind() == ErrorKind::auth);
  CHECK(server.seen().size() == 4);
  CHECK(contains(error.what(), "user me from the command line"));
}

TEST_CASE("without credentials a 401 says where they were looked for") {
  World world;
  world.access.anonymous = false;
  world.access.authfile = world.dir.path() + "/missing.json";
  Server server([&](const HttpRequest&) { return challenge("Basic realm=x"); });
  Host host(world.environment(), server.reference(), world.access);
  const Error error = error_of([&] { host.call(get(), {}); });
  CHECK(error.kind() == ErrorKind::auth);
  CHECK(contains(error.what(), "no credentials found for " + server.http().authority()));
  CHECK(contains(error.what(), "/missing.json (not there)"));
  CHECK(server.seen().size() == 1);
}

TEST_CASE("F27: schemes that tug does not know are listed") {
  World world;
  world.login();
  Server server([&](const HttpRequest&) { return challenge("Digest realm=x, Negotiate"); });
  Host host(world.environment(), server.reference(), world.access);
  check_error(ErrorKind::auth, "digest, negotiate", [&] { host.call(get(), {}); });
  server.answer(
      [](const HttpRequest&) { return challenge("Bearer realm=\"" + std::string(100'000, 'x')); });
  Host other(world.environment(), server.reference(), world.access);
  check_error(ErrorKind::auth, "does not say how to log in", [&] { other.call(get(), {}); });
}

TEST_CASE("F39: 403 is an answer after one request, and its error names the credential") {
  World world;
  world.login();
  BearerRegistry registry;
  registry.work = [](const HttpRequest&) {
    return HttpResponse{403, {}, R"({"errors":[{"code":"DENIED","message":"read only"}]})"};
  };
  Host host(world.environment(), registry.server.reference(), world.access);
  const Answer answer = host.call(get(), {});
  CHECK(answer.response.status == 403);
  const Error error = host.failure(answer, kScopes);
  CHECK(error.kind() == ErrorKind::denied);
  CHECK(error.has_registry_code("DENIED"));
  CHECK(contains(
      error.what(),
      "DENIED: read only; user me from the command line; asked for repository:team/app:pull,push"));
  CHECK(registry.server.seen().size() == 3);
}

TEST_CASE("a reference that was read as one of the Hub gets a hint") {
  World world;
  struct Case {
    std::string reference;
    std::string_view hint;
  };
  for (const Case& c :
       {Case{"registry:5000", "registry:5000 was read as docker.io/library/registry:5000"},
        Case{"registry/app", "was read as docker.io/registry/app:latest"},
        Case{"docker.io/team/app", "log in first"}, Case{"alpine:latest", "log in first"}}) {
    CAPTURE(c.reference);
    Host host(world.environment(), RegistryReference::parse(c.reference), world.access);
    Answer answer{{}, http::Url::parse("https://registry-1.docker.io/v2/x")};
    answer.response.status = 404;
    const bool about_host = c.hint != "log in first";
    CHECK(contains(host.failure(answer, {}).hint(), about_host ? c.hint : ""));
    answer.response.status = 403;
    if (about_host) CHECK(contains(host.failure(answer, {}).hint(), c.hint));
  }
}

// ---- credentials stay at home (3.6)
// ----------------------------------------------------------------

TEST_CASE("F40-F43: where a realm may be") {
  struct Case {
    std::string registry, realm, url;  // url "": refused
  };
  const Case cases[] = {
      {"https://reg.example/v2/", "https://reg.example/token", "https://reg.example/token"},
      {"https://reg.example/v2/", "https://auth.example/token?a=b",
       "https://auth.example/token?a=b"},
      {"https://reg.example/v2/", "http://auth.example/token", ""},
      {"https://reg.example/v2/", "http://reg.example/token", ""},
      {"http://reg.example/v2/", "http://auth.example/token", "http://auth.example/token"},
      {"http://reg.example/v2/", "https://auth.example/token", "https://auth.example/token"},
      {"https://reg.example/v2/", "https://169.254.169.254/", ""},
      {"https://reg.example/v2/", "https://127.0.0.1:1/", ""},
      {"https://reg.example/v2/", "https://[::1]/", ""},
      {"https://reg.example/v2/", "https://10.1.2.3/token", ""},
      {"https://reg.example/v2/", "https://localhost/token", ""},
      {"http://reg.example/v2/", "http://127.0.0.1/token", ""},
      {"https://127.0.0.1:5000/v2/", "https://127.0.0.1:5001/token",
       "https://127.0.0.1:5001/token"},
      {"https://localhost:5000/v2/", "https://127.0.0.1:5001/token",
       "https://127.0.0.1:5001/token"},
      {"https://10.0.0.1/v2/", "https://10.0.0.2/token", "https://10.0.0.2/token"},
      {"https://reg.example/v2/", "https://user:pw@auth.example/", ""},
      {"https://reg.example/v2/", "https://auth.example/#f", ""},
      {"https://reg.example/v2/", "file:///etc/passwd", ""},
      {"https://reg.example/v2/", "null://reg.example/v2/token", ""},
      {"https://reg.example/v2/", "/token", "https://reg.example/token"},
      {"https://reg.example/v2/", "token", "https://reg.example/v2/token"},
      {"https://reg.example/v2/", "//auth.example/token", ""},
      {"https://reg.example/v2/", "", ""},
      {"https://reg.example/v2/", "https://auth.example/\r\nX: y", ""},
  };
  for (const Case& c : cases) {
    CAPTURE(c.registry);
    CAPTURE(c.realm);
    const http::Url registry = http::Url::parse(c.registry);
    if (!c.url.empty()) {
      CHECK(check_realm(registry, c.realm).str() == c.url);
      continue;
    }
    const Error error = error_of([&] { (void)check_realm(registry, c.realm); });
    CHECK(error.kind() == ErrorKind::auth);
    CHECK(!contains(error.what(), "user:pw"));
  }
}

TEST_CASE("F40: a realm over http on an https registry gets no request") {
  World world;
  world.login();
  Server plain([](const HttpRequest&) { return HttpResponse{200, {}, R"({"token":"t"})"}; }, false);
  BearerRegistry registry;
  registry.realm = plain.url("/token");
  Host host(world.environment(), registry.server.reference(), world.access);
  check_error(ErrorKind::auth, plain.url("/token"), [&] { host.call(get(), {}); });
  CHECK(plain.http().connection_count() == 0);
}

TEST_CASE("F43: a token service elsewhere gets the password, the registry only the token") {
  World world;
  world.login();
  BearerRegistry registry;
  Server service([&](const HttpRequest& request) { return registry.issue(request); });
  registry.realm = service.url("/token?x=y");
  Host host(world.environment(), registry.server.reference(), world.access);
  CHECK(host.call(get(), {}).response.status == 200);
  CHECK(service.seen() == Lines{"GET /token Basic"});
  CHECK(service.http().requests()[0].query_value("x") == "y");
  CHECK(registry.server.seen() == Lines{"GET " + kPath + " -", "GET " + kPath + " Bearer t1"});
}

TEST_CASE("S4: a token service that redirects to another origin loses the credentials") {
  World world;
  BearerRegistry registry;
  Server other([&](const HttpRequest& request) { return registry.issue(request); });
  registry.token = [&](const HttpRequest&) {
    return HttpResponse{307, {{"Location", other.url("/t")}}, ""};
  };
  SUBCASE("GET goes on without them") {
    world.login();
    Host host(world.environment(), registry.server.reference(), world.access);
    CHECK(host.call(get(), {}).response.status == 200);
    CHECK(other.seen() == Lines{"GET /t -"});
  }
  SUBCASE("POST, whose body is a secret, does not") {
    world.access.anonymous = false;
    world.access.authfile =
        world.dir.write("auth.json", R"({"auths":{")" + registry.server.http().authority() +
                                         R"(":{"identitytoken":"identity"}}})");
    Host host(world.environment(), registry.server.reference(), world.access);
    check_error(ErrorKind::auth, "must not go", [&] { host.call(get(), {}); });
    CHECK(other.http().request_count() == 0);
  }
}

TEST_CASE("F47: a read that is redirected elsewhere goes without credentials") {
  World world;
  world.login();
  Server storage([](const HttpRequest& request) {
    return request.path() == "/blob" ? HttpResponse{200, {}, "data"} : challenge("Basic realm=x");
  });
  BearerRegistry registry;
  registry.work = [&](const HttpRequest& request) {
    return HttpResponse{
        307,
        {{"Location", storage.url(request.path() == kPath ? "/blob?sig=s3cret" : "/closed")},
         {"Set-Cookie", "a=b"}},
        ""};
  };
  Host host(world.environment(), registry.server.reference(), world.access);
  Call call = get();
  call.headers.add("Authorization", "Basic sneaked-in");
  call.headers.add("Cookie", "a=b");
  call.headers.add("Range", "bytes=0-3");
  const Answer answer = host.call(call, {});
  CHECK(answer.response.body == "data");
  CHECK(answer.url.origin() == http::Url::parse(storage.url("/")).origin());
  const HttpRequest request = storage.http().requests().at(0);
  CHECK(!request.has_header("Authorization"));
  CHECK(!request.has_header("Cookie"));
  CHECK(request.header("Range") == "bytes=0-3");
  // Its 401 is not answered with ours.
  CHECK(host.call(get("/v2/team/app/closed"), {}).response.status == 401);
  for (const std::string& line : storage.seen()) CHECK(line.ends_with(" -"));
  CHECK(registry.issued == 1);
  for (const std::string& line : world.lines) CHECK(!contains(line, "s3cret"));
}

TEST_CASE("an upload session on another host gets no credentials") {
  World world;
  world.login();
  BearerRegistry registry;
  Server storage([](const HttpRequest&) { return HttpResponse{202, {}, ""}; });
  Host host(world.environment(), registry.server.reference(), world.access);
  host.call(get(), {});
  Call call = send(http::Method::patch, "data", "");
  call.url = http::Url::parse(storage.url("/session"));
  CHECK(host.call(call, {}).response.status == 202);
  CHECK(storage.seen() == Lines{"PATCH /session -"});
}

TEST_CASE("F48, F49: redirects that go round, down to http, nowhere or two ways are refused") {
  World world;
  Server plain([](const HttpRequest&) { return HttpResponse{}; }, false);
  Server server([](const HttpRequest&) { return HttpResponse{}; });
  struct Case {
    test::HeaderList headers;
    std::size_t requests;
    std::string_view says;
  };
  for (const Case& c :
       {Case{{{"Location", kPath + "x"}}, 6, "too many redirects"},
        Case{{{"Location", plain.url("/")}}, 1, "plain http"}, Case{{}, 1, "without saying where"},
        Case{{{"Location", "/a"}, {"Location", "/b"}}, 1, "two places"},
        Case{{{"Location", "ftp://x/"}}, 1, "neither http nor https"}}) {
    CAPTURE(c.says);
    server.answer([&](const HttpRequest&) { return HttpResponse{302, c.headers, ""}; });
    const std::size_t before = server.http().request_count();
    Host host(world.environment(), server.reference(), world.access);
    check_error(ErrorKind::protocol, c.says, [&] { host.call(get(), {}); });
    CHECK(server.http().request_count() - before == c.requests);
  }
  CHECK(plain.http().request_count() == 0);
}

TEST_CASE("S6: a public registry may not redirect to a private address") {
  Answer answer{{}, http::Url::parse("https://reg.example/v2/a/blobs/x")};
  answer.response.status = 307;
  answer.response.headers.add("Location", "https://169.254.169.254/latest");
  check_error(ErrorKind::protocol, "private address",
              [&] { (void)redirect_target(answer, false); });
  CHECK(redirect_target(answer, true).origin().host == "169.254.169.254");
}

TEST_CASE("a redirected write is returned, not followed") {
  World world;
  Server server([](const HttpRequest& request) {
    return request.path() == "/v2/" ? HttpResponse{}
                                    : HttpResponse{307, {{"Location", "/elsewhere"}}, ""};
  });
  Host host(world.environment(), server.reference(), world.access);
  CHECK(host.call(send(http::Method::put, "x"), {}).response.status == 307);
  CHECK(server.count("PUT") == 1);
}

TEST_CASE("F54, F57: where an upload session may be") {
  World world;
  Host host(world.environment(), RegistryReference::parse("reg.example:5000/a"), world.access);
  struct Case {
    std::string base, location, url;  // "": refused
  };
  const Case cases[] = {
      {"https://reg.example:5000/v2/a/blobs/uploads/", "/v2/a/u/1?x=%2B",
       "https://reg.example:5000/v2/a/u/1?x=%2B"},
      {"https://reg.example:5000/v2/a/blobs/uploads/", "https://store.example/1",
       "https://store.example/1"},
      {"https://reg.example:5000/v2/a/u", "http://reg.example:5000/v2/a/u/1?s=1",
       "https://reg.example:5000/v2/a/u/1?s=1"},
      {"https://reg.example:5000/v2/a/u", "http://reg.example/v2/a/u/1",
       "https://reg.example:5000/v2/a/u/1"},
      {"https://reg.example/v2/a/u", "http://reg.example/v2/a/u/1", "https://reg.example/v2/a/u/1"},
      {"https://reg.example/v2/a/u", "http://store.example/1", ""},
      {"https://reg.example/v2/a/u", "https://10.0.0.1/1", ""},
      {"https://reg.example/v2/a/u", "https://localhost/1", ""},
      {"https://reg.example/v2/a/u", "https://a b/", ""},
      {"http://reg.example/v2/a/u", "http://store.example/1", "http://store.example/1"},
      {"http://reg.example/v2/a/u", "https://reg.example/v2/a/u/1", "https://reg.example/v2/a/u/1"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.location);
    const http::Url base = http::Url::parse(c.base);
    if (c.url.empty()) {
      CHECK(error_of([&] { (void)host.resolve_location(base, c.location); }).kind() ==
            ErrorKind::protocol);
    } else {
      CHECK(host.resolve_location(base, c.location).str() == c.url);
    }
  }
  CHECK(world.notes.size() == 1);  // the same warning once
}

// ---- trying again (5.13)
// -----------------------------------------------------------------------------

TEST_CASE("F16-F20: what is tried again, and after how long") {
  struct Case {
    std::vector<HttpResponse> answers;  // the last one for ever
    ErrorKind kind;                     // usage: success
    std::size_t requests;
    milliseconds slept_at_least, slept_at_most;
  };
  const HttpResponse good{200, {}, "ok"};
  const HttpResponse bad{502, {{"Content-Type", "text/html"}}, "<html><title>\x1b[1mnginx</title>"};
  const auto wait = [](int status, std::string value) {
    return HttpResponse{status, {{"Retry-After", std::move(value)}}, ""};
  };
  const milliseconds none{0};
  const Case cases[] = {
      {{bad, bad, bad, good}, ErrorKind::usage, 4, milliseconds(1), milliseconds(10'000)},
      {{bad}, ErrorKind::server, 4, milliseconds(1), milliseconds(10'000)},
      {{wait(503, "2"), good}, ErrorKind::usage, 2, milliseconds(2000), milliseconds(3000)},
      {{wait(429, "3600")}, ErrorKind::rate_limited, 1, none, none},
      {{wait(429, "1.889377ms"), good}, ErrorKind::usage, 2, milliseconds(1), milliseconds(1000)},
      {{wait(429, ""), good}, ErrorKind::usage, 2, milliseconds(1), milliseconds(1000)},
      {{wait(429, "-5"), good}, ErrorKind::usage, 2, milliseconds(1), milliseconds(1000)},
      {{wait(429, "Sun, 06 Nov 1994 08:49:37 GMT"), good},
       ErrorKind::usage,
       2,
       milliseconds(1),
       milliseconds(1000)},
      {{wait(429, "7")}, ErrorKind::rate_limited, 4, milliseconds(21'000), milliseconds(22'000)},
      {{HttpResponse{507, {}, ""}}, ErrorKind::usage, 1, none, none},  // an answer like any other
      {{HttpResponse{404, {}, ""}}, ErrorKind::usage, 1, none, none},
  };
  for (const Case& c : cases) {
    CAPTURE(c.answers[0].status);
    CAPTURE(c.requests);
    World world;
    std::size_t n = 0;
    Server server(
        [&](const HttpRequest&) { return c.answers[std::min(n++, c.answers.size() - 1)]; });
    Host host(world.environment(), server.reference(), world.access);
    if (c.kind == ErrorKind::usage) {
      CHECK(host.call(get(), {}).response.status == c.answers.back().status);
    } else {
      const Error error = error_of([&] { host.call(get(), {}); });
      CHECK(to_string(error.kind()) == to_string(c.kind));
      CHECK(!error.retryable());
      CHECK(!contains(error.what(), "\x1b"));
      if (c.requests == 1) CHECK(contains(error.what(), "3600 s"));
    }
    CHECK(server.http().request_count() == c.requests);
    CHECK(world.slept() >= c.slept_at_least);
    CHECK(world.slept() <= c.slept_at_most);
  }
}

TEST_CASE("an operation sleeps 5 minutes at most, and a push 15") {
  World world;
  world.retry.attempts = 100;
  Server server([](const HttpRequest&) { return HttpResponse{503, {{"Retry-After", "60"}}, ""}; });
  const Environment environment = world.environment();
  Host host(environment, server.reference(), world.access);
  const auto slept_in_one_call = [&](Host& one) {
    const milliseconds before = world.slept();
    CHECK(error_of([&] { one.call(get(), {}); }).kind() == ErrorKind::server);
    return world.slept() - before;
  };
  for (int call = 0; call < 3; ++call) CHECK(slept_in_one_call(host) == std::chrono::minutes(5));
  CHECK(slept_in_one_call(host) == milliseconds(0));
  // Neither does another host of the same push.
  Host other(environment, server.reference(), world.access);
  CHECK(slept_in_one_call(other) == milliseconds(0));
  CHECK(server.http().request_count() == 3 * 6 + 2);
}

TEST_CASE("calls that must not be repeated return their 503 or 429, and the 429 pauses the host") {
  World world;
  Server server([](const HttpRequest& request) {
    return request.method == "GET" ? HttpResponse{} : HttpResponse{429, {{"Retry-After", "5"}}, ""};
  });
  Host host(world.environment(), server.reference(), world.access);
  CHECK(host.call(send(http::Method::patch, "x"), {}).response.status == 429);
  CHECK(world.sleeps.empty());
  host.call(get(), {});
  CHECK(world.slept() == milliseconds(5000));
  Call once = send(http::Method::post, "x");
  once.retry = false;
  CHECK(host.call(once, {}).response.status == 429);
  CHECK(server.count("POST") == 1);
}

TEST_CASE("F20: workers that are rate limited wait together and stay within bounds") {
  World world;
  Server server([](const HttpRequest&) { return HttpResponse{429, {{"Retry-After", "1"}}, ""}; });
  Host host(world.environment(), server.reference(), world.access);
  std::atomic<int> limited{0};
  {
    std::vector<std::jthread> workers;
    for (int i = 0; i < 8; ++i) {
      workers.emplace_back([&] {
        try {
          host.call(get(), {});
        } catch (const Error& error) {
          limited += error.kind() == ErrorKind::rate_limited ? 1 : 0;
        }
      });
    }
  }
  CHECK(limited == 8);
  CHECK(server.http().request_count() <= 32);
}

// ---- many at once
// ------------------------------------------------------------------------------------

TEST_CASE("twenty workers ask once and fetch one token") {
  World world;
  world.login();
  BearerRegistry registry;
  std::size_t anonymous_requests = 1;
  SUBCASE("of a registry that challenges") {}
  SUBCASE("of one that says 404 to strangers, and challenges the ping") {
    registry.to_strangers = 404;
    anonymous_requests = 2;
  }
  Hosts hosts(world.environment());
  std::atomic<int> good{0};
  {
    std::vector<std::jthread> workers;
    for (int i = 0; i < 20; ++i) {
      workers.emplace_back([&, i] {
        Host& host = hosts.get(registry.server.reference(), world.access);
        const Call call = i % 2 == 0 ? get() : send(http::Method::put, "x");
        good += host.call(call, {}).response.status == 200 ? 1 : 0;
      });
    }
  }
  CHECK(good == 20);
  CHECK(registry.issued == 1);
  std::size_t unauthorised = 0;
  for (const std::string& line : registry.server.seen())
    unauthorised += line.ends_with(" -") ? 1U : 0U;
  CHECK(unauthorised <= anonymous_requests);  // 1 if a PUT came first
}

TEST_CASE("a stop request ends the waiting of every worker") {
  World world;
  Server server([](const HttpRequest&) { return HttpResponse{}; });
  Host host(world.environment(), server.reference(), world.access);
  std::stop_source stop;
  stop.request_stop();
  check_error(ErrorKind::interrupted, "", [&] { host.call(get(), stop.get_token()); });
}

TEST_CASE("repositories share the question, and have credentials of their own") {
  World world;
  world.access.anonymous = false;
  BearerRegistry registry;
  const std::string authority = registry.server.http().authority();
  world.access.authfile =
      world.dir.write("auth.json", R"({"auths":{")" + authority + R"(/a":{"auth":")" +
                                       base64_encode("usera:p") + R"("},")" + authority +
                                       R"(/b":{"auth":")" + base64_encode("userb:p") + R"("}}})");
  Hosts hosts(world.environment());
  Host& a = hosts.get(registry.server.reference("a/x"), world.access);
  Host& b = hosts.get(registry.server.reference("b/x"), world.access);
  CHECK(&a == &hosts.get(registry.server.reference("a/x:other"), world.access));
  CHECK(&a != &b);
  a.call(get(), {});
  b.call(get(), {});
  CHECK(registry.issued == 2);
  CHECK(registry.server.count("GET " + kPath + " -") == 1);
  CHECK(a.describe_credential() ==
        "user usera from " + world.dir.path() + "/auth.json (key " + authority + "/a)");
  CHECK(contains(b.describe_credential(), "userb"));
}

// ---- the rest
// ----------------------------------------------------------------------------------------

TEST_CASE("R2.2: a blocked registry is refused before any traffic") {
  World world;
  world.conf.merge("[[registry]]\nprefix=\"reg.example/closed\"\nblocked=true\n", "/etc/x.conf");
  const RegistryReference closed = RegistryReference::parse("reg.example/closed/app");
  check_error(ErrorKind::denied, "/etc/x.conf",
              [&] { const Host host(world.environment(), closed, world.access); });
  Hosts hosts(world.environment());
  check_error(ErrorKind::denied, "reg.example/closed/app is blocked",
              [&] { hosts.get(closed, world.access); });
  CHECK(hosts.get(RegistryReference::parse("reg.example/open"), world.access).name() ==
        "reg.example");
}

TEST_CASE("F99: warnings are shown once, and few") {
  CHECK(parse_warning("299 - \"old \\\"API\\\"\"") == "old \"API\"");
  for (const std::string_view bad :
       {"199 - \"x\"", "299 host \"x\"", "299 - x", "299 - \"x", "299 - \"x\\", "", "299 - \"\"",
        "299 - \"a\x1b[1m\"", "299 - \"a\nb\""}) {
    CAPTURE(bad);
    CHECK(!parse_warning(bad));
  }
  World world;
  int n = 0;
  Server server([&](const HttpRequest&) {
    return HttpResponse{
        200,
        {{"Warning", "299 - \"deprecated\""},
         {"Warning", "299 - \"number " + std::to_string(n++) + std::string(100, '.') + "\""}},
        ""};
  });
  Host host(world.environment(), server.reference(), world.access);
  std::size_t bytes = 0;
  for (int i = 0; i < 100; ++i) host.call(get(), {});
  for (const std::string& note : world.notes) bytes += note.size();
  CHECK(world.notes.at(0) == server.http().authority() + " warns: deprecated");
  CHECK(world.notes.size() > 10);
  CHECK(bytes <= 4096);
}

TEST_CASE("the debug log has every exchange and no secret") {
  World world;
  world.login("me", "s3cret");
  BearerRegistry registry;
  registry.token = [&](const HttpRequest& request) {
    registry.valid.insert("t0ps3cret");
    registry.issue(request);
    return HttpResponse{200, {}, R"({"token":"t0ps3cret"})"};
  };
  Host host(world.environment(), registry.server.reference(), world.access);
  CHECK(host.call(get(kPath + "?_state=s3cret-state"), {}).response.status == 200);
  std::size_t exchanges = 0;
  for (const std::string& line : world.lines) {
    CAPTURE(line);
    CHECK(!contains(line, "s3cret"));
    CHECK(!contains(line, base64_encode("me:s3cret")));
    exchanges += contains(line, " → ") ? 1U : 0U;
  }
  CHECK(exchanges == 3);
}
