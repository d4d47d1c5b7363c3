#include "registry/registries_conf.h"

#include "support/error_of.h"
#include "support/scoped_env.h"
#include "support/temp_dir.h"

#include <doctest/doctest.h>

#include <string>

using namespace tug;
using namespace tug::registry;

namespace {

RegistriesConf conf_of(std::string_view text) {
  RegistriesConf conf;
  conf.merge(text, "test.conf");
  return conf;
}
std::string matched(const RegistriesConf& conf, const std::string& reference) {
  const RegistryEntry* entry = conf.match(RegistryReference::parse(reference));
  return entry ? entry->prefix : "";
}

}  // namespace

TEST_CASE("registry tables are read") {
  const RegistriesConf conf = conf_of(R"(
unqualified-search-registries = ["docker.io"]
short-name-mode = "enforcing"
credential-helpers = ["pass", "containers-auth.json"]
unknown-key = 7
[[registry]]
prefix = "reg.example/team/"
location = "mirror.example/team"
insecure = true
[[registry.mirror]]
location = "m1.example"
insecure = true
[[registry.mirror]]
location = "m2.example"
pull-from-mirror = "tag-only"
[[registry]]
location = "bad.example"
blocked = true
mirror-by-digest-only = true
[[registry.mirror]]
location = "m3.example/"
[aliases]
alpine = "docker.io/library/alpine"
)");
  REQUIRE(conf.entries().size() == 2);
  CHECK(conf.entries()[0] == RegistryEntry{"reg.example/team",
                                           "mirror.example/team",
                                           true,
                                           false,
                                           {{"m1.example", true, Mirror::Pull::all},
                                            {"m2.example", false, Mirror::Pull::tag_only}},
                                           "test.conf"});
  CHECK(conf.entries()[1] == RegistryEntry{"bad.example",
                                           "bad.example",
                                           false,
                                           true,
                                           {{"m3.example", false, Mirror::Pull::digest_only}},
                                           "test.conf"});
  CHECK(conf.credential_helpers() == std::vector<std::string>{"pass", "containers-auth.json"});
}

TEST_CASE("the longest prefix wins, and matches whole parts only") {
  const RegistriesConf conf = conf_of(R"(
[[registry]]
prefix = "reg.example"
[[registry]]
prefix = "reg.example/team"
[[registry]]
prefix = "reg.example/team/app"
[[registry]]
prefix = "reg.example:5000"
[[registry]]
prefix = "*.corp.example"
[[registry]]
prefix = "*.lab.corp.example"
[[registry]]
prefix = "docker.io/library/alpine:3"
)");
  struct Case {
    std::string reference;
    std::string prefix;
  };
  const Case cases[] = {
      {"reg.example/other", "reg.example"},
      {"reg.example/team", "reg.example/team"},
      {"reg.example/teams/x", "reg.example"},
      {"reg.example/team/app:1", "reg.example/team/app"},
      {"reg.example/team/app/x", "reg.example/team/app"},
      // Deviation from containers/image: host and port are one unit (2.3).
      {"reg.example:5000/team/app", "reg.example:5000"},
      {"reg.example:5001/team/app", ""},
      {"reg.example.org/x", ""},
      {"a.corp.example/x", "*.corp.example"},
      {"a.b.corp.example:5000/x", "*.corp.example"},
      {"a.lab.corp.example/x", "*.lab.corp.example"},
      {"corp.example/x", ""},
      {"evilcorp.example/x", ""},
      {"alpine:3", "docker.io/library/alpine:3"},
      {"alpine:3.1", ""},
  };
  for (const Case& c : cases) {
    CAPTURE(c.reference);
    CHECK(matched(conf, c.reference) == c.prefix);
  }
  REQUIRE(conf.match_host("reg.example:5000") != nullptr);
  CHECK(conf.match_host("reg.example:5000")->prefix == "reg.example:5000");
  CHECK(conf.match_host("auth.example") == nullptr);
}

TEST_CASE("version 1 is converted in a main file, and refused in a drop-in") {
  const std::string v1 = R"(
[registries.search]
registries = ["docker.io"]
[registries.insecure]
registries = ["a.example", "b.example/"]
[registries.block]
registries = ["b.example", "c.example"]
)";
  const RegistriesConf conf = conf_of(v1);
  REQUIRE(conf.entries().size() == 3);
  CHECK(conf.entries()[0] == RegistryEntry{"a.example", "a.example", true, false, {}, "test.conf"});
  CHECK(conf.entries()[1] == RegistryEntry{"b.example", "b.example", true, true, {}, "test.conf"});
  CHECK(conf.entries()[2] == RegistryEntry{"c.example", "c.example", false, true, {}, "test.conf"});
  RegistriesConf other;
  test::check_error(ErrorKind::usage, "d.conf",
                    [&] { other.merge(v1, "d.conf", RegistriesConf::Kind::drop_in); });
}

TEST_CASE("a later file replaces tables by prefix and lists as a whole") {
  RegistriesConf conf = conf_of(
      "credential-helpers = [\"pass\"]\n[[registry]]\nlocation=\"a.example\"\ninsecure=true\n"
      "[[registry]]\nlocation=\"b.example\"\ninsecure=true\n");
  conf.merge("[[registry]]\nprefix=\"a.example\"\nlocation=\"x.example\"\n", "d1",
             RegistriesConf::Kind::drop_in);
  CHECK(conf.credential_helpers() == std::vector<std::string>{"pass"});
  REQUIRE(conf.entries().size() == 2);
  CHECK(conf.entries()[0] == RegistryEntry{"a.example", "x.example", false, false, {}, "d1"});
  conf.merge("credential-helpers = []\n", "d2", RegistriesConf::Kind::drop_in);
  CHECK(conf.credential_helpers().empty());
}

TEST_CASE("what is wrong in registries.conf is said with the file") {
  struct Case {
    std::string text;
    std::string says;
  };
  const Case cases[] = {
      {"x = [", "line 1"},
      {"\n\n= 3", "line 3"},
      {"[[registry]]\ninsecure=true\n", "without prefix and location"},
      {"[[registry]]\nlocation=\"https://a\"\n", "scheme"},
      {"[[registry]]\nlocation=\"a\"\ninsecure=\"yes\"\n", "insecure must be true or false"},
      {"[[registry]]\nlocation=3\n", "location must be a string"},
      {"[registry]\nlocation=\"a\"\n", "[[registry]]"},
      {"registry=[1]", "tables only"},
      {"[[registry]]\nprefix=\"*.a/b\"\n", "wildcard"},
      {"[[registry]]\nprefix=\"a.*\"\n", "wildcard"},
      {"[[registry]]\nlocation=\"a\"\n[[registry]]\nlocation=\"a\"\nprefix=\"b\"\nblocked=true\n",
       "two tables"},
      {"[[registry]]\nlocation=\"a\"\n[[registry.mirror]]\n", "mirror without"},
      {"[[registry]]\nlocation=\"a\"\nmirror-by-digest-only=true\n[[registry.mirror]]\nlocation="
       "\"b\"\npull-from-mirror=\"all\"\n",
       "exclude"},
      {"[[registry]]\nlocation=\"a\"\n[[registry.mirror]]\nlocation=\"b\"\npull-from-mirror="
       "\"never\"\n",
       "pull-from-mirror must be"},
      {"[registries.insecure]\nregistries=[\"a\"]\n[[registry]]\nlocation=\"a\"\n",
       "cannot stand in one file"},
      {"unqualified-search-registries=[]\n[registries.search]\n", "cannot stand in one file"},
      {"credential-helpers = \"pass\"", "list of strings"},
      {"credential-helpers = [1]", "strings only"},
      {"x = " + std::string(5000, '['), "nested"},
      {"x" + std::string(5000, '.'), "nested"},
      {std::string(1100 * 1024, '\n'), "1 MiB"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.text.substr(0, 100));
    const Error error = test::error_of([&] { conf_of(c.text); });
    CHECK(error.kind() == ErrorKind::usage);
    CHECK(std::string(error.what()).find("test.conf") != std::string::npos);
    CHECK_MESSAGE(std::string(error.what()).find(c.says) != std::string::npos, error.what());
  }
}

TEST_CASE("duplicate prefixes in one file: the first wins") {
  const RegistriesConf conf = conf_of(
      "[[registry]]\nprefix=\"a\"\ninsecure=true\n[[registry]]\nprefix=\"a\"\nblocked=true\n");
  REQUIRE(conf.entries().size() == 1);
  CHECK(conf.entries()[0].insecure);
}

TEST_CASE("where an image is read from: mirrors, then the registry, where it is") {
  const RegistriesConf conf = conf_of(R"(
[[registry]]
prefix = "docker.io"
location = "hub.test:5000/cache"
insecure = true
[[registry.mirror]]
location = "first.test/hub"
insecure = true
[[registry.mirror]]
location = "by-digest.test"
pull-from-mirror = "digest-only"
[[registry.mirror]]
location = "by-tag.test"
pull-from-mirror = "tag-only"
[[registry]]
prefix = "*.wild.test"
location = "tame.test"
[[registry]]
prefix = "plain.test/team"
[[registry]]
location = "digests.test"
mirror-by-digest-only = true
[[registry.mirror]]
location = "mirror.test/digests"
[[registry]]
prefix = "bad.test/a"
location = "nowhere/a"
[[registry]]
prefix = "bad.test/b"
location = "Upper.test/B"
)");
  const auto places = [&](const std::string& text, bool mirrors = true) {
    std::string all;
    for (const PullPlace& place : conf.pull_places(RegistryReference::parse(text), mirrors))
      all +=
          (all.empty() ? "" : " ") + place.reference.str() + (place.insecure ? "(insecure)" : "");
    return all;
  };
  const std::string digest = "@" + Digest::of("").str();
  CHECK(places("alpine:3") ==
        "first.test/hub/library/alpine:3(insecure) by-tag.test/library/alpine:3 "
        "hub.test:5000/cache/library/alpine:3(insecure)");
  CHECK(places("alpine" + digest) ==
        "first.test/hub/library/alpine" + digest + "(insecure) by-digest.test/library/alpine" +
            digest + " hub.test:5000/cache/library/alpine" + digest + "(insecure)");
  CHECK(places("alpine:3", false) == "hub.test:5000/cache/library/alpine:3(insecure)");
  CHECK(places("a.b.wild.test:8080/x/y:1") == "tame.test:8080/x/y:1");
  CHECK(places("a.wild.test/x/y:1") == "tame.test/x/y:1");
  CHECK(places("plain.test/team/app:1") == "plain.test/team/app:1");
  CHECK(places("plain.test/teamwork:1") == "plain.test/teamwork:1");
  CHECK(places("digests.test/a:1") == "digests.test/a:1");
  CHECK(places("digests.test/a" + digest) ==
        "mirror.test/digests/a" + digest + " digests.test/a" + digest);
  CHECK(places("other.test/a:1") == "other.test/a:1");
  test::check_error(ErrorKind::usage, "does not begin with a registry",
                    [&] { (void)places("bad.test/a/x:1"); });
  test::check_error(ErrorKind::usage, "Upper.test/B/x", [&] { (void)places("bad.test/b/x:1"); });
  // Without tag and digest (a list of tags) it is as with a tag.
  const auto listed = conf.pull_places(RegistryReference::parse_repository("digests.test/a"));
  REQUIRE(listed.size() == 1);
  CHECK(listed[0].reference == RegistryReference::parse_repository("digests.test/a"));
}

TEST_CASE("every truncation of registries.conf is an error or a configuration") {
  const std::string text =
      "credential-helpers = [\"pass\"]\n[[registry]]\nlocation = \"a.example\"\ninsecure = true\n"
      "[[registry.mirror]]\nlocation = \"b\"\n";
  for (std::size_t size = 0; size <= text.size(); ++size) {
    try {
      conf_of(text.substr(0, size));
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::usage);
    }
  }
}

TEST_CASE("the file named by the user, the user's own, and its drop-ins are found") {
  const test::TempDir home;
  test::ScopedEnv env;
  env.set("HOME", home.path());
  env.set("CONTAINERS_REGISTRIES_CONF", std::nullopt);
  env.set("REGISTRIES_CONFIG_PATH", std::nullopt);
  const auto entry = [](const std::string& host) {
    return "[[registry]]\nlocation=\"" + host + "\"\ninsecure=true\n";
  };
  const std::string named = home.write("named.conf", entry("named.test"));
  const std::string by_env = home.write("env.conf", entry("env.test"));

  home.write(".config/containers/registries.conf.d/20.conf", entry("b.test"));
  home.write(".config/containers/registries.conf.d/10.conf", entry("a.test") + entry("b.test"));
  home.write(".config/containers/registries.conf.d/10.conf.bak", "broken [");
  const auto has = [](const RegistriesConf& conf, const std::string& host) {
    return conf.match_host(host) != nullptr;
  };

  // A named main file, and both places' drop-ins.
  const RegistriesConf one = RegistriesConf::load(named, Log());
  CHECK(has(one, "named.test"));
  CHECK(has(one, "a.test"));
  CHECK(one.match_host("b.test")->file ==
        home.path() + "/.config/containers/registries.conf.d/20.conf");

  env.set("CONTAINERS_REGISTRIES_CONF", by_env);
  CHECK(has(RegistriesConf::load(std::nullopt, Log()), "env.test"));
  CHECK(!has(RegistriesConf::load(named, Log()), "env.test"));
  env.set("CONTAINERS_REGISTRIES_CONF", home.path() + "/missing.conf");
  test::check_error(ErrorKind::usage, "missing.conf",
                    [] { RegistriesConf::load(std::nullopt, Log()); });
  env.set("CONTAINERS_REGISTRIES_CONF", std::nullopt);

  home.write(".config/containers/registries.conf", entry("user.test"));
  const RegistriesConf user = RegistriesConf::load(std::nullopt, Log());
  CHECK(has(user, "user.test"));
  CHECK(has(user, "a.test"));
}
