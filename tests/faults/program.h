// One run of the program under test: a process of its own, with an environment of its own.
#ifndef TUG_TESTS_FAULTS_PROGRAM_H_
#define TUG_TESTS_FAULTS_PROGRAM_H_

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace tug::test {

using Variables = std::vector<std::pair<std::string, std::string>>;

class Program {
 public:
  // Starts $TUG. HOME and what goes with it are below `directory`, where its output is kept too;
  // of the caller's environment it gets what sanitizers need, and nothing else.
  Program(const std::string& directory, const std::vector<std::string>& arguments,
          const Variables& more_environment = {});
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  // Ends what still runs.
  ~Program();

  void signal(int number) const;
  // Its end; false when it still ran after `limit`, and was killed.
  bool wait(std::chrono::seconds limit);

  // After wait(). nullopt: a signal ended it.
  [[nodiscard]] std::optional<int> exit_code() const noexcept { return exit_code_; }
  [[nodiscard]] std::chrono::milliseconds elapsed() const noexcept { return elapsed_; }
  // The most that it was seen to have in memory.
  [[nodiscard]] long peak_memory_kib() const noexcept { return peak_memory_kib_; }
  [[nodiscard]] std::string out() const;
  [[nodiscard]] std::string err() const;

 private:
  bool reap(int options);
  void measure();

  const std::string directory_;
  pid_t pid_ = -1;
  std::chrono::steady_clock::time_point started_;
  std::optional<int> exit_code_;
  std::chrono::milliseconds elapsed_{0};
  long peak_memory_kib_ = 0;
};

}  // namespace tug::test

#endif  // TUG_TESTS_FAULTS_PROGRAM_H_
