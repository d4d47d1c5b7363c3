// What a person or a script reads: standard output, and log lines on standard error in the form
// that skopeo's have.
#ifndef TUG_CLI_OUTPUT_H_
#define TUG_CLI_OUTPUT_H_

#include "cli/progress_text.h"

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tug::cli {

// All of `bytes` to standard output. Throws Error(local) when it cannot be written (closed, full
// disk).
void write_stdout(std::string_view bytes);
// A line of the story while a copy runs: a reader that went away must not end the copy.
void write_stdout_line(std::string_view line) noexcept;
// Whether what is written to `path` comes out there.
bool is_standard_output(const std::string& path) noexcept;

// The text and a line end on standard error. Any thread.
void write_stderr_line(std::string_view line) noexcept;

// One line on standard error: `time="…" level=fatal msg="…"`, or on a terminal `FATA[0000] …`. Any
// thread; never throws.
enum class Level { debug, info, warning, error, fatal };
void log_line(Level level, std::string_view message) noexcept;
// The same with ` key=value` behind it for each field, as skopeo's sync has them.
using LogFields = std::vector<std::pair<std::string_view, std::string>>;
void log_line(Level level, std::string_view message, const LogFields& fields) noexcept;

// Draws `lines` below everything else on the terminal that standard error is, in place of those
// that were drawn before, and with none takes them away. Every other function here erases them
// first, so that they stay the last. Nothing is drawn while another program has the terminal. Any
// thread.
void draw_status(const std::function<std::vector<std::string>(TerminalSize)>& lines) noexcept;
void erase_status() noexcept;

}  // namespace tug::cli

#endif  // TUG_CLI_OUTPUT_H_
