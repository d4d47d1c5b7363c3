#include "transport/storage_conf.h"

#include "base/fd.h"
#include "base/strings.h"
#include "oci/toml.h"

#include <tug/error.h>

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <utility>

namespace tug {
namespace {

constexpr std::size_t kMaxConfigBytes = 1024 * 1024;
constexpr const char* kSystemGraphRoot = "/var/lib/containers/storage";

// One file to read, in order; a later one wins.
struct ConfigFile {
  std::string path;
  bool must_exist = false;  // named by a variable
  bool system = false;      // the administrator's, not the user's
};

std::string home(const StorageEnvironment& environment) {
  return environment.nonempty("HOME").value_or("/root");
}

std::string user_file(const StorageEnvironment& environment) {
  // Set counts, even when it is empty (1.1).
  const std::optional<std::string> config_home = environment.variable("XDG_CONFIG_HOME");
  return config_home.value_or(home(environment) + "/.config") + "/containers/storage.conf";
}

bool exists(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

// Regular files NAME.conf in `directory`.
std::vector<std::string> drop_ins(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code ignored;
  for (std::filesystem::directory_iterator entry(directory, ignored), end; entry != end;
       entry.increment(ignored)) {
    if (entry->path().extension() == ".conf" && entry->is_regular_file(ignored)) {
      names.push_back(entry->path().filename().string());
    }
  }
  return names;
}

// The drop-in directories in order; a file name in a later one replaces that in an earlier one.
std::vector<ConfigFile> drop_in_directories(const StorageEnvironment& environment) {
  std::vector<ConfigFile> directories;
  for (const char* base : {"/usr/share/containers", "/etc/containers"}) {
    const std::string stem = environment.system_root + base + "/storage.";
    directories.push_back({stem + "conf.d", false, true});
    if (environment.uid == 0) {
      directories.push_back({stem + "rootful.conf.d", false, true});
    } else {
      directories.push_back({stem + "rootless.conf.d", false, true});
      directories.push_back(
          {stem + "rootless.conf.d/" + std::to_string(environment.uid), false, true});
    }
  }
  directories.push_back({user_file(environment) + ".d", false, false});
  return directories;
}

void add_default_files(const StorageEnvironment& environment, std::vector<ConfigFile>& files) {
  const ConfigFile mains[] = {
      {user_file(environment), false, false},
      {environment.system_root + "/etc/containers/storage.conf", false, true},
      {environment.system_root + "/usr/share/containers/storage.conf", false, true},
  };
  const auto* main = std::find_if(std::begin(mains), std::end(mains),
                                  [](const ConfigFile& f) { return exists(f.path); });
  if (main != std::end(mains)) files.push_back(*main);
  std::map<std::string, ConfigFile> by_name;  // in byte order of the name, whatever the directory
  for (const ConfigFile& directory : drop_in_directories(environment)) {
    for (const std::string& name : drop_ins(directory.path)) {
      by_name.insert_or_assign(name,
                               ConfigFile{directory.path + "/" + name, false, directory.system});
    }
  }
  for (auto& [name, file] : by_name) files.push_back(std::move(file));
}

std::vector<ConfigFile> config_files(const StorageEnvironment& environment) {
  std::vector<ConfigFile> files;
  if (const auto named = environment.nonempty("CONTAINERS_STORAGE_CONF")) {
    files.push_back({*named, true, false});
  } else {
    add_default_files(environment, files);
  }
  if (const auto last = environment.nonempty("CONTAINERS_STORAGE_CONF_OVERRIDE"))
    files.push_back({*last, true, false});
  return files;
}

// What the files say, before defaults and expansion.
struct Settings {
  struct List {
    std::vector<std::string> items;
    bool append = false;  // sticky once a file asked for it
  };
  std::string driver;
  std::string graph_root;
  bool system_graph_root = false;
  std::string rootless_path;
  std::string image_store;
  List driver_priority;
  List additional_image_stores;
  std::string force_mask;
  std::string ignore_chown_errors;
  std::string use_composefs;
};

void take(const Json& table, std::string_view key, const std::string& path, std::string& target) {
  const Json* value = table.find(key);
  if (value == nullptr) return;
  if (!value->is_string())
    throw Error(ErrorKind::usage, path + ": " + std::string(key) + " must be a string");
  target = *value->as_string();
}

// An array of strings, in which the table {append=true} means: keep what earlier files said.
void take_list(const Json& table, std::string_view key, const std::string& path,
               Settings::List& target) {
  const Json* value = table.find(key);
  if (value == nullptr) return;
  const Json::Array* items = value->as_array();
  if (items == nullptr)
    throw Error(ErrorKind::usage, path + ": " + std::string(key) + " must be an array");
  std::vector<std::string> read;
  for (const Json& item : *items) {
    if (const std::string* text = item.as_string()) {
      read.push_back(*text);
    } else if (const Json* append = item.find("append")) {
      target.append = append->as_bool().value_or(false);
    } else {
      throw Error(ErrorKind::usage, path + ": " + std::string(key) + " must hold strings");
    }
  }
  if (!target.append) target.items.clear();
  target.items.insert(target.items.end(), read.begin(), read.end());
}

void take_writer_options(const Json& table, const std::string& path, Settings& settings) {
  take(table, "force_mask", path, settings.force_mask);
  take(table, "ignore_chown_errors", path, settings.ignore_chown_errors);
  take(table, "use_composefs", path, settings.use_composefs);
}

void merge(const ConfigFile& file, Settings& settings) {
  const std::optional<std::string> text = file.must_exist
                                              ? read_file(file.path, kMaxConfigBytes)
                                              : read_file_if_exists(file.path, kMaxConfigBytes);
  if (!text) return;
  const Json document = parse_toml(*text, file.path);
  const Json* storage = document.find("storage");
  if (storage == nullptr) return;
  take(*storage, "driver", file.path, settings.driver);
  take_list(*storage, "driver_priority", file.path, settings.driver_priority);
  if (storage->find("graphroot") != nullptr) settings.system_graph_root = file.system;
  take(*storage, "graphroot", file.path, settings.graph_root);
  take(*storage, "rootless_storage_path", file.path, settings.rootless_path);
  take(*storage, "imagestore", file.path, settings.image_store);
  if (const Json* options = storage->find("options")) {
    take_list(*options, "additionalimagestores", file.path, settings.additional_image_stores);
    // Those of the driver itself, and before them their older spelling.
    take_writer_options(*options, file.path, settings);
    for (const char* driver : {"overlay", "vfs"}) {
      const Json* own = options->find(driver);
      if (own != nullptr && (settings.driver.empty() || settings.driver == driver))
        take_writer_options(*own, file.path, settings);
    }
  }
}

bool is_name_character(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// $VAR and ${VAR} from the environment, as Go's os.ExpandEnv does; what is unset is empty.
std::string expand_variables(std::string_view text, const StorageEnvironment& environment) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] != '$') {
      out += text[i++];
      continue;
    }
    const bool braces = i + 1 < text.size() && text[i + 1] == '{';
    const std::size_t begin = i + (braces ? 2 : 1);
    std::size_t end = begin;
    while (end < text.size() && (braces ? text[end] != '}' : is_name_character(text[end]))) ++end;
    out += environment.variable(std::string(text.substr(begin, end - begin)).c_str()).value_or("");
    i = braces && end < text.size() ? end + 1 : end;
  }
  return out;
}

// $UID, then variables, then symlinks (or only `.` and `..` when the path is not there).
std::string expand_path(std::string text, const StorageEnvironment& environment) {
  const std::string uid = std::to_string(environment.uid);
  for (std::size_t at = 0; (at = text.find("$UID", at)) != std::string::npos; at += uid.size())
    text.replace(at, 4, uid);
  const std::filesystem::path path = expand_variables(text, environment);
  std::error_code error;
  const std::filesystem::path real = std::filesystem::canonical(path, error);
  return (error ? path.lexically_normal() : real).string();
}

bool owned_by(const std::string& path, unsigned owner) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && status.st_uid == owner;
}

std::string rootless_graph_root(const StorageEnvironment& environment) {
  return environment.nonempty("XDG_DATA_HOME").value_or(home(environment) + "/.local/share") +
         "/containers/storage";
}

std::string graph_root(const Settings& settings, const StorageEnvironment& environment) {
  const std::string configured =
      settings.graph_root.empty() ? "" : expand_path(settings.graph_root, environment);
  if (environment.uid == 0) return configured.empty() ? kSystemGraphRoot : configured;
  // Storage before 2026 does not give a system-wide graphroot to rootless users, and distributions
  // ship files that name root's own store there. So it counts for a user only when that store is
  // his.
  if (!configured.empty() &&
      (!settings.system_graph_root || owned_by(configured, environment.file_owner))) {
    return configured;
  }
  const std::string rootless =
      settings.rootless_path.empty() ? "" : expand_path(settings.rootless_path, environment);
  return rootless.empty() ? expand_path(rootless_graph_root(environment), environment) : rootless;
}

void apply_variables(const StorageEnvironment& environment, StorageConfig& config) {
  if (const auto driver = environment.nonempty("STORAGE_DRIVER")) config.driver = *driver;
  if (config.driver == "overlay2") config.driver = "overlay";
  if (const auto options = environment.nonempty("STORAGE_OPTS")) {
    config.additional_image_stores.clear();  // it replaces all options (1.3)
    config.force_mask.clear();
    config.ignore_chown_errors = config.use_composefs = false;
    for (std::string_view option : split(*options, ','))
      apply_storage_option(config, option, "STORAGE_OPTS");
  }
}

bool is_driver(std::string_view name) {
  return name == "overlay" || name == "overlay2" || name == "vfs" || name == "btrfs" ||
         name == "zfs";
}

}  // namespace

StorageEnvironment StorageEnvironment::current() {
  StorageEnvironment environment;
  environment.variable = [](const char* name) { return env(name); };
  environment.uid = static_cast<unsigned>(::getuid());
  environment.file_owner = static_cast<unsigned>(::geteuid());
  if (const auto outer = environment.nonempty("_CONTAINERS_ROOTLESS_UID")) {
    if (const auto uid = parse_uint(*outer)) environment.uid = static_cast<unsigned>(*uid);
  }
  return environment;
}

std::optional<std::string> StorageEnvironment::nonempty(const char* name) const {
  std::optional<std::string> value = variable(name);
  if (value && value->empty()) value.reset();
  return value;
}

StorageConfig load_storage_config(const StorageEnvironment& environment) {
  Settings settings;
  for (const ConfigFile& file : config_files(environment)) merge(file, settings);
  StorageConfig config;
  config.driver = std::move(settings.driver);
  config.driver_priority = std::move(settings.driver_priority.items);
  config.graph_root = graph_root(settings, environment);
  config.image_store = std::move(settings.image_store);
  config.additional_image_stores = std::move(settings.additional_image_stores.items);
  config.force_mask = std::move(settings.force_mask);
  config.ignore_chown_errors = settings.ignore_chown_errors == "true";
  config.use_composefs = settings.use_composefs == "true";
  apply_variables(environment, config);
  return config;
}

void apply_storage_option(StorageConfig& config, std::string_view option, std::string_view where) {
  option = trim(option);
  const std::size_t equals = option.find('=');
  if (equals == std::string_view::npos) {
    throw Error(ErrorKind::usage,
                std::string(where) + ": \"" + printable(option, 200) + "\" is no NAME=VALUE");
  }
  std::string_view name = option.substr(0, equals);
  if (const std::size_t dot = name.find('.'); dot != std::string_view::npos) {
    const std::string_view driver = name.substr(0, dot);
    // An option of another driver is not for this store.
    if (is_driver(driver) && !config.driver.empty() && driver != config.driver) return;
    name.remove_prefix(dot + 1);
  }
  if (name == "force_mask") config.force_mask = option.substr(equals + 1);
  if (name == "ignore_chown_errors")
    config.ignore_chown_errors = option.substr(equals + 1) == "true";
  if (name == "use_composefs") config.use_composefs = option.substr(equals + 1) == "true";
  if (name != "imagestore" && name != "additionalimagestore") return;
  const std::string_view path = option.substr(equals + 1);
  if (!path.starts_with('/')) {
    throw Error(ErrorKind::usage, std::string(where) + ": the image store \"" +
                                      printable(path, 200) + "\" is no absolute path");
  }
  config.additional_image_stores.emplace_back(path);
}

}  // namespace tug
