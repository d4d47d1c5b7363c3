#include "http/client.h"

#include "support/error_of.h"
#include "support/http_server.h"
#include "support/scoped_env.h"
#include "unit/http/client_fixture.h"

#include <doctest/doctest.h>

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace tug::http {
namespace {

using namespace std::chrono_literals;
using test::error_of;
using test::HttpConnection;
using test::HttpRequest;
using test::HttpServer;

void answer_ok(const HttpRequest&, HttpConnection& connection) {
  connection.send({201, {{"X-Seen", "yes"}}, "done"});
}

// No request of `server` brought a whole body; no handler runs any more.
void check_no_complete_body(const HttpServer& server) {
  CHECK(server.wait_idle(20s));
  for (const HttpRequest& request : server.requests()) CHECK_FALSE(request.body_complete);
}

TEST_CASE("a GET brings status, headers and body, and sends what it should") {
  HttpServer server([](const HttpRequest&, HttpConnection& connection) {
    connection.send({200, {{"A", "1"}, {"a", "2"}, {"Empty", ""}}, "hello"});
  });
  Client client({}, kNoLog);
  Request request = make_request(Method::get, server.url("/v2/a/../b?x=%2B&y"));
  request.headers.add("Accept", "application/json");
  request.headers.add("X-Empty", "");
  request.authorization = Secret("Bearer tok");
  const Response response = client.send(request, {});
  CHECK(response.status == 200);
  CHECK(response.body == "hello");
  CHECK_FALSE(response.truncated);
  CHECK(response.body_sent_completely);
  CHECK(response.headers.get_all("A").size() == 2);
  CHECK(response.headers.get("empty") == "");

  const HttpRequest seen = server.requests().at(0);
  CHECK(seen.method == "GET");
  CHECK(seen.target == "/v2/a/../b?x=%2B&y");
  CHECK(seen.header("Accept") == "application/json");
  CHECK(seen.header("X-Empty") == "");
  CHECK(seen.header("Authorization") == "Bearer tok");
  CHECK(seen.header("User-Agent") == "tug");
  CHECK(seen.header("Host") == server.authority());
  for (const char* name :
       {"Expect", "Accept-Encoding", "Content-Length", "Transfer-Encoding", "Cookie"}) {
    CAPTURE(name);
    CHECK_FALSE(seen.has_header(name));
  }
}

TEST_CASE(
    "a spare connection is opened beside the first one, and used by the next that needs one") {
  HttpServer server([](const HttpRequest&, HttpConnection& connection) {
    connection.send({200, {{"Connection", "close"}}, ""});
  });
  Client client({}, kNoLog);
  Request request = make_request(Method::get, server.url("/"));
  request.spare_connection = true;
  CHECK(client.send(request, {}).status == 200);
  while (server.connection_count() < 2) std::this_thread::sleep_for(1ms);
  request.spare_connection = false;
  CHECK(client.send(request, {}).status == 200);
  CHECK(server.connection_count() == 2);
  CHECK(client.send(request, {}).status == 200);
  CHECK(server.connection_count() == 3);
}

TEST_CASE("methods without a body: which carry Content-Length: 0") {
  HttpServer server([](const HttpRequest&, HttpConnection& connection) {
    connection.send({200, {{"Content-Length", "3"}}, "abc"});
  });
  Client client({}, kNoLog);
  for (const Method method :
       {Method::get, Method::head, Method::post, Method::put, Method::patch, Method::del}) {
    CAPTURE(to_string(method));
    const Response response = client.send(make_request(method, server.url("/m")), {});
    CHECK(response.status == 200);
    CHECK(response.body == (method == Method::head ? "" : "abc"));
    CHECK_FALSE(response.truncated);
    const HttpRequest seen = server.requests().back();
    CHECK(seen.method == to_string(method));
    const bool bodyless = method == Method::get || method == Method::head;
    CHECK(seen.header("Content-Length") ==
          (bodyless ? std::nullopt : std::optional<std::string>("0")));
    CHECK_FALSE(seen.has_header("Expect"));
  }
  CHECK(server.connection_count() == 1);
}

TEST_CASE("a small body goes out as it is") {
  HttpServer server(answer_ok);
  Client client({}, kNoLog);
  for (const std::size_t size : {1u, 1000u, 100'000u, 5'000'000u}) {
    Request request = make_request(Method::put, server.url("/manifest"));
    request.small_body = PatternSource::text(size);
    request.headers.add("Content-Type", "application/json");
    const Response response = client.send(request, {});
    CHECK(response.body_sent_completely);
    CHECK(response.body_bytes_sent == size);
    const HttpRequest seen = server.requests().back();
    CHECK(seen.header("Content-Length") == std::to_string(size));
    CHECK(seen.body == request.small_body);
  }
}

TEST_CASE("a source's bytes arrive whole, with a length and chunked, in pieces of any size") {
  HttpServer server(answer_ok);
  Client client({}, kNoLog);
  for (const bool chunked : {false, true}) {
    for (const std::uint64_t size : {0u, 1u, 3u, 4096u, 65'536u, 262'143u, 262'144u, 3'000'001u}) {
      for (const std::size_t piece : {7u, 1000u, 1u << 20}) {
        if (size > 100'000 && piece == 7) continue;
        CAPTURE(chunked);
        CAPTURE(size);
        CAPTURE(piece);
        PatternSource source(size, piece);
        Request request = make_upload(Method::patch, server.url("/upload"), source,
                                      chunked ? std::nullopt : std::optional<std::uint64_t>(size));
        bool last_called = false;
        std::uint64_t sent = 0;
        request.body->before_last = [&] { last_called = true; };
        request.body->sent = [&](std::uint64_t bytes) { sent = bytes; };
        const Response response = client.send(request, {});
        CHECK(response.status == 201);
        CHECK(response.body_sent_completely);
        CHECK(response.body_bytes_sent == size);
        CHECK(last_called);
        CHECK(sent == size);
        const HttpRequest seen = server.requests().back();
        CHECK(seen.body_complete);
        CHECK(seen.chunked() == chunked);
        CHECK(seen.body_size == size);
        CHECK(seen.body == PatternSource::text(size));
      }
    }
  }
  CHECK(server.connection_count() == 1);
}

TEST_CASE("a source that is short, long or broken: the server never sees a complete body") {
  enum class Fault { is_short, is_long, throws, throws_at_last };
  for (const bool chunked : {false, true}) {
    for (const Fault fault :
         {Fault::is_short, Fault::is_long, Fault::throws, Fault::throws_at_last}) {
      for (const std::uint64_t size : {1u, 5000u, 3'000'000u}) {
        if (chunked && (fault == Fault::is_short || fault == Fault::is_long)) continue;
        CAPTURE(chunked);
        CAPTURE(static_cast<int>(fault));
        CAPTURE(size);
        HttpServer server(answer_ok);
        Client client({}, kNoLog);
        PatternSource source(size);
        if (fault == Fault::throws) {
          source.before = [&](std::uint64_t at) {
            if (at >= size / 2) throw std::runtime_error("disk on fire");
          };
        }
        std::optional<std::uint64_t> length = size;
        if (fault == Fault::is_short) ++*length;
        if (fault == Fault::is_long) --*length;
        if (chunked) length.reset();
        Request request = make_upload(Method::put, server.url("/blob"), source, length);
        if (fault == Fault::throws_at_last) {
          request.body->before_last = [] { throw Error(ErrorKind::integrity, "digest differs"); };
        }
        if (fault == Fault::throws) {
          CHECK_THROWS_WITH_AS((void)client.send(request, {}), "disk on fire", std::runtime_error);
        } else {
          const Error error = error_of([&] { (void)client.send(request, {}); });
          CHECK(error.kind() ==
                (fault == Fault::throws_at_last ? ErrorKind::integrity : ErrorKind::local));
        }
        check_no_complete_body(server);
      }
    }
  }
}

TEST_CASE("an early answer ends the sending, and is not lost (F21, F37)") {
  struct Case {
    int status;
    bool close;  // says "Connection: close"
    bool reset;  // reads no more, and resets
    std::string body;
  };
  const std::vector<Case> cases{{413, false, false, "<html>too large</html>"},
                                {413, true, false, "<html>too large</html>"},
                                {413, true, true, "too large"},
                                {401, false, false, "{}"},
                                {401, false, true, "{}"},
                                {307, false, false, ""},
                                {500, true, false, std::string(20'000, 'e')}};
  for (const bool chunked : {false, true}) {
    for (const Case& c : cases) {
      CAPTURE(c.status);
      CAPTURE(c.close);
      CAPTURE(c.reset);
      CAPTURE(chunked);
      HttpServer server([&](const HttpRequest&, HttpConnection& connection) {
        connection.read_body_part(1'000'000);
        test::HttpResponse response{c.status, {}, c.body};
        if (c.close) response.headers.emplace_back("Connection", "close");
        connection.send_early(response);
        if (!c.reset) return connection.drain();
        connection.stall(200ms);  // at once, a reset could overtake the answer
        connection.reset();
      });
      Client client({}, kNoLog);
      PatternSource source(50'000'000);
      const Response response = client.send(
          make_upload(Method::patch, server.url("/u"), source,
                      chunked ? std::nullopt : std::optional<std::uint64_t>(50'000'000)),
          {});
      CHECK(response.status == c.status);
      CHECK(response.body == c.body);
      CHECK_FALSE(response.body_sent_completely);
      CHECK(response.body_bytes_sent < 50'000'000);
      CHECK(source.offset() < 50'000'000);
    }
  }
}

TEST_CASE("an early answer arrives while our own source has nothing to send") {
  std::atomic<bool> answered = false;
  HttpServer server([&](const HttpRequest&, HttpConnection& connection) {
    connection.send_early({401, {}, "no"});
    answered = true;
    connection.drain();
  });
  Client client({}, kNoLog);
  PatternSource source(1'000'000, 1000);
  source.before = [&](std::uint64_t at) {
    while (at > 200'000 && !answered) std::this_thread::sleep_for(1ms);
    if (at > 200'000) std::this_thread::sleep_for(5ms);
  };
  const Response response =
      client.send(make_upload(Method::patch, server.url("/u"), source, 1'000'000), {});
  CHECK(response.status == 401);
  CHECK(response.body == "no");
  CHECK_FALSE(response.body_sent_completely);
}

TEST_CASE("a connection that breaks is a retryable network error that says how far it came") {
  struct Case {
    const char* name;
    std::function<void(HttpConnection&)> act;
    const char* says;
  };
  const std::vector<Case> cases{
      {"reset mid-body",
       [](HttpConnection& c) {
         c.read_body_part(500'000);
         c.reset();
       },
       " of 20.0 MB"},
      {"close mid-body",
       [](HttpConnection& c) {
         c.read_body_part(500'000);
         c.close();
       },
       " of 20.0 MB"},
      {"close without a byte",
       [](HttpConnection& c) {
         c.read_body();
         c.close();
       },
       "closed the connection without an answer, after the whole body of 20.0 MB"},
      {"half a head",
       [](HttpConnection& c) {
         c.read_body();
         c.send_raw("HTTP/1.1 200 OK\r\nA: ");
         c.close();
       },
       "20.0 MB"},
      {"a reset after half a head",
       [](HttpConnection& c) {
         c.read_body();
         c.send_raw("HTTP/1.1 2");
         c.reset();
       },
       "20.0 MB"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    HttpServer server([&](const HttpRequest&, HttpConnection& connection) { c.act(connection); });
    Client client({}, kNoLog);
    PatternSource source(20'000'000);
    const Error error = error_of([&] {
      (void)client.send(make_upload(Method::patch, server.url("/u"), source, 20'000'000), {});
    });
    CAPTURE(std::string(error.what()));
    CHECK(error.kind() == ErrorKind::network);
    CHECK(error.retryable());
    CHECK(says(error, server.authority()));
    CHECK(says(error, c.says));
    CHECK(server.request_count() == 1);
  }
}

TEST_CASE("nobody listens: the error names host, port and reason (F01)") {
  std::string url;
  {
    const HttpServer gone(answer_ok);
    url = gone.url("/v2/");
  }
  Client client({}, kNoLog);
  const Error error = error_of([&] { (void)client.send(make_request(Method::get, url), {}); });
  CHECK(error.kind() == ErrorKind::network);
  CHECK(error.retryable());
  CHECK(says(error, "connecting to 127.0.0.1:"));
  CHECK(says(error, "Connection refused"));
}

TEST_CASE("a peer that takes, says or finishes nothing is given up (F08, F09, F10)") {
  struct Case {
    const char* name;
    bool upload;
    std::function<void(HttpConnection&)> act;
    const char* says;
    std::uint64_t bytes_to_digest = 0;
  };
  const std::vector<Case> cases{
      {"stops reading", true,
       [](HttpConnection& c) {
         c.read_body_part(100'000);
         c.stall();
       },
       "took no data for 0.3 s"},
      {"never answers a body", true,
       [](HttpConnection& c) {
         c.read_body();
         c.stall();
       },
       "did not answer within"},
      {"never answers", false, [](HttpConnection& c) { c.stall(); }, "did not answer within 0.3 s"},
      {"never answers a commit", false, [](HttpConnection& c) { c.stall(); },
       "did not answer within 1.3 s", 10'000'000},
      {"drips its head", false,
       [](HttpConnection& c) { c.drip("HTTP/1.1 200 OK\r\nX: " + std::string(10'000, 'x'), 20ms); },
       "did not answer within 0.3 s"},
      {"drips interim answers", false,
       [](HttpConnection& c) {
         while (c.alive()) {
           c.send_interim(103);
           c.stall(20ms);
         }
       },
       "did not answer within 0.3 s"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    HttpServer server([&](const HttpRequest&, HttpConnection& connection) { c.act(connection); });
    Client client(options_with(300ms), kNoLog);
    PatternSource source(20'000'000);
    Request request = c.upload ? make_upload(Method::patch, server.url("/u"), source, 20'000'000)
                               : make_request(Method::get, server.url("/g"));
    request.bytes_to_digest = c.bytes_to_digest;
    const Error error = error_of([&] { (void)client.send(request, {}); });
    CAPTURE(std::string(error.what()));
    CHECK(error.kind() == ErrorKind::network);
    CHECK(error.retryable());
    CHECK(says(error, c.says));
  }
}

TEST_CASE("a slow source is not a stalled peer, and its bytes go out meanwhile") {
  HttpServer server(answer_ok);
  Client client(options_with(200ms), kNoLog);
  for (const bool chunked : {false, true}) {
    PatternSource source(600'000, 60'000);
    source.before = [&](std::uint64_t at) {
      if (at == 420'000) std::this_thread::sleep_for(700ms);  // longer than the stall limit
    };
    const Response response =
        client.send(make_upload(Method::patch, server.url("/u"), source,
                                chunked ? std::nullopt : std::optional<std::uint64_t>(600'000)),
                    {});
    CHECK(response.status == 201);
    CHECK(response.body_sent_completely);
  }
}

TEST_CASE("once its head is there, an answer wins over what breaks afterwards (F13)") {
  const std::string head =
      "HTTP/1.1 201 Created\r\nLocation: /x\r\nContent-Length: 100\r\n\r\n0123456789";
  const std::vector<std::function<void(HttpConnection&)>> acts{
      [&](HttpConnection& c) {
        c.read_body();
        c.send_raw(head);
        c.close();
      },
      [&](HttpConnection& c) {
        c.read_body();
        c.send_raw(head);
        c.stall();
      },
      [&](HttpConnection& c) {
        c.read_body();
        c.send_raw(head);
        c.stall(100ms);
        c.reset();
      },
  };
  for (const auto& act : acts) {
    HttpServer server([&](const HttpRequest&, HttpConnection& connection) { act(connection); });
    Client client(options_with(500ms), kNoLog);
    PatternSource source(100'000);
    const Response response =
        client.send(make_upload(Method::put, server.url("/b"), source, 100'000), {});
    CHECK(response.status == 201);
    CHECK(response.headers.get("Location") == "/x");
    CHECK(response.body == "0123456789");
    CHECK(response.truncated);
    CHECK(response.body_sent_completely);
  }
}

TEST_CASE("an endless error body is cut at the limit (F15)") {
  HttpServer server([](const HttpRequest&, HttpConnection& connection) {
    connection.read_body();
    connection.send_raw("HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n");
    while (connection.alive()) connection.send_raw("400\r\n" + std::string(1024, 'x') + "\r\n");
  });
  Client client({}, kNoLog);
  const Response response = client.send(make_request(Method::get, server.url()), {});
  CHECK(response.status == 500);
  CHECK(response.body.size() == 64 * 1024);
  CHECK(response.truncated);
}

TEST_CASE("a body as long as the limit is whole, one byte more is not") {
  HttpServer server([](const HttpRequest& request, HttpConnection& connection) {
    connection.send({200, {}, std::string(std::stoul(request.query()), 'x')});
  });
  Client client({}, kNoLog);
  Request request = make_request(Method::get, server.url("/?1000"));
  request.max_response_bytes = 1000;
  CHECK_FALSE(client.send(request, {}).truncated);
  request.url = Url::parse(server.url("/?1001"));
  const Response response = client.send(request, {});
  CHECK(response.truncated);
  CHECK(response.body.size() == 1000);
}

TEST_CASE("a sink takes the body of a success, without limit, and may end it") {
  HttpServer server([](const HttpRequest& request, HttpConnection& connection) {
    connection.send({request.path() == "/ok" ? 200 : 404, {}, PatternSource::text(1'000'000)});
  });
  Client client({}, kNoLog);
  class Sink : public BodySink {
   public:
    void begin(int status, const Headers& headers) override {
      begun.push_back(status);
      length = headers.get("Content-Length").value_or("");
    }
    bool take(std::span<const std::byte> bytes) override {
      if (fails) throw std::runtime_error("disk full");
      taken.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      return true;
    }
    void when_room(std::function<void()>) override {}
    std::vector<int> begun;
    std::string length;
    std::string taken;
    bool fails = false;
  } sink;
  std::string& taken = sink.taken;
  Request request = make_request(Method::get, server.url("/ok"));
  request.sink = &sink;
  const Response response = client.send(request, {});
  CHECK(response.body.empty());
  CHECK_FALSE(response.truncated);
  CHECK(taken == PatternSource::text(1'000'000));
  CHECK(sink.begun == std::vector<int>{200});
  CHECK(sink.length == "1000000");

  taken.clear();
  request.url = Url::parse(server.url("/missing"));
  CHECK(client.send(request, {}).body.size() == 64 * 1024);
  CHECK(taken.empty());

  request.url = Url::parse(server.url("/ok"));
  sink.fails = true;
  CHECK_THROWS_WITH_AS((void)client.send(request, {}), "disk full", std::runtime_error);
}

TEST_CASE("a sink without room holds its own exchange up, and no other, for as long as it likes") {
  HttpServer server([](const HttpRequest& request, HttpConnection& connection) {
    connection.send({200, {}, PatternSource::text(request.path() == "/large" ? 3'000'000 : 10)});
  });
  Client::Options options;
  options.timeouts.stall = std::chrono::milliseconds(300);
  Client client(options, kNoLog);
  class Sink : public BodySink {
   public:
    void begin(int, const Headers&) override {}
    bool take(std::span<const std::byte> bytes) override {
      const std::lock_guard lock(mutex);
      if (taken.size() >= 100'000 * rounds) {
        full.notify_all();
        is_full = true;
        return false;
      }
      taken.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      return true;
    }
    void when_room(std::function<void()> wake_up) override {
      const std::lock_guard lock(mutex);
      wake = std::move(wake_up);
      if (!wake) full.notify_all();
    }
    std::mutex mutex;
    std::condition_variable full;
    std::function<void()> wake;
    std::string taken;
    std::size_t rounds = 1;
    bool is_full = false;
  } sink;
  Request large = make_request(Method::get, server.url("/large"));
  large.sink = &sink;
  std::thread slow([&] { CHECK_FALSE(client.send(large, {}).truncated); });
  {
    std::unique_lock lock(sink.mutex);
    sink.full.wait(lock, [&] { return sink.is_full; });
  }
  CHECK(client.send(make_request(Method::get, server.url("/small")), {}).body.size() == 10);
  std::this_thread::sleep_for(std::chrono::milliseconds(500));  // longer than a stall may last
  for (;;) {
    std::unique_lock lock(sink.mutex);
    sink.full.wait(lock, [&] { return sink.is_full || !sink.wake; });
    if (!sink.wake) break;
    sink.is_full = false;
    ++sink.rounds;
    sink.wake();
  }
  slow.join();
  CHECK(sink.taken == PatternSource::text(3'000'000));
}

TEST_CASE("answers that are no HTTP, or too much of it (F14, F58)") {
  std::string flood = "HTTP/1.1 200 OK\r\n";
  while (flood.size() < 400 * 1024) flood += "X-Filler: " + std::string(1000, 'x') + "\r\n";
  const std::string long_line =
      "HTTP/1.1 200 OK\r\nX: " + std::string(400 * 1024, 'x') + "\r\n\r\n";
  const std::vector<std::string> answers{
      flood + "\r\n",
      long_line,
      std::string("HTTP/1.1 202 OK\r\nLocation: /a\0b\r\nContent-Length: 0\r\n\r\n", 54),
      "HTTP/1.1 202 OK\r\nLocation: /a\rX-Evil: 1\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 202 \x1b[2J\r\nContent-Length: 0\r\n\r\n",
      "SSH-2.0-OpenSSH_9.2\r\n",
      "220 mail.example ESMTP\r\n",
      "HTTP/9.9 200 OK\r\n\r\n",
      "HTTP/1.1 9 OK\r\n\r\n",
      "HTTP/1.1 100 Continue\r\n\r\n",
  };
  for (const std::string& answer : answers) {
    CAPTURE(answer.substr(0, 60));
    HttpServer server([&](const HttpRequest&, HttpConnection& connection) {
      connection.send_raw(answer);
      connection.close();
    });
    Client client({}, kNoLog);
    const Error error =
        error_of([&] { (void)client.send(make_request(Method::get, server.url()), {}); });
    CAPTURE(std::string(error.what()));
    const bool interim_only = answer.starts_with("HTTP/1.1 100");
    CHECK(error.kind() == (interim_only ? ErrorKind::network : ErrorKind::protocol));
    CHECK(says(error, server.authority()));
  }
}

TEST_CASE("any cut of an answer is an error or that answer") {
  const std::string answer =
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nLocation: /x\r\nContent-Length: "
      "2\r\n\r\nok";
  const std::size_t head_size = answer.size() - 2;
  std::atomic<std::size_t> cut = 0;
  HttpServer server([&](const HttpRequest&, HttpConnection& connection) {
    connection.send_raw(std::string_view(answer).substr(0, cut));
    connection.close();
  });
  Client client({}, kNoLog);
  for (cut = 0; cut <= answer.size(); ++cut) {
    CAPTURE(cut);
    const Request request = make_request(Method::get, server.url());
    if (cut < head_size) {
      CHECK_THROWS_AS((void)client.send(request, {}), Error);
    } else {
      const Response response = client.send(request, {});
      CHECK(response.status == 201);
      CHECK(response.truncated == (cut < answer.size()));
    }
  }
}

TEST_CASE("interim answers are passed over") {
  HttpServer server([](const HttpRequest&, HttpConnection& connection) {
    connection.send_interim(100);
    connection.send_interim(103, {{"Link", "</x>"}});
    connection.send({202, {{"Range", "0-1"}}, ""});
  });
  Client client({}, kNoLog);
  PatternSource source(1'000'000);
  const Response response =
      client.send(make_upload(Method::patch, server.url(), source, 1'000'000), {});
  CHECK(response.status == 202);
  CHECK(response.headers.get("Range") == "0-1");
  CHECK_FALSE(response.headers.get("Link").has_value());
}

TEST_CASE("redirects are answers, nothing is followed") {
  HttpServer server([](const HttpRequest&, HttpConnection& connection) {
    connection.send({307, {{"Location", "/elsewhere"}, {"Set-Cookie", "a=b"}}, ""});
  });
  Client client({}, kNoLog);
  CHECK(client.send(make_request(Method::get, server.url()), {}).status == 307);
  CHECK(client.send(make_request(Method::get, server.url()), {}).status == 307);
  CHECK(server.request_count() == 2);
  CHECK_FALSE(server.requests().back().has_header("Cookie"));
}

TEST_CASE("a stop ends a transfer wherever it is") {
  struct Case {
    const char* name;
    bool upload;
    std::function<void(HttpConnection&)> act;
  };
  const std::vector<Case> cases{
      {"while sending", true,
       [](HttpConnection& c) {
         c.read_body_part(100'000);
         c.stall();
       }},
      {"while waiting", true,
       [](HttpConnection& c) {
         c.read_body();
         c.stall();
       }},
      {"a GET", false, [](HttpConnection& c) { c.stall(); }},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    std::stop_source stop;
    HttpServer server([&](const HttpRequest&, HttpConnection& connection) {
      connection.read_body_part(50'000);
      stop.request_stop();
      c.act(connection);
    });
    Client client({}, kNoLog);
    PatternSource source(20'000'000);
    const Request request = c.upload
                                ? make_upload(Method::patch, server.url("/u"), source, 20'000'000)
                                : make_request(Method::get, server.url("/g"));
    const Error error = error_of([&] { (void)client.send(request, stop.get_token()); });
    CHECK(error.kind() == ErrorKind::interrupted);
    CHECK_THROWS_AS((void)client.send(request, stop.get_token()), Error);
    CHECK(server.request_count() == 1);
  }
}

TEST_CASE("twenty threads share one client") {
  HttpServer server([](const HttpRequest& request, HttpConnection& connection) {
    connection.read_body();
    connection.send({200, {}, request.body_sha256});
  });
  Client client({}, kNoLog);
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (int t = 0; t < 20; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 5; ++i) {
        PatternSource source(200'000 + static_cast<std::uint64_t>(t) * 40'000, 30'000);
        const std::uint64_t size = 200'000 + static_cast<std::uint64_t>(t) * 40'000;
        const bool chunked = i % 2 == 1;
        const Response response =
            client.send(make_upload(Method::patch, server.url("/u"), source,
                                    chunked ? std::nullopt : std::optional(size)),
                        {});
        if (response.status == 200 && response.body_bytes_sent == size) ++good;
        (void)client.send(make_request(Method::head, server.url("/h")), {});
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(good == 100);
  CHECK(server.request_count() == 200);
  CHECK(server.connection_count() <= 32);
  CHECK(server.handler_errors().empty());
  for (const HttpRequest& request : server.requests()) CHECK(request.body_complete);
}

TEST_CASE("waiting for a free connection does not count against the connect limit") {
  HttpServer server([](const HttpRequest&, HttpConnection& connection) {
    connection.stall(300ms);
    connection.send({200, {}, ""});
  });
  Client::Options options = options_with(10s, 400ms);
  options.max_connections_per_host = 1;
  Client client(options, kNoLog);
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      if (client.send(make_request(Method::get, server.url()), {}).status == 200) ++good;
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(good == 4);
  CHECK(server.connection_count() == 1);
}

TEST_CASE("connections are kept, and one that was closed silently costs nothing (F24)") {
  HttpServer keeping(answer_ok);
  HttpServer closing([](const HttpRequest&, HttpConnection& connection) {
    connection.send({200, {}, "x"});
    connection.close();
  });
  Client client({}, kNoLog);
  for (int i = 0; i < 10; ++i) {
    CHECK(client.send(make_request(Method::get, keeping.url()), {}).status == 201);
    CHECK(client.send(make_request(Method::get, closing.url()), {}).status == 200);
    CHECK(closing.wait_idle(20s));  // the FIN is on its way
    PatternSource source(300'000);
    CHECK(client.send(make_upload(Method::patch, closing.url(), source, 300'000), {}).status ==
          200);
    CHECK(closing.wait_idle(20s));
  }
  CHECK(keeping.connection_count() == 1);
  CHECK(closing.connection_count() == 20);
  CHECK(closing.request_count() == 20);
}

TEST_CASE("headers that would smuggle others are refused before anything is sent (F30)") {
  HttpServer server(answer_ok);
  Client client({}, kNoLog);
  Request request = make_request(Method::get, server.url());
  request.authorization = Secret("Bearer s3cret\r\nX-Evil: 1");
  const Error error = error_of([&] { (void)client.send(request, {}); });
  CHECK(error.kind() == ErrorKind::usage);
  CHECK_FALSE(says(error, "s3cret"));
  for (const auto& [name, value] : std::vector<std::pair<std::string, std::string>>{
           {"X", "a\nb"}, {"X", std::string("a\0b", 3)}, {"X Y", "a"}, {"X:", "a"}, {"", "a"}}) {
    Request bad = make_request(Method::get, server.url());
    bad.headers.add(name, value);
    CHECK_THROWS_AS((void)client.send(bad, {}), Error);
  }
  CHECK(server.request_count() == 0);
}

TEST_CASE("a proxy of the environment is used, but never for loopback") {
  HttpServer proxy([](const HttpRequest&, HttpConnection& connection) {
    connection.send({200, {}, "from the proxy"});
  });
  HttpServer direct(answer_ok);
  test::ScopedEnv environment;
  for (const char* name : {"http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "no_proxy",
                           "NO_PROXY", "REQUEST_METHOD"}) {
    environment.set(name, std::nullopt);
  }
  for (const char* name : {"http_proxy", "HTTP_PROXY"}) {
    CAPTURE(name);
    environment.set(name, proxy.url());
    Client client({}, kNoLog);
    CHECK(client.send(make_request(Method::get, direct.url()), {}).status == 201);
    const Response response =
        client.send(make_request(Method::get, "http://registry.invalid:5000/v2/?a=%2B"), {});
    CHECK(response.body == "from the proxy");
    CHECK(proxy.requests().back().target == "http://registry.invalid:5000/v2/?a=%2B");
    environment.set("NO_PROXY", "registry.invalid");
    CHECK(error_of([&] {
            (void)client.send(make_request(Method::get, "http://registry.invalid:5000/"), {});
          }).kind() == ErrorKind::network);
    environment.set("NO_PROXY", std::nullopt);
    environment.set(name, std::nullopt);
  }
}

TEST_CASE("the debug log has methods, URLs and statuses, and no secret") {
  HttpServer server(answer_ok);
  std::mutex mutex;
  std::string lines;
  const Log log([&](std::string_view line) {
    const std::lock_guard lock(mutex);
    lines += std::string(line) + "\n";
  });
  Client client({}, log);
  Request request = make_request(Method::post, server.url("/u?_state=st4te"));
  request.authorization = Secret("Basic s3cret");
  (void)client.send(request, {});
  CHECK(lines.find("> POST http://" + server.authority() + "/u?_state=***") != std::string::npos);
  CHECK(lines.find("< 201 POST") != std::string::npos);
  CHECK(lines.find("s3cret") == std::string::npos);
  CHECK(lines.find("st4te") == std::string::npos);
}

TEST_CASE("a client that was never used starts no thread and ends at once") {
  const Client client({}, kNoLog);
  CHECK(true);
}

}  // namespace
}  // namespace tug::http
