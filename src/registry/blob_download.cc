#include "registry/blob_download.h"

#include "base/strings.h"
#include "registry/attempts.h"

#include <tug/error.h>

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>
#include <thread>
#include <utility>

namespace tug::registry {
namespace {

// What the network may be ahead of the reader. There are two such buffers for a blob.
constexpr std::size_t kBufferBytes = 256 * 1024;

// Between the loop thread, which puts in, and the reader.
class Buffer final : public http::BodySink {
 public:
  Buffer(std::string name, const ByteRange& range)
      : name_(std::move(name)), position_(range.from), size_(range.to) {}

  // --- the loop thread

  void begin(int status, const http::Headers& headers) override {
    const std::lock_guard lock(mutex_);
    skip_ = 0;
    if (status != 206) {
      skip_ = position_;
      return;
    }
    const auto first = first_byte(headers.get("Content-Range"));
    if (first == position_) return;
    throw Error(
        ErrorKind::protocol,
        fmt::format("{}: byte {} was asked for, and the answer is another part: {}", name_,
                    position_,
                    printable(headers.get("Content-Range").value_or("no Content-Range"), 60)));
  }
  bool take(std::span<const std::byte> bytes) override {
    const std::lock_guard lock(mutex_);
    if (filling_.size() >= kBufferBytes) {
      is_refused_ = true;
      return false;
    }
    const auto skipped = static_cast<std::size_t>(std::min<std::uint64_t>(skip_, bytes.size()));
    skip_ -= skipped;
    bytes = bytes.subspan(skipped);
    if (bytes.size() > size_ - position_) {
      throw Error(ErrorKind::integrity,
                  fmt::format("{} is longer than the {} bytes of its descriptor", name_, size_));
    }
    filling_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    position_ += bytes.size();
    changed_.notify_one();
    return true;
  }
  void when_room(std::function<void()> wake) override {
    const std::lock_guard lock(mutex_);
    wake_ = std::move(wake);
    is_refused_ = false;
  }

  // --- who makes the requests

  // How far the content has come.
  [[nodiscard]] std::uint64_t position() const {
    const std::lock_guard lock(mutex_);
    return position_;
  }
  // Nothing more comes; null: all of it has.
  void end(std::exception_ptr failure) {
    const std::lock_guard lock(mutex_);
    has_ended_ = true;
    failure_ = std::move(failure);
    changed_.notify_one();
  }

  // --- the reader

  std::size_t read(std::span<std::byte> target) {
    if (taken_ == reading_.size()) refill();
    const std::size_t size = std::min(target.size(), reading_.size() - taken_);
    std::copy_n(reinterpret_cast<const std::byte*>(reading_.data()) + taken_, size, target.data());
    taken_ += size;
    return size;
  }

 private:
  void refill() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !filling_.empty() || has_ended_; });
    if (filling_.empty() && failure_) std::rethrow_exception(failure_);
    reading_.clear();
    taken_ = 0;
    std::swap(reading_, filling_);
    if (std::exchange(is_refused_, false) && wake_) wake_();
  }

  const std::string name_;
  // The reader's.
  std::string reading_;
  std::size_t taken_ = 0;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::string filling_;
  std::uint64_t position_;
  const std::uint64_t size_;
  std::uint64_t skip_ = 0;   // of the body that comes in: was there before
  bool is_refused_ = false;  // the loop waits for room
  bool has_ended_ = false;
  std::exception_ptr failure_;
  std::function<void()> wake_;
};

class BlobDownload final : public ByteSource {
 public:
  BlobDownload(Host& host, Call call, std::string name, const ByteRange& range,
               const std::stop_token& stop)
      : host_(host),
        call_(std::move(call)),
        name_(std::move(name)),
        size_(range.to),
        buffer_(name_, range),
        on_stop_(stop, StopToo{stop_}),
        thread_([this] { run(); }) {}
  ~BlobDownload() override {
    stop_.request_stop();
    thread_.join();
  }

  std::size_t read(std::span<std::byte> target) override { return buffer_.read(target); }

 private:
  struct StopToo {
    std::stop_source& stop;
    void operator()() const { stop.request_stop(); }
  };

  void run() noexcept {
    try {
      with_context("reading " + name_, [this] { fetch(); });
      buffer_.end(nullptr);
    } catch (...) {
      buffer_.end(std::current_exception());
    }
  }

  void fetch() {
    Attempts attempts(host_.environment(), stop_.get_token());
    std::uint64_t before = buffer_.position();
    while (before < size_) {
      const Answer answer = request(before);
      const std::uint64_t now = buffer_.position();
      if (now == size_) return;
      if (!answer.response.truncated && answer.response.status == 200) {
        throw Error(ErrorKind::integrity,
                    fmt::format("{} sent {} bytes, but its descriptor says {}",
                                answer.url.origin().authority(), now, size_));
      }
      if (now > before) attempts.progress();
      before = now;
      attempts.failed(
          Error(ErrorKind::network, fmt::format("{} broke off its answer after {} of {} bytes",
                                                answer.url.origin().authority(), now, size_)),
          {});
    }
  }

  Answer request(std::uint64_t from) {
    Call call = call_;
    call.sink = &buffer_;
    if (from > 0) call.headers.add("Range", fmt::format("bytes={}-", from));
    Answer answer = host_.call(call, stop_.get_token());
    if (answer.response.status != 200 && answer.response.status != 206)
      throw host_.failure(answer, call.scopes);
    return answer;
  }

  Host& host_;
  const Call call_;
  const std::string name_;
  const std::uint64_t size_;
  Buffer buffer_;
  std::stop_source stop_;
  const std::stop_callback<StopToo> on_stop_;
  std::thread thread_;
};

}  // namespace

std::optional<std::uint64_t> first_byte(std::optional<std::string_view> content_range) {
  std::string_view text = trim(content_range.value_or(""));
  if (!to_lower(text).starts_with("bytes ")) return std::nullopt;
  text = trim(text.substr(6));
  return parse_uint(text.substr(0, text.find('-')));
}

std::unique_ptr<ByteSource> download_blob(Host& host, Call call, std::string name,
                                          const ByteRange& range, const std::stop_token& stop) {
  return std::make_unique<BlobDownload>(host, std::move(call), std::move(name), range, stop);
}

}  // namespace tug::registry
