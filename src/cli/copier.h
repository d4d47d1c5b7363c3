// The copies of one run of `tug copy`: what its flags mean, and the parts that all of them share.
#ifndef TUG_CLI_COPIER_H_
#define TUG_CLI_COPIER_H_

#include "cli/context.h"
#include "cli/options.h"
#include "copy/execute.h"
#include "copy/policy.h"
#include "transport/open.h"

#include <tug/copy.h>
#include <tug/progress.h>
#include <tug/reference.h>

#include <memory>
#include <stop_token>
#include <vector>

namespace tug::cli {

// The flags of skopeo that ask for what tug does not do, for the option table: they are refused by
// name. Better a refusal than an image that is not signed or not encrypted.
std::vector<Option> unsupported_copy_options();

// retry_options(), and how long to wait for whom and what becomes of an upload that breaks off.
std::vector<Option> upload_options();
// --limit-rate and --req-per-sec.
std::vector<Option> limit_options();

class Copier {
 public:
  enum class Run { one_image, many_images };
  // Throws Error(usage) for flags that are wrong or refused. The arguments must outlive it; the
  // context's parts are built here.
  Copier(Context& context, const Arguments& arguments, Run run);

  [[nodiscard]] const CopyOptions& options() const noexcept { return options_; }

  // Throws Error(denied) when the policy forbids it. Every copy asks by itself.
  void check_policy(const ImageReference& from) const { policy_.check(from); }
  // One of them. Any thread; `stop` ends it. Throws Error.
  CopyReport copy(const ImageReference& from, const ImageReference& to, Progress& progress,
                  const std::stop_token& stop) const;
  // The same with another way to reach the source than the flags say.
  CopyReport copy(const ImageReference& from, const TransportOptions& source_options,
                  const ImageReference& to, Progress& progress, const std::stop_token& stop) const;
  // The archive that `to` and other images go into.
  [[nodiscard]] std::shared_ptr<SharedArchive> open_archive(const ImageReference& to) const;
  // One of those.
  CopyReport copy(const ImageReference& from, SharedArchive& archive, const ImageReference& to,
                  Progress& progress, const std::stop_token& stop) const;
  // Every one of them has succeeded: nothing is kept for a next try.
  void all_succeeded() const noexcept;

 private:
  [[nodiscard]] std::unique_ptr<ImageSource> open(const ImageReference& from,
                                                  const TransportOptions& options,
                                                  Progress& progress,
                                                  const std::stop_token& stop) const;

  const Arguments& arguments_;
  const bool as_skopeo_;
  const Run run_;
  const Policy policy_;
  const CopyOptions options_;
  const TransportEnvironment& transports_;
  const registry::Environment& registries_;
  const TransportOptions source_options_;
  const TransportOptions destination_options_;
  const CopyEnvironment environment_;
};

}  // namespace tug::cli

#endif  // TUG_CLI_COPIER_H_
