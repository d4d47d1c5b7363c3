#include "cli/program.h"

#include "cli/buildah_verbs.h"
#include "cli/login_verb.h"
#include "cli/output.h"

namespace tug::cli {
namespace {

// The skopeo and buildah whose command lines these are (cli-surface.md, step-contract.md): scripts
// compare the first number.
constexpr const char* kSkopeoVersion = "1.9.3";
constexpr const char* kBuildahVersion = "1.28.2";

void report_fatal(std::string_view message) noexcept { log_line(Level::fatal, message); }

void report_as_buildah(std::string_view message) noexcept {
  try {
    write_stderr_line("Error: " + std::string(message));
  } catch (...) {  // out of memory: the exit status says it
  }
}

const std::vector<Verb>& buildah_verbs() {
  static const std::vector<Verb> table{login_verb(), logout_verb(), buildah_pull_verb(),
                                       buildah_inspect_verb()};
  return table;
}

}  // namespace

const Program& program_named(std::string_view path) {
  static const Program tug{"tug",        "tug version " TUG_VERSION,         verbs(), 1, 2,
                           report_fatal, "\"tug --help\" lists the commands"};
  static const Program skopeo{
      "skopeo",
      std::string("skopeo version ") + kSkopeoVersion + " (tug " TUG_VERSION ")",
      verbs(),
      1,
      2,
      report_fatal,
      "\"skopeo --help\" lists the commands"};
  static const Program buildah{
      "buildah",
      std::string("buildah version ") + kBuildahVersion + " (tug " TUG_VERSION ")",
      buildah_verbs(),
      125,
      125,
      report_as_buildah,
      "under this name tug does login, logout, pull and inspect alone"};
  const std::string_view name = path.substr(path.rfind('/') + 1);
  return name == "skopeo" ? skopeo : name == "buildah" ? buildah : tug;
}

}  // namespace tug::cli
