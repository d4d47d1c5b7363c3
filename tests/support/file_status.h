// What the file system says of a file; links are not followed. A file that is not there fails the
// test.
#ifndef TUG_TESTS_SUPPORT_FILE_STATUS_H_
#define TUG_TESTS_SUPPORT_FILE_STATUS_H_

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <string>

namespace tug::test {

inline struct stat status_of(const std::string& path) {
  struct stat status {};
  INFO(path);
  REQUIRE(::lstat(path.c_str(), &status) == 0);
  return status;
}

inline unsigned mode_of(const std::string& path) { return status_of(path).st_mode & 07777U; }

}  // namespace tug::test

#endif  // TUG_TESTS_SUPPORT_FILE_STATUS_H_
