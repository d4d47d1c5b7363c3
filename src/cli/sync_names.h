// Where the images of a sync go: skopeo's arithmetic on paths (cli-surface.md A.6). Values; pure.
#ifndef TUG_CLI_SYNC_NAMES_H_
#define TUG_CLI_SYNC_NAMES_H_

#include <tug/reference.h>

#include <string>
#include <string_view>

namespace tug::cli {

// Go's path.Clean, path.Join of two and path.Base: without a look at any file.
std::string clean_path(std::string_view path);
std::string join_paths(std::string_view a, std::string_view b);
std::string base_of_path(std::string_view path);

// What `--dest`, DESTINATION and the flags beside them say.
struct SyncDestination {
  Transport transport = Transport::docker;  // docker, dir or oci
  std::string place = {};                   // HOST[:PORT][/PATH], or a directory
  bool scoped = false;                      // the whole name of the source, not its last component
  std::string append_suffix = {};           // behind the tag
  // Taken from the front of whole names, with the slash after it.
  std::string strip_prefix = {};
};

// The name that a source's image has for this is that of its reference, "HOST/REPOSITORY:TAG"; for
// dir: what the path of the image has below that of the source, "app:v1"; of a source that is
// itself the image its last component…
std::string sync_name_of_directory(const std::string& image, const std::string& source);
// …and for an image of an OCI layout that name which the layout has for it; one that can only be a
// tag gets the layout's own as well: "layout:v1".
std::string sync_name_of_entry(const std::string& entry, const std::string& layout);

// docker: PLACE/NAME:TAG; dir: PLACE/NAME:TAG as a path; oci: PLACE, with NAME:TAG as the image's
// name there. Throws Error(usage) for what is no reference, and for a directory outside of PLACE.
ImageReference sync_destination(const SyncDestination& destination, const std::string& name);

}  // namespace tug::cli

#endif  // TUG_CLI_SYNC_NAMES_H_
