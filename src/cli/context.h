// What a verb works with: the flags of every verb, and the parts that are built once in a process,
// at their first use.
#ifndef TUG_CLI_CONTEXT_H_
#define TUG_CLI_CONTEXT_H_

#include "base/cpu_pool.h"
#include "base/log.h"
#include "cli/options.h"
#include "copy/blob_info_cache.h"
#include "copy/execute.h"
#include "copy/policy.h"
#include "http/client.h"
#include "registry/host.h"
#include "registry/registries_conf.h"
#include "transport/open.h"

#include <tug/descriptor.h>
#include <tug/registry.h>
#include <tug/transport.h>

#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

namespace tug::cli {

// Lives in main's frame. One thread builds the parts; what they are is as safe as they say
// themselves.
class Context {
 public:
  // `program` is the name that the program goes by (program.h).
  Context(std::string_view program, const Arguments& arguments, std::stop_token stop);
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context();

  [[nodiscard]] std::string_view program() const noexcept { return program_; }
  [[nodiscard]] const std::stop_token& stop() const noexcept { return stop_; }
  [[nodiscard]] const Log& log() const noexcept { return log_; }
  // --override-os, --override-arch, --override-variant over this machine's.
  [[nodiscard]] Platform platform() const;
  [[nodiscard]] Policy policy() const;
  [[nodiscard]] const TransportEnvironment& transports();
  [[nodiscard]] const registry::Environment& registries();
  [[nodiscard]] CopyEnvironment copies();

 private:
  struct Network;
  Network& network();

  const std::string_view program_;
  const Arguments& arguments_;
  std::stop_token stop_;
  Log log_;
  std::unique_ptr<Network> network_;
  std::unique_ptr<CpuPool> pool_;
  std::once_flag pool_made_;
  std::unique_ptr<BlobInfoCache> cache_;
};

// The flags of registry_options(prefix), with the common --authfile and --tls-verify behind the
// prefixed ones. Throws Error(usage) for flags that exclude each other.
RegistryAccess registry_access(const Arguments& arguments, const std::string& prefix);
TransportOptions transport_options(const Arguments& arguments, const std::string& prefix);

}  // namespace tug::cli

#endif  // TUG_CLI_CONTEXT_H_
