// For yaml_test.py: reads documents that NUL bytes separate from stdin and answers each, followed
// by a NUL byte. "types" prints the value as JSON with types, "rewrite" prints it as YAML; an error
// is
// "!REASON".
#include "step/yaml.h"
#include "step/yaml_writer.h"

#include <tug/error.h>

#include <iostream>
#include <iterator>
#include <string>

using tug::Json;
using tug::step::Value;

namespace {

// ["int", "12"], ["list", […]], ["map", [[key, value], …]].
Json typed(const Value& value) {
  using Type = Value::Type;
  switch (value.type()) {
    case Type::list: {
      Json::Array items;
      for (const Value& item : *value.as_list()) items.push_back(typed(item));
      return Json::array({"list", items});
    }
    case Type::map: {
      Json::Array entries;
      for (const auto& [key, content] : *value.as_map())
        entries.push_back(Json::array({typed(key), typed(content)}));
      return Json::array({"dict", entries});
    }
    case Type::date:
      return Json::array({"date"});
    case Type::null:
      return Json::array({"NoneType", "None"});
    case Type::boolean:
      return Json::array({"bool", value.str()});
    case Type::integer:
      return Json::array({"int", value.str()});
    case Type::real:
      return Json::array({"float", value.str()});
    case Type::string:
      return Json::array({"str", value.str()});
  }
  return nullptr;
}

std::string answer(const std::string& mode, const std::string& document) {
  try {
    const Value value = tug::step::parse_document(document, "f");
    return mode == "types" ? typed(value).dump() : tug::step::write_yaml(value);
  } catch (const tug::Error& error) {
    return std::string("!") + error.what();
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "types";
  for (std::string document; std::getline(std::cin, document, '\0');)
    std::cout << answer(mode, document) << '\0';
  return 0;
}
