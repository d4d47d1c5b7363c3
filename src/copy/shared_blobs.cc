#include "copy/shared_blobs.h"

#include "base/stop.h"

namespace tug {
namespace {

// A registry that refused so many and took none is not asked again.
constexpr int kRefusalsInVain = 3;

}  // namespace

SharedBlobs::Answer SharedBlobs::ask(const std::string& key, const RegistryReference& repository) {
  const std::lock_guard lock(mutex_);
  return look(key, repository);
}

SharedBlobs::Answer SharedBlobs::wait(const std::string& key, const RegistryReference& repository,
                                      const std::stop_token& stop) {
  std::optional<Answer> found;
  std::unique_lock lock(mutex_);
  const bool ended = changed_.wait(lock, stop, [&] {
    Answer answer = look(key, repository);
    if (!std::holds_alternative<Busy>(answer)) found.emplace(std::move(answer));
    return found.has_value();
  });
  lock.unlock();
  if (!ended) throw_if_stopped(stop);
  return std::move(*found);
}

SharedBlobs::Answer SharedBlobs::look(const std::string& key, const RegistryReference& repository) {
  Entry& entry = entries_[{repository.registry(), key}];
  entry.registry = repository.registry();
  const std::string& name = repository.repository();
  if (entry.holders.count(name) > 0) return entry.first->blob;
  const bool mounts = may_mount(entry.registry);
  const bool will_be_mountable = mounts && !entry.first && !entry.claimed.empty();
  if (will_be_mountable || entry.claimed.count(name) > 0) return Busy{};
  entry.claimed.insert(name);
  return Claim(*this, entry, repository, mounts ? entry.first : std::nullopt);
}

bool SharedBlobs::mounts(const std::string& registry) {
  const std::lock_guard lock(mutex_);
  const auto found = mounts_.find(registry);
  return found != mounts_.end() && found->second.taken > 0;
}

bool SharedBlobs::may_mount(const std::string& registry) const {
  const auto found = mounts_.find(registry);
  return found == mounts_.end() || found->second.taken > 0 ||
         found->second.refused < kRefusalsInVain;
}

void SharedBlobs::Claim::mounted(bool taken) {
  const std::lock_guard lock(owner_->mutex_);
  Mounts& mounts = owner_->mounts_[entry_->registry];
  ++(taken ? mounts.taken : mounts.refused);
}

void SharedBlobs::Claim::is_there(const Descriptor& blob) {
  if (owner_ == nullptr) return;
  {
    const std::lock_guard lock(owner_->mutex_);
    entry_->claimed.erase(repository_.repository());
    entry_->holders.insert(repository_.repository());
    if (!entry_->first) entry_->first = Place{blob, repository_};
  }
  std::exchange(owner_, nullptr)->changed_.notify_all();
}

void SharedBlobs::Claim::give_back() noexcept {
  if (owner_ == nullptr) return;
  {
    const std::lock_guard lock(owner_->mutex_);
    entry_->claimed.erase(repository_.repository());
  }
  std::exchange(owner_, nullptr)->changed_.notify_all();
}

}  // namespace tug
