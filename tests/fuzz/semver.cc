// A constraint and, behind the first line break, versions: both are read, or Error(usage).
#include "cli/semver.h"

#include <tug/error.h>

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tug;
  using namespace tug::cli;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t line = text.find('\n');
  const auto version =
      line == std::string_view::npos ? std::nullopt : Version::parse(text.substr(line + 1));
  if (version && *version != *version) std::abort();
  try {
    const auto constraint = VersionConstraint::parse(text.substr(0, line));
    if (version) (void)constraint.allows(*version);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::usage) std::abort();
  }
  return 0;
}
