#include "cli/options.h"

#include "support/error_of.h"

#include <tug/error.h>

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <vector>

using namespace tug;
using namespace tug::cli;
using test::check_error;
using test::error_of;

// The real ones are beside the table of all verbs, which would bring the whole program in here.
const std::vector<OptionGroup>& tug::cli::global_options() {
  static const std::vector<OptionGroup> none;
  return none;
}

namespace {

using Strings = std::vector<std::string>;
using Kind = Option::Kind;

Arguments parsed(const Strings& words) {
  static const std::vector<OptionGroup> groups{{"Flags",
                                                {{"all", 'a', Kind::flag, "", ""},
                                                 {"quiet", 'q', Kind::flag, "", ""},
                                                 {"tls-verify", '\0', Kind::optional_bool, "", ""},
                                                 {"format", 'f', Kind::value, "TEMPLATE", ""},
                                                 {"password", 'p', Kind::value, "PASS", ""},
                                                 {"retry-times", '\0', Kind::value, "N", ""},
                                                 {"registries.d", '\0', Kind::value, "DIR", ""},
                                                 {"additional-tag", 't', Kind::list, "TAG", ""},
                                                 {"config", 'c', Kind::words, "PATH", ""}}}};
  return parse_arguments(groups, words);
}

}  // namespace

TEST_CASE("short flags are read as pflag reads them") {
  struct Case {
    Strings words;
    std::string format;
    bool quiet;
  };
  for (const Case& each : {Case{{"-f", "json"}, "json", false},
                           {{"-fjson"}, "json", false},
                           {{"-f=json"}, "json", false},
                           {{"-f", "{{.Os}}"}, "{{.Os}}", false},
                           {{"-f={{.Os}}"}, "{{.Os}}", false},
                           {{"-f{{.Os}}"}, "{{.Os}}", false},
                           {{"-f=a=b"}, "a=b", false},
                           {{"-f=="}, "=", false},
                           {{"-f="}, "=", false},
                           {{"-f", "-q"}, "-q", false},
                           {{"-qf", "T"}, "T", true},
                           {{"-qfT"}, "T", true},
                           {{"-aqf=T"}, "T", true},
                           {{"-q=true", "-fT"}, "T", true},
                           {{"-q=false", "-fT"}, "T", false},
                           {{"-aq=0", "-fT"}, "T", false}}) {
    CAPTURE(each.words);
    const Arguments arguments = parsed(each.words);
    CHECK(arguments.value("format") == each.format);
    CHECK(arguments.flag("quiet") == each.quiet);
    CHECK(arguments.positional().empty());
  }
}

TEST_CASE("of an unknown short flag only the letter is shown") {
  for (const Strings& words :
       {Strings{"-xsecr!et"}, {"-xsecret"}, {"-x=secret"}, {"-qxsecret"}, {"-x", "secret"}}) {
    const Error error = error_of([&] { (void)parsed(words); });
    CHECK(error.kind() == ErrorKind::usage);
    CHECK(error.message() == "unknown flag: -x");
  }
  check_error(ErrorKind::usage, "unknown flag: -", [] { (void)parsed({"-q="}); });
  CHECK(parsed({"-psecr!et"}).value("password") == "secr!et");
}

TEST_CASE("a flag without its value is named as it was given") {
  check_error(ErrorKind::usage, "flag needs an argument: -f", [] { (void)parsed({"-qf"}); });
  check_error(ErrorKind::usage, "flag needs an argument: --format", [] {
    (void)parsed({"a", "--format"});
  });
}

TEST_CASE("a flag of many words takes them up to the next flag") {
  for (const Strings& words :
       {Strings{"-c", "a", "b"}, {"-ca", "b"}, {"-c=a", "b"}, {"--config=a", "b"}}) {
    CAPTURE(words);
    CHECK(parsed(words).list("config") == Strings{"a", "b"});
  }
  const Arguments arguments = parsed({"-c", "a", "-q", "argument"});
  CHECK(arguments.list("config") == Strings{"a"});
  CHECK(arguments.positional() == Strings{"argument"});
}

TEST_CASE("a name may have a dot") {
  CHECK(parsed({"--registries.d", "d"}).value("registries.d") == "d");
  CHECK(parsed({"a", "--registries.d=d", "b"}).value("registries.d") == "d");
  check_error(ErrorKind::usage, "unknown flag: --registries_d",
              [] { (void)parsed({"--registries_d=d"}); });
}

TEST_CASE("options and arguments are mixed, to a double dash") {
  const Arguments arguments = parsed({"a", "-q", "-", "--format", "b,c", "d,e", "--", "-f", "--"});
  CHECK(arguments.positional() == Strings{"a", "-", "d,e", "-f", "--"});
  CHECK(arguments.value("format") == "b,c");
}

TEST_CASE("an empty value is none") {
  const Arguments arguments = parsed({"--format=x", "--format=", "-p", "",
                                      "--additional-tag=", "--retry-times=", "--tls-verify="});
  for (const char* name : {"format", "password", "additional-tag"}) {
    CAPTURE(name);
    CHECK_FALSE(arguments.has(name));
    CHECK(arguments.value(name) == std::nullopt);
  }
  CHECK(arguments.text("format") == "");
  CHECK(arguments.list("additional-tag").empty());
  CHECK(parsed({"--additional-tag=a,b", "--additional-tag="}).list("additional-tag") ==
        Strings{"a", "b"});
  SUBCASE("but not for numbers and booleans, which skopeo refuses then") {
    check_error(ErrorKind::usage, "--retry-times",
                [&] { (void)arguments.integer("retry-times", 0, 9); });
    check_error(ErrorKind::usage, "--tls-verify",
                [&] { (void)arguments.optional_bool("tls-verify"); });
  }
}
