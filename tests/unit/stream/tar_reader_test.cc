#include "stream/tar_reader.h"

#include "stream/compress.h"
#include "stream/tar_split.h"
#include "stream/tar_split_writer.h"
#include "stream_fixture.h"
#include "support/error_of.h"
#include "support/layer_tar.h"

#include <fmt/format.h>

#include <map>
#include <vector>

namespace tug {
namespace {

using test::check_error;
using test::header_of;
using test::kTarEnd;
using test::member_of;
using test::pax_record;

struct Taken {
  std::vector<TarMember> members;
  std::map<std::string, std::string> contents;
  std::string split;  // JSON
};

std::string text_of(ByteSource& source) {
  std::string text;
  std::string buffer(1000, '\0');
  while (const std::size_t got = source.read(std::as_writable_bytes(std::span(buffer))))
    text.append(buffer, 0, got);
  return text;
}

Taken take(const std::string& tar, std::size_t step = 1 << 20, bool reads = true) {
  Taken taken;
  std::string packed;
  TarSplitWriter split([&](std::span<const std::byte> piece) {
    packed.append(reinterpret_cast<const char*>(piece.data()), piece.size());
  });
  test::DrippingSource source(tar, step);
  TarReader reader(source, "t.tar", &split);
  TarMember member;
  std::string buffer(700, '\0');
  while (reader.next(member)) {
    taken.members.push_back(member);
    std::size_t got = 0;
    while (reads && (got = reader.read(std::as_writable_bytes(std::span(buffer)))) != 0)
      taken.contents[member.name].append(buffer, 0, got);
  }
  CHECK_FALSE(reader.next(member));
  split.finish();
  taken.split = text_of(*decompressing_source(memory_source(packed), "t"));
  return taken;
}

// The tar from tar-split and the files, as a store makes it.
std::string put_together(const Taken& taken) {
  TarSplitReader reader(memory_source(taken.split), "t.tar-split");
  TarSplitEntry entry;
  std::string tar;
  while (reader.next(entry)) {
    if (entry.kind == TarSplitEntry::Kind::segment) {
      tar += entry.payload;
    } else if (entry.size > 0) {
      const std::string& content = taken.contents.at(std::string(entry.name));
      CHECK(content.size() == entry.size);
      Crc64 crc;
      crc.update(std::as_bytes(std::span(content)));
      CHECK(entry.crc == crc.value());
      tar += content;
    }
  }
  return tar;
}

std::string pax(const std::string& records, const std::string& member) {
  return member_of({.name = "PaxHeaders/x", .type = 'x', .content = records}) + member;
}

}  // namespace

TEST_CASE("every tar comes out again byte for byte") {
  const std::string a = member_of({.name = "a", .content = "hello"});
  const std::string raw = member_of({.name = "n\xff\"<>", .content = "x"});
  const std::string long_name =
      member_of({.name = "././@LongLink", .type = 'L', .content = std::string(3000, 'n') + '\0'});
  const std::string tars[] = {
      "",
      kTarEnd,
      std::string(512, '\0'),
      a + kTarEnd,
      a,
      header_of({.name = "a", .content = "hello"}) + "hello",  // no padding
      a + raw + kTarEnd + std::string(3 << 20, '\0') + "garbage",
      member_of({.name = "d/", .type = '5'}) + a + kTarEnd,
      header_of({.name = "l", .type = '1', .link = "a", .claimed = 5}) + a + kTarEnd,
      long_name + raw + kTarEnd,
      member_of({.name = "g", .type = 'g', .content = pax_record("comment", "x")}) + a + kTarEnd,
      pax(pax_record("path", "d/ü") + pax_record("mtime", "1.5"), a) + kTarEnd,
      member_of({.name = "big", .content = test::random_bytes(2'000'000)}) + a + kTarEnd,
  };
  for (const std::string& tar : tars) {
    for (const std::size_t step : {std::size_t{1} << 20U, std::size_t{333}}) {
      CAPTURE(tar.size());
      CHECK(put_together(take(tar, step)) == tar);
    }
  }
}

TEST_CASE("content that nobody reads is counted all the same") {
  const Taken taken =
      take(member_of({.name = "a", .content = "hello\n"}) + kTarEnd, 1 << 20, false);
  CHECK(taken.split.find("\"size\":6,\"payload\":\"YUw+7uLYEAA=\"") != std::string::npos);
}

TEST_CASE("pax and GNU headers are about the member behind them") {
  const std::string records = pax_record("path", "name") + pax_record("uid", "70000") +
                              pax_record("gid", "3") + pax_record("mtime", "-1.5") +
                              pax_record("SCHILY.xattr.user.a", std::string("\0=\n", 3));
  const Taken taken = take(pax(records, member_of({.name = "short", .content = "x"})) +
                           member_of({.name = "next", .type = '2', .link = "to"}) + kTarEnd);
  REQUIRE(taken.members.size() == 2);
  const TarMember& first = taken.members[0];
  CHECK(first.name == "name");
  CHECK(first.uid == 70000);
  CHECK(first.gid == 3);
  CHECK(first.mtime == -2);
  CHECK(first.mtime_ns == 500'000'000);
  CHECK(first.xattrs.at("user.a") == std::string("\0=\n", 3));
  CHECK(taken.members[1].name == "next");
  CHECK(taken.members[1].link == "to");
  CHECK(taken.members[1].kind == TarMember::Kind::symlink);
}

// Two readers that see different files in one tar are a hole.
TEST_CASE("where headers contradict each other, what Go takes counts") {
  const auto name_of = [](const std::string& tar) {
    return take(tar + kTarEnd).members.at(0).name;
  };
  const std::string a = member_of({.name = "a", .content = "hello"});
  const std::string gnu = member_of({.name = "L", .type = 'L', .content = std::string("gnu\0", 4)});
  const std::string global = member_of({.name = "g", .type = 'g', .content = pax_record("k", "v")});
  CHECK(name_of(pax(pax_record("path", "pax"), gnu + a)) == "gnu");
  CHECK(name_of(gnu + pax(pax_record("path", "pax"), a)) == "gnu");
  CHECK(name_of(pax(pax_record("path", "pax"), global + a)) == "a");
  CHECK(name_of(gnu + global + a) == "a");
  CHECK(name_of(pax(pax_record("path", "one") + pax_record("path", "two"), a)) == "two");
  CHECK(name_of(pax(pax_record("path", "one") + pax_record("path", ""), a)) == "a");
  // A GNU header has times where others have a prefix, unless they are none.
  const auto gnu_member = [&](const std::string& times) {
    std::string header = header_of({.name = "a"});
    header.replace(257, 8, std::string("ustar  \0", 8)).replace(345, times.size(), times);
    header.replace(148, 8, "        ");
    unsigned sum = 0;
    for (const char c : header) sum += static_cast<unsigned char>(c);
    header.replace(148, 7, fmt::format("{:06o}", sum) + '\0');
    return header;
  };
  CHECK(name_of(gnu_member("14524770000")) == "a");
  CHECK(name_of(gnu_member("some/dir")) == "some/dir/a");
  CHECK(name_of(gnu_member("some/d\xefr")) == "a");
}

TEST_CASE("what is no tar, or none that a store can give back") {
  const std::string a = member_of({.name = "a", .content = "hello"});
  std::string wrong_sum = a;
  wrong_sum[0] = 'b';
  struct Case {
    std::string tar;
    std::string_view says;
  };
  const Case cases[] = {
      {"hello", "within a block"},
      {std::string(512, 'x'), "checksum"},
      {wrong_sum, "checksum"},
      {std::string(512, '\0') + a, "zeros"},
      {header_of({.name = "a", .content = "hello"}) + "hel", "within its member a"},
      {member_of({.name = "a", .type = 'S', .content = "x"}), "sparse"},
      {pax(pax_record("GNU.sparse.major", "1"), a), "sparse"},
      {pax("5 a=b\n", a), "pax header"},
      {pax("99999999999999999999 a=b\n", a), "pax header"},
      {pax(pax_record("path", std::string("a\0b", 3)), a), "NUL"},
      {pax(pax_record(std::string("SCHILY.xattr.security.selinux\0x", 31), "l"), a), "NUL"},
      {pax(pax_record("size", "-1"), a), "number"},
      {pax(pax_record("uid", "4294967296"), a), "number"},
      {member_of({.name = "a", .type = 'Z'}), "nobody knows"},
      {pax(pax_record("a", "b"), ""), "header of a header"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.says);
    check_error(ErrorKind::integrity, c.says, [&] { take(c.tar); });
  }
  check_error(ErrorKind::limit, "4095",
              [&] { take(pax(pax_record("path", std::string(5000, 'n')), a)); });
  check_error(ErrorKind::limit, "header",
              [&] { take(pax(pax_record("path", std::string(2'000'000, 'n')), a)); });
}

}  // namespace tug
