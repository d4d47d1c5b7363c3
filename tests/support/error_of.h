// The Error that some work throws, for tests that look at its kind and words.
#ifndef TUG_TESTS_SUPPORT_ERROR_OF_H_
#define TUG_TESTS_SUPPORT_ERROR_OF_H_

#include "tug/error.h"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tug::test {

// Fails the test when `work` throws nothing; anything but an Error flies on.
template <typename Work>
Error error_of(Work&& work) {
  try {
    std::forward<Work>(work)();
  } catch (const Error& error) {
    return error;
  }
  FAIL_CHECK("no Error was thrown");
  return {ErrorKind::usage, "no Error was thrown"};
}

// `text` is part of the whole line, context and hint included.
template <typename Work>
void check_error(ErrorKind kind, std::string_view text, Work&& work) {
  const Error error = error_of(std::forward<Work>(work));
  CHECK(to_string(error.kind()) == to_string(kind));
  INFO("the error: ", error.what());
  INFO("should say: ", text);
  CHECK(std::string_view(error.what()).find(text) != std::string_view::npos);
}

// The same for several parts of the line.
template <typename Work>
void check_error_parts(ErrorKind kind, const std::vector<std::string>& parts, Work&& work) {
  const Error error = error_of(std::forward<Work>(work));
  CHECK(to_string(error.kind()) == to_string(kind));
  INFO("the error: ", error.what());
  for (const std::string& part : parts) {
    INFO("should say: ", part);
    CHECK(std::string_view(error.what()).find(part) != std::string_view::npos);
  }
}

}  // namespace tug::test

#endif  // TUG_TESTS_SUPPORT_ERROR_OF_H_
