#include "program.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string_view>
#include <thread>

namespace tug::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

std::string program_path() {
  const char* given = std::getenv("TUG");
  return given != nullptr && *given != '\0' ? given : TUG_PROGRAM;
}

std::vector<std::string> environment_of(const std::string& directory, const Variables& more) {
  std::vector<std::string> variables{"PATH=/usr/bin:/bin", "LANG=C.UTF-8",
                                     "HOME=" + directory + "/home",
                                     "XDG_RUNTIME_DIR=" + directory + "/run"};
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    if (text.substr(0, text.find('=')).ends_with("SAN_OPTIONS")) variables.emplace_back(text);
  }
  for (const auto& [name, value] : more) variables.push_back(name + "=" + value);
  return variables;
}

// Pointers as exec wants them; good as long as `texts` is.
std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

}  // namespace

Program::Program(const std::string& directory, const std::vector<std::string>& arguments,
                 const Variables& more_environment)
    : directory_(directory) {
  for (const char* name : {"home", "run"})
    std::filesystem::create_directories(directory + "/" + name);
  const std::string path = program_path();
  std::vector<std::string> words{path};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<std::string> variables = environment_of(directory, more_environment);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  constexpr int kNew = O_WRONLY | O_CREAT | O_TRUNC;
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, (directory + "/out").c_str(), kNew, 0600);
  posix_spawn_file_actions_addopen(&files, STDERR_FILENO, (directory + "/err").c_str(), kNew, 0600);
  started_ = steady_clock::now();
  const int error = ::posix_spawn(&pid_, path.c_str(), &files, nullptr, pointers_to(words).data(),
                                  pointers_to(variables).data());
  posix_spawn_file_actions_destroy(&files);
  if (error != 0) throw std::runtime_error("cannot start " + path + ": " + std::strerror(error));
}

Program::~Program() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  reap(0);
}

void Program::signal(int number) const {
  if (pid_ > 0) ::kill(pid_, number);
}

bool Program::wait(std::chrono::seconds limit) {
  while (steady_clock::now() - started_ < limit) {
    measure();
    if (reap(WNOHANG)) return true;
    std::this_thread::sleep_for(milliseconds(3));
  }
  signal(SIGKILL);
  reap(0);
  return false;
}

// True once it has ended.
bool Program::reap(int options) {
  int status = 0;
  if (::waitpid(pid_, &status, options) != pid_) return false;
  pid_ = -1;
  elapsed_ = std::chrono::duration_cast<milliseconds>(steady_clock::now() - started_);
  if (WIFEXITED(status)) exit_code_ = WEXITSTATUS(status);
  return true;
}

// ru_maxrss is of no use: it counts what this process had when the other was started.
void Program::measure() {
  std::ifstream in("/proc/" + std::to_string(pid_) + "/status");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("VmHWM:"))
      peak_memory_kib_ = std::max(peak_memory_kib_, std::atol(line.c_str() + 6));
  }
}

std::string Program::out() const { return read_file(directory_ + "/out"); }
std::string Program::err() const { return read_file(directory_ + "/err"); }

}  // namespace tug::test
