// F90-F99: what registries answer to a manifest, what they say is there, and what they warn of.
#include "oci/json.h"
#include "rows.h"

#include <tug/descriptor.h>

namespace tug::test {
namespace {

const std::string kTagPath = "/manifests/v1";

Case refused(std::string id, int status, const std::string& body, Ending ends) {
  return {.id = std::move(id),
          .title = "the manifest is answered " + std::to_string(status),
          .faults = {answers("PUT", kManifests, answer(status, body), kAlways)},
          .ends = std::move(ends),
          .check = [](Lab& lab) {
            lab.expect(lab.requests("PUT", kManifests).size() == 1, "it is not put again");
          }};
}

Case status_of_put(std::string id, int status) {
  return {.id = std::move(id),
          .title = "the manifest is stored and answered " + std::to_string(status),
          .faults = {sets_status("PUT", kManifests, status)},
          .check = [](Lab& lab) {
            lab.expect(lab.requests("HEAD", kTagPath).size() == 2, "HEAD confirms it");
          }};
}

const std::string kOther = R"({"schemaVersion":2,"layers":[]})";

Case immutable(std::string id, bool same, int status, const std::string& body) {
  return {.id = std::move(id),
          .title = std::string("the tag is immutable and names ") + (same ? "this" : "another"),
          .faults = {answers("PUT", kManifests, answer(status, body), kAlways)},
          .flags = {"--no-skip-existing"},
          .arrange =
              [same](Lab& lab) {
                lab.registry.add_manifest(kRepository, kTag, same ? lab.image.top() : kOther,
                                          std::string(media_type::kOciManifest));
              },
          .ends = same ? success() : fails("denied", std::to_string(status))};
}

// The tag's digest is not told (ECR), so that the manifest under it has to be read.
Case existing_manifest(std::string id, const std::string& title, HttpResponse response) {
  return {.id = std::move(id),
          .title = title,
          .faults = {answers("HEAD", kTagPath, {200, {{"Content-Type", "x"}}, ""}, kAlways),
                     answers("GET", kTagPath, std::move(response), kAlways)},
          .ends = fails("protocol", "sent more than"),
          .check = [](Lab& lab) {
            lab.expect(lab.requests("GET", kTagPath).size() == 1, "it is asked for once");
          }};
}

std::vector<Case> answers_to_puts() {
  const HttpResponse portal = answer(200, "<html><title>Log in</title></html>");
  return {
      {.id = "F90",
       .title = "201 with another digest",
       .faults = {answers("PUT", kManifests,
                          answer(201, "", {{"Docker-Content-Digest", Digest::of("x").str()}}),
                          kAlways)},
       .ends = fails("integrity", Digest::of("x").str())},
      {.id = "F91a",
       .title = "200 with HTML to everything (a captive portal)",
       .faults = {answers("", "", portal, kAlways)},
       .ends = fails("protocol", "200"),
       .max_requests = 5},
      {.id = "F91b",
       .title = "200 with HTML to everything but the ping",
       .faults = {answers("", "^/v2/.", portal, kAlways)},
       .ends = fails("protocol", "200"),
       .max_requests = 20},
      {.id = "F91c",
       .title = "200 with HTML to the manifest",
       .faults = {answers("PUT", kManifests, portal, kAlways)},
       .ends = fails("protocol", "not there afterwards")},
      status_of_put("F92a", 202),
      status_of_put("F92b", 200),
      {.id = "F92c",
       .title = "202, and the manifest is not stored",
       .faults = {answers("PUT", kManifests, answer(202), kAlways)},
       .ends = fails("protocol", "not there afterwards")},
      refused("F93a", 404, error_body("NAME_UNKNOWN"), fails("denied|not-found", "404")),
      refused("F93b", 413, kHtml, fails("limit", "413")),
      refused("F93c", 415, "", fails("denied", "415")),
      refused("F93d", 400, error_body("MANIFEST_INVALID", "no such layer type"),
              fails("denied", "no such layer type")),
      immutable("F94a", true, 400,
                error_body("TAG_INVALID", "The image tag 'v1' already exists and is immutable")),
      immutable("F94b", false, 400,
                error_body("TAG_INVALID", "The image tag 'v1' already exists and is immutable")),
      immutable("F94c", false, 403, R"({"message":"tag is immutable"})"),
  };
}

std::vector<Case> indexes() {
  const auto missing_child = [](Times times) {
    return [times](Lab& lab) {
      const std::string child = Digest::of(lab.image.manifests().front()).str();
      lab.registry.script(answers(
          "PUT", kTagPath,
          answer(400, error_body("MANIFEST_BLOB_UNKNOWN", "unknown manifest", child)), times));
    };
  };
  return {
      {.id = "F95a",
       .title = "an index is refused once, for a child that is unknown",
       .flags = {"--all"},
       .image = {.images = 2},
       .arrange = missing_child({1}),
       .check =
           [](Lab& lab) {
             lab.expect(lab.requests("PUT", kTagPath).size() == 2, "it is put again");
             lab.expect(lab.requests("PUT", "/manifests/sha256").size() == 4, "after its children");
           }},
      {.id = "F95b",
       .title = "an index is refused for ever, for a child that is unknown",
       .flags = {"--all"},
       .image = {.images = 2},
       .arrange = missing_child(kAlways),
       .ends = fails("protocol|denied|not-found|integrity", "unknown manifest"),
       .check =
           [](Lab& lab) {
             lab.expect(lab.requests("PUT", kTagPath).size() == 3, "two more rounds");
           },
       .children_may_stay = true},
      existing_manifest("F96a", "the tag's manifest is compressed, and a bomb",
                        {200,
                         {{"Content-Encoding", "gzip"}, {"Content-Type", "x"}},
                         std::string(5 * kMiB, '\x1f')}),
      existing_manifest("F96b", "the tag's manifest has 50 MB",
                        {200, {{"Content-Type", "x"}}, std::string(50'000'000, ' ')}),
      {.id = "F97",
       .title = "two tags are two PUTs: ?tag= is not used, as few registries have it",
       .flags = {"--additional-tag=v2"},
       .check =
           [](Lab& lab) {
             lab.expect(lab.registry.tag(kRepository, "v2") == Digest::of(lab.image.top()),
                        "both tags are there");
             lab.expect(lab.requests("PUT", "[?&]tag=").empty(), "there is no query");
             lab.expect(lab.program->out().find(R"("tags":["v1","v2"])") != std::string::npos,
                        "both are reported");
           }},
  };
}

// A registry without the referrers API, which lists another referrer already; the first try to add
// ours loses a race.
Case referrers_race() {
  const Digest subject = Digest::of("the subject");
  const std::string tag = "sha256-" + std::string(subject.hex());
  const std::string listed =
      R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[)"
      R"({"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":")" +
      Digest::of(kOther).str() + R"(","size":)" + std::to_string(kOther.size()) + "}]}";
  Case row{.id = "F98", .title = "no OCI-Subject, and 412 once for the fallback tag"};
  row.registry.referrers = false;
  row.faults = {answers("PUT", kManifests + tag, answer(412))};
  row.image = {.subject = subject.str()};
  row.arrange = [tag, listed](Lab& lab) {
    const std::string type(media_type::kOciManifest);
    lab.registry.add_manifest(kRepository, Digest::of(kOther).str(), kOther, type);
    lab.registry.add_manifest(kRepository, tag, listed, std::string(media_type::kOciIndex));
  };
  row.check = [tag](Lab& lab) {
    const std::string now = lab.registry.manifest(kRepository, tag).value_or("");
    lab.expect(now.find(Digest::of(kOther).str()) != std::string::npos, "the other is still there");
    lab.expect(now.find(Digest::of(lab.image.top()).str()) != std::string::npos, "ours is too");
  };
  return row;
}

Case warnings() {
  Case row{.id = "F99", .title = "500 Warning headers, malformed and with escapes"};
  row.registry.manner = [](const HttpRequest& request, HttpResponse& response) {
    if (request.method != "PUT") return;
    for (int i = 0; i < 500; ++i) {
      const std::string number = std::to_string(i);
      response.headers.emplace_back("Warning", "299 - \"deprecated " + number + "\"");
      response.headers.emplace_back("Warning", "299 - \"\x1b[31mred \u202e" + number + "\"");
      response.headers.emplace_back("Warning", "no warning at all " + number);
      response.headers.emplace_back("Warning", "214 proxy \"changed " + number + "\"");
      response.headers.emplace_back("Warning", "299 - \"never closed");
    }
  };
  row.warns = "warns: .*deprecated [0-9]|warning";
  row.check = [](Lab& lab) {
    const std::string err = lab.program->err();
    lab.expect(err.find("changed 1") == std::string::npos, "other codes are not shown");
    lab.expect(err.find("deprecated 1") != std::string::npos, "the others are");
  };
  return row;
}

}  // namespace

std::vector<Case> manifest_cases() {
  std::vector<Case> rows = answers_to_puts();
  for (Case& row : indexes()) rows.push_back(std::move(row));
  rows.push_back(referrers_race());
  rows.push_back(warnings());
  return rows;
}

}  // namespace tug::test
