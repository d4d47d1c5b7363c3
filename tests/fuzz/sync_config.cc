// The source of `tug sync --src yaml`: a configuration, whose filters are read too, or
// Error(usage).
#include "cli/sync_config.h"

#include "cli/semver.h"
#include "cli/tag_pattern.h"

#include <tug/error.h>

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tug;
  using namespace tug::cli;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    for (const SyncRegistry& registry : parse_sync_config(text, "sync.yml").registries) {
      for (const SyncRepository& repository : registry.repositories) {
        if (repository.where.find("sync.yml") == std::string::npos) std::abort();
        if (repository.selection == SyncRepository::Selection::by_regex)
          (void)TagPattern::parse(repository.filter).matches("1.2.3-alpine");
        if (repository.selection == SyncRepository::Selection::by_semver)
          (void)VersionConstraint::parse(repository.filter).allows({1, 2, 3});
      }
    }
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::usage) std::abort();
  }
  return 0;
}
