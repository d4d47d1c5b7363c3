// Registries that people run themselves.
#include "profiles.h"

namespace tug::test {
namespace {

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

Case quay_no_repository() {
  Case row{.id = "Quay, no such repository", .title = "401, as the robot may not create it"};
  row.registry = with_bearer();
  row.faults = {answers("POST", "",
                        answer(401,
                               error_body("UNAUTHORIZED",
                                          "access to the requested resource "
                                          "is not authorized"),
                               {{"WWW-Authenticate", "Bearer realm=\"/token\",service=\"s\""}}),
                        kAlways)};
  row.ends = fails("auth", "not authorized.*may not exist");
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

Case artifactory_no_overwriting() {
  Case row{.id = "Artifactory, no overwriting", .title = "MANIFEST_INVALID: HTTP 403 Forbidden"};
  row.registry = with_bearer();
  row.faults = {
      answers("PUT", kManifests,
              answer(403, error_body("MANIFEST_INVALID", "manifest invalid", "HTTP 403 Forbidden")),
              kAlways)};
  row.arrange = [](Lab& lab) {
    lab.registry.add_manifest(kRepository, kTag, "{}", lab.image.top_type());
  };
  row.ends = fails("denied", "HTTP 403 Forbidden");
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

Case gitlab_hidden() {
  Case row{.id = "GitLab, hidden project", .title = "404 of the token service"};
  row.registry = with_bearer();
  row.faults = {answers("", "^/token", answer(404), kAlways)};
  row.ends = fails("auth|denied", "404.*may not exist");
  row.max_requests = 8;
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
  row.image = kLargeImage;
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
  row.image = kLargeImage;
  row.check = [](Lab& lab) {
    for (const HttpRequest& request : lab.requests("PATCH"))
      if (request.header("Content-Range")) return;
    lab.expect(false, "chunks pass");
  };
  return row;
}

}  // namespace

std::vector<Case> hosted_profiles() {
  return {quay(),
          quay_no_repository(),
          harbor(),
          harbor_quota(),
          artifactory(),
          artifactory_no_overwriting(),
          nexus(),
          nexus_realm(),
          gitlab(),
          gitlab_hidden(),
          gitea("Gitea 1.24.0", "0--1"),
          gitea("Gitea 1.24.1", ""),
          gitea("Forgejo", "0-0"),
          distribution(),
          distribution_read_only(),
          zot(),
          zot_without_docker_types(),
          olareg(),
          openshift(),
          openshift_old(),
          pulp(),
          nginx_default()};
}

}  // namespace tug::test
