"""Stores of somebody who is not root, or of a root who may not do everything: tug in the user namespaces of podman, buildah and unshare(1) writes what
skopeo writes there, and podman runs it.
"""

import json
import os
import pathlib
import subprocess
import sys
import tarfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import podman  # noqa: E402
from support.case import SystemTest, tug_only  # noqa: E402
from support.layouts import Layout  # noqa: E402
from support.podman import NOBODY, PodmanStore, RootlessStore  # noqa: E402
from support.store_snapshot import StoreComparison, snapshot  # noqa: E402
from support.stores import DIRECTORY, FILE, HARDLINK, LOWER, SYMLINK, UPPER, Store, odd_tar, static_program, tar_of  # noqa: E402

# CAP_NET_RAW, as ping has it.
CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000").decode("latin1")
DEVICE, DISK = tarfile.CHRTYPE, tarfile.BLKTYPE


def attribute(name, value="y"):
    return {"pax_headers": {f"SCHILY.xattr.{name}": value}}


LAYERS = {
    "odd": [odd_tar(tarfile.GNU_FORMAT)],
    "changes": [LOWER, UPPER],
    "owners": [tar_of(("d", DIRECTORY, b"", {"uid": 1234, "gid": 5}), ("d/setuid", FILE, b"1", {"uid": 1234, "gid": 5678, "mode": 0o4755}),
                      ("link", SYMLINK, "d", {"uid": 33}), ("twin", HARDLINK, "d/setuid", {"uid": 1234, "gid": 5678, "mode": 0o4755}),
                      ("last", FILE, b"1", {"uid": 65536, "gid": 65536}))],
    "devices": [tar_of(("null", DEVICE, b"", {"devmajor": 1, "devminor": 3}), ("sda", DISK, b"", {"devmajor": 8}), ("file", FILE, b"1"))],
    "attributes": [tar_of(("ping", FILE, b"1", attribute("security.capability", CAPABILITY)), ("trusted", FILE, b"1", attribute("trusted.own")),
                          ("user", FILE, b"1", attribute("user.own")))],
    "too-high": [tar_of(("file", FILE, b"1", {"uid": 70_000, "gid": 70_000}))],
    # By which podman takes the store for one that only fuse-overlayfs can mount.
    "fuse": [tar_of(("d", DIRECTORY, b"", attribute("user.fuseoverlayfs.opaque")), ("e", DIRECTORY, b"", attribute("user.containers.override_stat", "0:0:0755")),
                    ("d/file", FILE, b"1"))],
}
WRITABLE = [name for name in LAYERS if name not in ("too-high", "fuse")]


class Namespaces(StoreComparison):
    """The tests of one driver."""

    driver = None

    def setUp(self):
        super().setUp()
        self.temp.chmod(0o711)
        self.store = self.new_store("store")
        self.layout = Layout(self.temp / "layout")
        for name, tars in LAYERS.items():
            self.layout.add(Store.image(self.layout, tars, "gzip", "amd64"), ref=name)

    def new_store(self, name):
        return RootlessStore(self.temp / name, self.driver)

    def copies(self, names, store, program="tug", options=""):
        """A shell's text: all of them."""
        tool = "tug copy -q" if program == "tug" else "skopeo --insecure-policy copy -q"
        place = f"{store.place[:-1]}{options}]localhost/"
        return " && ".join(f"{tool} oci:{self.layout.path}:{name} {place}{name}:1" for name in names)

    def within(self, *command, store=None, namespace=("podman", "unshare"), check=True):
        return (store or self.store).run(*namespace, *command, check=check)

    def failing(self, store, *command):
        """What it says on its one line."""
        as_whom = store.as_owner if isinstance(store, RootlessStore) else ()
        done = subprocess.run([*as_whom, *map(str, command)], env=store.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd="/")
        self.assertEqual((done.returncode, done.stdout), (1, ""), done.stderr)
        self.assertRegex(done.stderr, r"\Atime=\S+ level=fatal msg=.*\n\Z")
        return done.stderr

    def attributes(self, name):
        """Of everything in the store's layers that is called so."""
        found = [path for path in self.store.root.rglob(name) if "-images" not in str(path)]
        return [os.listxattr(path, follow_symlinks=False) for path in found]


class Rootless(Namespaces):
    def test_the_same_store_as_skopeos(self):
        """In `podman unshare`: owners, devices, attributes, whiteouts. With ids that are not there: as the configuration says."""
        other = self.new_store("other")
        self.within("sh", "-c", self.copies(WRITABLE, self.store))
        self.within("sh", "-c", self.copies(WRITABLE, other, "skopeo"))
        ignoring = f":{self.driver}.ignore_chown_errors=true"
        for store, program in ((self.store, "tug"), (other, "skopeo")):
            self.within("sh", "-c", self.copies(["too-high"], store, program, ignoring))
        self.assert_same_stores(self.store, other)
        self.assertEqual({path.lstat().st_uid for path in self.store.root.rglob("setuid") if path.read_bytes() == b"1"}, {100_000 + 1234 - 1})
        self.assertEqual([path for path in self.store.root.rglob("*") if path.is_block_device()], [])
        self.assertIn(["user.own"], self.attributes("user"))
        if self.driver == "overlay":
            self.assertIn(["user.overlay.opaque"], self.attributes("sub"))
        # And tug makes the layers' tars again from them.
        out = self.temp / "out"
        out.mkdir()
        os.chown(out, NOBODY.pw_uid, NOBODY.pw_gid)
        self.within("sh", "-c", " && ".join(f"tug copy -q {self.store.reference(f'{name}:1')} oci:{out}/{name}:1" for name in WRITABLE))
        for name in WRITABLE:
            read, was = Layout(out / name), self.layout
            configs = [layout.read_json(layout.read_json(layout.descriptor(ref))["config"]) for layout, ref in ((read, "1"), (was, name))]
            self.assertEqual(*configs)

    def test_too_few_ids(self):
        """Where only root is mapped: one line that says where there would be more, and nothing is left; what is root's alone is written."""
        alone = ("unshare", "--map-root-user", "--mount")
        for name, namespace in (("owners", alone), ("too-high", ("podman", "unshare"))):
            text = self.failing(self.store, *namespace, "sh", "-c", self.copies([name], self.store))
            self.assertRegex(text, r"owner \d+:\d+: Invalid argument \(hint: .*/etc/subuid")
            self.assertEqual((self.store.root / f"{self.driver}-layers/layers.json").read_text(), "[]")
        self.within("sh", "-c", self.copies(["changes", "attributes", "devices"], self.store), namespace=alone)
        self.assertEqual(len(self.store.records()), 3)
        self.assertIn("localhost/changes", self.store.podman("images"))

    def test_podman_runs_it(self):
        """Into the configured store, in podman's and in buildah's namespace; podman mounts, runs, commits and removes it."""
        program, store = static_program(self.temp), self.store
        lower = tar_of(("says", FILE, program, {"mode": 0o755}), ("etc", DIRECTORY, b""), ("etc/motd", FILE, b"nothing\n"), ("etc/old", FILE, b"1"),
                       ("gone", FILE, b"1", {"uid": 1234}))
        upper = tar_of(("etc", DIRECTORY, b""), ("etc/.wh..wh..opq", FILE, b""), ("etc/motd", FILE, b"hello\n", {"uid": 1234}), (".wh.gone", FILE, b""))
        self.layout.add(Store.image(self.layout, [lower, upper], "gzip", "amd64"), ref="says")
        for tool in ("podman", "buildah"):
            self.within("tug", "copy", "-q", f"oci:{self.layout.path}:says", f"containers-storage:localhost/{tool}:1", namespace=(tool, "unshare"))
        self.assertEqual(store.names(), ["localhost/buildah:1", "localhost/podman:1"])
        self.assertEqual(store.podman("run", "--rm", *store.contained, "localhost/podman:1", "/says"), "it says hello")
        files = self.within("sh", "-c", f"cd $({' '.join(map(str, store.command))} image mount localhost/podman:1) && find . -type f -printf '%P %U\\n' | sort")
        self.assertEqual(files.split("\n"), ["etc/motd 1234", "says 0"])
        store.podman("run", "--name", "c", *store.contained, "localhost/podman:1", "/says")
        store.podman("commit", "-q", "c", "localhost/top:1")
        self.assertEqual(store.podman("run", "--rm", *store.contained, "localhost/top:1", "/says"), "it says hello")
        store.podman("rm", "c")
        store.podman("rmi", "-af")
        self.assertEqual((store.records(), store.layers()), ([], []))

    def test_who_may_not(self):
        """Outside a namespace, and in one at the store of others: one line says what to do, and nothing is made."""
        text = self.failing(self.store, "tug", "copy", "-q", f"oci:{self.layout.path}:odd", self.store.reference("odd:1"))
        self.assertIn("can only be written as root", text)
        self.assertIn("hint: podman unshare tug", text)
        self.assertFalse(self.store.root.exists())
        roots = PodmanStore(self.temp / "roots", self.driver)
        roots.run("sh", "-c", self.copies(["owners"], roots))
        before = snapshot(roots)
        for command in (self.copies(["odd"], roots), f"tug inspect {roots.reference('owners:1')}"):
            text = self.failing(self.store, "podman", "unshare", "sh", "-c", command)
            self.assertRegex(text, r"Permission denied \(hint: .*outside this user namespace")
        self.assertEqual(snapshot(roots), before)

    def test_podman_takes_the_store_as_it_is(self):
        """Whatever attributes the first layer in it has."""
        self.within("sh", "-c", self.copies(["fuse"], self.store))
        self.assertIn("localhost/fuse", self.store.podman("images"))
        self.assertEqual(self.attributes("d"), [[]])
        if self.driver == "overlay":
            self.assertEqual((self.store.root / "overlay/.has-mount-program").read_text(), "false")


class Limited(Namespaces):
    """Root without CAP_SYS_ADMIN, as containers have it."""

    limits = ("setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin")

    def new_store(self, name):
        return PodmanStore(self.temp / name, self.driver)


@tug_only
class Overlay(Rootless, SystemTest):
    driver = "overlay"


@tug_only
class Vfs(Rootless, SystemTest):
    driver = "vfs"


@tug_only
class LimitedVfs(Limited, SystemTest):
    driver = "vfs"

    def test_the_same_store_as_skopeos(self):
        other = self.new_store("other")
        names = [name for name in WRITABLE if name != "devices"]
        self.within("sh", "-c", self.copies(names, self.store), namespace=self.limits)
        self.within("sh", "-c", self.copies(names, other, "skopeo"), store=other, namespace=self.limits)
        self.assert_same_stores(self.store, other)

    def test_what_it_may_not_make(self):
        """Devices stay out of it; those that it may make are made, where skopeo has none."""
        self.within("sh", "-c", self.copies(["devices"], self.store), namespace=(*self.limits, "setpriv", "--bounding-set=-mknod", "--inh-caps=-mknod"))
        self.assertEqual([path.name for path in (self.store.root / "vfs/dir").glob("*/*")], ["file"])

    def test_a_new_store(self):
        """Begins with vfs, since nobody here could mount the other."""
        self.store.conf.write_text(self.store.conf.read_text().replace('driver = "vfs"\n', ""))
        self.within("tug", "copy", "-q", f"oci:{self.layout.path}:changes", "containers-storage:localhost/a:1", namespace=self.limits)
        self.assertEqual(self.store.record("a:1")["names"], ["localhost/a:1"])


@tug_only
class LimitedOverlay(Limited, SystemTest):
    driver = "overlay"

    def test_an_opaque_directory(self):
        """Cannot be: one line says so, and nothing is left."""
        text = self.failing(self.store, *self.limits, "sh", "-c", self.copies(["changes"], self.store))
        self.assertRegex(text, r"cannot make \S+/diff/d/sub opaque: Operation not permitted \(hint: .*CAP_SYS_ADMIN.*vfs")
        self.assertEqual([layer["diff-digest"] for layer in self.store.layers()], [json.loads(self.config("changes"))["rootfs"]["diff_ids"][0]])
        self.assertFalse((self.store.root / "overlay-images/images.json").exists())
        self.within("sh", "-c", self.copies(["odd", "owners", "attributes"], self.store), namespace=self.limits)
        self.assertEqual(len(self.store.records()), 3)

    def config(self, ref):
        return self.layout.read(self.layout.read_json(self.layout.descriptor(ref))["config"])


if __name__ == "__main__":
    podman.main()
