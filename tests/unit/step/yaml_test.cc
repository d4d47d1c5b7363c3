// What the reader refuses, what it keeps, and what the writer's lines look like. That both agree
// with PyYAML is shown by yaml_test.py.
#include "step/yaml.h"

#include "step/yaml_writer.h"
#include "support/error_of.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace tug;
using namespace tug::step;
using tug::test::check_error;

namespace {

Value parse(const std::string& text) { return parse_document(text, "psr.yaml"); }
std::string repeat(const std::string& text, std::size_t times) {
  std::string result;
  for (std::size_t i = 0; i < times; ++i) result += text;
  return result;
}

}  // namespace

TEST_CASE("unquoted scalars are typed as YAML 1.1 types them") {
  struct Case {
    std::string text, repr;
  };
  for (const Case& c : std::vector<Case>{{"yes", "True"},
                                         {"Off", "False"},
                                         {"y", "'y'"},
                                         {"010", "8"},
                                         {"0x1F", "31"},
                                         {"0b11", "3"},
                                         {"1_000", "1000"},
                                         {"22:30", "1350"},
                                         {"1.10", "1.1"},
                                         {"", "None"},
                                         {"~", "None"},
                                         {"null", "None"},
                                         {"1e3", "'1e3'"},
                                         {"1.2.3", "'1.2.3'"},
                                         {"1.0-69442c8", "'1.0-69442c8'"},
                                         {"08", "'08'"},
                                         {"6944208", "6944208"},
                                         {"'1.10'", "'1.10'"},
                                         {"\"yes\"", "'yes'"},
                                         {"!!str 1.10", "'1.10'"},
                                         {".inf", "inf"},
                                         {"1:30.5", "90.5"},
                                         {"-0x10", "-16"}}) {
    CAPTURE(c.text);
    CHECK(parse("k: " + c.text + "\n").find("k")->repr() == c.repr);
  }
  CHECK(parse("k: 2024-01-02\n").find("k")->type() == Value::Type::date);
}

TEST_CASE("a typed scalar keeps its text, a quoted one has none to keep") {
  CHECK(parse("k: 1.10\n").find("k")->written() == "1.10");
  CHECK(parse("k: 0123\n").find("k")->written() == "0123");
  CHECK(parse(R"({"k": 1.10})").find("k")->written() == "1.10");
  CHECK(parse("k: '1.10'\n").find("k")->written().empty());
  CHECK(parse("k: text\n").find("k")->written().empty());
}

TEST_CASE("JSON comes first, then YAML") {
  CHECK(parse(R"({"a": 1e3})").repr() == "{'a': 1000.0}");
  CHECK(parse("{a: 1e3}").repr() == "{'a': '1e3'}");
  CHECK(parse("{\n\t\"a\": [true]\n}").repr() == "{'a': [True]}");
  CHECK(parse(R"({"a": 1, "a": 2})").repr() == "{'a': 2}");
}

TEST_CASE("anchors, aliases and merge keys") {
  CHECK(parse("a: &x [1]\nb: *x\n").repr() == "{'a': [1], 'b': [1]}");
  CHECK(parse("d: &d {a: 1, b: 2}\ne: {<<: *d, b: 3}\n").find("e")->repr() == "{'a': 1, 'b': 3}");
  CHECK(parse("a: &x {k: [v]}\nb: *x\n").find("b")->find("k")->where() == "b.k in psr.yaml");
}

TEST_CASE("what is not a configuration is refused, with its place") {
  struct Case {
    std::string text, says;
  };
  for (const Case& c :
       std::vector<Case>{{"a: b: c\n", "psr.yaml: line 1, column 5: "},
                         {"a: [b\n", "psr.yaml: line "},
                         {"a: 'b\nc: d\n", "psr.yaml: line "},
                         {"a: *x\n", "psr.yaml: line 1"},
                         {"a: &x 1\nb: &x 2\n", "line 2, column 4: duplicate anchor"},
                         {"a: &x [*x]\n", "an alias inside the value"},
                         {"a: 1\n---\nb: 2\n", "more than one document"},
                         {"[a]: b\n", "cannot be a key"},
                         {"<<: 3\n", "<< takes a mapping"},
                         {"a: !python/object:os.system x\n", "the tag"},
                         {"a: !!binary aGk=\n", "the tag"},
                         {"a: !!int x\n", "line 1, column 4: 'x' is no integer"},
                         {"a: " + std::string(5000, '9') + "\n", "too many digits"},
                         {"a: \xff\n", "line 1: not UTF-8"},
                         {"a: 1\nb: \x01\n", "line 2: a control character"},
                         {std::string("a\0b", 3), "a control character"},
                         {"a: \xc2\x9b\n", "a control character"},
                         {repeat("[", 100) + repeat("]", 100), "nested too deeply"},
                         {repeat("{a: ", 100) + "b" + repeat("}", 100), "nested too deeply"},
                         {repeat("- ", 10000), "deep"},
                         {"a: " + std::string(kMaxDocumentBytes, 'x'), "larger than"}}) {
    CAPTURE(c.says);
    check_error(ErrorKind::usage, c.says, [&] { parse(c.text); });
  }
}

TEST_CASE("aliases do not explode") {
  std::string values = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 20; ++i) {
    const std::string last = "*a" + std::to_string(i - 1);
    values += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + repeat(last + ", ", 9) +
              last + "]\n";
  }
  check_error(ErrorKind::usage, "with aliases written out", [&] { parse(values); });
  const std::string bytes =
      "a: &a " + std::string(1'000'000, 'x') + "\nb: [" + repeat("*a, ", 100) + "]\n";
  check_error(ErrorKind::usage, "with aliases written out", [&] { parse(bytes); });
  std::string deep = "a0: &a0 [x]\n";
  for (int i = 1; i < 100; ++i)
    deep += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [*a" + std::to_string(i - 1) +
            "]\n";
  check_error(ErrorKind::usage, "nested too deeply", [&] { parse(deep); });
}

TEST_CASE("a scalar of a megabyte is read, quickly") {
  const std::string text(1'000'000, 'x');
  CHECK(parse("a: " + text + "\n").find("a")->str() == text);
  CHECK(parse("a: '" + text + "'\n").find("a")->str() == text);
  CHECK(parse("a: |\n  " + text + "\n").find("a")->str() == text + "\n");
}

TEST_CASE("every beginning of a document is read or refused") {
  const std::string text =
      "# c\na: &x {b: [1.10, 'q', \"d\\n\"], <<: {z: 1}}\nc: *x\nd: |\n  l\n  m\ne: !!str 1\n? "
      "f\n: g\n";
  for (std::size_t length = 0; length <= text.size(); ++length) {
    try {
      parse(text.substr(0, length));
    } catch (const Error& error) {
      CHECK(to_string(error.kind()) == "usage");
    }
  }
}

TEST_CASE("results are written as PyYAML writes them") {
  const Value artifact =
      Value::map({{"name", "container-image-push-tag"},
                  {"value", "1.0-69442c8"},
                  {"description", "Container image tag container image was pushed to."}});
  const Value value = Value::map(
      {{"step-runner-results",
        Value::map(
            {{"push-container-image",
              Value::map({{"Skopeo", Value::map({{"success", true},
                                                 {"sub-step-implementer-name", "Skopeo"},
                                                 {"message", ""},
                                                 {"evidence", Value::list()},
                                                 {"artifacts", Value::list({artifact})}})}})}})}});
  CHECK(write_yaml(value) == R"(step-runner-results:
    push-container-image:
        Skopeo:
            artifacts:
            -   description: Container image tag container image was pushed to.
                name: container-image-push-tag
                value: 1.0-69442c8
            evidence: []
            message: ''
            sub-step-implementer-name: Skopeo
            success: true
)");
  CHECK(write_yaml(Value::map({{"a", "1.10"}, {"b", 1.1}, {"c", "yes"}, {"d", "2024-01-02"}})) ==
        "a: '1.10'\nb: 1.1\nc: 'yes'\nd: '2024-01-02'\n");
  CHECK(write_yaml("\xff") == "\"\\uFFFD\"\n");
}
