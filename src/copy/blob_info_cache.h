// The blob info cache that podman, buildah and skopeo share: which digests are the same layer, and
// in which repositories they have been seen (containers-storage-format.md section 7). SQLite, in
// their schema; sqlite3.h is known to blob_info_cache.cc alone.
//
// It is a cache: a missing, locked, broken or unwritable file is no error, only an empty answer and
// a debug line. A push does not wait for it either: half a second in all for reading, after which
// it knows nothing any more, and two for recording. Only facts that were hashed here, or by the
// store, may be recorded.
#ifndef TUG_COPY_BLOB_INFO_CACHE_H_
#define TUG_COPY_BLOB_INFO_CACHE_H_

#include "base/log.h"

#include <tug/digest.h>
#include <tug/reference.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

namespace tug {

// Any thread. The file is opened at the first question.
class BlobInfoCache {
 public:
  // `path` empty: a cache that knows nothing and forgets everything (--no-cache). `stop` ends every
  // wait for other processes, as if the cache were locked for good.
  BlobInfoCache(std::string path, const Log& log, std::stop_token stop = {});
  BlobInfoCache(const BlobInfoCache&) = delete;
  BlobInfoCache& operator=(const BlobInfoCache&) = delete;
  ~BlobInfoCache();

  // /var/lib/containers/cache/… for root, else below $XDG_DATA_HOME; "" when there is no such
  // place.
  static std::string default_path();

  struct Candidate {
    Digest digest;
    std::string compressor;                 // "gzip", "zstd", "uncompressed", …; "" unknown
    std::vector<std::string> repositories;  // at the asked registry, newest first; at most 5
  };
  // Blobs at `registry` that are `digest`, or (with `substitute`) another compression of it, in the
  // order in which they are to be tried: `digest` itself first, then the newest, uncompressed last;
  // at most 5.
  std::vector<Candidate> candidates(const std::string& registry, const Digest& digest,
                                    bool substitute);

  // What a copy has learned; written in one transaction.
  struct Facts {
    struct Pair {
      Digest any;
      Digest uncompressed;
    };
    std::vector<Pair> pairs;
    std::vector<std::pair<Digest, std::string>> compressors;
    std::vector<Digest> locations;  // blobs that are in `repository` now
  };
  void record(const RegistryReference& repository, const Facts& facts);

 private:
  struct Database;
  Database* database(bool create, std::chrono::milliseconds& patience);

  std::string path_;
  const Log& log_;
  const std::stop_token stop_;
  std::mutex mutex_;
  std::unique_ptr<Database> database_;
  bool failed_ = false;                         // there is no using it
  std::chrono::milliseconds reading_patience_;  // what is left of it
  std::chrono::milliseconds recording_patience_;
};

}  // namespace tug

#endif  // TUG_COPY_BLOB_INFO_CACHE_H_
