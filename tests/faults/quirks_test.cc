// A profile of the scripted registry for each product of registry-protocol.md section 7, and a push
// through each. The rules that tug has by host name (chunk_rule in src/registry/upload_rules.cc) do
// not apply on loopback: here it has to cope by what it is answered. Sizes are scaled down where a
// product's own would take too long, and the row says so.
#include "rows.h"

#include <doctest/doctest.h>

namespace tug::test {
namespace {

using Answer = std::optional<HttpResponse>;

// 5 MiB: more than the 4 MiB that some take at once.
const ImageShape kLarge{.layers = {200'000, 5 * kMiB}};

bool is_upload(const HttpRequest& request) {
  return request.method == "PATCH" || (request.method == "PUT" && !request.target.empty() &&
                                       request.target.find("/manifests/") == std::string::npos);
}
bool is_manifest_put(const HttpRequest& request) {
  return request.method == "PUT" && request.target.find("/manifests/") != std::string::npos;
}
std::uint64_t length_of(const HttpRequest& request) { return request.content_length().value_or(0); }
bool has_range(const HttpRequest& request) { return request.has_header("Content-Range"); }

void expect_one_body_each(Lab& lab) {
  lab.expect(whole_patches(lab) == 1, "the large layer is sent once");
}

// --- the clouds ----------------------------------------------------------------------------------

Case docker_hub() {
  Case row{.id = "Docker Hub", .title = "short tokens, {\"details\"}, 429 of HAProxy"};
  row.registry = with_bearer();
  row.registry.token_lifetime = std::chrono::seconds(300);
  row.registry.absolute_locations = true;
  row.registry.manner = [](const HttpRequest& request, HttpResponse& response) {
    if (request.target.find("/manifests/") != std::string::npos && request.method != "PUT") {
      set_header(response, "ratelimit-limit", "100;w=21600");
      set_header(response, "ratelimit-remaining", "76;w=21600");
      set_header(response, "docker-ratelimit-source", "192.0.2.1");
    }
  };
  // Its token service refuses all when one scope names what it does not like; its proxy's 429 is
  // plain text with bare line feeds.
  row.faults = {
      answers("", "^/token.*team%2Fbase", answer(400, R"({"details":"invalid repository name"})"),
              kAlways),
      handles("POST", kUploads + "$",
              [](const HttpRequest&, HttpConnection& connection) {
                connection.read_body();
                connection.send_raw(
                    "HTTP/1.0 429 Too Many Requests\nCache-Control: no-cache\nConnection: close\n"
                    "Content-Type: text/plain\nRetry-After: 1\n\n"
                    "You have reached your rate limit.\n");
                connection.close();
              },
              {1})};
  row.mountable = true;
  row.check = expect_one_body_each;
  return row;
}

Case docker_hub_immutable() {
  Case row{.id = "Docker Hub, immutable tag", .title = "403 though the image is stored"};
  row.registry = with_bearer();
  row.faults = {answers_after("PUT", kManifests,
                              answer(403, R"({"message":"tag is immutable","details":"v1"})"))};
  return row;
}

Case ghcr() {
  Case row{.id = "GHCR", .title = "416 to chunks above 4 MiB, /upload/, no DELETE, HEAD 403"};
  row.registry = with_bearer();
  row.registry.session_path = "/v2/{name}/blobs/upload/{id}";
  row.registry.rule = [](const HttpRequest& request) -> Answer {
    if (request.method == "PATCH" && has_range(request) && length_of(request) > 4 * kMiB) {
      return answer(416, error_body("REQUESTED_RANGE_NOT_SATISFIABLE",
                                    "request body is too large, the limit is 4.00MiB"));
    }
    if (request.method == "DELETE") return answer(405, error_body("UNSUPPORTED"));
    if (request.method == "HEAD" && request.target.find(kBlobs) != std::string::npos)
      return answer(403, error_body("DENIED", "permission_denied: write_package"));
    return std::nullopt;
  };
  row.faults = {answers("POST", "", answer(429, "", {{"Retry-After", "1.889377ms"}})),
                answers("PATCH", "", answer(502, kHtml))};
  row.image = kLarge;
  row.sessions_may_stay = true;
  return row;
}

// A proxy in front of it makes the whole body too large: chunks of 4 MiB pass.
Case ghcr_in_chunks() {
  Case row = ghcr();
  row.id = "GHCR, in chunks";
  row.faults = {answers("PATCH", "", answer(413, kHtml))};
  row.check = [](Lab& lab) {
    for (const HttpRequest& request : lab.requests("PATCH"))
      lab.expect(!has_range(request) || request.body_size <= 4 * kMiB, "no chunk above 4 MiB");
  };
  return row;
}

ScriptedRegistry::Options ecr_options() {
  ScriptedRegistry::Options options = with_basic();
  options.username = "AWS";
  options.rule = [](const HttpRequest& request) -> Answer {
    const bool is_empty_blob = request.target.find("e3b0c44298fc1c149afb") != std::string::npos;
    if (request.method == "PUT" && is_empty_blob)
      return answer(400, error_body("EmptyUploadException", "layer is empty"));
    if (is_manifest_put(request) && request.header("Content-Type").value_or("").empty())
      return answer(405, error_body("UNSUPPORTED", "Invalid JSON syntax"));
    return std::nullopt;
  };
  options.manner = [](const HttpRequest& request, HttpResponse& response) {
    if (request.method == "PATCH" && response.status == 202) {
      response.status = 201;
      set_header(response, "Location", "");
      set_header(response, "Range", "0-1048575");  // stuck at the first part
    }
    if (is_manifest_put(request)) set_header(response, "Location", "");
    if (request.method == "HEAD" && request.target.find(kManifests) != std::string::npos)
      set_header(response, "Docker-Content-Digest", "");
  };
  return options;
}

Case ecr() {
  Case row{.id = "ECR", .title = "PATCH 201 without Location, no digest told, Range stuck"};
  row.registry = ecr_options();
  row.image = kLarge;
  row.check = expect_one_body_each;
  return row;
}

Case ecr_in_chunks() {
  Case row = ecr();
  row.id = "ECR, in chunks";
  row.registry.session_headers = {{"OCI-Chunk-Max-Length", std::to_string(kMiB)}};
  row.check = [](Lab& lab) {
    lab.expect(lab.requests("PATCH").size() == 5, "our own count is what goes on");
  };
  return row;
}

Case ecr_no_repository() {
  Case row{.id = "ECR, no such repository", .title = "POST is not answered"};
  row.registry = ecr_options();
  row.faults = {fault("POST", "", Act::close, kAlways)};
  row.ends = fails("network", "repository does not exist");
  return row;
}

Case ecr_empty_layer() {
  Case row{.id = "ECR, empty layer", .title = "EmptyUploadException"};
  row.registry = ecr_options();
  row.image = {.layers = {0}};
  row.ends = fails("protocol|denied", "refuses empty blobs");
  return row;
}

Case ecr_immutable() {
  Case row{.id = "ECR, immutable tag", .title = "TAG_INVALID even for the same image"};
  row.registry = ecr_options();
  row.faults = {answers("PUT", kManifests,
                        answer(400, error_body("TAG_INVALID", "The image tag 'v1' already exists")),
                        kAlways)};
  row.flags = {"--no-skip-existing"};
  row.arrange = [](Lab& lab) {
    lab.registry.add_manifest(kRepository, kTag, lab.image.top(), lab.image.top_type());
  };
  return row;
}

Case artifact_registry() {
  Case row{.id = "GCR, Artifact Registry",
           .title = "no chunks, 401 without challenge, PATCH 204, single-use URLs"};
  row.registry = with_bearer();
  row.registry.single_use_locations = true;
  row.registry.rule = [](const HttpRequest& request) -> Answer {
    if (request.target == "/v2") return answer(404);
    if (has_range(request)) return answer(400, "chunked uploads are not supported");
    return std::nullopt;
  };
  row.registry.manner = [](const HttpRequest& request, HttpResponse& response) {
    if (request.path() != "/v2/") set_header(response, "WWW-Authenticate", "");
    if (request.method == "PATCH" && response.status == 202) response.status = 204;
  };
  row.image = kLarge;
  row.check = expect_one_body_each;
  return row;
}

Case acr() {
  Case row{.id = "ACR", .title = "413 to a large PUT, exact Content-Range, Basic that is no use"};
  row.registry = with_bearer();
  row.registry.rule = [](const HttpRequest& request) -> Answer {
    if (request.method == "PUT" && length_of(request) > 4 * kMiB)
      return answer(413, kHtml);  // 20 MB
    const std::string range = request.header("Content-Range").value_or("0-0");
    const bool exact = range.find_first_not_of("0123456789-") == std::string::npos;
    if (request.method == "PATCH" && (!exact || !request.has_header("Content-Length")))
      return answer(400, error_body("CONTENT_LENGTH_INVALID"));
    if (request.header("Authorization").value_or("").size() > 8192)
      return answer(400, "<title>400 Request Header Or Cookie Too Large</title>");
    return std::nullopt;
  };
  row.registry.manner = [](const HttpRequest& request, HttpResponse& response) {
    if (response.status == 401 && request.path() != "/token")
      response.headers.emplace_back("WWW-Authenticate", "Basic realm=\"acr\"");
  };
  row.image = kLarge;
  row.check = expect_one_body_each;
  return row;
}

Case digital_ocean() {
  Case row{.id = "DigitalOcean", .title = "403 of the token service: too many repositories"};
  row.registry = with_bearer();
  row.faults = {answers("", "^/token",
                        answer(403, error_body("DENIED",
                                               "registry contains 1 "
                                               "repositories, limit is 1")),
                        kAlways)};
  row.ends = fails("auth|denied", "limit is 1");
  return row;
}

// --- what people host themselves -----------------------------------------------------------------

Case quay() {
  Case row{.id = "Quay", .title = "manifest 202, mount needs from, BLOB_UPLOAD_INVALID and 502"};
  row.registry = with_bearer();
  row.registry.rule = [](const HttpRequest& request) -> Answer {
    if (request.query_value("mount") && !request.query_value("from"))
      return answer(400, error_body("INVALID_REQUEST"));
    if (request.method == "DELETE") return answer(401, error_body("UNAUTHORIZED"));
    return std::nullopt;
  };
  row.registry.manner = [](const HttpRequest& request, HttpResponse& response) {
    if (is_manifest_put(request) && response.status == 201) response.status = 202;
  };
  row.faults = {answers("PATCH", "", answer(502, kHtml)),
                answers("PUT", kCommit, answer(400, error_body("BLOB_UPLOAD_INVALID")))};
  row.mountable = false;
  row.sessions_may_stay = true;
  return row;
}

Case harbor() {
  Case row{.id = "Harbor", .title = "mount 401, http Location behind a TLS proxy"};
  row.registry = with_tls(with_basic());
  row.registry.absolute_locations = true;
  row.registry.rule = [](const HttpRequest& request) -> Answer {
    if (!request.query_value("mount")) return std::nullopt;
    return answer(401, error_body("UNAUTHORIZED", "project base not found"));
  };
  row.registry.manner = [](const HttpRequest&, HttpResponse& response) {
    const std::string location = header_of(response, "Location");
    if (location.starts_with("https://"))
      set_header(response, "Location", "http://" + location.substr(8));
    if (response.status == 404 && !response.body.empty())
      response.body = error_body("UNKNOWN", "artifact team/app:v1 not found");
  };
  row.mountable = true;
  row.verify_tls = true;
  row.arrange = trust_ca;
  row.warns = "http URL over https";
  row.check = expect_one_body_each;
  return row;
}

Case harbor_quota() {
  Case row{.id = "Harbor, quota", .title = "403 DENIED at the PUT"};
  row.registry = with_basic();
  const std::string text =
      "adding 1.5 MiB of storage resource, which when updated to current usage "
      "will exceed the configured upper limit";
  row.faults = {answers("PUT", kCommit, answer(403, error_body("DENIED", text)), kAlways)};
  row.ends = fails("denied", "will exceed the configured upper limit");
  row.check = [](Lab& lab) {
    lab.expect(lab.requests("PUT", kCommit).size() == 1, "it is not tried again");
  };
  return row;
}

Case artifactory() {
  Case row{.id = "Artifactory",
           .title = "403 for what is not there, PUT with a body 404, PATCH 404"};
  row.registry = with_bearer();
  row.registry.rule = [](const HttpRequest& request) -> Answer {
    const bool is_put_with_body =
        request.method == "PUT" && is_upload(request) && length_of(request) > 0;
    if (is_put_with_body) return answer(404, error_body("BLOB_UNKNOWN"));
    return std::nullopt;
  };
  row.registry.manner = [](const HttpRequest& request, HttpResponse& response) {
    const bool reads = request.method == "HEAD" || request.method == "GET";
    if (reads && response.status == 404) response.status = 403;
  };
  row.faults = {answers("PATCH", "", answer(404))};  // another node of the cluster
  row.sessions_may_stay = true;
  return row;
}

Case nexus() {
  Case row{.id = "Nexus", .title = "its own path, mounts that open sessions, 411 without a length"};
  row.registry = with_bearer();
  row.registry.session_path = "/repository/docker/v2/{name}/blobs/uploads/{id}";
  row.registry.rule = [](const HttpRequest& request) -> Answer {
    if (is_manifest_put(request) && !request.has_header("Content-Length")) return answer(411);
    return std::nullopt;
  };
  row.mountable = true;
  row.arrange = [](Lab& lab) {  // as if nothing was ever there
    for (std::size_t i = 0; i < 2; ++i)
      lab.registry.remove_blob("team/base", Digest::of(lab.image.layer(i)));
  };
  row.check = [](Lab& lab) {
    lab.expect(lab.requests("POST").size() == 3, "the sessions of the mounts are used");
  };
  return row;
}

Case nexus_realm() {
  Case row{.id = "Nexus, null realm", .title = "Bearer realm null:// behind a proxy"};
  row.registry = with_bearer();
  row.registry.manner = [](const HttpRequest&, HttpResponse& response) {
    if (response.status == 401)
      set_header(response, "WWW-Authenticate", "Bearer realm=\"null://nexus.test/v2/token\"");
  };
  row.ends = fails("auth", "null://nexus\\.test/v2/token");
  return row;
}

Case gitlab() {
  Case row{.id = "GitLab", .title = "short tokens, a token service that says 404 now and then"};
  row.registry = with_bearer();
  row.faults = {answers("", "^/token", answer(404)),
                // The token has run out in the meantime.
                answers("PUT", kCommit,
                        answer(401, error_body("UNAUTHORIZED"),
                               {{"WWW-Authenticate",
                                 "Bearer realm=\"/token\",service=\"scripted\","
                                 "error=\"invalid_token\""}}))};
  row.check = expect_one_body_each;
  return row;
}

Case gitea(std::string id, const std::string& range) {
  Case row{.id = std::move(id),
           .title = "Range: " + (range.empty() ? "none" : range) +
                    ", a second PATCH needs Content-Range"};
  row.registry = with_bearer();
  row.registry.session_headers = {{"OCI-Chunk-Max-Length", "500000"}};
  row.registry.rule = [](const HttpRequest& request) -> Answer {
    if (request.method == "POST" && request.path() == "/v2/token") return answer(404);
    const bool is_first = request.target.find("_state=1%2B") != std::string::npos;
    if (request.method == "PATCH" && !is_first && !has_range(request))
      return answer(400, error_body("UNSUPPORTED",
                                    "Stream uploads after first write are not "
                                    "allowed"));
    return std::nullopt;
  };
  row.registry.manner = [range](const HttpRequest& request, HttpResponse& response) {
    const bool is_session = request.method == "POST" || request.method == "PATCH";
    if (is_session && response.status == 202) set_header(response, "Range", range);
  };
  return row;
}

Case distribution() {
  Case row{.id = "distribution", .title = "0-0 for nothing, absolute Locations, a state in them"};
  row.registry.absolute_locations = true;
  row.registry.session_headers = {{"OCI-Chunk-Max-Length", "1000000"}};
  row.registry.manner = [](const HttpRequest&, HttpResponse& response) {
    set_header(response, "Docker-Distribution-Api-Version", "registry/2.0");
    set_header(response, "X-Content-Type-Options", "nosniff");
  };
  // A chunk is cut off, and its part kept; the session tells how much.
  Fault cut = resets("PATCH", "", 400'000, {1, 3});
  row.faults = {cut};
  row.image = kLarge;
  row.check = [](Lab& lab) {
    lab.expect(whole_patches(lab) == 1, "the upload goes on where it was cut");
  };
  return row;
}

Case distribution_read_only() {
  Case row{.id = "distribution, read-only", .title = "405 with text"};
  row.faults = {answers("POST", "", {405, {{"Content-Type", "text/plain"}}, "read-only"}, kAlways)};
  row.ends = fails("denied", "405");
  return row;
}

Case zot() {
  Case row{.id = "zot", .title = "BLOB_UNKNOWN at the manifest, errors without a body"};
  row.registry.rule = [](const HttpRequest& request) -> Answer {
    if (request.query_value("from") && !request.query_value("mount")) return answer(405);
    const bool has_body = is_upload(request) && length_of(request) > 0;
    if (has_body && request.header("Content-Type") != "application/octet-stream")
      return answer(415);
    return std::nullopt;
  };
  row.registry.manner = [](const HttpRequest&, HttpResponse& response) {
    const auto at = response.body.find("MANIFEST_BLOB_UNKNOWN");
    if (at != std::string::npos) response.body.erase(at, 9);
  };
  row.faults = {answers("PATCH", "", {500, {}, ""})};
  // A blob that it says to have, and has not.
  row.arrange = [](Lab& lab) {
    lab.registry.script(answers("HEAD", Digest::of(lab.image.layer(0)).str(),
                                {200, {{"Transfer-Encoding", "chunked"}}, ""}, kAlways));
  };
  row.check = [](Lab& lab) {
    lab.expect(lab.requests("PUT", kManifests).size() == 2, "what it misses is sent");
  };
  return row;
}

Case zot_without_docker_types() {
  Case row{.id = "zot, no Docker types", .title = "415 to the manifest"};
  row.faults = {answers("PUT", kManifests, {415, {}, ""}, kAlways)};
  row.ends = fails("denied", "415");
  return row;
}

Case olareg() {
  Case row{.id = "olareg", .title = "Range 0--1, 400 for a session that is gone, 201 for POST"};
  row.registry.manner = [](const HttpRequest& request, HttpResponse& response) {
    if (request.method == "POST" && response.status == 202) set_header(response, "Range", "0--1");
    const bool is_session = request.target.find("/uploads/session") != std::string::npos;
    if (is_session && response.status == 404) response.status = 400;
  };
  row.faults = {
      answers("PATCH", "", answer(400, error_body("BLOB_UPLOAD_UNKNOWN"))),
      answers("PUT", kCommit, answer(400, error_body("BLOB_UPLOAD_INVALID"))),
  };
  row.sessions_may_stay = true;  // it said that the first is gone
  return row;
}

Case serverless_registry() {
  Case row{.id = "serverless-registry (R2)", .title = "Min-Length and Max-Length, no n-n, 413"};
  // 5 MiB to 100 MB, a hundredth of it.
  constexpr std::uint64_t kMin = 52'000;
  constexpr std::uint64_t kMax = 1'000'000;
  row.registry.session_headers = {{"OCI-Chunk-Min-Length", std::to_string(kMin)},
                                  {"OCI-Chunk-Max-Length", std::to_string(kMax)}};
  row.registry.rule = [](const HttpRequest& request) -> Answer {
    if (is_upload(request) && length_of(request) > kMax) return answer(413, kHtml);
    const std::string range = request.header("Content-Range").value_or("");
    const auto dash = range.find('-');
    const bool is_one_byte =
        dash != std::string::npos && range.substr(0, dash) == range.substr(dash + 1);
    if (is_one_byte) return answer(416, error_body("RANGE_ERROR"));
    return std::nullopt;
  };
  row.registry.manner = [](const HttpRequest&, HttpResponse& response) {
    if (header_of(response, "Range") == "0-0") set_header(response, "Range", "0--1");
  };
  row.image = {.layers = {200'000, 5'000'001}};  // the last byte must not be alone
  row.check = expect_one_body_each;
  return row;
}

Case cloudflare() {
  Case row{.id = "behind Cloudflare", .title = "413 above 4 MiB (it is 100 MB), in mid-body"};
  Fault too_large = answers("PATCH", "", answer(413, kHtml));
  too_large.act = Act::answer_early;
  too_large.body_bytes = 4 * kMiB;
  set_header(too_large.response, "Connection", "close");
  row.faults = {too_large};
  row.registry.rule = [](const HttpRequest& request) -> Answer {
    if (is_upload(request) && length_of(request) > 4 * kMiB) return answer(413, kHtml);
    return std::nullopt;
  };
  row.image = {.layers = {200'000, 10 * kMiB}};
  return row;
}

Case openshift() {
  Case row{.id = "OpenShift", .title = "a mount's source is asked for too, blobs appear late"};
  row.registry = with_bearer();
  row.mountable = true;
  row.arrange = [](Lab& lab) {
    const std::string layer = Digest::of(lab.image.layer(1)).str();
    lab.registry.script(answers("POST", "mount=", answer(403, error_body("DENIED")), kAlways));
    lab.registry.script(answers(
        "PUT", kManifests, answer(404, error_body("MANIFEST_BLOB_UNKNOWN", "unknown", layer))));
  };
  row.check = expect_one_body_each;
  return row;
}

Case openshift_old() {
  Case row{.id = "OpenShift, old", .title = "an OCI manifest is MANIFEST_INVALID"};
  row.faults = {answers("PUT", kManifests, answer(400, error_body("MANIFEST_INVALID")), kAlways)};
  row.ends = fails("denied", "MANIFEST_INVALID");
  return row;
}

Case pulp() {
  Case row{.id = "Pulp", .title = "PATCH 204"};
  row.registry = with_bearer();
  row.faults = {sets_status("PATCH", "", 204)};
  row.check = expect_one_body_each;
  return row;
}

// Nothing above 1 MB passes, and neither do chunks of that: tug goes down to 1 MiB.
Case nginx_default() {
  Case row{.id = "nginx, default", .title = "413 above 1 MB"};
  row.registry.rule = [](const HttpRequest& request) -> Answer {
    if (length_of(request) > kMiB)
      return answer(413, "<html><title>413 Request Entity Too Large</title></html>");
    return std::nullopt;
  };
  row.image = kLarge;
  row.check = [](Lab& lab) {
    for (const HttpRequest& request : lab.requests("PATCH"))
      if (request.header("Content-Range")) return;
    lab.expect(false, "chunks pass");
  };
  return row;
}

TEST_SUITE("quirks") {
  TEST_CASE("each product takes a push, or refuses it clearly") {
    run_table({docker_hub(),
               docker_hub_immutable(),
               ghcr(),
               ghcr_in_chunks(),
               ecr(),
               ecr_in_chunks(),
               ecr_no_repository(),
               ecr_empty_layer(),
               ecr_immutable(),
               artifact_registry(),
               acr(),
               digital_ocean(),
               quay(),
               harbor(),
               harbor_quota(),
               artifactory(),
               nexus(),
               nexus_realm(),
               gitlab(),
               gitea("Gitea 1.24.0", "0--1"),
               gitea("Gitea 1.24.1", ""),
               gitea("Forgejo", "0-0"),
               distribution(),
               distribution_read_only(),
               zot(),
               zot_without_docker_types(),
               olareg(),
               serverless_registry(),
               cloudflare(),
               openshift(),
               openshift_old(),
               pulp(),
               nginx_default()});
  }
}

}  // namespace
}  // namespace tug::test
