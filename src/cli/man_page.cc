#include "cli/man_page.h"

#include "base/strings.h"

#include <fmt/format.h>

#include <cstdint>

namespace tug::cli {
namespace {

struct Described {
  const char* name;
  const char* text;
};

constexpr Described kExitCodes[] = {
    {"0", "Success."},
    {"1", "Any failure but the following."},
    {"2", "The image was not found."},
    {"130, 143", "Ended by SIGINT or SIGTERM."},
};

constexpr Described kEnvironment[] = {
    {"REGISTRY_AUTH_FILE", "The credentials file, in place of the default ones."},
    {"DOCKER_CONFIG", "The directory of docker's config.json, which login then writes."},
    {"SSL_CERT_FILE, SSL_CERT_DIR", "Where CA certificates are, in place of the system's."},
    {"http_proxy, https_proxy, no_proxy", "Proxies, in the usual forms."},
    {"XDG_STATE_HOME", "What broken-off pushes need to go on is kept in tug below it."},
    {"NO_COLOR", "When set: progress without colors."},
    {"TERM", "dumb: progress without bars."},
};

constexpr Described kFiles[] = {
    {"/etc/containers/registries.conf", "Registries that are insecure or blocked."},
    {"/etc/containers/policy.json", "Which images may be copied."},
    {"/etc/containers/certs.d, /etc/docker/certs.d", "CA and client certificates of a registry."},
    {"$XDG_RUNTIME_DIR/containers/auth.json, ~/.docker/config.json", "Logins."},
};

// The code point of the valid UTF-8 character that `text` begins with.
std::uint32_t code_point(std::string_view character) {
  std::uint32_t code = static_cast<unsigned char>(character.front());
  code &= 0xffU >> (character.size() + 1);
  for (const char c : character.substr(1))
    code = code << 6U | (static_cast<unsigned char>(c) & 0x3fU);
  return code;
}

// What roff takes for itself, and what it would print as something else.
std::string escaped_character(char c) {
  switch (c) {
    case '\\':
      return "\\e";
    case '-':
      return "\\-";
    case '"':
      return "\\(dq";
    case '\'':
      return "\\(aq";
    case '`':
      return "\\(ga";
    case '^':
      return "\\(ha";
    case '~':
      return "\\(ti";
    default:
      return {c};
  }
}

// One line of text that is not a request, whatever it begins with.
std::string roff(std::string_view text) {
  std::string result = text.starts_with('.') ? "\\&" : "";
  while (!text.empty()) {
    const std::size_t size = std::max<std::size_t>(utf8_length(text), 1);
    result += size > 1 ? fmt::format("\\[u{:04X}]", code_point(text.substr(0, size)))
                       : escaped_character(text.front());
    text.remove_prefix(size);
  }
  return result;
}

std::string to_upper(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return result;
}

std::string header(std::string_view page, std::string_view summary) {
  return fmt::format(".TH {} 1 \"\" \"tug {}\" \"User Commands\"\n.SH NAME\n{} \\- {}\n",
                     roff(to_upper(page)), TUG_VERSION, roff(page), roff(summary));
}

// Paragraphs; lines that are indented stay as they are.
std::string description(std::string_view text) {
  std::string result = ".SH DESCRIPTION\n";
  bool is_verbatim = false;
  for (const std::string_view line : split(text, '\n')) {
    if (line.starts_with(' ') != is_verbatim) {
      is_verbatim = !is_verbatim;
      result += is_verbatim ? ".PP\n.nf\n" : ".fi\n.PP\n";
    }
    result += roff(line) + "\n";
  }
  return is_verbatim ? result + ".fi\n" : result;
}

std::string option_item(const Option& option) {
  std::string names;
  if (option.short_name != '\0') names = fmt::format("\\fB\\-{}\\fR, ", option.short_name);
  names += "\\fB" + roff("--" + option.name) + "\\fR";
  const std::string value = value_text(option);
  if (!value.empty()) names += (value.front() == '[' ? "" : " ") + ("\\fI" + roff(value) + "\\fR");
  return fmt::format(".TP\n{}\n{}\n", names, roff(option.help));
}

std::string options(const std::vector<OptionGroup>& groups) {
  std::string result = ".SH OPTIONS\n";
  for (const OptionGroup& group : groups) {
    result += fmt::format(".SS {}\n", roff(group.title));
    for (const Option& option : group.options) result += option_item(option);
  }
  return result;
}

template <std::size_t size>
std::string list(const char* title, const Described (&items)[size]) {
  std::string result = fmt::format(".SH {}\n", title);
  for (const Described& item : items)
    result += fmt::format(".TP\n.B {}\n{}\n", roff(item.name), roff(item.text));
  return result;
}

}  // namespace

std::string man_page(const std::vector<Verb>& verbs, std::string_view program) {
  std::string page = header(program, "push and copy container images to registries") +
                     fmt::format(
                         ".SH SYNOPSIS\n\\fB{}\\fR [flags] \\fIVERB\\fR [flags] "
                         "\\fIARGUMENTS\\fR\n",
                         roff(program));
  page += description(
      "Pushes and copies container images to registries, with nothing else installed. Flags,\n"
      "messages and exit codes are skopeo's where skopeo has them.");
  page += ".SH VERBS\n";
  std::string see_also;
  for (const Verb& verb : shown_verbs(verbs)) {
    const std::string name = roff(fmt::format("{}-{}", program, verb.name));
    page += fmt::format(".TP\n\\fB{}\\fR(1)\n{}\n", name, roff(verb.summary));
    see_also += fmt::format(".BR {} (1),\n", name);
  }
  page += options(shown_options(global_options()));
  page += list("EXIT STATUS", kExitCodes) + list("ENVIRONMENT", kEnvironment);
  return page + list("FILES", kFiles) + ".SH SEE ALSO\n" + see_also + ".BR skopeo (1)\n";
}

std::string man_page(const Verb& verb, std::string_view program) {
  const std::string arguments =
      *verb.arguments == '\0' ? "" : fmt::format(" \\fI{}\\fR", roff(verb.arguments));
  return header(fmt::format("{}-{}", program, verb.name), verb.summary) +
         fmt::format(".SH SYNOPSIS\n\\fB{} {}\\fR [flags]{}\n", roff(program), roff(verb.name),
                     arguments) +
         description(verb.description) + options(shown_options(verb)) +
         fmt::format(".SH SEE ALSO\n.BR {} (1)\n", roff(program));
}

}  // namespace tug::cli
