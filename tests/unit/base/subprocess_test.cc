#include "base/subprocess.h"

#include "base/fd.h"
#include "base/strings.h"
#include "support/temp_dir.h"

#include <tug/error.h>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>

namespace tug {
namespace {

using namespace std::chrono_literals;
using test::TempDir;

constexpr std::chrono::milliseconds kLong = 5min;  // never reached

// A directory of programs that is alone on PATH (with the system's, for sh's tools) while it lives.
class Programs {
 public:
  Programs() : path_(env("PATH").value_or("")) {
    ::setenv("PATH", ("relative:" + dir.path() + "::" + path_).c_str(), 1);
  }
  Programs(const Programs&) = delete;
  Programs& operator=(const Programs&) = delete;
  ~Programs() { ::setenv("PATH", path_.c_str(), 1); }
  std::string add(const std::string& name, const std::string& text, unsigned mode = 0700) const {
    const std::string file = dir.write(name, text);
    REQUIRE(::chmod(file.c_str(), mode) == 0);
    return file;
  }
  TempDir dir;

 private:
  std::string path_;
};

std::optional<ProcessResult> run_script(const std::string& script, std::string_view input = "",
                                        std::size_t max_output = 65536,
                                        std::chrono::milliseconds timeout = kLong,
                                        const std::stop_token& stop = {}) {
  return run_process({"/bin/sh", "-c", script}, input, timeout, max_output, stop);
}

std::string error_of(const std::function<void()>& work, ErrorKind kind = ErrorKind::local) {
  try {
    work();
    return {};
  } catch (const Error& error) {
    CHECK(error.kind() == kind);
    return error.what();
  }
}

bool has_children() { return ::waitpid(-1, nullptr, WNOHANG) >= 0 || errno != ECHILD; }

TEST_CASE(
    "a program is found on PATH, gets its arguments as they are, and its output and status come "
    "back") {
  const Programs programs;
  programs.add("tug-test-helper", "#!/bin/sh\nprintf '%s|' \"$@\"\ncat\nexit 3\n");
  const auto result = run_process({"tug-test-helper", "get", "a b; $HOME `x`", ""},
                                  "registry.example", kLong, 1000, {});
  REQUIRE(result);
  CHECK(result->exit_status == 3);
  CHECK(result->output == "get|a b; $HOME `x`||registry.example");
  CHECK_FALSE(has_children());
}

TEST_CASE("what is no program is nothing") {
  const Programs programs;
  programs.add("tug-not-executable", "#!/bin/sh\n", 0600);
  std::filesystem::create_directory(programs.dir.path() + "/tug-directory");
  for (const std::string& name :
       {std::string("tug-no-such-program"), std::string("tug-not-executable"),
        std::string("tug-directory"), programs.dir.path() + "/none", std::string(),
        std::string("sh\0x", 4)}) {
    CAPTURE(name);
    CHECK_FALSE(run_process({name}, "", kLong, 10, {}));
  }
  CHECK_FALSE(run_process({}, "", kLong, 10, {}));
}

TEST_CASE("no program comes from the current directory") {
  const Programs programs;
  programs.add("relative/tug-here", "#!/bin/sh\n");
  programs.add("here/tug-here", "#!/bin/sh\n");
  const UniqueFd before = open_directory(".");
  REQUIRE(::chdir((programs.dir.path() + "/here").c_str()) == 0);
  CHECK_FALSE(run_process({"tug-here"}, "", kLong, 10, {}));
  REQUIRE(::chdir(programs.dir.path().c_str()) == 0);
  CHECK_FALSE(run_process({"tug-here"}, "", kLong, 10, {}));
  REQUIRE(::fchdir(before.get()) == 0);
}

TEST_CASE("a script whose interpreter is missing is an error with a reason") {
  const Programs programs;
  programs.add("tug-broken", "#!/no/such/interpreter\n");
  CHECK(error_of([] { run_process({"tug-broken"}, "", kLong, 10, {}); }) ==
        "cannot run tug-broken: No such file or directory");
  programs.add("tug-garbage",
               "\x7f"
               "ELF is not all");
  CHECK(error_of([] { run_process({"tug-garbage"}, "", kLong, 10, {}); }) ==
        "cannot run tug-garbage: Exec format error");
}

TEST_CASE("the end by a signal is 128 and the signal") {
  CHECK(run_script("kill -TERM $$")->exit_status == 128 + SIGTERM);
  CHECK(run_script("kill -KILL $$")->exit_status == 128 + SIGKILL);
}

TEST_CASE("much input and much output do not wait for each other") {
  const std::string input(3 << 20, 'i');
  const auto result = run_script("cat", input, input.size());
  REQUIRE(result);
  CHECK(result->output == input);
}

TEST_CASE("a program that does not read its input hurts nobody") {
  const std::string input(1 << 20, 'i');
  const auto result = run_script("exec 0<&-; echo done", input);
  REQUIRE(result);
  CHECK(result->output == "done\n");
  CHECK(result->exit_status == 0);
  sigset_t pending{};
  ::sigpending(&pending);
  CHECK(::sigismember(&pending, SIGPIPE) == 0);
}

TEST_CASE("more output than allowed ends the program") {
  CHECK(run_script("printf 12345", "", 5)->output == "12345");
  CHECK(error_of([] { run_script("printf 123456", "", 5); }) == "/bin/sh printed more than 5 B");
  CHECK(error_of([] { run_script("while :; do echo yes; done", "", 1000); }) ==
        "/bin/sh printed more than 1.0 kB");
  CHECK_FALSE(has_children());
}

TEST_CASE("a program that takes too long is ended") {
  CHECK(error_of([] { run_script("exec sleep 600", "", 10, 30ms); }) ==
        "/bin/sh did not finish in time and was ended");
  CHECK(error_of([] { run_script("trap '' TERM; exec >&-; while :; do :; done", "", 10, 30ms); }) ==
        "/bin/sh did not finish in time and was ended");
  CHECK_FALSE(has_children());
}

TEST_CASE("a stop request ends the program and the wait for it") {
  std::stop_source source;
  std::thread stopper([&] {
    std::this_thread::sleep_for(20ms);
    source.request_stop();
  });
  CHECK(error_of([&] { run_script("exec sleep 600", "", 10, kLong, source.get_token()); },
                 ErrorKind::interrupted) == "interrupted");
  stopper.join();
  CHECK(error_of([&] { run_script("exit", "", 10, kLong, source.get_token()); },
                 ErrorKind::interrupted) == "interrupted");
  CHECK_FALSE(has_children());
}

TEST_CASE("whoever a helper leaves behind does not keep us waiting") {
  // It holds our pipe until it has read a line from a FIFO of ours.
  const TempDir dir;
  const std::string fifo = dir.at("fifo");
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  const UniqueFd held(::open(fifo.c_str(), O_RDWR | O_CLOEXEC));
  const auto result = run_script("exec 3<> '" + fifo + "'; read line <&3 & echo started");
  REQUIRE(result);
  CHECK(result->output == "started\n");
  CHECK(::write(held.get(), "end\n", 4) == 4);
}

TEST_CASE("the child has no descriptor of ours") {
  const UniqueFd high(::fcntl(0, F_DUPFD, 200));  // without O_CLOEXEC
  const std::string fd = std::to_string(high.get());
  REQUIRE(high);
  CHECK(run_script("[ -e /proc/$$/fd/2 ] && echo 2; [ -e /proc/$$/fd/" + fd + " ] && echo " + fd)
            ->output == "2\n");
}

TEST_CASE("a signal that we block or ignore ends the child all the same") {
  sigset_t blocked{};
  sigset_t before{};
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
  const auto handler = ::signal(SIGHUP, SIG_IGN);
  const auto by_term = run_script("kill -TERM $$; echo alive");
  const auto by_hup = run_script("kill -HUP $$; echo alive");
  ::signal(SIGHUP, handler);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  CHECK(by_term->exit_status == 128 + SIGTERM);
  CHECK(by_hup->exit_status == 128 + SIGHUP);
}

TEST_CASE("our own closed stdin and stdout do not get in the way") {
  const UniqueFd in(::fcntl(0, F_DUPFD_CLOEXEC, 10));
  const UniqueFd out(::fcntl(1, F_DUPFD_CLOEXEC, 10));
  ::close(0);
  ::close(1);
  const auto result = run_script("cat", "through");
  ::dup2(in.get(), 0);
  ::dup2(out.get(), 1);
  REQUIRE(result);
  CHECK(result->output == "through");
}

}  // namespace
}  // namespace tug
