"""The installed library: a program of somebody else's is built against it, once with CMake and once with pkg-config, and pushes."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import case  # noqa: E402
from support.case import FIXTURES, SKIPPED, SystemTest, fixture  # noqa: E402
from support.layouts import Layout  # noqa: E402
from support.packages import BUILD, CONSUMER, CXX, pkg_config_command  # noqa: E402
from support.pki import Pki  # noqa: E402
from support.registry import Registry  # noqa: E402


class InstalledLibrary(SystemTest):
    def setUp(self):
        super().setUp()
        pki = Pki(self.temp / "pki")
        self.registry = self.enterContext(Registry(self.temp / "registry", certificate=pki.issue("registry")))
        self.environment["SSL_CERT_FILE"] = str(pki.ca)
        # Installed in one place and moved to another: nothing in it may know where it was.
        self.do("cmake", "--install", BUILD, "--prefix", self.temp / "staging")
        self.prefix = (self.temp / "staging").rename(self.temp / "moved")

    def do(self, *command):
        return self.assert_success(self.tug(*command[1:], program=command[0], timeout=600)).out

    def assert_pushes(self, program, tag):
        source, (layout, descriptor) = f"oci:{FIXTURES}/hello:1.0", fixture("hello:1.0")
        destination = f"docker://{self.registry.address}/team/hello:{tag}"
        self.assertEqual(self.do(program, source, destination), descriptor["digest"] + "\n")
        self.assert_stored(self.registry, "team/hello", tag, layout, descriptor)
        self.skopeo("copy", "--insecure-policy", "--src-tls-verify=false", destination, f"oci:{self.temp}/back:{tag}")
        self.assertEqual(Layout(self.temp / "back").descriptor(tag)["digest"], descriptor["digest"])
        failed = self.tug(f"oci:{FIXTURES}/hello:none", destination, program=program)
        self.assertEqual((failed.code, failed.out), (1, ""), str(failed))
        self.assertIn("none", failed.err)

    def test_cmake_finds_it(self):
        build = self.temp / "build"
        self.do("cmake", "-S", CONSUMER, "-B", build, "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={self.prefix}", f"-DCMAKE_CXX_COMPILER={CXX}")
        self.do("cmake", "--build", build)
        self.assert_pushes(build / "push", "cmake")

    def test_pkg_config_finds_it(self):
        self.do(*pkg_config_command(self.prefix, self.temp / "push"))
        self.assert_pushes(self.temp / "push", "pkg-config")


if __name__ == "__main__":
    if case.sanitizer():
        print("skipped: the library of a build with sanitizers is not installed")
        sys.exit(SKIPPED)
    case.main()
