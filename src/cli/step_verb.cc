// tug step -s push-container-image
#include "cli/step_verb.h"

#include "cli/context.h"
#include "cli/output.h"
#include "step/run.h"

#include <tug/error.h>

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <limits>

namespace tug::cli {
namespace {

step::RunRequest run_request(const Arguments& arguments) {
  step::RunRequest request;
  request.step = arguments.value("step").value_or("");
  if (request.step.empty())
    throw Error(ErrorKind::usage, "-s/--step is required")
        .set_hint("for example: tug step -s push-container-image");
  request.environment = arguments.value("environment").value_or("");
  if (arguments.has("config")) request.config_paths = arguments.list("config");
  request.overrides = arguments.list("step-config");
  request.dry_run = arguments.flag("dry-run");
  request.artifacts_file = arguments.value("artifacts");
  request.env_file = arguments.value("env-file");
  request.handover_file = arguments.value("handover");
  const auto files = {request.artifacts_file, request.env_file, request.handover_file};
  if (std::count(files.begin(), files.end(), "-") > 1) {
    throw Error(ErrorKind::usage,
                "only one of --artifacts, --env-file and --handover can be standard output");
  }
  return request;
}

// They are read when the network is set up, where all that fails is fatal to the step; a wrong
// flag is not.
void check_retry_flags(const Arguments& arguments) {
  static_cast<void>(arguments.integer("retry-times", 0, std::numeric_limits<std::int64_t>::max()));
  static_cast<void>(arguments.duration("retry-delay"));
}

bool stdout_is_data(const step::RunRequest& request) {
  return request.dry_run || request.artifacts_file == "-" || request.env_file == "-" ||
         request.handover_file == "-";
}

int finish(const step::RunRequest& request, step::StepStatus status, std::string_view reason) {
  const std::string line = step::closing_line(status, request.step, reason);
  if (!line.empty()) write_stderr_line(line);
  return static_cast<int>(status);
}

int run(Context& context, const Arguments& arguments) {
  const step::RunRequest request = run_request(arguments);
  check_retry_flags(arguments);
  const auto print = stdout_is_data(request) ? write_stderr_line : write_stdout_line;
  CopyOptions copy_options;
  copy_options.platform = context.platform();
  try {
    const step::Outcome outcome =
        step::run(request,
                  {context.registries(), context.transports(), context.copies(),
                   [&] { return context.policy(); }, copy_options, print,
                   [](std::string_view line) { log_line(Level::warning, line); },
                   [](std::string_view line) { write_stdout(std::string(line) + "\n"); }},
                  context.stop());
    if (outcome.status == step::StepStatus::not_successful && request.dry_run)
      write_stderr_line(outcome.reason);
    return finish(request, outcome.status, outcome.reason);
  } catch (const step::StepError& error) {
    return finish(request, error.status(), error.what());
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::interrupted) throw;
    return finish(request, step::StepStatus::fatal, error.what());
  }
}

}  // namespace

Verb step_verb() {
  using Kind = Option::Kind;
  std::vector<Option> retrying = retry_options();
  retrying.push_back(
      {"no-cache", '\0', Kind::flag, "", "Neither read nor write the blob info cache"});
  Verb verb{
      "step",
      "",
      "Run the Ploigos step push-container-image: settings from files, artifacts as results",
      "Reads the configuration of the Ploigos Step Runner, logs in, pushes, and records the\n"
      "artifacts in step-runner-working/step-runner-results.yml and .json. Without configuration\n"
      "files the settings are given by --step-config alone. The exit code is 0 for success, 200\n"
      "when the step failed, 44 when it could not be run, 101 and 102 for missing and invalid\n"
      "configuration, 2 for a wrong command line.",
      {{"The step",
        {{"step", 's', Kind::value, "STEP", "push-container-image", false, "push-container-image"},
         {"environment", 'e', Kind::value, "ENV", "Environment whose settings are used"},
         {"config", 'c', Kind::words, "PATH", "Files and directories; default psr.yaml"},
         {"step-config", '\0', Kind::words, "KEY=VALUE", "Settings that win over all files"},
         {"dry-run", '\0', Kind::flag, "",
          "Only print the effective settings, one JSON object per sub-step"}}},
       {"Results, beside the step runner's own",
        {{"artifacts", '\0', Kind::value, "FILE",
          "Write the artifacts as a flat JSON object; - is standard output"},
         {"env-file", '\0', Kind::value, "FILE",
          "Write them as CONTAINER_IMAGE_PUSH_DIGEST=… lines for shells and CI systems"},
         {"handover", '\0', Kind::value, "FILE",
          "Write them as configuration for a following psr"}}},
       {"Retrying", std::move(retrying)}},
      0,
      run};
  verb.usage_status = static_cast<int>(step::StepStatus::usage);
  return verb;
}

}  // namespace tug::cli
