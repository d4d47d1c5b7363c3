// Whole directories of strangers' files, as root handles them: removed and copied without a link
// being followed, however deep they are.
#ifndef TUG_TRANSPORT_DIRECTORY_TREE_H_
#define TUG_TRANSPORT_DIRECTORY_TREE_H_

#include "base/fd.h"

#include <functional>
#include <stop_token>
#include <string>
#include <vector>

struct stat;

namespace tug {

// The names in the open directory, without "." and "..". Throws Error(local).
std::vector<std::string> names_in(int directory, const std::string& path);

// Removes `name` in `directory` with all that is in it; what is not there is fine. `path` is for
// messages. Throws Error(local).
void remove_tree(int directory, const std::string& name, const std::string& path);

// Copies everything in `from` into the empty directory `to`: owners, modes, times, xattrs, and
// which names are one file. Content is shared where the file system can. Throws Error(local),
// Error(interrupted).
void copy_tree(int from, int to, const std::string& path, const std::stop_token& stop);

}  // namespace tug

#endif  // TUG_TRANSPORT_DIRECTORY_TREE_H_
