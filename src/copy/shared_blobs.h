// What the copies of one process know together of the blobs at registries, so that a blob which
// many images share is asked for once, made and sent once, and taken over by the other
// repositories.
#ifndef TUG_COPY_SHARED_BLOBS_H_
#define TUG_COPY_SHARED_BLOBS_H_

#include <tug/descriptor.h>
#include <tug/reference.h>

#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace tug {

// Any thread. A blob is named by a key of the caller's: its digest, or what tells the bytes that a
// layer is compressed to before they are made.
//
// Who is to get a blob to a repository holds a Claim for it, and the others wait until it is there
// or the claim is given back. Nobody waits for ever when a copy waits only while it holds no claim
// whose blob it is not sending.
class SharedBlobs {
 private:
  struct Entry;

 public:
  SharedBlobs() = default;
  SharedBlobs(const SharedBlobs&) = delete;
  SharedBlobs& operator=(const SharedBlobs&) = delete;

  // A blob, and a repository that holds it.
  struct Place {
    Descriptor blob;
    RegistryReference repository;
  };

  // The task of getting a blob to a repository. Given back at its end.
  class Claim {
   public:
    Claim(Claim&& other) noexcept
        : owner_(std::exchange(other.owner_, nullptr)),
          entry_(other.entry_),
          repository_(std::move(other.repository_)),
          elsewhere_(std::move(other.elsewhere_)) {}
    Claim& operator=(Claim&&) = delete;
    ~Claim() { give_back(); }

    // Where it may be mounted from, if it is there and the registry has not refused mounts only.
    [[nodiscard]] const std::optional<Place>& elsewhere() const noexcept { return elsewhere_; }
    // What became of mounting it from there.
    void mounted(bool taken);
    // It is there now, as `blob`. Ends the claim.
    void is_there(const Descriptor& blob);

   private:
    friend class SharedBlobs;
    Claim(SharedBlobs& owner, Entry& entry, RegistryReference repository,
          std::optional<Place> elsewhere)
        : owner_(&owner),
          entry_(&entry),
          repository_(std::move(repository)),
          elsewhere_(std::move(elsewhere)) {}
    void give_back() noexcept;
    SharedBlobs* owner_;  // nullptr: ended
    Entry* entry_;
    RegistryReference repository_;
    std::optional<Place> elsewhere_;
  };

  struct Busy {};  // somebody is getting it to the registry
  // Descriptor: it is in `repository`.
  using Answer = std::variant<Descriptor, Claim, Busy>;

  Answer ask(const std::string& key, const RegistryReference& repository);
  // The same, when nobody is busy with it any more: never Busy. Throws Error(interrupted).
  Answer wait(const std::string& key, const RegistryReference& repository,
              const std::stop_token& stop);
  // Whether this registry has taken a mount.
  [[nodiscard]] bool mounts(const std::string& registry);

 private:
  // One blob at one registry. Repositories by name.
  struct Entry {
    std::string registry;
    std::set<std::string> holders;
    std::set<std::string> claimed;
    std::optional<Place> first;  // that was known to hold it
  };
  struct Mounts {
    int taken = 0;
    int refused = 0;
  };

  Answer look(const std::string& key, const RegistryReference& repository);
  [[nodiscard]] bool may_mount(const std::string& registry) const;

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::map<std::pair<std::string, std::string>, Entry> entries_;  // by registry and key
  std::map<std::string, Mounts> mounts_;                          // by registry
};

}  // namespace tug

#endif  // TUG_COPY_SHARED_BLOBS_H_
