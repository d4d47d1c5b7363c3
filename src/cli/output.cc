#include "cli/output.h"

#include "base/fd.h"
#include "cli/go_value.h"

#include <tug/error.h>

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <mutex>
#include <numeric>

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
    case Level::error:
      return {"error", "ERRO"};
    case Level::fatal:
      break;
  }
  return {"fatal", "FATA"};
}

// logrus: quoted where a reader of key=value would be misled.
std::string field_text(const std::string& value) {
  const bool is_plain = !value.empty() && std::all_of(value.begin(), value.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("-._/@^+").find(c) != std::string_view::npos;
  });
  return is_plain ? value : go_quoted(value);
}

TerminalSize terminal_size() noexcept {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0)
    return {};
  return {size.ws_col, size.ws_row};
}

// Standard output and standard error, of which one thread at a time writes, and what is drawn at
// the end of the latter.
class Screen {
 public:
  // Nothing is drawn while this lives.
  class Lock {
   public:
    explicit Lock(Screen& screen) noexcept : lock_(screen.mutex_) { screen.erase(); }

   private:
    const std::lock_guard<std::mutex> lock_;
  };

  void draw(const std::function<std::vector<std::string>(TerminalSize)>& lines) {
    const std::lock_guard lock(mutex_);
    const TerminalSize size = terminal_size();
    // In the background: the terminal shows something else now.
    if (tcgetpgrp(STDERR_FILENO) != getpgrp()) {
      drawn_.clear();
      return;
    }
    std::vector<std::string> now = lines(size);
    if (now.empty()) return erase();
    const std::string text = redraw(now, drawn_rows(size));
    drawn_ = std::move(now);
    write_all(STDERR_FILENO, text);
  }

 private:
  // Lines that were drawn on a wider terminal have been wrapped since.
  [[nodiscard]] std::size_t drawn_rows(TerminalSize size) const noexcept {
    return std::accumulate(drawn_.begin(), drawn_.end(), std::size_t{0},
                           [&](std::size_t rows, const std::string& line) {
                             return rows + rows_of(line, size.columns);
                           });
  }

  void erase() noexcept {
    if (drawn_.empty()) return;
    try {
      write_all(STDERR_FILENO, redraw({}, drawn_rows(terminal_size())));
    } catch (...) {  // out of memory: it stays
    }
    drawn_.clear();
  }

  std::mutex mutex_;
  std::vector<std::string> drawn_;
};

// Never destroyed: whoever still runs at exit may write.
Screen& screen() noexcept {
  static Screen& the_screen = *new Screen;
  return the_screen;
}

}  // namespace

void draw_status(const std::function<std::vector<std::string>(TerminalSize)>& lines) noexcept {
  try {
    screen().draw(lines);
  } catch (...) {  // out of memory: it is only to look at
  }
}

void erase_status() noexcept { const Screen::Lock lock(screen()); }

void write_stdout(std::string_view bytes) {
  const Screen::Lock lock(screen());
  if (!write_all(STDOUT_FILENO, bytes))
    throw Error(ErrorKind::local, "writing to standard output: " + errno_text(errno));
}

bool is_standard_output(const std::string& path) noexcept {
  struct stat file {};
  struct stat output {};
  return ::stat(path.c_str(), &file) == 0 && ::fstat(STDOUT_FILENO, &output) == 0 &&
         file.st_dev == output.st_dev && file.st_ino == output.st_ino;
}

void write_stdout_line(std::string_view line) noexcept {
  try {
    const Screen::Lock lock(screen());
    write_all(STDOUT_FILENO, std::string(line) + "\n");
  } catch (...) {  // out of memory for a line of story: the copy goes on
  }
}

void write_stderr_line(std::string_view line) noexcept {
  try {
    const Screen::Lock lock(screen());
    write_all(STDERR_FILENO, std::string(line) + "\n");
  } catch (...) {  // nowhere left to say it
  }
}

void log_line(Level level, std::string_view message) noexcept { log_line(level, message, {}); }

void log_line(Level level, std::string_view message, const LogFields& fields) noexcept {
  try {
    static const auto start = std::chrono::steady_clock::now();
    const auto [word, short_word] = name_of(level);
    std::string line;
    if (isatty(STDERR_FILENO) == 1) {
      const auto seconds =
          std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - start)
              .count();
      // Fields begin in one column.
      line = fmt::format("{}[{:04}] {:<{}}", short_word, seconds, message, fields.empty() ? 0 : 44);
    } else {
      line = fmt::format("time={} level={} msg={}", go_quoted(local_time_rfc3339()), word,
                         go_quoted(message));
    }
    for (const auto& [key, value] : fields) line += fmt::format(" {}={}", key, field_text(value));
    line += '\n';
    const Screen::Lock lock(screen());
    write_all(STDERR_FILENO, line);
  } catch (...) {  // nowhere left to say it
  }
}

}  // namespace tug::cli
