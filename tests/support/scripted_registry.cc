#include "support/scripted_registry.h"

#include "base/strings.h"
#include "oci/json.h"

#include <tug/descriptor.h>
#include <tug/error.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <regex>
#include <set>
#include <utility>

namespace tug::test {
namespace {

using Clock = std::chrono::steady_clock;

bool matches(const std::string& pattern, const std::string& text) {
  return pattern.empty() || std::regex_search(text, std::regex(pattern));
}

// One error for each of `details`.
HttpResponse error_response(int status, const std::string& code,
                            const std::vector<std::string>& details = {""}) {
  Json errors = Json::array();
  for (const std::string& detail : details) {
    errors.as_array()->push_back(
        Json::object({{"code", code}, {"message", "scripted"}, {"detail", detail}}));
  }
  const Json body = Json::object({{"errors", std::move(errors)}});
  return {status, {{"Content-Type", "application/json"}}, body.dump()};
}

std::string range_of(std::size_t size) {
  return "0-" + std::to_string(size == 0 ? 0 : size - 1);  // as distribution says it
}

// Every digest that a manifest needs to be there.
struct Needs {
  std::vector<std::string> blobs;
  std::vector<std::string> manifests;
  std::string subject;
};
Needs needs_of(const Json& manifest) {
  Needs needs;
  const auto collect = [](const Json* list, std::vector<std::string>& digests) {
    if (list == nullptr || list->as_array() == nullptr) return;
    for (const Json& item : *list->as_array()) digests.push_back(item.string_or_empty("digest"));
  };
  if (const Json* config = manifest.find("config"))
    needs.blobs.push_back(config->string_or_empty("digest"));
  collect(manifest.find("layers"), needs.blobs);
  collect(manifest.find("manifests"), needs.manifests);
  if (const Json* subject = manifest.find("subject"))
    needs.subject = subject->string_or_empty("digest");
  return needs;
}

struct Session {
  std::string repository;
  std::string data;
  int state = 0;  // of the newest Location
};

struct StoredManifest {
  std::string bytes;
  std::string media_type;
};

struct Repository {
  std::map<std::string, std::string> blobs;  // by digest
  std::map<std::string, StoredManifest> manifests;
  std::map<std::string, std::string> tags;
};

struct Token {
  std::set<std::string> grants;  // "app:push"
  Clock::time_point expires;
};

struct Rule {
  Fault fault;
  int seen = 0;
};

}  // namespace

struct ScriptedRegistry::Impl {
  explicit Impl(Options chosen)
      : options(std::move(chosen)),
        server([this](const HttpRequest& r, HttpConnection& c) { handle(r, c, true); },
               server_options()),
        other([this](const HttpRequest& r, HttpConnection& c) { handle(r, c, false); },
              server_options()) {}

  HttpServer::Options server_options() const {
    return {.tls = options.tls, .kept_body_bytes = options.kept_body_bytes};
  }

  // --- faults ------------------------------------------------------------------------------------

  std::optional<Fault> fault_for(const HttpRequest& request) {
    const std::lock_guard lock(mutex);
    std::optional<Fault> found;
    for (Rule& rule : rules) {
      const Fault& fault = rule.fault;
      if (!fault.method.empty() && fault.method != request.method) continue;
      if (!matches(fault.target, request.target)) continue;
      ++rule.seen;
      const bool due = rule.seen >= fault.first && rule.seen - fault.first < fault.count;
      if (due && !found) found = fault;
    }
    return found;
  }

  void handle(const HttpRequest& request, HttpConnection& connection, bool with_auth) {
    const auto fault = fault_for(request);
    if (fault && misbehave_before(*fault, request, connection)) return;
    const bool less = fault && fault->act == Fault::Act::keep_less;
    auto response = serve(request, connection, with_auth, less ? fault->body_bytes : UINT64_MAX);
    if (!response) return;  // the peer is gone
    if (!fault) return send(connection, *response);
    switch (fault->act) {
      case Fault::Act::answer_after:
        return send(connection, fault->response);
      case Fault::Act::edit:
      case Fault::Act::keep_less:
        if (fault->edit) fault->edit(*response);
        return send(connection, *response);
      case Fault::Act::stall_after:
        return connection.stall();
      default:
        return connection.close();
    }
  }

  void send(HttpConnection& connection, HttpResponse response) const {
    if (!options.keep_alive && options.says_close)
      response.headers.emplace_back("Connection", "close");
    connection.send(response);
    if (options.keep_alive || options.says_close) return;
    if (options.closes_after.count() > 0) connection.stall(options.closes_after);
    connection.close();
  }

  // Faults in which the registry does no work; true: that was all.
  bool misbehave_before(const Fault& fault, const HttpRequest& request,
                        HttpConnection& connection) {
    switch (fault.act) {
      case Fault::Act::answer:
        send(connection, fault.response);
        return true;
      case Fault::Act::answer_early:
        connection.read_body_part(fault.body_bytes);
        connection.send_early(fault.response);
        fault.then_reset ? connection.reset() : connection.drain();
        return true;
      case Fault::Act::reset:
        connection.read_body_part(fault.body_bytes);
        if (fault.keep_part) keep_part(request);
        connection.reset();
        return true;
      case Fault::Act::close:
        connection.close();
        return true;
      case Fault::Act::stall:
        connection.read_body_part(fault.body_bytes);
        connection.stall();
        return true;
      case Fault::Act::handle:
        fault.handler(request, connection);
        return true;
      default:
        return false;
    }
  }

  // What arrived before the cut is stored, as distribution does it.
  void keep_part(const HttpRequest& request) {
    const std::lock_guard lock(mutex);
    std::smatch match;
    const std::string path = request.path();
    if (!std::regex_match(path, match, kSessionPath)) return;
    const auto session = sessions.find(match[2]);
    if (session != sessions.end()) session->second.data += request.body;
  }

  // --- the good registry -------------------------------------------------------------------------

  // `keep`: how much of a session's body is stored. `own`: on the registry's own origin.
  std::optional<HttpResponse> serve(const HttpRequest& request, HttpConnection& connection,
                                    bool own, std::uint64_t keep) {
    if (own && options.rule) {
      if (auto answer = options.rule(request)) return answer;
    }
    auto response = work(request, connection, own, keep);
    if (own && options.manner && response) options.manner(request, *response);
    return response;
  }

  std::optional<HttpResponse> work(const HttpRequest& request, HttpConnection& connection,
                                   bool with_auth, std::uint64_t keep) {
    const std::string path = request.path();
    std::smatch match;
    if (path == "/token") return token(request);
    if (with_auth) {
      if (auto refusal = refuse(request)) return refusal;
    }
    if (path == "/v2/") return HttpResponse{200, {{"Content-Type", "application/json"}}, "{}"};
    if (std::regex_match(path, match, kUploadsPath)) {
      const bool is_whole = options.takes_one_post && request.query_value("digest");
      return is_whole ? take_whole(request, connection, match[1]) : open_session(request, match[1]);
    }
    if (std::regex_match(path, match, kSessionPath))
      return serve_session(request, connection, match[1], match[2], keep);
    if (std::regex_match(path, match, kBlobPath)) return read_blob(request, match[1], match[2]);
    if (std::regex_match(path, match, kManifestPath))
      return serve_manifest(request, connection, match[1], match[2]);
    if (std::regex_match(path, match, kTagsPath)) return list_tags(request, match[1]);
    if (std::regex_match(path, match, kReferrersPath)) return list_referrers(match[1], match[2]);
    return error_response(404, "NAME_UNKNOWN");
  }

  std::string location(const std::string& path) const {
    return options.absolute_locations ? server.url(path) : path;
  }
  std::string session_location(const std::string& id) {
    Session& session = sessions.at(id);
    ++session.state;
    std::string path = options.session_path;
    path.replace(path.find("{name}"), 6, session.repository);
    path.replace(path.find("{id}"), 4, id);
    return location(path + "?_state=" + std::to_string(session.state) + "%2B");
  }

  HttpResponse open_session(const HttpRequest& request, const std::string& name) {
    const std::lock_guard lock(mutex);
    if (request.method != "POST") return error_response(405, "UNSUPPORTED");
    const auto mount = request.query_value("mount");
    const auto from = request.query_value("from");
    if (mount && from) {
      const auto source = repositories.find(*from);
      if (source != repositories.end() && source->second.blobs.count(*mount) > 0) {
        repositories[name].blobs[*mount] = source->second.blobs.at(*mount);
        return {201,
                {{"Location", location("/v2/" + name + "/blobs/" + *mount)},
                 {"Docker-Content-Digest", *mount}},
                ""};
      }
    }
    const std::string id = "session-" + std::to_string(++last_session);
    sessions[id].repository = name;
    HttpResponse response{202, {{"Location", session_location(id)}, {"Range", "0-0"}}, ""};
    response.headers.insert(response.headers.end(), options.session_headers.begin(),
                            options.session_headers.end());
    return response;
  }

  std::optional<HttpResponse> serve_session(const HttpRequest& request, HttpConnection& connection,
                                            const std::string& name, const std::string& id,
                                            std::uint64_t keep) {
    {
      const std::lock_guard lock(mutex);
      const auto session = sessions.find(id);
      if (session == sessions.end() || session->second.repository != name || is_stale(request, id))
        return error_response(404, "BLOB_UPLOAD_UNKNOWN");
      if (request.method == "DELETE") {
        sessions.erase(session);
        return HttpResponse{204, {}, ""};
      }
      if (request.method == "GET") return session_status(204, id);
      if (auto refusal = refuse_range(request, session->second)) return refusal;
    }
    if (request.method != "PATCH" && request.method != "PUT")
      return error_response(405, "UNSUPPORTED");
    const auto append = [&](std::string_view bytes) {
      const std::lock_guard lock(mutex);
      bytes =
          bytes.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(keep, bytes.size())));
      keep -= bytes.size();
      if (const auto session = sessions.find(id); session != sessions.end())
        session->second.data += bytes;
    };
    if (!connection.read_body(append)) return std::nullopt;
    const std::lock_guard lock(mutex);
    if (sessions.count(id) == 0) return error_response(404, "BLOB_UPLOAD_UNKNOWN");
    return request.method == "PATCH" ? session_status(202, id) : commit(request, name, id);
  }

  bool is_stale(const HttpRequest& request, const std::string& id) const {
    return options.single_use_locations &&
           request.query_value("_state") != std::to_string(sessions.at(id).state) + "+";
  }

  HttpResponse session_status(int status, const std::string& id) {
    return {status,
            {{"Location", session_location(id)},
             {"Range", range_of(sessions.at(id).data.size())},
             {"Docker-Upload-UUID", id}},
            ""};
  }

  static std::optional<HttpResponse> refuse_range(const HttpRequest& request,
                                                  const Session& session) {
    const auto range = request.header("Content-Range");
    if (!range) return std::nullopt;
    const auto dash = range->find('-');
    const auto first = parse_uint(range->substr(0, dash));
    const auto last =
        dash == std::string::npos ? std::nullopt : parse_uint(range->substr(dash + 1));
    const bool good = first && last && *last >= *first && first == session.data.size() &&
                      request.content_length() == *last - *first + 1;
    if (good) return std::nullopt;
    return error_response(416, "RANGE_INVALID");
  }

  std::optional<HttpResponse> take_whole(const HttpRequest& request, HttpConnection& connection,
                                         const std::string& name) {
    std::string data;
    if (!connection.read_body([&](std::string_view bytes) { data += bytes; })) return std::nullopt;
    const std::lock_guard lock(mutex);
    return store(request, name, data);
  }

  HttpResponse commit(const HttpRequest& request, const std::string& name, const std::string& id) {
    const std::string data = std::move(sessions.at(id).data);
    sessions.erase(id);
    return store(request, name, data);
  }

  HttpResponse store(const HttpRequest& request, const std::string& name, const std::string& data) {
    const auto digest = Digest::try_parse(request.query_value("digest").value_or(""));
    if (!digest || Digest::of(digest->algorithm(), data) != *digest)
      return error_response(400, "DIGEST_INVALID");
    repositories[name].blobs[digest->str()] = data;
    return {201,
            {{"Location", location("/v2/" + name + "/blobs/" + digest->str())},
             {"Docker-Content-Digest", digest->str()}},
            ""};
  }

  HttpResponse read_blob(const HttpRequest& request, const std::string& name,
                         const std::string& digest) {
    const std::lock_guard lock(mutex);
    const auto found = repositories[name].blobs.find(digest);
    if (found == repositories[name].blobs.end()) return error_response(404, "BLOB_UNKNOWN");
    HttpResponse response{
        200,
        {{"Content-Type", "application/octet-stream"}, {"Docker-Content-Digest", digest}},
        found->second};
    if (request.method == "HEAD")
      response.headers.emplace_back("Content-Length", std::to_string(found->second.size()));
    return response;
  }

  // --- manifests ---------------------------------------------------------------------------------

  std::optional<HttpResponse> serve_manifest(const HttpRequest& request, HttpConnection& connection,
                                             const std::string& name,
                                             const std::string& reference) {
    if (request.method == "PUT") {
      if (!connection.read_body()) return std::nullopt;
      return put_manifest(request, name, reference);
    }
    const std::lock_guard lock(mutex);
    const StoredManifest* found = find_manifest(name, reference);
    if (found == nullptr) return error_response(404, "MANIFEST_UNKNOWN");
    const std::string digest = Digest::of(found->bytes).str();
    HttpResponse response{200,
                          {{"Content-Type", found->media_type},
                           {"Docker-Content-Digest", digest},
                           {"ETag", "\"" + digest + "\""}},
                          found->bytes};
    if (request.method == "HEAD")
      response.headers.emplace_back("Content-Length", std::to_string(found->bytes.size()));
    return response;
  }

  const StoredManifest* find_manifest(const std::string& name, const std::string& reference) {
    Repository& repository = repositories[name];
    const auto tag = repository.tags.find(reference);
    const auto found =
        repository.manifests.find(tag == repository.tags.end() ? reference : tag->second);
    return found == repository.manifests.end() ? nullptr : &found->second;
  }

  HttpResponse put_manifest(const HttpRequest& request, const std::string& name,
                            const std::string& reference) {
    const std::lock_guard lock(mutex);
    const auto wanted = Digest::try_parse(reference);
    const Digest digest =
        wanted ? Digest::of(wanted->algorithm(), request.body) : Digest::of(request.body);
    if (wanted && *wanted != digest) return error_response(400, "DIGEST_INVALID");
    const auto if_match = request.header("If-Match");
    const StoredManifest* present = find_manifest(name, reference);
    if (if_match &&
        (present == nullptr || *if_match != "\"" + Digest::of(present->bytes).str() + "\""))
      return error_response(412, "UNKNOWN");
    Needs needs;
    try {
      needs = needs_of(Json::parse(request.body));
    } catch (const Error&) {
      return error_response(400, "MANIFEST_INVALID");
    }
    if (auto refusal = refuse_missing(name, needs)) return *refusal;
    store_manifest(name, reference, digest,
                   {request.body, request.header("Content-Type").value_or("")});
    HttpResponse response{201,
                          {{"Location", location("/v2/" + name + "/manifests/" + digest.str())},
                           {"Docker-Content-Digest", digest.str()}},
                          ""};
    if (!needs.subject.empty() && options.referrers)
      response.headers.emplace_back("OCI-Subject", needs.subject);
    return response;
  }

  std::optional<HttpResponse> refuse_missing(const std::string& name, const Needs& needs) {
    const Repository& repository = repositories[name];
    std::vector<std::string> missing;
    for (const std::string& digest : needs.blobs)
      if (repository.blobs.count(digest) == 0) missing.push_back(digest);
    for (const std::string& digest : needs.manifests)
      if (repository.manifests.count(digest) == 0) missing.push_back(digest);
    if (missing.empty()) return std::nullopt;
    return error_response(400, "MANIFEST_BLOB_UNKNOWN", missing);
  }

  void store_manifest(const std::string& name, const std::string& reference, const Digest& digest,
                      StoredManifest manifest) {
    Repository& repository = repositories[name];
    repository.manifests[digest.str()] = std::move(manifest);
    if (reference != digest.str()) repository.tags[reference] = digest.str();
  }

  HttpResponse list_tags(const HttpRequest& request, const std::string& name) {
    const std::lock_guard lock(mutex);
    const auto found = repositories.find(name);
    if (found == repositories.end()) return error_response(404, "NAME_UNKNOWN");
    const std::string last = request.query_value("last").value_or("");
    const auto wanted = parse_uint(request.query_value("n").value_or(""));
    const std::size_t size =
        std::min<std::size_t>(wanted.value_or(options.page_size), options.page_size);
    Json tags = Json::array();
    HttpResponse response{200, {{"Content-Type", "application/json"}}, ""};
    for (const auto& [tag, digest] : found->second.tags) {
      if (tag <= last) continue;
      Json::Array& page = *tags.as_array();
      if (page.size() == size) {
        response.headers.emplace_back("Link", "</v2/" + name +
                                                  "/tags/list?last=" + *page.back().as_string() +
                                                  "&n=" + std::to_string(size) + ">; rel=\"next\"");
        break;
      }
      page.push_back(tag);
    }
    response.body = Json::object({{"name", name}, {"tags", tags}}).dump();
    return response;
  }

  HttpResponse list_referrers(const std::string& name, const std::string& subject) {
    const std::lock_guard lock(mutex);
    if (!options.referrers) return error_response(404, "UNSUPPORTED");
    Json manifests = Json::array();
    for (const auto& [digest, manifest] : repositories[name].manifests) {
      if (needs_of(Json::parse(manifest.bytes)).subject == subject)
        manifests.as_array()->push_back(Json::object({{"mediaType", manifest.media_type},
                                                      {"digest", digest},
                                                      {"size", manifest.bytes.size()}}));
    }
    const Json index = Json::object(
        {{"schemaVersion", 2}, {"mediaType", media_type::kOciIndex}, {"manifests", manifests}});
    return {200, {{"Content-Type", std::string(media_type::kOciIndex)}}, index.dump()};
  }

  // --- authentication ----------------------------------------------------------------------------

  std::string basic_value() const {
    return "Basic " + base64_encode(options.username + ":" + options.password);
  }

  std::optional<HttpResponse> refuse(const HttpRequest& request) {
    if (options.auth == Auth::none) return std::nullopt;
    const std::string given = request.header("Authorization").value_or("");
    if (options.auth == Auth::basic)
      return given == basic_value() ? std::nullopt
                                    : std::optional(challenge("Basic realm=\"scripted\""));
    const std::string needed = needed_grant(request);
    const std::lock_guard lock(mutex);
    const auto token = given.starts_with("Bearer ") ? tokens.find(given.substr(7)) : tokens.end();
    const bool valid = token != tokens.end() && token->second.expires > Clock::now() &&
                       (needed.empty() || token->second.grants.count(needed) > 0);
    if (valid) return std::nullopt;
    std::string header = "Bearer realm=\"" + server.url("/token") + "\",service=\"scripted\"";
    if (!needed.empty()) {
      const auto colon = needed.rfind(':');
      header += ",scope=\"repository:" + needed.substr(0, colon) + ":" +
                (needed.substr(colon + 1) == "pull" ? "pull" : "pull,push") + "\"";
    }
    if (!given.empty()) header += ",error=\"invalid_token\"";
    return challenge(header);
  }

  static HttpResponse challenge(const std::string& header) {
    HttpResponse response = error_response(401, "UNAUTHORIZED");
    response.headers.emplace_back("WWW-Authenticate", header);
    return response;
  }

  // "app:push": what the request needs; "" for the ping.
  static std::string needed_grant(const HttpRequest& request) {
    std::smatch match;
    const std::string path = request.path();
    if (!std::regex_match(path, match, kRepositoryPath)) return "";
    const bool reads = request.method == "GET" || request.method == "HEAD";
    return match[1].str() + (reads ? ":pull" : ":push");
  }

  HttpResponse token(const HttpRequest& request) {
    const bool authenticated = request.header("Authorization") == basic_value();
    if (request.method != "GET") return {405, {}, ""};
    if (!authenticated && (request.has_header("Authorization") || !options.anonymous_pull))
      return error_response(401, "UNAUTHORIZED");
    Token token{{}, Clock::now() + options.token_lifetime};
    for (const std::string& scope : scopes_in(request.query())) {
      const auto name_start = scope.find(':');
      const auto name_end = scope.rfind(':');
      if (name_start == std::string::npos || name_end <= name_start) continue;
      const std::string name = scope.substr(name_start + 1, name_end - name_start - 1);
      for (const std::string_view action :
           split(std::string_view(scope).substr(name_end + 1), ',')) {
        if (authenticated || action == "pull")
          token.grants.insert(name + ":" + std::string(action));
      }
    }
    const std::lock_guard lock(mutex);
    const std::string value = "token-" + std::to_string(++last_token);
    tokens[value] = std::move(token);
    const Json body =
        Json::object({{"token", value},
                      {"expires_in", static_cast<std::int64_t>(options.token_lifetime.count())}});
    return {200, {{"Content-Type", "application/json"}}, body.dump()};
  }

  // The values of every `scope` in a query, decoded.
  static std::vector<std::string> scopes_in(const std::string& query) {
    std::vector<std::string> scopes;
    for (const std::string_view item : split(query, '&')) {
      if (!item.starts_with("scope=")) continue;
      HttpRequest single;
      single.target = "/?" + std::string(item);
      const std::string value = single.query_value("scope").value_or("");
      for (const std::string_view scope : split(value, ' ')) scopes.emplace_back(scope);
    }
    return scopes;
  }

  inline static const std::regex kRepositoryPath{
      "(?:/repository/[^/]+)?/v2/(.+)/(?:blobs|manifests|tags|referrers)/.*"};
  inline static const std::regex kUploadsPath{"/v2/(.+)/blobs/uploads/?"};
  // GHCR says "upload", Nexus puts its own path in front.
  inline static const std::regex kSessionPath{
      "(?:/repository/[^/]+)?/v2/(.+)/blobs/uploads?/(session-[0-9]+)"};
  inline static const std::regex kBlobPath{"/v2/(.+)/blobs/([a-z0-9]+:[0-9a-f]+)"};
  inline static const std::regex kManifestPath{"/v2/(.+)/manifests/([^/]+)"};
  inline static const std::regex kTagsPath{"/v2/(.+)/tags/list"};
  inline static const std::regex kReferrersPath{"/v2/(.+)/referrers/([^/]+)"};

  const Options options;
  mutable std::mutex mutex;
  std::vector<Rule> rules;
  std::map<std::string, Repository> repositories;
  std::map<std::string, Session> sessions;
  std::map<std::string, Token> tokens;
  int last_session = 0;
  int last_token = 0;
  // Last, so that no handler runs when the state above goes.
  HttpServer server;
  HttpServer other;
};

ScriptedRegistry::ScriptedRegistry() : ScriptedRegistry(Options{}) {}
ScriptedRegistry::ScriptedRegistry(Options options)
    : impl_(std::make_unique<Impl>(std::move(options))) {}
ScriptedRegistry::~ScriptedRegistry() = default;

std::string ScriptedRegistry::authority() const { return impl_->server.authority(); }
std::string ScriptedRegistry::url(std::string_view target) const {
  return impl_->server.url(target);
}
std::string ScriptedRegistry::other_url(std::string_view target) const {
  return impl_->other.url(target);
}

void ScriptedRegistry::script(Fault fault) {
  const std::lock_guard lock(impl_->mutex);
  impl_->rules.push_back({std::move(fault), 0});
}

void ScriptedRegistry::revoke_tokens() {
  const std::lock_guard lock(impl_->mutex);
  impl_->tokens.clear();
}

void ScriptedRegistry::add_blob(const std::string& repository, std::string bytes) {
  const std::lock_guard lock(impl_->mutex);
  const std::string digest = Digest::of(bytes).str();
  impl_->repositories[repository].blobs[digest] = std::move(bytes);
}

void ScriptedRegistry::add_manifest(const std::string& repository, const std::string& tag,
                                    std::string bytes, std::string media_type) {
  const std::lock_guard lock(impl_->mutex);
  const Digest digest = Digest::of(bytes);
  impl_->store_manifest(repository, tag, digest, {std::move(bytes), std::move(media_type)});
}

void ScriptedRegistry::remove_blob(const std::string& repository, const Digest& digest) {
  const std::lock_guard lock(impl_->mutex);
  impl_->repositories[repository].blobs.erase(digest.str());
}

std::optional<std::string> ScriptedRegistry::blob(const std::string& repository,
                                                  const Digest& digest) const {
  const std::lock_guard lock(impl_->mutex);
  const auto& blobs = impl_->repositories[repository].blobs;
  const auto found = blobs.find(digest.str());
  return found == blobs.end() ? std::nullopt : std::optional(found->second);
}

std::size_t ScriptedRegistry::blob_count(const std::string& repository) const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->repositories[repository].blobs.size();
}

std::optional<std::string> ScriptedRegistry::manifest(const std::string& repository,
                                                      const std::string& reference) const {
  const std::lock_guard lock(impl_->mutex);
  const StoredManifest* found = impl_->find_manifest(repository, reference);
  return found == nullptr ? std::nullopt : std::optional(found->bytes);
}

std::optional<Digest> ScriptedRegistry::tag(const std::string& repository,
                                            const std::string& tag) const {
  const std::lock_guard lock(impl_->mutex);
  const auto& tags = impl_->repositories[repository].tags;
  const auto found = tags.find(tag);
  return found == tags.end() ? std::nullopt : std::optional(Digest::parse(found->second));
}

std::size_t ScriptedRegistry::manifest_count(const std::string& repository) const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->repositories[repository].manifests.size();
}

std::size_t ScriptedRegistry::open_sessions() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->sessions.size();
}

std::vector<std::string> ScriptedRegistry::open_session_ids() const {
  const std::lock_guard lock(impl_->mutex);
  std::vector<std::string> ids;
  for (const auto& [id, session] : impl_->sessions) ids.push_back(id);
  return ids;
}

std::vector<HttpRequest> ScriptedRegistry::requests() const { return impl_->server.requests(); }
std::vector<HttpRequest> ScriptedRegistry::other_requests() const {
  return impl_->other.requests();
}

std::size_t ScriptedRegistry::count(std::string_view method, const std::string& target) const {
  const auto all = requests();
  return static_cast<std::size_t>(
      std::count_if(all.begin(), all.end(), [&](const HttpRequest& request) {
        return (method.empty() || request.method == method) && matches(target, request.target);
      }));
}

std::vector<std::string> ScriptedRegistry::story() const {
  std::vector<std::string> story;
  for (const HttpRequest& request : requests())
    story.push_back(request.method + " " + request.target);
  return story;
}

std::size_t ScriptedRegistry::connection_count() const { return impl_->server.connection_count(); }

}  // namespace tug::test
