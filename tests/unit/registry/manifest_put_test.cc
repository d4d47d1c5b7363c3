// Faults on the way of a manifest (registry-protocol.md section 6, and 9: F12, F78, F79, F82,
// F90-F98).
#include "oci/json.h"
#include "registry/referrers.h"
#include "registry/repository.h"
#include "support/error_of.h"
#include "support/registry_lab.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace tug::registry {
namespace {

using test::check_error;
using test::Fault;
using test::HttpResponse;
using test::LabOptions;
using test::RegistryLab;
using Act = Fault::Act;

const std::string kType(media_type::kOciManifest);
const std::string kLayer = "the layer";

std::string manifest_of(const std::string& more = "") {
  return R"({"schemaVersion":2,"layers":[{"digest":")" + Digest::of(kLayer).str() + R"("}])" +
         more + "}";
}
Descriptor describe(const std::string& bytes, const std::string& type = kType) {
  return {type, Digest::of(bytes), bytes.size(), {}, {}, {}, {}};
}
HttpResponse answer(int status, std::string body = "", test::HeaderList headers = {}) {
  return {status, std::move(headers), std::move(body)};
}
std::string error_body(const std::string& code, const std::string& detail = "",
                       const std::string& message = "x") {
  return R"({"errors":[{"code":")" + code + R"(","message":")" + message + R"(","detail":")" +
         detail + "\"}]}";
}
Fault on_put(Act act, HttpResponse response = {}, int count = 1) {
  Fault fault;
  fault.method = "PUT";
  fault.target = "/manifests/";
  fault.act = act;
  fault.response = std::move(response);
  fault.count = count;
  return fault;
}
Fault edit(std::string method, std::function<void(HttpResponse&)> change) {
  Fault fault = on_put(Act::edit, {}, Fault::kAlways);
  fault.method = std::move(method);
  fault.edit = std::move(change);
  return fault;
}
Fault on_get(int status) {
  Fault fault = on_put(Act::answer, answer(status), Fault::kAlways);
  fault.method = "GET";
  return fault;
}
void set_header(HttpResponse& response, const std::string& name, const std::string& value) {
  std::erase_if(response.headers, [&](const auto& field) { return field.first == name; });
  if (!value.empty()) response.headers.emplace_back(name, value);
}
void drop_proofs(HttpResponse& response) {
  set_header(response, "Location", "");
  set_header(response, "Docker-Content-Digest", "");
}

void put(RegistryLab& lab, const std::string& identifier, const std::string& bytes,
         const std::string& type = kType) {
  lab.repository.put_manifest(identifier, describe(bytes, type), bytes, lab.stop);
}

struct Case {
  std::string_view name;
  std::vector<Fault> faults;
  std::optional<ErrorKind> fails = std::nullopt;
  std::string says = "";
  std::size_t puts = 1;
};

TEST_CASE("what registries answer to a manifest") {
  const std::string ours = manifest_of();
  const Case cases[] = {
      {"201", {}},
      {"201 without digest",
       {edit("PUT", [](HttpResponse& r) { set_header(r, "Docker-Content-Digest", ""); })}},
      {"201 without Location (ECR)",
       {edit("PUT", [](HttpResponse& r) { set_header(r, "Location", ""); })}},
      {"201 without any proof, stored", {edit("PUT", drop_proofs)}},
      {"201 without any proof, not stored",
       {on_put(Act::answer, answer(201), Fault::kAlways)},
       ErrorKind::protocol,
       "not there afterwards"},
      {"F90 another digest",
       {edit(
           "PUT",
           [](HttpResponse& r) { set_header(r, "Docker-Content-Digest", Digest::of("x").str()); })},
       ErrorKind::integrity,
       Digest::of("x").str()},
      {"F92 202, stored (Quay)", {edit("PUT", [](HttpResponse& r) { r.status = 202; })}},
      {"F92 200, stored", {edit("PUT", [](HttpResponse& r) { r.status = 200; })}},
      {"F92 202, not stored",
       {on_put(Act::answer, answer(202), Fault::kAlways)},
       ErrorKind::protocol,
       "not there afterwards"},
      {"F91 200 HTML",
       {on_put(Act::answer, answer(200, "<html>hello</html>", {{"Content-Type", "text/html"}}),
               Fault::kAlways)},
       ErrorKind::protocol,
       "200"},
      {"F91 201 HTML with a Location",
       {on_put(Act::answer,
               answer(201, "<html>", {{"Content-Type", "text/html"}, {"Location", "/"}}),
               Fault::kAlways)},
       ErrorKind::protocol,
       "201"},
      {"301",
       {on_put(Act::answer, answer(301, "", {{"Location", "/v2/"}}), Fault::kAlways)},
       ErrorKind::protocol,
       "301"},
      {"307 same origin",
       {[] {
         Fault f =
             on_put(Act::answer, answer(307, "", {{"Location", "/v2/team/app/manifests/1?x"}}));
         return f;
       }()},
       {},
       "",
       2},
      {"307 elsewhere",
       {on_put(Act::answer,
               answer(307, "", {{"Location", "http://127.0.0.2:1/v2/team/app/manifests/1"}}))},
       ErrorKind::protocol,
       "another host"},
      {"F12 stored, answer lost", {on_put(Act::close_after)}},
      {"lost before it was stored", {on_put(Act::close)}, {}, "", 2},
      {"F12 always lost",
       {on_put(Act::close, {}, Fault::kAlways)},
       ErrorKind::network,
       "after 4 attempts",
       4},
      {"500, stored", {on_put(Act::answer_after, answer(500))}},
      {"500, not stored", {on_put(Act::answer, answer(500))}, {}, "", 2},
      {"lost, then kept in part",
       {on_put(Act::close), edit("GET", [](HttpResponse& r) { r.body.clear(); })},
       ErrorKind::integrity,
       "took it, but gives back other bytes",
       2},
      {"lost, then kept as nothing that can be read",
       {on_put(Act::close), on_get(500)},
       ErrorKind::integrity,
       "500",
       2},
      {"500, then not there",
       {on_put(Act::answer, answer(500)), on_get(404)},
       ErrorKind::integrity,
       "404",
       2},
      {"lost, and nobody may read", {on_put(Act::close), on_get(403)}, {}, "", 2},
      {"the answer lost, kept in part",
       {on_put(Act::close_after), edit("GET", [](HttpResponse& r) { r.body = "{"; })},
       ErrorKind::integrity,
       "other bytes"},
      {"429, nothing to be afraid of", {on_put(Act::answer, answer(429)), on_get(500)}, {}, "", 2},
      {"500 always",
       {on_put(Act::answer, answer(500), Fault::kAlways)},
       ErrorKind::server,
       "500",
       4},
      {"429 once", {on_put(Act::answer, answer(429))}, {}, "", 2},
      {"429 for an hour",
       {on_put(Act::answer, answer(429, "", {{"Retry-After", "3600"}}), Fault::kAlways)},
       ErrorKind::rate_limited,
       "3600 s"},
      {"403",
       {on_put(Act::answer, answer(403, error_body("DENIED", "", "quota")), Fault::kAlways)},
       ErrorKind::denied,
       "quota"},
      {"F93 404",
       {on_put(Act::answer, answer(404, error_body("NAME_UNKNOWN")), Fault::kAlways)},
       ErrorKind::not_found,
       "404"},
      {"F93 413", {on_put(Act::answer, answer(413), Fault::kAlways)}, ErrorKind::limit, "413"},
      {"F93 415", {on_put(Act::answer, answer(415), Fault::kAlways)}, ErrorKind::denied, "415"},
      {"F93 400 MANIFEST_INVALID",
       {on_put(Act::answer, answer(400, error_body("MANIFEST_INVALID", "bad layer")),
               Fault::kAlways)},
       ErrorKind::denied,
       "bad layer"},
  };
  for (const Case& c : cases) {
    for (const bool by_tag : {true, false}) {
      CAPTURE(c.name);
      CAPTURE(by_tag);
      LabOptions options;
      options.registry.keep_alive = false;
      RegistryLab lab(options);
      lab.registry.add_blob("team/app", kLayer);
      for (const Fault& f : c.faults) lab.registry.script(f);
      const std::string identifier = by_tag ? "1" : describe(ours).digest.str();
      if (c.name == "307 same origin" && !by_tag) continue;
      if (c.fails) {
        const Error error = test::error_of([&] { put(lab, identifier, ours); });
        CHECK(to_string(error.kind()) == to_string(*c.fails));
        const std::string_view line = error.what();
        INFO("the error: ", line);
        CHECK(line.find(c.says) != std::string_view::npos);
        CHECK(line.find(describe(ours).digest.str()) != std::string_view::npos);
        CHECK(line.find(lab.repository.name().name() + (by_tag ? ":1" : "")) !=
              std::string_view::npos);
      } else {
        CHECK_NOTHROW(put(lab, identifier, ours));
        CHECK(lab.registry.manifest("team/app", identifier) == ours);
      }
      CHECK(lab.registry.count("PUT", "/manifests/") == c.puts);
      CHECK(lab.requests() <= 30);
      for (const auto& request : lab.registry.requests()) {
        if (request.method != "PUT") continue;
        CHECK(request.header("Content-Type") == kType);
        CHECK(request.content_length() == ours.size());
        if (request.body_complete) CHECK(request.body == ours);
      }
    }
  }
}

TEST_CASE("a manifest that the registry fails over is replaced, and read back") {
  RegistryLab lab;
  lab.registry.add_blob("team/app", kLayer);
  const std::string ours = manifest_of();
  const auto look = [&] { return lab.repository.manifest_to_replace("1", lab.stop); };
  const auto fail_with = [&](int status) {
    Fault failing = on_put(Act::answer, answer(status), 4);
    failing.method = "HEAD";
    lab.registry.script(failing);
  };
  CHECK(look() == std::nullopt);
  put(lab, "1", ours);
  CHECK(lab.registry.count("GET", "/manifests/") == 0);
  fail_with(503);
  check_error(ErrorKind::server, "503", look);
  fail_with(500);
  CHECK(look() == std::nullopt);
  put(lab, "1", ours);
  CHECK(lab.registry.count("GET", "/manifests/") == 1);
  lab.registry.script(edit("GET", [](HttpResponse& r) { r.body.clear(); }));
  check_error(ErrorKind::integrity, "gives back other bytes", [&] { put(lab, "2", ours); });
}

TEST_CASE("a captive portal that says 200 to everything fools nobody (F91)") {
  RegistryLab lab;
  Fault portal;
  portal.count = Fault::kAlways;
  portal.response = answer(200, "<html>log in</html>", {{"Content-Type", "text/html"}});
  lab.registry.script(portal);
  CHECK(test::error_of([&] { put(lab, "1", manifest_of()); }).kind() == ErrorKind::protocol);
}

TEST_CASE("immutable tags (F94)") {
  const std::string ours = manifest_of();
  struct Refusal {
    int status;
    std::string body;
  };
  for (const Refusal& r :
       {Refusal{400, error_body("TAG_INVALID", "", "The image tag '1' already exists")},
        Refusal{403, R"({"message":"tag is immutable"})"}, Refusal{409, "Tag already exists"},
        Refusal{412, error_body("UNKNOWN", "", "Immutable")}}) {
    CAPTURE(r.status);
    RegistryLab lab;
    lab.registry.add_blob("team/app", kLayer);
    lab.registry.script(on_put(Act::answer, answer(r.status, r.body), Fault::kAlways));
    lab.registry.add_manifest("team/app", "1", "{}", kType);
    check_error(ErrorKind::denied, std::to_string(r.status), [&] { put(lab, "1", ours); });
    lab.registry.add_manifest("team/app", "1", ours, kType);
    CHECK_NOTHROW(put(lab, "1", ours));  // up to date
    CHECK(lab.registry.count("PUT") == 2);
  }
}

TEST_CASE("a manifest whose blobs are missing says which (F78, F79)") {
  const std::string ours = manifest_of();
  const Digest layer = Digest::of(kLayer);
  struct Missing {
    int status;
    std::string body;
    std::vector<Digest> digests;
  };
  for (const Missing& m :
       {Missing{400, error_body("MANIFEST_BLOB_UNKNOWN", layer.str()), {layer}},
        Missing{404, error_body("MANIFEST_BLOB_UNKNOWN", layer.str()), {layer}},
        Missing{400, error_body("BLOB_UNKNOWN", layer.str()), {layer}},
        Missing{
            400,
            R"({"errors":[{"code":"BLOB_UNKNOWN","detail":{"digest":")" + layer.str() + "\"}}]}",
            {layer}},
        Missing{400, error_body("MANIFEST_BLOB_UNKNOWN", Digest::of("not ours").str()), {}},
        Missing{400, error_body("MANIFEST_BLOB_UNKNOWN"), {}}}) {
    CAPTURE(m.body);
    RegistryLab lab;
    lab.registry.script(on_put(Act::answer, answer(m.status, m.body), Fault::kAlways));
    bool thrown = false;
    try {
      put(lab, "1", ours);
    } catch (const MissingBlobsError& error) {
      thrown = true;
      CHECK(error.digests() == m.digests);
      CHECK(std::string_view(error.what()).find("pushing manifest") != std::string_view::npos);
    }
    CHECK(thrown);
    CHECK(lab.registry.count("PUT") == 1);
  }
}

TEST_CASE("an index whose children are missing says which (F95)") {
  RegistryLab lab;
  const std::string child = manifest_of();
  const std::string index = R"({"manifests":[{"digest":")" + Digest::of(child).str() + "\"}]}";
  const auto put_index = [&] { put(lab, "1", index, std::string(media_type::kOciIndex)); };
  CHECK_THROWS_AS(put_index(), MissingBlobsError);
  lab.registry.add_blob("team/app", kLayer);
  put(lab, Digest::of(child).str(), child);
  CHECK_NOTHROW(put_index());
  // MANIFEST_UNKNOWN means a missing child for an index only.
  lab.registry.script(
      on_put(Act::answer, answer(404, error_body("MANIFEST_UNKNOWN")), Fault::kAlways));
  CHECK_THROWS_AS(put_index(), MissingBlobsError);
  check_error(ErrorKind::not_found, "MANIFEST_UNKNOWN", [&] { put(lab, "2", child); });
}

TEST_CASE("a manifest over 4 MiB is refused before anything is sent") {
  RegistryLab lab;
  check_error(ErrorKind::limit, "no registry takes",
              [&] { put(lab, "1", std::string(kMaxManifestBytes + 1, ' ')); });
  CHECK(lab.registry.requests().empty());
}

TEST_CASE("a 401 in between costs a token (F36)") {
  LabOptions options;
  options.registry.auth = test::ScriptedRegistry::Auth::bearer;
  options.with_credentials = true;
  RegistryLab lab(options);
  lab.registry.add_blob("team/app", kLayer);
  put(lab, "1", manifest_of());
  lab.registry.revoke_tokens();
  put(lab, "2", manifest_of());
  CHECK(lab.registry.manifest("team/app", "2") == manifest_of());
  CHECK(lab.registry.token_count() == 2);
}

// --- referrers -----------------------------------------------------------------------------------

const Digest kSubject = Digest::of("the subject");
std::string referring(int n) {
  return manifest_of(R"(,"artifactType":"t/)" + std::to_string(n) + R"(","subject":{"digest":")" +
                     kSubject.str() + "\"}");
}
std::vector<std::string> listed(const RegistryLab& lab) {
  const auto index = lab.registry.manifest("team/app", referrers_tag(kSubject));
  std::vector<std::string> digests;
  if (!index) return digests;
  const Json parsed = Json::parse(*index);
  for (const Json& item : *parsed.find("manifests")->as_array())
    digests.push_back(item.string_or_empty("digest"));
  return digests;
}

LabOptions without_referrers() {
  LabOptions options;
  options.registry.referrers = false;
  return options;
}

TEST_CASE("a registry with the referrers API needs no fallback tag") {
  RegistryLab lab;
  lab.registry.add_blob("team/app", kLayer);
  put(lab, "1", referring(1));
  CHECK(listed(lab).empty());
  lab.registry.script(on_put(Act::close_after));  // nobody says OCI-Subject
  put(lab, "2", referring(2));
  CHECK(listed(lab).empty());
}

TEST_CASE("without it, referrers are listed under the fallback tag, each once (F98)") {
  RegistryLab lab(without_referrers());
  lab.registry.add_blob("team/app", kLayer);
  put(lab, "1", referring(1));
  put(lab, "2", referring(2));
  put(lab, "1", referring(1));
  REQUIRE(listed(lab).size() == 2);
  CHECK(listed(lab)[0] == Digest::of(referring(1)).str());
  CHECK(listed(lab)[1] == Digest::of(referring(2)).str());
  lab.registry.script(on_put(Act::close_after));
  put(lab, "3", referring(3));
  CHECK(listed(lab).size() == 3);
}

TEST_CASE("a race for the fallback tag loses nobody (F98)") {
  RegistryLab lab(without_referrers());
  lab.registry.add_blob("team/app", kLayer);
  put(lab, "1", referring(1));
  Fault race = on_put(Act::answer, answer(412));
  race.target = "/manifests/sha256-";
  lab.registry.script(race);
  put(lab, "2", referring(2));
  CHECK(listed(lab).size() == 2);
  race.count = Fault::kAlways;
  lab.registry.script(race);
  check_error(ErrorKind::protocol, "412", [&] { put(lab, "3", referring(3)); });
  for (const auto& request : lab.registry.requests()) {
    if (request.method == "PUT" && request.target.find("/manifests/sha256-") != std::string::npos)
      CHECK(request.header("Content-Type") == media_type::kOciIndex);
  }
  CHECK(lab.registry.count("PUT", "/manifests/sha256-") == 6);
}

TEST_CASE("a fallback tag that may not be written is noted, for the manifest is stored") {
  for (const int status : {403, 413}) {
    CAPTURE(status);
    RegistryLab lab(without_referrers());
    lab.registry.add_blob("team/app", kLayer);
    Fault refused = on_put(Act::answer, answer(status));
    refused.target = "/manifests/sha256-";
    refused.count = Fault::kAlways;
    lab.registry.script(refused);
    put(lab, "1", referring(1));
    CHECK(lab.registry.manifest("team/app", "1") == referring(1));
    CHECK(listed(lab).empty());
    REQUIRE(lab.notes().size() == 1);
    CHECK(lab.notes().front().find(std::to_string(status)) != std::string::npos);
    CHECK(lab.notes().front().find(kSubject.str()) != std::string::npos);
  }
}

TEST_CASE("a fallback tag that is no index is left alone") {
  RegistryLab lab(without_referrers());
  lab.registry.add_blob("team/app", kLayer);
  lab.registry.add_manifest("team/app", referrers_tag(kSubject), manifest_of(), kType);
  check_error(ErrorKind::protocol, "no OCI index", [&] { put(lab, "1", referring(1)); });
}

}  // namespace
}  // namespace tug::registry
