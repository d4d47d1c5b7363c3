// What a person, or a pipe, says on standard input or in a file. Nothing is read beyond what is
// asked for.
#ifndef TUG_CLI_TERMINAL_H_
#define TUG_CLI_TERMINAL_H_

#include <tug/secret.h>

#include <cstddef>
#include <stop_token>
#include <string>
#include <string_view>

namespace tug::cli {

// All throw Error(usage) when there is not what they ask for, Error(limit) for more than a password
// can be, and Error(interrupted) once a stop is requested, however long the input stays silent.

// A line, from a terminal or not, after `prompt` on standard output.
std::string ask_line(std::string_view prompt, const std::stop_token& stop);

// A line from the terminal that standard input is, which shows nothing of it. The terminal is as
// before afterwards, also when a signal ended the wait.
Secret ask_secret(std::string_view prompt, const std::stop_token& stop);

// Standard input to its end, less one line break there.
Secret read_secret_to_end(const std::stop_token& stop);

// What `path` has, to its end: a file or a pipe; "-" is standard input. Throws Error(local), and
// Error(limit) for more than `max_bytes`.
std::string read_input(const std::string& path, std::size_t max_bytes, const std::stop_token& stop);

}  // namespace tug::cli

#endif  // TUG_CLI_TERMINAL_H_
