// A scripted registry and a Repository that talks to it, with time under the test's control: no
// retry really waits.
#ifndef TUG_TESTS_SUPPORT_REGISTRY_LAB_H_
#define TUG_TESTS_SUPPORT_REGISTRY_LAB_H_

#include "base/stop.h"
#include "registry/repository.h"
#include "support/scripted_registry.h"
#include "support/some_bytes.h"

#include <tug/blob.h>
#include <tug/error.h>
#include <tug/transport.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace tug::test {

// Yields `bytes` in pieces of at most `piece`; `on_read` may throw, with the offset reached.
class PiecewiseSource : public DigestingSource {
 public:
  PiecewiseSource(std::shared_ptr<const std::string> bytes, std::uint64_t offset, std::size_t piece,
                  std::function<void(std::uint64_t)> on_read = nullptr)
      : bytes_(std::move(bytes)), at_(offset), piece_(piece), on_read_(std::move(on_read)) {}
  std::size_t read(std::span<std::byte> buffer) override {
    if (on_read_) on_read_(at_);
    const std::size_t left = bytes_->size() - static_cast<std::size_t>(at_);
    const std::size_t count = std::min({buffer.size(), left, piece_});
    std::copy_n(reinterpret_cast<const std::byte*>(bytes_->data()) + at_, count, buffer.begin());
    at_ += count;
    return count;
  }
  [[nodiscard]] Descriptor result() const override {
    if (at_ != bytes_->size()) throw std::logic_error("result() before the end");
    return {"", Digest::of(*bytes_), bytes_->size(), {}, {}, {}, {}};
  }

 private:
  const std::shared_ptr<const std::string> bytes_;
  std::uint64_t at_;
  const std::size_t piece_;
  const std::function<void(std::uint64_t)> on_read_;
};

// A Blob of these bytes; `names` (else the bytes themselves) is what its descriptor says.
inline Blob blob_of(std::string bytes, const std::string* names = nullptr,
                    std::function<void(std::uint64_t)> on_read = nullptr) {
  const std::string& named = names != nullptr ? *names : bytes;
  Descriptor descriptor{
      std::string(media_type::kOciLayerGzip), Digest::of(named), named.size(), {}, {}, {}, {}};
  const auto shared = std::make_shared<const std::string>(std::move(bytes));
  return {std::move(descriptor),
          Blob::Form::exact,
          {},
          shared->size(),
          false,
          [shared, on_read](std::uint64_t offset) {
            return std::make_unique<PiecewiseSource>(shared, offset, 7000, on_read);
          }};
}

// A stream of these bytes; `opened` counts and gets the offsets.
inline StreamedBlob stream_of(std::string bytes, std::vector<std::uint64_t>* opened = nullptr,
                              std::string resume_key = "") {
  const auto shared = std::make_shared<const std::string>(std::move(bytes));
  return {std::string(media_type::kOciLayerGzip),
          [shared, opened](std::uint64_t offset) {
            if (opened != nullptr) opened->push_back(offset);
            return std::make_unique<PiecewiseSource>(shared, offset, 7000);
          },
          std::move(resume_key)};
}

struct LabOptions {
  ScriptedRegistry::Options registry;
  RetryPolicy retry{};
  std::chrono::milliseconds stall{60'000};
  registry::UploadTuning tuning;
  std::optional<std::uint64_t> chunk_size = {};
  std::optional<std::uint64_t> bytes_per_second = {};
  std::optional<std::uint64_t> requests_per_second = {};
  std::shared_ptr<registry::ResumeState> resume = {};
  std::string repository = "team/app";
  bool with_credentials = false;
};

class RegistryLab {
 public:
  explicit RegistryLab(LabOptions options = {})
      : registry(options.registry),
        log_([this](std::string_view line) { remember(debug_, line); }),
        http_({.timeouts = {.connect = std::chrono::milliseconds(5'000), .stall = options.stall}},
              log_),
        hosts_(environment(options)),
        reference_(
            RegistryReference::parse_repository(registry.authority() + "/" + options.repository)),
        host(hosts_.get(reference_, access(options))),
        repository(host, reference_, true, options.tuning) {}

  // Uploads a blob of these bytes.
  std::uint64_t put(const std::string& bytes) {
    return repository.put_blob(
        blob_of(bytes), [this](std::uint64_t n) { report(n); }, stop);
  }
  // Uploads a stream of these bytes.
  Descriptor put_stream(const std::string& bytes, std::vector<std::uint64_t>* opened = nullptr) {
    return repository.put_stream(
        stream_of(bytes, opened), [this](std::uint64_t n) { report(n); }, stop);
  }
  // True when the registry holds exactly these bytes.
  [[nodiscard]] bool holds(const std::string& bytes) const {
    return registry.blob("team/app", Digest::of(bytes)) == bytes;
  }
  // Requests but for the ping that settles the scheme.
  [[nodiscard]] std::size_t requests() const { return registry.count("", "^/v2/."); }
  [[nodiscard]] std::vector<std::string> notes() const { return copy_of(notes_); }
  [[nodiscard]] std::string debug_log() const {
    std::string all;
    for (const std::string& line : copy_of(debug_)) all += line + "\n";
    return all;
  }
  [[nodiscard]] std::chrono::milliseconds slept() const {
    return std::chrono::milliseconds(slept_.load());
  }
  // What SentCallback was told, in order.
  [[nodiscard]] std::vector<std::uint64_t> reports() const {
    const std::lock_guard lock(mutex_);
    return reports_;
  }

  ScriptedRegistry registry;

 private:
  static RegistryAccess access(const LabOptions& options) {
    RegistryAccess access;
    access.tls_verify = false;  // the scripted registry speaks plain http
    access.anonymous = !options.with_credentials;
    if (options.with_credentials)
      access.credentials = {options.registry.username, Secret(options.registry.password)};
    return access;
  }
  registry::Environment environment(const LabOptions& options) {
    registry::Timing timing;
    timing.sleep = [this](std::chrono::milliseconds duration, const std::stop_token& token) {
      throw_if_stopped(token);
      slept_ += duration.count();
    };
    timing.now = [this] {
      return std::chrono::steady_clock::now() + std::chrono::milliseconds(slept_.load());
    };
    return {.http = http_,
            .registries_conf = conf_,
            .retry = options.retry,
            .log = log_,
            .note = [this](std::string_view n) { remember(notes_, n); },
            .timing = timing,
            .chunk_size = options.chunk_size,
            .bytes_per_second = options.bytes_per_second,
            .requests_per_second = options.requests_per_second,
            .resume = options.resume};
  }
  void report(std::uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    reports_.push_back(bytes);
  }
  void remember(std::vector<std::string>& list, std::string_view line) {
    const std::lock_guard lock(mutex_);
    list.emplace_back(line);
  }
  std::vector<std::string> copy_of(const std::vector<std::string>& list) const {
    const std::lock_guard lock(mutex_);
    return list;
  }

  mutable std::mutex mutex_;
  std::vector<std::string> notes_;
  std::vector<std::string> debug_;
  std::vector<std::uint64_t> reports_;
  std::atomic<std::chrono::milliseconds::rep> slept_{0};

  Log log_;
  http::Client http_;
  registry::RegistriesConf conf_;
  registry::Hosts hosts_;
  const RegistryReference reference_;

 public:
  registry::Host& host;
  registry::Repository repository;
  std::stop_token stop;
};

}  // namespace tug::test

#endif  // TUG_TESTS_SUPPORT_REGISTRY_LAB_H_
