"""What others say of an image: referrers (by subject) and cosign's tags, between layouts and registries. Debian's registry has no
referrers API: there they are what the referrers tag lists. (The API itself: unit.registry, unit.copy.)"""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import case, layouts  # noqa: E402
from support.case import FIXTURES, SystemTest, registry_for_class, tug_only  # noqa: E402
from support.layouts import Layout, digest_of, platform  # noqa: E402


def attach(layout, subject, kind, text):
    """A manifest about `subject`, with one blob."""
    config = layout.blob(b"{}", layouts.OCI_EMPTY)
    blob = layout.blob(text, "text/plain")
    return layout.manifest(config, [blob], artifactType=kind, subject={key: subject[key] for key in ("mediaType", "digest", "size")})


def signed_layout(directory):
    """An index of two images; a signature of the index and of an image, an SBOM with a signature of its own; cosign's tags. Also
    a manifest about another image, which is nobody's business."""
    layout = Layout(directory)
    arm, amd = (layout.image([{"arch": arch.encode()}], architecture=arch) for arch in ("arm64", "amd64"))
    index = layout.index([platform(arm, "arm64"), platform(amd, "amd64")])
    layout.add(index, ref="1")
    sbom = attach(layout, index, "application/x.sbom", b"sbom")
    about = {"signature": attach(layout, index, "application/x.signature", b"signature"), "sbom": sbom,
             "of the sbom": attach(layout, sbom, "application/x.signature", b"signature of the sbom"),
             "of an image": attach(layout, arm, "application/x.signature", b"signature of arm64")}
    for each in about.values():
        layout.add(each)
    other = layout.image([{"other": b"1"}])
    layout.add(attach(layout, other, "application/x.signature", b"another's"))
    tags = {}
    for subject, suffix in ((index, "sig"), (index, "att"), (arm, "sbom")):
        tag = f"{subject['digest'].replace(':', '-')}.{suffix}"
        layer = layout.blob(suffix.encode(), "application/vnd.dev.cosign.simplesigning.v1+json")
        tags[tag] = layout.manifest(layout.json_blob({"architecture": "", "os": "", "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}},
                                                     layouts.OCI_CONFIG), [layer])
        layout.add(tags[tag], ref=tag)
    return layout, index, arm, about, tags


@tug_only
@registry_for_class()
class Referrers(SystemTest):
    def setUp(self):
        super().setUp()
        self.layout, self.index, self.arm, self.about, self.tags = signed_layout(self.temp / "source")
        self.source = f"oci:{self.layout.path}:1"

    def at(self, repository):
        return f"docker://{self.registry.address}/{self.id().rpartition('.')[2]}/{repository}"

    def name(self, repository):
        return f"{self.id().rpartition('.')[2]}/{repository}"

    def tug_copy(self, *arguments):
        return self.tug("copy", "--json", "--no-cache", "--src-tls-verify=false", "--dest-tls-verify=false", *arguments)

    def listed(self, repository, subject):
        """The digests that the referrers tag lists."""
        digest = self.registry.tags(self.name(repository)).get(subject["digest"].replace(":", "-"))
        return {each["digest"] for each in json.loads(self.registry.stored_blob(digest))["manifests"]} if digest else set()

    def assert_referrers(self, repository, *, image=True):
        self.assertEqual(self.listed(repository, self.index), {self.about["signature"]["digest"], self.about["sbom"]["digest"]})
        self.assertEqual(self.listed(repository, self.about["sbom"]), {self.about["of the sbom"]["digest"]})
        self.assertEqual(self.listed(repository, self.arm), {self.about["of an image"]["digest"]} if image else set())
        for each in self.about.values():
            manifests, blobs = self.layout.closure(each)
            for blob in blobs:
                self.assertTrue(self.registry.has_blob_link(self.name(repository), blob["digest"]))

    def test_from_a_layout_through_a_registry_and_back(self):
        """Each once, with those of the images below an index and those of referrers; a second run sends nothing."""
        report = self.assert_success(self.tug_copy("--all", "--referrers", self.source, self.at("a:1"))).json()
        self.assertEqual({each["digest"] for each in report["attached"]}, {each["digest"] for each in self.about.values()})
        self.assert_referrers("a")
        self.assertEqual([tag for tag in self.registry.tags(self.name("a")) if tag.endswith(".sig")], [])
        before = len(self.registry.requests())
        self.assertEqual(self.assert_success(self.tug_copy("--all", "--referrers", self.source, self.at("a:1"))).json()["bytesSent"], 0)
        self.assertEqual({request.method for request in self.registry.requests()[before:]} - {"GET", "HEAD"}, set())
        self.assert_success(self.tug_copy("--all", "--referrers", self.at("a:1"), self.at("b:1")))
        self.assert_referrers("b")
        self.assert_success(self.tug_copy("--all", "--referrers", self.at("b:1"), "oci:back:1"))
        back = Layout(self.temp / "back")
        self.assertEqual({entry["digest"] for entry in back.entries()}, {each["digest"] for each in (self.index, *self.about.values())})
        self.assert_success(self.tug_copy("--all", "--referrers", "oci:back:1", self.at("c:1")))
        self.assert_referrers("c")

    def test_as_regclient_lists_them(self):
        """A layout whose index.json has what the referrers tag names."""
        layout = Layout(self.temp / "listed")
        image = layout.add(layout.image([{"a": b"1"}]), ref="1")
        referrer = attach(layout, image, "application/x.signature", b"s")
        stray = attach(layout, self.arm, "application/x.signature", b"of another")
        layout.add(layout.index([referrer, stray]), ref=image["digest"].replace(":", "-"))
        result = self.assert_success(self.tug_copy("--referrers", f"oci:{layout.path}:1", self.at("a:1")))
        self.assertEqual(self.listed("a", image), {referrer["digest"]})
        self.assertRegex(result.err, f"level=warning msg=.{stray['digest']} is listed as a referrer of .* names another subject")

    def test_digest_tags(self):
        """cosign's tags, of the index and of its images; without a tag of that name, nothing."""
        self.assert_success(self.tug_copy("--all", "--digest-tags", self.source, self.at("a:1")))
        self.assertEqual({tag: digest for tag, digest in self.registry.tags(self.name("a")).items() if tag != "1"},
                         {tag: each["digest"] for tag, each in self.tags.items()})
        self.assert_success(self.tug_copy("--all", "--digest-tags", self.at("a:1"), self.at("b:1")))
        self.assertEqual(self.registry.tags(self.name("b")), self.registry.tags(self.name("a")))
        self.assert_success(self.tug_copy("--all", "--digest-tags", self.at("b:1"), "oci:back:1"))
        back = Layout(self.temp / "back")
        self.assertEqual({tag: back.descriptor(tag)["digest"] for tag in self.tags}, {tag: each["digest"] for tag, each in self.tags.items()})
        report = self.assert_success(self.tug_copy("--digest-tags", f"oci:{FIXTURES}/hello:1.0", self.at("hello:1"))).json()
        self.assertNotIn("attached", report)

    def test_left_behind(self):
        """A note when a layout has some, of the image that is copied, and they are not asked for."""
        note = "level=warning msg=.*signatures or other referrers.*--referrers and --digest-tags copy them"
        self.assertRegex(self.assert_success(self.tug_copy("--all", self.source, self.at("a:1"))).err, note)
        self.assertEqual(self.assert_success(self.tug_copy(f"oci:{FIXTURES}/hello:1.0", self.at("hello:1"))).err, "")
        before = len(self.registry.requests())
        self.assert_success(self.tug_copy("--all", self.at("a:1"), self.at("b:1")))
        self.assertEqual([request for request in self.registry.requests()[before:] if "referrers" in request.path or "sha256-" in request.path], [])

    def test_dry_run(self):
        result = self.assert_success(self.tug("copy", "--dry-run", "--no-cache", "--all", "--referrers", "--digest-tags", "--dest-tls-verify=false", self.source, self.at("a:1")))
        for each in (*self.about.values(), *self.tags.values()):
            self.assertIn(each["digest"], result.out)
        self.assertEqual(self.registry.tags(self.name("a")), {})

    def test_refusals(self):
        """What cannot be kept together, before anything is written."""
        for flags, destination, text in ((["--referrers", "--format=v2s2"], self.at("a:1"), "--referrers: they are about the image as it is"),
                                         (["--digest-tags", "--dest-compress-format=zstd"], self.at("a:1"), "--digest-tags: they are about"),
                                         (["--referrers"], "dir:out", "--referrers: the destination holds one image only")):
            with self.subTest(flags=flags):
                self.assert_failure(self.tug("copy", "--all", "--dest-tls-verify=false", *flags, self.source, destination), text=text)
        self.assertEqual(self.registry.tags(self.name("a")), {})
        self.assertFalse((self.temp / "out").exists())

    def test_broken_referrer(self):
        """One whose bytes are not there, or not those: the image is there, and the error names the referrer. Never exit code 2."""
        path = self.layout.blob_path(self.about["of the sbom"]["digest"])
        blob = self.layout.blob_path(self.layout.read_json(self.about["signature"])["layers"][0]["digest"])
        blob.write_bytes(b"x" * len(blob.read_bytes()))
        result = self.tug("copy", "--all", "--no-cache", "--referrers", "--dest-tls-verify=false", self.source, self.at("a:1"))
        self.assert_failure(result, text=["referrer " + self.about["signature"]["digest"], digest_of(blob.read_bytes())])
        self.assertEqual(self.registry.tags(self.name("a"))["1"], self.index["digest"])
        self.assertTrue(path.exists())


if __name__ == "__main__":
    case.main()
