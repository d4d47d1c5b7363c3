#include "http/url.h"

#include <tug/error.h>

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace tug::http {
namespace {

TEST_CASE("URLs that are taken, and what they become") {
  struct Case {
    const char* text;
    const char* origin;
    const char* target;
    const char* str;
  };
  const std::vector<Case> cases{
      {"https://reg.example/v2/", "https://reg.example", "/v2/", "https://reg.example/v2/"},
      {"HTTPS://Reg.Example/V2/", "https://reg.example", "/V2/", "https://reg.example/V2/"},
      {"http://localhost:5000", "http://localhost:5000", "/", "http://localhost:5000/"},
      {"https://r:443/x", "https://r", "/x", "https://r:443/x"},
      {"https://r:/x", "https://r", "/x", "https://r/x"},
      {"http://r:443/x", "http://r:443", "/x", "http://r:443/x"},
      {"https://r?a=b", "https://r", "/?a=b", "https://r/?a=b"},
      {"https://r/p?", "https://r", "/p?", "https://r/p?"},
      {"https://r/p#frag?x", "https://r", "/p", "https://r/p"},
      {"https://r/a/../b", "https://r", "/a/../b", "https://r/a/../b"},
      {"https://r/p?a%2Bb=+&e=&;/=", "https://r",
       "/p?a%2Bb=+&e=&;/=", "https://r/p?a%2Bb=+&e=&;/="},
      {"https://[2001:DB8:0:0::1]:5000/", "https://[2001:db8::1]:5000", "/",
       "https://[2001:db8::1]:5000/"},
      {"https://my_reg.local/", "https://my_reg.local", "/", "https://my_reg.local/"},
      {"https://r/p?u=a@b:c", "https://r", "/p?u=a@b:c", "https://r/p?u=a@b:c"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.text);
    const Url url = Url::parse(c.text);
    CHECK(url.origin().str() == c.origin);
    CHECK(url.target() == c.target);
    CHECK(url.str() == c.str);
    CHECK(Url::parse(url.str()) == url);
  }
}

TEST_CASE("URLs that are refused") {
  const std::vector<std::string> cases{
      "",
      "/v2/",
      "reg.example/v2/",
      "reg:5000/v2/",
      "ftp://r/",
      "file:///etc/passwd",
      "null://r/",
      "https:/r",
      "https:r",
      "https://",
      "https:///p",
      "https://:5000/",
      "https://user:pw@r/",
      "https://@r/",
      "https://r:0/",
      "https://r:65536/",
      "https://r:5x/",
      "https://r:-1/",
      "https://r:99999999999999999999/",
      "https://[::1/",
      "https://[::g]/",
      "https://[::1]x/",
      "https://[fe80::1%25eth0]/",
      "https://r\\evil/",
      "https://r%2eexample/",
      "https://r example/",
      "https://r/a b",
      "https://r/a\r\nX-Evil: 1",
      "https://r/\t",
      std::string("https://r/\0x", 12),
      "https://r/\x7f",
      "https://r/\xc3\xa9",
      " https://r/",
      "https://r/" + std::string(16 * 1024, 'a'),
      "https://" + std::string(300, 'a') + "/",
  };
  for (const std::string& text : cases) {
    CAPTURE(text);
    CHECK_THROWS_AS((void)Url::parse(text), Error);
  }
  try {
    (void)Url::parse("https://user:hunter2@r/?sig=s3cret");
    FAIL("userinfo was taken");
  } catch (const Error& error) {
    const std::string what = error.what();
    CHECK(error.kind() == ErrorKind::protocol);
    CHECK(what.find("hunter2") == std::string::npos);
    CHECK(what.find("s3cret") == std::string::npos);
  }
}

// RFC 3986 5.4, with the base made http; fragments are dropped.
TEST_CASE("references resolve as RFC 3986 says") {
  const Url base = Url::parse("http://a/b/c/d;p?q");
  const std::vector<std::pair<const char*, const char*>> cases{
      {"g", "http://a/b/c/g"},
      {"./g", "http://a/b/c/g"},
      {"g/", "http://a/b/c/g/"},
      {"/g", "http://a/g"},
      {"//g", "http://g/"},
      {"?y", "http://a/b/c/d;p?y"},
      {"g?y", "http://a/b/c/g?y"},
      {"#s", "http://a/b/c/d;p?q"},
      {"g#s", "http://a/b/c/g"},
      {"g?y#s", "http://a/b/c/g?y"},
      {";x", "http://a/b/c/;x"},
      {"g;x?y#s", "http://a/b/c/g;x?y"},
      {".", "http://a/b/c/"},
      {"./", "http://a/b/c/"},
      {"..", "http://a/b/"},
      {"../", "http://a/b/"},
      {"../g", "http://a/b/g"},
      {"../..", "http://a/"},
      {"../../", "http://a/"},
      {"../../g", "http://a/g"},
      {"../../../g", "http://a/g"},
      {"../../../../g", "http://a/g"},
      {"/./g", "http://a/g"},
      {"/../g", "http://a/g"},
      {"g.", "http://a/b/c/g."},
      {".g", "http://a/b/c/.g"},
      {"g..", "http://a/b/c/g.."},
      {"..g", "http://a/b/c/..g"},
      {"./../g", "http://a/b/g"},
      {"./g/.", "http://a/b/c/g/"},
      {"g/./h", "http://a/b/c/g/h"},
      {"g/../h", "http://a/b/c/h"},
      {"g;x=1/./y", "http://a/b/c/g;x=1/y"},
      {"g;x=1/../y", "http://a/b/c/y"},
      {"g?y/./x", "http://a/b/c/g?y/./x"},
      {"g?y/../x", "http://a/b/c/g?y/../x"},
      {"http://h/x/../y", "http://h/y"},
  };
  for (const auto& [location, target] : cases) {
    const std::string reference = location;
    CAPTURE(reference);
    CHECK(base.resolve(reference).str() == target);
  }
}

TEST_CASE("F54: every form of Location resolves, and origins compare by value") {
  const Url base = Url::parse("https://reg.example:443/nexus/v2/r/blobs/uploads/?x=0");
  struct Case {
    const char* location;
    const char* target;
    bool same_origin;
  };
  const std::vector<Case> cases{
      {"/v2/r/blobs/uploads/1?_state=a", "https://reg.example:443/v2/r/blobs/uploads/1?_state=a",
       true},
      {"1?_state=a", "https://reg.example:443/nexus/v2/r/blobs/uploads/1?_state=a", true},
      {"?x=1", "https://reg.example:443/nexus/v2/r/blobs/uploads/?x=1", true},
      {"//host/p", "https://host/p", false},
      {"//REG.example/p", "https://reg.example/p", true},
      {"https://REG.EXAMPLE/p", "https://reg.example/p", true},
      {"https://reg.example:443/p#f", "https://reg.example:443/p", true},
      {"https://reg.example:8443/p", "https://reg.example:8443/p", false},
      {"http://reg.example/p", "http://reg.example/p", false},
      {"http://reg.example:443/p", "http://reg.example:443/p", false},
  };
  for (const Case& c : cases) {
    CAPTURE(c.location);
    const Url url = base.resolve(c.location);
    CHECK(url.str() == c.target);
    CHECK((url.origin() == base.origin()) == c.same_origin);
  }
}

TEST_CASE("F55: the query stays byte for byte, and digest is appended") {
  const Url base = Url::parse("https://r/v2/x");
  const std::string digest = "sha256:ab";
  const std::vector<std::pair<const char*, const char*>> cases{
      {"/u", "/u?digest=sha256%3Aab"},
      {"/u?", "/u?digest=sha256%3Aab"},
      {"/u?_state=a%2Bb+c=/&e=&a;b", "/u?_state=a%2Bb+c=/&e=&a;b&digest=sha256%3Aab"},
      {"/u?a&&b", "/u?a&&b&digest=sha256%3Aab"},
      {"/u%2F..%2f?A", "/u%2F..%2f?A&digest=sha256%3Aab"},
  };
  for (const auto& [reference, target] : cases) {
    const std::string location = reference;
    CAPTURE(location);
    CHECK(base.resolve(location).with_query("digest", digest).target() == target);
  }
}

TEST_CASE("F57: private addresses are known in every notation") {
  const std::vector<const char*> private_hosts{
      "127.0.0.1",         "127.255.1.2",     "10.1.2.3",
      "172.16.0.1",        "172.31.255.255",  "192.168.1.1",
      "169.254.169.254",   "0.0.0.0",         "100.100.100.200",
      "192.0.0.192",       "127.1",           "0x7f.1",
      "0x7f000001",        "2130706433",      "017700000001",
      "127.0.0.1.",        "[::1]",           "[::]",
      "[fe80::1]",         "[fc00::1]",       "[fd12::1]",
      "[::ffff:10.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::a00:1]",
      "[2002:7f00:1::]",   "[fec0::1]"};
  const std::vector<const char*> public_hosts{
      "reg.example", "localhost",  "8.8.8.8",       "172.32.0.1",       "11.0.0.1", "100.128.0.1",
      "192.169.0.1", "10.example", "[2001:db8::1]", "[::ffff:8.8.8.8]", "1.2.3.4.5"};
  for (const char* host : private_hosts) {
    CAPTURE(host);
    CHECK(Url::parse("https://" + std::string(host) + "/").has_private_ip_literal());
  }
  for (const char* host : public_hosts) {
    CAPTURE(host);
    CHECK_FALSE(Url::parse("https://" + std::string(host) + ":1/").has_private_ip_literal());
  }
}

TEST_CASE("loopback hosts are told from others") {
  for (const char* host : {"localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "[::1]", "127.1"}) {
    CHECK(Url::parse("http://" + std::string(host) + ":1/").is_loopback());
  }
  for (const char* host : {"localhost.example", "10.0.0.1", "[::2]", "r"}) {
    CHECK_FALSE(Url::parse("http://" + std::string(host) + ":1/").is_loopback());
  }
}

TEST_CASE("F57: another scheme keeps host, explicit port, path and query") {
  CHECK(Url::parse("http://r/p?q").with_scheme("https").str() == "https://r/p?q");
  CHECK(Url::parse("http://r:5000/p").with_scheme("https").str() == "https://r:5000/p");
  CHECK(Url::parse("http://r/p").with_scheme("https").origin().port == 443);
}

TEST_CASE("F58: locations with control characters, or of 64 KB, are refused") {
  const Url base = Url::parse("https://r/");
  for (const std::string& location :
       {std::string("/a\r\nb"), std::string("/a\0b", 4), "/" + std::string(64 * 1024, 'x'),
        std::string("/a b"), std::string(), std::string("https://u:p@r/"), std::string("///p")}) {
    CHECK_THROWS_AS((void)base.resolve(location), Error);
  }
  // Each alone is short enough, both together are not.
  const Url deep = Url::parse("https://r/" + std::string(10 * 1024, 'a') + "/");
  CHECK_THROWS_AS((void)deep.resolve(std::string(10 * 1024, 'b')), Error);
}

TEST_CASE("redacted() masks what may be a signature or a state (rule S7)") {
  const std::vector<std::pair<const char*, const char*>> cases{
      {"https://r/p?digest=sha256%3Aab&_state=s3cret", "https://r/p?digest=sha256%3Aab&_state=***"},
      {"https://r/p?X-Amz-Signature=1&X-Amz-Credential=2&from=a%2Fb",
       "https://r/p?X-Amz-Signature=***&X-Amz-Credential=***&from=a%2Fb"},
      {"https://r/p?sig=a=b", "https://r/p?sig=***"},
      {"https://r/p?opaque", "https://r/p?***"},
      {"https://r/p?", "https://r/p?"},
      {"https://r/p", "https://r/p"},
      {"https://r/p?mount=d&from=x", "https://r/p?mount=d&from=x"},
  };
  for (const auto& [text, shown] : cases) CHECK(Url::parse(text).redacted() == shown);
}

}  // namespace
}  // namespace tug::http
