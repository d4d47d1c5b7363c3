#include "registry/repository.h"

#include "base/strings.h"
#include "http/retry.h"
#include "registry/attempts.h"
#include "registry/blob_download.h"
#include "registry/error_body.h"
#include "registry/link.h"
#include "registry/retries.h"
#include "registry/tag_page.h"
#include "registry/token.h"
#include "registry/upload.h"
#include "registry/write.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <set>
#include <utility>

namespace tug::registry {
namespace {

constexpr std::size_t kMaxTagBytes = 64'000'000;  // in memory: about a million tags
constexpr std::size_t kMaxPages = 10'000;
constexpr int kReferrerRounds = 3;              // 6.7
constexpr std::size_t kMaxReferrers = 100'000;  // of one manifest
constexpr std::size_t kMaxKeptSessions = 64;

// All that a reader of manifests may be given; without it, registries fall back to schema 1.
http::Headers accept_manifests() {
  http::Headers headers;
  headers.add("Accept", fmt::format("{}, {}, {}, {}, {};q=0.5, {};q=0.5", media_type::kOciManifest,
                                    media_type::kOciIndex, media_type::kDockerManifest,
                                    media_type::kDockerManifestList,
                                    media_type::kDockerSchema1Signed, media_type::kDockerSchema1));
  return headers;
}

std::string media_type_of(const http::Response& response) {
  const std::string_view value = response.headers.get("Content-Type").value_or("");
  return std::string(trim(value.substr(0, value.find(';'))));
}

bool is_success(int status) noexcept { return status >= 200 && status <= 299; }

// A bad gateway's kind of error: another thing than a "no".
bool is_refusal(int status) noexcept {
  return status >= 400 && status <= 499 && !http::is_retryable_status(status);
}

// Says of a 2xx whether it alone proves that a registry stored the manifest: a captive portal
// answers everything with 200, and a proxy with an HTML page (6.4).
bool is_proof(const http::Response& response) {
  if (response.status != 201) return false;
  if (is_html(response.body, response.headers.get("Content-Type").value_or(""))) return false;
  return response.headers.get("Location") || response.headers.get("Docker-Content-Digest") ||
         response.headers.get("Docker-Distribution-Api-Version");
}

bool says_missing(const Error& error, const Descriptor& manifest) {
  return error.has_registry_code("MANIFEST_BLOB_UNKNOWN") ||
         error.has_registry_code("BLOB_UNKNOWN") ||
         (media_type::is_index(manifest.media_type) && error.has_registry_code("MANIFEST_UNKNOWN"));
}

bool says_immutable(const Error& error, int status, std::string_view body) {
  if (status != 400 && status != 403 && status != 409 && status != 412) return false;
  const std::string text = to_lower(body);
  return error.has_registry_code("TAG_INVALID") || text.find("immutable") != std::string::npos ||
         text.find("already exists") != std::string::npos;
}

// Those digests of the error body that our manifest names: a stranger's text decides nothing else.
std::vector<Digest> missing_digests(std::string_view body, const std::string& manifest) {
  std::vector<Digest> digests = digests_in_error_body(body);
  std::erase_if(digests, [&](const Digest& digest) {
    return manifest.find(digest.str()) == std::string::npos;
  });
  return digests;
}

std::optional<std::string> next_page(const http::Response& response) {
  for (const std::string_view header : response.headers.get_all("Link")) {
    if (auto next = next_link(header)) return next;
  }
  return std::nullopt;
}

std::vector<std::string> tags_of(const Answer& answer) {
  return tags_of_page(answer.response.body, authority(answer.url));
}

// What is kept of a list of tags, the links between its pages included, is bounded: a registry may
// send pages for ever, and anything as a tag.
class TagMemory {
 public:
  void charge(std::string_view authority, const std::string& text) {
    bytes_ += sizeof(text) + text.size();
    if (bytes_ > kMaxTagBytes)
      throw Error(ErrorKind::limit, fmt::format("{} lists more than {} of tags", authority,
                                                human_bytes(kMaxTagBytes)));
  }

 private:
  std::size_t bytes_ = 0;
};

// Where the pages of a list were. The next one is where none before it was.
class PageLinks {
 public:
  [[nodiscard]] bool empty() const noexcept { return links_.empty(); }
  void add(const Answer& answer, const std::string& link) {
    memory_.charge(authority(answer.url), link);
    if (!links_.insert(link).second || links_.size() > kMaxPages)
      throw Error(ErrorKind::protocol, authority(answer.url) + " sends pages without an end");
  }

 private:
  std::set<std::string> links_;
  TagMemory memory_;
};

}  // namespace

// What the uploads to this repository share.
struct Repository::Uploads {
  explicit Uploads(const UploadTuning& sizes) : tuning(sizes) {}
  const UploadTuning tuning;
  CancelTime cancel_time;

  // Sessions that refused mounts opened (5.3). Gives back the one that is not kept: there is one
  // for a digest, the newest, and never very many.
  std::optional<UploadSession> keep(const Digest& digest, UploadSession session) {
    const std::lock_guard lock(mutex_);
    const auto found = sessions_.find(digest);
    if (found != sessions_.end()) return std::exchange(found->second, std::move(session));
    if (sessions_.size() == kMaxKeptSessions) return session;
    sessions_.emplace(digest, std::move(session));
    return std::nullopt;
  }
  std::optional<UploadSession> take(const Digest& digest) {
    const std::lock_guard lock(mutex_);
    auto node = sessions_.extract(digest);
    return node ? std::optional(std::move(node.mapped())) : std::nullopt;
  }
  // For content whose digest, a SHA-256 one, is not known yet: a session is bound to no digest
  // before its commit, unless its Location says so.
  std::optional<UploadSession> take_any() {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(sessions_.begin(), sessions_.end(), [](const auto& kept) {
      return kept.first.algorithm() == DigestAlgorithm::sha256 && takes_any_content(kept.second);
    });
    if (found == sessions_.end()) return std::nullopt;
    return std::move(sessions_.extract(found).mapped());
  }
  std::vector<UploadSession> take_all() {
    const std::lock_guard lock(mutex_);
    std::vector<UploadSession> all;
    for (auto& [digest, session] : std::exchange(sessions_, {})) all.push_back(std::move(session));
    return all;
  }

 private:
  std::mutex mutex_;
  std::map<Digest, UploadSession> sessions_;
};

Repository::Repository(Host& host, RegistryReference name, bool writable, UploadTuning tuning)
    : host_(host),
      name_(std::move(name)),
      scopes_{repository_scope(name_.repository(), writable ? "pull,push" : "pull")},
      uploads_(std::make_unique<Uploads>(tuning)) {}
Repository::~Repository() = default;

std::string Repository::path(std::string_view rest) const {
  return fmt::format("/v2/{}/{}", name_.repository(), rest);
}

Call Repository::read_call(std::string_view rest) const {
  Call call;
  call.path = path(rest);
  call.scopes = scopes_;
  return call;
}

// A GET with its whole body: one that breaks off is asked for again.
Answer Repository::read_all(const Call& call, const std::stop_token& stop) {
  Attempts attempts(host_.environment(), stop);
  for (;;) {
    Answer answer = host_.call(call, stop);
    if (!answer.response.truncated || !is_success(answer.response.status)) return answer;
    if (answer.response.body.size() >= call.max_response_bytes)
      throw Error(ErrorKind::protocol, fmt::format("{} sent more than {}", authority(answer.url),
                                                   human_bytes(call.max_response_bytes)));
    attempts.failed(Error(ErrorKind::network, authority(answer.url) + " broke off its answer"), {});
  }
}

// --- reading manifests ---------------------------------------------------------------------------

std::optional<Descriptor> Repository::head_manifest(const std::string& identifier,
                                                    const std::stop_token& stop) {
  return look_up_manifest(identifier, true, stop);
}

std::optional<Descriptor> Repository::manifest_to_replace(const std::string& identifier,
                                                          const std::stop_token& stop) {
  try {
    return head_manifest(identifier, stop);
  } catch (const Error& error) {
    if (error.http_status() != 500) throw;
    reads_back_ = true;
    return std::nullopt;
  }
}

std::optional<Descriptor> Repository::look_up_manifest(const std::string& identifier, bool retry,
                                                       const std::stop_token& stop) {
  Call call = read_call("manifests/" + identifier);
  call.method = http::Method::head;
  call.headers = accept_manifests();
  call.retry = retry;
  const Answer answer = host_.call(call, stop);
  const http::Response& response = answer.response;
  if (is_refusal(response.status)) return std::nullopt;
  if (response.status != 200) throw host_.failure(answer, scopes_);
  const auto told =
      Digest::try_parse(trim(response.headers.get("Docker-Content-Digest").value_or("")));
  if (told) {
    const auto length = parse_uint(trim(response.headers.get("Content-Length").value_or("")));
    return Descriptor{media_type_of(response), *told, length.value_or(0), {}, {}, {}, {}};
  }
  // ECR does not tell the digest.
  const Answer whole = fetch_manifest(identifier, retry, stop);
  if (whole.response.status != 200) return std::nullopt;
  return Descriptor{media_type_of(whole.response),
                    Digest::of(whole.response.body),
                    whole.response.body.size(),
                    {},
                    {},
                    {},
                    {}};
}

Answer Repository::fetch_manifest(const std::string& identifier, bool retry,
                                  const std::stop_token& stop) {
  Call call = read_call("manifests/" + identifier);
  call.retry = retry;
  call.headers = accept_manifests();
  call.max_response_bytes = kMaxManifestBytes;
  return read_all(call, stop);
}

RawManifest Repository::get_manifest(const std::string& identifier, const std::stop_token& stop,
                                     bool retry) {
  const Answer answer = fetch_manifest(identifier, retry, stop);
  const http::Response& response = answer.response;
  if (response.status != 200)
    throw host_.failure(answer, scopes_)
        .add_context("reading manifest " + identifier + " in " + name_.name());
  const auto wanted = Digest::try_parse(identifier);
  if (wanted && Digest::of(wanted->algorithm(), response.body) != *wanted)
    throw Error(ErrorKind::integrity, fmt::format("{} sent other bytes for manifest {} of {}",
                                                  authority(answer.url), identifier, name_.name()));
  return {response.body, media_type_of(response)};
}

// --- putting manifests ---------------------------------------------------------------------------

void Repository::put_manifest(const std::string& identifier, const Descriptor& descriptor,
                              const std::string& bytes, const std::stop_token& stop) {
  const auto context = [&] {
    return fmt::format(
        "pushing manifest {} to {}", descriptor.digest.str(),
        identifier == descriptor.digest.str() ? name_.name() : name_.name() + ":" + identifier);
  };
  with_context(context, [&] {
    if (bytes.size() > kMaxManifestBytes)
      throw Error(ErrorKind::limit,
                  fmt::format("it has {}, and no registry takes more than {}",
                              human_bytes(bytes.size()), human_bytes(kMaxManifestBytes)));
    const auto answer = store_manifest(identifier, descriptor, bytes, stop);
    const auto referrer = referrer_of(bytes, descriptor);
    if (!referrer || (answer && answer->response.headers.get("OCI-Subject"))) return;
    // Without an answer nobody said OCI-Subject, though the registry may know the word.
    if (!answer && has_referrers_api(referrer->subject, stop)) return;
    list_or_note(*referrer, stop);
  });
}

// The answer that stored it; nullopt when it was found to be stored though no answer said so.
std::optional<Answer> Repository::store_manifest(const std::string& identifier,
                                                 const Descriptor& descriptor,
                                                 const std::string& bytes,
                                                 const std::stop_token& stop) {
  Call call = read_call("manifests/" + identifier);
  call.method = http::Method::put;
  call.headers.add("Content-Type", descriptor.media_type);
  call.small_body = bytes;
  call.retry = false;  // before it is sent again, the tag is looked at
  Attempts attempts(host_.environment(), stop);
  bool doubtful = reads_back_;  // after a try that the registry may have been in the middle of
  const auto is_stored = [&](bool retry) {
    if (!names(identifier, descriptor.digest, retry, stop)) return false;
    if (doubtful) check_readable(descriptor.digest, stop);
    return true;
  };
  for (;;) {
    std::optional<Error> failure;
    std::optional<std::chrono::milliseconds> wait;
    try {
      Answer answer = call_write(host_, call, RedirectTo::same_origin, nullptr, stop);
      const http::Response& response = answer.response;
      if (is_success(response.status)) {
        check_stored(answer, identifier, descriptor.digest, stop);
        if (doubtful) check_readable(descriptor.digest, stop);
        return answer;
      }
      failure = host_.failure(answer, scopes_);
      wait = retry_after(response);
      if (is_refusal(response.status) && says_missing(*failure, descriptor)) {
        // It may have taken them by the way that is least used.
        host_.upload_habits().learn(
            [](UploadHabits::Values& values) { values.one_post = UploadHabits::OnePost::refused; });
        throw MissingBlobsError(*failure, missing_digests(response.body, bytes));
      }
      const bool immutable = says_immutable(*failure, response.status, response.body);
      doubtful = doubtful || response.status >= 500;
      if ((response.status >= 500 || immutable) && is_stored(false)) return std::nullopt;
      if (!http::is_retryable_status(response.status)) throw *failure;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::network || !error.retryable()) throw;
      doubtful = true;
      // A registry that is restarted is waited for with this question, not with the manifest.
      if (is_stored(true)) return std::nullopt;
      failure = error;
    }
    attempts.failed(*failure, wait);
  }
}

// What counts as success (6.4). Throws Error(integrity) or Error(protocol) when it does not.
void Repository::check_stored(const Answer& answer, const std::string& identifier,
                              const Digest& digest, const std::stop_token& stop) {
  if (contradicts(answer.response, digest)) {
    OtherDigestError error(
        ErrorKind::integrity,
        fmt::format("{} stored it as {}", authority(answer.url),
                    printable(*answer.response.headers.get("Docker-Content-Digest"), 100)));
    error.set_http_status(answer.response.status);
    throw error;
  }
  if (is_proof(answer.response)) return;
  for (const auto pause : poll_pauses(host_.environment().retry)) {
    sleep(host_.environment().timing, pause, stop);
    if (names(identifier, digest, false, stop)) return;
  }
  throw Error(ErrorKind::protocol,
              fmt::format("{} answered {}, but it is not there afterwards", authority(answer.url),
                          status_text(answer.response.status)))
      .set_http_status(answer.response.status);
}

// A registry that is ended while it writes a manifest may keep an empty file of it, and answer the
// next try 201 because there is one (Distribution 2.8): nobody could pull that. Where reading is
// not allowed, the answer to the PUT has to do.
void Repository::check_readable(const Digest& digest, const std::stop_token& stop) {
  const auto damaged = [&](std::string_view found) {
    return Error(ErrorKind::integrity, fmt::format("{} took it, but {}", name_.registry(), found))
        .set_hint(
            "its storage may have kept a part of a write that was interrupted: it has to be "
            "repaired there, or the image pushed under another digest (another --format)");
  };
  try {
    for (const auto pause : poll_pauses(host_.environment().retry)) {
      sleep(host_.environment().timing, pause, stop);
      const Answer answer = fetch_manifest(digest.str(), true, stop);
      const bool told = answer.response.status == 200;
      if (told && Digest::of(digest.algorithm(), answer.response.body) != digest)
        throw damaged("gives back other bytes");
      if (told || answer.response.status != 404) return;
    }
    throw damaged("does not give it back: " + status_text(404));
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::server && error.kind() != ErrorKind::protocol) throw;
    throw damaged("does not give it back: " + error.message());
  }
}

// Whether the registry has `digest` under `identifier` now. Trouble in finding out is a no.
bool Repository::names(const std::string& identifier, const Digest& digest, bool retry,
                       const std::stop_token& stop) {
  try {
    const auto found = look_up_manifest(identifier, retry, stop);
    return found && found->digest == digest;
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::interrupted || error.kind() == ErrorKind::auth) throw;
    if (retry && error.kind() == ErrorKind::network) throw;
    return false;
  }
}

bool Repository::has_referrers_api(const Digest& subject, const std::stop_token& stop) {
  const Answer answer = host_.call(read_call("referrers/" + subject.str()), stop);
  return answer.response.status == 200 && media_type_of(answer.response) == media_type::kOciIndex;
}

// The manifest itself is stored by now. Where nobody may write the fallback tag (immutable tags, a
// rule for their names, a full quota), only its listing is missing.
void Repository::list_or_note(const Referrer& referrer, const std::stop_token& stop) {
  try {
    list_referrer(referrer, stop);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::denied && error.kind() != ErrorKind::limit) throw;
    if (const auto& note = host_.environment().note)
      note(fmt::format("{} was pushed, but not listed: {}", referrer.descriptor.digest.str(),
                       error.what()));
  }
}

// Adds to the referrers tag, which is read again when somebody else was faster.
void Repository::list_referrer(const Referrer& referrer, const std::stop_token& stop) {
  const std::string tag = referrers_tag(referrer.subject);
  const auto context = "listing it among the referrers of " + referrer.subject.str();
  with_context(context, [&] {
    for (int round = 1;; ++round) {
      const Answer existing = fetch_manifest(tag, true, stop);
      if (existing.response.status != 200 && existing.response.status != 404)
        throw host_.failure(existing, scopes_);
      const bool is_new = existing.response.status == 404;
      const auto index = with_referrer(is_new ? "" : existing.response.body, referrer.descriptor);
      if (!index) return;
      Call call = read_call("manifests/" + tag);
      call.method = http::Method::put;
      call.headers.add("Content-Type", std::string(media_type::kOciIndex));
      const auto etag = existing.response.headers.get("ETag");
      if (!is_new && etag) call.headers.add("If-Match", std::string(*etag));
      call.small_body = *index;
      const Answer answer = call_write(host_, call, RedirectTo::same_origin, nullptr, stop);
      if (is_success(answer.response.status))
        return check_stored(answer, tag, Digest::of(*index), stop);
      if (answer.response.status != 412 || round == kReferrerRounds)
        throw host_.failure(answer, scopes_);
    }
  });
}

// --- referrers -----------------------------------------------------------------------------------

std::vector<Descriptor> Repository::referrers(const Digest& subject, const std::stop_token& stop) {
  PageLinks links;
  Call call = read_call("referrers/" + subject.str());
  call.max_response_bytes = kMaxManifestBytes;
  std::vector<Descriptor> found;
  return with_context("listing the referrers of " + subject.str() + " in " + name_.name(), [&] {
    for (;;) {
      const Answer answer = read_all(call, stop);
      const http::Response& response = answer.response;
      const bool is_page =
          response.status == 200 && media_type_of(response) == media_type::kOciIndex;
      // What registries without this API answer: mostly 404, some another refusal, or a web page.
      if (!is_page && links.empty() && (response.status == 200 || is_refusal(response.status)))
        return tagged_referrers(subject, stop);
      if (!is_page) throw host_.failure(answer, scopes_);
      const Index page = Index::parse(response.body, media_type::kOciIndex);
      found.insert(found.end(), page.manifests().begin(), page.manifests().end());
      if (found.size() > kMaxReferrers)
        throw Error(ErrorKind::limit, fmt::format("there are more than {}", kMaxReferrers));
      const auto next = next_page(response);
      if (!next) return found;
      call.url = host_.resolve_location(answer.url, *next);
      links.add(answer, call.url->str());
    }
  });
}

std::vector<Descriptor> Repository::tagged_referrers(const Digest& subject,
                                                     const std::stop_token& stop) {
  const Answer answer = fetch_manifest(referrers_tag(subject), true, stop);
  if (answer.response.status == 404) return {};
  if (answer.response.status != 200) throw host_.failure(answer, scopes_);
  return Index::parse(answer.response.body, media_type_of(answer.response)).manifests();
}

// --- deleting manifests --------------------------------------------------------------------------

void Repository::delete_manifest(const Digest& digest, const std::stop_token& stop) {
  Call call = read_call("manifests/" + digest.str());
  call.method = http::Method::del;
  // Registries disagree about the word for it, "delete", "push" or "*": those that want another
  // one say so in their 401.
  call.scopes = {repository_scope(name_.repository(), "*")};
  call.retry = false;  // a 404 means another thing once it may have been deleted
  Attempts attempts(host_.environment(), stop);
  for (bool may_be_done = false;; may_be_done = true) {
    std::optional<Error> failure;
    std::optional<std::chrono::milliseconds> wait;
    try {
      const Answer answer = call_write(host_, call, RedirectTo::same_origin, nullptr, stop);
      const int status = answer.response.status;
      const bool is_page =
          is_html(answer.response.body, answer.response.headers.get("Content-Type").value_or(""));
      if (is_success(status) && is_page)
        throw Error(ErrorKind::protocol,
                    authority(answer.url) + " answered with a web page: it is no registry");
      if (is_success(status) || (status == 404 && may_be_done)) return;
      failure = host_.failure(answer, call.scopes);
      if (status == 405 || failure->has_registry_code("UNSUPPORTED")) {
        throw Error(ErrorKind::denied, failure->message())
            .set_http_status(status)
            .set_registry_codes(failure->registry_codes())
            .set_hint(
                "this registry deletes nothing; Debian's and Docker's want storage.delete.enabled: "
                "true in their configuration (REGISTRY_STORAGE_DELETE_ENABLED=true)");
      }
      if (!http::is_retryable_status(status)) throw *failure;
      wait = retry_after(answer.response);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::network || !error.retryable()) throw;
      failure = error;
    }
    attempts.failed(*failure, wait);
  }
}

// --- blobs ---------------------------------------------------------------------------------------

UploadTarget Repository::upload_target() const {
  return {host_, name_, scopes_, uploads_->tuning, host_.upload_habits(), uploads_->cancel_time};
}

bool Repository::has_blob(const Descriptor& descriptor, const std::stop_token& stop) {
  if (!blob_exists(upload_target(), descriptor, true, stop)) return false;
  // A process may have died between its commit and the end of its upload.
  if (const auto& resume = host_.environment().resume;
      resume && descriptor.size >= uploads_->tuning.keep_from)
    resume->forget({name_.registry(), name_.repository(), descriptor.digest.str()});
  return true;
}

std::optional<std::uint64_t> Repository::blob_size(const Digest& digest,
                                                   const std::stop_token& stop) {
  try {
    const auto answer = head_blob(upload_target(), digest, true, stop);
    if (!answer || answer->response.status != 200 || contradicts(answer->response, digest))
      return std::nullopt;
    return parse_uint(trim(answer->response.headers.get("Content-Length").value_or("")));
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::server || error.kind() == ErrorKind::rate_limited)
      return std::nullopt;
    throw;
  }
}

std::string Repository::get_blob(const Descriptor& descriptor, std::size_t max_bytes,
                                 const std::stop_token& stop) {
  const auto context = fmt::format("reading blob {} of {}", descriptor.digest.str(), name_.name());
  return with_context(context, [&] {
    if (descriptor.size > max_bytes)
      throw Error(ErrorKind::limit,
                  fmt::format("it has {}, more than the {} that are read",
                              human_bytes(descriptor.size), human_bytes(max_bytes)));
    Call call = read_call("blobs/" + descriptor.digest.str());
    call.max_response_bytes = max_bytes;
    Answer answer = read_all(call, stop);
    if (answer.response.status != 200) throw host_.failure(answer, scopes_);
    std::string bytes = std::move(answer.response.body);
    if (bytes.size() != descriptor.size ||
        Digest::of(descriptor.digest.algorithm(), bytes) != descriptor.digest)
      throw Error(ErrorKind::integrity,
                  fmt::format("{} sent {} other bytes", authority(answer.url), bytes.size()));
    return bytes;
  });
}

std::unique_ptr<ByteSource> Repository::open_blob(const Descriptor& descriptor,
                                                  std::uint64_t offset,
                                                  const std::stop_token& stop) {
  return download_blob(host_, read_call("blobs/" + descriptor.digest.str()),
                       fmt::format("blob {} of {}", descriptor.digest.str(), name_.name()),
                       {.from = offset, .to = descriptor.size}, stop);
}

// Never fails a push: whatever goes wrong, there is still the plain upload.
bool Repository::mount_blob(const Descriptor& descriptor, const std::string& from_repository,
                            const std::stop_token& stop) {
  Call call;
  call.method = http::Method::post;
  // Both parameters, always: Quay answers 400 to `mount` alone.
  call.path =
      path(fmt::format("blobs/uploads/?mount={}&from={}", percent_encode(descriptor.digest.str()),
                       percent_encode(from_repository)));
  call.scopes = scopes_;
  if (from_repository != name_.repository())
    call.scopes.push_back(repository_scope(from_repository, "pull"));
  call.retry = false;
  try {
    const Answer answer = call_write(host_, call, RedirectTo::same_origin, nullptr, stop);
    if (answer.response.status == 201) return !contradicts(answer.response, descriptor.digest);
    if (answer.response.status == 202) {
      if (auto unwanted = uploads_->keep(descriptor.digest, session_from(host_, answer)))
        registry::cancel_sessions(upload_target(), {std::move(*unwanted)}, stop);
    }
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::interrupted) throw;
    host_.environment().log.debug(fmt::format("mount of {} from {}: {}", descriptor.digest.str(),
                                              from_repository, error.what()));
  }
  return false;
}

std::uint64_t Repository::put_blob(const Blob& blob, const SentCallback& sent,
                                   const std::stop_token& stop) {
  const auto context =
      fmt::format("uploading blob {} to {}", blob.descriptor.digest.str(), name_.name());
  return with_context(context, [&] {
    BlobContent content(blob, stop);
    const UploadTarget target = upload_target();
    Upload upload(target, content, sent, stop);
    if (auto session = uploads_->take(blob.descriptor.digest)) upload.adopt(std::move(*session));
    upload.run();
    return upload.bytes_sent();
  });
}

Descriptor Repository::put_stream(const StreamedBlob& blob, const SentCallback& sent,
                                  const std::stop_token& stop) {
  return with_context("uploading a layer to " + name_.name(), [&] {
    StreamContent content(blob, stop);
    const UploadTarget target = upload_target();
    Upload upload(target, content, sent, stop);
    if (auto session = uploads_->take_any()) upload.adopt(std::move(*session));
    return upload.run();
  });
}

void Repository::cancel_sessions(const std::stop_token& stop) noexcept {
  registry::cancel_sessions(upload_target(), uploads_->take_all(), stop);
}

// --- tags ----------------------------------------------------------------------------------------

Call Repository::tags_call() const {
  Call call = read_call("tags/list?n=1000");
  call.max_response_bytes = kMaxTagPage;
  return call;
}

std::vector<std::string> Repository::first_tags(const std::stop_token& stop) {
  Call call = tags_call();
  call.retry = false;
  const Answer answer = host_.call(call, stop);
  if (answer.response.status != 200) throw host_.failure(answer, scopes_);
  return tags_of(answer);
}

std::vector<std::string> Repository::list_tags(const std::stop_token& stop) {
  std::vector<std::string> tags;
  TagMemory memory;
  const auto keep = [&](const std::vector<std::string>& page) {
    for (const std::string& tag : page) memory.charge(host_.name(), tag);
    tags.insert(tags.end(), page.begin(), page.end());
  };
  list_tags(keep, stop);
  return tags;
}

void Repository::list_tags(const std::function<void(const std::vector<std::string>&)>& page,
                           const std::stop_token& stop, bool retry) {
  PageLinks links;
  Call call = tags_call();
  call.retry = retry;
  with_context("listing the tags of " + name_.name(), [&] {
    for (;;) {
      const Answer answer = read_all(call, stop);
      if (answer.response.status != 200) throw host_.failure(answer, scopes_);
      page(tags_of(answer));
      call.retry = true;
      const auto next = next_page(answer.response);
      if (!next) return;
      call.url = host_.resolve_location(answer.url, *next);
      links.add(answer, call.url->str());
    }
  });
}

}  // namespace tug::registry
