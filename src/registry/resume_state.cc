#include "registry/resume_state.h"

#include "base/fd.h"
#include "oci/json.h"

#include <tug/digest.h>
#include <tug/error.h>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <utility>
#include <vector>

namespace tug::registry {
namespace {

constexpr std::uint64_t kVersion = 1;
constexpr std::size_t kMaxEntries = 256;  // the newest
constexpr std::size_t kMaxSessionBytes = 8 * 1024;
constexpr Json::Limits kLimits{.max_bytes = 4 * 1024 * 1024, .max_depth = 4, .max_values = 10'000};
// distribution purges the sessions that nobody ends after 168 h; others sooner.
constexpr std::chrono::hours kLifetime{168};
constexpr std::size_t kMaxOldFiles = 1000;  // looked at in one process

struct Entry {
  ResumeState::Key key;
  std::string session;
  std::int64_t saved = 0;  // seconds since 1970
};

std::int64_t now_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// A path at the registry: no other place, and nothing that a request line cannot carry.
bool is_session(std::string_view text) {
  return text.size() > 1 && text.size() <= kMaxSessionBytes && text[0] == '/' && text[1] != '/' &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

bool is_fresh(const Entry& entry) {
  const std::int64_t age = now_seconds() - entry.saved;
  return age >= 0 && age < std::chrono::seconds(kLifetime).count();
}

[[noreturn]] void refuse(const std::string& path) {
  throw Error(ErrorKind::local, path + " holds something else than uploads to resume")
      .set_hint("name a file that is not there yet");
}

// What is of no use is left out. Throws Error(local) when the file is none of ours.
std::vector<Entry> read_entries(const std::string& path) {
  const auto text = read_file_if_exists(path, kLimits.max_bytes);
  if (!text) return {};
  const Json document = [&] {
    try {
      return Json::parse(*text, kLimits);
    } catch (const Error&) {
      refuse(path);
    }
  }();
  const Json* version = document.find("version");
  const Json* uploads = document.find("uploads");
  const Json::Array* items = uploads != nullptr ? uploads->as_array() : nullptr;
  if (version == nullptr || version->as_uint() != kVersion || items == nullptr) refuse(path);
  std::vector<Entry> entries;
  for (const Json& item : *items) {
    const Json* saved = item.find("saved");
    Entry entry{{item.string_or_empty("registry"), item.string_or_empty("repository"),
                 item.string_or_empty("blob")},
                item.string_or_empty("session"),
                saved != nullptr ? saved->as_int().value_or(0) : 0};
    if (is_session(entry.session) && is_fresh(entry)) entries.push_back(std::move(entry));
  }
  return entries;
}

void write_entries(const std::string& path, const std::vector<Entry>& entries) {
  if (entries.empty()) {
    std::error_code ignored;
    std::filesystem::remove(path, ignored);
    return;
  }
  Json::Array items;
  for (const Entry& entry : entries) {
    items.push_back(Json::object({{"registry", entry.key.registry},
                                  {"repository", entry.key.repository},
                                  {"blob", entry.key.blob},
                                  {"session", entry.session},
                                  {"saved", entry.saved}}));
  }
  write_file_atomically(
      path,
      Json::object({{"version", kVersion}, {"uploads", Json(std::move(items))}}).dump() + "\n",
      0600);
}

std::string lock_of(const std::string& path) { return path + ".lock"; }

}  // namespace

ResumeState::ResumeState(std::string path, bool is_file, const Log& log, Note note)
    : path_(std::move(path)), is_file_(is_file), log_(log), note_(std::move(note)) {}

ResumeState::~ResumeState() = default;

std::shared_ptr<ResumeState> ResumeState::in_file(std::string path, const Log& log, Note note) {
  // Before anything is sent: what could not be kept afterwards would be sent twice.
  check_output_file(path);
  std::shared_ptr<ResumeState> state(new ResumeState(std::move(path), true, log, std::move(note)));
  state->lock_ = FileLock::try_lock(lock_of(state->path_));
  if (!state->lock_)
    throw Error(ErrorKind::local, state->path_ + " is in use by another process")
        .set_hint("give each push a file of its own");
  (void)read_entries(state->path_);
  return state;
}

std::shared_ptr<ResumeState> ResumeState::in_directory(std::string directory, const Log& log) {
  return std::shared_ptr<ResumeState>(new ResumeState(std::move(directory), false, log, {}));
}

std::unique_ptr<ResumeState::Claim> ResumeState::claim(const Key& key) noexcept {
  try {
    if (path_.empty()) return nullptr;
    {
      const std::lock_guard lock(mutex_);
      if (!claimed_.insert(key).second) return nullptr;
    }
    std::unique_ptr<Claim> claim(new Claim(*this, key));  // takes itself out of claimed_ again
    if (!is_file_) {
      make_directories(path_, 0700);
      remove_old_files();
      claim->lock_ = FileLock::try_lock(lock_of(path_of(key)));
      if (!claim->lock_) {
        log_.debug("another process is uploading " + key.blob);
        return nullptr;
      }
    }
    claim->session_ = load(key);
    return claim;
  } catch (const std::exception& error) {
    complain(error.what());
    return nullptr;
  }
}

void ResumeState::forget(const Key& key) noexcept {
  try {
    if (path_.empty()) return;
    std::error_code ignored;
    const std::string path = path_of(key);
    // A process that was killed at the very end leaves its lock alone: it goes with the claim.
    if (!std::filesystem::exists(path, ignored) &&
        (is_file_ || !std::filesystem::exists(lock_of(path), ignored)))
      return;
    if (const auto claim = this->claim(key)) claim->forget();
  } catch (const std::exception& error) {
    complain(error.what());
  }
}

void ResumeState::finished() noexcept {
  if (!is_file_) return;
  std::error_code ignored;
  std::filesystem::remove(path_, ignored);
}

std::string ResumeState::path_of(const Key& key) const {
  if (is_file_) return path_;
  const std::string name = key.registry + "\n" + key.repository + "\n" + key.blob;
  return fmt::format("{}/{}.json", path_, Digest::of(name).hex());
}

std::optional<std::string> ResumeState::load(const Key& key) const {
  const std::lock_guard lock(mutex_);
  try {
    for (Entry& entry : read_entries(path_of(key))) {
      if (entry.key == key) return std::move(entry.session);
    }
  } catch (const Error& error) {
    if (is_file_) throw;
    log_.debug(error.what());  // one of our own names: it will be replaced
  }
  return std::nullopt;
}

void ResumeState::store(const Key& key, const std::optional<std::string>& session) {
  const std::lock_guard lock(mutex_);
  const std::string path = path_of(key);
  std::vector<Entry> entries = is_file_ ? read_entries(path) : std::vector<Entry>();
  std::erase_if(entries, [&](const Entry& entry) { return entry.key == key; });
  if (entries.size() >= kMaxEntries)
    entries.erase(entries.begin(), entries.end() - (kMaxEntries - 1));
  if (session) entries.push_back({key, *session, now_seconds()});
  write_entries(path, entries);
}

// Nobody came back for them, and their registries have forgotten them too.
void ResumeState::remove_old_files() noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(old_files_removed_, true)) return;
  }
  std::error_code error;
  const auto now = std::filesystem::file_time_type::clock::now();
  std::size_t seen = 0;
  for (std::filesystem::directory_iterator file(path_, error), end; !error && file != end;
       file.increment(error)) {
    if (++seen > kMaxOldFiles) return;
    std::error_code ignored;
    const auto written = file->last_write_time(ignored);
    const std::string extension = file->path().extension().string();
    if (ignored || now - written < kLifetime || (extension != ".json" && extension != ".lock"))
      continue;
    std::filesystem::path json = file->path();
    if (extension == ".lock") json.replace_extension();
    try {
      // Also removes the lock file that a process left which was killed.
      if (const auto lock = FileLock::try_lock(lock_of(json.string()));
          lock && extension == ".json")
        std::filesystem::remove(json, ignored);
    } catch (const std::exception& failure) {
      log_.debug(failure.what());
    }
  }
}

void ResumeState::complain(std::string_view what) noexcept {
  try {
    if (complained_.exchange(true)) return;
    const std::string text = fmt::format("uploads cannot be kept for resuming: {}", what);
    if (note_) {
      note_(text);
    } else {
      log_.debug(text);
    }
  } catch (const std::exception&) {  // it was only about telling
  }
}

ResumeState::Claim::~Claim() {
  const std::lock_guard lock(state_.mutex_);
  state_.claimed_.erase(key_);
}

void ResumeState::Claim::save(const std::string& session) noexcept {
  try {
    if (session_ == session || !is_session(session)) return;
    state_.store(key_, session);
    session_ = session;
  } catch (const std::exception& error) {
    state_.complain(error.what());
  }
}

void ResumeState::Claim::forget() noexcept {
  try {
    if (session_) state_.store(key_, std::nullopt);
    session_.reset();
  } catch (const std::exception& error) {
    state_.complain(error.what());
  }
}

void ResumeState::Claim::keep(const Note& note) noexcept {
  try {
    if (!session_ || !note || state_.told_.exchange(true)) return;
    note(
        "what was sent of large blobs is left at the registry: the same command goes on from "
        "there, if the registry has kept it");
  } catch (const std::exception&) {  // it was only about telling
  }
}

}  // namespace tug::registry
