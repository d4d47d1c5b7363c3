"""containers-storage: as a destination, overlay and vfs: the same store as skopeo's, read and run by Debian's buildah and skopeo, whole after
failures, kills and beside others.

With TUG_STORAGE_WRITER=skopeo the comparisons are made of skopeo with itself: what they ask for is what skopeo does.
"""

import concurrent.futures
import contextlib
import gzip
import json
import os
import pathlib
import signal
import subprocess
import sys
import tarfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import case, stores  # noqa: E402
from support.case import FIXTURES, SystemTest, tug_only  # noqa: E402
from support.layouts import CREATED, OCI_CONFIG, OCI_LAYER_GZIP, OCI_MANIFEST, Layout, digest_of, noise  # noqa: E402
from support.loopback_server import Handler, LoopbackServer  # noqa: E402
from support.registry import Registry  # noqa: E402
from support.store_snapshot import StoreComparison, contents, records, snapshot  # noqa: E402
from support.stores import (  # noqa: E402
    DIRECTORY, FILE, HARDLINK, LOWER, SYMLINK, UPPER, Store, linked_tar, odd_tar, simple_tar, static_program, tar_of)

WRITER = os.environ.get("TUG_STORAGE_WRITER")


class LateLayer(LoopbackServer):
    """A registry with the image of `manifest`, whose last layer is answered once `is_time()`, and then with an error unless `gives_it`."""

    def __init__(self, layout, manifest, is_time):
        self.layout, self.manifest, self.is_time, self.gives_it, self.asked = layout, manifest, is_time, False, []
        server = self

        class Image(Handler):
            def do_GET(self):
                kind, name = self.path.split("/")[-2:]
                server.asked.append(name)
                if kind == "manifests":
                    return self.answer(200, [("Content-Type", OCI_MANIFEST)], layout.read(manifest))
                if kind != "blobs":
                    return self.answer(200)
                layer = layout.read_json(manifest)["layers"][-1]["digest"]
                late = time.monotonic() + 60
                while name == layer and not server.is_time() and time.monotonic() < late:
                    time.sleep(0.01)
                if name == layer and not (server.gives_it and server.is_time()):
                    return self.answer(404)
                return self.answer(200, body=layout.read({"digest": name}))

            do_HEAD = do_GET

        super().__init__(Image)


class Destination(StoreComparison):
    """The tests of one driver."""

    driver = None

    def setUp(self):
        super().setUp()
        self.temp.chmod(0o711)
        self.store = Store(self.temp / "store", self.driver)
        self.layout = Layout(self.temp / "layout")

    def write(self, source, name, *flags, store=None, **options):
        """`source`: a reference."""
        reference = (store or self.store).reference(name)
        program = options.pop("program", WRITER)
        if program == "skopeo":
            flags = ("--insecure-policy", *flags)
        return self.tug("copy", "-q", *flags, source, reference, program=program, **options)

    def image(self, tars, ref, compression="gzip"):
        """Its reference."""
        self.layout.add(Store.image(self.layout, tars, compression, "amd64"), ref=ref)
        return f"oci:{self.layout.path}:{ref}"

    def other_store(self):
        return Store(self.temp / "other", self.driver)

    def assert_readable(self, name, store=None):
        """Every layer, by skopeo, which makes the tars again."""
        target = self.temp / f"read-{time.monotonic_ns()}"
        store = store or self.store
        store.run("skopeo", "copy", "-q", "--insecure-policy", store.reference(name), f"dir:{target}")
        config = json.loads(store.run("skopeo", "inspect", "--config", store.reference(name)))
        manifest = json.loads((target / "manifest.json").read_text())
        self.assertEqual([each["digest"] for each in manifest["layers"]], config["rootfs"]["diff_ids"])
        for each in manifest["layers"]:
            self.assertEqual(digest_of((target / each["digest"].split(":")[1]).read_bytes()), each["digest"])

    def good_image(self, ref="good"):
        return self.image([simple_tar({"etc/motd": b"hello\n", "n": noise(40_000)}), simple_tar({"second": b"2"})], ref)

    # ---- deleting

    def test_deletion(self):
        """The image by any of its names, all its names, and no layer that something else needs: the store is then as skopeo leaves it."""
        one, two = (simple_tar({name: noise(40_000)}) for name in ("one", "two"))
        others = self.other_store()
        for store in (self.store, others):
            for tars, name in (([one], "base:1"), ([one, two], "upper:1"), ([one, two], "upper:2"), ([two], "alone:1")):
                source = self.image(tars, f"{store.directory.name}-{name}".replace(":", "-"))
                self.assert_success(self.write(source, name, store=store, program="skopeo"))
        ids = {name: self.store.record(name)["id"] for name in ("base:1", "alone:1")}
        for name in ("localhost/upper:1", f"@{ids['base:1']}", ids["alone:1"][:12]):
            before = len(self.store.records())
            self.assert_success(self.tug("delete", f"{self.store.place}{name}", program=WRITER))
            self.assert_success(self.tug("delete", f"{others.place}{name}", program="skopeo"))
            self.assertEqual(len(self.store.records()), before - 1)
            self.assert_same_stores(self.store, others)
            for store in (self.store, others):
                left = {path.name for path in store.root.rglob("*") if path.is_dir() and len(path.name) == 64}
                self.assertEqual(left, {each["id"] for each in (*store.layers(), *store.records())})
        self.assertEqual(self.store.layers(), [])
        result = self.tug("delete", self.store.reference("upper:1"), program=WRITER)
        self.assertEqual(result.code, 1, str(result))
        self.assertIn("does not resolve to an image ID", result.err)

    @tug_only
    def test_deletion_of_what_is_used(self):
        """A container's image stays whole, with skopeo's exit code; the layers under a container's stay with it."""
        self.assert_success(self.write(self.good_image(), "used:1"))
        container = self.store.run("buildah", "from", "localhost/used:1")
        before = snapshot(self.store)
        for program in ("skopeo", None):
            result = self.tug("delete", self.store.reference("used:1"), program=program)
            self.assertEqual(result.code, 1, str(result))
            self.assertRegex(result.err, "image used by|is used by the container")
        self.assertEqual(snapshot(self.store), before)
        self.store.run("buildah", "rm", container)
        if self.driver == "overlay":
            podman = ("podman", "--root", self.store.root, "--runroot", self.store.runroot, "--storage-driver", self.driver, "image")
            self.store.run(*podman, "mount", "localhost/used:1")
            self.assert_failure(self.tug("delete", self.store.reference("used:1")), text="is mounted")
            self.store.run(*podman, "unmount", "localhost/used:1")
        self.assert_success(self.tug("delete", self.store.reference("used:1")))
        self.assertEqual((self.store.records(), self.store.layers()), ([], []))

    # ---- the same as skopeo's

    def test_the_same_store_as_skopeos(self):
        """File by file and record by record, for whatever layers may have in them."""
        images = {"gnu": ([odd_tar(tarfile.GNU_FORMAT)], "gzip"), "pax": ([odd_tar(tarfile.PAX_FORMAT)], "zstd"),
                  "plain": ([odd_tar(tarfile.USTAR_FORMAT, long_names=False)], "none"),
                  "padding": ([odd_tar(tarfile.GNU_FORMAT) + bytes(1_500_000)], "gzip"),
                  "changes": ([LOWER, UPPER], "gzip"), "none": ([], "gzip")}
        other = self.other_store()
        for ref, (tars, compression) in images.items():
            source = self.image(tars, ref, compression)
            self.assert_success(self.write(source, f"{ref}:1"))
            self.assert_success(self.write(source, f"{ref}:1", store=other, program="skopeo"))
        self.skopeo("copy", "-q", "--insecure-policy", "--format", "v2s2", f"oci:{FIXTURES}/hello:1.0", f"dir:{self.temp}/v2s2")
        for source, name in ((f"oci:{FIXTURES}/hello:1.0", "hello:1"), (f"dir:{self.temp}/v2s2", "v2s2:1"), (f"oci:{FIXTURES}/multi:all", "multi:1")):
            self.assert_success(self.write(source, name))
            self.assert_success(self.write(source, name, store=other, program="skopeo"))
        self.assert_same_stores(self.store, other)
        for ref in images:
            if images[ref][0]:
                self.assert_readable(f"{ref}:1")

    def test_the_same_layer_again(self):
        """In one image, where skopeo takes the second from the store and forgets how it was compressed."""
        same = simple_tar({"same": b"same" * 1000})
        for name, tars in (("same:1", [same, simple_tar({}), same]), ("again:1", [LOWER, UPPER, LOWER])):
            self.assert_success(self.write(self.image(tars, name[:-2]), name))
            self.assert_readable(name)

    def test_an_untidy_store(self):
        """In a store that others wrote: names go from image to image, and what is there is used."""
        other = self.other_store()
        first, second = self.good_image(), self.image([simple_tar({"etc/motd": b"hello\n", "n": noise(40_000)}), simple_tar({"third": b"3"})], "b")
        for store, program in ((self.store, WRITER), (other, "skopeo")):
            self.write(first, "a:1", store=store, program="skopeo")
            for source, name in ((second, "b:1"), (second, "a:1"), (first, "c:1"), (first, "b:1"), (first, "b:1")):
                self.assert_success(self.write(source, name, store=store, program=program))
        self.assert_same_stores(self.store, other)
        self.assertEqual(len(self.store.layers()), 3)

    def test_layers_are_made_while_others_come(self):
        """What is whole stays when the copy breaks off, as a layer of no image, and is not asked for again."""
        source = self.image([simple_tar({"one": noise(30_000)}), simple_tar({"two": b"2"}), simple_tar({"late": b"3"})], "late")
        manifest = self.layout.descriptor("late")
        base = [layer["digest"] for layer in self.layout.read_json(manifest)["layers"][:2]]
        layers_file = self.store.root / f"{self.driver}-layers/layers.json"

        def made():
            return [layer["compressed-diff-digest"] for layer in records(layers_file) if "flags" not in layer]

        with LateLayer(self.layout, manifest, lambda: made() == base) as registry:
            def pull():
                registry.asked.clear()
                return self.write(f"docker://{registry.address}/late:1", "late:1", "--src-tls-verify=false", "--retry-times=0")

            self.assert_failure(pull(), text="404|not found")
            self.assertEqual(made(), base)
            self.assertFalse((self.store.root / f"{self.driver}-images/images.json").exists())
            registry.gives_it = True
            self.assert_success(pull())
            self.assertEqual([name for name in registry.asked if name in base], [])
        self.assert_readable("late:1")
        other = self.other_store()
        self.assert_success(self.write(source, "late:1", store=other, program="skopeo"))
        self.assert_same_stores(self.store, other)

    def test_a_layer_that_goes_away_meanwhile(self):
        """The store had it, and so nobody asked for it; somebody removes its image before ours is there."""
        base = simple_tar({"one": noise(30_000)})
        self.assert_success(self.write(self.image([base], "first"), "first:1"))
        self.image([base, simple_tar({"late": b"3"})], "late")
        removed = []

        def remove():
            if not removed:
                removed.append(self.assert_success(self.tug("delete", self.store.reference("first:1"))))
            return True

        with LateLayer(self.layout, self.layout.descriptor("late"), remove) as registry:
            registry.gives_it = True
            self.assert_success(self.write(f"docker://{registry.address}/late:1", "late:1", "--src-tls-verify=false"))
        self.assertEqual(len(removed), 1)
        self.assert_readable("late:1")
        self.assertEqual(len(self.store.layers()), 2)

    # ---- read by others

    def test_buildah_runs_it(self):
        """images, from, run, commit on top, rmi; and then nothing is left."""
        program = static_program(self.temp)
        source = self.image([simple_tar({"says": program, "etc/motd": b"nothing\n"}), simple_tar({"etc/motd": b"hello\n"})], "says")
        self.layout.path.chmod(0o755)
        # The members of simple_tar are not executable.
        self.assert_success(self.write(source, "says:1"))
        self.assertIn("localhost/says", self.store.run("buildah", "images", "--format", "{{.Name}}"))
        container = self.store.run("buildah", "from", "localhost/says:1")
        mount = pathlib.Path(self.store.run("buildah", "mount", container))
        self.assertEqual({str(path.relative_to(mount)) for path in mount.rglob("*") if path.is_file()}, {"says", "etc/motd"})
        self.assertEqual((mount / "etc/motd").read_text(), "hello\n")
        (mount / "says").chmod(0o755)
        (mount / "new").write_text("on top")
        self.store.run("buildah", "umount", container)
        self.assertEqual(self.store.run("buildah", "run", "--isolation", "chroot", container, "/says"), "it says hello")
        self.store.run("buildah", "commit", "-q", "--rm", container, "localhost/top:1")
        self.assert_readable("top:1")
        for name in ("top:1", "says:1"):
            self.store.run("buildah", "rmi", f"localhost/{name}")
        self.assertEqual((self.store.records(), self.store.layers()), ([], []))
        self.assertEqual(list((self.store.root / f"{self.driver}-layers").glob("*.tar-split.gz")), [])

    def test_whiteouts_as_a_container_sees_them(self):
        """What buildah mounts is what its own tools would have made of the layers."""
        self.assert_success(self.write(self.image([LOWER, UPPER], "w"), "w:1"))
        container = self.store.run("buildah", "from", "localhost/w:1")
        mount = pathlib.Path(self.store.run("buildah", "mount", container))
        found = {str(path.relative_to(mount)): path.read_bytes() for path in mount.rglob("*") if path.is_file() and not path.is_symlink()}
        self.store.run("buildah", "rm", container)
        self.assertEqual(found, {"d/two": b"22", "d/sub/new": b"new", "file": b"changed", "becomes-dir/in": b"in", "becomes-file": b"now a file",
                                 "other": b"o", "twin": b"twins", "twin2": b"twins",
                                 "implied/parent/file": b"its directories are not in the tar"})

    @tug_only
    def test_from_everywhere(self):
        """A registry, archives and another store; and back into a registry with the digest that it had."""
        source = self.good_image()
        registry = self.enterContext(Registry(self.temp / "registry"))
        http = ("--src-tls-verify=false", "--dest-tls-verify=false", "--no-cache")
        self.assert_success(self.tug("copy", *http, source, f"docker://{registry.address}/good:1"))
        self.assert_success(self.write(f"docker://{registry.address}/good:1", "registry:1", *http[:1]))
        self.assert_success(self.tug("copy", source, f"oci-archive:{self.temp}/a.tar:1"))
        self.assert_success(self.write(f"oci-archive:{self.temp}/a.tar:1", "archive:1"))
        other = self.other_store()
        self.assert_success(self.write(self.store.reference("registry:1"), "store:1", store=other))
        # The same config makes it the same image, whose manifest is now this one.
        self.assert_success(self.tug("copy", source, f"docker-archive:{self.temp}/d.tar:good:1"))
        self.assert_success(self.write(f"docker-archive:{self.temp}/d.tar", "docker:1"))
        for name, store in (("registry:1", None), ("archive:1", None), ("docker:1", None), ("store:1", other)):
            self.assert_readable(name, store)
        digest = registry.tags("good")["1"]
        self.assertEqual(other.record("store:1")["digest"], digest)
        self.assertEqual(self.store.record("registry:1")["names"], ["localhost/docker:1", "localhost/archive:1", "localhost/registry:1"])
        self.assert_success(self.tug("copy", *http, other.reference("store:1"), f"docker://{registry.address}/good:1"))
        self.assertEqual(registry.tags("good")["1"], digest)

    # ---- what is there

    @tug_only
    def test_again_changes_nothing(self):
        """The same image under the same name: one look; under another: a name more, no layer is read."""
        source = self.good_image()
        self.assert_success(self.write(source, "good:1"))
        before = contents(self.store.root)
        self.assertIn("Skipping: image already present", self.assert_success(self.tug("copy", source, self.store.reference("good:1"))).out)
        self.assertEqual(contents(self.store.root), before)
        for path in (self.layout.path / "blobs/sha256").iterdir():
            if path.stat().st_size > 1000 or b"layers" not in path.read_bytes() and b"rootfs" not in path.read_bytes():
                path.write_bytes(b"")  # the layers
        self.assert_success(self.write(source, "good:2"))
        self.assertEqual(len(self.store.layers()), 2)
        self.assert_readable("good:2")

    @tug_only
    def test_what_is_not_known_stays(self):
        """Fields of newer versions, in the records of others and in ours."""
        self.assert_success(self.write(self.good_image(), "good:1"))
        for name in ("layers/layers.json", "images/images.json"):
            path = self.store.root / f"{self.driver}-{name}"
            path.write_text(json.dumps([{**record, "future": {"z": 1.50, "a": [True]}} for record in records(path)]))
        self.assert_success(self.write(self.image([simple_tar({"x": b"x"})], "x"), "x:1"))
        for records_of in (self.store.records, self.store.layers):
            self.assertEqual([record.get("future") for record in records_of()][:1], [{"z": 1.5, "a": [True]}])

    @tug_only
    def test_a_layer_that_is_elsewhere_in_the_store(self):
        """Above another parent: it is made from the one that is there."""
        base, top = simple_tar({"base": noise(30_000)}), simple_tar({"top": noise(50_000)})
        self.assert_success(self.write(self.image([base, top], "one"), "one:1"))
        source = self.image([top, base], "two")
        manifest = json.loads(self.layout.read(self.layout.descriptor("two")))
        for layer in manifest["layers"]:
            self.layout.blob_path(layer["digest"]).write_bytes(b"")
        self.assert_success(self.write(source, "two:1"))
        self.assertEqual(len(self.store.layers()), 4)
        self.assert_readable("two:1")

    @tug_only
    def test_after_somebody_died(self):
        """What another left incomplete is made anew."""
        source = self.good_image()
        self.assert_success(self.write(source, "good:1"))
        self.store.run("buildah", "rmi", "localhost/good:1")
        self.write(source, "good:1", program="skopeo")
        images = self.store.root / f"{self.driver}-images/images.json"
        layers = self.store.root / f"{self.driver}-layers/layers.json"
        images.write_text("[]")
        found = records(layers)
        found[-1]["flags"] = {"incomplete": True}
        layers.write_text(json.dumps(found))
        self.assert_success(self.write(source, "good:1"))
        self.assertEqual([layer.get("flags") for layer in self.store.layers()], [None, None])
        self.assert_readable("good:1")

    # ---- bad input

    @tug_only
    def test_bad_layers(self):
        """One line; neither a record nor a file more than there was; nothing outside."""
        self.assert_success(self.write(self.good_image(), "good:1"))
        before = snapshot(self.store)
        outside = self.temp / "outside"
        outside.mkdir()
        (outside / "file").write_text("not yours")
        up = "../" * 12 + str(outside)[1:]
        bad = {
            "up": tar_of((f"{up}/file", FILE, b"mine")),
            "link-out": tar_of(("x", HARDLINK, f"{up}/file")),
            "link-nowhere": tar_of(("x", HARDLINK, "nowhere")),
            "whiteout-up": tar_of((".wh...", FILE, b"")),
            "no-tar": b"this is no tar at all" * 100,
            "cut": simple_tar({"a": noise(5000)})[:3000],
        }
        for name, layer in bad.items():
            with self.subTest(name):
                self.assert_failure(self.write(self.image([simple_tar({"fine": b"1"}), layer], name), f"{name}:1"), text="layer|tar")
                self.assertEqual([each for each in self.store.records() if f"localhost/{name}:1" in each["names"]], [])
                self.assertEqual((outside / "file").read_text(), "not yours")
        self.assertEqual(os.listdir(outside), ["file"])
        self.assert_readable("good:1")
        after = snapshot(self.store)
        self.assertEqual(after["images"], before["images"])
        # The layers below what is bad are whole, as after a pull that broke off; the bad ones are not there.
        self.assertLessEqual(len(after["layers"]), len(before["layers"]) + 1)
        self.assert_tidy()

    @tug_only
    def test_links_lead_nowhere(self):
        """Members that go through links stay in the layer, wherever those seem to lead."""
        outside = self.temp / "outside"
        outside.mkdir()
        layer = tar_of(("abs", SYMLINK, str(outside)), ("abs/file", FILE, b"1"), ("rel", SYMLINK, "../" * 12 + str(outside)[1:]), ("rel/file2", FILE, b"2"))
        result = self.write(self.image([layer], "links"), "links:1")
        self.assertEqual(os.listdir(outside), [])
        if result.code == 0:
            self.assert_success(self.write(self.image([linked_tar()], "linked"), "linked:1"))
        self.assert_tidy()

    @tug_only
    def test_damage(self):
        """A blob that is not what its digest says, a config with other diff IDs, an artifact, a config without layers."""
        self.assert_success(self.write(self.good_image(), "good:1"))
        before = snapshot(self.store)
        source = self.image([simple_tar({"n": noise(30_000)})], "damaged")
        layer = json.loads(self.layout.read(self.layout.descriptor("damaged")))["layers"][0]
        path = self.layout.blob_path(layer["digest"])
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        self.assert_failure(self.write(source, "damaged:1"), text=layer["digest"])
        tars = [simple_tar({"lies": b"1"})]
        config = self.layout.json_blob({"created": CREATED, "architecture": "amd64", "os": "linux",
                                        "rootfs": {"type": "layers", "diff_ids": [digest_of(b"another")]}}, OCI_CONFIG)
        self.layout.add(self.layout.manifest(config, [self.layout.blob(gzip.compress(tars[0], mtime=0), OCI_LAYER_GZIP)]), ref="lies")
        self.assert_failure(self.write(f"oci:{self.layout.path}:lies", "lies:1"), text="config says")
        config = self.layout.json_blob({"created": CREATED, "architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}},
                                       OCI_CONFIG)
        self.layout.add(self.layout.manifest(config, [self.layout.blob(gzip.compress(tars[0], mtime=0), OCI_LAYER_GZIP)]), ref="few")
        self.assert_failure(self.write(f"oci:{self.layout.path}:few", "few:1"), text="layer")
        self.assert_failure(self.write(f"oci:{FIXTURES}/artifact:chart", "chart:1"), text="artifact")
        self.assertEqual(snapshot(self.store), before)
        self.assert_tidy()

    def assert_tidy(self):
        """No directory of a layer without its record, nothing half done, no file that waits."""
        ids = {layer["id"] for layer in self.store.layers()}
        self.assertEqual([layer for layer in self.store.layers() if layer.get("flags")], [])
        directory = self.store.root / ("vfs/dir" if self.driver == "vfs" else "overlay")
        found = {path.name for path in directory.iterdir() if path.is_dir() and path.name != "l"}
        self.assertEqual(found, ids)
        self.assertEqual({path.name.split(".")[0] for path in (self.store.root / f"{self.driver}-layers").glob("*.tar-split.gz")}, ids)
        if self.driver == "overlay":
            self.assertEqual(len(list((directory / "l").iterdir())), len(ids))
        with contextlib.suppress(FileNotFoundError):
            self.assertEqual(os.listdir(self.store.root / "tmp"), [])

    @tug_only
    def test_killed(self):
        """Wherever: the store is one that skopeo and tug go on with."""
        self.assert_success(self.write(self.good_image(), "good:1"))
        source = self.image([simple_tar({f"{n}/{i}": noise(20_000, n * 1000 + i) for i in range(150)}) for n in range(5)], "big")
        killed = 0
        for number in range(12):
            process = self.start("copy", "-q", source, self.store.reference("big:1"))
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.04 * (number + 1))
            if process.poll() is None:
                killed += 1
                process.send_signal(signal.SIGKILL if number % 3 else signal.SIGTERM)
                process.wait()
            self.assertEqual(self.store.run("skopeo", "inspect", "--format", "{{.Os}}", self.store.reference("good:1")), "linux")
            if number % 4 == 3:
                self.write(self.image([simple_tar({"n": b"%d" % number})], f"n{number}"), f"n{number}:1", program="skopeo")
        self.assertGreater(killed, 0)
        self.assert_success(self.write(source, "big:1"))
        self.assert_readable("big:1")
        self.assert_readable("good:1")
        self.assert_tidy()

    @tug_only
    def test_full_disk(self):
        """One line that says so; and then there is room again."""
        disk = self.temp / "disk"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(disk)], check=True)
        self.addCleanup(subprocess.run, ["umount", str(disk)], check=True)
        self.addCleanup(stores.release_mounts, disk)
        self.store = Store(disk / "store", self.driver)
        self.assert_success(self.write(self.good_image(), "good:1"))
        before = self.store.records()
        result = self.assert_failure(self.write(self.image([simple_tar({"n": noise(6 << 20)})], "large"), "large:1"), text="No space left on device")
        self.assertIn(str(disk), result.message())
        self.assertEqual(self.store.records(), before)
        self.assert_tidy()
        self.assert_success(self.write(self.image([simple_tar({"n": noise(100_000)})], "small"), "small:1"))

    # ---- beside others

    @tug_only
    def test_many_at_once(self):
        """Eight at once, skopeo among them, of images that share layers."""
        shared = [simple_tar({"base": noise(300_000)}), simple_tar({f"{n}": noise(1000, n) for n in range(100)})]
        sources = {f"n{number}:1": self.image([*shared, simple_tar({"own": b"%d" % number})], f"n{number}") for number in range(8)}
        self.assert_success(self.write(self.good_image(), "good:1"))
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            results = list(pool.map(lambda each: self.write(each[1][1], each[1][0], program="skopeo" if each[0] % 4 == 3 else None),
                                    enumerate(sources.items())))
        for result in results:
            self.assert_success(result)
        self.assertEqual(len(self.store.layers()), 2 + 2 + 8)
        for name in (*sources, "good:1"):
            self.assert_readable(name)
        self.assert_tidy()

    # ---- the command line

    @tug_only
    def test_command_line(self):
        """Names, platforms, what is refused, and what a dry run leaves."""
        source = self.good_image()
        self.assert_success(self.write(source, "dry:1", "--dry-run"))
        self.assertFalse(self.store.root.exists())
        multi = f"oci:{FIXTURES}/multi:all"
        self.assert_failure(self.write(multi, "multi:1", "--all"), text="holds one image")
        self.assertEqual(self.store.root.exists() and self.store.records(), self.store.root.exists() and [])
        self.assert_success(self.write(multi, "multi:1", "--override-arch=arm64"))
        self.assertEqual(json.loads(self.store.run("skopeo", "inspect", "--config", self.store.reference("multi:1")))["architecture"], "arm64")
        for name in ("tagless", "docker.io/library/app:1", "app"):
            self.assert_success(self.tug("copy", "-q", source, f"{self.store.place}{name}"))
        self.assertEqual(sorted(name for image in self.store.records() for name in image["names"]),
                         ["docker.io/library/app:1", "docker.io/library/app:latest", "docker.io/library/tagless:latest", "localhost/multi:1"])
        result = self.assert_success(self.tug("copy", "--json", "--digestfile", "digest", source, self.store.reference("j:1")))
        digest = self.layout.descriptor("good")["digest"]
        self.assertEqual((self.temp / "digest").read_text(), digest)
        self.assertEqual(result.json()["digest"], digest)
        self.assert_success(self.tug("copy", "-q", source, self.store.reference(f"by@{digest}")))
        self.assert_failure(self.tug("copy", "-q", multi, self.store.reference(f"by@{digest}")), text="names the digest")
        index = case.fixture("multi:all")[1]["digest"]
        for each in (index, digest_of(self.store.run("skopeo", "inspect", "--raw", self.store.reference("multi:1")).encode())):
            arm = self.tug("copy", "-q", "--override-arch=arm64", multi, self.store.reference(f"chosen@{each}"))
            self.assert_success(arm)
            self.store.run("skopeo", "--override-arch=arm64", "inspect", self.store.reference(f"chosen@{each}"))
        for bad, text in ((f"[btrfs@{self.temp}/x+{self.temp}/y]localhost/a:1", "btrfs"), (f"{self.store.place[19:]}localhost/UPPER:1", "UPPER"),
                          (f"[{self.driver}@relative]localhost/a:1", "relative|absolute")):
            self.assert_failure(self.tug("copy", "-q", source, f"containers-storage:{bad}"), text=text)

    @tug_only
    def test_the_configured_store(self):
        """storage.conf by CONTAINERS_STORAGE_CONF, and a store that is not there yet."""
        result = self.assert_success(self.tug("copy", self.good_image(), "containers-storage:localhost/conf:1",
                                              env={"CONTAINERS_STORAGE_CONF": str(self.store.conf)}))
        self.assertIn("Writing manifest to image destination", result.out)
        self.assertEqual(self.store.record("conf:1")["names"], ["localhost/conf:1"])
        self.assert_readable("conf:1")

    @tug_only
    def test_not_root(self):
        """It says what is needed, and makes nothing."""
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", case.TUG, "copy", "-q", f"oci:{FIXTURES}/hello:1.0",
                   self.store.reference("a:1")]
        done = subprocess.run(command, env=self.environment, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if "failed to execute" not in done.stderr:
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn("podman unshare", done.stderr)
        self.assertFalse(self.store.root.exists())


class Overlay(Destination, SystemTest):
    driver = "overlay"


class Vfs(Destination, SystemTest):
    driver = "vfs"


if __name__ == "__main__":
    case.main()
