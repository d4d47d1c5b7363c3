"""Images of real containers-storage stores (overlay and vfs), pushed by tug and read back by Debian's tools."""

import contextlib
import fcntl
import functools
import gzip
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import case, layouts  # noqa: E402
from support.case import Result, SystemTest  # noqa: E402
from support.layouts import Layout, digest_of  # noqa: E402
from support.proxy import PausingProxy  # noqa: E402
from support.registry import Registry  # noqa: E402
from support.stores import DOCKER_NAMES, UNREADABLE, Store, release_mounts  # noqa: E402


def uncompressed(data):
    if data[:2] == b"\x1f\x8b":
        return gzip.decompress(data)
    if data[:4] == b"\x28\xb5\x2f\xfd":
        return subprocess.run(["zstd", "-dqc"], input=data, stdout=subprocess.PIPE, check=True).stdout
    return data


# What podman, buildah and skopeo create, from containers/image.
CACHE_SCHEMA = """
CREATE TABLE DigestUncompressedPairs(anyDigest TEXT PRIMARY KEY NOT NULL, uncompressedDigest TEXT NOT NULL);
CREATE INDEX DigestUncompressedPairs_index_uncompressedDigest ON DigestUncompressedPairs(uncompressedDigest);
CREATE TABLE DigestCompressors(digest TEXT PRIMARY KEY NOT NULL, compressor TEXT NOT NULL);
CREATE TABLE KnownLocations(transport TEXT NOT NULL, scope TEXT NOT NULL, digest TEXT NOT NULL, location TEXT NOT NULL, time TIMESTAMP NOT NULL,
  PRIMARY KEY(transport, scope, digest, location));
CREATE TABLE DigestTOCUncompressedPairs(tocDigest TEXT PRIMARY KEY NOT NULL, uncompressedDigest TEXT NOT NULL);
CREATE TABLE DigestSpecificVariantCompressors(digest TEXT PRIMARY KEY NOT NULL, specificVariantCompressor TEXT NOT NULL,
  specificVariantAnnotations BLOB NOT NULL);
"""


def open_files(process):
    """The paths behind a process' descriptors."""
    paths = []
    for link in pathlib.Path(f"/proc/{process.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            paths.append(os.readlink(link))
    return paths


class StorageTests:
    """The tests of one driver."""

    driver = None

    @classmethod
    def setUpClass(cls):
        directory = pathlib.Path(tempfile.mkdtemp(prefix=f"tug-test-{cls.driver}-"))
        cls.addClassCleanup(shutil.rmtree, directory, ignore_errors=True)
        cls.addClassCleanup(release_mounts, directory)
        directory.chmod(0o711)
        cls.directory = directory
        cls.store = Store(directory / "store", cls.driver).build_all()
        cls.registry = cls.enterClassContext(Registry(directory / "registry"))

    @classmethod
    @functools.cache
    def large_store(cls):
        return Store(cls.directory / "large", cls.driver).build_large()

    def push(self, name, repository, *flags, cache=False, **options):
        source = name if name.startswith("containers-storage:") else self.store.reference(name)
        if not cache:
            flags = ("--no-cache", *flags)
        return self.tug("copy", "--dest-tls-verify=false", *flags, source, f"docker://{self.registry.address}/{repository}", **options)

    def pulled(self, repository, tag="1"):
        """(manifest, config, layers' bytes), read with skopeo and checked."""
        target = self.temp / f"pulled-{repository.replace('/', '-')}-{tag}"
        self.skopeo("copy", "--insecure-policy", "--src-tls-verify=false", f"docker://{self.registry.address}/{repository}:{tag}", f"dir:{target}")
        read = lambda digest: (target / digest.split(":")[1]).read_bytes()  # noqa: E731
        manifest = json.loads((target / "manifest.json").read_bytes())
        layers = [read(layer["digest"]) for layer in manifest["layers"]]
        return manifest, json.loads(read(manifest["config"]["digest"])), layers

    def assert_layers_are_the_stores(self, repository, tag="1"):
        manifest, config, layers = self.pulled(repository, tag)
        self.assertEqual([digest_of(uncompressed(layer)) for layer in layers], config["rootfs"]["diff_ids"])
        return manifest

    def opened_files(self, *arguments, env=None, **options):
        """The files that a run opens, by strace."""
        trace = self.temp / "trace"
        # The leak sanitizer does not work under strace.
        env = {**(env or {}), "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}
        result = self.tug("-f", "-qq", "-e", "trace=openat,openat2", "-o", trace, case.TUG, *arguments, program="strace", env=env, **options)
        self.assert_success(result)
        return trace.read_text(errors="replace")

    def assert_no_layer_was_opened(self, trace):
        self.assertIn(f"{self.driver}-layers/layers.json", trace)
        self.assertNotIn("tar-split", trace)
        self.assertNotIn("/overlay/" if self.driver == "overlay" else "/vfs/dir/", trace)

    @contextlib.contextmanager
    def push_in_the_middle_of_a_layer(self, store, repository):
        """A push of "large:1" whose connection stands still while a file of the layer is open, until the block ends. Afterwards its
        `result` is there."""
        reached, released = threading.Event(), threading.Event()

        def hold():
            reached.set()
            released.wait(120)

        with PausingProxy(self.registry.address, after_bytes=10 << 20, action=hold) as proxy:
            process = self.start("copy", "--no-cache", "--dest-tls-verify=false", store.reference("large:1"), f"docker://{proxy.address}/{repository}:1")
            try:
                self.assertTrue(reached.wait(60))
                time.sleep(0.5)  # let it fill its buffers
                self.assertTrue(any(path.endswith("/a/noise") for path in open_files(process)), open_files(process))
                self.assertIsNone(process.poll())
                yield process
                self.assertIsNone(process.poll())
            finally:
                released.set()
            out, err = process.communicate(timeout=120)
            process.result = Result(process.args, process.returncode, out, err)

    # ---- the blob info cache

    @property
    def cache_environment(self):
        return {"XDG_DATA_HOME": str(self.temp / "data"), "_CONTAINERS_ROOTLESS_UID": "1000"}

    @contextlib.contextmanager
    def cache(self):
        """The cache that these tests use, opened by another program."""
        path = self.temp / "data/containers/cache/blob-info-cache-v1.sqlite"
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
            yield connection

    def write_cache(self, layers, location):
        """A cache with the rows that skopeo writes for pushes to `location`: {digest of the gzip layer: diff ID}."""
        with self.cache() as cache:
            cache.executescript(CACHE_SCHEMA)
            for digest, diff_id in layers.items():
                cache.execute("INSERT INTO DigestUncompressedPairs VALUES (?, ?)", (digest, diff_id))
                cache.executemany("INSERT OR REPLACE INTO DigestCompressors VALUES (?, ?)", [(digest, "gzip"), (diff_id, "uncompressed")])
                cache.execute("INSERT INTO KnownLocations VALUES ('docker', ?, ?, ?, '2026-11-24 02:14:30.951033118+01:00')",
                              (self.registry.address, digest, f"{self.registry.address}/{location}"))

    # ---- what is pushed

    def test_every_image_comes_out_as_the_store_has_it(self):
        """The uncompressed layers of every image hash to the config's diff IDs; the deliberate failures fail as specified."""
        for name in self.store.images:
            with self.subTest(name):
                repository = name.split(":")[0]
                result = self.push(name, name)
                if name in UNREADABLE:
                    self.assert_failure(result, text=UNREADABLE[name])
                    self.assertNotIn(name.split(":")[1], self.registry.tags(repository))
                    continue
                self.assert_success(result)
                manifest = self.assert_layers_are_the_stores(repository, name.split(":")[1])
                self.assertIn(manifest["config"]["digest"], self.store.record(name)["big-data-names"])

    def test_every_image_pulls_back_into_a_fresh_store_and_unpacks(self):
        """skopeo takes every image into a store, whose layers are then those of ours; umoci unpacks them."""
        fresh = Store(self.temp / "fresh", self.driver)
        for name in self.store.images:
            if name in UNREADABLE:
                continue
            with self.subTest(name):
                self.assert_success(self.push(name, f"fresh-{name}"))
                pushed = f"docker://{self.registry.address}/fresh-{name}"
                fresh.run("skopeo", "copy", "-q", "--insecure-policy", "--src-tls-verify=false", pushed, f"containers-storage:localhost/{name}")
                self.assertEqual(fresh.diff_ids(name), self.store.diff_ids(name))
                self.unpack(pushed, name.replace(":", "-"))
        self.assertEqual((self.temp / "chain-3/rootfs/a").read_bytes(), b"changed")
        self.assertFalse((self.temp / "chain-3/rootfs/b").exists())

    def test_every_image_comes_out_in_directories(self):
        """oci: and dir: get the manifest that a registry gets (oci: an OCI manifest), and its layers are the store's; the second copy does nothing."""
        for name in [name for name in self.store.images if name not in UNREADABLE]:
            with self.subTest(name):
                repository = f"directories/{name.partition(':')[0]}"
                self.assert_success(self.push(name, f"{repository}:1", "--no-skip-existing"))
                pushed, _, layers = self.pulled(repository)
                place = self.temp / name.replace(":", "-")
                for transport, destination in (("oci", f"oci:{place}-oci:1"), ("dir", f"dir:{place}-dir")):
                    first = self.assert_success(self.tug("copy", "--json", self.store.reference(name), destination)).json()
                    written = json.loads(self.assert_success(self.tug("inspect", "--raw", destination)).out)
                    if transport == "oci" and pushed.get("mediaType") == layouts.DOCKER_MANIFEST:
                        self.assertEqual(written["mediaType"], layouts.OCI_MANIFEST)
                        self.assertEqual([layer["digest"] for layer in written["layers"]], [layer["digest"] for layer in pushed["layers"]])
                    else:
                        self.assertEqual(written, pushed)
                    for layer, data in zip(pushed["layers"], layers):
                        path = layer["digest"].partition(":")[2] if transport == "dir" else f"blobs/{layer['digest'].replace(':', '/')}"
                        self.assertEqual((pathlib.Path(f"{place}-{transport}") / path).read_bytes(), data)
                    again = self.assert_success(self.tug("copy", "--json", self.store.reference(name), destination)).json()
                    self.assertEqual((again["skipped"], again["digest"]), (True, first["digest"]))

    def unpack(self, image, name):
        """With umoci, which knows OCI manifests and gzip: skopeo's oci: is always the one, and what tug makes of a store's layers the other."""
        self.skopeo("copy", "-q", "--insecure-policy", "--src-tls-verify=false", image, f"oci:{self.temp}/unpack:{name}")
        done = subprocess.run(["umoci", "unpack", "--image", f"{self.temp}/unpack:{name}", str(self.temp / name)], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_pulled_image_runs(self):
        """buildah makes a container of a pulled image: removed files are gone, changed ones changed."""
        self.assert_success(self.push("chain:3", "runs:1"))
        fresh = Store(self.temp / "fresh", self.driver)
        fresh.run("skopeo", "copy", "-q", "--insecure-policy", "--src-tls-verify=false", f"docker://{self.registry.address}/runs:1",
                  "containers-storage:localhost/runs:1")
        container = fresh.run("buildah", "from", "--pull-never", "localhost/runs:1")
        mount = pathlib.Path(fresh.run("buildah", "mount", container))
        self.assertEqual((mount / "a").read_bytes(), b"changed")
        self.assertFalse((mount / "b").exists())
        fresh.run("buildah", "rm", container)

    def test_manifests_that_share_a_record(self):
        """An OCI and a Docker manifest over one config are one record, whose default manifest is the last one pulled; each is found by its
        digest."""
        record = self.store.record("pull-whiteouts:1")
        self.assertEqual(record, self.store.record("pull-v2s2:1"))
        digests = {key.removeprefix("manifest-") for key in record["big-data-names"] if key.startswith("manifest-")}
        self.assertEqual(len(digests), 2)
        types = set()
        for number, digest in enumerate(sorted(digests)):
            self.assert_success(self.push(f"{self.store.place}localhost/pull-whiteouts@{digest}", f"sharing:{number}"))
            types.add(self.assert_layers_are_the_stores("sharing", number)["mediaType"])
        self.assertEqual(types, {"application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"})

    def test_compression_formats_and_levels(self):
        """gzip and zstd at several levels, accepted by gzip -t and zstd -t; the media type says what it is."""
        for format, level, check in (("gzip", 1, "gzip"), ("gzip", 9, "gzip"), ("zstd", None, "zstd"), ("zstd", 19, "zstd")):
            with self.subTest(f"{format} {level}"):
                repository = f"compressed-{format}-{level}".lower()
                flags = ["--dest-compress-format", format] + (["--dest-compress-level", str(level)] if level else [])
                self.assert_success(self.push("big:1", f"{repository}:1", *flags))
                manifest = self.assert_layers_are_the_stores(repository)
                for layer in manifest["layers"]:
                    self.assertTrue(layer["mediaType"].endswith("+" + format), layer)
                    blob = self.registry.stored_blob(layer["digest"])
                    subprocess.run([check, "-t"], input=blob, check=True, stderr=subprocess.DEVNULL)

    def test_same_bytes_on_every_run_and_with_one_cpu(self):
        """Deterministic: pinned to one CPU and free, twice each."""
        digests = set()
        for number, prefix in enumerate(([], [], ["taskset", "-c", "0"])):
            arguments = ["copy", "--no-cache", "--json", "--dest-tls-verify=false", self.store.reference("big:1"), f"docker://{self.registry.address}/same{number}:1"]
            program, arguments = (prefix[0], [*prefix[1:], case.TUG, *arguments]) if prefix else (case.TUG, arguments)
            digests.add(self.assert_success(self.tug(*arguments, program=program)).json()["digest"])
        self.assertEqual(len(digests), 1)

    def test_original_blobs_at_the_registry_keep_the_manifest(self):
        """When the registry has the compressed blobs that were pulled, the original manifest goes out unchanged and no layer is read."""
        layout = Layout(self.store.directory / "layouts/pull-gnu-1")
        self.assert_success(self.copy(layout, f"{self.registry.address}/original:other", "--dest-tls-verify=false"))
        result = self.assert_success(self.push("pull-gnu:1", "original:1", "--json"))
        self.assertEqual(result.json()["digest"], layout.descriptor("v1")["digest"])
        self.assertEqual({blob["outcome"] for blob in result.json()["blobs"]}, {"existed"})

    # ---- no work twice

    def test_second_push_reads_no_layer_and_sends_nothing(self):
        """Without any cache: the manifest under the tag tells everything."""
        self.assert_success(self.push("chain:3", "again:1"))
        before = len(self.registry.requests())
        trace = self.opened_files("copy", "--no-cache", "--dest-tls-verify=false", self.store.reference("chain:3"), f"docker://{self.registry.address}/again:1")
        self.assert_no_layer_was_opened(trace)
        self.assertEqual({r.method for r in self.registry.requests()[before:]}, {"GET"})

    def test_another_image_reuses_the_layers_under_the_tag(self):
        """chain:3 over chain:2: two of three layers are paired by diff ID."""
        self.assert_success(self.push("chain:2", "upgrade:1"))
        result = self.assert_success(self.push("chain:3", "upgrade:1", "--json"))
        outcomes = sorted(blob["outcome"] for blob in result.json()["blobs"])
        self.assertEqual(outcomes, ["existed", "existed", "uploaded", "uploaded"])
        self.assert_layers_are_the_stores("upgrade")

    def test_cache_finds_the_layers_in_another_repository(self):
        """The blob info cache: a push to a second repository mounts, and opens no layer."""
        self.assert_success(self.push("chain:3", "cached-one:1", cache=True, env=self.cache_environment))
        trace = self.opened_files("copy", "--dest-tls-verify=false", self.store.reference("chain:3"), f"docker://{self.registry.address}/cached-two:1",
                                  env=self.cache_environment)
        self.assert_no_layer_was_opened(trace)
        self.assertEqual(sum(r.method == "POST" and "mount=" in r.path and "/cached-two/" in r.path and r.status == 201
                             for r in self.registry.requests()), 4)
        self.assert_layers_are_the_stores("cached-two")

    def test_cache_that_skopeo_wrote(self):
        """Rows in the form of other programs are used: the layers are mounted from where skopeo sent them, and not opened."""
        self.assert_success(self.push("chain:3", "skopeo-one:1"))
        manifest, config, _ = self.pulled("skopeo-one")
        self.write_cache(dict(zip((layer["digest"] for layer in manifest["layers"]), config["rootfs"]["diff_ids"])), "skopeo-one")
        trace = self.opened_files("copy", "--dest-tls-verify=false", self.store.reference("chain:3"), f"docker://{self.registry.address}/skopeo-two:1",
                                  env=self.cache_environment)
        self.assert_no_layer_was_opened(trace)
        self.assertEqual(self.assert_layers_are_the_stores("skopeo-two")["layers"], manifest["layers"])

    def test_refused_mounts_leave_no_upload_open(self):
        """The cache knows a repository that does not have the layers (any more): the sessions that the registry opens instead of mounting are
        used for the layers or cancelled, also when the push fails."""
        layers = {"sha256:" + hashlib.sha256(str(number).encode()).hexdigest(): layer["diff-digest"]
                  for number, layer in enumerate(self.store.layers()) if "diff-digest" in layer}
        self.write_cache(layers, "nowhere")
        for name, succeeds in (("chain:3", True), ("pull-sparse:1", False)):
            with self.subTest(name):
                repository = "refused-" + name.split(":")[0]
                # One at a time: nobody reads the answer of a request that is under way when another blob fails.
                result = self.push(name, f"{repository}:1", "--image-parallel-copies=1", cache=True, env=self.cache_environment)
                self.assertEqual(result.code, 0 if succeeds else 1, str(result))
                self.assertTrue(any("mount=" in r.path and f"/{repository}/" in r.path and r.status == 202 for r in self.registry.requests()))
                self.assertEqual(self.registry.open_uploads(repository), [])

    def test_cache_that_another_program_holds(self):
        """It counts as absent: the push neither fails nor waits for long, and can be interrupted."""
        self.assert_success(self.push("chain:3", "held:1", cache=True, env=self.cache_environment))
        with self.cache() as cache:
            cache.execute("BEGIN EXCLUSIVE")
            self.assert_success(self.push("chain:3", "held:2", "--no-skip-existing", cache=True, env=self.cache_environment))
            process = self.start("copy", "--dest-tls-verify=false", self.store.reference("chain:3"), f"docker://{self.registry.address}/held:3",
                                 env=self.cache_environment)
            while "3" not in self.registry.tags("held") and process.poll() is None:
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)  # it waits to record what it did
            process.communicate(timeout=60)

    def test_two_pushes_share_the_cache(self):
        """At the same time: both succeed, and what both have learned is there."""
        processes = [self.start("copy", "--dest-tls-verify=false", self.store.reference("chain:3"), f"docker://{self.registry.address}/shared-{n}:1",
                                env=self.cache_environment) for n in range(2)]
        for process in processes:
            _, err = process.communicate(timeout=120)
            self.assertEqual(process.returncode, 0, err)
        with self.cache() as cache:
            known = {location for location, in cache.execute("SELECT DISTINCT location FROM KnownLocations")}
        self.assertEqual(known, {f"{self.registry.address}/shared-{n}" for n in range(2)})

    # ---- trouble on the way

    def test_connection_that_breaks_in_a_layer(self):
        """The layer is made again, byte for byte the same. (docker-registry 2.8 gives a session up whose PATCH broke off, so that all of it is
        sent again; unit/copy/send_layer_test.cc has the registry that goes on.)"""
        with contextlib.ExitStack() as stack:
            proxy = stack.enter_context(PausingProxy(self.registry.address, after_bytes=40 << 20, action=lambda: proxy.cut()))
            self.assert_success(self.tug("copy", "--no-cache", "--dest-tls-verify=false", "--retry-delay=100ms", self.large_store().reference("large:1"),
                                         f"docker://{proxy.address}/resumed:1"))
            self.assertTrue(proxy.fired)
        self.assertGreater(proxy.client_bytes, 100 << 20)
        self.assert_layers_are_the_stores("resumed")

    def test_more_files_than_the_soft_limit(self):
        """Layers that are read at once have many files open: the soft limit, which shells leave at 1024, does not end the push."""
        self.assert_success(self.tug("--nofile=32:4096", case.TUG, "copy", "--no-cache", "--dest-tls-verify=false",
                                     self.large_store().reference("files:3"), f"docker://{self.registry.address}/files:3", program="prlimit"))

    # ---- whose store it is

    def push_as_nobody(self, source, repository):
        program = self.temp / "tug"
        shutil.copy(case.TUG, program)
        self.temp.chmod(0o755)
        return self.tug("--reuid=65534", "--regid=65534", "--clear-groups", program, "copy", "--no-cache", "--dest-tls-verify=false", source,
                        f"docker://{self.registry.address}/{repository}", program="setpriv")

    def test_store_of_another_user(self):
        """The error names the file, and says what to do."""
        result = self.push_as_nobody(self.store.reference("single:1"), "nobody:1")
        self.assert_failure(result, text=[re.escape(str(self.store.root)) + r"\S*: Permission denied", "podman unshare"])

    def test_file_of_another_user_in_a_layer(self):
        """A store of one's own, but for one file in a layer: as rootless stores are outside of their user namespace."""
        copy = self.temp / "copy"
        subprocess.run(["cp", "-a", str(self.store.root), str(copy)], check=True)
        subprocess.run(["chown", "-Rh", "65534:65534", str(copy)], check=True)
        source = f"containers-storage:[{self.driver}@{copy}+{self.temp}/run]localhost/single:1"
        self.assert_success(self.push_as_nobody(source, "nobody:2"))
        closed = next(path for path in copy.rglob("data/zeros"))
        os.chown(closed, 0, 0)
        closed.chmod(0o600)
        self.assert_failure(self.push_as_nobody(source, "nobody:3"), text=[r"data/zeros: Permission denied", "podman unshare"])
        self.assertEqual(set(self.registry.tags("nobody")), {"2"})

    # ---- the store stays usable

    def test_no_lock_is_held_while_a_push_runs(self):
        """In the middle of a layer nothing of the store is locked: buildah lists, makes a container and removes it."""
        store = self.large_store()
        with self.push_in_the_middle_of_a_layer(store, "slow") as process:
            lock_files = {lock.stat().st_ino for pattern in ("*.lock", "*/*.lock") for lock in store.root.glob(pattern)}
            self.assertTrue(lock_files)
            locked = {int(line.split()[-3].split(":")[-1]) for line in pathlib.Path("/proc/locks").read_text().splitlines()}
            self.assertEqual(lock_files & locked, set())
            store.run("buildah", "images")
            store.run("buildah", "rm", store.run("buildah", "from", "--pull-never", "localhost/files:3"))
        self.assert_success(process.result)

    def test_a_lock_held_by_another_does_not_block_for_ever(self):
        """Another process holds the exclusive locks: the files are read all the same."""
        with open(self.store.root / f"{self.driver}-layers/layers.lock", "r+b") as lock:
            fcntl.fcntl(lock, fcntl.F_SETLK, struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
            self.assert_success(self.push("single:1", "locked:1", timeout=60))

    def test_read_only_store_without_lock_files(self):
        """A copy of the store whose lock files are gone, on a read-only mount where that is possible."""
        copy = self.temp / "copy"
        subprocess.run(["cp", "-a", str(self.store.root), str(copy)], check=True)
        for lock in copy.rglob("*.lock"):
            lock.unlink()
        source = f"containers-storage:[{self.driver}@{copy}+{self.temp}/run]localhost/chain:3"
        self.assert_success(self.push(source, "readonly:1"))
        self.assert_layers_are_the_stores("readonly")
        self.assertEqual(list(copy.rglob("*.lock")), [])

    def test_image_removed_in_mid_push(self):
        """A clear error, exit 1, and nothing is tagged."""
        store = Store(self.temp / "store", self.driver).build_large()
        with self.push_in_the_middle_of_a_layer(store, "removed") as process:
            store.run("buildah", "rmi", "localhost/large:1")
        self.assertEqual(process.result.code, 1, str(process.result))
        self.assertRegex(process.result.message(), r"cannot read \S*/z/\d+: No such file or directory.*the image was removed while it was read")
        self.assertEqual(self.registry.tags("removed"), {})

    # ---- how an image is named

    def test_references(self):
        """Names, ids, id prefixes, digests; what does not resolve is exit 2."""
        record, prefix = self.store.record("chain:3"), self.store.place
        for number, text in enumerate((record["id"], record["id"][:12], "@" + record["id"], "localhost/chain:3", f"localhost/chain:3@{record['id']}",
                                       f"localhost/chain@{record['big-data-digests']['manifest']}")):
            with self.subTest(text):
                self.assert_success(self.push(prefix + text, f"named:{number}"))
        for text in ("localhost/nothing:1", "chain:3", f"localhost/single@{record['id']}", "f" * 12):
            with self.subTest(text):
                self.assert_failure(self.push(prefix + text, "named:no"), code=2, text="does not resolve to an image ID")

    def test_every_name_of_an_image(self):
        """One record with four names: local ones, one at another registry, and Docker Hub's in its short form."""
        digests = set()
        for number, name in enumerate((*DOCKER_NAMES, "docker", "docker.io/docker:latest")):
            with self.subTest(name):
                digests.add(self.assert_success(self.push(self.store.place + name, f"names:{number}", "--json")).json()["digest"])
        self.assertEqual(len(digests), 1)

    def test_storage_conf_finds_the_store(self):
        """Without [..] the store comes from storage.conf, STORAGE_DRIVER."""
        environment = {"CONTAINERS_STORAGE_CONF": str(self.store.conf)}
        self.assert_success(self.push("containers-storage:localhost/single:1", "conf:1", env=environment))
        result = self.push("containers-storage:localhost/single:1", "conf:2", env={"CONTAINERS_STORAGE_CONF": "/nonexistent/storage.conf"})
        self.assert_failure(result, text="/nonexistent/storage.conf")

    def test_additional_image_store(self):
        """options.additionalimagestores of storage.conf."""
        conf = self.temp / "storage.conf"
        conf.write_text(f'[storage]\ndriver = "{self.driver}"\ngraphroot = "{self.temp}/empty"\nrunroot = "{self.temp}/emptyrun"\n'
                        f'[storage.options]\nadditionalimagestores = ["{self.store.root}"]\n')
        self.assert_success(self.push("containers-storage:localhost/chain:3", "additional:1", env={"CONTAINERS_STORAGE_CONF": str(conf)}))
        self.assert_layers_are_the_stores("additional")

    def test_lists(self):
        """A list made by buildah: --all pushes every instance with its compressed digest; an index pulled with one instance says what is missing."""
        self.assert_success(self.push("list:1", "list:1", "--all"))
        index = json.loads(self.skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{self.registry.address}/list:1").out)
        self.assertEqual(len(index["manifests"]), 2)
        for child in index["manifests"]:
            stored = self.registry.stored_blob(child["digest"])
            self.assertEqual(len(stored), child["size"])
            self.assertEqual("sha256:" + hashlib.sha256(stored).hexdigest(), child["digest"])

    def test_lists_by_digest(self):
        """A list that buildah made, and one that was pulled with one of its images: the digest of the list means the list."""
        made = self.store.record("list:1")["big-data-digests"]["manifest"]
        result = self.assert_success(self.push(f"{self.store.place}localhost/list@{made}", "list-digest:1", "--all", "--json"))
        self.assertEqual(len(result.json()["instances"]), 2)
        layout = Layout(self.store.directory / "layouts/multi")
        pulled = f"{self.store.place}localhost/pull-multi@{layout.descriptor('v1')['digest']}"
        self.assert_success(self.push(pulled, "list-digest:2", "--override-arch", case.HOST_ARCHITECTURE))
        self.assertEqual(self.assert_layers_are_the_stores("list-digest", "2")["schemaVersion"], 2)
        self.assert_failure(self.push(pulled, "list-digest:3", "--all"), text=r"linux/\w+ sha256:[0-9a-f]{64} of .* is not in the store")

    def test_damaged_file(self):
        """A file of the layer that changed: the error names it, nothing is tagged."""
        copy = self.temp / "copy"
        subprocess.run(["cp", "-a", str(self.store.root), str(copy)], check=True)
        damaged = next(p for p in (copy / ("overlay" if self.driver == "overlay" else "vfs/dir")).rglob("motd"))
        damaged.write_bytes(b"HELLO\n")
        source = f"containers-storage:[{self.driver}@{copy}+{self.temp}/run]localhost/single:1"
        self.assert_failure(self.push(source, "damaged:1"), text="motd")
        self.assertEqual(self.registry.tags("damaged"), {})


class OverlayStore(StorageTests, SystemTest):
    driver = "overlay"


class VfsStore(StorageTests, SystemTest):
    driver = "vfs"


if __name__ == "__main__":
    case.main()
