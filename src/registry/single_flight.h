// One thread does what many need at once; the others wait and share its outcome.
#ifndef TUG_REGISTRY_SINGLE_FLIGHT_H_
#define TUG_REGISTRY_SINGLE_FLIGHT_H_

#include "base/stop.h"

#include <tug/error.h>

#include <condition_variable>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <utility>

namespace tug::registry {

// Any thread. Nothing is remembered after the flight: keeping results is the caller's business.
template <typename Key, typename Value>
class SingleFlight {
 public:
  // What `work` returns or throws, or what another thread's `work` for `key` does if one is at it.
  // Followers get copies of the leader's Error, each their own to add context to. A leader that was
  // interrupted is replaced by a follower: its stop need not be theirs.
  Value run(const Key& key, const std::stop_token& stop, const std::function<Value()>& work) {
    for (;;) {
      std::unique_lock lock(mutex_);
      auto [it, leads] = flights_.try_emplace(key);
      if (leads) it->second = std::make_shared<Flight>();
      const std::shared_ptr<Flight> flight = it->second;
      if (leads) {
        lock.unlock();
        return lead(key, *flight, work);
      }
      if (!landed_.wait(lock, stop, [&] { return flight->over; })) throw_if_stopped(stop);
      if (flight->error && flight->error->kind() == ErrorKind::interrupted) continue;
      if (flight->error) throw Error(*flight->error);
      if (flight->other) std::rethrow_exception(flight->other);
      return *flight->value;
    }
  }

 private:
  struct Flight {
    bool over = false;
    std::optional<Value> value;
    std::optional<Error> error;
    std::exception_ptr other;  // not an Error: out of memory
  };

  Value lead(const Key& key, Flight& flight, const std::function<Value()>& work) {
    try {
      Value value = work();
      land(key, [&] { flight.value = value; });
      return value;
    } catch (const Error& error) {
      land(key, [&] { flight.error = error; });
      throw;
    } catch (...) {
      land(key, [&] { flight.other = std::current_exception(); });
      throw;
    }
  }
  template <typename Record>
  void land(const Key& key, Record record) {
    const std::lock_guard lock(mutex_);
    auto flight = flights_.extract(key);
    record();
    flight.mapped()->over = true;
    landed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable_any landed_;
  std::map<Key, std::shared_ptr<Flight>> flights_;
};

}  // namespace tug::registry

#endif  // TUG_REGISTRY_SINGLE_FLIGHT_H_
