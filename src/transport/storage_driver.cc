#include "transport/storage_driver.h"

#include "base/strings.h"
#include "transport/directory_tree.h"
#include "transport/storage_write.h"

#include <tug/error.h>

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace tug {
namespace {

constexpr unsigned kRootMode = 0555;
constexpr std::size_t kLinkLength = 26;
// What the driver overlay takes below a layer.
constexpr std::size_t kMaxLower = 500;
constexpr std::size_t kMaxLinkBytes = 256;
constexpr std::size_t kMaxLowerBytes = kMaxLower * 64;

std::string random_link() {
  constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  std::array<unsigned char, kLinkLength> random{};
  if (::getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size()))
    throw Error(ErrorKind::local, "cannot read random bytes: " + errno_text(errno));
  std::string link;
  for (const unsigned char byte : random) link += kLetters[byte % kLetters.size()];
  return link;
}

// With the owner and mode of `parent`, where there is one.
void make_root_directory(const std::string& path, const std::string& parent) {
  if (::mkdir(path.c_str(), 0700) != 0) throw_errno("make", path);
  unsigned mode = kRootMode;
  if (!parent.empty()) {
    struct stat status {};
    if (::stat(parent.c_str(), &status) != 0) throw_errno("read", parent);
    mode = status.st_mode & 07777U;
    if (::chown(path.c_str(), status.st_uid, status.st_gid) != 0)
      throw_errno("give an owner to", path);
  }
  if (::chmod(path.c_str(), mode) != 0) throw_errno("set the mode of", path);
}

void make_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0) throw_errno("make", path);
}

}  // namespace

std::string StorageDriver::files_of(const std::string& id) const {
  return is_overlay_ ? root_ + "/overlay/" + id + "/diff" : root_ + "/vfs/dir/" + id;
}

bool StorageDriver::has(const std::string& id) const {
  struct stat status {};
  return ::stat(files_of(id).c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

UniqueFd StorageDriver::create(const std::string& id, const std::string& parent,
                               const std::stop_token& stop) const {
  remove(id);  // what a process left that was killed
  const std::string files = files_of(id);
  if (is_overlay_) {
    make_overlay(id, parent);
    return open_directory(files);
  }
  const std::string below = parent.empty() ? "" : files_of(parent);
  make_root_directory(files, below);
  UniqueFd directory = open_directory(files);
  if (!below.empty()) copy_tree(open_directory(below).get(), directory.get(), files, stop);
  return directory;
}

void StorageDriver::make_overlay(const std::string& id, const std::string& parent) const {
  const std::string home = root_ + "/overlay/";
  const std::string own = home + id;
  make_directory(own);
  make_root_directory(own + "/diff", parent.empty() ? "" : files_of(parent));
  const UniqueFd directory = open_directory(own);
  const std::string link = random_link();
  const std::string target = "../" + id + "/diff";
  if (::symlink(target.c_str(), (home + "l/" + link).c_str()) != 0)
    throw_errno("make", home + "l/" + link);
  write_new_file(directory.get(), "link", link, 0644, own + "/link");
  make_directory(own + "/work");
  make_directory(own + "/merged");
  if (parent.empty()) return make_directory(own + "/empty");
  std::string lower = "l/" + std::string(trim(read_file(home + parent + "/link", kMaxLinkBytes)));
  if (const auto below = read_file_if_exists(home + parent + "/lower", kMaxLowerBytes);
      below && !below->empty())
    lower += ":" + *below;
  if (static_cast<std::size_t>(std::count(lower.begin(), lower.end(), ':')) >= kMaxLower) {
    throw Error(ErrorKind::limit, "the image has more than " + std::to_string(kMaxLower) +
                                      " layers, which the driver overlay does not take");
  }
  write_new_file(directory.get(), "lower", lower, 0644, own + "/lower");
}

void StorageDriver::remove(const std::string& id) const {
  const std::string home = root_ + (is_overlay_ ? "/overlay" : "/vfs/dir");
  const UniqueFd directory = open_directory(home);
  if (is_overlay_) {
    const auto link = read_file_if_exists(home + "/" + id + "/link", kMaxLinkBytes);
    if (link && link->size() == kLinkLength && link->find('/') == std::string::npos)
      (void)::unlink((home + "/l/" + *link).c_str());
  }
  remove_tree(directory.get(), id, home + "/" + id);
}

void remove_layer_files(const StorageDriver& driver, const std::string& layers_directory,
                        const std::string& id) {
  driver.remove(id);
  (void)::unlink((layers_directory + "/" + id + ".tar-split.gz").c_str());
  remove_tree(open_directory(layers_directory).get(), id, layers_directory + "/" + id);
}

}  // namespace tug
