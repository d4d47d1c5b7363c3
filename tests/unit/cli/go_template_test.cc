// Expected outputs that skopeo can make come from skopeo (tests/system/verbs_test.py compares many
// more); here is what needs no program, and the bounds.
#include "cli/go_template.h"

#include "cli/inspect_types.h"
#include "support/error_of.h"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

namespace tug::cli {
namespace {

const Json kImage = Json::parse(R"({
  "Digest": "sha256:abc", "RepoTags": [], "Created": "2023-11-14T22:13:20.5+02:00",
  "Labels": {"b": "2", "a": "1"}, "Architecture": "amd64", "Os": "linux",
  "Layers": ["l1", "l2", "l3"],
  "LayersData": [{"MIMEType": "m", "Digest": "sha256:l1", "Size": 12, "Annotations": null}],
  "Env": null})");

std::string print(std::string_view format) {
  return format_value(format, {&kImage, &inspect_type()});
}

TEST_CASE("templates print what Go prints") {
  struct Case {
    std::string_view format;
    std::string_view expected;
  };
  for (const Case& c : {
           Case{"", "\n"},
           {"{{.Os}}", "linux\n"},
           {"{{.Os}}\n", "linux\n"},
           {R"({{.Os}}\n)", "linux\n"},
           {R"({{.Os}}\t.)", "linux\t.\n"},
           {"{{.Name}}|{{.Env}}|{{.Labels}}", "|[]|map[a:1 b:2]\n"},
           {"{{.LayersData}}", "[{m sha256:l1 12 map[]}]\n"},
           {R"({{printf "%+v" .LayersData}})",
            "[{MIMEType:m Digest:sha256:l1 Size:12 "
            "Annotations:map[]}]\n"},
           {"{{.Created}}", "2023-11-14 22:13:20.5 +0200 +0200\n"},
           {"{{.Created.Unix}}", "1699992800\n"},
           {R"({{.Created.Format "06/1/2 3:4:5PM"}})", "23/11/14 10:13:20PM\n"},
           {R"({{join .Layers ","}})", "l1,l2,l3\n"},
           {"{{json .Labels}}{{json .Env}}{{json .Name}}", R"({"a":"1","b":"2"}null"")"
                                                           "\n"},
           {"{{range $i, $v := .Layers}}{{if $i}},{{end}}{{$i}}={{$v}}{{end}}", "0=l1,1=l2,2=l3\n"},
           {"{{range $k, $v := .Labels}}{{$k}}{{$v}}{{else}}-{{end}}", "a1b2\n"},
           {"{{range .Env}}x{{else}}none{{end}}", "none\n"},
           {"{{range .}}{{.Os}}{{end}}", "linux\n"},
           {"{{range .Layers}}{{if eq . \"l2\"}}{{break}}{{end}}{{.}}{{end}}", "l1\n"},
           {"{{range .Layers}}{{if eq . \"l2\"}}{{continue}}{{end}}{{.}}{{end}}", "l1l3\n"},
           {"{{if .Env}}a{{else if .Os}}b{{else}}c{{end}}", "b\n"},
           {"  {{- .Os -}}  x", "linuxx\n"},
           {"{{/* c */}}a{{- /* d */ -}} b", "ab\n"},
           {"table {{.Os}} {{.Architecture}}", "linux       amd64\n"},
       }) {
    CAPTURE(c.format);
    CHECK(print(c.format) == c.expected);
  }
}

TEST_CASE("columns are as wide as the widest of the cells above each other") {
  CHECK(go_columns("a\tb\na long long cell\tc\nno cell\nd\te\tf\n") ==
        "a                 b\na long long cell  c\nno cell\nd           e           f\n");
  CHECK(go_columns("\t\tx") == std::string(24, ' ') + "x");
  CHECK(go_columns("é\tx") == "é           x");
  test::check_error(ErrorKind::limit, "columns", [] { go_columns(std::string(300, '\t')); });
}

TEST_CASE("JSON is asked for in several ways") {
  for (const char* format : {"json", " json\n", "{{json}}", "{{json .}}", " {{ json  . }} "})
    CHECK(is_json_format(format));
  for (const char* format : {"", "json .", "{{json .Os}}", "{{json .}}x", "x{{json .}}", "{{.}}"})
    CHECK(!is_json_format(format));
}

TEST_CASE("what is not known is refused with its place") {
  test::check_error(ErrorKind::usage, "line 1, column 6: function \"nope\" not defined",
                    [] { print("abc{{nope .}}"); });
  test::check_error(ErrorKind::usage, "line 2, column 3: the function html is not supported",
                    [] { print("a\n{{html .Os}}"); });
  test::check_error(ErrorKind::usage, "did you mean Labels?", [] { print("{{.Label}}"); });
  test::check_error(ErrorKind::usage, "printf: %z", [] { print(R"({{printf "%z" 1}})"); });
  test::check_error(ErrorKind::usage, "no {{end}}", [] { print("{{if .Os}}"); });
}

TEST_CASE("a template cut off anywhere is refused or printed") {
  const std::string whole =
      R"(a {{- range $i, $v := .Layers}}{{if and $i (eq $v "l2")}}{{printf "%3d|%q" $i $v}}{{else}})"
      "{{`raw`}}{{'x'}}{{end}}{{/* c */ -}} {{end}}{{$x := .Os}}{{$x | len}}";
  for (std::size_t length = 0; length <= whole.size(); ++length) {
    try {
      print(whole.substr(0, length));
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::usage);
    }
  }
  CHECK(print(whole) == "araw120  1|\"l2\"raw1205\n");
}

TEST_CASE("depth, steps and memory are bounded") {
  const auto repeated = [](std::string_view text, int count) {
    std::string all;
    for (int i = 0; i < count; ++i) all += text;
    return all;
  };
  for (const std::string& format :
       {repeated("{{if 1}}", 200) + repeated("{{end}}", 200),
        "{{" + repeated("(", 10'000) + "1" + repeated(")", 10'000) + "}}",
        "{{if 0}}" + repeated("{{else if 0}}", 10'000) + "{{end}}",
        repeated("{{range $}}{{range .Layers}}", 20) + "x" + repeated("{{end}}{{end}}", 20),
        R"({{$x := printf "%9999d" 1}})" + repeated("{{$x = print $x $x}}", 40),
        R"({{$x := printf "%9999d" 1}})" + repeated("{{$x}}", 2'000), std::string(300'000, 'x')}) {
    CHECK(test::error_of([&] { print(format); }).kind() == ErrorKind::limit);
  }
}

}  // namespace
}  // namespace tug::cli
