// The results files on disk: locked, checked beforehand, replaced at once (step-contract 6.3).
#include "base/fd.h"
#include "step/results.h"
#include "step/step_error.h"
#include "step/yaml.h"
#include "step/yaml_writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>

namespace tug::step {
namespace {

constexpr unsigned kFileMode = 0644;
constexpr unsigned kDirectoryMode = 0755;
// The lock is held while two small files are written; whoever holds it longer is stuck.
constexpr std::chrono::seconds kLockTimeout{60};

[[noreturn]] void fatal(std::string message) {
  throw StepError(StepStatus::fatal, std::move(message));
}

// Runs `work`; what fails in it is fatal to the step.
template <typename Work>
auto fatally(Work&& work) -> decltype(work()) {
  try {
    return work();
  } catch (const StepError&) {
    throw;
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::interrupted) throw;
    fatal(error.what());
  }
}

UniqueFd open_lock(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, kFileMode));
  if (!fd) fatal("cannot write " + path + ": " + errno_text(errno));
  return fd;
}

// Closing the descriptor gives the lock back.
UniqueFd take_lock(const std::string& path, const std::stop_token& stop) {
  UniqueFd fd = open_lock(path);
  if (lock_exclusively(fd.get(), kLockTimeout, stop)) return fd;
  fatal("cannot lock " + path + ": " +
        (errno == EWOULDBLOCK ? "another program has held it for a minute" : errno_text(errno)));
}

// write_file_atomically() refuses these after the push, which is too late.
void check_replaceable(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    if (errno != ENOENT) fatal("cannot write " + path + ": " + errno_text(errno));
  } else if (!S_ISREG(status.st_mode)) {
    fatal("cannot write " + path + ": it is not a file");
  }
}

}  // namespace

Results ResultsDirectory::load() const {
  return fatally([&] {
    const auto text = read_file_if_exists(yaml_file(), kMaxDocumentBytes);
    return text ? Results::parse(*text, yaml_file()) : Results();
  });
}

void ResultsDirectory::prepare() const {
  fatally([&] { make_directories(directory_, kDirectoryMode); });
  if (::faccessat(AT_FDCWD, directory_.c_str(), W_OK | X_OK, AT_EACCESS) != 0)
    fatal("cannot write results into " + directory_ + ": " + errno_text(errno));
  open_lock(lock_file());
  check_replaceable(yaml_file());
  check_replaceable(json_file());
  static_cast<void>(load());
}

void ResultsDirectory::record(const StepResult& result, const std::stop_token& stop) const {
  fatally([&] {
    const UniqueFd lock = take_lock(lock_file(), stop);
    Results results = load();
    results.record(result);
    write_file_atomically(yaml_file(), write_yaml(results.document()), kFileMode);
    write_file_atomically(json_file(), results.document().to_json().dump({.indent = 4}) + "\n",
                          kFileMode);
  });
}

}  // namespace tug::step
