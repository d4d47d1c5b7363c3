#include "cli/output.h"

#include "base/fd.h"

#include <tug/error.h>

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <ctime>

namespace tug::cli {
namespace {

// False with errno set when something remained unwritten.
bool write_all(int fd, std::string_view bytes) noexcept {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

std::string local_time_rfc3339() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  std::array<char, 40> text{};
  const std::size_t size = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S%z", &local);
  std::string result(text.data(), size);
  if (result.ends_with("+0000")) return result.substr(0, result.size() - 5) + "Z";
  return result.insert(result.size() - 2, ":");
}

struct LevelName {
  std::string_view word;
  std::string_view short_word;
};
LevelName name_of(Level level) noexcept {
  switch (level) {
    case Level::debug:
      return {"debug", "DEBU"};
    case Level::info:
      return {"info", "INFO"};
    case Level::warning:
      return {"warning", "WARN"};
    case Level::fatal:
      break;
  }
  return {"fatal", "FATA"};
}

}  // namespace

void write_stdout(std::string_view bytes) {
  if (!write_all(STDOUT_FILENO, bytes))
    throw Error(ErrorKind::local, "writing to standard output: " + errno_text(errno));
}

void write_stdout_line(std::string_view line) noexcept {
  try {
    write_all(STDOUT_FILENO, std::string(line) + "\n");
  } catch (...) {  // out of memory for a line of story: the copy goes on
  }
}

std::string go_quoted(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (c == '\n') {
      result += "\\n";
    } else if (c == '\t') {
      result += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      result += fmt::format("\\x{:02x}", byte);
    } else {
      result += c;
    }
  }
  return result + "\"";
}

void write_stderr_line(std::string_view line) noexcept {
  try {
    write_all(STDERR_FILENO, std::string(line) + "\n");
  } catch (...) {  // nowhere left to say it
  }
}

void log_line(Level level, std::string_view message) noexcept {
  try {
    static const auto start = std::chrono::steady_clock::now();
    const auto [word, short_word] = name_of(level);
    std::string line;
    if (isatty(STDERR_FILENO) == 1) {
      const auto seconds =
          std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - start)
              .count();
      line = fmt::format("{}[{:04}] {}\n", short_word, seconds, message);
    } else {
      line = fmt::format("time={} level={} msg={}\n", go_quoted(local_time_rfc3339()), word,
                         go_quoted(message));
    }
    write_all(STDERR_FILENO, line);
  } catch (...) {  // nowhere left to say it
  }
}

}  // namespace tug::cli
