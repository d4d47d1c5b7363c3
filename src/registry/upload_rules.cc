#include "registry/upload_rules.h"

#include "base/strings.h"
#include "http/retry.h"

#include <algorithm>
#include <array>

namespace tug::registry {
namespace {

constexpr std::uint64_t kMaxChunk = 1024 * kMiB;
constexpr std::uint64_t kMaxChunks = 4000;  // ECR allows 4,200 parts
// After a refused single request: what Cloudflare's smallest plan lets through, what most proxies
// do, what GHCR does.
constexpr std::array<std::uint64_t, 3> kChunkLadder{90 * kMiB, 16 * kMiB, 4 * kMiB};

std::string_view after_unit(std::string_view text) noexcept {
  for (const std::string_view unit : {"bytes=", "bytes "}) {
    if (starts_with_ignore_case(text, unit)) return trim(text.substr(unit.size()));
  }
  return text;
}

std::string_view without_port(std::string_view registry) noexcept {
  const auto colon = registry.rfind(':');
  return colon == std::string_view::npos ? registry : registry.substr(0, colon);
}

bool has(const std::vector<std::string>& codes, std::string_view code) {
  return std::find(codes.begin(), codes.end(), code) != codes.end();
}

bool mentions_size(std::string_view body) {
  const std::string text = to_lower(body);
  return text.find("too large") != std::string::npos || text.find("too big") != std::string::npos;
}

Remedy judge_success(Step step, int status) noexcept {
  if (step == Step::patch || step == Step::chunk)
    return status == 201 || status == 202 || status == 204 ? Remedy::proceed : Remedy::fail;
  return status == 201 ? Remedy::proceed : Remedy::confirm;
}

Remedy judge_bad_request(const std::vector<std::string>& codes) {
  if (has(codes, "CONTENT_LENGTH_INVALID")) return Remedy::need_length;
  if (has(codes, "BLOB_UPLOAD_UNKNOWN")) return Remedy::restart;  // olareg: 400, not 404
  for (const std::string_view code : {"DIGEST_INVALID", "SIZE_INVALID", "BLOB_UPLOAD_INVALID"}) {
    if (has(codes, code)) return Remedy::restart_once;
  }
  return Remedy::fail;
}

Remedy judge_not_found(Step step, const std::vector<std::string>& codes) {
  // Artifactory of old: 404 BLOB_UNKNOWN for a PUT with a body (buildx#196).
  if (step == Step::put && !has(codes, "BLOB_UPLOAD_UNKNOWN")) return Remedy::use_patch;
  return Remedy::restart;
}

Remedy judge_not_served(Step step) noexcept {
  if (step == Step::commit) return Remedy::fail;
  return step == Step::put ? Remedy::use_patch : Remedy::use_put;
}

Remedy judge_range_error(Step step, std::string_view body) {
  // GHCR: 416 "request body is too large … 4.00MiB".
  if (step != Step::commit && mentions_size(body)) return Remedy::smaller;
  return step == Step::chunk ? Remedy::resync : Remedy::restart_once;
}

}  // namespace

StoredRange parse_range(std::optional<std::string_view> value) noexcept {
  if (!value) return {};
  const std::string_view text = after_unit(trim(*value));
  if (!text.starts_with("0-")) return {};
  const std::string_view last = text.substr(2);
  if (last == "-1") return {StoredRange::Kind::bytes, 0};  // olareg, Gitea 1.24.0: empty
  const auto number = parse_uint(last);
  if (!number || *number == UINT64_MAX) return {};
  if (*number == 0) return {StoredRange::Kind::ambiguous, 0};
  return {StoredRange::Kind::bytes, *number + 1};
}

ChunkReceipt judge_receipt(const StoredRange& stored, std::uint64_t start,
                           std::uint64_t end) noexcept {
  if (stored.kind != StoredRange::Kind::bytes) return ChunkReceipt::complete;
  if (stored.bytes > end) return ChunkReceipt::too_much;
  // At or before the start of the chunk that was just acknowledged: stuck, as ECR's is.
  if (stored.bytes == end || stored.bytes <= start) return ChunkReceipt::complete;
  return ChunkReceipt::ask;
}

ChunkRule chunk_rule(std::string_view registry) {
  const std::string host = to_lower(without_port(registry));
  ChunkRule rule;
  if (host == "gcr.io" || host.ends_with(".gcr.io") || host.ends_with(".pkg.dev"))
    rule.allowed = false;  // documented as unsupported
  if (host == "ghcr.io") rule.max = 4 * kMiB;
  if (host == "public.ecr.aws" ||
      (host.find(".dkr.ecr") != std::string::npos && host.find(".amazonaws.") != std::string::npos))
    rule.min = 5 * kMiB;
  return rule;
}

ChunkRule with_headers(ChunkRule rule, std::optional<std::string_view> min_length,
                       std::optional<std::string_view> max_length) noexcept {
  const auto usable = [](std::optional<std::string_view> text) -> std::optional<std::uint64_t> {
    const auto number = text ? parse_uint(trim(*text)) : std::nullopt;
    if (!number || *number < 1 || *number > kMaxChunk) return std::nullopt;
    return number;
  };
  if (const auto min = usable(min_length)) rule.min = std::max(rule.min, *min);
  if (const auto max = usable(max_length)) rule.max = std::min(rule.max, *max);
  return rule;
}

std::uint64_t chunk_size(std::uint64_t wanted, const ChunkRule& rule,
                         std::optional<std::uint64_t> total) noexcept {
  const std::uint64_t for_count = total ? *total / (kMaxChunks - 1) + 1 : 1;
  return std::min(std::max({wanted, rule.min, for_count}), rule.max);
}

std::uint64_t next_chunk(std::uint64_t remaining, std::uint64_t size, std::uint64_t max) noexcept {
  if (remaining <= size) return remaining;
  if (remaining > size + 1 || size == 1) return size;
  return size < max ? remaining : size - 1;
}

std::optional<std::uint64_t> smaller_chunk(std::uint64_t refused,
                                           const UploadTuning& tuning) noexcept {
  for (const std::uint64_t size : kChunkLadder) {
    if (size < refused && size >= tuning.smallest_chunk) return size;
  }
  if (refused <= tuning.smallest_chunk) return std::nullopt;
  return std::max(refused / 2, tuning.smallest_chunk);
}

Remedy judge(Step step, int status, const std::vector<std::string>& codes, std::string_view body) {
  if (status >= 200 && status <= 299) return judge_success(step, status);
  switch (status) {
    case 400:
      return judge_bad_request(codes);
    case 401:
      return step == Step::commit ? Remedy::fail : Remedy::reauthorise;
    case 404:
      return judge_not_found(step, codes);
    case 405:
    case 501:
      return judge_not_served(step);
    case 409:
      return Remedy::restart_once;
    case 411:
      return step == Step::commit ? Remedy::fail : Remedy::need_length;
    case 413:
      return step == Step::commit ? Remedy::fail : Remedy::smaller;
    case 416:
      return judge_range_error(step, body);
    default:
      break;
  }
  if (!http::is_retryable_status(status)) return Remedy::fail;
  return step == Step::commit ? Remedy::repeat : Remedy::restart;
}

}  // namespace tug::registry
