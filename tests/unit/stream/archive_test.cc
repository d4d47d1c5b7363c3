#include "stream/archive.h"

#include "stream/compress.h"
#include "stream/tar_header.h"
#include "support/error_of.h"
#include "support/tar_bytes.h"
#include "support/temp_dir.h"
#include "unit/stream/stream_fixture.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace tug {
namespace {

using Kind = ArchiveMember::Kind;
using test::check_error;
using test::tar_of;
using test::TarMember;
using test::TempDir;

std::shared_ptr<const UniqueFd> open_shared(const std::string& path) {
  return std::make_shared<const UniqueFd>(open_for_reading(path));
}

std::string compressed(const std::string& bytes, LayerCompression format) {
  CpuPool pool(1);
  return test::read_all(*compressing_source(memory_source(bytes), {format, std::nullopt}, pool));
}

std::string content(ArchiveReader& reader) {
  std::string bytes;
  std::vector<std::byte> buffer(1000);
  while (const std::size_t got = reader.read(buffer))
    bytes.append(reinterpret_cast<const char*>(buffer.data()), got);
  return bytes;
}

std::vector<ArchiveMember> members(const std::string& path) {
  ArchiveReader reader(open_shared(path), path, {});
  std::vector<ArchiveMember> all;
  ArchiveMember member;
  while (reader.next(member)) all.push_back(member);
  return all;
}

const std::vector<TarMember> kMembers{{"a/", "", '5'},
                                      {"a/one", "the first"},
                                      {"a/link", "", '2', "../b"},
                                      {"b", std::string(70000, 'x')},
                                      {"hard", "", '1', "a/one"},
                                      {"null", "", '3'},
                                      {"/abs/../name", "here"}};

}  // namespace

TEST_CASE("members are told with their kinds, sizes and places") {
  const TempDir dir;
  const std::string tar = tar_of(kMembers);
  const std::string path = dir.write("x.tar", tar);
  const std::vector<ArchiveMember> all = members(path);
  REQUIRE(all.size() == kMembers.size());
  const Kind kinds[] = {Kind::other,    Kind::file,  Kind::symlink, Kind::file,
                        Kind::hardlink, Kind::other, Kind::file};
  for (std::size_t i = 0; i < all.size(); ++i) {
    CAPTURE(all[i].name);
    CHECK(all[i].name == kMembers[i].name);
    CHECK(static_cast<int>(all[i].kind) == static_cast<int>(kinds[i]));
    CHECK(all[i].link == kMembers[i].link);
    if (all[i].kind != Kind::file) continue;
    CHECK(all[i].size == kMembers[i].content.size());
    CHECK(tar.substr(all[i].offset, all[i].size) == kMembers[i].content);
  }
}

TEST_CASE("a compressed archive is read as the plain one") {
  const TempDir dir;
  const std::string tar = tar_of(kMembers);
  for (const LayerCompression format : {LayerCompression::gzip, LayerCompression::zstd}) {
    const std::string path = dir.write("x", compressed(tar, format));
    ArchiveReader reader(open_shared(path), path, {});
    ArchiveMember member;
    for (const TarMember& expected : kMembers) {
      REQUIRE(reader.next(member));
      CHECK(reader.is_compressed());
      CHECK(member.name == expected.name);
      if (member.name == "b") continue;  // passed over
      if (member.kind == Kind::file) CHECK(content(reader) == expected.content);
      if (member.kind == Kind::file)
        CHECK(tar.substr(member.offset, member.size) == expected.content);
    }
    CHECK_FALSE(reader.next(member));
  }
}

TEST_CASE("names longer than a header takes, and sizes") {
  const TempDir dir;
  const std::string name = "blobs/sha512/" + std::string(128, 'f');
  const std::string path = dir.write("x.tar", tar_of({{name, "long"}, {"next", "n"}}));
  const std::vector<ArchiveMember> all = members(path);
  REQUIRE(all.size() == 2);
  CHECK(all[0].name == name);
  CHECK(all[0].size == 4);
  CHECK(all[1].name == "next");

  // 8 GiB and more, of which there is only the header.
  const std::string large = tar_header({.name = "large", .size = std::uint64_t{9} << 30U});
  CHECK(large.size() == kTarBlockBytes);
  check_error(ErrorKind::integrity, "is truncated: its member large ends behind",
              [&] { members(dir.write("large.tar", large + std::string(1024, 'x'))); });
}

TEST_CASE("what is no archive") {
  const TempDir dir;
  check_error(ErrorKind::integrity, "empty is empty", [&] {
    const std::string path = dir.write("empty", "");
    members("" + path);
  });
  for (const std::string& bytes :
       {std::string("{}"), std::string(10240, 'x'), test::random_bytes(20000),
        compressed("no tar at all, but compressed", LayerCompression::gzip),
        std::string("\x1f\x8b\x08 and then something else")}) {
    check_error(ErrorKind::integrity, "is no tar archive, or damaged",
                [&] { members(dir.write("x", bytes)); });
  }
}

TEST_CASE("an archive that is cut short is an error or has fewer members, never another content") {
  const TempDir dir;
  const std::string tar = tar_of({{"a", "first"}, {"b", std::string(3000, 'b')}, {"c", "last"}});
  for (std::size_t size = 0; size < tar.size(); size += 37) {
    CAPTURE(size);
    const std::string path = dir.write("x.tar", tar.substr(0, size));
    try {
      const std::vector<ArchiveMember> all = members(path);
      CHECK(all.size() <= 3);
      for (const ArchiveMember& member : all) CHECK(member.offset + member.size <= size);
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::integrity);
    }
  }
  const std::string packed = compressed(tar, LayerCompression::gzip);
  for (std::size_t size = 1; size < packed.size(); ++size) {
    CAPTURE(size);
    try {
      const std::vector<ArchiveMember> all = members(dir.write("x.tgz", packed.substr(0, size)));
      CHECK(all.size() <= 3);
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::integrity);
    }
  }
}

TEST_CASE("what grows out of hand is given up") {
  const TempDir dir;
  const std::string bomb = compressed(
      tar_of({{"zeros", std::string(std::size_t{64} << 20U, '\0')}}), LayerCompression::zstd);
  const std::string path = dir.write("x", bomb);
  REQUIRE(bomb.size() * kMaxGrowth < (std::size_t{32} << 20U));
  for (const bool is_read : {false, true}) {
    ArchiveReader reader(open_shared(path), path, {}, std::uint64_t{1} << 20U);
    ArchiveMember member;
    REQUIRE(reader.next(member));
    check_error(ErrorKind::limit, "gets out of hand", [&] {
      if (is_read) content(reader);
      (void)reader.next(member);
    });
  }
  CHECK(members(path).size() == 1);
}

TEST_CASE("more names, and longer ones, than any image has") {
  const TempDir dir;
  std::string many;
  const std::string header = tar_header({.name = "x"});
  for (int i = 0; i <= 100'000; ++i) many += header;
  check_error(ErrorKind::limit, "more than 100000 members",
              [&] { members(dir.write("many.tar", many)); });
  // A pax record of a name of 5000 bytes.
  const std::string name(5000, 'n');
  const std::string record = "5011 path=" + name + "\n";
  REQUIRE(record.size() == 5011);
  check_error(ErrorKind::limit, "longer than 4096 bytes", [&] {
    members(dir.write("long.tar", tar_of({{"pax", record, 'x'}, {"short", ""}})));
  });
}

TEST_CASE("a stop ends it") {
  const TempDir dir;
  const std::string path = dir.write("x.tar", tar_of(kMembers));
  std::stop_source stop;
  ArchiveReader reader(open_shared(path), path, stop.get_token());
  ArchiveMember member;
  REQUIRE(reader.next(member));
  stop.request_stop();
  check_error(ErrorKind::interrupted, "", [&] { (void)reader.next(member); });
}

}  // namespace tug
