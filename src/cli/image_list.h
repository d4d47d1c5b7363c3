// Which images a bulk copy copies, and where: from a list, or from all that a place holds. Values
// and pure functions.
#ifndef TUG_CLI_IMAGE_LIST_H_
#define TUG_CLI_IMAGE_LIST_H_

#include "transport/open.h"

#include <tug/reference.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tug::cli {

struct ImagePair {
  ImageReference source;
  ImageReference destination;
  friend bool operator==(const ImagePair&, const ImagePair&) = default;
};

// A line per image: SOURCE DESTINATION, in words as a shell reads them ('…', "…", \), without
// expansions; what follows a # at the beginning of a word is a comment. `name` is the file's, for
// messages. The same pair twice counts once. Throws Error(usage) naming the line: not two words, an
// open quote, a reference that is none, a destination that another line gives to another image. A
// docker-archive takes any number of images without a name.
std::vector<ImagePair> parse_image_list(std::string_view text, const std::string& name);
// Where each image goes. Below `prefix`, "docker://HOST[:PORT][/PATH]":
//   v1                     PREFIX:v1 (a name that can only be a tag)
//   app:1, team/app:1      PREFIX/app:1, PREFIX/team/app:1; without a tag :latest
//   quay.io/team/app:1     PREFIX/team/app:1: the name of the registry is left out
// In "oci:PATH", "oci-archive:PATH" and "docker-archive:PATH" each keeps its name; those in
// "docker-archive:PATH:NAME" get one below NAME as in a registry.
// Throws Error(usage): the prefix is none, a name that no image can have there, two images for one
// destination.
std::vector<ImagePair> pairs_below(const std::string& prefix, const ListedImages& images);

// --shard I/N: one of N parts of a list, from 1.
struct Shard {
  std::uint64_t number = 1;
  std::uint64_t count = 1;
  // Throws Error(usage).
  static Shard parse(std::string_view text);
  // By the SHA-256 of the destination, so that the parts stay when a list is sorted otherwise or
  // grows. All images of an archive are in one part: the name in it does not count.
  [[nodiscard]] bool has(const ImageReference& destination) const;
};

}  // namespace tug::cli

#endif  // TUG_CLI_IMAGE_LIST_H_
