#include "base/user_state.h"

#include "support/error_of.h"
#include "support/file_status.h"
#include "support/scoped_env.h"
#include "support/temp_dir.h"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

namespace tug {
namespace {

using test::TempDir;

TEST_CASE("the state directory is $XDG_STATE_HOME's or the home's") {
  test::ScopedEnv env;
  env.set("HOME", "/home/me");
  env.set("XDG_STATE_HOME", "/state");
  CHECK(user_state_directory() == "/state/tug");
  env.set("XDG_STATE_HOME", "");
  CHECK(user_state_directory() == "/home/me/.local/state/tug");
  env.set("HOME", std::nullopt);
  CHECK(user_state_directory().empty());
}

TEST_CASE("a lock has one owner, and its file goes with it") {
  const TempDir dir;
  const std::string path = dir.at("lock");
  {
    const auto first = FileLock::try_lock(path);
    REQUIRE(first);
    CHECK(test::mode_of(path) == 0600);
    CHECK_FALSE(FileLock::try_lock(path));
  }
  CHECK_FALSE(std::filesystem::exists(path));
  CHECK(FileLock::try_lock(path));
}

TEST_CASE("a lock whose owner died is free") {
  const TempDir dir;
  const std::string path = dir.at("lock");
  const pid_t child = ::fork();
  if (child == 0) {
    const bool locked = FileLock::try_lock(path).release() != nullptr;
    ::_exit(locked ? 0 : 1);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(std::filesystem::exists(path));
  CHECK(FileLock::try_lock(path));
}

TEST_CASE("many at once: never two owners") {
  const TempDir dir;
  const std::string path = dir.at("lock");
  std::atomic<int> owners{0};
  std::atomic<int> taken{0};
  std::atomic<bool> two{false};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int n = 0; n < 300; ++n) {
          const auto lock = FileLock::try_lock(path);
          if (!lock) continue;
          if (++owners > 1) two = true;
          ++taken;
          --owners;
        }
      });
    }
  }
  CHECK_FALSE(two);
  CHECK(taken > 0);
}

TEST_CASE("a place that is no place for a lock") {
  const TempDir dir;
  test::check_error(ErrorKind::local, "cannot create",
                    [&] { FileLock::try_lock(dir.path() + "/none/lock"); });
  std::filesystem::create_symlink("elsewhere", dir.at("link"));
  test::check_error(ErrorKind::local, "cannot create", [&] { FileLock::try_lock(dir.at("link")); });
}

}  // namespace
}  // namespace tug
