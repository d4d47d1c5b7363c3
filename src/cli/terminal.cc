#include "cli/terminal.h"

#include "base/fd.h"
#include "base/stop.h"
#include "base/strings.h"
#include "cli/output.h"

#include <tug/error.h>

#include <poll.h>
#include <sys/eventfd.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>
#include <span>
#include <utility>

namespace tug::cli {
namespace {

// Registries' tokens, which are used as passwords, have been seen with 6 KB (registry-protocol.md
// R3.6).
constexpr std::size_t kMaxInput = std::size_t{128} * 1024;

Error unreadable(const std::string& name) {
  return {ErrorKind::local, "reading " + name + ": " + errno_text(errno)};
}

// Reading that a stop ends, however long nothing comes.
class StoppableReader {
 public:
  StoppableReader(int fd, std::string name, const std::stop_token& stop)
      : fd_(fd),
        name_(std::move(name)),
        stop_(stop),
        wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        waker_(stop, Waker{wake_}) {}
  StoppableReader(const StoppableReader&) = delete;
  StoppableReader& operator=(const StoppableReader&) = delete;

  // 0 at the end.
  std::size_t read(std::span<char> buffer) {
    for (;;) {
      wait();
      const ssize_t got = ::read(fd_, buffer.data(), buffer.size());
      if (got >= 0) return static_cast<std::size_t>(got);
      if (errno != EINTR && errno != EAGAIN) throw unreadable(name_);
    }
  }

 private:
  struct Waker {
    const UniqueFd& wake;
    void operator()() const noexcept { (void)::eventfd_write(wake.get(), 1); }
  };

  void wait() const {
    std::array<pollfd, 2> fds{pollfd{fd_, POLLIN, 0}, pollfd{wake_.get(), POLLIN, 0}};
    while (::poll(fds.data(), fds.size(), -1) < 0) {
      if (errno != EINTR) throw unreadable(name_);
    }
    throw_if_stopped(stop_);
  }

  const int fd_;
  const std::string name_;
  const std::stop_token& stop_;
  UniqueFd wake_;
  std::stop_callback<Waker> waker_;
};

// Bytes of standard input, one after the other, while nobody asks us to stop.
class Input {
 public:
  explicit Input(const std::stop_token& stop) : reader_(STDIN_FILENO, "standard input", stop) {
    // So that no copy of a secret is left behind by growing.
    text_.reserve(kMaxInput);
  }
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;
  ~Input() { (void)take(); }  // a Secret wipes what it held

  // False at the end of the input.
  bool read_byte() {
    char byte = 0;
    if (reader_.read({&byte, 1}) == 0) return false;
    if (text_.size() == kMaxInput)
      throw Error(ErrorKind::limit, "standard input has more than a password can be");
    text_.push_back(byte);
    return true;
  }

  // Drops a line break at the end.
  bool chomp() {
    if (!text_.ends_with('\n')) return false;
    text_.pop_back();
    if (text_.ends_with('\r')) text_.pop_back();
    return true;
  }

  // The bytes so far, which go out of here.
  Secret take() { return Secret(std::move(text_)); }
  [[nodiscard]] bool empty() const noexcept { return text_.empty(); }

 private:
  StoppableReader reader_;
  std::string text_;
};

// A line without its break.
Secret read_line(const std::stop_token& stop) {
  Input input(stop);
  while (input.read_byte()) {
    if (input.chomp()) return input.take();
  }
  if (input.empty()) throw Error(ErrorKind::usage, "standard input has ended");
  return input.take();
}

// While it lives, the terminal shows nothing of what is typed. Ctrl-C ends the wait through
// StopOnSignal, and so this; the keys that would end or suspend the process behind its back, and
// leave the terminal blind, do nothing meanwhile.
class HiddenTyping {
 public:
  HiddenTyping() {
    if (::tcgetattr(STDIN_FILENO, &before_) != 0) {
      throw Error(ErrorKind::usage, "standard input is not a terminal")
          .set_hint("give the password by --password-stdin, together with --username");
    }
    termios hidden = before_;
    hidden.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    hidden.c_lflag |= ICANON | ISIG;
    hidden.c_iflag |= ICRNL;
    hidden.c_cc[VQUIT] = _POSIX_VDISABLE;
    hidden.c_cc[VSUSP] = _POSIX_VDISABLE;
    ::tcsetattr(STDIN_FILENO, TCSANOW, &hidden);
  }
  HiddenTyping(const HiddenTyping&) = delete;
  HiddenTyping& operator=(const HiddenTyping&) = delete;
  ~HiddenTyping() { ::tcsetattr(STDIN_FILENO, TCSANOW, &before_); }

 private:
  termios before_{};
};

}  // namespace

std::string ask_line(std::string_view prompt, const std::stop_token& stop) {
  write_stdout(prompt);
  return std::string(read_line(stop).reveal());
}

Secret ask_secret(std::string_view prompt, const std::stop_token& stop) {
  const HiddenTyping hidden;  // before the prompt: a fast typist's first letters are hidden too
  write_stdout(prompt);
  Secret secret = read_line(stop);
  write_stdout("\n");  // the one that was typed was not shown
  return secret;
}

Secret read_secret_to_end(const std::stop_token& stop) {
  Input input(stop);
  while (input.read_byte()) {
  }
  input.chomp();
  return input.take();
}

std::string read_input(const std::string& path, std::size_t max_bytes,
                       const std::stop_token& stop) {
  constexpr std::size_t kPiece = std::size_t{64} * 1024;
  const bool is_stdin = path == "-";
  const UniqueFd file = is_stdin ? UniqueFd() : open_for_reading(path);
  if (!is_stdin && !file)
    throw Error(ErrorKind::local, "cannot open " + path + ": " + errno_text(errno));
  const std::string name = is_stdin ? "standard input" : path;
  StoppableReader reader(is_stdin ? STDIN_FILENO : file.get(), name, stop);
  std::string text;
  for (;;) {
    const std::size_t before = text.size();
    text.resize(before + kPiece);
    text.resize(before + reader.read(std::span(text).subspan(before)));
    if (text.size() == before) return text;
    if (text.size() > max_bytes) {
      throw Error(ErrorKind::limit, name + " is larger than " + human_bytes(max_bytes) +
                                        ", the most that is read of such a file");
    }
  }
}

}  // namespace tug::cli
