// Uploads that broke off, kept for the next process (registry-protocol.md 5.8): which session of
// the registry has a part of which blob.
//
// A file says no more than "registry, repository, blob: the session's path and query at that
// registry, and when". No host is taken from it, so it can send nobody elsewhere; sessions on
// another host than the registry's are not kept at all, because such a URL is a credential. How
// much is there, the registry is asked; whether it is the right content, the digest tells at the
// commit. So a file that is old, foreign or forged costs a request and does no harm.
#ifndef TUG_REGISTRY_RESUME_STATE_H_
#define TUG_REGISTRY_RESUME_STATE_H_

#include "base/log.h"
#include "base/user_state.h"

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace tug::registry {

// Any thread. Trouble with the files is told to `note` (of a file that the user named) or `log`,
// once, and costs no push.
class ResumeState {
 public:
  struct Key {
    std::string registry;    // "host[:port]"
    std::string repository;  // "team/app"
    std::string blob;        // what names its bytes beforehand: the digest, or a
                             // StreamedBlob::resume_key
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  using Note = std::function<void(std::string_view)>;

  // All uploads in one file (--resume-state FILE), which belongs to this object as long as it
  // lives. Throws Error(local): another process uses it, it cannot be written, or it is there and
  // is something else.
  static std::shared_ptr<ResumeState> in_file(std::string path, const Log& log, Note note);
  // A file for each upload in `directory`, which is created when the first is kept. "": keeps
  // nothing.
  static std::shared_ptr<ResumeState> in_directory(std::string directory, const Log& log);

  ResumeState(const ResumeState&) = delete;
  ResumeState& operator=(const ResumeState&) = delete;
  ~ResumeState();

  // One blob's place, for as long as its upload goes on: no other process continues the same
  // session meanwhile.
  class Claim {
   public:
    Claim(const Claim&) = delete;
    Claim& operator=(const Claim&) = delete;
    ~Claim();
    // "/v2/…?…" as an earlier process left it; nullopt when none did.
    [[nodiscard]] const std::optional<std::string>& session() const noexcept { return session_; }
    void save(const std::string& session) noexcept;  // nothing is written when it is the same
    void forget() noexcept;
    // The session stays: says so to the user, once a process.
    void keep(const Note& note) noexcept;

   private:
    friend class ResumeState;
    Claim(ResumeState& state, Key key) : state_(state), key_(std::move(key)) {}
    ResumeState& state_;
    const Key key_;
    std::unique_ptr<FileLock> lock_;
    std::optional<std::string> session_;
  };

  // nullptr: somebody else is at it, or nothing can be kept.
  std::unique_ptr<Claim> claim(const Key& key) noexcept;
  // The blob is at the registry: whatever is kept of it is of no use, unless somebody has a claim.
  void forget(const Key& key) noexcept;
  // Everything succeeded: the file that the user named goes.
  void finished() noexcept;

 private:
  ResumeState(std::string path, bool is_file, const Log& log, Note note);
  [[nodiscard]] std::string path_of(const Key& key) const;
  [[nodiscard]] std::optional<std::string> load(const Key& key) const;
  void store(const Key& key, const std::optional<std::string>& session);
  void remove_old_files() noexcept;
  void complain(std::string_view what) noexcept;

  const std::string path_;  // of the file, or of the directory
  const bool is_file_;
  const Log& log_;
  const Note note_;
  std::unique_ptr<FileLock> lock_;  // of the file
  mutable std::mutex mutex_;        // the file's content, and:
  std::set<Key> claimed_;
  bool old_files_removed_ = false;
  std::atomic<bool> told_{false};
  std::atomic<bool> complained_{false};
};

}  // namespace tug::registry

#endif  // TUG_REGISTRY_RESUME_STATE_H_
