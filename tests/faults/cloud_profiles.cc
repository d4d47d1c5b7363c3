// Registries that are rented.
#include "profiles.h"

namespace tug::test {
namespace {

Case docker_hub() {
  Case row{.id = "Docker Hub", .title = "short tokens, {\"details\"}, 429 of HAProxy"};
  row.registry = with_bearer();
  row.registry.token_lifetime = std::chrono::seconds(300);
  row.registry.absolute_locations = true;
  row.registry.manner = [](const HttpRequest& request, HttpResponse& response) {
    // What was pushed cannot be seen for minutes.
    if (request.method == "HEAD" && request.target.find(kBlobs) != std::string::npos)
      response.status = 404;
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
  row.image = kLargeImage;
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
  row.image = kLargeImage;
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
  row.image = kLargeImage;
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
  row.image = kLargeImage;
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

}  // namespace

std::vector<Case> cloud_profiles() {
  return {docker_hub(),
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
          serverless_registry(),
          cloudflare()};
}

}  // namespace tug::test
