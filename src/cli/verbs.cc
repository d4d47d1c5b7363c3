// The tables: every verb, and the flags that verbs share.
#include "cli/copy_verb.h"
#include "cli/delete_verb.h"
#include "cli/help_verbs.h"
#include "cli/inspect_verb.h"
#include "cli/layers_verb.h"
#include "cli/list_tags_verb.h"
#include "cli/login_verb.h"
#include "cli/manifest_digest_verb.h"
#include "cli/options.h"
#include "cli/step_verb.h"
#include "cli/sync_verb.h"

namespace tug::cli {

const std::vector<OptionGroup>& global_options() {
  using Kind = Option::Kind;
  static const std::vector<OptionGroup> groups{
      {"Flags of every verb",
       {{"command-timeout", '\0', Kind::value, "D",
         "Give up after this time, for example 30s or 5m"},
        {"debug", '\0', Kind::flag, "", "Log what is done on standard error; secrets are left out"},
        {"insecure-policy", '\0', Kind::flag, "", "Use no policy.json: accept every image"},
        {"policy", '\0', Kind::value, "FILE", "policy.json to use in place of the default ones"},
        {"override-os", '\0', Kind::value, "OS",
         "Choose images of an index for OS instead of this machine's"},
        {"override-arch", '\0', Kind::value, "ARCH", "The same for the architecture"},
        {"override-variant", '\0', Kind::value, "VARIANT",
         "The same for the architecture's variant"},
        {"registries-conf", '\0', Kind::value, "FILE",
         "registries.conf to use in place of the default ones"},
        {"no-mirrors", '\0', Kind::flag, "",
         "Read from the registry itself, not from its mirrors in registries.conf"},
        {"registries.d", '\0', Kind::value, "DIR", "",
         true},  // signature storage: nothing reads it yet
        // Context refuses these two.
        {"require-signed", '\0', Kind::flag, "", "", true},
        {"tls-details", '\0', Kind::value, "FILE", "", true},
        {"tmpdir", '\0', Kind::value, "DIR",
         "For archives that come from a pipe; default $TMPDIR, else /var/tmp"},
        {"user-agent-prefix", '\0', Kind::value, "TEXT", "Put TEXT in front of the User-Agent"},
        {"help", 'h', Kind::flag, "", "Show help"},
        {"version", 'v', Kind::flag, "", "Show the version"}}}};
  return groups;
}

std::vector<Option> registry_options(const std::string& prefix) {
  using Kind = Option::Kind;
  const auto option = [&](const char* name, Kind kind, const char* value_name, const char* help) {
    return Option{prefix + name, '\0', kind, value_name, help, false};
  };
  return {
      option("authfile", Kind::value, "FILE", "Credentials file: then the only one read"),
      option("creds", Kind::value, "USER[:PASS]", "Credentials"),
      option("username", Kind::value, "USER", "User name, with the password flag"),
      option("password", Kind::value, "PASS", "Password, with the user name flag"),
      option("registry-token", Kind::value, "TOKEN", "Bearer token, sent as it is"),
      option("no-creds", Kind::flag, "", "Access the registry anonymously"),
      option("cert-dir", Kind::value, "DIR",
             "CA certificates (*.crt), client certificates (*.cert, *.key)"),
      option("tls-verify", Kind::optional_bool, "",
             "=false: accept any certificate, and plain http"),
      option("shared-blob-dir", Kind::value, "DIR",
             "Blobs of oci: layouts are in DIR/ALGORITHM/HEX"),
  };
}

Option daemon_option(const std::string& name) {
  return {name, '\0', Option::Kind::value, "URL",
          "docker-daemon: where it listens; default unix:///var/run/docker.sock"};
}

std::vector<Option> retry_options() {
  using Kind = Option::Kind;
  return {{"retry-times", '\0', Kind::value, "N",
           "Tries of each operation beyond the first; default 3 (a 429 is waited for in any case)"},
          {"retry-delay", '\0', Kind::value, "D",
           "Fixed delay between tries; default exponential with jitter"}};
}

const std::vector<Verb>& verbs() {
  static const std::vector<Verb> table{copy_verb(),   inspect_verb(),    list_tags_verb(),
                                       delete_verb(), sync_verb(),       manifest_digest_verb(),
                                       layers_verb(), login_verb(),      logout_verb(),
                                       step_verb(),   completion_verb(), generate_docs_verb()};
  return table;
}

}  // namespace tug::cli
