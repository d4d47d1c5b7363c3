"""The static program alone in an empty directory that is its root: what it pushes, how it finds hosts and CAs, and what it does not need."""

import fcntl
import gzip
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import case  # noqa: E402
from support.case import FIXTURES, SKIPPED, SystemTest, fixture  # noqa: E402
from support.dns_server import DnsServer, own_network  # noqa: E402
from support.layouts import Layout, digest_of  # noqa: E402
from support.pki import Pki  # noqa: E402
from support.registry import Registry  # noqa: E402
from support.stores import Store  # noqa: E402

DEBIAN_CAS = "etc/ssl/certs/ca-certificates.crt"
USUAL_CA_FILES = {
    "Debian": DEBIAN_CAS,
    "Fedora": "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "Fedora, old name": "etc/pki/tls/certs/ca-bundle.crt",
    "SUSE": "etc/ssl/ca-bundle.pem",
    "Alpine": "etc/ssl/cert.pem",
    "a file of /etc/ssl/certs": "etc/ssl/certs/our-ca.pem",
}


class InAnEmptyRoot(SystemTest):
    @classmethod
    def setUpClass(cls):
        directory = pathlib.Path(tempfile.mkdtemp(prefix="tug-test-static-"))
        cls.addClassCleanup(shutil.rmtree, directory, ignore_errors=True)
        cls.pki = Pki(directory / "pki")
        certificate = cls.pki.issue("registry", "DNS:registry.test,DNS:registry,IP:127.0.0.1")
        cls.registry = cls.enterClassContext(Registry(directory / "registry", certificate=certificate))
        cls.port = cls.registry.address.split(":")[1]

    def setUp(self):
        super().setUp()
        self.root = self.temp / "root"
        self.root.mkdir()
        shutil.copy(case.TUG, self.root / "tug")
        self.put("etc/hosts", "127.0.0.1 registry.test\n")

    def put(self, path, content):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)

    def trust_ca(self, path=DEBIAN_CAS):
        self.put(path, self.pki.ca.read_text())

    def run_inside(self, *arguments, **environment):
        return self.tug("-i", *(f"{name}={value}" for name, value in environment.items()), "/usr/sbin/chroot", self.root, "/tug", *arguments, program="env")

    def push_fixture(self, name="registry.test", tag="1", **environment):
        shutil.copytree(FIXTURES / "hello", self.root / "hello", dirs_exist_ok=True)
        return self.run_inside("copy", "oci:/hello:1.0", f"docker://{name}:{self.port}/hello:{tag}", **environment)

    def assert_pushed(self, result, tag="1"):
        self.assert_success(result)
        self.assert_stored(self.registry, "hello", tag, *fixture("hello:1.0"))

    # ---- what it pushes

    def test_an_oci_layout(self):
        self.trust_ca()
        self.assert_pushed(self.push_fixture(tag="layout"), "layout")
        inspected = self.assert_success(self.run_inside("inspect", f"docker://registry.test:{self.port}/hello:layout"))
        self.assertEqual(inspected.json()["Digest"], fixture("hello:1.0")[1]["digest"])

    def test_images_of_a_containers_storage(self):
        self.trust_ca()
        store = Store(self.root / "store", "overlay")
        store.build_local()
        for name in ("single:1", "chain:3", "big:1"):
            with self.subTest(name):
                source = f"containers-storage:[overlay@/store/root+/store/run]localhost/{name}"
                self.assert_success(self.run_inside("copy", source, f"docker://registry.test:{self.port}/{name}"))
                self.skopeo("copy", "--insecure-policy", "--src-tls-verify=false", f"docker://{self.registry.address}/{name}", f"oci:{self.temp}/back:{name}")
                back = Layout(self.temp / "back")
                manifest = back.read_json(back.descriptor(name))
                self.assertEqual([digest_of(gzip.decompress(back.read(layer))) for layer in manifest["layers"]],
                                 back.read_json(manifest["config"])["rootfs"]["diff_ids"])
                record = next(r for r in store.records() if f"localhost/{name}" in r.get("names", []))
                self.assertIn(manifest["config"]["digest"], record["big-data-names"])

    # ---- how it finds the registry

    def test_names_are_asked_of_the_servers_of_resolv_conf(self):
        self.trust_ca()
        self.put("etc/hosts", "")
        with DnsServer({"registry.test": "127.0.0.1"}) as server:
            self.put("etc/resolv.conf", f"nameserver {server.address}\nsearch nowhere.test test\n")
            self.assert_pushed(self.push_fixture(tag="dns"), "dns")
            self.assertIn(("registry.test", "A"), server.questions)
            self.assert_pushed(self.push_fixture("registry", tag="search"), "search")
            self.assertIn(("registry.nowhere.test", "A"), server.questions)

    def test_an_unknown_name_is_a_clear_error(self):
        self.trust_ca()
        with DnsServer({}) as server:
            self.put("etc/resolv.conf", f"nameserver {server.address}\n")
            self.assert_failure(self.push_fixture("unknown.test"), text="cannot resolve the host name unknown.test")

    # ---- whom it trusts

    def test_cas_are_found_where_each_distribution_has_them(self):
        for number, (distribution, path) in enumerate(USUAL_CA_FILES.items()):
            with self.subTest(distribution):
                self.trust_ca(path)
                self.assert_pushed(self.push_fixture(tag=f"ca{number}"), f"ca{number}")
                (self.root / path).unlink()

    def test_cas_are_found_by_the_environment(self):
        self.put(DEBIAN_CAS, "")
        self.trust_ca("elsewhere/ca.pem")
        self.assert_pushed(self.push_fixture(tag="file", SSL_CERT_FILE="/elsewhere/ca.pem"), "file")
        self.assert_pushed(self.push_fixture(tag="directory", SSL_CERT_DIR="/elsewhere"), "directory")

    def test_without_cas_nothing_is_trusted(self):
        self.assert_failure(self.push_fixture(tag="untrusted"), text=["is not trusted", r"CAs used: /etc/ssl/certs \(no certificate in it\)"])
        self.assertNotIn("untrusted", self.registry.tags("hello"))

    # ---- what it does not need

    def test_an_openssl_configuration_for_other_libraries_does_no_harm(self):
        """Debian's path of it is built in: engines and providers that it names are shared libraries."""
        self.trust_ca()
        self.put("usr/lib/ssl/openssl.cnf", "openssl_conf = all\n[all]\nproviders = providers\nengines = engines\n"
                 "[providers]\ndefault = on\nlegacy = on\nfips = module\n[on]\nactivate = 1\n[module]\nmodule = /nowhere/fips.so\nactivate = 1\n"
                 "[engines]\nhardware = engine\n[engine]\ndynamic_path = /nowhere/engine.so\ninit = 1\n")
        self.assert_pushed(self.push_fixture(tag="openssl"), "openssl")

    def test_the_file_has_no_interpreter_and_needs_no_library(self):
        headers = self.assert_success(self.tug("--dynamic", "--program-headers", "--wide", case.TUG, program="readelf")).out
        self.assertNotIn("NEEDED", headers)
        self.assertNotIn("INTERP", headers)

    # ---- what it weighs

    def test_it_starts_without_opening_a_file(self):
        """What makes the start quick, counted. The C library's own start looks up which file it is in; the dynamic program makes 430 calls."""
        self.assertLessEqual(set(self.system_calls("%file")), {"execve", "readlink"})
        self.assertLess(len(self.system_calls("all")), 100)

    def system_calls(self, which):
        """The names of those that --version makes."""
        trace = self.temp / "trace"
        self.assert_success(self.tug("-f", "-qq", "-e", f"trace={which}", "-o", trace, case.TUG, "--version", program="strace"))
        calls = re.findall(r"^\d+ +(\w+)\(", trace.read_text(), re.MULTILINE)
        self.assertIn("execve", calls)
        return calls

    def test_the_file_is_small(self):
        self.assertLessEqual(os.stat(case.TUG).st_size, 10_000_000)

    def test_it_takes_little_memory(self):
        """Looked at while --version waits for its output to be read; the kernel's own account (ru_maxrss) has this Python's memory in it."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        os.write(writer, bytes(fcntl.fcntl(writer, fcntl.F_GETPIPE_SZ)))
        process = subprocess.Popen([case.TUG, "--version"], stdin=subprocess.DEVNULL, stdout=writer, env=self.environment)
        os.close(writer)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        deadline = time.monotonic() + 60
        while True:
            status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
            where = pathlib.Path(f"/proc/{process.pid}/wchan").read_text()
            if re.search(r"^Name:\ttug$", status, re.MULTILINE) and where.endswith("pipe_write"):
                break
            self.assertLess(time.monotonic(), deadline, status)
            time.sleep(0.01)
        self.assertLessEqual(int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)), 6 * 1024)


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("skipped: chroot(2) needs root")
        sys.exit(SKIPPED)
    try:
        own_network()
    except OSError as error:
        print(f"skipped: this machine gives no network of its own: {error}")
        sys.exit(SKIPPED)
    case.main()
