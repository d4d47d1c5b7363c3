"""Conversion of manifests and layers: beside what Debian's skopeo makes of the same, and read back by skopeo, umoci and buildah."""

import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import case, layouts  # noqa: E402
from support.case import FIXTURES, SystemTest, registry_for_class, tug_only  # noqa: E402
from support.layouts import Layout, compress, digest_of, platform, tar  # noqa: E402
from support.stores import OCI_LAYER, OCI_LAYER_ZSTD, Store  # noqa: E402
from support.trees import tree  # noqa: E402

DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
TARS = [tar({"etc/motd": b"hello\n"}), tar({"bin/large": b"0123456789" * 3000}), tar({"etc/other": b"x" * 600})]

# A configuration with what docker writes and what text can hold.
DOCKER_CONFIG = {
    "id": "x", "parent": "p", "docker_version": "20.10", "architecture": "arm64", "variant": "v8", "os": "linux", "os.version": "10",
    "os.features": ["f"], "created": "2023-11-14T22:13:20.1200+00:00", "author": "me <a&b@x>", "container": "abc",
    "config": {"Hostname": "h", "User": "u", "ExposedPorts": {"80/tcp": {}, "22/tcp": {}}, "Env": ["PATH=/bin", "A=<&>\u2028ä"],
               "Entrypoint": ["e"], "Cmd": ["c"], "Volumes": {"/v": {}, "/a": {}}, "WorkingDir": "/w", "Labels": {"z": "1", "a": "2"},
               "StopSignal": "SIGTERM", "ArgsEscaped": True, "Healthcheck": {"Test": ["NONE"]}, "OnBuild": None, "Shell": ["/bin/sh"], "Tty": False},
    "container_config": {"Cmd": ["x"]}, "rootfs": {"type": "layers", "diff_ids": [digest_of(each) for each in TARS]},
    "history": [{"created": "2023-11-14T22:13:20+02:00", "created_by": "x", "empty_layer": True, "comment": "c", "author": "a", "extra": 1},
                {"created": "2023-11-14T22:13:20.123456789Z"}, {"created_by": "", "empty_layer": False}]}


def zstd(data):
    return subprocess.run(["zstd", "-qc"], input=data, stdout=subprocess.PIPE, check=True).stdout


def sources(directory):
    """Images as a layout: what conversion meets. (skopeo reads Docker's manifests from dir: only: docker_sources().)"""
    layout = Layout(directory)
    described = layout.read_json(layout.image([{"etc/motd": b"hello\n"}, {"b": b"x" * 5000}]))
    described["annotations"] = {"k": "v", "a": "<b>"}
    described["layers"][0]["annotations"] = {"l": "1"}
    annotated = layout.json_blob(described, layouts.OCI_MANIFEST)
    layout.add(annotated, ref="annotated")
    arm = platform(layout.image([{"a": b"1"}], architecture="arm64", variant="v8"), "arm64", "v8")
    arm["platform"].update({"os.version": "10.0", "os.features": ["f"]})
    layout.add(layout.index([{**platform(annotated, "amd64"), "annotations": {"x": "y"}}, arm], annotations={"top": "1"}), ref="index")
    config = layout.json_blob({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": DOCKER_CONFIG["rootfs"]}, layouts.OCI_CONFIG)
    layout.add(layout.manifest(config, [layout.blob(compress(TARS[0]), layouts.OCI_LAYER_GZIP), layout.blob(zstd(TARS[1]), OCI_LAYER_ZSTD),
                                        layout.blob(TARS[2], OCI_LAYER)]), ref="mixed")
    layout.add(layout.manifest(config, [layout.blob(compress(each), layouts.OCI_LAYER_GZIP) for each in TARS]), ref="gzip")
    layout.add(layout.manifest(config, [layout.blob(b"{}", "application/vnd.in-toto+json")]), ref="attestation")
    return layout


def docker_source(directory, layer_types=(layouts.DOCKER_LAYER_GZIP, DOCKER_LAYER, layouts.DOCKER_LAYER_GZIP), config=None):
    """A Docker image as a dir:."""
    directory.mkdir()
    (directory / "version").write_text("Directory Transport Version: 1.1\n")

    def blob(data, media_type):
        (directory / digest_of(data)[7:]).write_bytes(data)
        return {"mediaType": media_type, "size": len(data), "digest": digest_of(data)}

    manifest = {"schemaVersion": 2, "mediaType": layouts.DOCKER_MANIFEST,
                "config": blob(json.dumps(config or DOCKER_CONFIG, indent=1).encode(), layouts.DOCKER_CONFIG),
                "layers": [blob(compress(each) if kind.endswith("gzip") else each, kind) for each, kind in zip(TARS, layer_types)]}
    (directory / "manifest.json").write_text(json.dumps(manifest, indent=3))
    return f"dir:{directory}"


class Conversion(SystemTest):
    def setUp(self):
        super().setUp()
        self.layout = sources(self.temp / "source")
        self.docker = docker_source(self.temp / "docker")

    def oci(self, ref):
        return f"oci:{self.layout.path}:{ref}"

    def manifest_of(self, image, *flags):
        return json.loads(self.skopeo("inspect", "--raw", *flags, image).out)

    def both(self, name, source, destination, *flags):
        """The same command line for tug and skopeo; (the directory that each has written, tug's result)."""
        places = {}
        for program in ("tug", "skopeo"):
            places[program] = self.temp / f"{name}-{program}"
            result = self.assert_success(self.tug("copy", "-q", "--insecure-policy", *flags, source, f"{destination}:{places[program]}" +
                                                  (":1" if destination == "oci" else ""), program="skopeo" if program == "skopeo" else None))
            if program == "tug":
                said = result
        return places["tug"], places["skopeo"], said


class BesideSkopeo(Conversion):
    def test_the_same_files(self):
        """Every byte: configurations, manifests and indexes, so that digests are the same."""
        self.skopeo("copy", "-q", "--insecure-policy", "--all", "--format=v2s2", self.oci("index"), f"dir:{self.temp}/list")
        docker_list = f"dir:{self.temp}/list"
        hello, multi = f"oci:{FIXTURES}/hello:1.0", f"oci:{FIXTURES}/multi:all"
        for name, source, destination, flags in (
                ("image to Docker", hello, "dir", ["--format=v2s2"]),
                ("annotations are lost", self.oci("annotated"), "dir", ["-f", "v2s2"]),
                ("to what it is", self.oci("annotated"), "dir", ["--format=oci"]),
                ("an artifact to what it is", f"oci:{FIXTURES}/artifact:chart", "dir", ["--format=oci"]),
                ("index to list", multi, "dir", ["--all", "--format=v2s2"]),
                ("index to list, with all that a platform has", self.oci("index"), "dir", ["--all", "--format=v2s2"]),
                ("one of an index", self.oci("index"), "dir", ["--format=v2s2", "--override-arch=arm64"]),
                ("image to OCI", self.docker, "dir", ["--format=oci"]),
                ("list to index", docker_list, "dir", ["--all", "--format=oci"]),
                ("list to a layout", docker_list, "oci", ["--all"]),
                ("to a layout, plain layers kept", self.docker, "oci", ["--dest-oci-accept-uncompressed-layers"]),
                ("plain layers", self.oci("mixed"), "dir", ["--dest-decompress"]),
                ("plain layers of a Docker image", self.docker, "dir", ["--dest-decompress"]),
                ("layers in dir: stay", self.oci("mixed"), "dir", ["--dest-compress-format=zstd"]),
                ("compressed layers stay", self.oci("gzip"), "dir", ["--dest-compress"]),
                ("digests are kept", self.docker, "oci", ["--preserve-digests"]),
                ("digests are kept, plain layers too", self.oci("mixed"), "oci", ["--preserve-digests"])):
            with self.subTest(name):
                ours, theirs, _ = self.both(name, source, destination, *flags)
                self.assertEqual(tree(ours), tree(theirs))

    @tug_only
    def test_layers_that_are_compressed(self):
        """The same but for the bytes that a compressor makes: types, and the tars inside."""
        for name, source, destination, flags in (
                ("plain ones in a layout", self.oci("mixed"), "oci", []),
                ("plain ones of a Docker image", self.docker, "oci", []),
                ("plain ones in dir:", self.oci("mixed"), "dir", ["--dest-compress"]),
                ("zstd for all", self.oci("gzip"), "oci", ["--dest-compress-format=zstd"]),
                ("zstd for some", self.oci("mixed"), "oci", ["--dest-compress-format=zstd"]),
                ("gzip for zstd", self.oci("mixed"), "oci", ["--dest-compress-format=gzip"]),
                ("zstd with a level in dir:", self.oci("gzip"), "dir", ["--dest-compress", "--dest-compress-format=zstd", "--dest-compress-level=19"]),
                ("zstd for a Docker image that becomes OCI", self.docker, "oci", ["--format=oci", "--dest-compress-format=zstd"])):
            with self.subTest(name):
                ours, theirs, said = self.both(name, source, destination, *flags)
                found = [self.layers(place, destination) for place in (ours, theirs)]
                self.assertEqual(*found)
                self.assertRegex(said.err, r"level=warning msg=.*layers are compressed.*, which changes the digest from sha256:\S+ to sha256:")

    @tug_only
    def test_plain_layers_in_a_layout(self):
        """--dest-decompress: in a directory and in an archive, from every form; skopeo reads both."""
        for name, source in (("mixed", self.oci("mixed")), ("docker", self.docker)):
            for place in ("oci", "oci-archive"):
                with self.subTest(name, place=place):
                    out = self.temp / f"plain-{name}-{place}"
                    said = self.assert_success(self.tug("copy", "-q", "--dest-decompress", source, f"{place}:{out}:1"))
                    self.assertNotIn("has no effect", said.err)
                    self.skopeo("copy", "-q", "--insecure-policy", "--dest-oci-accept-uncompressed-layers", f"{place}:{out}:1", f"oci:{out}-read:1")
                    manifest = self.manifest_of(f"oci:{out}-read:1")
                    self.assertEqual([layer["mediaType"] for layer in manifest["layers"]],
                                     ["application/vnd.oci.image.layer.v1.tar"] * len(TARS))
                    self.assertEqual([layer["digest"] for layer in manifest["layers"]], [digest_of(tar) for tar in TARS])
                    self.assertEqual(manifest, self.manifest_of(f"{place}:{out}:1"))

    def layers(self, place, destination):
        """The manifest without what the compressor decides, and the tars of its layers."""
        reference = f"{destination}:{place}" + (":1" if destination == "oci" else "")
        manifest = self.manifest_of(reference)
        tars = []
        for layer in manifest["layers"]:
            hexadecimal = layer.pop("digest")[7:]
            data = (place / (hexadecimal if destination == "dir" else f"blobs/sha256/{hexadecimal}")).read_bytes()
            self.assertEqual((digest_of(data)[7:], len(data)), (hexadecimal, layer.pop("size")))
            tool = {"gzip": "gzip", "zstd": "zstd"}.get(layer["mediaType"].rpartition("+")[2].rpartition(".")[2])
            tars.append(subprocess.run([tool, "-dqc"], input=data, stdout=subprocess.PIPE, check=True).stdout if tool else data)
        self.assertEqual(tars, TARS)
        return manifest

    def test_refusals(self):
        """Exit code 1 of both; tug's line says what and why, and nothing is written."""
        for source, flags, text in (
                (f"oci:{FIXTURES}/artifact:chart", ["--format=v2s2"], "artifact of type application/vnd.cncf.helm.config.v1"),
                (self.oci("attestation"), ["--format=v2s2"], r"a layer of type application/vnd.in-toto\+json"),
                (self.oci("gzip"), ["--format=v3"], "unknown format .v3.. Choose one of the supported formats: 'oci'"),
                (self.oci("gzip"), ["--format=v2s2", "--dest-compress", "--dest-compress-format=zstd"], "zstd")):
            with self.subTest(source=source, flags=flags):
                self.assertEqual(self.tug("copy", "--insecure-policy", *flags, source, "dir:out", program="skopeo").code, 1)
                self.assert_failure(self.tug("copy", "-q", "--insecure-policy", *flags, source, f"dir:{self.temp}/refused"), text=text)
                self.assertFalse((self.temp / "refused").exists())


@tug_only
class ReadBack(Conversion):
    def test_by_umoci(self):
        """A Docker image in a layout: unpacked, with its files."""
        config = {**DOCKER_CONFIG, "config": {"Cmd": ["/bin/large"]}, "architecture": case.HOST_ARCHITECTURE}
        self.assert_success(self.tug("copy", "-q", docker_source(self.temp / "runnable", config=config), "oci:layout:1"))
        done = subprocess.run(["umoci", "unpack", "--rootless", "--image", "layout:1", "bundle"], env=self.environment, cwd=self.temp,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertEqual((self.temp / "bundle/rootfs/etc/motd").read_bytes(), b"hello\n")

    def test_by_buildah(self):
        """An image with a zstd layer, as Docker's, pulled into a store."""
        self.assert_success(self.tug("copy", "-q", "--format=v2s2", self.oci("mixed"), "dir:out"))
        policy = self.temp / "policy.json"
        policy.write_text('{"default":[{"type":"insecureAcceptAnything"}]}')
        store = Store(self.temp / "store", "vfs")
        image = store.run("buildah", "pull", "-q", "--signature-policy", policy, f"dir:{self.temp}/out").strip()
        mount = pathlib.Path(store.run("buildah", "mount", store.run("buildah", "from", "--signature-policy", policy, image).strip()).strip())
        self.assertEqual((mount / "bin/large").read_bytes(), b"0123456789" * 3000)

    def test_there_and_back(self):
        """OCI to Docker and back: the platforms of all images, and their layers."""
        self.assert_success(self.tug("copy", "-q", "--all", "--format=v2s2", f"oci:{FIXTURES}/multi:all", "dir:docker"))
        self.assert_success(self.tug("copy", "-q", "--all", "dir:docker", "oci:back:1"))
        found = [self.manifest_of(image)["manifests"] for image in (f"oci:{FIXTURES}/multi:all", "oci:back:1")]
        self.assertEqual(*[[each["platform"] for each in children] for children in found])
        back, first = Layout(self.temp / "back"), Layout(FIXTURES / "multi")
        self.assertEqual([back.read_json(each)["layers"] for each in found[1]], [first.read_json(each)["layers"] for each in found[0]])

    def test_what_is_lost_is_said(self):
        """One line each: the digest, and what has no place in the other format."""
        said = self.assert_success(self.tug("copy", "-q", "--format=v2s2", self.oci("annotated"), "dir:a")).err.splitlines()
        self.assertEqual(len(said), 2, said)
        self.assertRegex(said[0], "the image is converted to Docker's schema 2 .--format., which changes the digest from sha256:")
        self.assertRegex(said[1], "lost in the conversion to Docker's schema 2: annotations")
        said = self.assert_success(self.tug("copy", "-q", "--dest-oci-accept-uncompressed-layers", self.docker, "oci:b:1")).err.splitlines()
        self.assertRegex(said[0], "the image is converted to OCI .as the destination wants it.")
        self.assertRegex(said[1], "lost in the conversion to OCI: config.Healthcheck, config.Shell")

    def test_preserved_digests(self):
        """What would change one is refused before anything is written, and by name."""
        for source, flags, text in ((self.oci("gzip"), ["--format=v2s2"], "is converted to Docker's schema 2"),
                                    (self.oci("gzip"), ["--dest-compress", "--dest-compress-format=zstd"], "compressed with zstd"),
                                    (self.oci("gzip"), ["--dest-decompress"], "layers are decompressed"),
                                    (self.docker, ["--format=oci"], "is converted to OCI"),
                                    (f"oci:{FIXTURES}/multi:all", ["--all", "--format=v2s2"], "is converted to Docker's schema 2")):
            with self.subTest(source=source, flags=flags):
                result = self.tug("copy", "-q", "--preserve-digests", *flags, source, f"dir:{self.temp}/out")
                self.assert_failure(result, text=[text, "--preserve-digests forbids it"])
                self.assertFalse((self.temp / "out").exists())

    def test_bad_configurations(self):
        """One line that names the member; an image whose configuration lies about its layers is not written."""
        for member, value in (("created", "yesterday"), ("config", []), ("history", [1]), ("Config", {}), ("rootfs", "x")):
            source = docker_source(self.temp / f"bad-{member}", config={**DOCKER_CONFIG, member: value})
            self.assert_failure(self.tug("copy", "-q", "--format=oci", source, "dir:out"), text=["the image's configuration", member])
        rootfs = {"type": "layers", "diff_ids": [digest_of(each) for each in (TARS[0], b"another", TARS[2])]}
        source = docker_source(self.temp / "liar", config={**DOCKER_CONFIG, "rootfs": rootfs})
        self.assert_failure(self.tug("copy", "-q", source, "oci:out:1"), text=[digest_of(TARS[1]), digest_of(b"another")])
        self.assertFalse((self.temp / "out/index.json").exists())
        source = docker_source(self.temp / "few", config={**DOCKER_CONFIG, "rootfs": {"type": "layers", "diff_ids": []}})
        self.assert_failure(self.tug("copy", "-q", "--dest-decompress", source, "dir:few-plain"), text="does not name the tars of its 3 layers")


@tug_only
@registry_for_class()
class AtARegistry(Conversion):
    def push(self, source, repository, *flags):
        return self.assert_success(self.tug("copy", "--json", "--src-tls-verify=false", "--dest-tls-verify=false", *flags, source,
                                            f"docker://{self.registry.address}/{repository}")).json()

    def test_again_sends_nothing(self):
        """A converting copy of an unchanged image: one question, whatever is converted, and no layer is read."""
        self.own_cache()
        for n, (source, flags) in enumerate((
                (self.oci("annotated"), ["--format=v2s2"]), (self.docker, ["--format=oci"]), (self.oci("index"), ["--all", "--format=v2s2"]),
                (self.oci("mixed"), ["--format=v2s2"]), (self.oci("gzip"), ["--dest-compress-format=zstd"]),
                (self.docker, ["--format=oci", "--dest-compress-format=zstd"]))):
            with self.subTest(flags=flags):
                first = self.push(source, f"again/{n}:1", *flags)
                self.assertFalse(first["skipped"])
                before = len(self.registry.requests())
                again = self.push(source, f"again/{n}:1", *flags)
                self.assertEqual((again["skipped"], again["digest"]), (True, first["digest"]))
                self.assertEqual({request.method for request in self.registry.requests()[before:]} - {"GET", "HEAD"}, set())
                self.assertEqual(digest_of(self.registry.stored_blob(first["digest"])), first["digest"])

    def test_known_layers_are_found(self):
        """The blob info cache: the compressed layer of another repository is mounted, not made again."""
        self.own_cache()
        self.push(self.oci("gzip"), "known/a:1", "--dest-compress-format=zstd")
        other = self.push(self.oci("gzip"), "known/b:1", "--dest-compress-format=zstd")
        outcomes = {blob["digest"]: blob["outcome"] for blob in other["blobs"]}
        self.assertNotIn("uploaded", outcomes.values(), outcomes)

    def test_from_registry_to_registry(self):
        """Converted on the way inside one registry: layers are mounted, and nothing but configurations is read."""
        self.own_cache()
        self.push(f"oci:{FIXTURES}/multi:all", "inside/source:all", "--all")
        before = len(self.registry.requests())
        self.push(f"docker://{self.registry.address}/inside/source:all", "inside/docker:all", "--all", "--format=v2s2")
        layer_reads = [request for request in self.registry.requests()[before:] if request.method == "GET" and "/blobs/" in request.path]
        self.assertEqual(layer_reads, [])
        raw = json.loads(self.skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{self.registry.address}/inside/docker:all").out)
        self.assertEqual(raw["mediaType"], layouts.DOCKER_LIST)
        self.skopeo("copy", "-q", "--insecure-policy", "--all", "--src-tls-verify=false", f"docker://{self.registry.address}/inside/docker:all", "dir:back")

    def test_platforms_inside_a_registry(self):
        """All, some and none of an index's images: mounted, their bytes never downloaded."""
        self.own_cache()
        self.push(f"oci:{FIXTURES}/multi:all", "platforms/source:all", "--all")
        source = f"docker://{self.registry.address}/platforms/source:all"
        for name, flags, images in (("all", ["--all"], 3), ("multi", ["--multi-arch=all"], 3), ("one", ["--override-arch=arm64"], 1),
                                    ("some", ["--multi-arch=linux/amd64,linux/arm64", "--strip-removed-platforms"], 2)):
            with self.subTest(name):
                before = len(self.registry.requests())
                report = self.push(source, f"platforms/{name}:1", *flags)
                requests = self.registry.requests()[before:]
                self.assertEqual([request for request in requests if request.method == "GET" and "/blobs/" in request.path], [])
                self.assertEqual({blob["outcome"] for blob in report["blobs"]}, {"mounted"})
                raw = json.loads(self.skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{self.registry.address}/platforms/{name}:1").out)
                self.assertEqual(len(raw.get("manifests", [raw])), images)
        # The images are there already: the index alone.
        report = self.push(source, "platforms/all:index", "--multi-arch=index-only")
        self.assertEqual(report["blobs"], [])
        self.assertIn("index", self.registry.tags("platforms/all"))

    def test_zstd_in_a_docker_image(self):
        """Becomes an OCI image, which one line says; refused before anything is sent where it must not change, or stay Docker's."""
        to = f"docker://{self.registry.address}/zstd:1"
        before = len(self.registry.requests())
        for flag, text in (("--format=v2s2", "--format oci"), ("--preserve-digests", "--preserve-digests forbids it")):
            result = self.tug("copy", "--dest-tls-verify=false", "--dest-compress-format=zstd", flag, self.docker, to)
            self.assert_failure(result, text=["zstd", text])
        self.assertEqual([request for request in self.registry.requests()[before:] if request.method not in ("GET", "HEAD")], [])
        result = self.tug("copy", "--dest-tls-verify=false", "--dest-compress-format=zstd", self.docker, to)
        self.assert_success(result)
        self.assertEqual(result.err.count("the image is converted to OCI (Docker's cannot hold zstd layers)"), 1, result.err)
        raw = json.loads(self.skopeo("inspect", "--raw", "--tls-verify=false", to).out)
        self.assertEqual(raw["mediaType"], "application/vnd.oci.image.manifest.v1+json")
        self.assertEqual({layer["mediaType"] for layer in raw["layers"]}, {OCI_LAYER_ZSTD})


if __name__ == "__main__":
    case.main()
