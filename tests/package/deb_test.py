"""The .deb packages: what they say of themselves and what is in them."""

import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import case  # noqa: E402
from support.case import SystemTest  # noqa: E402
from support.packages import deb_field, make_packages, pkg_config_command  # noqa: E402


class DebianPackages(SystemTest):
    @classmethod
    def setUpClass(cls):
        directory = pathlib.Path(tempfile.mkdtemp(prefix="tug-test-packages-"))
        cls.addClassCleanup(shutil.rmtree, directory, ignore_errors=True)
        cls.packages = make_packages(directory)

    def unpack(self, name):
        root = self.temp / f"root of {name}"
        subprocess.run(["dpkg-deb", "--extract", self.packages[name], root], check=True)
        return root

    def test_they_are_named_by_version_and_architecture(self):
        self.assertEqual(set(self.packages), {"tug", "libtug-dev"})
        version = self.assert_success(self.tug("--version")).out.split()[2]
        architecture = subprocess.run(["dpkg", "--print-architecture"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
        for name, file in self.packages.items():
            self.assertEqual(file.name, f"{name}_{version}-1_{architecture}.deb")
            self.assertEqual([deb_field(file, field) for field in ("Package", "Version", "Architecture")], [name, f"{version}-1", architecture])

    def test_they_depend_on_what_the_program_links(self):
        depends = deb_field(self.packages["tug"], "Depends")
        for library in ("libc6", "libcurl4", "libssl3", "libsqlite3-0", "zlib1g"):
            self.assertIn(f"{library} (>=", depends)
        self.assertNotIn("-dev", depends)
        self.assertEqual(deb_field(self.packages["tug"], "Recommends"), "ca-certificates")

    def test_the_program_comes_with_manual_pages_and_completions(self):
        usr = self.unpack("tug") / "usr"
        self.assertEqual(sorted(path.name for path in usr.iterdir()), ["bin", "share"])
        self.assertEqual([path.name for path in (usr / "bin").iterdir()], ["tug"])
        for path in ("bash-completion/completions/tug", "fish/vendor_completions.d/tug.fish", "zsh/vendor-completions/_tug", "doc/tug/copyright"):
            self.assertTrue((usr / "share" / path).stat().st_size > 0, path)
        for path in ("man/man1/tug.1.gz", "man/man1/tug-copy.1.gz", "doc/tug/changelog.gz", "doc/tug/changelog.Debian.gz"):
            self.assertTrue(self.do("gzip", "-dc", usr / "share" / path), path)
        self.assertNotIn(".symtab", self.do("readelf", "--section-headers", "--wide", usr / "bin/tug"))

    def test_the_library_links(self):
        usr = self.unpack("libtug-dev").rename(self.temp / "dev") / "usr"
        self.do(*pkg_config_command(usr, self.temp / "push"))
        failed = self.tug("oci:nowhere", "docker://localhost/a", program=self.temp / "push")
        self.assertEqual(failed.code, 1, str(failed))
        self.assertIn("nowhere", failed.err)

    def test_lintian_finds_no_error(self):
        if shutil.which("lintian"):  # not required of the machine
            self.do("lintian", "--allow-root", "--fail-on=error", *self.packages.values())

    def do(self, *command):
        return self.assert_success(self.tug(*command[1:], program=command[0], timeout=600)).out


if __name__ == "__main__":
    case.main()
