#include "registry/upload_rules.h"

#include <doctest/doctest.h>

#include <string>

namespace tug::registry {
namespace {

using Kind = StoredRange::Kind;

TEST_CASE("Range is read in all the forms that registries send") {
  struct Case {
    std::optional<std::string_view> value;
    StoredRange expected;
  };
  const Case cases[] = {
      {"0-1048575", {Kind::bytes, 1048576}},
      {"bytes=0-1048575", {Kind::bytes, 1048576}},
      {"bytes 0-1048575", {Kind::bytes, 1048576}},
      {"Bytes=0-9", {Kind::bytes, 10}},
      {" 0-1 ", {Kind::bytes, 2}},
      {"0--1", {Kind::bytes, 0}},
      {"0-0", {Kind::ambiguous, 0}},
      {"bytes=0-0", {Kind::ambiguous, 0}},
      {std::nullopt, {}},
      {"", {}},
      {"abc", {}},
      {"0-", {}},
      {"0", {}},
      {"5-9", {}},
      {"0--2", {}},
      {"0-9/10", {}},
      {"0-1,3-4", {}},
      {"-1", {}},
      {"0-18446744073709551614", {Kind::bytes, UINT64_MAX}},
      {"0-18446744073709551615", {}},
      {"0-99999999999999999999999", {}},
      {"00-9", {}},
      {"0-+9", {}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.value.value_or("(absent)"));
    CHECK(parse_range(c.value) == c.expected);
  }
}

TEST_CASE("a receipt is believed, asked about, or refused") {
  struct Case {
    StoredRange stored;
    ChunkReceipt expected;
  };
  // After the chunk [100, 200).
  const Case cases[] = {
      {{}, ChunkReceipt::complete},
      {{Kind::ambiguous, 0}, ChunkReceipt::complete},
      {{Kind::bytes, 200}, ChunkReceipt::complete},
      {{Kind::bytes, 100}, ChunkReceipt::complete},  // ECR: stuck at the first chunk's end
      {{Kind::bytes, 50}, ChunkReceipt::complete},
      {{Kind::bytes, 0}, ChunkReceipt::complete},
      {{Kind::bytes, 101}, ChunkReceipt::ask},
      {{Kind::bytes, 199}, ChunkReceipt::ask},
      {{Kind::bytes, 201}, ChunkReceipt::too_much},
  };
  for (const Case& c : cases) {
    CAPTURE(c.stored.bytes);
    CHECK(judge_receipt(c.stored, 100, 200) == c.expected);
  }
}

TEST_CASE("registries that are known to be particular about chunks") {
  CHECK(chunk_rule("registry.example:5000") == ChunkRule{});
  CHECK_FALSE(chunk_rule("gcr.io").allowed);
  CHECK_FALSE(chunk_rule("eu.gcr.io").allowed);
  CHECK_FALSE(chunk_rule("europe-docker.pkg.dev").allowed);
  CHECK(chunk_rule("notgcr.io").allowed);
  CHECK(chunk_rule("GHCR.io").max == 4 * kMiB);
  CHECK(chunk_rule("ghcr.io:443").max == 4 * kMiB);
  CHECK(chunk_rule("1234.dkr.ecr.eu-west-1.amazonaws.com").min == 5 * kMiB);
  CHECK(chunk_rule("1234.dkr.ecr-fips.us-east-1.amazonaws.com").min == 5 * kMiB);
  CHECK(chunk_rule("public.ecr.aws").min == 5 * kMiB);
}

TEST_CASE("chunk length headers count only when they are plain decimals up to 1 GiB") {
  struct Case {
    std::string_view value;
    bool counts;
  };
  for (const Case& c :
       {Case{"1000000", true}, Case{" 7 ", true}, Case{"1073741824", true},
        Case{"1073741825", false}, Case{"0", false}, Case{"-5", false}, Case{"5MiB", false},
        Case{"", false}, Case{"1e6", false}, Case{"99999999999999999999", false}}) {
    CAPTURE(c.value);
    CHECK((with_headers({}, c.value, {}).min != 1) == (c.counts && c.value != "1"));
    CHECK((with_headers({}, {}, c.value).max != 1024 * kMiB) ==
          (c.counts && c.value != "1073741824"));
  }
}

TEST_CASE("the chunk size obeys the registry, whatever we want") {
  CHECK(chunk_size(16 * kMiB, {}, 100 * kMiB) == 16 * kMiB);
  CHECK(chunk_size(16 * kMiB, {true, 1, 4 * kMiB}, 100 * kMiB) == 4 * kMiB);
  CHECK(chunk_size(1 * kMiB, {true, 5 * kMiB, 100 * kMiB}, 100 * kMiB) == 5 * kMiB);
  CHECK(chunk_size(1 * kMiB, {true, 5 * kMiB, 2 * kMiB}, 100 * kMiB) == 2 * kMiB);
  CHECK(chunk_size(16 * kMiB, {}, std::nullopt) == 16 * kMiB);
  // ECR takes 4,200 parts.
  const std::uint64_t large = 200'000 * kMiB;
  CHECK(large / chunk_size(16 * kMiB, {}, large) < 4000);
}

TEST_CASE("no chunk leaves a single byte behind") {
  struct Case {
    std::uint64_t remaining, size, max, expected;
  };
  for (const Case& c :
       {Case{100, 10, 1000, 10}, Case{10, 10, 1000, 10}, Case{11, 10, 1000, 11},
        Case{11, 10, 10, 9}, Case{12, 10, 10, 10}, Case{3, 10, 10, 3}, Case{1, 10, 10, 1},
        Case{0, 10, 10, 0}, Case{2, 1, 1, 1}, Case{UINT64_MAX, 10, 10, 10}}) {
    CAPTURE(c.remaining);
    CAPTURE(c.size);
    CHECK(next_chunk(c.remaining, c.size, c.max) == c.expected);
  }
}

TEST_CASE("what was too large is tried smaller, down to a floor, in at most five steps") {
  const UploadTuning tuning;
  CHECK(smaller_chunk(UINT64_MAX, tuning) == 90 * kMiB);
  CHECK(smaller_chunk(200 * kMiB, tuning) == 90 * kMiB);
  CHECK(smaller_chunk(90 * kMiB, tuning) == 16 * kMiB);
  CHECK(smaller_chunk(5 * kMiB, tuning) == 4 * kMiB);
  CHECK(smaller_chunk(4 * kMiB, tuning) == 2 * kMiB);
  CHECK(smaller_chunk(kMiB + 1, tuning) == kMiB);
  CHECK(smaller_chunk(kMiB, tuning) == std::nullopt);
  int steps = 0;
  for (auto size = smaller_chunk(UINT64_MAX, tuning); size; size = smaller_chunk(*size, tuning))
    ++steps;
  CHECK(steps == 5);
}

TEST_CASE("what to do after each answer to a write of a blob") {
  struct Case {
    int status;
    std::vector<std::string> codes;
    std::string_view body;
    Remedy patch, chunk, put, commit;
  };
  using enum Remedy;
  const Case cases[] = {
      {200, {}, "", fail, fail, confirm, confirm},
      {201, {}, "", proceed, proceed, proceed, proceed},
      {202, {}, "", proceed, proceed, confirm, confirm},
      {204, {}, "", proceed, proceed, confirm, confirm},
      {206, {}, "", fail, fail, confirm, confirm},
      {400, {}, "", fail, fail, fail, fail},
      {400, {"DIGEST_INVALID"}, "", restart_once, restart_once, restart_once, restart_once},
      {400, {"SIZE_INVALID"}, "", restart_once, restart_once, restart_once, restart_once},
      {400, {"BLOB_UPLOAD_INVALID"}, "", restart_once, restart_once, restart_once, restart_once},
      {400, {"BLOB_UPLOAD_UNKNOWN"}, "", restart, restart, restart, restart},
      {400, {"CONTENT_LENGTH_INVALID"}, "", need_length, need_length, need_length, need_length},
      {401, {}, "", reauthorise, reauthorise, reauthorise, fail},
      {403, {}, "", fail, fail, fail, fail},
      {404, {}, "", restart, restart, use_patch, restart},
      {404, {"BLOB_UNKNOWN"}, "", restart, restart, use_patch, restart},
      {404, {"BLOB_UPLOAD_UNKNOWN"}, "", restart, restart, restart, restart},
      {405, {}, "", use_put, use_put, use_patch, fail},
      {408, {}, "", restart, restart, restart, repeat},
      {409, {}, "", restart_once, restart_once, restart_once, restart_once},
      {411, {}, "", need_length, need_length, need_length, fail},
      {413, {}, "", smaller, smaller, smaller, fail},
      {416, {}, "", restart_once, resync, restart_once, restart_once},
      {416,
       {},
       "request body is too large: limit 4.00MiB",
       smaller,
       smaller,
       smaller,
       restart_once},
      {429, {}, "", restart, restart, restart, repeat},
      {500, {}, "", restart, restart, restart, repeat},
      {501, {}, "", use_put, use_put, use_patch, fail},
      {502, {}, "", restart, restart, restart, repeat},
      {503, {}, "", restart, restart, restart, repeat},
      {507, {}, "", fail, fail, fail, fail},
      {522, {}, "", restart, restart, restart, repeat},
  };
  for (const Case& c : cases) {
    CAPTURE(c.status);
    CAPTURE((c.codes.empty() ? "" : c.codes.front()));
    CHECK(judge(Step::patch, c.status, c.codes, c.body) == c.patch);
    CHECK(judge(Step::chunk, c.status, c.codes, c.body) == c.chunk);
    CHECK(judge(Step::put, c.status, c.codes, c.body) == c.put);
    CHECK(judge(Step::commit, c.status, c.codes, c.body) == c.commit);
  }
}

}  // namespace
}  // namespace tug::registry
