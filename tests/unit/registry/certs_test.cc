#include "registry/certs.h"

#include "support/error_of.h"
#include "support/scoped_env.h"
#include "support/temp_dir.h"

#include <doctest/doctest.h>

#include <filesystem>

using namespace tug;
using namespace tug::registry;

TEST_CASE("a named certificate directory is used itself") {
  const test::TempDir dir;
  const std::string b = dir.write("b.crt", "B");
  const std::string a = dir.write("a.crt", "A");
  const std::string cert = dir.write("client.cert", "C");
  const std::string key = dir.write("client.key", "K");
  dir.write("README", "");
  dir.write("sub.crt/x", "");
  std::filesystem::create_symlink("nowhere", dir.path() + "/gone.crt");
  const http::TlsConfig tls = load_certificates("reg.example:5000", dir.path(), Log());
  CHECK(tls.verify);
  CHECK(tls.ca_files == std::vector{a, b});
  CHECK(tls.client_certificates == std::vector{std::pair{cert, key}});
}

TEST_CASE("half of a client certificate is a usage error") {
  for (const char* half : {"client.cert", "client.key"}) {
    const test::TempDir dir;
    dir.write(half, "");
    test::check_error(ErrorKind::usage, half, [&] { load_certificates("reg", dir.path(), Log()); });
    test::check_error(ErrorKind::usage, "ends in .crt",
                      [&] { load_certificates("reg", dir.path(), Log()); });
  }
}

TEST_CASE("a named directory that is not there has no certificates, and is noted") {
  std::string noted;
  const http::TlsConfig tls = load_certificates("reg", "/no/such/dir", Log(),
                                                [&](std::string_view text) { noted += text; });
  CHECK(tls.ca_files.empty());
  CHECK(noted == "the certificate directory /no/such/dir is not there");
  test::check_error(ErrorKind::usage, "/dev/null: Not a directory",
                    [] { load_certificates("reg", "/dev/null", Log()); });
}

TEST_CASE("the directory of a registry is that of its name and port") {
  const test::TempDir home;
  test::ScopedEnv env;
  env.set("HOME", home.path());
  const std::string ca = home.write(".config/containers/certs.d/reg.example:5000/ca.crt", "");
  CHECK(load_certificates("reg.example:5000", std::nullopt, Log()).ca_files == std::vector{ca});
  CHECK(load_certificates("reg.example", std::nullopt, Log()).ca_files.empty());
  env.set("HOME", std::nullopt);
  CHECK(load_certificates("reg.example:5000", std::nullopt, Log()).ca_files.empty());
}
