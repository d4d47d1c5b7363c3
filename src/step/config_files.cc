// Which files a -c PATH means (step-contract 2.2, 2.3).
#include "base/fd.h"
#include "step/config.h"
#include "step/step_error.h"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <memory>

namespace tug::step {
namespace {

// A link that leads to a directory above would go round for ever; nobody nests configuration this
// deeply.
constexpr int kMaxDirectories = 32;
constexpr std::size_t kMaxFiles = 10'000;

[[noreturn]] void invalid(std::string message) {
  throw StepError(StepStatus::invalid_config, std::move(message));
}

struct CloseDirectory {
  void operator()(DIR* directory) const noexcept { ::closedir(directory); }
};

// Its entries by name, without those that begin with a dot.
std::vector<std::string> visible_entries(const std::string& path) {
  const std::unique_ptr<DIR, CloseDirectory> directory(::opendir(path.c_str()));
  if (!directory) invalid("cannot read directory " + path + ": " + errno_text(errno));
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(directory.get()))
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  std::sort(names.begin(), names.end());
  return names;
}

// Follows symbolic links: that is how Kubernetes lays out a mounted ConfigMap.
void collect_files(const std::string& path, int depth, std::vector<std::string>& files) {
  if (depth > kMaxDirectories) invalid("directory " + path + " is nested too deeply");
  for (const std::string& name : visible_entries(path)) {
    const std::string child = path.ends_with('/') ? path + name : path + "/" + name;
    struct stat status {};
    if (::stat(child.c_str(), &status) != 0) continue;  // a link to nothing is no file
    if (S_ISDIR(status.st_mode)) collect_files(child, depth + 1, files);
    if (S_ISREG(status.st_mode)) files.push_back(child);
    if (files.size() > kMaxFiles) invalid("directory " + path + " has too many files");
  }
}

}  // namespace

std::vector<std::string> config_files(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0)
    throw StepError(StepStatus::missing_config, path + ": " + errno_text(errno));
  if (S_ISDIR(status.st_mode)) {
    std::vector<std::string> files;
    collect_files(path, 0, files);
    if (files.empty()) invalid("directory " + path + " has no files in it");
    return files;
  }
  if (!S_ISREG(status.st_mode))
    throw StepError(StepStatus::missing_config, path + " is neither a file nor a directory");
  if (status.st_size == 0) throw StepError(StepStatus::missing_config, path + " is empty");
  return {path};
}

}  // namespace tug::step
