#include "registry/upload_session.h"

#include "base/parallel.h"
#include "base/strings.h"
#include "registry/error_body.h"
#include "registry/redirects.h"
#include "registry/write.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <thread>
#include <utility>

namespace tug::registry {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kCancelLimit{5'000};  // 5.15
// Less than F88 allows: who presses ^C gets the prompt back within 2 s.
constexpr milliseconds kCancelLimitWhenStopped{1'500};
constexpr std::size_t kParallelCancels = 8;

// A stop_token that fires when the time for cancelling is over: for the last word to a server that
// may be dead. A stop request that comes meanwhile shortens it.
class Deadline {
 public:
  Deadline(CancelTime& time, const std::stop_token& stop)
      : on_stop_(stop, [this] { wake(); }),
        thread_([this, &time, stop](const std::stop_token& done) { run(time, stop, done); }) {}
  [[nodiscard]] std::stop_token token() const { return source_.get_token(); }

 private:
  void wake() {
    const std::lock_guard lock(mutex_);
    woken_.notify_all();
  }
  void run(CancelTime& time, const std::stop_token& stop, const std::stop_token& done) {
    std::unique_lock lock(mutex_);
    woken_.wait_for(lock, done, time.left(false), [&] { return stop.stop_requested(); });
    if (stop.stop_requested()) woken_.wait_for(lock, done, time.left(true), [] { return false; });
    if (done.stop_requested()) return;
    time.give_up();
    source_.request_stop();
  }

  std::stop_source source_;
  std::mutex mutex_;
  std::condition_variable_any woken_;
  const std::stop_callback<std::function<void()>> on_stop_;
  const std::jthread thread_;  // the last: it uses all the others
};

// The value of the query's key `digest` as it stands there, undecoded.
std::optional<std::string_view> digest_in_query(const http::Url& url) {
  if (!url.query()) return std::nullopt;
  for (const std::string_view item : split(*url.query(), '&')) {
    if (item.starts_with("digest=")) return item.substr(7);
  }
  return std::nullopt;
}

void read_chunk_lengths(const Answer& answer, UploadSession& session) {
  if (const auto min = answer.response.headers.get("OCI-Chunk-Min-Length"))
    session.min_chunk = std::string(*min);
  if (const auto max = answer.response.headers.get("OCI-Chunk-Max-Length"))
    session.max_chunk = std::string(*max);
}

Call post_call(const UploadTarget& target, std::string_view query) {
  Call call;
  call.method = http::Method::post;
  call.path = fmt::format("/v2/{}/blobs/uploads/{}", target.name.repository(), query);
  call.scopes = target.scopes;
  return call;
}

// What the answer to a GET says of the session: how much it has, and where it is now.
StoredRange read_state(const UploadTarget& target, UploadSession& session, const Answer& answer) {
  const int status = answer.response.status;
  session.gone = status == 400 || status == 404;  // olareg says 400
  if (status < 200 || status > 299) return {};
  keep_location(target, session, answer);
  return parse_range(answer.response.headers.get("Range"));
}

// What the place says that a HEAD was redirected to; nullopt when it cannot be asked. It is asked
// once: nothing hangs on its answer that would be worth waiting for.
std::optional<Answer> follow(Host& host, Call call, const Answer& redirect,
                             const std::stop_token& stop) {
  call.follow_redirects = true;
  call.retry = false;
  try {
    call.url = redirect_target(redirect, is_local(redirect.url));
    Answer answer = host.call(call, stop);
    const int status = answer.response.status;
    // So says storage whose URLs are signed for GET.
    if (status == 403 || status == 405) return std::nullopt;
    return answer;
  } catch (const Error& error) {
    const ErrorKind kind = error.kind();
    if (kind != ErrorKind::protocol && kind != ErrorKind::network && kind != ErrorKind::tls) throw;
    host.environment().log.debug(error.what());
    return std::nullopt;
  }
}

}  // namespace

milliseconds CancelTime::left(bool stopped) {
  const std::lock_guard lock(mutex_);
  if (given_up_) return milliseconds(0);
  if (!stopped) return kCancelLimit;
  const auto now = std::chrono::steady_clock::now();
  if (!until_) until_ = now + kCancelLimitWhenStopped;
  return std::max(milliseconds(0), std::chrono::ceil<milliseconds>(*until_ - now));
}

void CancelTime::give_up() {
  const std::lock_guard lock(mutex_);
  given_up_ = true;
}

std::optional<Answer> head_blob(const UploadTarget& target, const Digest& digest, bool retry,
                                const std::stop_token& stop) {
  Call call;
  call.method = http::Method::head;
  call.path = fmt::format("/v2/{}/blobs/{}", target.name.repository(), digest.str());
  call.scopes = target.scopes;
  call.retry = retry;
  call.follow_redirects = false;
  Answer answer = target.host.call(call, stop);
  if (!is_redirect(answer.response.status)) return answer;
  return follow(target.host, std::move(call), answer, stop);
}

bool blob_exists(const UploadTarget& target, const Descriptor& descriptor, bool retry,
                 const std::stop_token& stop) {
  try {
    const auto answer = head_blob(target, descriptor.digest, retry, stop);
    if (!answer) return true;
    if (answer->response.status != 200) return false;
    const auto length = answer->response.headers.get("Content-Length");
    const bool size_differs = length && parse_uint(trim(*length)) != descriptor.size;
    return !size_differs && !contradicts(answer->response, descriptor.digest);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::server || error.kind() == ErrorKind::rate_limited) return false;
    throw;
  }
}

bool contradicts(const http::Response& response, const Digest& digest) {
  const auto header = response.headers.get("Docker-Content-Digest");
  const auto told = header ? Digest::try_parse(trim(*header)) : std::nullopt;
  return told && told->algorithm() == digest.algorithm() && *told != digest;
}

Error unexpected_success(const Answer& answer, std::string_view request) {
  return Error(ErrorKind::protocol, fmt::format("{} answered {} with {}", authority(answer.url),
                                                request, status_text(answer.response.status)))
      .set_http_status(answer.response.status);
}

UploadSession session_from(Host& host, const Answer& answer) {
  const auto locations = answer.response.headers.get_all("Location");
  if (locations.empty() || locations.front().empty())
    throw Error(ErrorKind::protocol,
                authority(answer.url) + " opened an upload session without a Location");
  for (const std::string_view other : locations) {
    if (other != locations.front())
      throw Error(ErrorKind::protocol, authority(answer.url) + " sent two different Locations");
  }
  UploadSession session{host.resolve_location(answer.url, locations.front())};
  session.foreign = session.url.origin() != answer.url.origin();
  read_chunk_lengths(answer, session);
  return session;
}

Answer post_whole(const UploadTarget& target, const Digest& digest, std::string bytes,
                  const std::stop_token& stop) {
  Call call = post_call(target, "?digest=" + digest.str());
  call.headers.add("Content-Type", "application/octet-stream");
  call.small_body = std::move(bytes);
  call.retry = false;
  return call_write(target.host, std::move(call), RedirectTo::same_origin, nullptr, stop);
}

UploadSession open_session(const UploadTarget& target, const std::optional<Digest>& digest,
                           const std::stop_token& stop) {
  const bool is_sha512 = digest && digest->algorithm() == DigestAlgorithm::sha512;
  Call call = post_call(target, is_sha512 ? "?digest-algorithm=sha512" : "");
  const Answer answer = [&] {
    try {
      return call_write(target.host, std::move(call), RedirectTo::same_origin, nullptr, stop);
    } catch (Error& error) {
      // ECR closes the connection instead of answering (containers-roadmap#1970).
      if (error.kind() == ErrorKind::network)
        error.set_hint("some registries just hang up when the repository does not exist");
      throw;
    }
  }();
  const int status = answer.response.status;
  if (status == 202) return session_from(target.host, answer);
  if (status >= 200 && status <= 299) throw unexpected_success(answer, "POST of an upload session");
  Error error = target.host.failure(answer, target.scopes);
  if (status == 404)
    error.set_hint("the repository or its project does not exist, or you may not see it");
  throw error;
}

// The newest Location is the one to use: GCR's are single-use, distribution's carry the offset. ECR
// sends none with PATCH (buildah#2234).
void keep_location(const UploadTarget& target, UploadSession& session, const Answer& answer) {
  if (!answer.response.headers.get("Location")) return;
  UploadSession next = session_from(target.host, answer);
  session.foreign = session.foreign || next.foreign;
  session.url = std::move(next.url);
}

std::optional<FoundSession> find_session(const UploadTarget& target, const std::string& path,
                                         const std::stop_token& stop) {
  Call call;
  call.path = path;
  call.scopes = target.scopes;
  try {
    const Answer answer = target.host.call(call, stop);
    FoundSession found{UploadSession{answer.url}};
    read_chunk_lengths(answer, found.session);
    const StoredRange stored = read_state(target, found.session, answer);
    if (stored.kind != StoredRange::Kind::bytes) return std::nullopt;
    found.stored = stored.bytes;
    return found;
  } catch (const Error& error) {
    // Where the registry cannot be reached, nothing else will do either.
    if (error.kind() == ErrorKind::interrupted || error.kind() == ErrorKind::network) throw;
    target.host.environment().log.debug(error.what());
    return std::nullopt;
  }
}

StoredRange ask_session(const UploadTarget& target, UploadSession& session,
                        const std::stop_token& stop) {
  Call call;
  call.url = session.url;
  call.scopes = target.scopes;
  call.retry = false;
  try {
    return read_state(target, session, target.host.call(call, stop));
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::interrupted) throw;
    target.host.environment().log.debug(error.what());
    return {};
  }
}

void cancel_sessions(const UploadTarget& target, std::vector<UploadSession> sessions,
                     const std::stop_token& stop) noexcept {
  std::erase_if(sessions, [](const UploadSession& session) { return session.gone; });
  if (sessions.empty()) return;
  try {
    if (target.cancel_time.left(stop.stop_requested()) == milliseconds(0)) return;
    const Deadline deadline(target.cancel_time, stop);
    parallel_for_each(sessions, kParallelCancels, deadline.token(),
                      [&](const UploadSession& session, const std::stop_token& over) {
                        Call call;
                        call.method = http::Method::del;
                        call.url = session.url;
                        call.scopes = target.scopes;
                        call.retry = false;
                        call.best_effort = true;
                        target.host.call(call, over);
                      });
  } catch (const std::exception& error) {
    target.host.environment().log.debug(error.what());
  }
}

bool takes_any_content(const UploadSession& session) { return !digest_in_query(session.url); }

http::Url commit_url(const UploadSession& session, const Digest& digest) {
  const auto present = digest_in_query(session.url);
  if (!present) return session.url.with_query("digest", digest.str());
  if (*present == digest.str() || *present == percent_encode(digest.str())) return session.url;
  throw Error(ErrorKind::protocol, "the upload session's Location carries another digest");
}

}  // namespace tug::registry
