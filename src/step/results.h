// Results of steps: what earlier steps recorded, and what this one adds
// (step-contract 3.3, 6.1-6.4).
#ifndef TUG_STEP_RESULTS_H_
#define TUG_STEP_RESULTS_H_

#include "step/value.h"

#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace tug::step {

struct Artifact {
  std::string name;
  Value value;  // keeps the type that YAML gave it (1.3)
  std::string description;
  friend bool operator==(const Artifact&, const Artifact&) = default;
};

// Which result: upstream's key for one. `environment` is "" without -e.
struct ResultKey {
  std::string step;
  std::string sub_step;
  std::string environment;
  friend bool operator==(const ResultKey&, const ResultKey&) = default;
  [[nodiscard]] std::string str() const;  // "push-container-image/Skopeo", "… in DEV"
};

struct StepResult {
  ResultKey key;
  std::string implementer;
  bool success = true;
  std::string message;
  std::vector<Artifact> artifacts;
};

// The content of a results file. A value.
class Results {
 public:
  // Nothing recorded yet.
  Results() = default;
  // Throws StepError(fatal) when the text is not a results file; `path` is for the message. Empty
  // text is an empty file.
  static Results parse(std::string_view text, const std::string& path);

  struct Found {
    Value value;
    ResultKey from;
    // Other results that recorded a different value under that name. The file does not tell the
    // order in which steps ran (6.4), so somebody should be told which was taken.
    std::vector<ResultKey> others;
  };
  // The artifact `name`, newest first as far as one can know: steps in the order of upstream's
  // workflow, later in the file before earlier. With `environment` only results of that one; "":
  // any. Null values do not count. `replaced` is left out: the result that the present run will
  // replace must not decide its settings.
  [[nodiscard]] std::optional<Found> find(std::string_view name, std::string_view environment,
                                          const ResultKey& replaced) const;

  // Adds `result`, or puts it in the place of the one with the same key. Throws StepError(fatal)
  // when a result stands where the sub-steps of its step go.
  void record(const StepResult& result);
  // {step-runner-results: …}
  [[nodiscard]] const Value& document() const noexcept { return document_; }

 private:
  struct Entry {
    ResultKey key;
    const Value* content;
  };
  [[nodiscard]] std::vector<Entry> entries() const;

  Value document_ = Value::map({{"step-runner-results", Value::map()}});
};

// The working directory's results files. A resource of one process at a time: what changes files
// does so under upstream's lock file. One thread.
class ResultsDirectory {
 public:
  explicit ResultsDirectory(std::string directory = "step-runner-working")
      : directory_(std::move(directory)) {}

  [[nodiscard]] const std::string& path() const noexcept { return directory_; }
  [[nodiscard]] std::string yaml_file() const { return directory_ + "/step-runner-results.yml"; }
  [[nodiscard]] std::string json_file() const { return directory_ + "/step-runner-results.json"; }
  [[nodiscard]] std::string lock_file() const {
    return directory_ + "/step-runner-results.pkl.lock";
  }

  // What is recorded; writes nothing. Throws StepError(fatal): unreadable, not a results file.
  [[nodiscard]] Results load() const;
  // To be called before anything is pushed: makes the directory, and throws StepError(fatal) when
  // record() could not do its work later: not writable, a results file that is not ours.
  void prepare() const;
  // Reads, adds, and writes both files, each at once or not at all, under the lock. Throws
  // StepError(fatal).
  void record(const StepResult& result, const std::stop_token& stop) const;

 private:
  std::string directory_;
};

}  // namespace tug::step

#endif  // TUG_STEP_RESULTS_H_
