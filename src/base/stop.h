// Waiting that a stop request ends.
#ifndef TUG_BASE_STOP_H_
#define TUG_BASE_STOP_H_

#include <chrono>
#include <stop_token>

namespace tug {

// Throws Error(interrupted) when a stop was requested.
void throw_if_stopped(const std::stop_token& stop);
// Sleeps; throws Error(interrupted) at once when a stop is requested meanwhile.
void sleep_for(std::chrono::milliseconds duration, const std::stop_token& stop);

}  // namespace tug

#endif  // TUG_BASE_STOP_H_
