"""Debian's podman, for containers-storage stores of its own.

    if __name__ == "__main__":
        podman.main()               # instead of case.main()

    store = PodmanStore(directory, "overlay")
    store.podman("images")          # what it prints

podman keeps more than a store: locks in /dev/shm, state below /run, a cache, processes that watch containers. So the whole test file runs
with mounts and process ids of its own, and with its last process all of that is gone.
"""

import json
import os
import pathlib
import pwd
import shutil
import subprocess
import sys

from . import case
from .stores import Store

_INSIDE = "TUG_TEST_INSIDE"
_NAMESPACES = ("unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--mount-proc", "--kill-child", "--")
# The shell is their first process: it waits for the children of others too.
_FIRST = ("sh", "-c", '"$@"; exit $?', "sh")
# crun goes by cgroups even when it is to make none, and does not know what to do with those of version 2 beside those of version 1.
_HIDDEN = {"/run": "755", "/dev/shm": "1777", "/var/lib/containers": "755", "/sys/fs/cgroup/unified": "755"}
# Who is rootless here: someone whom every machine has, and who has no files.
NOBODY = pwd.getpwuid(65534)
_PROGRAMS = pathlib.Path("/run/programs")


def main():
    """Runs the tests of the calling file there."""
    if _INSIDE in os.environ:
        # Else podman warns those who are not root.
        subprocess.run(["mount", "--make-rshared", "/"], check=True)
        for path, mode in _HIDDEN.items():
            if os.path.isdir(path):
                subprocess.run(["mount", "-t", "tmpfs", "-o", f"mode={mode}", "none", path], check=True)
        # For everybody to run, wherever it was built.
        _PROGRAMS.mkdir()
        _mount_file(shutil.which(case.TUG) or "/dev/null", _PROGRAMS / "tug")
        subordinates = pathlib.Path("/run/subordinates")
        subordinates.write_text(f"{NOBODY.pw_name}:100000:65536\n")
        for path in ("/etc/subuid", "/etc/subgid"):
            _mount_file(subordinates, pathlib.Path(path))
        return case.main()
    probe = subprocess.run([*_NAMESPACES, "mount", "-t", "tmpfs", "none", "/run"], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if probe.returncode != 0:
        print(f"skipped: this machine gives no mounts of its own: {probe.stderr.strip()}")
        sys.exit(case.SKIPPED)
    sys.stdout.flush()
    os.environ[_INSIDE] = "1"
    os.execvp(_NAMESPACES[0], [*_NAMESPACES, *_FIRST, sys.executable, *sys.argv])


def _mount_file(source, path):
    if not path.exists():
        path.touch()
    subprocess.run(["mount", "--bind", source, path], check=True)


class PodmanStore(Store):
    """A store that podman works on too."""

    def __init__(self, directory, driver):
        super().__init__(directory, driver)
        # "unqualified" names are asked of nobody.
        registries = self.directory / "registries.conf"
        registries.write_text('unqualified-search-registries = []\n')
        self.environment["PATH"] = f"{_PROGRAMS}:{self.environment['PATH']}"
        self.environment.update({"CONTAINERS_REGISTRIES_CONF": str(registries), "XDG_RUNTIME_DIR": str(self.directory / "home")})

    @property
    def command(self):
        return ("podman", "--root", self.root, "--runroot", self.runroot, "--storage-driver", self.driver, "--tmpdir", self.directory / "libpod",
                "--cgroup-manager", "cgroupfs", "--events-backend", "none", "--network-config-dir", self.directory / "networks")

    def podman(self, *arguments, check=True):
        return self.run(*self.command, *arguments, check=check)

    def podman_json(self, *arguments):
        return json.loads(self.podman(*arguments))

    # Limits above those of this process are not everybody's to set, and cgroups not there everywhere.
    limits = ("--ulimit", "nofile=256:256", "--ulimit", "nproc=256:256")
    contained = ("--network", "none", "--cgroups", "disabled", *limits)

    def names(self):
        """Of all images, as podman prints them."""
        return sorted({name for image in self.podman_json("images", "--format", "json") for name in image.get("Names") or ()})

    def mounted(self, name):
        """A directory with the image's files."""
        return pathlib.Path(self.podman("image", "mount", name))


class RootlessStore(PodmanStore):
    """The store of somebody who is not root."""

    as_owner = ("setpriv", f"--reuid={NOBODY.pw_uid}", f"--regid={NOBODY.pw_gid}", "--clear-groups")

    def __init__(self, directory, driver):
        super().__init__(directory, driver)
        for path in (self.directory, *self.directory.iterdir()):
            os.chown(path, NOBODY.pw_uid, NOBODY.pw_gid)

    def run(self, *command, check=True):
        return super().run(*self.as_owner, *command, check=check)
