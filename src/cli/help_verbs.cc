#include "cli/help_verbs.h"

#include "base/fd.h"
#include "base/strings.h"
#include "cli/completions.h"
#include "cli/context.h"
#include "cli/man_page.h"
#include "cli/output.h"

#include <tug/error.h>

#include <fmt/format.h>

#include <cstdlib>

namespace tug::cli {
namespace {

int print_completion(Context& context, const Arguments& arguments) {
  const std::string& shell = arguments.positional()[0];
  if (shell == "bash") {
    write_stdout(bash_completion(verbs(), context.program()));
  } else if (shell == "zsh") {
    write_stdout(zsh_completion(verbs(), context.program()));
  } else if (shell == "fish") {
    write_stdout(fish_completion(verbs(), context.program()));
  } else {
    throw Error(ErrorKind::usage,
                fmt::format("there is no completion for \"{}\"", printable(shell, 40)))
        .set_hint("bash, zsh and fish have one");
  }
  return EXIT_SUCCESS;
}

void write_page(const std::string& directory, const std::string& name, const std::string& text) {
  make_directories(directory, 0777);
  write_output_file(directory + "/" + name, text);
}

// Below DIR as below /usr/share.
int generate_docs(Context& context, const Arguments& arguments) {
  const std::string& share = arguments.positional()[0];
  const std::string program(context.program());
  write_page(share + "/man/man1", program + ".1", man_page(verbs(), program));
  for (const Verb& verb : shown_verbs(verbs())) {
    write_page(share + "/man/man1", fmt::format("{}-{}.1", program, verb.name),
               man_page(verb, program));
  }
  write_page(share + "/bash-completion/completions", program, bash_completion(verbs(), program));
  write_page(share + "/zsh/site-functions", "_" + program, zsh_completion(verbs(), program));
  write_page(share + "/fish/vendor_completions.d", program + ".fish",
             fish_completion(verbs(), program));
  return EXIT_SUCCESS;
}

}  // namespace

Verb completion_verb() {
  return {
      "completion",
      "bash|zsh|fish",
      "Print the completion script for a shell",
      "Packages install it; by hand, for bash:\n  source <(tug completion bash)",
      {{"Completions", {{"no-descriptions", '\0', Option::Kind::flag, "", "", true}}}},  // skopeo's
      1,
      print_completion};
}

Verb generate_docs_verb() {
  Verb verb{"generate-docs",  "DIR", "Write manual pages and completions below DIR",
            "For the build.", {},    1,
            generate_docs};
  verb.hidden = true;
  return verb;
}

}  // namespace tug::cli
