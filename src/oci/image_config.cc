#include "oci/image_config.h"

#include "base/strings.h"
#include "oci/descriptor_json.h"
#include "oci/json.h"

#include <tug/error.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <map>
#include <optional>
#include <utility>

namespace tug {
namespace {

// Of Docker's own members, those that a container is run by.
constexpr std::array<std::string_view, 4> kLostMembers{"Healthcheck", "OnBuild", "Shell",
                                                       "StopTimeout"};

[[noreturn]] void fail(std::string_view where, std::string_view problem) {
  throw Error(ErrorKind::integrity, fmt::format("{} {}", where, problem));
}

const Json* present(const Json& object, std::string_view key) noexcept {
  const Json* member = object.find(key);
  return member == nullptr || member->is_null() ? nullptr : member;
}

bool is_empty(const Json& json) noexcept {
  if (const auto* text = json.as_string()) return text->empty();
  if (const auto* items = json.as_array()) return items->empty();
  if (const auto* members = json.as_object()) return members->empty();
  return json.is_null();
}

bool is_digits(std::string_view text) noexcept {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// The number of exactly `width` digits at `at`, within limits.
std::optional<unsigned> number_at(std::string_view text, std::size_t at, std::size_t width,
                                  unsigned low, unsigned high) {
  if (text.size() < at + width || !is_digits(text.substr(at, width))) return std::nullopt;
  const auto number = static_cast<unsigned>(*parse_uint(text.substr(at, width)));
  return number >= low && number <= high ? std::optional(number) : std::nullopt;
}

unsigned days_of_month(unsigned year, unsigned month) noexcept {
  constexpr std::array<unsigned, 12> kDays{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return month == 2 && is_leap ? 29 : kDays.at(month - 1);
}

}  // namespace

std::optional<std::string> go_time(std::string_view text) {
  const auto year = number_at(text, 0, 4, 0, 9999);
  const auto month = number_at(text, 5, 2, 1, 12);
  const auto day = number_at(text, 8, 2, 1, 31);
  if (!year || !month || !day || *day > days_of_month(*year, *month)) return std::nullopt;
  if (text[4] != '-' || text[7] != '-' || text.size() < 20 || text[10] != 'T') return std::nullopt;
  if (!number_at(text, 11, 2, 0, 23) || !number_at(text, 14, 2, 0, 59) ||
      !number_at(text, 17, 2, 0, 59) || text[13] != ':' || text[16] != ':')
    return std::nullopt;
  std::string result(text.substr(0, 19));
  std::string_view rest = text.substr(19);
  if (rest.front() == '.' || rest.front() == ',') {
    const std::size_t end = std::min(rest.find_first_not_of("0123456789", 1), rest.size());
    std::string_view fraction = rest.substr(1, end - 1);
    if (fraction.empty()) return std::nullopt;
    fraction = fraction.substr(0, 9);
    fraction = fraction.substr(0, fraction.find_last_not_of('0') + 1);
    if (!fraction.empty()) result += "." + std::string(fraction);
    rest.remove_prefix(end);
  }
  if (rest == "Z") return result + "Z";
  if (rest.size() != 6 || (rest[0] != '+' && rest[0] != '-') || rest[3] != ':') return std::nullopt;
  const auto hours = number_at(rest, 1, 2, 0, 23);
  const auto minutes = number_at(rest, 4, 2, 0, 59);
  if (!hours || !minutes) return std::nullopt;
  return result + (*hours == 0 && *minutes == 0 ? "Z" : std::string(rest));
}

namespace {

// Copies members out of a JSON object as Go does that reads it into a structure and writes that: a
// member that is absent, null or empty is left out, and what has another type is refused.
class Members {
 public:
  Members(const Json& from, std::string where) : from_(from), where_(std::move(where)) {
    if (!from_.is_object()) fail(where_, "is not an object");
  }

  void refuse_variants(std::initializer_list<std::string_view> known) const {
    refuse_case_variants(from_, known, where_ + ": ");
  }

  void text(std::string_view key) {
    if (std::string value = text_of(key); !value.empty()) to_.set(key, std::move(value));
  }
  // Go's structure has it without "omitempty".
  void text_always(std::string_view key) { to_.set(key, text_of(key)); }

  void time(std::string_view key) {
    const Json* member = present(from_, key);
    if (member == nullptr) return;
    const std::string* text = member->as_string();
    const auto time = text == nullptr ? std::nullopt : go_time(*text);
    if (!time) fail(place(key), "is not a time (RFC 3339)");
    to_.set(key, *time);
  }

  void flag(std::string_view key) {
    const Json* member = present(from_, key);
    if (member == nullptr) return;
    const auto value = member->as_bool();
    if (!value) fail(place(key), "is neither true nor false");
    if (*value) to_.set(key, true);
  }

  void texts(std::string_view key) {
    if (Json list = texts_of(key); !is_empty(list)) to_.set(key, std::move(list));
  }
  void texts_always(std::string_view key) { to_.set(key, texts_of(key)); }

  // A set of names, which is {"name":{}} in JSON.
  void names(std::string_view key) {
    map(key, [](const Json&, const std::string&) { return Json::object(); });
  }
  void text_map(std::string_view key) {
    map(key, [](const Json& value, const std::string& where) {
      if (value.is_null()) return Json("");
      if (value.as_string() == nullptr) fail(where, "is not a string");
      return value;
    });
  }

  [[nodiscard]] Json take() { return std::move(to_); }

 private:
  [[nodiscard]] std::string place(std::string_view key) const {
    return fmt::format("{}.{}", where_, key);
  }

  [[nodiscard]] std::string text_of(std::string_view key) const {
    const Json* member = present(from_, key);
    if (member == nullptr) return {};
    const std::string* text = member->as_string();
    if (text == nullptr) fail(place(key), "is not a string");
    return *text;
  }

  // null when there is none.
  [[nodiscard]] Json texts_of(std::string_view key) const {
    const Json* member = present(from_, key);
    if (member == nullptr) return {};
    const Json::Array* items = member->as_array();
    if (items == nullptr) fail(place(key), "is not a list");
    Json::Array result;
    for (const Json& item : *items) {
      if (!item.is_null() && item.as_string() == nullptr)
        fail(place(key), "holds something that is not a string");
      result.push_back(item.is_null() ? Json("") : item);
    }
    return result;
  }

  // Go writes the keys of a map in order.
  template <typename Convert>
  void map(std::string_view key, Convert convert) {
    const Json* member = present(from_, key);
    if (member == nullptr) return;
    const Json::Object* members = member->as_object();
    if (members == nullptr) fail(place(key), "is not an object");
    std::map<std::string, Json> sorted;
    for (const auto& [name, value] : *members) sorted.emplace(name, convert(value, place(key)));
    if (sorted.empty()) return;
    to_.set(key, Json::Object(sorted.begin(), sorted.end()));
  }

  const Json& from_;
  const std::string where_;
  Json to_ = Json::object();
};

Json run_config(const Json& document) {
  const Json* config = present(document, "config");
  if (config == nullptr) return Json::object();
  Members members(*config, "config");
  members.refuse_variants({"User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes",
                           "WorkingDir", "Labels", "StopSignal", "ArgsEscaped"});
  members.text("User");
  members.names("ExposedPorts");
  members.texts("Env");
  members.texts("Entrypoint");
  members.texts("Cmd");
  members.names("Volumes");
  members.text("WorkingDir");
  members.text_map("Labels");
  members.text("StopSignal");
  members.flag("ArgsEscaped");
  return members.take();
}

Json rootfs(const Json& document) {
  const Json empty = Json::object();
  const Json* rootfs = present(document, "rootfs");
  Members members(rootfs == nullptr ? empty : *rootfs, "rootfs");
  members.refuse_variants({"type", "diff_ids"});
  members.text_always("type");
  members.texts_always("diff_ids");
  return members.take();
}

Json history(const Json& entries) {
  const Json::Array* items = entries.as_array();
  if (items == nullptr) fail("history", "is not a list");
  Json::Array result;
  for (const Json& entry : *items) {
    const Json empty = Json::object();
    Members members(entry.is_null() ? empty : entry, fmt::format("history[{}]", result.size()));
    members.time("created");
    members.text("created_by");
    members.text("author");
    members.text("comment");
    members.flag("empty_layer");
    result.push_back(members.take());
  }
  return result;
}

Json parse_config(std::string_view bytes) {
  Json document = Json::parse(bytes);
  if (!document.is_object()) fail("it", "is not a JSON object");
  return document;
}

OciConfig convert(std::string_view docker) {
  const Json document = parse_config(docker);
  Members members(document, "it");
  members.refuse_variants({"created", "author", "architecture", "variant", "os", "os.version",
                           "os.features", "config", "rootfs", "history"});
  members.time("created");
  members.text("author");
  members.text_always("architecture");
  members.text("variant");
  members.text_always("os");
  members.text("os.version");
  members.texts("os.features");
  Json result = members.take();
  result.set("config", run_config(document));
  result.set("rootfs", rootfs(document));
  if (const Json* entries = present(document, "history"); entries != nullptr) {
    if (Json list = history(*entries); !is_empty(list)) result.set("history", std::move(list));
  }
  OciConfig converted{result.dump({.escape_html = true}), {}};
  if (const Json* config = present(document, "config"); config != nullptr) {
    for (const std::string_view name : kLostMembers) {
      const Json* member = config->find(name);
      if (member != nullptr && !is_empty(*member)) converted.lost.emplace_back(name);
    }
  }
  return converted;
}

}  // namespace

OciConfig oci_config(std::string_view docker) {
  return with_context("the image's configuration", [&] { return convert(docker); });
}

Platform platform_of_config(std::string_view config) {
  return with_context("the image's configuration", [&]() -> Platform {
    const Json document = parse_config(config);
    Platform platform{document.string_or_empty("os"),
                      document.string_or_empty("architecture"),
                      document.string_or_empty("variant"),
                      document.string_or_empty("os.version"),
                      {}};
    if (platform.os.empty() || platform.architecture.empty()) fail("it", "names no platform");
    return platform;
  });
}

void require_same_layers(std::size_t in_config, std::size_t in_manifest) {
  if (in_config == in_manifest) return;
  throw Error(ErrorKind::integrity, "the config lists " + counted(in_config, "layer") +
                                        ", the manifest " + std::to_string(in_manifest));
}

std::vector<Digest> diff_ids_of(const Json& config) {
  std::vector<Digest> result;
  const Json* rootfs = config.find("rootfs");
  const Json* ids = rootfs == nullptr ? nullptr : rootfs->find("diff_ids");
  if (ids == nullptr || ids->is_null()) return result;
  if (ids->as_array() == nullptr)
    throw Error(ErrorKind::integrity, "rootfs: diff_ids is not a list");
  for (const Json& id : *ids->as_array()) {
    if (!id.is_string())
      throw Error(ErrorKind::integrity, "rootfs: a member of diff_ids is not a string");
    const auto digest = Digest::try_parse(*id.as_string());
    if (!digest) {
      throw Error(ErrorKind::integrity,
                  "\"" + printable(*id.as_string(), 100) + "\" is no digest of a layer");
    }
    result.push_back(*digest);
  }
  return result;
}

}  // namespace tug
