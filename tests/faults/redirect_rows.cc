// F47-F59: redirects, and where an upload session's Location may point.
#include "rows.h"

namespace tug::test {
namespace {

// Gives each new session another Location, made of the good one.
ScriptedRegistry::Options relocating(
    std::function<std::string(const std::string& location, const HttpRequest&)> change,
    const std::string& method = "POST", ScriptedRegistry::Options options = {}) {
  options.manner = [change = std::move(change), method](const HttpRequest& request,
                                                        HttpResponse& response) {
    if (request.method != method || response.status != 202) return;
    set_header(response, "Location", change(header_of(response, "Location"), request));
  };
  return options;
}

std::string host_of(const HttpRequest& request) { return request.header("Host").value_or(""); }

Case commit_redirected(std::string id, int status) {
  return {.id = std::move(id),
          .title = "the commit is answered " + std::to_string(status) + " to what GET finds good",
          .faults = {answers("PUT", kBlobs, answer(status, "", {{"Location", "/v2/"}}), kAlways)},
          .ends = fails("protocol", std::to_string(status)),
          .check = [](Lab& lab) {
            // The ping that settled the scheme, and nothing else.
            lab.expect(lab.requests("GET", "^/v2/$").size() <= 1, "it is not followed with GET");
          }};
}

Case located(std::string id, const std::string& title,
             std::function<std::string(const std::string&, const HttpRequest&)> change,
             const std::string& method = "POST") {
  return {.id = std::move(id),
          .title = title,
          .registry = relocating(std::move(change), method, with_basic()),
          .check = [](Lab& lab) {
            for (const HttpRequest& request : lab.requests("PATCH"))
              lab.expect(request.has_header("Authorization"), "its own origin gets credentials");
          }};
}

// The same path at the other server, which has the same repositories.
void send_elsewhere(Lab& lab, const std::string& method, const std::string& path) {
  lab.registry.script(answers(
      method, "^" + path + "$",
      answer(307, "",
             {{"Location", lab.registry.other_url(path + "?sig=x")}, {"Set-Cookie", "a=b"}}),
      kAlways));
}

Case bad_location(std::string id, const std::string& title, const std::string& location) {
  return {.id = std::move(id),
          .title = title,
          .faults = {handles("POST", kUploads,
                             [location](const HttpRequest&, HttpConnection& connection) {
                               connection.read_body();
                               connection.send_raw("HTTP/1.1 202 Accepted\r\nLocation: " +
                                                   location + "\r\nContent-Length: 0\r\n\r\n");
                             })},
          .ends = fails("protocol"),
          .check =
              [](Lab& lab) {
                lab.expect(lab.requests("PATCH").empty() && lab.requests("PUT").empty(),
                           "nothing is sent there");
              },
          .sessions_may_stay = true};
}

std::vector<Case> redirects() {
  return {
      {.id = "F47a",
       .title = "HEAD of a blob is redirected to another host",
       .registry = with_basic(),
       .arrange =
           [](Lab& lab) {
             for (const std::string& blob : lab.image.blobs()) {
               lab.registry.add_blob(kRepository, blob);
               send_elsewhere(lab, "HEAD", "/v2/team/app/blobs/" + Digest::of(blob).str());
             }
           },
       .check =
           [](Lab& lab) {
             lab.expect(lab.registry.other_requests().size() == 3, "the redirects are followed");
             lab.expect(lab.requests("POST").empty(), "the blobs are found");
           }},
      {.id = "F47b",
       .title = "GET of a manifest is redirected to another host",
       .registry = with_basic(),
       .arrange =
           [](Lab& lab) {
             lab.registry.add_manifest(kRepository, kTag, lab.image.top(), lab.image.top_type());
             for (const std::string& blob : lab.image.blobs())
               lab.registry.add_blob(kRepository, blob);
             // Its digest is not told, so that it has to be read.
             lab.registry.script(sets_header("HEAD", kManifests, "Docker-Content-Digest", ""));
             send_elsewhere(lab, "GET", "/v2/team/app/manifests/v1");
           },
       .check =
           [](Lab& lab) {
             lab.expect(lab.registry.other_requests().size() == 1, "the redirect is followed");
             lab.expect(lab.requests("PUT").empty(), "the image is found to be there");
           }},
      {.id = "F48",
       .title = "two URLs that redirect to each other",
       .faults = {answers("", "/manifests/v1\\?a", answer(302, "", {{"Location", "?b"}}), kAlways),
                  answers("", kManifests, answer(302, "", {{"Location", "?a"}}), kAlways)},
       .ends = fails("protocol", "too many redirects"),
       .max_requests = 10},
      {.id = "F49",
       .title = "https redirects to http",
       .registry = with_tls(),
       .verify_tls = true,
       .arrange =
           [](Lab& lab) {
             trust_ca(lab);
             const HttpServer& plain = lab.add_server(
                 [](const HttpRequest&, HttpConnection& connection) { connection.send({}); });
             lab.registry.script(
                 answers("", kManifests, answer(302, "", {{"Location", plain.url("/")}}), kAlways));
           },
       .ends = fails("protocol", "https to plain http"),
       .max_requests = 5},
      commit_redirected("F50a", 301),
      commit_redirected("F50b", 302),
      commit_redirected("F50c", 303),
      {.id = "F51",
       .title = "PUT is redirected with 307 to the same origin",
       .registry =
           [] {
             ScriptedRegistry::Options options;
             options.rule = [](const HttpRequest& request) -> std::optional<HttpResponse> {
               const bool again = request.query_value("again").has_value();
               if (request.method != "PUT" || again) return std::nullopt;
               const std::string mark = request.query().empty() ? "?" : "&";
               return answer(307, "", {{"Location", request.target + mark + "again=1"}});
             };
             return options;
           }()},
      {.id = "F52",
       .title = "POST 202 without Location",
       .faults = {sets_header("POST", kUploads, "Location", "")},
       .ends = fails("protocol", "without a Location"),
       .sessions_may_stay = true},
      {.id = "F53",
       .title = "PATCH 202 without Location",
       .faults = {sets_header("PATCH", "", "Location", "")}},
  };
}

std::vector<Case> locations() {
  return {
      located("F54a", "a Location relative to the path",
              [](const std::string& location, const HttpRequest&) {
                return location.substr(location.rfind('/') + 1);
              }),
      located("F54b", "a Location without a scheme",
              [](const std::string& location, const HttpRequest& request) {
                return "//" + host_of(request) + location;
              }),
      located(
          "F54c", "a Location that is a query",
          [](const std::string& location, const HttpRequest&) {
            return location.substr(location.find('?'));
          },
          "PATCH"),
      located("F54d", "an absolute Location, its scheme in upper case",
              [](const std::string& location, const HttpRequest& request) {
                return "HTTP://" + host_of(request) + location;
              }),
      located("F54e", "a Location with a fragment",
              [](const std::string& location, const HttpRequest&) { return location + "#part"; }),
      {.id = "F54f",
       .title = "an explicit default port",
       .tested_by = "unit/http/url_test.cc: F54: every form of Location resolves",
       .why_not_here = "no test may listen on port 80 or 443"},
      {.id = "F55",
       .title = "a query full of odd characters",
       .registry = relocating([](const std::string& location, const HttpRequest&) {
         return location + "&a=%2B+=/&b=&c%3dd&e;f";
       }),
       .check =
           [](Lab& lab) {
             for (const HttpRequest& request : lab.requests("PATCH"))
               lab.expect(request.target.ends_with("&a=%2B+=/&b=&c%3dd&e;f"), "byte for byte");
             for (const HttpRequest& request : lab.requests("PUT", kSmallPut))
               lab.expect(
                   request.target.find("&a=%2B+=/&b=&c%3dd&e;f&digest=") != std::string::npos,
                   "byte for byte, and digest behind it");
           }},
      {.id = "F56a",
       .title = "a Location on another https origin",
       .registry = with_tls(with_basic()),
       .verify_tls = true,
       .arrange =
           [](Lab& lab) {
             trust_ca(lab);
             const std::string other = lab.registry.other_url("");
             lab.registry.script(edits("POST", kUploads, [other](HttpResponse& response) {
               set_header(response, "Location",
                          other.substr(0, other.find('/', 8)) + header_of(response, "Location"));
             }));
           },
       .check =
           [](Lab& lab) {
             std::size_t bodies = 0;
             for (const HttpRequest& request : lab.registry.other_requests())
               bodies += request.body_size > 0 ? 1U : 0U;
             lab.expect(bodies == 3, "the bodies go there");
           }},
      {.id = "F56b",
       .title = "a Location with a signature in it, which --debug does not tell",
       .registry = relocating(
           [](const std::string& location, const HttpRequest&) {
             return location + "&X-Amz-Signature=s3cr3t-5ign4ture&sig=s3cr3t-5ign4ture";
           },
           "POST", with_basic()),
       .flags = {"--debug"},
       .arrange = [](Lab& lab) { lab.secrets.push_back("s3cr3t-5ign4ture"); }},
      {.id = "F57a",
       .title = "a Location at a private address, of a registry with a public name",
       .registry = relocating([](const std::string& location, const HttpRequest&) {
         return "http://169.254.169.254" + location;
       }),
       .arrange =
           [](Lab& lab) {
             lab.destination = "docker://registry.test:5000/team/app:v1";
             lab.environment = {{"http_proxy", lab.registry.url()},
                                {"https_proxy", lab.registry.url()}};
           },
       .ends = fails("protocol", "private address"),
       .sessions_may_stay = true},
      {.id = "F57b",
       .title = "an http Location of an https registry",
       .registry = with_tls([] {
         ScriptedRegistry::Options options =
             relocating([](const std::string& location, const HttpRequest&) {
               return "http" + location.substr(5);
             });
         options.absolute_locations = true;
         return options;
       }()),
       .verify_tls = true,
       .arrange = trust_ca,
       .warns = "http URL over https"},
      bad_location("F58a", "a Location with a CR", "/v2/team/app/blobs/uploads/a\rX-Evil: 1"),
      bad_location("F58b", "a Location with a NUL",
                   std::string("/v2/team/app/blobs/uploads/a\0b", 29)),
      bad_location("F58c", "a Location of 64 KB",
                   "/v2/team/app/blobs/uploads/a?" + std::string(65'536, 'x')),
      {.id = "F59a",
       .title = "session URLs that are good for one request",
       .registry =
           [] {
             ScriptedRegistry::Options options;
             options.single_use_locations = true;
             return options;
           }()},
      {.id = "F59b",
       .title = "the same, in chunks",
       .registry =
           [] {
             ScriptedRegistry::Options options = in_chunks_of(300'000);
             options.single_use_locations = true;
             return options;
           }()},
  };
}

}  // namespace

std::vector<Case> redirect_cases() {
  std::vector<Case> rows = redirects();
  for (Case& row : locations()) rows.push_back(std::move(row));
  return rows;
}

}  // namespace tug::test
