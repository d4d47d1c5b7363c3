// A file of uploads to resume: nothing but a path at the registry comes out of it, or Error(local).
#include "registry/resume_state.h"

#include "support/temp_dir.h"

#include <tug/error.h>

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using tug::registry::ResumeState;
  static const tug::test::TempDir dir;
  static const tug::Log log;
  const std::string path = dir.write("state", {reinterpret_cast<const char*>(data), size});
  try {
    const auto state = ResumeState::in_file(path, log, [](std::string_view) {});
    const auto claim = state->claim({"reg:5000", "team/app", "sha256:ab"});
    if (!claim) std::abort();
    if (const auto& session = claim->session()) {
      if (!session->starts_with('/') || session->starts_with("//")) std::abort();
      if (session->find_first_of(" \r\n") != session->npos) std::abort();
    }
    claim->save("/v2/team/app/blobs/uploads/1");
  } catch (const tug::Error& error) {
    if (error.kind() != tug::ErrorKind::local) std::abort();
  }
  return 0;
}
