// The decisions of a blob upload (registry-protocol.md 5.5-5.11): pure functions, tested as tables.
#ifndef TUG_REGISTRY_UPLOAD_RULES_H_
#define TUG_REGISTRY_UPLOAD_RULES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tug::registry {

inline constexpr std::uint64_t kMiB = 1024 * 1024;

// Sizes that decide; tests make them small.
struct UploadTuning {
  std::uint64_t small_blob = kMiB;  // up to here mode B: saves a round trip (5.5)
  // Up to here mode D, where the registry takes it: saves another one. Whether it does is tried
  // with a blob of which it does not matter that it is sent twice.
  std::uint64_t one_post = 256 * 1024;
  std::uint64_t one_post_trial = 16 * 1024;
  std::uint64_t resume_from = 64 * kMiB;  // less that was stored is sent again (5.8)
  // From this size on, or of unknown size but not surely smaller: worth a file and a request to be
  // continued by another process. So much of it must have been sent, too.
  std::uint64_t keep_from = 16 * kMiB;
  std::uint64_t chunk = 16 * kMiB;          // mode C unless something asks for another size (5.6)
  std::uint64_t resumed_chunk = 64 * kMiB;  // the rest of a body that broke off
  std::uint64_t smallest_chunk = kMiB;      // where halving after 413 ends (5.6)
  // Chunks of a stream wait in memory until the registry has them. 8 MiB x 6 uploads is what the
  // rare registry that needs this may cost; more only where OCI-Chunk-Min-Length asks for it.
  std::uint64_t held_chunk = 8 * kMiB;
  std::uint64_t max_held_chunk = 64 * kMiB;
};

// How the bytes travel (5.5).
enum class UploadMode {
  patch,   // A: POST, PATCH with everything, empty PUT
  put,     // B: POST, PUT with everything (D, a POST with everything, may come before it)
  chunks,  // C: POST, PATCHes with Content-Range, empty PUT
};

// --- Range (5.7) ---------------------------------------------------------------------------------

// What a Range header says about the session.
struct StoredRange {
  enum class Kind {
    unknown,    // absent or not to be understood
    bytes,      // `bytes` are stored
    ambiguous,  // "0-0": none or one byte, nobody can tell
  };
  Kind kind = Kind::unknown;
  std::uint64_t bytes = 0;
  friend bool operator==(const StoredRange&, const StoredRange&) = default;
};
StoredRange parse_range(std::optional<std::string_view> value) noexcept;

// What it means after a chunk [start, end) was accepted (rule R5.1).
enum class ChunkReceipt {
  complete,  // everything, or a value that is known to be stale: the digest will tell
  ask,       // perhaps only a part of it: GET the session
  too_much,  // more than was sent
};
ChunkReceipt judge_receipt(const StoredRange& stored, std::uint64_t start,
                           std::uint64_t end) noexcept;

// --- chunk sizes (5.6) ---------------------------------------------------------------------------

// What a registry is known to want of chunks, by its name; see section 7.
struct ChunkRule {
  bool allowed = true;
  std::uint64_t min = 1;
  std::uint64_t max = 1024 * kMiB;
  friend bool operator==(const ChunkRule&, const ChunkRule&) = default;
};
ChunkRule chunk_rule(std::string_view registry);
// `rule` with the headers of the session; values that are not plain decimals in [1, 1 GiB] are
// ignored.
ChunkRule with_headers(ChunkRule rule, std::optional<std::string_view> min_length,
                       std::optional<std::string_view> max_length) noexcept;
// `wanted` within the rule, and not so small that `total` bytes take 4,000 chunks (ECR).
std::uint64_t chunk_size(std::uint64_t wanted, const ChunkRule& rule,
                         std::optional<std::uint64_t> total) noexcept;
// How many of the `remaining` bytes go into the next chunk: never such that a single byte is left
// (serverless-registry refuses "n-n").
std::uint64_t next_chunk(std::uint64_t remaining, std::uint64_t size, std::uint64_t max) noexcept;
// What to try after a body of `refused` bytes was too large; nullopt when nothing smaller is worth
// it.
std::optional<std::uint64_t> smaller_chunk(std::uint64_t refused,
                                           const UploadTuning& tuning) noexcept;

// --- answers (5.11) ------------------------------------------------------------------------------

enum class Step { patch, chunk, put, commit };  // put: with the body; commit: without

enum class Remedy {
  proceed,       // done what was asked
  confirm,       // a success that HEAD must confirm
  restart,       // the session is lost or the server has trouble: again, by the retry policy
  restart_once,  // again, but once: integrity and conflicts
  reauthorise,   // 401 for a body: again with another token
  repeat,        // the commit may be repeated as it is
  use_put,       // PATCH is not served here
  use_patch,     // PUT with a body is not served here
  smaller,       // too large for one request
  need_length,   // no body without Content-Length
  resync,        // our offset is not the server's
  fail,
};
// `body` is the response's text.
Remedy judge(Step step, int status, const std::vector<std::string>& codes, std::string_view body);

}  // namespace tug::registry

#endif  // TUG_REGISTRY_UPLOAD_RULES_H_
