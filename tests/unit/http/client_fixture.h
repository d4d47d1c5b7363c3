// What the tests of the client share: sources of every kind, short requests.
#ifndef TUG_TESTS_UNIT_HTTP_CLIENT_FIXTURE_H_
#define TUG_TESTS_UNIT_HTTP_CLIENT_FIXTURE_H_

#include "http/client.h"
#include "support/http_server.h"

#include <tug/error.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

namespace tug::http {

inline const Log kNoLog;

inline bool says(const Error& error, std::string_view text) {
  return std::string_view(error.what()).find(text) != std::string_view::npos;
}

// Yields `size` bytes of a pattern in pieces of at most `piece`; `before` may throw or sleep.
class PatternSource : public ByteSource {
 public:
  explicit PatternSource(std::uint64_t size, std::size_t piece = 1 << 20)
      : size_(size), piece_(piece) {}
  std::size_t read(std::span<std::byte> buffer) override {
    if (before) before(at_);
    const auto count =
        static_cast<std::size_t>(std::min<std::uint64_t>({size_ - at_, piece_, buffer.size()}));
    for (std::size_t i = 0; i < count; ++i) buffer[i] = static_cast<std::byte>(byte_at(at_ + i));
    at_ += count;
    return count;
  }
  static char byte_at(std::uint64_t offset) { return static_cast<char>((offset * 167) >> 5); }
  static std::string text(std::uint64_t size) {
    std::string all(size, '\0');
    for (std::uint64_t i = 0; i < size; ++i) all[i] = byte_at(i);
    return all;
  }
  [[nodiscard]] std::uint64_t offset() const { return at_; }
  std::function<void(std::uint64_t)> before;

 private:
  std::uint64_t size_;
  std::size_t piece_;
  std::atomic<std::uint64_t> at_{0};
};

inline Request make_request(Method method, const std::string& url) {
  Request request{.method = method, .url = Url::parse(url)};
  return request;
}

inline Request make_upload(Method method, const std::string& url, ByteSource& source,
                           std::optional<std::uint64_t> length) {
  Request request = make_request(method, url);
  request.body.emplace();
  request.body->source = &source;
  request.body->length = length;
  return request;
}

inline Client::Options options_with(std::chrono::milliseconds stall,
                                    std::chrono::milliseconds connect = std::chrono::seconds(20)) {
  Client::Options options;
  options.timeouts.stall = stall;
  options.timeouts.connect = connect;
  return options;
}

}  // namespace tug::http

#endif  // TUG_TESTS_UNIT_HTTP_CLIENT_FIXTURE_H_
