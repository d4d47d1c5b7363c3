"""A disk without room below the places where the program keeps things: what can be done without them is done, else it says so."""

import ctypes
import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import case  # noqa: E402
from support.case import FIXTURES, SKIPPED, SystemTest, fixture, registry_for_class  # noqa: E402
from support.layouts import Layout, digest_of, noise  # noqa: E402
from support.trees import tree  # noqa: E402

_CLONE_NEWNS = 0x00020000
HELLO = f"oci:{FIXTURES}/hello:1.0"
HTTP = "--dest-tls-verify=false"
USER, PASSWORD = "alice", "correct horse"
# Room that is left, in bytes: none for the file itself, for some of its pages, for its journal.
ROOM = (0, 4096, 8192, 16384, 32768)


def own_mounts():
    """What this process mounts from now on is seen by it and its children only. OSError if the machine forbids it."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWNS): " + os.strerror(ctypes.get_errno()))
    result = subprocess.run(["mount", "--make-rprivate", "/"], stderr=subprocess.PIPE, text=True)
    if result.returncode != 0:
        raise OSError(result.stderr)


@registry_for_class(htpasswd={USER: PASSWORD})
class FullDisk(SystemTest):
    def setUp(self):
        super().setUp()
        self.disk = self.temp / "disk"
        self.disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(self.disk)], check=True)
        self.addCleanup(subprocess.run, ["umount", str(self.disk)], check=True)
        places = {"HOME": "home", "XDG_DATA_HOME": "data", "XDG_STATE_HOME": "state", "XDG_CACHE_HOME": "cache", "XDG_CONFIG_HOME": "config",
                  "XDG_RUNTIME_DIR": "run", "TMPDIR": "tmp"}
        for name, directory in places.items():
            (self.disk / directory).mkdir()
            self.environment[name] = str(self.disk / directory)
        self.own_cache()

    def fill(self, room):
        """Leaves so many bytes."""
        ballast = self.disk / "ballast"
        with open(ballast, "wb", buffering=0) as file:
            try:
                while file.write(bytes(4096)):
                    pass
            except OSError:
                pass
            file.truncate(max(0, file.tell() - room))

    def free(self):
        (self.disk / "ballast").unlink()

    def push(self, name, *flags):
        return self.tug("copy", HTTP, f"--dest-creds={USER}:{PASSWORD}", *flags, HELLO, f"docker://{self.registry.address}/{name}:1")

    def assert_pushed(self, name):
        layout, descriptor = fixture("hello:1.0")
        self.assert_stored(self.registry, name, "1", layout, descriptor)

    def test_push(self):
        """The cache is a help only: without it the push goes on, and with room again it works as if nothing had been."""
        for room in ROOM:
            with self.subTest(room=room):
                self.fill(room)
                result = self.assert_success(self.push(f"push-{room}"))
                self.assertEqual(result.err, "")
                self.assert_pushed(f"push-{room}")
                self.free()
                again = self.assert_success(self.push(f"push-{room}-again", "--debug"))
                self.assertNotIn("blob info cache /", again.err)
                self.assert_pushed(f"push-{room}-again")

    def test_cache_that_was_there(self):
        """The disk gets full between two pushes: the second fails to note what it did, and spoils nothing."""
        self.assert_success(self.push("noted"))
        self.fill(0)
        self.assertIn("blob info cache /", self.assert_success(self.push("not-noted", "--debug")).err)
        self.assert_pushed("not-noted")
        self.free()
        again = self.assert_success(self.push("noted-again", "--debug"))
        self.assertNotIn("blob info cache /", again.err)

    def test_digestfile(self):
        """An image without its digest is not what was asked for. One that is there has its room already."""
        old = self.disk / "old"
        old.write_text("sha256:" + "0" * 64)
        self.fill(0)
        new = self.disk / "new"
        self.assert_failure(self.push("new", f"--digestfile={new}"), text=["No space left on device", str(new)])
        self.assert_success(self.push("old", f"--digestfile={old}"))
        self.assertEqual(old.read_text(), fixture("hello:1.0")[1]["digest"])
        self.assertEqual(sorted(path.name for path in self.disk.iterdir() if path.is_file() and path.stat().st_size), ["ballast", "old"])

    def test_directories(self):
        """An image that does not fit is not there, and leaves nothing half-written; the one before it stays. With room it goes on."""
        source = Layout(self.temp / "source")
        source.add(source.image([{f"file{n}": noise(300_000, n)} for n in range(5)], level=0), ref="1")
        for transport, listed in (("oci", "index.json"), ("dir", "manifest.json")):
            with self.subTest(transport):
                image = self.disk / transport
                to = f"{transport}:{image}" + (":old" if transport == "oci" else "")
                self.assert_success(self.tug("copy", HELLO, to))
                before = tree(image)
                result = self.tug("copy", f"oci:{source.path}:1", to.replace(":old", ":new"))
                self.assert_failure(result, text=["No space left on device", str(image)])
                after = tree(image)
                self.assertEqual({name: after[name] for name in before}, before)
                for name in after.keys() - before.keys():
                    self.assertEqual(digest_of(after[name]).partition(":")[2], pathlib.Path(name).name)
                subprocess.run(["mount", "-o", "remount,size=4m", str(self.disk)], check=True)
                self.assert_success(self.tug("copy", f"oci:{source.path}:1", to.replace(":old", ":new")))
                self.assertNotEqual(tree(image)[listed], before[listed])
                shutil.rmtree(image)
                subprocess.run(["mount", "-o", "remount,size=1m", str(self.disk)], check=True)

    def test_archives(self):
        """One that does not fit is not there, and what had its name stays; one that comes from a pipe says where it has no room."""
        source = Layout(self.temp / "source")
        source.add(source.image([{f"file{n}": noise(300_000, n)} for n in range(5)], level=0), ref="1")
        for transport in ("oci-archive", "docker-archive"):
            with self.subTest(transport):
                path = self.disk / "image.tar"
                path.write_bytes(b"" if transport == "docker-archive" else b"old")
                before = tree(self.disk)
                result = self.tug("copy", f"oci:{source.path}:1", f"{transport}:{path}:app")
                self.assert_failure(result, text=["No space left on device", str(path)])
                self.assertEqual(tree(self.disk), before)
        archive = self.temp / "whole.tar"
        self.assert_success(self.tug("copy", f"oci:{source.path}:1", f"oci-archive:{archive}:1"))
        with open(archive, "rb") as file:
            cat = subprocess.Popen(["cat"], stdin=file, stdout=subprocess.PIPE)
            done = subprocess.run([case.TUG, "inspect", "oci-archive:/dev/stdin"], stdin=cat.stdout, stderr=subprocess.PIPE, env=self.environment, text=True)
            cat.stdout.close()
            cat.wait()
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"cannot write a temporary file for /dev/stdin in {self.disk}/tmp: No space left on device", done.stderr)
        self.assertEqual(tree(self.disk), before)

    def test_login(self):
        """The logins that were there stay."""
        login = ["login", "--tls-verify=false", "--username", USER, "--password", PASSWORD]
        self.assert_success(self.tug(*login, self.registry.address))
        auth = self.disk / "run/containers/auth.json"
        before = auth.read_bytes()
        self.fill(0)
        self.assert_failure(self.tug(*login, f"{self.registry.address}/team"), text=["No space left on device", "auth.json"])
        self.assertEqual(auth.read_bytes(), before)
        self.free()
        self.assert_success(self.tug(*login, f"{self.registry.address}/team"))


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("skipped: mount(2) needs root")
        sys.exit(SKIPPED)
    try:
        own_mounts()
    except OSError as error:
        print(f"skipped: this machine gives no mounts of its own: {error}")
        sys.exit(SKIPPED)
    case.main()
