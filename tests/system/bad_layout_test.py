"""Layouts that are broken, and layouts made to deceive: each gives one clear error that names the file, and nothing is tagged."""

import json
import os
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import case, layouts  # noqa: E402
from support.case import FIXTURES, SystemTest, registry_for_class, tug_only  # noqa: E402
from support.layouts import Layout, platform, to_json  # noqa: E402
from support.proxy import PausingProxy  # noqa: E402

INDEX_JSON, OCI_LAYOUT = r"index\.json", r"oci-layout"


def hex_of(descriptor):
    return descriptor["digest"].partition(":")[2]


@tug_only
@registry_for_class()
class BadLayout(SystemTest):
    """Starts from a good layout of one image, `self.layout`, with `self.descriptor` and `self.manifest`."""

    def setUp(self):
        super().setUp()
        self.layout = Layout(self.temp / "layout")
        self.descriptor = self.layout.add(self.layout.image([{"etc/motd": b"hello\n"}, {"etc/second": b"layer\n"}]))
        self.manifest = self.layout.read_json(self.descriptor)
        self.layer = self.manifest["layers"][0]
        self.pushes = 0

    def push(self, *flags, source=None):
        """To a repository that nothing was ever sent to."""
        self.pushes += 1
        self.repository = f"{self.id().rpartition('.')[2].lower()}-{self.pushes}"
        return self.tug("copy", "--dest-tls-verify=false", "--json", "--no-cache", *flags, source or f"oci:{self.layout.path}",
                        f"docker://{self.registry.address}/{self.repository}:v1", timeout=60)

    def refused(self, error_class, text, *flags, code=1, source=None):
        """The push fails as the contract says, and the registry has no tag."""
        result = self.push(*flags, source=source)
        self.assert_failure(result, code=code, text=text)
        error = self.assert_error_object(result, error_class)
        self.assert_not_tagged()
        return error

    def assert_not_tagged(self):
        status, _, _ = self.registry.get(f"/v2/{self.repository}/manifests/v1")
        self.assertEqual(status, 404)
        self.assertEqual(self.registry.tags(self.repository), {})

    def replace_manifest(self, data, media_type=layouts.OCI_MANIFEST):
        """Makes `data` the layout's image, with a descriptor that fits."""
        descriptor = self.layout.blob(data, media_type)
        self.layout.write_index([descriptor])
        return descriptor

    def rewrite(self, **members):
        """The manifest with other members."""
        return self.replace_manifest(to_json({**self.manifest, **members}))

    def test_the_good_one(self):
        """What all these tests start from can be pushed: only the damage makes them fail."""
        self.assert_success(self.push())
        self.assert_stored(self.registry, self.repository, "v1", self.layout, self.descriptor)

    # ---- the layout's own files

    def test_no_directory(self):
        """The layout's directory is missing."""
        self.refused("local", "nowhere", source=f"oci:{self.temp}/nowhere")

    def test_file_instead_of_a_directory(self):
        """The layout is a file."""
        (self.temp / "file").write_text("x")
        self.refused("local", "file", source=f"oci:{self.temp}/file")

    def test_no_oci_layout(self):
        """oci-layout is missing."""
        (self.layout.path / "oci-layout").unlink()
        self.refused("local", OCI_LAYOUT)

    def test_wrong_version(self):
        """oci-layout says another version."""
        for text in ('{"imageLayoutVersion":"2.0.0"}', '{"imageLayoutVersion":1}', "{}", "[]", "", "not json"):
            with self.subTest(content=text):
                (self.layout.path / "oci-layout").write_text(text)
                self.refused("integrity", OCI_LAYOUT)

    def test_no_index_json(self):
        """index.json is missing."""
        (self.layout.path / "index.json").unlink()
        self.refused("local", INDEX_JSON)

    def test_broken_index_json(self):
        """index.json is empty, cut off anywhere, not JSON, or something else."""
        good = (self.layout.path / "index.json").read_text()
        for text in ("", " \n", good[:-1], good[:len(good) // 2], good + "x", "[]", "null", "7", '{"schemaVersion":2,"manifests":{}}',
                     '{"schemaVersion":2,"manifests":[7]}', '{"schemaVersion":2}', "\xff\xfe"):
            with self.subTest(content=text):
                (self.layout.path / "index.json").write_bytes(text.encode("latin-1"))
                self.refused("integrity", INDEX_JSON)

    def test_index_json_without_images(self):
        """An index.json that lists nothing: the image is not found."""
        self.layout.write_index([])
        self.refused("not-found", INDEX_JSON, code=2)

    def test_index_json_is_no_file(self):
        """index.json is a directory, a FIFO, a link out of the layout."""
        path = self.layout.path / "index.json"
        outside = self.temp / "outside.json"
        shutil.move(path, outside)
        for make in (path.mkdir, lambda: os.mkfifo(path), lambda: path.symlink_to(outside)):
            make()
            self.refused("local", INDEX_JSON)
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()

    # ---- blobs

    def test_missing_layer(self):
        """A layer's file is not there."""
        self.layout.blob_path(self.layer["digest"]).unlink()
        self.refused("local", hex_of(self.layer))

    def test_missing_config(self):
        """The config's file is not there."""
        self.layout.blob_path(self.manifest["config"]["digest"]).unlink()
        self.refused("local", hex_of(self.manifest["config"]))

    def test_missing_manifest(self):
        """The manifest's file is not there."""
        self.layout.blob_path(self.descriptor["digest"]).unlink()
        self.refused("local", hex_of(self.descriptor))

    def test_size(self):
        """A file shorter or longer than its descriptor says: manifest, config and layer."""
        for blob in (self.descriptor, self.manifest["config"], self.layer):
            path = self.layout.blob_path(blob["digest"])
            good = path.read_bytes()
            for bad in (good[:-1], b"", good + b"x"):
                with self.subTest(blob=blob["mediaType"], size=len(bad)):
                    path.write_bytes(bad)
                    self.refused(("integrity", "local"), hex_of(blob))
            path.write_bytes(good)

    def test_content(self):
        """A file of the right size with other content is never committed: manifest, config and layer."""
        for blob in (self.descriptor, self.manifest["config"], self.layer):
            with self.subTest(blob=blob["mediaType"]):
                path = self.layout.blob_path(blob["digest"])
                good = path.read_bytes()
                path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
                self.refused("integrity", hex_of(blob))
                self.assertFalse(self.registry.has_blob_link(self.repository, blob["digest"]))
                path.write_bytes(good)

    def test_content_of_a_large_layer(self):
        """The same when the body goes in a PATCH of its own."""
        descriptor = self.layout.image([{"zeros": bytes(2_000_000)}], level=0)
        self.layout.write_index([descriptor])
        layer = self.layout.read_json(descriptor)["layers"][0]
        with open(self.layout.blob_path(layer["digest"]), "r+b") as file:
            file.seek(1_000_000)
            file.write(b"x")
        self.refused("integrity", hex_of(layer))
        self.assertIsNone(self.registry.stored_blob(layer["digest"]))

    def test_layer_is_a_fifo(self):
        """A FIFO in place of a layer: refused without waiting for a writer."""
        path = self.layout.blob_path(self.layer["digest"])
        path.unlink()
        os.mkfifo(path)
        self.refused("local", hex_of(self.layer))

    def test_layer_is_a_directory(self):
        """A directory in place of a layer."""
        path = self.layout.blob_path(self.layer["digest"])
        path.unlink()
        path.mkdir()
        self.refused("local", hex_of(self.layer))

    def test_layer_is_a_link_out_of_the_layout(self):
        """A symbolic link to a file elsewhere, absolute or relative, is not followed, whatever it would give."""
        path = self.layout.blob_path(self.layer["digest"])
        outside = self.temp / "outside"
        shutil.move(path, outside)
        for target in (outside, os.path.relpath(outside, path.parent)):
            with self.subTest(target=str(target)):
                path.symlink_to(target)
                self.refused("local", hex_of(self.layer))
                path.unlink()

    def test_blobs_is_a_link_out_of_the_layout(self):
        """The directory of the blobs stands elsewhere."""
        shutil.move(self.layout.path / "blobs", self.temp / "elsewhere")
        (self.layout.path / "blobs").symlink_to(self.temp / "elsewhere")
        self.refused("local", "blobs")

    def test_links_inside_the_layout_work(self):
        """A link from one blob to another file of the layout is fine."""
        path = self.layout.blob_path(self.layer["digest"])
        shutil.move(path, self.layout.path / "stored-here")
        path.symlink_to("../../stored-here")
        self.assert_success(self.push())

    def test_layer_truncated_while_it_is_sent(self):
        """The file shrinks in mid-upload."""
        self.change_while_sending(lambda path: os.truncate(path, 5_000_000))

    def test_layer_replaced_while_it_is_sent(self):
        """The file is overwritten in mid-upload, size unchanged."""

        def overwrite(path):
            with open(path, "r+b") as file:
                file.seek(40_000_000)
                file.write(b"something else")

        self.change_while_sending(overwrite)

    def change_while_sending(self, change):
        descriptor = self.layout.image([{"zeros": bytes(48_000_000)}], level=0)
        self.layout.write_index([descriptor])
        layer = self.layout.read_json(descriptor)["layers"][0]
        path = self.layout.blob_path(layer["digest"])
        # Far from the end: neither socket buffers nor the program's own may hold the rest already.
        self.repository = self.id().rpartition(".")[2].lower()
        with PausingProxy(self.registry.address, after_bytes=1_000_000, action=lambda: change(path)) as proxy:
            result = self.tug("copy", "--dest-tls-verify=false", "--json", "--no-cache", f"oci:{self.layout.path}",
                              f"docker://{proxy.address}/{self.repository}:v1")
            self.assertTrue(proxy.fired)
        self.assert_failure(result, text=hex_of(layer))
        self.assert_error_object(result, ("local", "integrity"))
        self.assertIsNone(self.registry.stored_blob(layer["digest"]))
        self.assert_not_tagged()

    # ---- digests and descriptors

    def test_bad_digests_of_a_layer(self):
        """Digests that are none, or that would be paths: refused where they are read, before anything is opened by them."""
        (self.temp / "x").write_bytes(b"outside")
        good = self.layer["digest"]
        for digest in ("sha256:../../../x", "sha256:" + "../" * 20 + "etc/passwd", "sha256:" + "g" * 64, good.upper(), good[:-1],
                       good + "0", "sha256:", "sha256", "", ":", "md5:d41d8cd98f00b204e9800998ecf8427e", "sha256:" + "A" * 64,
                       good + "\n", good.replace(":", "/"), "x" * 10000):
            with self.subTest(digest=digest[:80]):
                descriptor = self.rewrite(layers=[{**self.layer, "digest": digest}])
                self.refused("integrity", ["digest", hex_of(descriptor)])

    def test_bad_digests_in_index_json(self):
        """The same in index.json."""
        for digest in ("sha256:../../../x", "md5:d41d8cd98f00b204e9800998ecf8427e", "sha256:" + "A" * 64, ""):
            with self.subTest(digest=digest):
                self.layout.write_index([{**self.descriptor, "digest": digest}])
                self.refused("integrity", [INDEX_JSON, "digest"])

    def test_bad_descriptors(self):
        """Sizes and types that are none."""
        for members in ({"size": -1}, {"size": "12"}, {"size": 1.5}, {"size": 2**64}, {"size": None}, {"mediaType": 7}, {"urls": "x"},
                        {"annotations": []}):
            with self.subTest(members=members):
                descriptor = self.rewrite(layers=[{**self.layer, **members}])
                self.refused("integrity", hex_of(descriptor))

    def test_sizes_at_the_edge(self):
        """A size of 2^63-1 is believed by nobody."""
        self.rewrite(layers=[{**self.layer, "size": 2**63 - 1}])
        self.refused(("integrity", "local", "limit"), "9223372036854775807")

    # ---- manifests

    def test_manifest_that_is_none(self):
        """A manifest that is not JSON, or JSON of another kind."""
        for data in (b"", b"not json", b"[]", b"{}", b'{"schemaVersion":2}', to_json({**self.manifest, "layers": 7}),
                     to_json({**self.manifest, "config": None}), b"\xff\xfe\x00", to_json(self.manifest) + b"{}",
                     to_json({**self.manifest, "manifests": []})):
            with self.subTest(data=data[:60]):
                descriptor = self.replace_manifest(data)
                self.refused("integrity", hex_of(descriptor))

    def test_media_type_that_disagrees(self):
        """The manifest says one type of itself, index.json another (the confusion of CVE-2021-41190)."""
        descriptor = self.rewrite(mediaType=layouts.OCI_INDEX)
        self.refused("integrity", hex_of(descriptor))

    def test_schema_1(self):
        """A Docker schema 1 manifest is refused by name."""
        kind = "application/vnd.docker.distribution.manifest.v1+json"
        descriptor = self.layout.blob(to_json({"schemaVersion": 1, "name": "x", "tag": "y", "fsLayers": []}), kind)
        self.layout.write_index([descriptor])
        self.refused(("integrity", "usage"), "schema ?1")

    def test_duplicate_keys(self):
        """JSON with a key twice means two things to two readers: refused."""
        text = to_json(self.manifest).decode()
        for bad in (text[:-1] + ',"layers":[]}', text.replace('"config":', '"config":{},"config":', 1),
                    text.replace('"digest":', '"digest":"sha256:%s","digest":' % ("0" * 64), 1)):
            with self.subTest(text=bad[:80]):
                descriptor = self.replace_manifest(bad.encode())
                self.refused("integrity", hex_of(descriptor))

    def test_duplicate_keys_in_index_json(self):
        """The same in index.json."""
        text = (self.layout.path / "index.json").read_text()
        (self.layout.path / "index.json").write_text(text[:-1] + ',"manifests":[]}')
        self.refused("integrity", INDEX_JSON)

    def test_deep_json(self):
        """10,000 levels of arrays or objects do not exhaust the stack."""
        for opening, closing in (("[", "]"), ('{"a":', "}")):
            deep = opening * 10_000 + ("1" if "a" in opening else "") + closing * 10_000
            text = to_json(self.manifest).decode()[:-1] + ',"annotations":' + deep + "}"
            with self.subTest(opening=opening):
                descriptor = self.replace_manifest(text.encode())
                self.refused(("integrity", "limit"), hex_of(descriptor))
            (self.layout.path / "index.json").write_text('{"schemaVersion":2,"manifests":' + deep + "}")
            self.refused(("integrity", "limit"), INDEX_JSON)

    def test_large_manifest(self):
        """More than 4 MiB of manifest."""
        descriptor = self.rewrite(annotations={"padding": "x" * (4 * 1024 * 1024)})
        self.refused("limit", [hex_of(descriptor), "4"])

    def test_manifest_that_is_larger_than_it_says(self):
        """A file of 1 GB where index.json promises a few bytes is not read."""
        path = self.layout.blob_path(self.descriptor["digest"])
        os.truncate(path, 1_000_000_000)
        self.refused(("integrity", "limit"), hex_of(self.descriptor))

    def test_largest_manifest(self):
        """4 MiB to the byte is allowed by us; what the registry says to it is the registry's business."""
        base = len(to_json({**self.manifest, "annotations": {"p": ""}}))
        descriptor = self.rewrite(annotations={"p": "x" * (4 * 1024 * 1024 - base)})
        self.assertEqual(descriptor["size"], 4 * 1024 * 1024)
        result = self.push()
        self.assertIn(result.code, (0, 1))
        if result.code:
            self.assertNotEqual(json.loads(result.out)["error"]["class"], "limit", str(result))

    def test_too_many_layers(self):
        """20,000 layers that are all the same."""
        descriptor = self.rewrite(layers=[self.layer] * 20_000)
        self.refused(("integrity", "limit"), hex_of(descriptor))

    # ---- indexes

    def test_index_that_contains_itself(self):
        """An index under a digest that it lists itself (so its content cannot have that digest)."""
        digest = "sha256:" + "5e1f" * 16
        data = to_json({"schemaVersion": 2, "mediaType": layouts.OCI_INDEX, "manifests": [
            platform({"mediaType": layouts.OCI_INDEX, "digest": digest, "size": 0}, case.HOST_ARCHITECTURE)]})
        size = len(data) + 2
        data = data.replace(b'"size":0', b'"size":%d' % size)
        self.layout.blob_path(digest).write_bytes(data)
        self.layout.write_index([{"mediaType": layouts.OCI_INDEX, "digest": digest, "size": len(data)}])
        for flags in (["--all"], []):
            with self.subTest(flags=flags):
                self.refused("integrity", "5e1f", *flags)

    def test_index_nested_100_deep(self):
        """A chain of 100 indexes, each good in itself."""
        child = self.descriptor
        for _ in range(100):
            child = self.layout.index([platform(child, case.HOST_ARCHITECTURE)])
        self.layout.write_index([child])
        for flags in (["--all"], []):
            with self.subTest(flags=flags):
                self.refused(("integrity", "limit"), "nested|deep", *flags)

    def test_index_that_doubles(self):
        """40 levels, each of which names the next twice: not 2^40 visits."""
        child = self.descriptor
        for _ in range(40):
            child = self.layout.index([platform(child, case.HOST_ARCHITECTURE)] * 2)
        self.layout.write_index([child])
        self.refused(("integrity", "limit"), (), "--all")

    def test_damaged_child(self):
        """--all of an index one of whose images lacks a blob: nothing is tagged."""
        index = Layout(self.temp / "multi")
        shutil.copytree(FIXTURES / "multi", index.path, dirs_exist_ok=True)
        arm = index.read_json(index.descriptor("arm"))
        index.blob_path(arm["layers"][1]["digest"]).unlink()
        self.refused("local", hex_of(arm["layers"][1]), "--all", source=f"oci:{index.path}:all")

    def test_missing_child(self):
        """The same when the image's manifest is missing."""
        index = Layout(self.temp / "multi")
        shutil.copytree(FIXTURES / "multi", index.path, dirs_exist_ok=True)
        arm = index.descriptor("arm")
        index.blob_path(arm["digest"]).unlink()
        self.refused("local", hex_of(arm), "--all", source=f"oci:{index.path}:all")


@tug_only
@registry_for_class()
class BadReference(SystemTest):
    """Arguments that name nothing: refused before the registry hears of it."""

    def refused(self, source, destination, text, code=1, error_class="usage"):
        before = len(self.registry.requests())
        result = self.tug("copy", "--dest-tls-verify=false", "--json", source, destination)
        self.assert_failure(result, code=code, text=text)
        self.assert_error_object(result, error_class)
        self.assertEqual(self.registry.requests()[before:], [])

    def test_destinations(self):
        """Upper case, spaces, control characters, a tag of 300 characters, traversal, escapes."""
        for name in ("App:1", "app:with space", "app name:1", "app\n:1", "app:1\r\nX-Evil: 1", "app:" + "t" * 300, "app:-x", "app:.x",
                     "a//b:1", "../b:1", "a/../b:1", "a%2fb:1", "app:1?x=y", "app:1#x", "app:", "app@sha256:12", "app@md5:" + "0" * 32,
                     "app:1@sha256:" + "0" * 64, "a" * 300 + ":1", "", "/app:1", "app/:1", "-app:1", "app_:1", "äpp:1"):
            with self.subTest(name=name[:60]):
                self.refused(f"oci:{FIXTURES}/hello", f"docker://{self.registry.address}/{name}", ())

    def test_hosts(self):
        """Ports and hosts that are none."""
        for host in ("127.0.0.1:", "127.0.0.1:99999", "127.0.0.1:http", "user@127.0.0.1:1", "127.0.0.1:1:2", "ho st:1", "[::1"):
            with self.subTest(host=host):
                self.refused(f"oci:{FIXTURES}/hello", f"docker://{host}/app:1", ())

    def test_transports(self):
        """No transport, an unknown one (with the nearest known one), one that tug does not serve."""
        destination = f"docker://{self.registry.address}/app:1"
        self.refused("hello", destination, "hello")
        self.refused("dokcer://x/y", destination, ["dokcer", "docker"])
        self.refused("ostree:/x", destination, "ostree")
        self.refused("docker:/x/y", destination, "docker")
        self.refused(f"oci:{FIXTURES}/hello", "docker:x/y", "docker")
        self.refused("oci:", destination, "oci")

    def test_message_is_one_line(self):
        """What the user wrote is shown without its control characters."""
        result = self.tug("copy", f"oci:{FIXTURES}/hello", "docker://127.0.0.1:1/a\x1b[31m\n:1")
        self.assert_failure(result)
        self.assertNotIn("\x1b", result.err)

    def test_layout_reference(self):
        """@ with something that is no position, a position that is not there."""
        destination = f"docker://{self.registry.address}/app:1"
        self.refused(f"oci:{FIXTURES}/multi:@x", destination, "@")
        self.refused(f"oci:{FIXTURES}/multi:@99", destination, "@99", code=2, error_class="not-found")


if __name__ == "__main__":
    case.main()
