#include "registry/registries_conf.h"

#include "base/fd.h"
#include "base/strings.h"
#include "oci/json.h"
#include "oci/toml.h"

#include <tug/error.h>

#include <algorithm>
#include <filesystem>

namespace tug::registry {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxFileBytes = 1024 * 1024;

// ---- TOML --------------------------------------------------------------------------------------

[[noreturn]] void fail(const std::string& path, const std::string& what) {
  throw Error(ErrorKind::usage, path + ": " + what);
}

// Parser and value tree descend as deep as the file does: brackets and dotted keys. What no
// configuration needs is refused before it can overflow the stack.
void check_nesting(std::string_view text, const std::string& path) {
  constexpr std::size_t kMaxBrackets = 32;
  constexpr std::size_t kMaxDotsInLine = 256;
  std::size_t brackets = 0;
  std::size_t dots = 0;
  for (const char c : text) {
    if (c == '[' || c == '{') ++brackets;
    if ((c == ']' || c == '}') && brackets > 0) --brackets;
    dots = c == '\n' ? 0 : dots + (c == '.' ? 1 : 0);
    if (brackets > kMaxBrackets || dots > kMaxDotsInLine) fail(path, "nested too deeply");
  }
}

Json parse(std::string_view text, const std::string& path) {
  if (text.size() > kMaxFileBytes) fail(path, "larger than 1 MiB");
  check_nesting(text, path);
  return parse_toml(text, path);
}

std::string get_string(const Json& table, std::string_view key, const std::string& path) {
  const Json* value = table.find(key);
  if (value == nullptr) return "";
  if (!value->is_string()) fail(path, std::string(key) + " must be a string");
  return *value->as_string();
}

bool get_bool(const Json& table, std::string_view key, const std::string& path) {
  const Json* value = table.find(key);
  if (value == nullptr) return false;
  if (!value->as_bool()) fail(path, std::string(key) + " must be true or false");
  return *value->as_bool();
}

std::optional<std::vector<std::string>> get_strings(const Json& table, std::string_view key,
                                                    const std::string& path) {
  const Json* value = table.find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_array()) fail(path, std::string(key) + " must be a list of strings");
  std::vector<std::string> strings;
  for (const Json& item : *value->as_array()) {
    if (!item.is_string()) fail(path, std::string(key) + " must hold strings only");
    strings.push_back(*item.as_string());
  }
  return strings;
}

// The tables of [[key]].
std::vector<const Json*> get_tables(const Json& table, std::string_view key,
                                    const std::string& path) {
  std::vector<const Json*> tables;
  const Json* value = table.find(key);
  if (value == nullptr) return tables;
  if (!value->is_array()) fail(path, "write [[" + std::string(key) + "]], with two brackets");
  for (const Json& item : *value->as_array()) {
    if (!item.is_object()) fail(path, std::string(key) + " must hold tables only");
    tables.push_back(&item);
  }
  return tables;
}

// ---- entries (2.2) -----------------------------------------------------------------------------

std::string without_trailing_slashes(std::string text) {
  while (text.ends_with('/')) text.pop_back();
  return text;
}

std::string get_location(const Json& table, std::string_view key, const std::string& path) {
  std::string location = get_string(table, key, path);
  if (location.find("://") != std::string::npos) {
    fail(path, std::string(key) + " \"" + location + "\" must not have a scheme such as https://");
  }
  return without_trailing_slashes(std::move(location));
}

Mirror parse_mirror(const Json& table, bool by_digest_only, const std::string& path) {
  Mirror mirror;
  mirror.location = get_location(table, "location", path);
  mirror.insecure = get_bool(table, "insecure", path);
  if (mirror.location.empty()) fail(path, "a mirror without a location");
  if (by_digest_only) mirror.pull = Mirror::Pull::digest_only;
  const std::string pull = get_string(table, "pull-from-mirror", path);
  if (pull.empty()) return mirror;
  if (by_digest_only) fail(path, "pull-from-mirror and mirror-by-digest-only exclude each other");
  if (pull == "digest-only") {
    mirror.pull = Mirror::Pull::digest_only;
  } else if (pull == "tag-only") {
    mirror.pull = Mirror::Pull::tag_only;
  } else if (pull != "all") {
    fail(path, "pull-from-mirror must be all, digest-only or tag-only");
  }
  return mirror;
}

void check_prefix(const std::string& prefix, const std::string& path) {
  if (prefix.empty()) fail(path, "a registry without prefix and location");
  if (prefix.find('*') == std::string::npos) return;
  if (!prefix.starts_with("*.") || prefix.find_first_of("*:/", 1) != std::string::npos) {
    fail(path, "prefix \"" + prefix + "\": a wildcard is *.HOST, without port and path");
  }
}

RegistryEntry parse_entry(const Json& table, const std::string& path) {
  RegistryEntry entry;
  entry.file = path;
  entry.location = get_location(table, "location", path);
  entry.prefix = get_location(table, "prefix", path);
  if (entry.prefix.empty()) entry.prefix = entry.location;
  check_prefix(entry.prefix, path);
  return with_context("registry " + entry.prefix, [&] {
    entry.insecure = get_bool(table, "insecure", path);
    entry.blocked = get_bool(table, "blocked", path);
    const bool by_digest_only = get_bool(table, "mirror-by-digest-only", path);
    for (const Json* mirror : get_tables(table, "mirror", path)) {
      entry.mirrors.push_back(parse_mirror(*mirror, by_digest_only, path));
    }
    return entry;
  });
}

RegistryEntry* find_prefix(std::vector<RegistryEntry>& entries, std::string_view prefix) {
  const auto it = std::find_if(entries.begin(), entries.end(),
                               [&](const RegistryEntry& entry) { return entry.prefix == prefix; });
  return it == entries.end() ? nullptr : &*it;
}

// The same place cannot be trusted in one table and distrusted in another.
void check_conflict(const std::vector<RegistryEntry>& entries, const RegistryEntry& entry) {
  for (const RegistryEntry& other : entries) {
    if (entry.location.empty() || other.location != entry.location) continue;
    if (other.insecure != entry.insecure || other.blocked != entry.blocked) {
      fail(entry.file,
           "location " + entry.location + " has two tables that differ in insecure or blocked");
    }
  }
}

std::vector<RegistryEntry> parse_entries(const Json& root, const std::string& path) {
  std::vector<RegistryEntry> entries;
  for (const Json* table : get_tables(root, "registry", path)) {
    RegistryEntry entry = parse_entry(*table, path);
    check_conflict(entries, entry);
    if (find_prefix(entries, entry.prefix) == nullptr) entries.push_back(std::move(entry));
  }
  return entries;
}

// Version 1: [registries.insecure] and [registries.block] with lists of hosts. (Search lists mean
// nothing for a push, 2.4.)
std::vector<RegistryEntry> convert_v1(const Json& registries, const std::string& path) {
  std::vector<RegistryEntry> entries;
  const auto mark = [&](std::string_view section, bool RegistryEntry::*flag) {
    const Json* table = registries.find(section);
    if (table == nullptr) return;
    if (!table->is_object()) fail(path, "registries." + std::string(section) + " must be a table");
    const auto hosts = get_strings(*table, "registries", path);
    for (const std::string& text : hosts.value_or(std::vector<std::string>{})) {
      const std::string host = without_trailing_slashes(text);
      if (host.empty() || host.find("://") != std::string::npos) {
        fail(path, "\"" + text + "\" is no registry");
      }
      RegistryEntry* entry = find_prefix(entries, host);
      if (entry == nullptr)
        entry = &entries.emplace_back(RegistryEntry{host, host, {}, {}, {}, path});
      entry->*flag = true;
    }
  };
  mark("insecure", &RegistryEntry::insecure);
  mark("block", &RegistryEntry::blocked);
  return entries;
}

const Json* v1_table(const Json& root, const std::string& path) {
  const Json* table = root.find("registries");
  if (table == nullptr) return nullptr;
  if (!table->is_object()) fail(path, "registries must be a table");
  for (const std::string_view key : {"registry", "unqualified-search-registries", "aliases",
                                     "credential-helpers", "short-name-mode"}) {
    if (root.find(key) != nullptr) {
      fail(path, "[registries.…] (version 1) and " + std::string(key) +
                     " (version 2) cannot stand in one file");
    }
  }
  return table;
}

// ---- files (2.1) -------------------------------------------------------------------------------

struct Files {
  std::string main;
  bool main_must_exist = false;
  std::vector<std::string> drop_in_directories;
};

Files find_files(const std::optional<std::string>& named) {
  const std::string system = "/etc/containers/registries.conf";
  const auto home = env_nonempty("HOME");
  const std::string user = home.value_or("") + "/.config/containers/registries.conf";
  auto given = named ? named : env_nonempty("CONTAINERS_REGISTRIES_CONF");
  if (!given) given = env_nonempty("REGISTRIES_CONFIG_PATH");
  std::error_code ignored;
  if (!given && home && fs::exists(user, ignored)) return {user, false, {user + ".d"}};
  Files files{given.value_or(system), given.has_value(), {system + ".d"}};
  if (home) files.drop_in_directories.push_back(user + ".d");
  return files;
}

std::vector<std::string> drop_ins(const std::string& directory) {
  std::vector<std::string> files;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    std::error_code gone;
    if (it->path().extension() == ".conf" && it->is_regular_file(gone)) {
      files.push_back(it->path().string());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

void merge_file(RegistriesConf& conf, const std::string& path, RegistriesConf::Kind kind,
                bool must_exist, const Log& log) {
  const auto text = read_file_if_exists(path, kMaxFileBytes);
  if (!text && must_exist) {
    throw Error(ErrorKind::usage, "the registries configuration " + path + " is not there");
  }
  if (!text) return;
  if (log.enabled()) log.debug("registries.conf: reading " + path);
  conf.merge(*text, path, kind);
}

// ---- matching (2.3) ----------------------------------------------------------------------------

bool wildcard_matches(std::string_view suffix, std::string_view name) {
  const std::string_view host = name.substr(0, name.find_first_of(":/"));
  return host.size() > suffix.size() && host.ends_with(suffix);
}

bool prefix_matches(std::string_view prefix, std::string_view name) {
  if (prefix.starts_with("*.")) return wildcard_matches(prefix.substr(1), name);
  if (prefix.find('/') == std::string_view::npos) return name.substr(0, name.find('/')) == prefix;
  if (!name.starts_with(prefix)) return false;
  return name.size() == prefix.size() ||
         std::string_view("/:@").find(name[prefix.size()]) != std::string_view::npos;
}

const RegistryEntry* longest_match(const std::vector<RegistryEntry>& entries,
                                   std::string_view name) {
  const RegistryEntry* best = nullptr;
  for (const RegistryEntry& entry : entries) {
    if (!prefix_matches(entry.prefix, name)) continue;
    if (best == nullptr || entry.prefix.size() > best->prefix.size()) best = &entry;
  }
  return best;
}

// `name` has the prefix `entry.prefix`: what comes after it.
std::string_view after_prefix(const RegistryEntry& entry, std::string_view name) {
  const bool is_wildcard = entry.prefix.starts_with("*.");
  return name.substr(is_wildcard ? name.find_first_of(":/") : entry.prefix.size());
}

RegistryReference relocated(const RegistryReference& reference, const RegistryEntry& entry,
                            const std::string& location) {
  if (location.empty()) return reference;
  const std::string name = location + std::string(after_prefix(entry, reference.name()));
  const auto refuse = [&](const std::string& why) {
    fail(entry.file, "registry " + entry.prefix + ": " + reference.name() + " would be read from " +
                         printable(name, 300) + ": " + why);
  };
  // Else it would be a repository of Docker Hub.
  if (!is_registry_component(std::string_view(name).substr(0, name.find('/'))))
    refuse("location \"" + location + "\" does not begin with a registry");
  try {
    const RegistryReference there = RegistryReference::parse_repository(name);
    if (reference.digest()) return there.with_digest(*reference.digest());
    return reference.tag() ? there.with_tag(*reference.tag()) : there;
  } catch (const Error& error) {
    refuse(error.message());
    throw;
  }
}

bool serves(const Mirror& mirror, const RegistryReference& reference) {
  switch (mirror.pull) {
    case Mirror::Pull::digest_only:
      return reference.digest().has_value();
    case Mirror::Pull::tag_only:
      return !reference.digest();
    case Mirror::Pull::all:
      break;
  }
  return true;
}

}  // namespace

RegistriesConf RegistriesConf::load(const std::optional<std::string>& named, const Log& log) {
  const Files files = find_files(named);
  RegistriesConf conf;
  merge_file(conf, files.main, Kind::main, files.main_must_exist, log);
  for (const std::string& directory : files.drop_in_directories) {
    for (const std::string& file : drop_ins(directory)) {
      merge_file(conf, file, Kind::drop_in, false, log);
    }
  }
  return conf;
}

void RegistriesConf::merge(std::string_view toml, const std::string& path, Kind kind) {
  const Json root = parse(toml, path);
  std::vector<RegistryEntry> entries;
  if (const Json* v1 = v1_table(root, path)) {
    if (kind == Kind::drop_in) fail(path, "a drop-in must be of version 2");
    entries = convert_v1(*v1, path);
  } else {
    entries = parse_entries(root, path);
  }
  for (RegistryEntry& entry : entries) {
    if (RegistryEntry* old = find_prefix(entries_, entry.prefix)) {
      *old = std::move(entry);
    } else {
      entries_.push_back(std::move(entry));
    }
  }
  if (auto helpers = get_strings(root, "credential-helpers", path)) {
    credential_helpers_ = std::move(*helpers);
  }
}

const RegistryEntry* RegistriesConf::match(const RegistryReference& reference) const {
  return longest_match(entries_, reference.str());
}

std::vector<PullPlace> RegistriesConf::pull_places(const RegistryReference& reference,
                                                   bool mirrors) const {
  const RegistryEntry* entry = match(reference);
  if (entry == nullptr) return {{reference, false}};
  std::vector<PullPlace> places;
  for (const Mirror& mirror : entry->mirrors) {
    if (mirrors && serves(mirror, reference))
      places.push_back({relocated(reference, *entry, mirror.location), mirror.insecure});
  }
  places.push_back({relocated(reference, *entry, entry->location), entry->insecure});
  return places;
}

const RegistryEntry* RegistriesConf::match_host(std::string_view host) const {
  return longest_match(entries_, host);
}

}  // namespace tug::registry
