// F25-F46: challenges, token services, and tokens that run out.
#include "oci/json.h"
#include "rows.h"

namespace tug::test {
namespace {

const std::string kToken = "^/token";

HttpResponse token_answer(const std::string& body, const std::string& type = "application/json") {
  return {200, {{"Content-Type", type}}, body};
}

// Every challenge of the registry is `make(realm)` instead.
ScriptedRegistry::Options challenging(
    ScriptedRegistry::Options options,
    std::function<std::vector<std::string>(const std::string&)> make) {
  options.manner = [make = std::move(make)](const HttpRequest& request, HttpResponse& response) {
    if (response.status != 401 || request.path() == "/token") return;
    const std::string realm = "http://" + request.header("Host").value_or("") + "/token";
    set_header(response, "WWW-Authenticate", "");
    for (const std::string& challenge : make(realm))
      response.headers.emplace_back("WWW-Authenticate", challenge);
  };
  return options;
}

// A registry that names this realm, and must not be given anything but questions.
Case bad_realm(std::string id, const std::string& realm, const std::string& says) {
  return {.id = std::move(id),
          .title = "realm " + realm,
          .registry = challenging(with_bearer(),
                                  [realm](const std::string&) {
                                    return std::vector<std::string>{"Bearer realm=\"" + realm +
                                                                    "\",service=\"s\""};
                                  }),
          .ends = fails("auth", says),
          .check = [](Lab& lab) {
            for (const HttpRequest& request : lab.registry.requests())
              lab.expect(!request.has_header("Authorization"), "no credential is sent");
          }};
}

// A registry with a public name, which a proxy on loopback stands for.
void name_it_publicly(Lab& lab) {
  lab.destination = "docker://registry.test:5000/team/app:v1";
  lab.environment = {{"http_proxy", lab.registry.url()}, {"https_proxy", lab.registry.url()}};
}

Case private_realm(std::string id, const std::string& realm) {
  Case row = bad_realm(std::move(id), realm, "private address");
  row.title += " of a registry with a public name";
  row.arrange = name_it_publicly;
  return row;
}

// What the token service answers is no token.
Case no_token(std::string id, const std::string& title, const HttpResponse& response,
              const std::string& says) {
  return {.id = std::move(id),
          .title = title,
          .registry = with_bearer(),
          .faults = {answers("", kToken, response, kAlways)},
          .ends = fails("auth", says),
          .check = [](Lab& lab) {
            lab.expect(lab.registry.token_count() == 1, "one request for a token");
            for (const HttpRequest& request : lab.requests("", "^/v2/"))
              lab.expect(!request.has_header("Authorization"), "no such token is sent");
          }};
}

// Changes the token service's good answer.
Fault edits_token(std::function<void(Json&)> change) {
  return edits("", kToken, [change = std::move(change)](HttpResponse& response) {
    if (response.status != 200) return;
    Json body = Json::parse(response.body);
    change(body);
    response.body = body.dump();
  });
}
Case odd_token(std::string id, const std::string& title, std::function<void(Json&)> change,
               std::size_t max_tokens = 1) {
  return {.id = std::move(id),
          .title = title,
          .registry = with_bearer(),
          .faults = {edits_token(std::move(change))},
          .check = [max_tokens](Lab& lab) {
            lab.expect(lab.registry.token_count() <= max_tokens, "no storm of token requests");
          }};
}

// 401 as the registry itself says it.
HttpResponse invalid_token(const std::string& realm = "/token") {
  return answer(401, error_body("UNAUTHORIZED"),
                {{"WWW-Authenticate",
                  "Bearer realm=\"" + realm + "\",service=\"scripted\",error=\"invalid_token\""}});
}

std::vector<Case> challenges() {
  const auto digest_only = [](const std::string&) {
    return std::vector<std::string>{"Digest realm=\"x\", Negotiate"};
  };
  return {
      {.id = "F25",
       .title = "401 without a challenge, which only the ping has",
       .registry =
           [] {
             ScriptedRegistry::Options options = with_bearer();
             options.manner = [](const HttpRequest& request, HttpResponse& response) {
               if (request.path() != "/v2/") set_header(response, "WWW-Authenticate", "");
             };
             return options;
           }()},
      {.id = "F26a",
       .title = "three challenges in one line",
       .registry = challenging(with_bearer(),
                               [](const std::string& realm) {
                                 return std::vector<std::string>{
                                     "Negotiate, Bearer realm=\"" + realm +
                                     "\",service=\"scripted\",scope=\"a:b,c\", "
                                     "Basic realm=\"x, y\""};
                               })},
      {.id = "F26b",
       .title = "three challenges in three lines",
       .registry = challenging(with_bearer(),
                               [](const std::string& realm) {
                                 return std::vector<std::string>{
                                     "Negotiate", "Basic realm=\"x, y\"",
                                     "bearer Realm = \"" + realm + "\" , service=scripted"};
                               })},
      {.id = "F27a",
       .title = "a quote that never ends",
       .registry = challenging(with_bearer(),
                               [](const std::string& realm) {
                                 return std::vector<std::string>{"Bearer realm=\"" + realm};
                               }),
       .ends = fails("auth")},
      {.id = "F27b",
       .title = "an empty challenge",
       .registry = challenging(with_bearer(),
                               [](const std::string&) { return std::vector<std::string>{""}; }),
       .ends = fails("auth", "does not say how to log in")},
      {.id = "F27c",
       .title = "a challenge of 100 KB",
       .registry = challenging(with_bearer(),
                               [](const std::string&) {
                                 return std::vector<std::string>{"Bearer realm=\"" +
                                                                 std::string(100'000, 'x')};
                               }),
       .ends = fails("auth")},
      {.id = "F27d",
       .title = "schemes that nobody knows",
       .registry = challenging(with_bearer(), digest_only),
       .ends = fails("auth", "digest, negotiate")},
  };
}

std::vector<Case> token_answers() {
  return {
      no_token("F28", "the token service says 200 with HTML", token_answer(kHtml, "text/html"),
               "text/html"),
      no_token("F29a", "{}", token_answer("{}"), "token"),
      no_token("F29b", "an empty token", token_answer(R"({"token":""})"), "token"),
      no_token("F29c", "a number for a token", token_answer(R"({"token":123})"), "token"),
      no_token("F29d", "an array", token_answer("[]"), "token"),
      no_token("F29e", "5 MB of token",
               token_answer(R"({"token":")" + std::string(5'000'000, 'x') + "\"}"), "too long"),
      no_token("F30a", "a token with a line end and another header",
               token_answer(R"({"token":"abc\r\nX-Evil: 1"})"), "token"),
      no_token("F30b", "a token with spaces", token_answer(R"({"token":"abc def"})"), "token"),
      odd_token("F31a", "no expires_in", [](Json& body) { body.erase("expires_in"); }),
      odd_token("F31b", "expires_in 1", [](Json& body) { body.set("expires_in", 1); }),
      odd_token("F31c", "expires_in -1", [](Json& body) { body.set("expires_in", -1); }),
      odd_token("F31d", "expires_in 1e30", [](Json& body) { body.set("expires_in", 1e30); }),
      odd_token("F31e", "expires_in \"300\"", [](Json& body) { body.set("expires_in", "300"); }),
      odd_token("F32a", "issued in 1970",
                [](Json& body) { body.set("issued_at", "1970-01-01T00:00:00Z"); }),
      odd_token("F32b", "issued in 2099",
                [](Json& body) { body.set("issued_at", "2099-01-01T00:00:00Z"); }),
      odd_token("F32c", "issued some time", [](Json& body) { body.set("issued_at", "some time"); }),
      odd_token("F33a", "only access_token",
                [](Json& body) {
                  body.set("access_token", body.string_or_empty("token"));
                  body.erase("token");
                }),
      odd_token("F33b", "access_token is another one",
                [](Json& body) { body.set("access_token", "something-else"); }),
      {.id = "F34",
       .title = "no POST for identity tokens, and there is no password",
       .registry = with_bearer(),
       .arrange =
           [](Lab& lab) {
             lab.secrets.push_back("1dent1ty-s3cr3t");
             const std::string file =
                 lab.dir.write("auth.json", R"({"auths":{")" + lab.registry.authority() +
                                                R"(":{"identitytoken":"1dent1ty-s3cr3t"}}})");
             lab.flags = {"--dest-tls-verify=false", "--authfile=" + file};
           },
       .ends = fails("auth", "identity token"),
       .check =
           [](Lab& lab) {
             for (const HttpRequest& request : lab.registry.requests()) {
               lab.expect(!request.has_header("Authorization"), "it is not sent as a password");
               lab.expect(request.target.find("1dent1ty") == std::string::npos, "nor in a query");
             }
             lab.expect(lab.requests("POST", kToken).size() == 1, "one exchange is tried");
           }},
  };
}

std::vector<Case> refusals() {
  return {
      {.id = "F35",
       .title = "401 with a good challenge to everything",
       .registry = with_bearer(),
       .faults = {answers("", "^/v2/", invalid_token(), kAlways)},
       .ends = fails("auth", "401"),
       .check = [](Lab& lab) { lab.expect(lab.registry.token_count() <= 2, "at most two tokens"); },
       .max_requests = 10},
      {.id = "F36a",
       .title = "401 invalid_token on the commit",
       .registry = with_bearer(),
       .faults = {answers("PUT", kCommit, invalid_token())},
       .check =
           [](Lab& lab) {
             lab.expect(lab.requests("PATCH").size() == 1, "the body is sent once");
             lab.expect(lab.requests("PUT", kCommit).size() == 2, "the commit is repeated");
           }},
      {.id = "F36b",
       .title = "every token expires at once, and --debug tells no secret",
       .registry = with_bearer(),
       .faults = {answers("PUT", kBlobs, invalid_token()), answers("PATCH", "", invalid_token())},
       .flags = {"--debug"},
       .check =
           [](Lab& lab) {
             lab.expect(lab.program->err().find("level=debug") != std::string::npos, "it tells");
           }},
      {.id = "F37",
       .title = "401 after the first MB of a PATCH",
       .registry = with_bearer(),
       .faults = {[] {
         Fault early = answers("PATCH", "", invalid_token());
         early.act = Act::answer_early;
         early.body_bytes = kMiB;
         set_header(early.response, "Connection", "close");
         return early;
       }()},
       .image = {.layers = {16 * kMiB}},
       .check = [](Lab& lab) { lab.expect(whole_patches(lab) == 2, "the body is sent anew"); }},
      {.id = "F38",
       .title = "401 insufficient_scope that names a wider one",
       .registry = with_bearer(),
       .arrange =
           [](Lab& lab) {
             lab.registry.script(
                 answers("POST", kUploads,
                         answer(401, error_body("UNAUTHORIZED"),
                                {{"WWW-Authenticate",
                                  "Bearer realm=\"" + lab.registry.url("/token") +
                                      "\",service=\"scripted\",error=\"insufficient_scope\","
                                      "scope=\"repository:team/app:pull,push,delete\""}})));
           },
       .check =
           [](Lab& lab) {
             bool wider = false;
             for (const HttpRequest& request : lab.requests("GET", kToken))
               wider = wider || request.query().find("delete") != std::string::npos;
             lab.expect(wider, "the wider scope is asked for");
           }},
      {.id = "F39",
       .title = "403 on POST",
       .registry = with_bearer(),
       .faults = {answers("POST", kUploads,
                          answer(403, error_body("DENIED", "quota of the project exceeded")),
                          kAlways)},
       .image = {.layers = {}},
       .ends = fails("denied", "quota of the project exceeded"),
       .check =
           [](Lab& lab) { lab.expect(lab.requests("POST", kUploads).size() == 1, "one attempt"); }},
      {.id = "F40",
       .title = "an http realm on an https registry",
       .registry = challenging(with_tls(with_bearer()),
                               [](const std::string& realm) {  // it begins with http:
                                 return std::vector<std::string>{"Bearer realm=\"" + realm +
                                                                 "\",service=\"s\""};
                               }),
       .verify_tls = true,
       .arrange = trust_ca,
       .ends = fails("auth", "plain http"),
       .check = [](Lab& lab) { lab.expect(lab.registry.token_count() == 0, "no request to it"); }},
      private_realm("F41a", "https://169.254.169.254/"),
      private_realm("F41b", "https://127.0.0.1:1/"),
      private_realm("F41c", "https://[::1]/"),
      bad_realm("F42a", "https://user:pw@host.test/", "refused"),
      bad_realm("F42b", "file:///etc/passwd", "neither http nor https"),
      bad_realm("F42c", "null://registry.test/v2/token", "neither http nor https"),
      {.id = "F42d",
       .title = "a relative realm",
       .registry = challenging(with_bearer(),
                               [](const std::string&) {
                                 return std::vector<std::string>{
                                     "Bearer realm=\"/token\",service=\"scripted\""};
                               })},
  };
}

// The token service is another server, with the same users.
Case realm_elsewhere() {
  Case row{.id = "F43",
           .title = "the realm is another https origin",
           .registry = with_tls(with_basic())};
  // Its tokens are what the registry takes.
  const auto realm = std::make_shared<std::string>();
  row.registry.auth = ScriptedRegistry::Auth::none;
  row.registry.rule = [realm](const HttpRequest& request) -> std::optional<HttpResponse> {
    if (request.header("Authorization") == "Bearer abc") return std::nullopt;
    return answer(401, error_body("UNAUTHORIZED"),
                  {{"WWW-Authenticate", "Bearer realm=\"" + *realm + "\",service=\"s\""}});
  };
  row.verify_tls = true;
  row.arrange = [realm](Lab& lab) {
    trust_ca(lab);
    lab.flags.push_back("--dest-creds=robot:s3cr3t-pa55word");
    const HttpServer& service = lab.add_server(
        [](const HttpRequest&, HttpConnection& connection) {
          connection.send(token_answer(R"({"token":"abc"})"));
        },
        {.tls = HttpServer::Tls{pki().server, ""}}, true);
    *realm = service.url("/token");
  };
  row.check = [](Lab& lab) {
    for (const HttpRequest& request : lab.registry.requests())
      lab.expect(!request.header("Authorization").value_or("").starts_with("Basic"),
                 "the password goes to the token service alone");
  };
  return row;
}

Case token_trouble(std::string id, int status) {
  return {.id = std::move(id),
          .title = "the token service says " + std::to_string(status) + " twice",
          .registry = with_bearer(),
          .faults = {answers("", kToken, answer(status), {2})},
          .check = [](Lab& lab) { lab.expect(lab.registry.token_count() <= 5, "bounded"); }};
}

}  // namespace

std::vector<Case> auth_cases() {
  std::vector<Case> rows = challenges();
  for (auto more : {token_answers(), refusals()})
    for (Case& row : more) rows.push_back(std::move(row));
  rows.push_back(realm_elsewhere());
  rows.push_back(token_trouble("F44a", 503));
  rows.push_back(token_trouble("F44b", 429));
  Case long_token = odd_token("F45", "a token that is too long for the registry",
                              [](Json& body) { body.set("token", std::string(20'000, 't')); });
  long_token.registry.rule = [](const HttpRequest& request) -> std::optional<HttpResponse> {
    if (request.header("Authorization").value_or("").size() < 8192) return std::nullopt;
    return answer(400, "<html><title>400 Request Header Or Cookie Too Large</title></html>");
  };
  long_token.ends = fails("auth|limit", "Too Large");
  long_token.max_requests = 12;
  rows.push_back(std::move(long_token));
  rows.push_back(
      {.id = "F46",
       .title = "the token service refuses the scope of the mount's source",
       .registry = with_bearer(),
       .faults = {answers("", "^/token.*push.*team%2Fbase|^/token.*push.*team/base",
                          answer(400, R"({"details":"invalid repository name"})"), kAlways)},
       .mountable = true,
       .check = [](Lab& lab) {
         lab.expect(lab.requests("PATCH").size() == 1, "what could not be mounted is sent");
       }});
  return rows;
}

}  // namespace tug::test
