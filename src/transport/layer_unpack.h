// The members of a layer's tar become files below a directory, as containers/storage makes them. It
// knows nothing of stores.
#ifndef TUG_TRANSPORT_LAYER_UNPACK_H_
#define TUG_TRANSPORT_LAYER_UNPACK_H_

#include "base/fd.h"
#include "stream/tar_reader.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

namespace tug {

struct UnpackOptions {
  // Whiteouts: overlay has a device 0/0 in place of what is gone and marks opaque directories; else
  // what is gone is removed, since the directory has the files of the layers below.
  bool overlay = false;
  bool in_user_namespace = false;  // no devices, and other names of attributes
  // Root of a container: devices and attributes that may not be made are left out.
  bool without_sys_admin = false;
  bool ignore_chown_errors = false;
};

// A resource; one thread. Everything is looked up beneath the directory: links in it lead nowhere
// outside, and an absolute one begins at it, as in the container.
//
// Throws Error(integrity) for a member that cannot be: ".." out of the layer, two members of one
// name, a hard link to nothing, a whiteout of nothing; Error(local) for what the file system
// refuses; Error(interrupted).
class LayerUnpacker {
 public:
  // `directory` must stay open; `path` is for messages.
  LayerUnpacker(int directory, std::string path, const UnpackOptions& options,
                std::stop_token stop);

  // One member, whose content `tar` is about to yield.
  void add(const TarMember& member, TarReader& tar);
  // Once all members are there: the times of directories.
  void finish();

  // The owners that the members name, whiteouts aside; in order.
  [[nodiscard]] const std::set<std::uint32_t>& uids() const noexcept { return uids_; }
  [[nodiscard]] const std::set<std::uint32_t>& gids() const noexcept { return gids_; }

 private:
  struct Place {
    int parent;  // the directory that the name is in
    std::string name;
  };
  using FileId = std::pair<std::uint64_t, std::uint64_t>;

  [[nodiscard]] UniqueFd open_within(const std::string& path) const;
  int parent_of(const std::string& path);
  UniqueFd make_missing(const std::string& path);
  void make_root(const TarMember& member);
  void make(const TarMember& member, const Place& place, TarReader& tar);
  void make_file(const TarMember& member, const Place& place, TarReader& tar);
  void make_link(const TarMember& member, const Place& place);
  bool make_device(const TarMember& member, const Place& place);
  bool make_node(const TarMember& member, const Place& place, unsigned type);
  void dress(const TarMember& member, const Place& place);
  void set_owner(const TarMember& member, int at, const std::string& name);
  void set_xattrs(const TarMember& member, int fd);
  void clear_place(const TarMember& member, const Place& place);
  void white_out(const std::string& path, const std::string& directory, const std::string& name);
  void make_opaque(const std::string& directory);
  void set_opaque(int fd, const std::string& directory);
  void remove_lower(int directory, int depth);
  void remember(int at, const std::string& name);
  [[nodiscard]] bool is_ours(int at, const std::string& name) const;
  void forget_parent();
  [[noreturn]] void fail(const char* what, const std::string& path) const;
  [[noreturn]] void refuse(const std::string& name, const std::string& why) const;

  const int root_;
  const std::string path_;
  const UnpackOptions options_;
  const std::stop_token stop_;
  std::string parent_path_;
  UniqueFd parent_;
  std::unordered_set<std::string> seen_;  // hashes of the names so far
  std::set<FileId> ours_;                 // what this layer has made
  std::set<std::string> whiteouts_;       // of this layer
  std::vector<TarMember> directories_;    // whose times are to be set
  std::set<std::uint32_t> uids_;
  std::set<std::uint32_t> gids_;
  std::vector<std::byte> buffer_;
};

}  // namespace tug

#endif  // TUG_TRANSPORT_LAYER_UNPACK_H_
