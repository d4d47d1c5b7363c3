// Tar archives in memory, with whatever a test wants in them.
#ifndef TUG_TESTS_SUPPORT_TAR_BYTES_H_
#define TUG_TESTS_SUPPORT_TAR_BYTES_H_

#include "stream/tar_header.h"

#include <string>
#include <vector>

namespace tug::test {

struct TarMember {
  std::string name;
  std::string content = {};
  char type = '0';  // as in the header: '1' hard link, '2' symbolic link, '3' device, '5' directory
  std::string link = {};
};

inline std::string tar_member(const TarMember& member) {
  std::string bytes = tar_header({.name = member.name,
                                  .kind = static_cast<TarHeader::Kind>(member.type),
                                  .size = member.content.size(),
                                  .mode = 0644,
                                  .link = member.link});
  bytes += member.content;
  bytes.append(tar_padding(member.content.size()), '\0');
  return bytes;
}

inline std::string tar_of(const std::vector<TarMember>& members) {
  std::string bytes;
  for (const TarMember& member : members) bytes += tar_member(member);
  return bytes + tar_end();
}

}  // namespace tug::test

#endif  // TUG_TESTS_SUPPORT_TAR_BYTES_H_
