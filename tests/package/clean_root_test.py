"""The .deb in a clean Debian that debootstrap made: installed with nothing but what it depends on, run, and removed.

debootstrap takes Debian from where this machine's apt does. It mounts in a mount namespace of its own, which ends with it, so that
nothing can stay mounted where the test then removes files.
"""

import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import case  # noqa: E402
from support.case import FIXTURES, SKIPPED, SystemTest, fixture  # noqa: E402
from support.packages import deb_field, make_packages  # noqa: E402
from support.pki import Pki  # noqa: E402
from support.registry import Registry  # noqa: E402

OWN_MOUNTS = ["unshare", "--mount", "--propagation", "private", "--"]
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


def release():
    return re.search(r"^VERSION_CODENAME=(\w+)$", pathlib.Path("/etc/os-release").read_text(), re.MULTILINE).group(1)


def mirror():
    """The place where apt gets this release's packages from."""
    targets = subprocess.run(["apt-get", "indextargets", "--format", "$(CODENAME) $(COMPONENT) $(REPO_URI)", "Created-By: Packages"],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False).stdout
    found = re.search(rf"^{release()} main (http\S+)$", targets, re.MULTILINE)
    return found.group(1) if found else None


def proxy():
    """What apt reaches it through, for wget."""
    shell = subprocess.run(["apt-config", "shell", "proxy", "Acquire::http::Proxy"], stdout=subprocess.PIPE, text=True, check=True).stdout
    found = re.search(r"^proxy='(.+)'$", shell, re.MULTILINE)
    own = {name: os.environ[name] for name in ("http_proxy", "https_proxy", "no_proxy") if name in os.environ}
    return {**({"http_proxy": found.group(1)} if found else {}), **own}


def devices_work(directory):
    """In some containers nobody may make devices; in others they are of no use."""
    null = directory / "null"
    try:
        os.mknod(null, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        null.write_bytes(b"gone")
    except OSError:
        return False
    return True


def why_not():
    """Why this machine cannot do it, or ""."""
    if os.geteuid() != 0:
        return "debootstrap needs root"
    if not shutil.which("debootstrap", path=PATH):
        return "there is no debootstrap"
    if subprocess.run([*OWN_MOUNTS, "true"], stderr=subprocess.DEVNULL, check=False).returncode != 0:
        return "this machine gives no mounts of its own"
    if not mirror():
        return "apt has no source for this release's packages"
    with tempfile.TemporaryDirectory(prefix="tug-test-") as directory:
        if not devices_work(pathlib.Path(directory)):
            return "devices do not work in temporary directories"
        fetch = ["/usr/lib/apt/apt-helper", "-o", "Acquire::Retries=2", "download-file", f"{mirror()}dists/{release()}/Release", f"{directory}/Release"]
        if subprocess.run(fetch, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode != 0:
            return "apt's source does not answer"
    return ""


class CleanRoot(SystemTest):
    def setUp(self):
        super().setUp()
        self.root = self.temp / "root"
        self.addCleanup(self.assert_nothing_is_mounted)
        self.deb = make_packages(self.temp / "packages")["tug"]
        dependencies = [re.sub(r"[ (|].*", "", each.strip()) for each in deb_field(self.deb, "Depends").split(",")]
        self.environment.update(proxy(), PATH=PATH)
        made = self.tug(*OWN_MOUNTS[1:], "debootstrap", "--variant=minbase", f"--include={','.join(dependencies)}", release(), self.root, mirror(),
                        program=OWN_MOUNTS[0], timeout=900)
        # Logs are for showing to others; which hosts this machine's apt is configured for is not.
        self.assertEqual(made.code, 0, re.sub("://[^/ ]+", "://...", str(made)))

    def assert_nothing_is_mounted(self):
        """Before anything is removed (cleanups run from the last to the first)."""
        mounts = [line.split()[1] for line in pathlib.Path("/proc/self/mounts").read_text().splitlines()]
        self.assertEqual([mount for mount in mounts if mount.startswith(f"{self.root}")], [])

    def do(self, *command):
        return self.assert_success(self.tug(*command[1:], program=command[0], timeout=900)).out

    def inside(self, *command):
        return self.do(*OWN_MOUNTS, "env", "-i", f"PATH={PATH}", "HOME=/root", "LC_ALL=C.UTF-8", "SSL_CERT_FILE=/ca.crt", "chroot", self.root, *command)

    def test_the_package_is_installed_works_and_goes(self):
        shutil.copy(self.deb, self.root / "tug.deb")
        self.inside("dpkg", "--install", "/tug.deb")
        self.assertEqual(self.inside("dpkg", "--audit") + self.inside("dpkg", "--verify", "tug"), "")
        self.assertEqual(self.inside("tug", "--version"), self.do(case.TUG, "--version"))
        self.assertIn(".SH", self.inside("zcat", "/usr/share/man/man1/tug-copy.1.gz"))
        self.assertIn(" tug\n", self.inside("bash", "-c", ". /usr/share/bash-completion/completions/tug && complete -p tug"))
        self.push()
        self.inside("dpkg", "--purge", "tug")
        self.assertEqual(list(self.root.glob("usr/**/tug*")), [])

    def push(self):
        pki = Pki(self.temp / "pki")
        shutil.copy(pki.ca, self.root / "ca.crt")
        shutil.copytree(FIXTURES / "hello", self.root / "hello")
        with Registry(self.temp / "registry", certificate=pki.issue("registry")) as registry:
            self.inside("tug", "copy", "oci:/hello:1.0", f"docker://{registry.address}/hello:1.0")
            self.assert_stored(registry, "hello", "1.0", *fixture("hello:1.0"))


if __name__ == "__main__":
    reason = why_not()
    if reason:
        print(f"skipped: {reason}")
        sys.exit(SKIPPED)
    case.main()
