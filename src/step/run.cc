#include "step/run.h"

#include "base/fd.h"
#include "base/strings.h"
#include "registry/login.h"
#include "step/artifacts.h"
#include "step/config.h"
#include "step/decrypt.h"
#include "step/results.h"
#include "step/settings.h"

#include <tug/error.h>

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <utility>

namespace tug::step {
namespace {

constexpr const char* kStep = "push-container-image";
constexpr const char* kImplementer = "Skopeo";
constexpr const char* kDefaultConfig = "psr.yaml";

// The progress of the copy, below the sub-step's settings.
class IndentedProgress : public Progress {
 public:
  IndentedProgress(const RunEnvironment& environment, const SecretMask& mask)
      : environment_(environment), mask_(mask) {}
  void line(std::string_view text) override { environment_.print("  " + mask_.mask(text)); }
  void note(std::string_view text) override { environment_.warn(mask_.mask(text)); }

 private:
  const RunEnvironment& environment_;
  const SecretMask& mask_;
};

Config load_config(const RunRequest& request) {
  if (request.config_paths) return Config::load(*request.config_paths);
  std::error_code ignored;
  if (!request.overrides.empty() && !std::filesystem::exists(kDefaultConfig, ignored))
    return Config::for_flags_alone(request.step);
  return Config::load({kDefaultConfig});
}

class Run {
 public:
  Run(const RunRequest& request, const RunEnvironment& environment, const std::stop_token& stop)
      : request_(request),
        environment_(environment),
        stop_(stop),
        config_(load_config(request)),
        overrides_(parse_step_config(request.overrides)),
        decryptors_(config_.decryptors()) {}

  Outcome run() {
    const std::vector<SubStep> sub_steps = config_.sub_steps(request_.step);
    if (sub_steps.empty()) {
      throw StepError(StepStatus::fatal, fmt::format("the configuration has no step {}",
                                                     printable(request_.step, 100)));
    }
    results_ = directory_.load();
    if (!request_.dry_run) {
      directory_.prepare();
      check_files();
    }
    Outcome outcome;
    for (const SubStep& sub_step : sub_steps) {
      Outcome one = run(sub_step);
      if (one.status == StepStatus::success) continue;
      outcome = std::move(one);
      if (outcome.status == StepStatus::fatal || !sub_step.continue_on_failure) break;
    }
    if (outcome.status == StepStatus::success && !request_.dry_run) write_files();
    return outcome;
  }

 private:
  Outcome run(const SubStep& sub_step) {
    StepResult result{
        {request_.step, sub_step.name, request_.environment}, sub_step.implementer, true, "", {}};
    print_heading(result.key);
    Outcome outcome;
    try {
      push(sub_step, result);
    } catch (const StepError& error) {
      outcome = {error.status(), mask(error.what())};
      result.success = false;
      result.message = mask(error.recorded());
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::interrupted) throw;
      result.success = false;
      result.message = mask(error.what());
      record(result);
      throw;
    }
    record(result);
    print_result(result, outcome.reason);
    return outcome;
  }

  // Fills in the artifacts. Throws StepError, or Error(interrupted).
  void push(const SubStep& sub_step, StepResult& result) {
    check_implementer(sub_step);
    const EffectiveSettings settings =
        effective_settings({config_, request_.step, sub_step, request_.environment, overrides_,
                            results_, decryptors_, directory_.path(), stop_});
    for (const std::string& warning : settings.warnings) environment_.warn(mask(warning));
    if (request_.dry_run) return show(settings, result);
    environment_.print(without_last_newline(describe(settings, decryptors_.mask())));
    log_in(settings);
    result.artifacts = artifacts_before_push(settings);
    const Digest digest = copy(settings);
    result.artifacts = artifacts_after_push(settings, digest);
  }

  void check_implementer(const SubStep& sub_step) const {
    if (request_.step == kStep && sub_step.implementer_class() == kImplementer) return;
    throw StepError(
        StepStatus::fatal,
        fmt::format("{} of step {} has the implementer {}: tug is the implementer {} of {} alone",
                    printable(sub_step.name, 100), printable(request_.step, 100),
                    printable(sub_step.implementer, 100), kImplementer, kStep));
  }

  // --dry-run: what a later sub-step finds in this one's result is there in memory.
  void show(const EffectiveSettings& settings, StepResult& result) {
    environment_.data(dry_run_json(settings, decryptors_.claimed()).dump());
    result.artifacts = artifacts_before_push(settings);
    if (settings.refusal) fail(copy_failed_message(settings, *settings.refusal));
  }

  [[noreturn]] static void fail(std::string message) {
    throw StepError(StepStatus::not_successful, std::move(message));
  }

  void log_in(const EffectiveSettings& settings) {
    if (settings.logins.empty()) return;
    if (settings.authfile_is_default) make_parent(settings.authfile);
    for (const Login& login : settings.logins) {
      try {
        registry::log_in(environment_.registries,
                         {login.registry,
                          login.username,
                          login.password,
                          {settings.authfile, std::nullopt},
                          login.tls_verify,
                          std::nullopt},
                         stop_);
      } catch (const Error& error) {
        if (error.kind() == ErrorKind::interrupted) throw;
        throw StepError(StepStatus::fatal, login_failed_message(login, error.what()));
      }
      environment_.print("  Login Succeeded! (" + shown(login.registry) + ")");
    }
  }

  static void make_parent(const std::string& path) {
    try {
      make_directories(path.substr(0, path.rfind('/')), 0777);
    } catch (const Error& error) {
      throw StepError(StepStatus::fatal,
                      fmt::format("making the directory of the auth file: {}", error.what()));
    }
  }

  // The digest of what the destination has now, computed here from the bytes that were sent (5.2).
  Digest copy(const EffectiveSettings& settings) {
    try {
      if (settings.refusal) throw Error(ErrorKind::usage, *settings.refusal);
      const ImageReference from = ImageReference::parse(settings.source);
      const ImageReference to = ImageReference::parse(settings.destination);
      environment_.policy().check(from);
      const auto source = open_source(from, options(settings, settings.src_tls_verify),
                                      environment_.transports, stop_);
      const auto destination = open_destination(to, options(settings, settings.dest_tls_verify),
                                                environment_.transports, stop_);
      IndentedProgress progress(environment_, decryptors_.mask());
      return execute_copy(*source, *destination, environment_.copy_options, environment_.copies,
                          progress, stop_)
          .manifest.digest;
    } catch (const OtherDigestError& error) {
      fail(digest_failed_message(error.what()));
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::interrupted) throw;
      fail(copy_failed_message(settings, error.what()));
    }
  }

  static TransportOptions options(const EffectiveSettings& settings, bool tls_verify) {
    TransportOptions options;
    options.access.authfile = settings.authfile;
    options.access.tls_verify = tls_verify;
    return options;
  }

  // --- what is told

  void print_heading(const ResultKey& key) const {
    if (!request_.dry_run) environment_.print("Step " + shown(key.str()));
  }

  // `reason`: why it failed, also where upstream records an empty message (4.1).
  void print_result(const StepResult& result, std::string_view reason) const {
    if (request_.dry_run) return;
    environment_.print(result.success ? "  success" : "  failed: " + shown(reason));
    for (const Artifact& artifact : result.artifacts)
      environment_.print("  " + shown(artifact.name) + " = " + shown(artifact.value.str()));
  }

  void record(const StepResult& result) {
    results_.record(result);
    if (request_.dry_run) return;
    directory_.record(result, {});  // an interrupted step is recorded all the same
    if (result.success) {
      for (const Artifact& artifact : result.artifacts) keep(artifact);
    }
  }

  // A later sub-step's artifact takes the place of an earlier one's.
  void keep(const Artifact& artifact) {
    const auto same =
        std::find_if(artifacts_.begin(), artifacts_.end(),
                     [&](const Artifact& other) { return other.name == artifact.name; });
    if (same == artifacts_.end()) {
      artifacts_.push_back(artifact);
    } else {
      *same = artifact;
    }
  }

  void write_files() const {
    if (request_.artifacts_file)
      write(*request_.artifacts_file, artifacts_json(artifacts_).dump() + "\n");
    if (request_.env_file) write(*request_.env_file, artifacts_env(artifacts_));
    if (request_.handover_file) write(*request_.handover_file, artifacts_handover(artifacts_));
  }

  void write(const std::string& path, const std::string& text) const {
    if (path == "-") return environment_.data(without_last_newline(text));
    try {
      write_output_file(path, text);
    } catch (const Error& error) {
      throw StepError(StepStatus::fatal, fmt::format("the image was pushed, but {}", error.what()));
    }
  }

  // Before anything is pushed.
  void check_files() const {
    for (const auto& path : {request_.artifacts_file, request_.env_file, request_.handover_file}) {
      if (!path || *path == "-") continue;
      try {
        check_output_file(*path);
      } catch (const Error& error) {
        throw StepError(StepStatus::fatal, error.what());
      }
    }
  }

  static std::string without_last_newline(std::string text) {
    if (text.ends_with('\n')) text.pop_back();
    return text;
  }

  [[nodiscard]] std::string mask(std::string_view text) const {
    return decryptors_.mask().mask(text);
  }
  // What others wrote, as a part of a line.
  [[nodiscard]] std::string shown(std::string_view text) const {
    constexpr std::size_t kLongest = 2000;
    return printable(mask(text), kLongest);
  }

  const RunRequest& request_;
  const RunEnvironment& environment_;
  const std::stop_token& stop_;
  const Config config_;
  const Value overrides_;
  Decryptors decryptors_;
  const ResultsDirectory directory_;
  Results results_;
  std::vector<Artifact> artifacts_;  // of the sub-steps that were successful
};

}  // namespace

Outcome run(const RunRequest& request, const RunEnvironment& environment,
            const std::stop_token& stop) {
  return Run(request, environment, stop).run();
}

}  // namespace tug::step
