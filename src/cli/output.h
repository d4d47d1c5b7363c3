// What a person or a script reads: standard output, and log lines on standard error in the form
// that skopeo's have.
#ifndef TUG_CLI_OUTPUT_H_
#define TUG_CLI_OUTPUT_H_

#include <string>
#include <string_view>

namespace tug::cli {

// All of `bytes` to standard output. Throws Error(local) when it cannot be written (closed, full
// disk).
void write_stdout(std::string_view bytes);
// A line of the story while a copy runs: a reader that went away must not end the copy.
void write_stdout_line(std::string_view line) noexcept;

// The text and a line end on standard error. Any thread.
void write_stderr_line(std::string_view line) noexcept;

// One line on standard error: `time="…" level=fatal msg="…"`, or on a terminal `FATA[0000] …`. Any
// thread; never throws.
enum class Level { debug, info, warning, fatal };
void log_line(Level level, std::string_view message) noexcept;

// The text as a Go string literal ("%q"), which is how a log line quotes its message.
std::string go_quoted(std::string_view text);

}  // namespace tug::cli

#endif  // TUG_CLI_OUTPUT_H_
