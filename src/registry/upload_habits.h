// What the uploads to one registry have taught: the next blob starts with it.
#ifndef TUG_REGISTRY_UPLOAD_HABITS_H_
#define TUG_REGISTRY_UPLOAD_HABITS_H_

#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>

namespace tug::registry {

// Any thread.
class UploadHabits {
 public:
  // Whether a POST with digest= and the whole blob stores it (mode D).
  enum class OnePost { untried, trying, taken, refused };
  struct Values {
    bool patch_refused = false;
    bool put_refused = false;
    bool length_needed = false;
    std::optional<std::uint64_t> largest_body;  // a single request of more was too large
    OnePost one_post = OnePost::untried;
  };
  [[nodiscard]] Values get() const;
  void learn(const std::function<void(Values&)>& change);

 private:
  mutable std::mutex mutex_;
  Values values_;
};

}  // namespace tug::registry

#endif  // TUG_REGISTRY_UPLOAD_HABITS_H_
