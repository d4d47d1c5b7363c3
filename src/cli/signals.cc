#include "cli/signals.h"

#include <tug/error.h>

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>

namespace tug::cli {
namespace {

constexpr int kExitSignalBase = 128;

UniqueFd checked(int fd, const char* what) {
  if (fd < 0) throw Error(ErrorKind::local, std::string(what) + ": " + errno_text(errno));
  return UniqueFd(fd);
}

}  // namespace

StopOnSignal::StopOnSignal() {
  // A reader of our output or a peer that goes away is an error of that write, not our end.
  std::signal(SIGPIPE, SIG_IGN);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signals_ = checked(signalfd(-1, &set, SFD_CLOEXEC), "signalfd");
  timer_ = checked(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), "timerfd_create");
  end_ = checked(eventfd(0, EFD_CLOEXEC), "eventfd");
  thread_ = std::jthread([this] { watch(); });
}

StopOnSignal::~StopOnSignal() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(end_.get(), &one, sizeof one);
}

void StopOnSignal::set_time_limit(std::chrono::milliseconds limit) {
  itimerspec spec{};
  spec.it_value.tv_sec = limit.count() / 1000;
  spec.it_value.tv_nsec = (limit.count() % 1000) * 1'000'000;
  timerfd_settime(timer_.get(), 0, &spec, nullptr);
}

void StopOnSignal::watch() {
  for (;;) {
    std::array<pollfd, 3> fds{pollfd{signals_.get(), POLLIN, 0}, pollfd{timer_.get(), POLLIN, 0},
                              pollfd{end_.get(), POLLIN, 0}};
    if (poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR) return;
    if (fds[2].revents != 0) return;
    if (fds[1].revents != 0) {
      std::uint64_t expirations = 0;
      if (read(timer_.get(), &expirations, sizeof expirations) > 0) {
        timed_out_ = true;
        source_.request_stop();
      }
    }
    if (fds[0].revents == 0) continue;
    signalfd_siginfo info{};
    if (read(signals_.get(), &info, sizeof info) != sizeof info) continue;
    const int number = static_cast<int>(info.ssi_signo);
    if (signal_ != 0) _exit(kExitSignalBase + number);
    signal_ = number;
    source_.request_stop();
  }
}

}  // namespace tug::cli
