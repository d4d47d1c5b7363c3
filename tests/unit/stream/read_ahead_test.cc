#include "stream/read_ahead.h"

#include "stream_fixture.h"
#include "support/error_of.h"

#include <tug/error.h>

#include <doctest/doctest.h>

#include <array>
#include <memory>

namespace tug {
namespace {

using test::DrippingSource;
using test::read_all;

// Ends with an error, and tells how much was read.
class BreakingSource final : public ByteSource {
 public:
  explicit BreakingSource(std::string bytes) : inner_(std::move(bytes), 1000) {}
  std::size_t read(std::span<std::byte> buffer) override {
    const std::size_t got = inner_.read(buffer);
    taken_ += got;
    if (got == 0) throw Error(ErrorKind::integrity, "it is broken");
    return got;
  }
  [[nodiscard]] std::size_t taken() const noexcept { return taken_; }

 private:
  DrippingSource inner_;
  std::size_t taken_ = 0;
};

TEST_CASE("read ahead: the same bytes, whatever the pieces are") {
  for (const std::size_t size : {0U, 1U, 262'143U, 262'144U, 262'145U, 3'000'000U}) {
    const std::string bytes = test::random_bytes(size);
    for (const std::size_t step : {999U, 262'144U, 1'000'000U}) {
      DrippingSource inner(bytes, 70'000);
      ReadAheadSource source(inner);
      CHECK(read_all(source, step) == bytes);
      std::array<std::byte, 10> more{};
      CHECK(source.read(more) == 0);
      CHECK(inner.read(more) == 0);  // the caller's again
    }
  }
}

TEST_CASE("read ahead: what goes wrong is said after the bytes before it, as often as one asks") {
  for (const std::size_t size : {0U, 5000U, 262'144U, 2'000'000U}) {
    const std::string bytes = test::random_bytes(size);
    BreakingSource inner(bytes);
    ReadAheadSource source(inner);
    std::string all(size + 1, '\0');
    std::size_t got = 0;
    while (got < size) got += source.read(std::as_writable_bytes(std::span(all).subspan(got)));
    CHECK(all.substr(0, got) == bytes);
    for (int i = 0; i < 2; ++i) {
      test::check_error(ErrorKind::integrity, "it is broken",
                        [&] { (void)source.read(std::as_writable_bytes(std::span(all))); });
    }
  }
}

TEST_CASE("read ahead: no more than some pieces are read for nobody, and nothing after its end") {
  BreakingSource inner(test::random_bytes(20'000'000));
  {
    ReadAheadSource source(inner);
    std::array<std::byte, 10> some{};
    CHECK(source.read(some) == 10);
  }
  CHECK(inner.taken() >= 10);
  CHECK(inner.taken() <= 2'000'000);
}

}  // namespace
}  // namespace tug
