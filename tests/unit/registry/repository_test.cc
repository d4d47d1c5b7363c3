#include "registry/repository.h"

#include "support/error_of.h"
#include "support/registry_lab.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace tug::registry {
namespace {

using test::blob_of;
using test::check_error;
using test::Fault;
using test::HttpResponse;
using test::RegistryLab;
using test::some_bytes;
using Act = Fault::Act;

const std::string kBytes = some_bytes(5'000);
const std::string kManifest = R"({"schemaVersion":2,"layers":[]})";
const std::string kType(media_type::kOciManifest);

Fault answers(std::string method, std::string target, int status, test::HeaderList headers = {},
              std::string body = "", int count = Fault::kAlways) {
  Fault fault;
  fault.method = std::move(method);
  fault.target = std::move(target);
  fault.response = {status, std::move(headers), std::move(body)};
  fault.count = count;
  return fault;
}
Fault edits(std::string target, std::function<void(HttpResponse&)> edit) {
  Fault fault;
  fault.target = std::move(target);
  fault.act = Act::edit;
  fault.edit = std::move(edit);
  fault.count = Fault::kAlways;
  return fault;
}
void drop(HttpResponse& response, std::string_view name) {
  std::erase_if(response.headers, [&](const auto& field) { return field.first == name; });
}

// --- has_blob ------------------------------------------------------------------------------------

TEST_CASE("a blob is there when status, size and digest agree") {
  struct Case {
    std::string_view name;
    std::optional<Fault> fault;
    bool there;
  };
  const std::string length = std::to_string(kBytes.size());
  const Case cases[] = {
      {"it is", std::nullopt, true},
      {"no length, no digest",
       edits("/blobs/",
             [](HttpResponse& r) {
               drop(r, "Docker-Content-Digest");
               drop(r, "Content-Length");
               r.headers.emplace_back("Transfer-Encoding", "chunked");
             }),
       true},
      {"another size", answers("HEAD", "/blobs/", 200, {{"Content-Length", "17"}}), false},
      {"a size that is none", answers("HEAD", "/blobs/", 204), false},
      {"another digest",
       answers("HEAD", "/blobs/", 200,
               {{"Content-Length", length}, {"Docker-Content-Digest", Digest::of("x").str()}}),
       false},
      {"404", answers("HEAD", "/blobs/", 404), false},
      {"F80 403", answers("HEAD", "/blobs/", 403), false},
      {"F80 405", answers("HEAD", "/blobs/", 405), false},
      {"F80 500", answers("HEAD", "/blobs/", 500), false},
      {"429", answers("HEAD", "/blobs/", 429), false},
      {"500 twice", answers("HEAD", "/blobs/", 500, {}, "", 2), true},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    RegistryLab lab;
    lab.registry.add_blob("team/app", kBytes);
    if (c.fault) lab.registry.script(*c.fault);
    CHECK(lab.repository.has_blob(blob_of(kBytes).descriptor, lab.stop) == c.there);
    CHECK(lab.registry.count("HEAD") <= 4);
  }
}

TEST_CASE("a blob behind a redirect is there even when storage refuses HEAD (F81)") {
  for (const int status : {200, 403, 405, 404}) {
    CAPTURE(status);
    RegistryLab lab;
    lab.registry.script(answers("HEAD", "^/v2/team/app/blobs/", 307,
                                {{"Location", lab.registry.other_url("/storage/1?sig=x")}}));
    lab.registry.script(
        answers("HEAD", "^/storage/", status, {{"Content-Length", std::to_string(kBytes.size())}}));
    CHECK(lab.repository.has_blob(blob_of(kBytes).descriptor, lab.stop) == (status != 404));
    for (const auto& request : lab.registry.other_requests())
      CHECK_FALSE(request.has_header("Authorization"));
  }
}

TEST_CASE(
    "a blob behind a redirect that cannot be followed is taken to be there, of no known size") {
  struct Case {
    std::string_view name;
    test::HeaderList headers;
  };
  for (const Case& c :
       {Case{"nowhere", {}}, Case{"no URL", {{"Location", "ftp://storage.example/1"}}},
        Case{"two places", {{"Location", "/storage/1"}, {"Location", "/storage/2"}}},
        Case{"in a circle", {{"Location", "?again"}}},
        Case{"nobody listens", {{"Location", "http://127.0.0.1:1/1?sig=s3cret"}}}}) {
    CAPTURE(c.name);
    RegistryLab lab;
    lab.registry.script(answers("HEAD", "^/v2/team/app/blobs/", 307, c.headers));
    const Descriptor descriptor = blob_of(kBytes).descriptor;
    CHECK(lab.repository.has_blob(descriptor, lab.stop));
    CHECK(lab.repository.blob_size(descriptor.digest, lab.stop) == std::nullopt);
    CHECK(lab.slept() == std::chrono::milliseconds(0));
    CHECK(lab.debug_log().find("s3cret") == std::string::npos);
  }
}

// --- get_blob ------------------------------------------------------------------------------------

TEST_CASE("a small blob is read and checked") {
  RegistryLab lab;
  lab.registry.add_blob("team/app", kBytes);
  const Descriptor descriptor = blob_of(kBytes).descriptor;
  CHECK(lab.repository.get_blob(descriptor, 5'000, lab.stop) == kBytes);
  check_error(ErrorKind::limit, "4.9",
              [&] { lab.repository.get_blob(descriptor, 4'900, lab.stop); });
  check_error(ErrorKind::not_found, "404",
              [&] { lab.repository.get_blob(blob_of("x").descriptor, 10, lab.stop); });
  Descriptor longer = descriptor;
  longer.size = 4'000;
  check_error(ErrorKind::protocol, "more than",
              [&] { lab.repository.get_blob(longer, 4'500, lab.stop); });
  check_error(ErrorKind::integrity, "other bytes",
              [&] { lab.repository.get_blob(longer, 6'000, lab.stop); });
}

TEST_CASE("a blob with other content is refused, one that breaks off is read again") {
  RegistryLab lab;
  lab.registry.add_blob("team/app", kBytes);
  Fault wrong = answers("GET", "/blobs/", 200, {}, std::string(5'000, 'x'), 1);
  lab.registry.script(wrong);
  const Descriptor descriptor = blob_of(kBytes).descriptor;
  check_error(ErrorKind::integrity, "other bytes",
              [&] { lab.repository.get_blob(descriptor, 5'000, lab.stop); });
  Fault cut = edits("/blobs/", [](HttpResponse& r) {
    r.headers.emplace_back("Content-Length", std::to_string(r.body.size()));
    r.headers.emplace_back("Connection", "close");
    r.body.resize(100);
  });
  cut.count = 1;
  lab.registry.script(cut);
  CHECK(lab.repository.get_blob(descriptor, 5'000, lab.stop) == kBytes);
}

TEST_CASE("a blob is read through a redirect without credentials (F47)") {
  test::LabOptions options;
  options.registry.auth = test::ScriptedRegistry::Auth::basic;
  options.with_credentials = true;
  RegistryLab lab(options);
  lab.registry.script(answers("GET", "^/v2/team/app/blobs/", 307,
                              {{"Location", lab.registry.other_url("/storage/1")}}));
  lab.registry.script(answers("GET", "^/storage/", 200, {}, kBytes));
  CHECK(lab.repository.get_blob(blob_of(kBytes).descriptor, 5'000, lab.stop) == kBytes);
  REQUIRE(lab.registry.other_requests().size() == 1);
  CHECK_FALSE(lab.registry.other_requests().front().has_header("Authorization"));
}

// --- manifests -----------------------------------------------------------------------------------

TEST_CASE("a manifest is looked up and read by tag and digest") {
  RegistryLab lab;
  lab.registry.add_manifest("team/app", "1", kManifest, kType);
  const std::string digest = Digest::of(kManifest).str();
  for (const std::string& identifier : {std::string("1"), digest}) {
    CAPTURE(identifier);
    const auto found = lab.repository.head_manifest(identifier, lab.stop);
    REQUIRE(found);
    CHECK(found->digest.str() == digest);
    CHECK(found->size == kManifest.size());
    CHECK(found->media_type == kType);
    const RawManifest read = lab.repository.get_manifest(identifier, lab.stop);
    CHECK(read.bytes == kManifest);
    CHECK(read.media_type == kType);
  }
  const auto requests = lab.registry.requests();
  for (const auto& request : requests) {
    if (request.target.find("/manifests/") == std::string::npos) continue;
    CHECK(request.header("Accept").value_or("").find(media_type::kOciIndex) != std::string::npos);
    CHECK_FALSE(request.has_header("Accept-Encoding"));  // F96
  }
}

TEST_CASE("a manifest that is not there, or not to be told") {
  for (const int status : {404, 403, 400, 405}) {
    CAPTURE(status);
    RegistryLab lab;
    lab.registry.script(answers("", "/manifests/", status));
    CHECK(lab.repository.head_manifest("1", lab.stop) == std::nullopt);
  }
  RegistryLab lab;
  check_error(ErrorKind::not_found,
              "reading manifest 2 in " + lab.registry.authority() + "/team/app",
              [&] { lab.repository.get_manifest("2", lab.stop); });
  lab.registry.script(answers("HEAD", "", 503));
  check_error(ErrorKind::server, "503", [&] { lab.repository.head_manifest("1", lab.stop); });
}

TEST_CASE("a digest that the registry does not tell is computed (ECR)") {
  RegistryLab lab;
  lab.registry.add_manifest("team/app", "1", kManifest, kType);
  lab.registry.script(
      edits("/manifests/", [](HttpResponse& r) { drop(r, "Docker-Content-Digest"); }));
  const auto found = lab.repository.head_manifest("1", lab.stop);
  REQUIRE(found);
  CHECK(found->digest == Digest::of(kManifest));
  CHECK(found->size == kManifest.size());
}

TEST_CASE("manifest bytes that do not match the digest asked for are refused") {
  RegistryLab lab;
  const std::string digest = Digest::of("else").str();
  lab.registry.script(answers("GET", "/manifests/", 200, {{"Content-Type", kType}}, kManifest));
  check_error(ErrorKind::integrity, digest, [&] { lab.repository.get_manifest(digest, lab.stop); });
  CHECK(lab.repository.get_manifest("1", lab.stop).bytes == kManifest);
}

TEST_CASE("a manifest over 4 MiB is not read (F96)") {
  RegistryLab lab;
  lab.registry.script(
      answers("GET", "/manifests/", 200, {{"Content-Type", kType}}, std::string(5 << 20, 'x')));
  check_error(ErrorKind::protocol, "more than",
              [&] { lab.repository.get_manifest("1", lab.stop); });
  CHECK(lab.registry.count("GET", "/manifests/") == 1);
}

// --- tags ----------------------------------------------------------------------------------------

TEST_CASE("tags are listed over all pages, in the server's order") {
  for (const std::size_t page : {1U, 2U, 3U, 7U, 1000U}) {
    CAPTURE(page);
    test::LabOptions options;
    options.registry.page_size = page;
    RegistryLab lab(options);
    std::vector<std::string> expected;
    for (int i = 0; i < 7; ++i) {
      expected.push_back("v" + std::to_string(i));
      lab.registry.add_manifest("team/app", expected.back(), kManifest, kType);
    }
    CHECK(lab.repository.list_tags(lab.stop) == expected);
    CHECK(lab.registry.count("GET", "/tags/list") == (7 + page - 1) / page);
  }
}

TEST_CASE("tag lists that are strange") {
  struct Case {
    std::string_view body;
    std::optional<ErrorKind> fails;
  };
  for (const Case& c :
       {Case{R"({"name":"team/app","tags":null})", std::nullopt},
        Case{R"({"name":"team/app"})", std::nullopt}, Case{R"({"tags":[1]})", ErrorKind::protocol},
        Case{R"({"tags":["a b"]})", ErrorKind::protocol},
        Case{R"({"tags":[""]})", ErrorKind::protocol}, Case{"<html>", ErrorKind::protocol},
        Case{"", ErrorKind::protocol}}) {
    CAPTURE(c.body);
    RegistryLab lab;
    lab.registry.script(answers("GET", "/tags/", 200, {}, std::string(c.body)));
    if (c.fails) {
      CHECK(test::error_of([&] { lab.repository.list_tags(lab.stop); }).kind() == *c.fails);
    } else {
      CHECK(lab.repository.list_tags(lab.stop).empty());
    }
  }
}

TEST_CASE("a list of tags that would fill the memory is refused") {
  std::string body = R"({"tags":[")" + std::string(128, 'a') + '"';
  for (int i = 0; i < 209'999; ++i) body += ",\"" + std::string(128, 'a') + '"';
  body += "]}";
  RegistryLab lab;
  lab.registry.script(answers("GET", "/tags/list.n=1000$", 200,
                              {{"Link", "</v2/team/app/tags/list?page=2>; rel=\"next\""}}, body));
  lab.registry.script(answers("GET", "/tags/list.page=2$", 200, {}, body));
  check_error(ErrorKind::limit, "64.0 MB", [&] { lab.repository.list_tags(lab.stop); });
}

TEST_CASE("pages without an end are not followed for ever, and a missing repository is said") {
  RegistryLab lab;
  check_error(ErrorKind::not_found, "listing the tags of",
              [&] { lab.repository.list_tags(lab.stop); });
  lab.registry.script(answers("GET", "/tags/", 200,
                              {{"Link", "</v2/team/app/tags/list?n=1000&again=1>; rel=\"next\""}},
                              R"({"tags":["a"]})"));
  check_error(ErrorKind::protocol, "without an end", [&] { lab.repository.list_tags(lab.stop); });
  CHECK(lab.registry.count("GET", "/tags/") <= 4);
}

TEST_CASE("tags come a page at a time") {
  test::LabOptions options;
  options.registry.page_size = 2;
  RegistryLab lab(options);
  for (const char* tag : {"a", "b", "c"})
    lab.registry.add_manifest("team/app", tag, kManifest, kType);
  std::vector<std::size_t> pages;
  lab.repository.list_tags([&](const auto& tags) { pages.push_back(tags.size()); }, lab.stop);
  CHECK(pages == std::vector<std::size_t>{2, 1});
}

// --- referrers -----------------------------------------------------------------------------------

const Digest kReferred = Digest::of("what is referred to");
const test::HeaderList kIndexType{{"Content-Type", std::string(media_type::kOciIndex)}};

test::HeaderList with_link(const std::string& query) {
  test::HeaderList headers = kIndexType;
  headers.emplace_back("Link",
                       "</v2/team/app/referrers/" + kReferred.str() + query + ">; rel=\"next\"");
  return headers;
}
std::string page_of(std::string_view what) {
  return R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[)"
         R"({"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"a/b","size":1,)"
         R"("digest":")" +
         Digest::of(what).str() + R"("}]})";
}
std::vector<std::string> digests_of(const std::vector<Descriptor>& descriptors) {
  std::vector<std::string> digests;
  for (const Descriptor& descriptor : descriptors) digests.push_back(descriptor.digest.str());
  return digests;
}

TEST_CASE("referrers come from all pages of the API") {
  RegistryLab lab;
  lab.registry.script(
      answers("GET", "/referrers/sha256:[0-9a-f]*$", 200, with_link("?page=2"), page_of("1")));
  lab.registry.script(answers("GET", "/referrers/.*page=2$", 200, kIndexType, page_of("2")));
  CHECK(digests_of(lab.repository.referrers(kReferred, lab.stop)) ==
        std::vector<std::string>{Digest::of("1").str(), Digest::of("2").str()});
  CHECK(lab.registry.count("GET", "/manifests/") == 0);
}

TEST_CASE("without the API referrers are what the tag lists") {
  for (const int status : {404, 400, 405, 200}) {
    CAPTURE(status);
    RegistryLab lab;
    lab.registry.script(answers("GET", "/referrers/", status, {}, "<html>"));
    CHECK(lab.repository.referrers(kReferred, lab.stop).empty());
    lab.registry.add_manifest("team/app", referrers_tag(kReferred), page_of("1"),
                              std::string(media_type::kOciIndex));
    CHECK(digests_of(lab.repository.referrers(kReferred, lab.stop)) ==
          std::vector<std::string>{Digest::of("1").str()});
  }
}

TEST_CASE("lists of referrers that are strange") {
  for (const char* body : {"", "{", R"({"schemaVersion":2,"manifests":[1]})"}) {
    CAPTURE(body);
    RegistryLab lab;
    lab.registry.script(answers("GET", "/referrers/", 200, kIndexType, body));
    check_error(ErrorKind::integrity, "listing the referrers of " + kReferred.str(),
                [&] { (void)lab.repository.referrers(kReferred, lab.stop); });
  }
  RegistryLab lab;
  lab.registry.script(answers("GET", "/referrers/", 200, with_link("?page=2"), page_of("1")));
  check_error(ErrorKind::protocol, "without an end",
              [&] { (void)lab.repository.referrers(kReferred, lab.stop); });
}

// --- deleting ------------------------------------------------------------------------------------

TEST_CASE("a manifest is deleted by its digest") {
  const Digest digest = Digest::of(kManifest);
  const std::string target = "/v2/team/app/manifests/" + digest.str();
  for (const int status : {202, 200, 204}) {
    CAPTURE(status);
    RegistryLab lab;
    lab.registry.script(answers("DELETE", "", status));
    lab.repository.delete_manifest(digest, lab.stop);
    CHECK(lab.registry.count("DELETE", target + "$") == 1);
  }
}

TEST_CASE("deleting a manifest that cannot be deleted") {
  struct Case {
    int status;
    std::string_view body;
    ErrorKind kind;
    std::string_view says;
    std::size_t requests;
  };
  for (const Case& c : {
           Case{404, R"({"errors":[{"code":"MANIFEST_UNKNOWN"}]})", ErrorKind::not_found,
                "MANIFEST_UNKNOWN", 1},
           Case{405, R"({"errors":[{"code":"UNSUPPORTED"}]})", ErrorKind::denied,
                "storage.delete.enabled", 1},
           Case{400, R"({"errors":[{"code":"UNSUPPORTED"}]})", ErrorKind::denied,
                "storage.delete.enabled", 1},
           Case{403, R"({"errors":[{"code":"DENIED"}]})", ErrorKind::denied, "DENIED", 1},
           Case{200, "<html>welcome</html>", ErrorKind::protocol, "web page", 1},
           Case{500, "", ErrorKind::server, "500", 4},
       }) {
    CAPTURE(c.status);
    RegistryLab lab;
    lab.registry.script(answers("DELETE", "", c.status, {}, std::string(c.body)));
    check_error(c.kind, c.says,
                [&] { lab.repository.delete_manifest(Digest::of(kManifest), lab.stop); });
    CHECK(lab.registry.count("DELETE") == c.requests);
  }
}

TEST_CASE("a manifest that is gone after a lost answer was deleted by us") {
  RegistryLab lab;
  lab.registry.script(answers("DELETE", "", 503, {}, "", 1));
  lab.registry.script(answers("DELETE", "", 404));
  lab.repository.delete_manifest(Digest::of(kManifest), lab.stop);
  CHECK(lab.registry.count("DELETE") == 2);
}

TEST_CASE("a deletion follows no redirect to another place, and none that would make it a GET") {
  for (const int status : {301, 302, 303, 307, 308}) {
    CAPTURE(status);
    RegistryLab lab;
    lab.registry.script(
        answers("DELETE", "", status, {{"Location", lab.registry.other_url("/v2/")}}));
    check_error(ErrorKind::protocol, "redirected a DELETE",
                [&] { lab.repository.delete_manifest(Digest::of(kManifest), lab.stop); });
    CHECK(lab.registry.other_requests().empty());
    CHECK(lab.registry.count("DELETE") == 1);
  }
}

TEST_CASE("the registry that wants the scope delete gets it") {
  test::LabOptions options;
  options.registry.auth = test::ScriptedRegistry::Auth::bearer;
  options.with_credentials = true;
  RegistryLab lab(options);
  const std::string challenge = "Bearer realm=\"" + lab.registry.url("/token") +
                                "\",service=\"registry\",scope=\"repository:team/app:delete\"";
  lab.registry.script(answers("DELETE", "", 401, {{"WWW-Authenticate", challenge}}, "", 1));
  lab.registry.script(answers("DELETE", "", 202));
  lab.repository.delete_manifest(Digest::of(kManifest), lab.stop);
  std::string asked;
  for (const auto& request : lab.registry.requests()) {
    if (request.path() == "/token") asked = request.target;
  }
  CAPTURE(asked);
  CHECK(asked.find("delete") != asked.npos);
}

}  // namespace
}  // namespace tug::registry
