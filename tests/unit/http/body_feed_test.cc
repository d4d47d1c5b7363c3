#include "http/body_feed.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <random>
#include <string>
#include <thread>

namespace tug::http {
namespace {

bool put(BodyFeed& feed, std::string_view text) {
  const auto room = feed.room();
  REQUIRE(room.size() >= text.size());
  std::memcpy(room.data(), text.data(), text.size());
  return feed.commit(text.size());
}

std::string take(BodyFeed& feed, std::size_t max = 100) {
  std::string text(max, '\0');
  text.resize(feed.take(std::as_writable_bytes(std::span(text.data(), text.size()))));
  return text;
}

TEST_CASE("the latest bytes are held back until the end is known") {
  BodyFeed feed(64);
  CHECK_FALSE(put(feed, "abc"));
  CHECK(take(feed).empty());
  CHECK_FALSE(feed.has_released());
  CHECK_FALSE(put(feed, "de"));
  CHECK(feed.has_released());
  CHECK(take(feed, 2) == "ab");
  CHECK(take(feed) == "c");
  CHECK(take(feed).empty());
  CHECK_FALSE(feed.ended());
  CHECK(feed.finish());  // the consumer waits
  CHECK_FALSE(feed.ended());
  CHECK(take(feed) == "de");
  CHECK(feed.ended());
}

TEST_CASE("the consumer is woken for a worthwhile amount, once it waits") {
  BodyFeed feed(256 * 1024);
  const std::string piece(20 * 1024, 'x');
  CHECK_FALSE(put(feed, piece));
  CHECK_FALSE(put(feed, piece));
  CHECK_FALSE(put(feed, piece));  // 40 KiB are there, but nobody asked yet
  CHECK(take(feed, 1 << 20).size() == 40 * 1024);
  CHECK(take(feed).empty());
  CHECK_FALSE(put(feed, piece));
  CHECK(put(feed, piece));
}

TEST_CASE("an empty body ends at once") {
  BodyFeed feed(64);
  CHECK_FALSE(feed.finish());
  CHECK(take(feed).empty());
  CHECK(feed.ended());
}

TEST_CASE("cancel() wakes a producer that waits for room") {
  BodyFeed feed(16);
  for (int i = 0; i < 4; ++i) (void)put(feed, "abcd");
  std::thread producer([&] { CHECK(feed.room().empty()); });
  feed.cancel();
  producer.join();
}

TEST_CASE("two threads move every byte in order, whatever the sizes") {
  for (const std::size_t capacity : {4u, 7u, 64u, 1000u, 65536u}) {
    BodyFeed feed(capacity);
    const std::uint64_t total = capacity < 64 ? 5'000 : 300'000;
    std::thread producer([&] {
      std::minstd_rand random(1);
      for (std::uint64_t at = 0; at < total;) {
        const auto room = feed.room();
        const std::size_t size = std::min<std::size_t>(
            {room.size(), std::size_t{1} + random() % 700, static_cast<std::size_t>(total - at)});
        for (std::size_t i = 0; i < size; ++i) room[i] = static_cast<std::byte>((at + i) * 31 >> 3);
        at += size;
        (void)feed.commit(size);
      }
      (void)feed.finish();
    });
    std::minstd_rand random(2);
    std::array<std::byte, 900> buffer;
    std::uint64_t at = 0;
    bool equal = true;
    while (!feed.ended()) {
      const std::size_t size = feed.take(std::span(buffer).first(1 + random() % buffer.size()));
      for (std::size_t i = 0; i < size; ++i) {
        equal = equal && buffer[i] == static_cast<std::byte>((at + i) * 31 >> 3);
      }
      at += size;
      if (size == 0) std::this_thread::yield();
    }
    producer.join();
    CHECK(equal);
    CHECK(at == total);
  }
}

}  // namespace
}  // namespace tug::http
