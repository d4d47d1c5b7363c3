// storage.conf, and after a NUL byte STORAGE_OPTS: where a user's store is, or Error(usage).
#include "transport/storage_conf.h"

#include <tug/error.h>

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const int file = ::memfd_create("storage.conf", MFD_CLOEXEC);
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string_view conf = text.substr(0, text.find('\0'));
  const std::string options(text.substr(std::min(conf.size() + 1, size)));
  if (::ftruncate(file, 0) != 0 || ::pwrite(file, conf.data(), conf.size(), 0) < 0) std::abort();
  tug::StorageEnvironment environment;
  environment.uid = 1000;
  environment.variable = [&](std::string_view name) -> std::optional<std::string> {
    if (name == "CONTAINERS_STORAGE_CONF") return "/proc/self/fd/" + std::to_string(file);
    if (name == "STORAGE_OPTS") return options.substr(0, options.find('\0'));
    if (name == "HOME") return "/nowhere/home";
    return std::nullopt;
  };
  try {
    if (tug::load_storage_config(environment).graph_root.empty()) std::abort();
  } catch (const tug::Error& error) {
    if (error.kind() != tug::ErrorKind::usage) std::abort();
  }
  return 0;
}
