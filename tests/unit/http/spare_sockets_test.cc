#include "http/spare_sockets.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace tug::http {
namespace {

// A port of 127.0.0.1 that takes connections.
class Listener {
 public:
  Listener() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address_);
    auto* name = reinterpret_cast<sockaddr*>(&address_);
    REQUIRE(::bind(socket_.get(), name, length) == 0);
    REQUIRE(::listen(socket_.get(), 64) == 0);
    REQUIRE(::getsockname(socket_.get(), name, &length) == 0);
  }
  [[nodiscard]] std::span<const std::byte> address() const {
    return std::as_bytes(std::span(&address_, 1));
  }
  [[nodiscard]] UniqueFd accept() const {
    return UniqueFd(::accept(socket_.get(), nullptr, nullptr));
  }

 private:
  UniqueFd socket_;
  sockaddr_in address_{};
};

TEST_CASE("a spare socket goes to whoever asks for its address, once") {
  const Listener here;
  const Listener elsewhere;
  SpareSockets spares;
  spares.open(here.address());
  const UniqueFd peer = here.accept();
  CHECK_FALSE(spares.take(elsewhere.address()));
  const UniqueFd spare = spares.take(here.address());
  REQUIRE(spare);
  CHECK_FALSE(spares.take(here.address()));
  CHECK(::write(spare.get(), "hello", 5) == 5);
  std::array<char, 8> read{};
  CHECK(::read(peer.get(), read.data(), read.size()) == 5);
}

TEST_CASE("a spare socket that was closed meanwhile is passed over") {
  const Listener here;
  SpareSockets spares;
  spares.open(here.address());
  UniqueFd closed = here.accept();
  spares.open(here.address());
  const UniqueFd kept = here.accept();
  closed = UniqueFd();
  CHECK(spares.take(here.address()));
  CHECK_FALSE(spares.take(here.address()));
}

TEST_CASE("where nobody listens there is no spare socket") {
  std::array<std::byte, sizeof(sockaddr_in)> address{};
  {
    const Listener gone;
    std::ranges::copy(gone.address(), address.begin());
  }
  SpareSockets spares;
  spares.open(address);
  CHECK_FALSE(spares.take(address));
}

TEST_CASE("spare sockets are few") {
  const Listener here;
  SpareSockets spares;
  int open = 0;
  for (int i = 0; i < 20; ++i) spares.open(here.address());
  while (spares.take(here.address())) ++open;
  CHECK(open == 8);
}

}  // namespace
}  // namespace tug::http
