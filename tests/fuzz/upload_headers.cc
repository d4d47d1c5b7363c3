// Range, Link and the chunk length headers: what a stranger may put there.
#include "registry/link.h"
#include "registry/upload_rules.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tug::registry;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const StoredRange range = parse_range(text);
  if (range.kind != StoredRange::Kind::bytes && range.bytes != 0) __builtin_trap();
  (void)judge_receipt(range, size / 2, size);
  const ChunkRule rule = with_headers({}, text, text);
  const std::uint64_t chunk = chunk_size(size, rule, range.bytes);
  if (chunk == 0 || chunk > rule.max) __builtin_trap();
  if (next_chunk(range.bytes, chunk, rule.max) > range.bytes) __builtin_trap();
  (void)chunk_rule(text);
  (void)judge(Step::chunk, 416, {}, text);
  if (const auto next = next_link(text); next && next->size() > size) __builtin_trap();
  return 0;
}
