#include "transport/storage_conf.h"

#include "support/temp_dir.h"

#include <tug/error.h>

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace tug {
namespace {

// A machine of its own: system files below a temporary directory, variables as given.
class Machine {
 public:
  explicit Machine(unsigned uid) {
    environment.uid = uid;
    environment.file_owner =
        static_cast<unsigned>(::geteuid()) + 1;  // nothing here is ours, unless a test says so
    environment.system_root = root.path();
    environment.variable = [this](const char* name) -> std::optional<std::string> {
      const auto found = variables.find(name);
      if (found == variables.end()) return std::nullopt;
      return found->second;
    };
    variables["HOME"] = root.path() + "/home";
  }
  void conf(const std::string& path, const std::string& text) const {
    root.write(path.substr(1), text);
  }
  [[nodiscard]] std::string user_conf() const { return "/home/.config/containers/storage.conf"; }
  StorageConfig load() const { return load_storage_config(environment); }

  test::TempDir root;
  std::map<std::string, std::string> variables;
  StorageEnvironment environment;
};

std::string storage(const std::string& lines) { return "[storage]\n" + lines + "\n"; }

const std::string kEtc = "/etc/containers/storage.conf";
const std::string kUsr = "/usr/share/containers/storage.conf";

}  // namespace

TEST_CASE("without any file root has the system's store and a user his own") {
  CHECK(Machine(0).load() == StorageConfig{"", {}, "/var/lib/containers/storage", "", {}});
  Machine user(1000);
  CHECK(user.load().graph_root == user.root.path() + "/home/.local/share/containers/storage");
  user.variables["XDG_DATA_HOME"] = "/data";
  CHECK(user.load().graph_root == "/data/containers/storage");
}

TEST_CASE("the first of the user's, the system's and the vendor's file counts alone") {
  Machine machine(0);
  machine.conf(kUsr, storage("driver = 'vfs'\ngraphroot = '/usr-root'"));
  CHECK(machine.load().graph_root == "/usr-root");
  machine.conf(kEtc, storage("graphroot = '/etc-root'"));
  CHECK(machine.load() == StorageConfig{"", {}, "/etc-root", "", {}});
  machine.conf(machine.user_conf(), storage("driver = 'overlay2'"));
  CHECK(machine.load() == StorageConfig{"overlay", {}, "/var/lib/containers/storage", "", {}});
  machine.variables["XDG_CONFIG_HOME"] = "/none";
  CHECK(machine.load().graph_root == "/etc-root");
}

TEST_CASE("all keys that decide where images are") {
  Machine machine(0);
  machine.conf(
      kEtc,
      storage(
          "driver = 'vfs'\ndriver_priority = ['vfs', 'overlay']\ngraphroot = '/g'\nrunroot = '/r'\n"
          "imagestore = '/i'\ntransient_store = true\n[storage.options]\n"
          "additionalimagestores = ['/a', '/b']\n[storage.options.overlay]\nmountopt = 'nodev'"));
  CHECK(machine.load() == StorageConfig{"vfs", {"vfs", "overlay"}, "/g", "/i", {"/a", "/b"}});
}

TEST_CASE(
    "drop-ins are applied in the order of their names, later directories replacing equal names") {
  Machine machine(0);
  machine.conf(kEtc, storage("driver = 'vfs'\ngraphroot = '/main'"));
  machine.conf("/usr/share/containers/storage.conf.d/50-a.conf", storage("graphroot = '/usr-50'"));
  machine.conf("/etc/containers/storage.conf.d/40-b.conf",
               storage("graphroot = '/etc-40'\nimagestore = '/from-40'"));
  CHECK(machine.load() == StorageConfig{"vfs", {}, "/usr-50", "/from-40", {}});
  machine.conf("/etc/containers/storage.rootful.conf.d/50-a.conf",
               storage("imagestore = '/rootful-50'"));
  CHECK(machine.load() == StorageConfig{"vfs", {}, "/etc-40", "/rootful-50", {}});
  machine.conf(machine.user_conf() + ".d/50-a.conf", storage("graphroot = '/user-50'"));
  CHECK(machine.load() == StorageConfig{"vfs", {}, "/user-50", "/from-40", {}});
  machine.conf("/etc/containers/storage.conf.d/99.txt", storage("graphroot = '/no'"));
  machine.conf("/etc/containers/storage.rootless.conf.d/99.conf", storage("graphroot = '/no'"));
  CHECK(machine.load().graph_root == "/user-50");
}

TEST_CASE("a user has the rootless drop-ins and those of his id") {
  Machine machine(1000);
  machine.conf("/etc/containers/storage.rootful.conf.d/1.conf", storage("driver = 'no'"));
  machine.conf("/etc/containers/storage.rootless.conf.d/1.conf", storage("driver = 'rootless'"));
  CHECK(machine.load().driver == "rootless");
  machine.conf("/etc/containers/storage.rootless.conf.d/1000/2.conf", storage("driver = 'mine'"));
  machine.conf("/etc/containers/storage.rootless.conf.d/1001/3.conf", storage("driver = 'no'"));
  CHECK(machine.load().driver == "mine");
}

TEST_CASE(
    "CONTAINERS_STORAGE_CONF replaces the files, CONTAINERS_STORAGE_CONF_OVERRIDE comes last") {
  Machine machine(0);
  machine.conf(kEtc, storage("driver = 'vfs'\ngraphroot = '/etc-root'"));
  machine.conf("/etc/containers/storage.conf.d/1.conf", storage("driver = 'no'"));
  machine.variables["CONTAINERS_STORAGE_CONF"] =
      machine.root.write("named.conf", storage("graphroot = '/named'"));
  CHECK(machine.load() == StorageConfig{"", {}, "/named", "", {}});
  machine.variables["CONTAINERS_STORAGE_CONF_OVERRIDE"] =
      machine.root.write("last.conf", storage("imagestore = '/last'"));
  CHECK(machine.load() == StorageConfig{"", {}, "/named", "/last", {}});
  machine.variables["CONTAINERS_STORAGE_CONF"] = "";
  CHECK(machine.load() == StorageConfig{"no", {}, "/etc-root", "/last", {}});
  for (const std::string name : {"CONTAINERS_STORAGE_CONF", "CONTAINERS_STORAGE_CONF_OVERRIDE"}) {
    Machine other(0);
    other.variables[name] = "/none/storage.conf";
    try {
      other.load();
      FAIL("no error");
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::local);
      CHECK(std::string(error.what()).find("/none/storage.conf") != std::string::npos);
    }
  }
}

TEST_CASE("lists are replaced by later files, unless one says append") {
  Machine machine(0);
  machine.conf(kEtc, storage("[storage.options]\nadditionalimagestores = ['/a']"));
  const std::string drop_in = "/etc/containers/storage.conf.d/";
  machine.conf(drop_in + "1.conf", storage("[storage.options]\nadditionalimagestores = ['/b']"));
  CHECK(machine.load().additional_image_stores == std::vector<std::string>{"/b"});
  machine.conf(drop_in + "2.conf",
               storage("[storage.options]\nadditionalimagestores = ['/c', {append=true}]"));
  CHECK(machine.load().additional_image_stores == std::vector<std::string>{"/b", "/c"});
  machine.conf(drop_in + "3.conf", storage("[storage.options]\nadditionalimagestores = ['/d']"));
  CHECK(machine.load().additional_image_stores == std::vector<std::string>{"/b", "/c", "/d"});
  machine.conf(drop_in + "4.conf",
               storage("[storage.options]\nadditionalimagestores = ['/e', {append=false}]"));
  CHECK(machine.load().additional_image_stores == std::vector<std::string>{"/e"});
}

TEST_CASE("STORAGE_DRIVER and STORAGE_OPTS win over the files") {
  Machine machine(0);
  machine.conf(kEtc, storage("driver = 'vfs'\n[storage.options]\nadditionalimagestores = ['/a']"));
  machine.variables["STORAGE_DRIVER"] = "overlay2";
  CHECK(machine.load().driver == "overlay");
  CHECK(machine.load().additional_image_stores == std::vector<std::string>{"/a"});
  machine.variables["STORAGE_OPTS"] =
      "overlay.imagestore=/x,additionalimagestore=/y,vfs.imagestore=/z,overlay.mountopt=nodev";
  CHECK(machine.load().additional_image_stores == std::vector<std::string>{"/x", "/y"});
  machine.variables["STORAGE_OPTS"] = "overlay.imagestore=relative";
  CHECK_THROWS_AS(machine.load(), Error);
  machine.variables["STORAGE_OPTS"] = "nonsense";
  CHECK_THROWS_AS(machine.load(), Error);
}

TEST_CASE("paths are expanded: $UID, variables, links") {
  Machine machine(1000);
  machine.variables["X"] = "ex";
  machine.conf(machine.user_conf(), storage("graphroot = '/srv/$UID/$X/${X}y/$NONE/../z$X.d'"));
  CHECK(machine.load().graph_root == "/srv/1000/ex/zex.d");
  std::filesystem::create_directory(machine.root.at("real"));
  std::filesystem::create_directory_symlink(machine.root.at("real"), machine.root.at("link"));
  machine.variables["ROOT"] = machine.root.path();
  machine.conf(machine.user_conf(), storage("graphroot = '$ROOT/link'"));
  CHECK(machine.load().graph_root == machine.root.at("real"));
}

TEST_CASE(
    "a user takes his own graphroot, then the rootless path, and root's store only when it is "
    "his") {
  Machine machine(1000);
  const std::string own = machine.root.path() + "/home/.local/share/containers/storage";
  std::filesystem::create_directory(machine.root.at("system"));
  machine.conf(kEtc, storage("graphroot = '" + machine.root.at("system") + "'"));
  CHECK(machine.load().graph_root == own);
  machine.environment.file_owner = static_cast<unsigned>(::geteuid());
  CHECK(machine.load().graph_root == machine.root.at("system"));
  machine.conf(kEtc, storage("graphroot = '/none'\nrootless_storage_path = '/srv/$UID'"));
  CHECK(machine.load().graph_root == "/srv/1000");
  machine.conf(kEtc, storage("rootless_storage_path = '$NONE'"));
  CHECK(machine.load().graph_root == own);
  machine.conf(machine.user_conf(),
               storage("graphroot = '/mine'\nrootless_storage_path = '/srv/$UID'"));
  CHECK(machine.load().graph_root == "/mine");
  Machine root(0);
  root.conf(kEtc, storage("rootless_storage_path = '/srv/$UID'"));
  CHECK(root.load().graph_root == "/var/lib/containers/storage");
}

TEST_CASE("a broken storage.conf is named") {
  for (const std::string text :
       {"[storage", "[storage]\ndriver = 1", "[storage]\ngraphroot = ['/x']",
        "[storage.options]\nadditionalimagestores = '/x'",
        "[storage.options]\nadditionalimagestores = [1]"}) {
    CAPTURE(text);
    Machine machine(0);
    machine.conf(kEtc, text);
    try {
      machine.load();
      FAIL("no error");
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::usage);
      CHECK(std::string(error.what()).find(machine.root.path() + kEtc) != std::string::npos);
    }
  }
}

TEST_CASE("the current environment has this process's user") {
  const StorageEnvironment current = StorageEnvironment::current();
  CHECK(current.file_owner == static_cast<unsigned>(::geteuid()));
  CHECK(current.system_root.empty());
  CHECK(current.variable("PATH").has_value());
}

}  // namespace tug
