#include "cli/sync_config.h"

#include "base/strings.h"
#include "step/value.h"
#include "step/yaml.h"

#include <tug/error.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace tug::cli {
namespace {

using step::Value;

static_assert(kMaxSyncConfigBytes == step::kMaxDocumentBytes);

constexpr std::string_view kImages = "images";
constexpr std::string_view kByRegex = "images-by-tag-regex";
constexpr std::string_view kBySemver = "images-by-semver";
constexpr std::array kKeys{kImages,
                           kByRegex,
                           kBySemver,
                           std::string_view("credentials"),
                           std::string_view("tls-verify"),
                           std::string_view("cert-dir")};

// Values may be secret, and are not shown.
[[noreturn]] void fail(const Value& value, std::string_view wanted) {
  throw Error(ErrorKind::usage, fmt::format("{}: must be {}, not {}", printable(value.where()),
                                            wanted, value.type_name()));
}

const Value::Map& mapping(const Value& value) {
  if (const Value::Map* map = value.as_map()) return *map;
  fail(value, "a mapping");
}

// As Go's yaml reads a scalar into a string: tags such as 1.10 need no quotes.
std::string text_of(const Value& value) {
  if (const std::string* text = value.as_string()) return *text;
  const bool is_scalar = !value.is_null() && !value.is_list() && !value.is_map();
  if (!is_scalar) fail(value, "text");
  return value.written().empty() ? value.str() : value.written();
}

SyncRepository listed_repository(const std::string& name, const Value& images) {
  SyncRepository repository{name, SyncRepository::Selection::all_tags};
  if (!images.is_null()) {
    const Value::List* list = images.as_list();
    if (list == nullptr) fail(images, "a list of tags and digests");
    for (const Value& image : *list) repository.images.push_back(text_of(image));
  }
  if (!repository.images.empty()) repository.selection = SyncRepository::Selection::listed;
  return repository;
}

void read_repositories(const Value& registry, std::string_view key, SyncRegistry& result) {
  const Value* collection = registry.find(key);
  if (collection == nullptr || collection->is_null()) return;
  for (const auto& [name, value] : mapping(*collection)) {
    SyncRepository repository =
        key == kImages
            ? listed_repository(text_of(name), value)
            : SyncRepository{.name = text_of(name),
                             .selection = key == kByRegex ? SyncRepository::Selection::by_regex
                                                          : SyncRepository::Selection::by_semver,
                             .filter = text_of(value)};
    repository.where = printable(value.where());
    result.repositories.push_back(std::move(repository));
  }
}

std::optional<std::pair<std::string, Secret>> read_credentials(const Value& value) {
  std::string username;
  std::string password;
  for (const auto& [key, text] : mapping(value)) {
    if (text.is_null()) continue;
    if (key == Value("username")) username = text_of(text);
    if (key == Value("password")) password = text_of(text);
  }
  if (username.empty() && password.empty()) return std::nullopt;
  if (username.empty() || username.find(':') != std::string::npos) {
    throw Error(ErrorKind::usage,
                fmt::format("{}: the user name must not be empty or contain a colon",
                            printable(value.where())));
  }
  return std::pair(std::move(username), Secret(std::move(password)));
}

SyncRegistry read_registry(const std::string& name, const Value& value,
                           std::vector<std::string>& notes) {
  SyncRegistry registry{name};
  if (value.is_null()) return registry;
  const std::vector<std::string> known(kKeys.begin(), kKeys.end());
  for (const auto& [key, content] : mapping(value)) {
    const std::string text = text_of(key);
    if (std::find(known.begin(), known.end(), text) != known.end()) continue;
    const std::string near = nearest(text, known);
    notes.push_back(fmt::format("{}: no such key, left out{}", printable(content.where()),
                                near.empty() ? "" : fmt::format(" (did you mean {}?)", near)));
  }
  for (const std::string_view key : {kImages, kByRegex, kBySemver})
    read_repositories(value, key, registry);
  if (const Value* credentials = value.find("credentials"); credentials && !credentials->is_null())
    registry.credentials = read_credentials(*credentials);
  if (const Value* verify = value.find("tls-verify"); verify && !verify->is_null()) {
    registry.tls_verify = verify->as_bool();
    if (!registry.tls_verify) fail(*verify, "true or false");
  }
  if (const Value* directory = value.find("cert-dir"); directory && !directory->is_null()) {
    std::string path = text_of(*directory);
    if (!path.empty()) registry.cert_dir = std::move(path);
  }
  return registry;
}

}  // namespace

SyncConfig parse_sync_config(std::string_view text, const std::string& file) {
  const Value document = step::parse_document(text, file);
  SyncConfig config;
  if (document.is_null()) return config;
  if (!document.is_map()) {
    throw Error(ErrorKind::usage, fmt::format("{}: must be a mapping of registries, not {}",
                                              printable(file), document.type_name()));
  }
  for (const auto& [name, value] : mapping(document))
    config.registries.push_back(read_registry(text_of(name), value, config.notes));
  return config;
}

}  // namespace tug::cli
