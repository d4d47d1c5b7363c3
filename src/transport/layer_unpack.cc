#include "transport/layer_unpack.h"

#include "base/stop.h"
#include "base/strings.h"
#include "stream/tar_split.h"
#include "transport/directory_tree.h"

#include <tug/digest.h>
#include <tug/error.h>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace tug {
namespace {

constexpr std::string_view kWhiteout = ".wh.";
constexpr std::string_view kOpaque = ".wh..wh..opq";
constexpr std::string_view kAufs = ".wh..wh.";
constexpr std::size_t kBufferBytes = std::size_t{128} * 1024;
// Directories that removing goes down to with one of each level open.
constexpr int kMaxDepth = 400;

std::pair<std::string, std::string> split_path(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return {"", path};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

// A set of these takes little memory, however long the names are.
std::string hash_of(const std::string& name) {
  return std::string(Digest::of(name).hex().substr(0, 32));
}

std::array<timespec, 2> times_of(const TarMember& member) {
  const timespec time{static_cast<time_t>(member.mtime), static_cast<long>(member.mtime_ns)};
  return {time, time};
}

bool leaves(std::string_view name) {
  // As Go: the name is cleaned as a relative one, and what then begins with ".." is outside.
  std::size_t depth = 0;
  for (const std::string_view part : split(name, '/')) {
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      ++depth;
    } else if (depth == 0) {
      return !name.starts_with('/');
    } else {
      --depth;
    }
  }
  return false;
}

// What overlay and fuse-overlayfs keep there decides which files are seen and whose they are (and
// whether podman takes the store for one of fuse-overlayfs), and a label is the machine's: a layer
// that brings such attributes goes without them.
bool is_for_the_system(std::string_view name) {
  return name.starts_with("trusted.overlay.") || name.starts_with("user.overlay.") ||
         name.starts_with("user.fuseoverlayfs.") || name.starts_with("user.containers.") ||
         name == "security.selinux";
}

}  // namespace

LayerUnpacker::LayerUnpacker(int directory, std::string path, const UnpackOptions& options,
                             std::stop_token stop)
    : root_(directory),
      path_(std::move(path)),
      options_(options),
      stop_(std::move(stop)),
      buffer_(kBufferBytes) {}

void LayerUnpacker::add(const TarMember& member, TarReader& tar) {
  throw_if_stopped(stop_);
  if (leaves(member.name)) refuse(member.name, "it leads out of the layer");
  const std::string path = clean_member_name(member.name);
  if (!seen_.insert(hash_of(path)).second)
    refuse(member.name, "there are two members of this name");
  const auto [directory, name] = split_path(path);
  if (!name.starts_with(kWhiteout)) {
    uids_.insert(member.uid);
    gids_.insert(member.gid);
  }
  if (path.empty()) return make_root(member);
  if (name == kOpaque) return make_opaque(directory);
  // What aufs kept for itself.
  if (path.starts_with(kAufs) || name.starts_with(kAufs)) return;
  if (name.starts_with(kWhiteout)) return white_out(path, directory, name.substr(kWhiteout.size()));
  const Place place{parent_of(directory), name};
  clear_place(member, place);
  make(member, place, tar);
  // A directory in place of one that was below begins empty.
  if (options_.overlay && member.kind == TarMember::Kind::directory && whiteouts_.contains(path)) {
    if (const UniqueFd made = open_within(path)) set_opaque(made.get(), path);
  }
}

void LayerUnpacker::finish() {
  for (auto directory = directories_.rbegin(); directory != directories_.rend(); ++directory) {
    const std::string path = clean_member_name(directory->name);
    const UniqueFd fd(path.empty() ? ::openat(root_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
                                   : open_within(path).release());
    if (!fd) {
      if (errno == ENOENT || errno == ENOTDIR) continue;
      fail("open", path);
    }
    // By way of /proc, since it may be open for its path alone.
    const std::string self = "/proc/self/fd/" + std::to_string(fd.get());
    if (::utimensat(AT_FDCWD, self.c_str(), times_of(*directory).data(), 0) != 0)
      fail("set the time of", path);
  }
  forget_parent();
}

// --- finding

UniqueFd LayerUnpacker::open_within(const std::string& path) const {
  open_how how{};
  how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  for (int attempt = 0;; ++attempt) {
    UniqueFd fd(static_cast<int>(::syscall(SYS_openat2, root_, path.c_str(), &how, sizeof how)));
    if (fd || attempt == 8 || (errno != EAGAIN && errno != EINTR)) return fd;
  }
}

// Made where it is missing, as Go does.
int LayerUnpacker::parent_of(const std::string& path) {
  if (path.empty()) return root_;
  if (parent_ && path == parent_path_) return parent_.get();
  UniqueFd found = open_within(path);
  if (!found) {
    if (errno != ENOENT) fail("open", path);
    found = make_missing(path);
  }
  parent_path_ = path;
  parent_ = std::move(found);
  return parent_.get();
}

// What is there of the way to `path` is found by halving it: a name may have 2000 parts, and to
// look up the first, the first two, and so on, is to look up millions.
UniqueFd LayerUnpacker::make_missing(const std::string& path) {
  std::vector<std::size_t> ends;  // of each part
  for (std::size_t at = path.find('/'); at != std::string::npos; at = path.find('/', at + 1))
    ends.push_back(at);
  ends.push_back(path.size());
  UniqueFd above;         // null: the root
  std::size_t there = 0;  // so many parts are there
  std::size_t missing = ends.size();
  while (missing - there > 1) {
    const std::size_t middle = there + (missing - there) / 2;
    const std::string prefix = path.substr(0, ends[middle - 1]);
    if (UniqueFd found = open_within(prefix)) {
      above = std::move(found);
      there = middle;
    } else if (errno == ENOENT) {
      missing = middle;
    } else {
      fail("open", prefix);
    }
  }
  for (; there < ends.size(); ++there) {
    const int at = above ? above.get() : root_;
    const std::size_t begin = there == 0 ? 0 : ends[there - 1] + 1;
    const std::string name = path.substr(begin, ends[there] - begin);
    const std::string prefix = path.substr(0, ends[there]);
    if (::mkdirat(at, name.c_str(), 0755) != 0) {
      if (errno == EEXIST) refuse(path, "it is beneath a link to nothing in the layer");
      fail("make", prefix);
    }
    if (::fchmodat(at, name.c_str(), 0755, 0) != 0) fail("set the mode of", prefix);
    remember(at, name);
    UniqueFd made(::openat(at, name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!made) fail("open", prefix);
    above = std::move(made);
  }
  return above;
}

void LayerUnpacker::forget_parent() {
  parent_path_.clear();
  parent_ = UniqueFd();
}

// --- making

void LayerUnpacker::make_root(const TarMember& member) {
  if (member.kind != TarMember::Kind::directory) refuse(member.name, "it is no directory");
  // As in Go: the driver overlay has given the directory its mode.
  if (options_.overlay) return;
  set_owner(member, root_, "");
  if (::fchmod(root_, member.mode) != 0) fail("set the mode of", "");
  set_xattrs(member, root_);
  directories_.push_back(member);
  directories_.back().xattrs.clear();
}

void LayerUnpacker::make(const TarMember& member, const Place& place, TarReader& tar) {
  using Kind = TarMember::Kind;
  switch (member.kind) {
    case Kind::file:
      return make_file(member, place, tar);
    case Kind::hardlink:
      return make_link(member, place);
    case Kind::symlink:
      if (::symlinkat(member.link.c_str(), place.parent, place.name.c_str()) != 0)
        fail("make", member.name);
      break;
    case Kind::directory:
      if (::mkdirat(place.parent, place.name.c_str(), 0700) != 0 && errno != EEXIST)
        fail("make", member.name);
      directories_.push_back(member);
      directories_.back().xattrs.clear();
      break;
    case Kind::character_device:
    case Kind::block_device:
      if (!make_device(member, place)) return;
      break;
    case Kind::fifo:
      if (!make_node(member, place, S_IFIFO)) fail("make", member.name);
      break;
  }
  remember(place.parent, place.name);
  dress(member, place);
}

void LayerUnpacker::make_file(const TarMember& member, const Place& place, TarReader& tar) {
  const UniqueFd fd(::openat(place.parent, place.name.c_str(),
                             O_WRONLY | O_NOFOLLOW | O_CLOEXEC | O_CREAT | O_EXCL, 0600));
  if (!fd) fail("make", member.name);
  const std::string path = path_ + "/" + printable(member.name, 300);
  std::size_t size = 0;
  while ((size = tar.read(buffer_)) != 0) {
    throw_if_stopped(stop_);
    write_fully(fd.get(), std::span(buffer_).first(size), path);
  }
  remember(place.parent, place.name);
  set_owner(member, fd.get(), "");
  if (::fchmod(fd.get(), member.mode) != 0) fail("set the mode of", member.name);
  set_xattrs(member, fd.get());
  if (::futimens(fd.get(), times_of(member).data()) != 0) fail("set the time of", member.name);
}

// To what is in the layer or, in a whole directory, below it; a link is never followed to its end.
void LayerUnpacker::make_link(const TarMember& member, const Place& place) {
  if (leaves(member.link)) refuse(member.name, "it is a link that leads out of the layer");
  const auto [directory, name] = split_path(clean_member_name(member.link));
  if (name.empty()) refuse(member.name, "it is a link to nothing");
  const UniqueFd target(directory.empty() ? ::openat(root_, ".", O_PATH | O_DIRECTORY | O_CLOEXEC)
                                          : open_within(directory).release());
  if (!target || ::linkat(target.get(), name.c_str(), place.parent, place.name.c_str(), 0) != 0) {
    if (errno == ENOENT || errno == ENOTDIR || errno == EPERM)
      refuse(member.name, "it is a link to \"" + printable(member.link, 200) + "\", which is " +
                              (errno == EPERM ? "no file" : "not there"));
    fail("make", member.name);
  }
  struct stat status {};
  if (::fstatat(place.parent, place.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
    fail("read", member.name);
  // As Go: the owner, mode and time of the last name count.
  set_owner(member, place.parent, place.name);
  if (S_ISLNK(status.st_mode)) return;
  if (::fchmodat(place.parent, place.name.c_str(), member.mode, 0) != 0)
    fail("set the mode of", member.name);
  if (::utimensat(place.parent, place.name.c_str(), times_of(member).data(), AT_SYMLINK_NOFOLLOW) !=
      0)
    fail("set the time of", member.name);
}

// False where there is none, since those who unpack may not make it.
bool LayerUnpacker::make_device(const TarMember& member, const Place& place) {
  if (options_.in_user_namespace) return false;
  const bool is_character = member.kind == TarMember::Kind::character_device;
  if (make_node(member, place, is_character ? S_IFCHR : S_IFBLK)) return true;
  if (errno == EPERM && options_.without_sys_admin) return false;
  fail("make", member.name);
}

// False with errno.
bool LayerUnpacker::make_node(const TarMember& member, const Place& place, unsigned type) {
  const dev_t device = type == S_IFIFO ? 0 : ::makedev(member.device_major, member.device_minor);
  return ::mknodat(place.parent, place.name.c_str(), type | 0600U, device) == 0;
}

// Owner first: it takes setuid and capabilities away.
void LayerUnpacker::dress(const TarMember& member, const Place& place) {
  set_owner(member, place.parent, place.name);
  const bool is_link = member.kind == TarMember::Kind::symlink;
  if (!is_link && ::fchmodat(place.parent, place.name.c_str(), member.mode, 0) != 0)
    fail("set the mode of", member.name);
  if (!member.xattrs.empty()) {
    const UniqueFd fd(::openat(place.parent, place.name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) fail("open", member.name);
    set_xattrs(member, fd.get());
  }
  if (::utimensat(place.parent, place.name.c_str(), times_of(member).data(), AT_SYMLINK_NOFOLLOW) !=
      0)
    fail("set the time of", member.name);
}

void LayerUnpacker::set_owner(const TarMember& member, int at, const std::string& name) {
  if (::fchownat(at, name.c_str(), member.uid, member.gid, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) ==
      0)
    return;
  if (options_.ignore_chown_errors) return;
  const int error = errno;
  throw Error(ErrorKind::local, "cannot give " + path_ + "/" + printable(member.name, 300) +
                                    " to the owner " + std::to_string(member.uid) + ":" +
                                    std::to_string(member.gid) + ": " + errno_text(error))
      .set_hint(error == EINVAL ? "there are not enough user ids: see /etc/subuid and /etc/subgid"
                                : "a rootless store needs its owner's user namespace: podman "
                                  "unshare tug …");
}

// By way of /proc: of some files only the path may be open.
void LayerUnpacker::set_xattrs(const TarMember& member, int fd) {
  if (member.xattrs.empty()) return;
  const std::string self = "/proc/self/fd/" + std::to_string(fd);
  for (const auto& [name, value] : member.xattrs) {
    if (is_for_the_system(name)) continue;
    if (::setxattr(self.c_str(), name.c_str(), value.data(), value.size(), 0) == 0) continue;
    const bool is_limited = options_.in_user_namespace || options_.without_sys_admin;
    const bool may_fail = errno == ENOTSUP || (is_limited && errno == EPERM);
    if (!may_fail) fail("set an attribute of", member.name);
  }
}

// --- what is in the way

// Anything makes room for a member but a directory for a directory. Something that this layer made
// itself came here by another name.
void LayerUnpacker::clear_place(const TarMember& member, const Place& place) {
  struct stat status {};
  if (::fstatat(place.parent, place.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return;
    fail("read", member.name);
  }
  if (S_ISDIR(status.st_mode) && member.kind == TarMember::Kind::directory) return;
  const bool is_whiteout = whiteouts_.contains(clean_member_name(member.name));
  if (is_ours(place.parent, place.name) && !is_whiteout)
    refuse(member.name, "it would replace another member of the layer");
  remove_tree(place.parent, place.name, path_ + "/" + member.name);
  if (S_ISDIR(status.st_mode) || S_ISLNK(status.st_mode)) {
    // The open parent is what it was; others are looked up anew.
    parent_path_.clear();
  }
}

void LayerUnpacker::white_out(const std::string& path, const std::string& directory,
                              const std::string& name) {
  if (name.empty() || name == "." || name == "..") refuse(path, "it is a whiteout of nothing");
  if (!options_.overlay) {
    const UniqueFd parent(directory.empty() ? ::openat(root_, ".", O_PATH | O_DIRECTORY | O_CLOEXEC)
                                            : open_within(directory).release());
    if (!parent) {
      if (errno == ENOENT || errno == ENOTDIR) return;
      fail("open", directory);
    }
    // It is about the layers below: what this one brings stays.
    struct stat status {};
    if (::fstatat(parent.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return;
    if (S_ISDIR(status.st_mode)) {
      const UniqueFd inner(
          ::openat(parent.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!inner) fail("open", path);
      remove_lower(inner.get(), 0);
      if (!is_ours(parent.get(), name)) (void)::unlinkat(parent.get(), name.c_str(), AT_REMOVEDIR);
    } else if (!is_ours(parent.get(), name)) {
      remove_tree(parent.get(), name, path_ + "/" + path);
    }
    forget_parent();
    return;
  }
  const int parent = parent_of(directory);
  const std::string target = directory.empty() ? name : directory + "/" + name;
  if (::mknodat(parent, name.c_str(), S_IFCHR, 0) != 0) {
    if (errno != EEXIST) fail("make the whiteout of", target);
    // What this layer brings stays; a directory has nothing of those below.
    const UniqueFd made(
        ::openat(parent, name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (made) set_opaque(made.get(), target);
    return;
  }
  remember(parent, name);
  whiteouts_.insert(target);
}

void LayerUnpacker::make_opaque(const std::string& directory) {
  const UniqueFd fd(directory.empty() ? ::openat(root_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
                                      : [&] {
                                          (void)parent_of(directory);
                                          return open_within(directory).release();
                                        }());
  if (!fd) fail("open", directory);
  if (options_.overlay) return set_opaque(fd.get(), directory);
  const UniqueFd readable(::openat(fd.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!readable) fail("open", directory);
  remove_lower(readable.get(), 0);
  forget_parent();
}

// No other attribute will do: it decides which files are seen.
void LayerUnpacker::set_opaque(int fd, const std::string& directory) {
  const char* const name =
      options_.in_user_namespace ? "user.overlay.opaque" : "trusted.overlay.opaque";
  const std::string self = "/proc/self/fd/" + std::to_string(fd);
  if (::setxattr(self.c_str(), name, "y", 1, 0) == 0) return;
  const int error = errno;
  throw Error(ErrorKind::local, "cannot make " + path_ + "/" + printable(directory, 300) +
                                    " opaque: " + errno_text(error))
      .set_hint(error == EPERM ? "the driver overlay needs CAP_SYS_ADMIN; STORAGE_DRIVER=vfs does "
                                 "without"
                               : "");
}

// Removes what the layers below brought into `directory`.
void LayerUnpacker::remove_lower(int directory, int depth) {
  if (depth > kMaxDepth)
    throw Error(ErrorKind::limit, path_ + " has directories that are too deep to be removed");
  for (const std::string& name : names_in(directory, path_)) {
    throw_if_stopped(stop_);
    const UniqueFd inner(
        ::openat(directory, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    const bool ours = is_ours(directory, name);
    if (inner) {
      remove_lower(inner.get(), depth + 1);
      if (!ours && ::unlinkat(directory, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOTEMPTY &&
          errno != EEXIST)
        fail("remove", name);
    } else if (!ours) {
      remove_tree(directory, name, path_ + "/" + name);
    }
  }
}

void LayerUnpacker::remember(int at, const std::string& name) {
  struct stat status {};
  if (::fstatat(at, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0)
    ours_.emplace(status.st_dev, status.st_ino);
}

bool LayerUnpacker::is_ours(int at, const std::string& name) const {
  struct stat status {};
  return ::fstatat(at, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
         ours_.contains({status.st_dev, status.st_ino});
}

void LayerUnpacker::fail(const char* what, const std::string& path) const {
  const int error = errno;
  throw Error(ErrorKind::local, "cannot " + std::string(what) + " " + path_ + "/" +
                                    printable(path, 300) + ": " + errno_text(error));
}

void LayerUnpacker::refuse(const std::string& name, const std::string& why) const {
  throw Error(ErrorKind::integrity,
              "the layer's member \"" + printable(name, 300) + "\" cannot be: " + why);
}

}  // namespace tug
