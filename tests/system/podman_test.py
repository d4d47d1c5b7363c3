"""Stores that tug and Debian's podman share, overlay and vfs: podman lists, runs, builds on, saves, pushes and removes what tug wrote, and tug reads
what podman loaded, pulled, built and committed.
"""

import concurrent.futures
import gzip
import hashlib
import json
import pathlib
import sys
import tarfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import podman  # noqa: E402
from support.case import FIXTURES, HOST_ARCHITECTURE, SystemTest, tug_only  # noqa: E402
from support.layouts import Layout, digest_of, noise  # noqa: E402
from support.podman import PodmanStore  # noqa: E402
from support.registry import Registry  # noqa: E402
from support.stores import simple_tar, static_program  # noqa: E402

HELLO = f"oci:{FIXTURES}/hello:1.0"


def without(document, *keys):
    """`document` without these keys, wherever they are in it."""
    if isinstance(document, list):
        return [without(each, *keys) for each in document]
    if not isinstance(document, dict):
        return document
    return {key: without(value, *keys) for key, value in document.items() if key not in keys}


class Podman:
    """The tests of one driver."""

    driver = None

    def setUp(self):
        super().setUp()
        self.temp.chmod(0o711)
        self.store = PodmanStore(self.temp / "store", self.driver)
        self.layout = Layout(self.temp / "layout")

    # ---- the two programs

    def write(self, source, name, *flags):
        """By tug, from a reference."""
        self.assert_success(self.tug("copy", "-q", *flags, source, self.store.reference(name)))

    def image(self, ref, *files, **config):
        """A reference to an image whose layers have these {path: content}."""
        self.layout.add(self.layout.image(files, **config), ref=ref)
        return f"oci:{self.layout.path}:{ref}"

    def says(self):
        """An image that runs: "it says hello"."""
        return self.image("says", {"bin/says": static_program(self.temp), "etc": None, "etc/motd": b"nothing\n", "gone": b"gone"},
                          {"etc/motd": b"hello\n", "etc/more": b"more", ".wh.gone": b""}, Cmd=["/bin/says"], Labels={"a": "b <&> c"})

    def read(self, reference):
        """(config, [digest of each layer's tar]) of an image, by tug."""
        layout = Layout(self.temp / f"read-{len(list(self.temp.iterdir()))}")
        self.assert_success(self.tug("copy", "-q", reference, f"oci:{layout.path}:it"))
        manifest = layout.read_json(layout.descriptor("it"))
        blobs = [layout.read(each) for each in manifest["layers"]]
        return layout.read_json(manifest["config"]), [digest_of(gzip.decompress(blob) if blob.startswith(b"\x1f\x8b") else blob) for blob in blobs]

    def assert_whole(self, name, place=None):
        """tug makes the same archive of the image as skopeo, and the tars in it are those that the config names. Returns the config."""
        reference = f"{place or self.store.place}{name}"
        archives = [self.temp / f"{tool}-{len(list(self.temp.iterdir()))}.tar" for tool in ("tug", "skopeo")]
        self.assert_success(self.tug("copy", "-q", reference, f"docker-archive:{archives[0]}:localhost/it:1"))
        self.skopeo("copy", "-q", "--insecure-policy", reference, f"docker-archive:{archives[1]}:localhost/it:1")
        self.assertEqual(*(hashlib.sha256(path.read_bytes()).hexdigest() for path in archives))
        with tarfile.open(archives[0]) as archive:
            def member(name):
                return archive.extractfile(name).read()
            [manifest] = json.loads(member("manifest.json"))
            config = json.loads(member(manifest["Config"]))
            self.assertEqual([digest_of(member(layer)) for layer in manifest["Layers"]], config["rootfs"]["diff_ids"])
        self.assertTrue(manifest["Layers"])
        return config

    def assert_empty(self):
        self.assertEqual((self.store.podman("images", "-aq"), self.store.podman("ps", "-aq")), ("", ""))
        self.assertEqual((self.store.records(), self.store.layers()), ([], []))
        self.assertEqual(list((self.store.root / f"{self.driver}-layers").glob("*.tar-split.gz")), [])
        files = self.store.root / ("vfs/dir" if self.driver == "vfs" else "overlay/l")
        self.assertEqual(list(files.iterdir()), [])

    # ---- podman with what tug wrote

    def test_the_same_as_skopeos_to_podman(self):
        """images, inspect, history, tree and exists say the same of a store as if skopeo had filled it."""
        other = PodmanStore(self.temp / "other", self.driver)
        sources = {"localhost/says:1": self.says(), "docker.io/library/hello:latest": HELLO, "localhost/list:1": f"oci:{FIXTURES}/multi:all",
                   "example.com:5000/team/v2s2:a": f"dir:{self.temp}/v2s2"}
        self.skopeo("copy", "-q", "--insecure-policy", "--format", "v2s2", HELLO, f"dir:{self.temp}/v2s2")
        for name, source in sources.items():
            self.assert_success(self.tug("copy", "-q", source, f"{self.store.place}{name}"))
            other.run("skopeo", "copy", "-q", "--insecure-policy", source, f"{other.place}{name}")
        self.assertEqual(self.store.names(), sorted(sources))
        for command in (("images", "--digests", "--format", "json"), *(("inspect", name) for name in sources),
                        *(("history", "--format", "json", name) for name in sources)):
            with self.subTest(command):
                mine, its = (without(store.podman_json(*command), "GraphDriver") for store in (self.store, other))
                self.assertEqual(mine, its)
        for name in sources:
            self.assertEqual(self.store.podman("image", "tree", name), other.podman("image", "tree", name))
            # It says them in any order.
            self.assertEqual(*(sorted(store.podman("image", "diff", name).splitlines()) for store in (self.store, other)))
            self.store.podman("image", "exists", name)
        # By the short names that podman knows, and no others.
        for name in ("says:1", "hello"):
            self.store.podman("image", "exists", name)
        with self.assertRaises(RuntimeError):
            self.store.podman("image", "exists", "says:2")

    def test_podman_runs_it(self):
        self.write(self.says(), "says:1")
        store = self.store
        self.assertEqual(store.podman("run", "--rm", *store.contained, "localhost/says:1"), "it says hello")
        store.podman("create", "--name", "c", *store.contained, "localhost/says:1")
        store.podman("start", "c")
        store.podman("wait", "c")
        self.assertEqual(store.podman("logs", "c"), "it says hello")
        mount = pathlib.Path(store.podman("mount", "c"))
        self.assertEqual((mount / "etc/motd").read_text(), "hello\n")
        self.assertEqual((mount / "etc/more").read_text(), "more")
        self.assertFalse((mount / "gone").exists())
        (mount / "etc/motd").write_text("committed\n")
        store.podman("umount", "c")
        self.assertIn("C /etc/motd", store.podman("diff", "c").splitlines())
        # On top of it.
        store.podman("commit", "-q", "c", "localhost/top:1")
        self.assertEqual(store.podman("run", "--rm", *store.contained, "localhost/top:1"), "it says committed")
        self.assertEqual(len(self.assert_whole("localhost/top:1")["rootfs"]["diff_ids"]), 3)
        # The image is in use, and tug's is still there when it writes it again.
        with self.assertRaises(RuntimeError):
            store.podman("rmi", "localhost/says:1")
        self.write(self.says(), "says:1")
        store.podman("rm", "c")
        for name in ("top:1", "says:1"):
            store.podman("rmi", f"localhost/{name}")
        self.assert_empty()

    def test_podman_builds_on_it(self):
        """With a cache that knows tug's layers; prune and df see what is in use."""
        store, context = self.store, self.temp / "context"
        self.write(self.says(), "says:1")
        context.mkdir()
        (context / "Containerfile").write_text('FROM localhost/says:1\nRUN ["/bin/says"]\nCOPY motd /etc/\nRUN ["/bin/says"]\nENV A=b\n')
        (context / "motd").write_text("built\n")
        build = ("build", "--isolation", "chroot", *store.limits, "--layers", "-t", "built:1", context)
        self.assertIn("it says built", store.podman(*build))
        self.assertIn("Using cache", store.podman(*build))
        self.assertEqual(self.assert_whole("localhost/built:1")["config"]["Env"][-1], "A=b")
        self.assertEqual(store.podman("run", "--rm", *store.contained, "built:1"), "it says built")
        # The images between have no names.
        between = [image["Id"] for image in store.podman_json("images", "-a", "--format", "json") if not image.get("Names")]
        self.assertTrue(between)
        self.assert_whole(between[0])
        with self.assertRaises(RuntimeError):
            store.podman("rmi", "localhost/says:1", "localhost/nothere:1")
        self.assertEqual(store.names(), ["localhost/built:1"])
        # What tug writes anew gets its names back.
        self.write(self.says(), "says:1")
        self.assertEqual(store.names(), ["localhost/built:1", "localhost/says:1"])
        self.assertIn("Images", store.podman("system", "df"))
        store.podman("rmi", "built:1")
        store.podman("image", "prune", "-f")
        self.assertEqual(store.names(), ["localhost/says:1"])
        self.assert_whole("localhost/says:1")
        store.podman("system", "prune", "-af")
        self.assert_empty()

    # ---- tug with what podman made

    def test_what_podman_has(self):
        """Loaded, imported, pulled from a registry and a layout, tagged: by every name that podman prints, and by id and digest."""
        store, source = self.store, self.says()
        registry = self.enterContext(Registry(self.temp / "registry"))
        odd = self.image("odd", {"x": noise(3000)})
        tar = self.temp / "files.tar"
        tar.write_bytes(simple_tar({"etc/motd": b"imported\n", "a/b/c": noise(100_000)}))
        store.podman("import", "-q", tar, "localhost/imported:1")
        self.assert_success(self.tug("copy", "-q", source, f"oci-archive:{self.temp}/a.tar:localhost/loaded:1"))
        store.podman("load", "-q", "-i", self.temp / "a.tar")
        to_registry = f"docker://{registry.address}/team/app:1"
        self.assert_success(self.tug("copy", "-q", "--no-cache", "--dest-tls-verify=false", odd, to_registry))
        self.assert_success(self.tug("copy", "-q", "--all", "--no-cache", "--dest-tls-verify=false", f"oci:{FIXTURES}/multi:all",
                                     f"docker://{registry.address}/team/multi:1"))
        digest = registry.tags("team/app")["1"]
        store.podman("pull", "-q", "--tls-verify=false", f"{registry.address}/team/app:1")
        store.podman("pull", "-q", "--tls-verify=false", f"{registry.address}/team/app@{digest}")
        for architecture in ("arm64", "amd64"):
            store.podman("pull", "-q", "--tls-verify=false", "--arch", architecture, f"{registry.address}/team/multi:1")
            # The name's last image.
            config = self.assert_whole(f"{registry.address}/team/multi:1")
            self.assertEqual(config["architecture"], architecture)
        store.podman("pull", "-q", HELLO)
        store.podman("tag", "localhost/loaded:1", "short", "docker.io/library/hub", "example.com:5000/a/b/c:d")
        store.podman("untag", "localhost/imported:1")
        names = store.names()
        self.assertLessEqual({"localhost/loaded:1", "localhost/short:latest", "docker.io/library/hub:latest", "example.com:5000/a/b/c:d",
                              f"{registry.address}/team/app:1"}, set(names))
        ids = {image["Id"] for image in store.podman_json("images", "-a", "--no-trunc", "--format", "json")}
        self.assertEqual(len(ids), 6)
        for each in ids:
            self.assert_whole(each)
        for name in (*names, *(each[:12] for each in ids), "hub", f"{registry.address}/team/app@{digest}"):
            found = self.assert_success(self.tug("inspect", f"{store.place}{name}")).json()
            self.assertEqual(found["Digest"], store.run("skopeo", "inspect", "-n", "--format", "{{.Digest}}", f"{store.place}{name}"), name)
        # podman looks for a short name below localhost too, the transport does not: the line says what it is called there.
        self.assert_failure(self.tug("inspect", f"{store.place}short"), code=2, text="localhost/short:latest")
        # And back where it came from, as it was.
        self.assert_success(self.tug("copy", "-q", "--no-cache", "--dest-tls-verify=false", f"{store.place}{registry.address}/team/app:1",
                                     f"docker://{registry.address}/team/app:2"))
        self.assertEqual(registry.tags("team/app")["2"], digest)

    # ---- both at once

    def test_both_at_once(self):
        """tug copies in, again and again, while podman builds, tags, lists, runs and removes: neither fails, and what is left is whole."""
        store = self.store
        self.write(self.says(), "says:1")
        program = static_program(self.temp)
        sources = [self.image(f"n{n}", {"bin/says": program, "etc/motd": b"%d\n" % n}, {"n": noise(20_000, n)}) for n in range(5)]

        def copies():
            for number, source in enumerate(sources):
                self.write(source, f"n{number}:1")
                for each in (HELLO, source):
                    self.write(each, "moving:1")

        def works():
            for number in range(2):
                context = self.temp / f"context{number}"
                context.mkdir()
                (context / "Containerfile").write_text(f"FROM localhost/says:1\nENV N={number}\nCOPY Containerfile /\n")
                store.podman("build", "-q", "--isolation", "chroot", *store.limits, "-t", f"built{number}:1", context)
                store.podman("tag", f"built{number}:1", "last")
                store.podman("images", "-a")
                self.assertEqual(store.podman("run", "--rm", *store.contained, "localhost/says:1"), "it says hello")
                self.write(HELLO, f"hello{number}:1")
                store.podman("rmi", f"localhost/hello{number}:1")

        with concurrent.futures.ThreadPoolExecutor() as pool:
            for future in [pool.submit(each) for each in (copies, works)]:
                future.result()
        names = store.names()
        self.assertEqual(names, sorted([*(f"localhost/n{n}:1" for n in range(5)), *(f"localhost/built{n}:1" for n in range(2)), "localhost/last:latest",
                                        "localhost/moving:1", "localhost/says:1"]))
        for name in names:
            config, tars = self.read(f"{store.place}{name}")
            self.assertEqual(tars, config["rootfs"]["diff_ids"])
        self.assertEqual(store.podman("run", "--rm", *store.contained, "localhost/moving:1", "/bin/says"), "it says 4")
        store.podman("rmi", "-af")
        self.assert_empty()


@tug_only
class Overlay(Podman, SystemTest):
    driver = "overlay"


@tug_only
class Vfs(Podman, SystemTest):
    driver = "vfs"

    # ---- the same whatever the driver

    def test_podman_saves_it(self):
        """In every format; tug reads it, loads it again, and so does podman with what tug saved."""
        store, source = self.store, self.says()
        self.write(source, "says:1")
        wanted = self.read(source)
        for kind, reference in (("oci-archive", "oci-archive:{}"), ("docker-archive", "docker-archive:{}"), ("oci-dir", "oci:{}"), ("docker-dir", "dir:{}")):
            with self.subTest(kind):
                path = self.temp / f"saved.{kind}"
                store.podman("save", "-q", "--format", kind, "-o", path, "localhost/says:1")
                config, tars = self.read(reference.format(path))
                self.assertEqual((config, tars), wanted)
                self.write(reference.format(path), f"{kind}:1")
                self.assert_whole(f"localhost/{kind}:1")
        self.assertEqual(store.names(), [f"localhost/{name}:1" for name in ("docker-archive", "docker-dir", "oci-archive", "oci-dir", "says")])
        other = PodmanStore(self.temp / "other", self.driver)
        for transport in ("oci-archive", "docker-archive"):
            path = self.temp / f"tug.{transport}"
            self.assert_success(self.tug("copy", "-q", store.reference("says:1"), f"{transport}:{path}:localhost/{transport}:2"))
            self.assertIn(f"localhost/{transport}:2", other.podman("load", "-q", "-i", path))
            self.assertEqual(other.podman("run", "--rm", *store.contained, f"localhost/{transport}:2"), "it says hello")
            self.assert_whole(f"localhost/{transport}:2", other.place)

    def test_a_manifest_list(self):
        """`podman manifest create` and `add`: with --all the list, else the image for this machine, as `podman manifest push` and tug push them."""
        store = self.store
        registry = self.enterContext(Registry(self.temp / "registry"))
        for name in ("amd64", "arm64"):
            self.write(self.image(name, {"arch": name.encode(), "n": noise(5000)}, architecture=name), f"{name}:1")
        store.podman("manifest", "create", "list:1")
        for name in ("amd64", "arm64"):
            store.podman("manifest", "add", "list:1", f"containers-storage:localhost/{name}:1")
        store.podman("manifest", "annotate", "--variant", "v8", "list:1", self.descriptor("arm64")["digest"])
        http = ("--no-cache", "--dest-tls-verify=false")
        place = f"docker://{registry.address}"
        self.assert_success(self.tug("copy", "-q", "--all", *http, store.reference("list:1"), f"{place}/tug/list:1"))
        self.assert_success(self.tug("copy", "-q", *http, store.reference("list:1"), f"{place}/tug/one:1"))
        store.podman("manifest", "push", "-q", "--all", "--tls-verify=false", "list:1", f"{place}/podman/list:1")
        mine, its = (self.pushed(registry, repository) for repository in ("tug/list", "podman/list"))
        self.assertEqual(mine, its)
        self.assertEqual(mine[1][1][1], {"architecture": "arm64", "os": "linux", "variant": "v8"})
        one = dict((child[1]["architecture"], child[2]) for child in mine[1])[HOST_ARCHITECTURE]
        self.assertEqual(self.manifest(registry, "tug/one", "1")["config"], one)
        # An instance that is in a registry alone: it says in which.
        store.podman("manifest", "create", "remote:1")
        store.podman("manifest", "add", "--all", "--tls-verify=false", "remote:1", f"{place}/tug/list:1")
        result = self.tug("copy", "-q", "--all", *http, store.reference("remote:1"), f"{place}/tug/remote:1")
        self.assert_failure(result, text=f"not in the store.*added from docker://{registry.address}/tug/list.*podman manifest push")
        # podman takes what tug pushed.
        other = PodmanStore(self.temp / "other", self.driver)
        other.podman("pull", "-q", "--tls-verify=false", "--arch", "arm64", f"{registry.address}/tug/list:1")
        self.assertEqual(self.assert_whole(f"{registry.address}/tug/list:1", other.place)["architecture"], "arm64")

    def descriptor(self, ref):
        return self.layout.descriptor(ref)

    @staticmethod
    def manifest(registry, repository, reference):
        return json.loads(registry.get(f"/v2/{repository}/manifests/{reference}")[2])

    def pushed(self, registry, repository):
        """(media type, [(media type, platform, config)]) of a list in the registry."""
        index = self.manifest(registry, repository, "1")
        children = [(each["mediaType"], each["platform"], self.manifest(registry, repository, each["digest"])["config"]) for each in index["manifests"]]
        return index["mediaType"], children


if __name__ == "__main__":
    podman.main()
