#include "copy/blob_info_cache.h"

#include "base/fd.h"
#include "base/strings.h"

#include <tug/error.h>

#include <fmt/format.h>
#include <sqlite3.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <exception>
#include <thread>
#include <utility>

namespace tug {
namespace {

constexpr std::size_t kMaxCandidates = 5;
constexpr std::size_t kMaxRepositories = 5;

using std::chrono::milliseconds;

// Other programs hold the file for milliseconds, and wait 5 s for each other. A question that waits
// for longer than it saves is not worth it; what a push has learned is worth a little more.
constexpr milliseconds kReadingPatience{500};     // all questions of a run together
constexpr milliseconds kRecordingPatience{2000};  // the same
constexpr milliseconds kBusySlice{20};            // how soon the end of a lock, or a stop, is seen

// All of it in one transaction if the last table is missing; any incompatible change will use
// another file name.
constexpr const char* kSchema = R"sql(
CREATE TABLE IF NOT EXISTS DigestUncompressedPairs(anyDigest TEXT PRIMARY KEY NOT NULL, uncompressedDigest TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS DigestUncompressedPairs_index_uncompressedDigest ON DigestUncompressedPairs(uncompressedDigest);
CREATE TABLE IF NOT EXISTS DigestCompressors(digest TEXT PRIMARY KEY NOT NULL, compressor TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS KnownLocations(transport TEXT NOT NULL, scope TEXT NOT NULL, digest TEXT NOT NULL, location TEXT NOT NULL,
  time TIMESTAMP NOT NULL, PRIMARY KEY(transport, scope, digest, location));
CREATE TABLE IF NOT EXISTS DigestTOCUncompressedPairs(tocDigest TEXT PRIMARY KEY NOT NULL, uncompressedDigest TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS DigestSpecificVariantCompressors(digest TEXT PRIMARY KEY NOT NULL, specificVariantCompressor TEXT NOT NULL,
  specificVariantAnnotations BLOB NOT NULL);
)sql";

// "2026-11-24 02:14:30.951033118+00:00"
std::string timestamp_now() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now);
  const auto nanoseconds = std::chrono::duration_cast<std::chrono::nanoseconds>(now - seconds);
  const std::time_t time = seconds.count();
  std::tm utc{};
  gmtime_r(&time, &utc);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:09}+00:00", utc.tm_year + 1900,
                     utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                     nanoseconds.count());
}

// Another process holds the file, for longer than we wait.
class Locked : public Error {
 public:
  using Error::Error;
};

}  // namespace

// One connection; every use is one exclusive transaction, as the other programs do it.
struct BlobInfoCache::Database {
  sqlite3* handle = nullptr;
  const std::stop_token stop;
  milliseconds* patience = nullptr;  // for the present use: how long it may still wait for others

  explicit Database(std::stop_token token) : stop(std::move(token)) {}
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  ~Database() { sqlite3_close(handle); }

  void open(const std::string& path, int flags) {
    if (sqlite3_open_v2(path.c_str(), &handle, flags, nullptr) != SQLITE_OK) fail();
    sqlite3_busy_handler(handle, &Database::wait_a_little, this);
  }

  static int wait_a_little(void* self, int) noexcept {
    const Database& db = *static_cast<const Database*>(self);
    if (db.stop.stop_requested() || db.patience->count() <= 0) return 0;
    std::this_thread::sleep_for(kBusySlice);
    *db.patience -= kBusySlice;
    return 1;
  }

  [[noreturn]] void fail() const {
    if (sqlite3_errcode(handle) == SQLITE_BUSY) throw Locked(ErrorKind::local, "it is locked");
    throw Error(ErrorKind::local, sqlite3_errmsg(handle));
  }

  void run(const char* sql) const {
    if (sqlite3_exec(handle, sql, nullptr, nullptr, nullptr) != SQLITE_OK) fail();
  }

  // Runs one statement with text parameters; `row` gets the columns of each row as text.
  template <typename Row>
  void query(const char* sql, const std::vector<std::string>& parameters, Row row) const {
    sqlite3_stmt* raw = nullptr;
    if (sqlite3_prepare_v2(handle, sql, -1, &raw, nullptr) != SQLITE_OK) fail();
    const std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)> statement(raw, sqlite3_finalize);
    int position = 0;
    for (const std::string& parameter : parameters) {
      if (sqlite3_bind_text(raw, ++position, parameter.data(), static_cast<int>(parameter.size()),
                            SQLITE_TRANSIENT) != SQLITE_OK)
        fail();
    }
    for (;;) {
      const int state = sqlite3_step(raw);
      if (state == SQLITE_DONE) return;
      if (state != SQLITE_ROW) fail();
      row([raw](int column) {
        const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(raw, column));
        return text == nullptr
                   ? std::string()
                   : std::string(text, static_cast<std::size_t>(sqlite3_column_bytes(raw, column)));
      });
    }
  }
  void execute(const char* sql, const std::vector<std::string>& parameters) const {
    query(sql, parameters, [](const auto&) {});
  }

  template <typename Work>
  void transaction(Work work) const {
    run("BEGIN EXCLUSIVE");
    try {
      work();
      run("COMMIT");
    } catch (...) {
      sqlite3_exec(handle, "ROLLBACK", nullptr, nullptr, nullptr);
      throw;
    }
  }

  [[nodiscard]] std::optional<std::string> single(
      const char* sql, const std::vector<std::string>& parameters) const {
    std::optional<std::string> value;
    query(sql, parameters, [&](const auto& column) { value = column(0); });
    return value;
  }

  struct Seen {
    std::string time;  // of the newest location; "" without one
    std::vector<std::string> repositories;
  };
  [[nodiscard]] Seen locations(const std::string& registry, const std::string& digest) const {
    Seen seen;
    query(
        "SELECT location, time FROM KnownLocations WHERE transport = 'docker' AND scope = ? AND "
        "digest = ? ORDER BY time DESC LIMIT 5",
        {registry, digest}, [&](const auto& column) {
          if (seen.time.empty()) seen.time = column(1);
          seen.repositories.push_back(column(0));
        });
    return seen;
  }

  [[nodiscard]] std::vector<Candidate> candidates(const std::string& registry, const Digest& digest,
                                                  bool substitute) const {
    struct Found {
      Candidate candidate;
      std::string time;
    };
    std::vector<Found> found;
    transaction([&] {
      std::vector<std::string> digests{digest.str()};
      if (substitute) {
        const std::string uncompressed =
            single("SELECT uncompressedDigest FROM DigestUncompressedPairs WHERE anyDigest = ?",
                   {digest.str()})
                .value_or(digest.str());
        query(
            "SELECT anyDigest FROM DigestUncompressedPairs WHERE uncompressedDigest = ? LIMIT 100",
            {uncompressed}, [&](const auto& column) { digests.push_back(column(0)); });
        digests.push_back(uncompressed);
      }
      for (const std::string& text : digests) {
        const auto parsed = Digest::try_parse(text);
        const bool is_known = std::any_of(found.begin(), found.end(), [&](const Found& f) {
          return f.candidate.digest.str() == text;
        });
        if (!parsed || is_known) continue;
        Database::Seen seen = locations(registry, text);
        std::string compressor =
            single("SELECT compressor FROM DigestCompressors WHERE digest = ?", {text})
                .value_or("");
        if (seen.repositories.size() > kMaxRepositories) seen.repositories.resize(kMaxRepositories);
        found.push_back({Candidate{*parsed, std::move(compressor), std::move(seen.repositories)},
                         std::move(seen.time)});
      }
    });
    const auto rank = [&](const Found& f) {
      return f.candidate.digest == digest ? 0 : f.candidate.compressor == "uncompressed" ? 2 : 1;
    };
    std::stable_sort(found.begin(), found.end(), [&](const Found& a, const Found& b) {
      if (rank(a) != rank(b)) return rank(a) < rank(b);
      return a.time != b.time ? a.time > b.time : a.candidate.digest < b.candidate.digest;
    });
    std::vector<Candidate> result;
    for (Found& f : found) {
      if (result.size() < kMaxCandidates) result.push_back(std::move(f.candidate));
    }
    return result;
  }
};

BlobInfoCache::BlobInfoCache(std::string path, const Log& log, std::stop_token stop)
    : path_(std::move(path)),
      log_(log),
      stop_(std::move(stop)),
      reading_patience_(kReadingPatience),
      recording_patience_(kRecordingPatience) {}
BlobInfoCache::~BlobInfoCache() = default;

std::string BlobInfoCache::default_path() {
  constexpr const char* kFile = "/containers/cache/blob-info-cache-v1.sqlite";
  // In a user namespace of podman's the outer uid decides (containers/image:
  // pkg/blobinfocache/default.go).
  const std::string uid =
      env_nonempty("_CONTAINERS_ROOTLESS_UID").value_or(std::to_string(geteuid()));
  if (uid == "0") return std::string("/var/lib") + kFile;
  if (const auto data = env_nonempty("XDG_DATA_HOME")) return *data + kFile;
  if (const auto home = env_nonempty("HOME")) return *home + "/.local/share" + kFile;
  return {};
}

// nullptr: there is none. Waits for other processes, now and in what is done with the result, no
// longer than `patience`, which is reduced by it.
BlobInfoCache::Database* BlobInfoCache::database(bool create, milliseconds& patience) {
  if (failed_ || path_.empty()) return nullptr;
  if (database_) {
    database_->patience = &patience;
    return database_.get();
  }
  if (!create && access(path_.c_str(), R_OK) != 0) return nullptr;
  auto opened = std::make_unique<Database>(stop_);
  opened->patience = &patience;
  try {
    if (create) make_directories(path_.substr(0, path_.rfind('/')), 0700);
    // Links are followed: on some systems /home or /var/lib/containers is one.
    opened->open(path_,
                 SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (create ? SQLITE_OPEN_CREATE : 0));
    const auto last_table = opened->single(
        "SELECT name FROM sqlite_master WHERE name = 'DigestSpecificVariantCompressors'", {});
    if (!last_table) opened->transaction([&] { opened->run(kSchema); });
  } catch (const Locked&) {
    throw;  // it may be free when there is something to record
  } catch (...) {
    failed_ = true;
    throw;
  }
  database_ = std::move(opened);
  return database_.get();
}

std::vector<BlobInfoCache::Candidate> BlobInfoCache::candidates(const std::string& registry,
                                                                const Digest& digest,
                                                                bool substitute) {
  const std::lock_guard lock(mutex_);
  if (reading_patience_.count() <= 0) return {};
  try {
    const Database* db = database(false, reading_patience_);
    if (db != nullptr) return db->candidates(registry, digest, substitute);
  } catch (const std::exception& error) {
    log_.debug(fmt::format("blob info cache {}: {}", path_, error.what()));
  }
  return {};
}

void BlobInfoCache::record(const RegistryReference& repository, const Facts& facts) {
  const std::lock_guard lock(mutex_);
  try {
    const Database* db = database(true, recording_patience_);
    if (db == nullptr) return;
    const std::string now = timestamp_now();
    db->transaction([&] {
      for (const Facts::Pair& pair : facts.pairs) {
        db->execute(
            "INSERT OR REPLACE INTO DigestUncompressedPairs(anyDigest, uncompressedDigest) VALUES "
            "(?, ?)",
            {pair.any.str(), pair.uncompressed.str()});
      }
      for (const auto& [digest, compressor] : facts.compressors) {
        db->execute("INSERT OR REPLACE INTO DigestCompressors(digest, compressor) VALUES (?, ?)",
                    {digest.str(), compressor});
      }
      for (const Digest& digest : facts.locations) {
        db->execute(
            "INSERT OR REPLACE INTO KnownLocations(transport, scope, digest, location, time) "
            "VALUES ('docker', ?, ?, ?, ?)",
            {repository.registry(), digest.str(), repository.name(), now});
      }
    });
  } catch (const std::exception& error) {
    log_.debug(fmt::format("blob info cache {}: {}", path_, error.what()));
  }
}

}  // namespace tug
