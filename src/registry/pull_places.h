// The places that an image may be read from, one after the other (registry-protocol.md 2.2): the
// mirrors of its registry, then the registry itself, wherever registries.conf says that it is.
#ifndef TUG_REGISTRY_PULL_PLACES_H_
#define TUG_REGISTRY_PULL_PLACES_H_

#include "registry/host.h"
#include "registry/repository.h"

#include <tug/error.h>
#include <tug/reference.h>
#include <tug/registry.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <deque>
#include <string>
#include <utility>

namespace tug::registry {

// What one place cannot give is asked of the next, which is in use from then on. What was read
// before stays true: everything but the first manifest is asked for by its digest. Any thread.
class PullPlaces {
 public:
  class Place {
   public:
    Place(const Hosts::ReadPlace& place, bool is_last);
    // Whether no other can be asked.
    [[nodiscard]] bool is_last() const noexcept { return is_last_; }
    // As it is called there, with the tag or digest, if there is one.
    [[nodiscard]] const RegistryReference& reference() const noexcept { return reference_; }
    [[nodiscard]] Repository& repository() noexcept { return repository_; }

   private:
    const bool is_last_;
    const RegistryReference reference_;
    Repository repository_;
  };

  // Throws as Hosts::places_to_read().
  PullPlaces(Hosts& hosts, const RegistryReference& reference, const RegistryAccess& access);

  [[nodiscard]] std::size_t count() const noexcept { return places_.size(); }
  [[nodiscard]] Place& at(std::size_t i) noexcept { return places_[i]; }
  [[nodiscard]] const Place& at(std::size_t i) const noexcept { return places_[i]; }
  // The position of the one in use.
  [[nodiscard]] std::size_t in_use() const noexcept { return in_use_; }

  // What `work(Place&)` makes of the first place from the one in use on that lets it. Throws what
  // the last one says, with what the others said.
  template <typename Work>
  auto read(Work&& work) -> decltype(work(std::declval<Place&>())) {
    std::string failures;
    for (std::size_t i = in_use_;; ++i) {
      try {
        auto result = work(places_[i]);
        in_use_ = std::max<std::size_t>(in_use_, i);
        return result;
      } catch (const Error& error) {
        if (error.kind() == ErrorKind::interrupted) throw;
        if (i + 1 == places_.size()) throw with_failures(error, failures);
        failures += "; its mirror " + places_[i].reference().name() + ": " + error.message();
      }
    }
  }

 private:
  static Error with_failures(const Error& error, const std::string& failures);

  std::deque<Place> places_;
  std::atomic<std::size_t> in_use_ = 0;
};

}  // namespace tug::registry

#endif  // TUG_REGISTRY_PULL_PLACES_H_
