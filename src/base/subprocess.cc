#include "base/subprocess.h"

#include "base/fd.h"
#include "base/stop.h"
#include "base/strings.h"

#include <tug/error.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>

namespace tug {

namespace {

using Clock = std::chrono::steady_clock;

Error cannot_run(const std::string& name, int error_number) {
  return Error(ErrorKind::local, "cannot run " + name + ": " + errno_text(error_number));
}

// --- finding it ---

bool is_program(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
         ::access(path.c_str(), X_OK) == 0;
}

// We look for it ourselves, because posix_spawnp says ENOENT both for a program that is not there
// and for a script whose interpreter is not. Relative entries of PATH are left out: a helper must
// not come from wherever the user happens to be.
std::optional<std::string> find_program(const std::string& name) {
  if (name.empty() || name.find('\0') != std::string::npos) return std::nullopt;
  if (name.find('/') != std::string::npos)
    return is_program(name) ? std::optional(name) : std::nullopt;
  const std::string path = env("PATH").value_or("/usr/local/bin:/usr/bin:/bin");
  for (const std::string_view directory : split(path, ':')) {
    if (!directory.starts_with('/')) continue;
    std::string candidate = std::string(directory) + "/" + name;
    if (is_program(candidate)) return candidate;
  }
  return std::nullopt;
}

// --- starting it ---

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};

Pipe make_pipe(const std::string& name) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw cannot_run(name, errno);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

void set_nonblocking(const UniqueFd& fd) { (void)::fcntl(fd.get(), F_SETFL, O_NONBLOCK); }

struct SpawnActions {
  SpawnActions() { ::posix_spawn_file_actions_init(&value); }
  SpawnActions(const SpawnActions&) = delete;
  SpawnActions& operator=(const SpawnActions&) = delete;
  ~SpawnActions() { ::posix_spawn_file_actions_destroy(&value); }
  posix_spawn_file_actions_t value{};
};

struct SpawnAttributes {
  SpawnAttributes() { ::posix_spawnattr_init(&value); }
  SpawnAttributes(const SpawnAttributes&) = delete;
  SpawnAttributes& operator=(const SpawnAttributes&) = delete;
  ~SpawnAttributes() { ::posix_spawnattr_destroy(&value); }
  posix_spawnattr_t value{};
};

// Our threads block signals and ignore SIGPIPE; the child starts with none blocked and all at their
// default. It stays in our process group: a helper may ask for a passphrase on the terminal.
void set_default_signals(posix_spawnattr_t& attributes) {
  sigset_t none{};
  sigset_t all{};
  ::sigemptyset(&none);
  ::sigfillset(&all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

pid_t spawn(const std::string& program, const std::vector<std::string>& argv, const UniqueFd& in,
            const UniqueFd& out) {
  SpawnActions actions;
  SpawnAttributes attributes;
  set_default_signals(attributes.value);
  int error = ::posix_spawn_file_actions_adddup2(&actions.value, in.get(), STDIN_FILENO);
  if (error == 0)
    error = ::posix_spawn_file_actions_adddup2(&actions.value, out.get(), STDOUT_FILENO);
  if (error == 0)
    error = ::posix_spawn_file_actions_addclosefrom_np(&actions.value, STDERR_FILENO + 1);
  std::vector<char*> arguments;
  arguments.reserve(argv.size() + 1);
  for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  pid_t pid = -1;
  if (error == 0)
    error = ::posix_spawn(&pid, program.c_str(), &actions.value, &attributes.value,
                          arguments.data(), environ);
  if (error != 0) throw cannot_run(argv.front(), error);
  return pid;
}

// --- running it ---

// While it lives, a write to a pipe that nobody reads is EPIPE and not the end of our process.
class SigpipeBlocked {
 public:
  SigpipeBlocked() {
    ::sigemptyset(&sigpipe_);
    ::sigaddset(&sigpipe_, SIGPIPE);
    sigset_t pending{};
    ::sigpending(&pending);
    was_pending_ = ::sigismember(&pending, SIGPIPE) == 1;
    ::pthread_sigmask(SIG_BLOCK, &sigpipe_, &before_);
  }
  SigpipeBlocked(const SigpipeBlocked&) = delete;
  SigpipeBlocked& operator=(const SigpipeBlocked&) = delete;
  ~SigpipeBlocked() {
    constexpr timespec kNow{};
    if (!was_pending_) (void)::sigtimedwait(&sigpipe_, nullptr, &kNow);
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  sigset_t sigpipe_{};
  sigset_t before_{};
  bool was_pending_ = false;
};

// The running child: killed and reaped at the latest when this ends.
class Child {
 public:
  explicit Child(pid_t pid)
      : pid_(pid), pidfd_(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))) {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (exit_status_) return;
    ::kill(pid_, SIGKILL);
    (void)reap(0);
  }

  // Readable once it has ended; -1 on kernels before 5.3.
  [[nodiscard]] int pidfd() const noexcept { return pidfd_.get(); }
  // As run_process() reports it; nullopt while it runs.
  std::optional<int> exit_status() { return exit_status_ ? exit_status_ : reap(WNOHANG); }

 private:
  std::optional<int> reap(int options) {
    int status = 0;
    pid_t reaped = -1;
    do reaped = ::waitpid(pid_, &status, options);
    while (reaped < 0 && errno == EINTR);
    if (reaped == 0) return std::nullopt;
    // ECHILD: somebody else reaped it (SIGCHLD is ignored); then nothing is known of how it went.
    exit_status_ = reaped < 0            ? 255
                   : WIFSIGNALED(status) ? 128 + WTERMSIG(status)
                                         : WEXITSTATUS(status);
    return exit_status_;
  }

  pid_t pid_;
  UniqueFd pidfd_;
  std::optional<int> exit_status_;
};

// The parent's side of one run.
class Conversation {
 public:
  Conversation(const std::string& name, Child& child, UniqueFd in, UniqueFd out,
               std::string_view input, std::size_t max_output)
      : name_(name),
        child_(child),
        in_(std::move(in)),
        out_(std::move(out)),
        input_(input),
        max_output_(max_output) {
    set_nonblocking(in_);
    set_nonblocking(out_);
  }

  // Ends when the child has ended, even if somebody it left behind (an agent) still holds its
  // stdout.
  ProcessResult run(Clock::time_point deadline, int wake, const std::stop_token& stop) {
    for (;;) {
      write_input();
      read_output();
      throw_if_stopped(stop);
      if (const std::optional<int> status = child_.exit_status()) {
        read_output();
        return {*status, std::move(output_)};
      }
      wait(deadline, wake);
    }
  }

 private:
  void wait(Clock::time_point deadline, int wake) {
    constexpr std::chrono::milliseconds kSlice(
        20);  // without a pidfd the end of the child wakes nobody
    constexpr std::chrono::milliseconds kMost = std::chrono::hours(1);
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    if (left.count() <= 0)
      throw Error(ErrorKind::local, name_ + " did not finish in time and was ended");
    std::array<pollfd, 4> fds = {{{in_.get(), POLLOUT, 0},
                                  {out_.get(), POLLIN, 0},
                                  {child_.pidfd(), POLLIN, 0},
                                  {wake, POLLIN, 0}}};
    const auto most = child_.pidfd() >= 0 ? kMost : kSlice;
    (void)::poll(fds.data(), fds.size(), static_cast<int>(std::min(left, most).count()));
  }

  void write_input() {
    const SigpipeBlocked guard;
    while (in_ && !input_.empty()) {
      const ssize_t written = ::write(in_.get(), input_.data(), input_.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0 && errno == EAGAIN) return;
      // EPIPE: it has read all that it wants; what it says and how it ends tells the rest.
      input_.remove_prefix(written < 0 ? input_.size() : static_cast<std::size_t>(written));
    }
    in_ = UniqueFd();
  }

  void read_output() {
    std::array<char, 4096> buffer{};
    while (out_) {
      const ssize_t got = ::read(out_.get(), buffer.data(), buffer.size());
      if (got < 0 && errno == EINTR) continue;
      if (got < 0 && errno == EAGAIN) return;
      if (got < 0) throw cannot_run(name_, errno);
      if (got == 0) out_ = UniqueFd();
      output_.append(buffer.data(), static_cast<std::size_t>(got));
      if (output_.size() > max_output_)
        throw Error(ErrorKind::local, name_ + " printed more than " + human_bytes(max_output_));
    }
  }

  const std::string& name_;
  Child& child_;
  UniqueFd in_;
  UniqueFd out_;
  std::string_view input_;
  std::size_t max_output_;
  std::string output_;
};

Clock::time_point deadline_after(std::chrono::milliseconds timeout) {
  constexpr std::chrono::milliseconds kLongest = std::chrono::hours(24 * 365);
  return Clock::now() + std::min(timeout, kLongest);
}

}  // namespace

std::optional<ProcessResult> run_process(const std::vector<std::string>& argv,
                                         std::string_view input, std::chrono::milliseconds timeout,
                                         std::size_t max_output, const std::stop_token& stop) {
  throw_if_stopped(stop);
  if (argv.empty()) return std::nullopt;
  const std::string& name = argv.front();
  const std::optional<std::string> program = find_program(name);
  if (!program) return std::nullopt;
  const UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake) throw cannot_run(name, errno);
  Pipe in = make_pipe(name);
  Pipe out = make_pipe(name);
  Child child(spawn(*program, argv, in.read, out.write));
  in.read = UniqueFd();
  out.write = UniqueFd();
  const std::stop_callback waker(stop, [&wake] { (void)::eventfd_write(wake.get(), 1); });
  return Conversation(name, child, std::move(in.write), std::move(out.read), input, max_output)
      .run(deadline_after(timeout), wake.get(), stop);
}

}  // namespace tug
