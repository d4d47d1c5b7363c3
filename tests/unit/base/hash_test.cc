#include "base/hash.h"

#include <doctest/doctest.h>

#include <string>
#include <thread>
#include <vector>

namespace tug {
namespace {

std::string hash(Hasher::Kind kind, std::string_view bytes) {
  Hasher hasher(kind);
  hasher.update(bytes);
  return to_hex(hasher.finish());
}

TEST_CASE("the hashes are those of FIPS 180-4's examples") {
  CHECK(hash(Hasher::Kind::sha256, "") ==
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(hash(Hasher::Kind::sha256, "abc") ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(hash(Hasher::Kind::sha256, std::string(1000000, 'a')) ==
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  CHECK(hash(Hasher::Kind::sha512, "abc") ==
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
        "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
}

TEST_CASE("a hasher may go on after finish, in pieces of any size, and be moved") {
  const std::string bytes(1000, 'z');
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    Hasher first;
    first.update(std::string_view(bytes).substr(0, cut));
    REQUIRE(to_hex(first.finish()) == hash(Hasher::Kind::sha256, bytes.substr(0, cut)));
    Hasher second = std::move(first);
    second.update(std::as_bytes(std::span(bytes).subspan(cut)));
    REQUIRE(to_hex(second.finish()) == hash(Hasher::Kind::sha256, bytes));
    REQUIRE(second.finish() == second.finish());
  }
}

TEST_CASE("hashers of several threads do not know each other") {
  std::vector<std::string> results(4);
  std::vector<std::thread> threads;
  for (std::string& result : results)
    threads.emplace_back([&result] { result = hash(Hasher::Kind::sha512, "tug"); });
  for (std::thread& thread : threads) thread.join();
  for (const std::string& result : results) CHECK(result == hash(Hasher::Kind::sha512, "tug"));
}

TEST_CASE("hex is lower case, two digits a byte") {
  const std::byte bytes[] = {std::byte{0}, std::byte{0x0f}, std::byte{0xa0}, std::byte{0xff}};
  CHECK(to_hex(bytes) == "000fa0ff");
  CHECK(to_hex({}).empty());
}

}  // namespace
}  // namespace tug
