// Running a helper program: no shell, bounded in time and output.
#ifndef TUG_BASE_SUBPROCESS_H_
#define TUG_BASE_SUBPROCESS_H_

#include <chrono>
#include <cstddef>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace tug {

struct ProcessResult {
  int exit_status = 0;  // 128 + signal when a signal ended it
  std::string output;   // its stdout
};

// Starts `argv[0]` (searched on PATH) with posix_spawn, writes `input` to its stdin, and reads its
// stdout; stderr is ours, other descriptors are closed. nullopt when there is no such program.
// Throws Error(local) when it cannot be started, runs longer than `timeout` (it is then killed) or
// prints more than `max_output`. `input` never appears in arguments or logs.
std::optional<ProcessResult> run_process(const std::vector<std::string>& argv,
                                         std::string_view input, std::chrono::milliseconds timeout,
                                         std::size_t max_output, const std::stop_token& stop);

}  // namespace tug

#endif  // TUG_BASE_SUBPROCESS_H_
