// What an upload says to the registry besides the bytes (registry-protocol.md 5.1-5.4, 5.15): the
// existence check, and the session's opening, state and end.
#ifndef TUG_REGISTRY_UPLOAD_SESSION_H_
#define TUG_REGISTRY_UPLOAD_SESSION_H_

#include "registry/host.h"
#include "registry/upload_habits.h"
#include "registry/upload_rules.h"

#include <tug/descriptor.h>
#include <tug/digest.h>
#include <tug/error.h>
#include <tug/reference.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace tug::registry {

// How long the cancelling of a repository's sessions may take (5.15). Any thread.
class CancelTime {
 public:
  // What is left. For each cancelling by itself while nobody asked for a stop; afterwards for all
  // of them together, from the first on.
  std::chrono::milliseconds left(bool stopped);
  // The registry did not answer in time: nothing is left from now on.
  void give_up();

 private:
  std::mutex mutex_;
  bool given_up_ = false;
  std::optional<std::chrono::steady_clock::time_point> until_;
};

// Where blobs go. References must outlive it.
struct UploadTarget {
  Host& host;
  const RegistryReference& name;
  const std::vector<std::string>& scopes;
  const UploadTuning& tuning;
  UploadHabits& habits;
  CancelTime& cancel_time;
};

// HEAD …/blobs/<digest>, redirects followed. nullopt: it was redirected to where nobody can be
// asked (refused, unreachable, only for GET). A registry sends nobody to a blob that it does not
// have, so that means "there"; where it is wrong, the manifest's PUT says so (6.6). `retry`: 429,
// 5xx and network failures of the registry, by the policy.
std::optional<Answer> head_blob(const UploadTarget& target, const Digest& digest, bool retry,
                                const std::stop_token& stop);
// The same by the rules of 5.2: in the end 429 and 5xx mean "not there", for POST decides.
bool blob_exists(const UploadTarget& target, const Descriptor& descriptor, bool retry,
                 const std::stop_token& stop);

// Whether Docker-Content-Digest names other content than `digest`; one that is absent, unreadable
// or of another algorithm does not (5.12).
bool contradicts(const http::Response& response, const Digest& digest);

// A 2xx that means nothing at this place: Error(protocol) "HOST answered REQUEST with 200 OK".
Error unexpected_success(const Answer& answer, std::string_view request);

// An upload session: the newest Location, and what the registry said about chunks.
struct UploadSession {
  http::Url url;
  std::optional<std::string> min_chunk = {};  // OCI-Chunk-Min-Length and -Max-Length as sent
  std::optional<std::string> max_chunk = {};
  bool gone = false;     // the registry does not know it any more
  bool foreign = false;  // on another host than the registry's
};

// The session that a 202 opens. Throws Error(protocol): no Location, two of them, an unusable one.
UploadSession session_from(Host& host, const Answer& answer);
// POST …/blobs/uploads/ with the whole blob (mode D, 5.5): whatever the answer is. Tried once.
Answer post_whole(const UploadTarget& target, const Digest& digest, std::string bytes,
                  const std::stop_token& stop);
// POST …/blobs/uploads/. `digest` where it is known. Throws Error: not_found, denied, …
UploadSession open_session(const UploadTarget& target, const std::optional<Digest>& digest,
                           const std::stop_token& stop);

// Takes over the Location of an answer, if it has one.
void keep_location(const UploadTarget& target, UploadSession& session, const Answer& answer);

// A session that an earlier process opened, by its path and query at the registry, and what is in
// it. nullopt when the registry does not know it, or does not say what is in it.
struct FoundSession {
  UploadSession session;
  std::uint64_t stored = 0;
};
std::optional<FoundSession> find_session(const UploadTarget& target, const std::string& path,
                                         const std::stop_token& stop);

// GET: how much the session has; unknown when it does not say, or is gone.
StoredRange ask_session(const UploadTarget& target, UploadSession& session,
                        const std::stop_token& stop);

// DELETE, best effort: within the target's cancel_time, however many they are and even if `stop`
// was requested already. A registry that does not answer for one is not asked for the others.
void cancel_sessions(const UploadTarget& target, std::vector<UploadSession> sessions,
                     const std::stop_token& stop) noexcept;

// Whether content of any digest may be committed in it: its Location names none.
bool takes_any_content(const UploadSession& session);
// The session's URL with digest= appended. Throws Error(protocol): it carries another one.
http::Url commit_url(const UploadSession& session, const Digest& digest);

}  // namespace tug::registry

#endif  // TUG_REGISTRY_UPLOAD_SESSION_H_
