"""dir: images, written and read: beside what skopeo writes for the same command, and what either wrote read by the other."""

import itertools
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import case  # noqa: E402
from support.case import FIXTURES, SystemTest, fixture, registry_for_class, tug_only  # noqa: E402
from support.layouts import Layout, noise  # noqa: E402
from support.proxy import FlakyProxy  # noqa: E402
from support.trees import tree  # noqa: E402

# (fixture, flags)
IMAGES = [("hello:1.0", []), ("multi:all", ["--all"]), ("multi:all", ["--override-arch=arm64"]), ("artifact:chart", []), ("artifact:sbom", [])]
# What skopeo 1.9.3 cannot read from a layout.
IMAGES_OF_TUG = [("docker-v2s2:image", []), ("docker-v2s2:list", ["--all"]), ("nested:nested", ["--all"]), ("foreign:docker", []), ("foreign:oci", [])]


@registry_for_class()
class Dir(SystemTest):
    def to_dir(self, name, directory, *flags, **options):
        return self.tug("copy", "--insecure-policy", *flags, f"oci:{FIXTURES}/{name}", f"dir:{directory}", **options)

    def test_the_same_files_as_skopeo(self):
        for number, (name, flags) in enumerate(IMAGES):
            with self.subTest(name=name, flags=flags):
                self.assert_success(self.to_dir(name, f"tug-{number}", *flags))
                self.assert_success(self.to_dir(name, f"skopeo-{number}", *flags, program="skopeo"))
                self.assertEqual(tree(self.temp / f"tug-{number}"), tree(self.temp / f"skopeo-{number}"))

    def test_what_the_other_wrote(self):
        """tug reads skopeo's directories and skopeo ours, into the same layout."""
        for number, (name, flags) in enumerate(IMAGES):
            with self.subTest(name=name, flags=flags):
                for writer, reader in ((None, "skopeo"), ("skopeo", None)):
                    label = f"{number}-{writer or 'tug'}"
                    self.assert_success(self.to_dir(name, f"dir-{label}", *flags, program=writer))
                    everything = [flag for flag in flags if flag == "--all"]
                    result = self.tug("copy", "--insecure-policy", *everything, f"dir:dir-{label}", f"oci:oci-{label}:x", program=reader)
                    self.assert_success(result)
                self.assertEqual(tree(self.temp / f"oci-{number}-tug"), tree(self.temp / f"oci-{number}-skopeo"))

    @tug_only
    def test_round_trip_through_a_registry(self):
        """oci: to dir: to a registry to nothing changed: every digest stays."""
        for number, (name, flags) in enumerate(IMAGES + IMAGES_OF_TUG):
            with self.subTest(name=name, flags=flags):
                directory = self.temp / f"image-{number}"
                self.assert_success(self.to_dir(name, directory, *flags))
                everything = [flag for flag in flags if flag == "--all"]
                to_registry = f"docker://{self.registry.address}/dir/{number}:1"
                self.assert_success(self.tug("copy", "--no-cache", "--dest-tls-verify=false", *everything, f"dir:{directory}", to_registry))
                layout, descriptor = fixture(name)
                if "--override-arch=arm64" in flags:
                    descriptor = next(each for each in layout.read_json(descriptor)["manifests"] if each["platform"]["architecture"] == "arm64")
                self.assert_stored(self.registry, f"dir/{number}", "1", layout, descriptor)

    @tug_only
    def test_from_a_registry_over_a_bad_connection(self):
        """Registry to oci:, dir: and another registry's repository: a large layer whose connection breaks again and again is continued,
        and every digest stays."""
        source = Layout(self.temp / "source")
        descriptor = source.add(source.image([{"large": noise(3_000_000)}, {"small": b"x"}], level=0), ref="1")
        self.assert_success(self.copy(source, f"{self.registry.address}/from:1", "--dest-tls-verify=false"))
        for destination in ("oci:layout:1", "dir:image", f"docker://{self.registry.address}/to:1"):
            with self.subTest(destination), FlakyProxy(self.registry.address, limits=itertools.repeat((700_000, False))) as proxy:
                self.assert_success(self.tug("copy", "--no-cache", "--src-tls-verify=false", "--dest-tls-verify=false", "--retry-delay=10ms",
                                             f"docker://{proxy.address}/from:1", destination))
                self.assertGreaterEqual(proxy.resets, 3)
        self.assertEqual(Layout(self.temp / "layout").descriptor("1")["digest"], descriptor["digest"])
        self.assert_success(self.tug("copy", "dir:image", "oci:again:1"))
        self.assertEqual(tree(self.temp / "again"), tree(self.temp / "layout"))
        self.assert_stored(self.registry, "to", "1", source, descriptor)

    @tug_only
    def test_replaced(self):
        """The new image takes the old one's place, signatures and all; what is nobody's stays. (skopeo empties the directory.)"""
        self.assert_success(self.to_dir("multi:all", "image", "--all"))
        image = self.temp / "image"
        (image / "signature-1").write_bytes(b"s")
        (image / "notes").write_bytes(b"mine")
        self.assert_success(self.to_dir("hello:1.0", "image"))
        self.assert_success(self.to_dir("hello:1.0", "fresh"))
        self.assertEqual(tree(image), {**tree(self.temp / "fresh"), "notes": b"mine"})

    @tug_only
    def test_copy_onto_itself(self):
        """An index becomes one of its images, in place."""
        self.assert_success(self.to_dir("multi:all", "image", "--all"))
        self.assert_success(self.tug("copy", "--override-arch=arm64", "dir:image", "dir:image"))
        self.assert_success(self.to_dir("multi:all", "expected", "--override-arch=arm64"))
        self.assertEqual(tree(self.temp / "image"), tree(self.temp / "expected"))

    @tug_only
    def test_dry_run(self):
        self.assert_success(self.to_dir("hello:1.0", "old"))
        before = tree(self.temp)
        for directory in ("new", "old"):
            self.assertIn("Would copy", self.assert_success(self.to_dir("multi:all", directory, "--dry-run", "--all")).out)
        self.assertEqual(tree(self.temp), before)

    @tug_only
    def test_inspect(self):
        self.assert_success(self.to_dir("hello:1.0", "image"))
        self.assertEqual(self.assert_success(self.tug("inspect", "dir:image")).json()["Digest"], fixture("hello:1.0")[1]["digest"])

    @tug_only
    def test_signatures_stay_behind(self):
        """One line says so, unless they may."""
        self.assert_success(self.to_dir("hello:1.0", "image"))
        (self.temp / "image/signature-1").write_bytes(b"s")
        self.assertRegex(self.assert_success(self.tug("copy", "dir:image", "dir:a")).err, "level=warning msg=.*signatures")
        self.assertEqual(self.assert_success(self.tug("copy", "--remove-signatures", "dir:image", "dir:b")).err, "")

    @tug_only
    def test_flags_that_change_layers(self):
        """Where a place has its own form they are ignored, which one line says."""
        self.assert_failure(self.to_dir("hello:1.0", "image", "--dest-decompress", "--dest-compress"), text="exclude each other")
        for flag in ("--dest-compress", "--dest-decompress"):
            result = self.assert_success(self.tug("copy", flag, f"oci:{FIXTURES}/hello:1.0", f"docker-archive:{flag[7:]}"))
            self.assertRegex(result.err, f"level=warning msg=.{flag} has no effect: the destination is not dir:, oci: or oci-archive:")

    @tug_only
    def test_places_that_are_refused(self):
        """One line that names the place; what is there stays."""
        (self.temp / "full").mkdir()
        (self.temp / "full/precious").write_text("x")
        (self.temp / "file").write_text("x")
        before = tree(self.temp)
        for directory, text in (("full", "full is not empty and no dir: image"), ("file", "not a directory"), ("no/image", "does not exist")):
            with self.subTest(directory):
                self.assert_failure(self.to_dir("hello:1.0", directory), text=text)
        self.assert_failure(self.tug("copy", "dir:none", "dir:new"), text="none does not exist")
        self.assert_failure(self.tug("copy", "dir:full", "dir:new"), text="no dir: image")
        self.assertEqual(tree(self.temp), before)

    @tug_only
    def test_damaged_sources(self):
        """Each gives one line that names the file, and no image at the destination."""
        source, descriptor = fixture("hello:1.0")
        layer = source.read_json(descriptor)["layers"][0]["digest"].partition(":")[2]
        damages = {"cut": (layer, lambda path: path.write_bytes(path.read_bytes()[:-1])),
                   "changed": (layer, lambda path: path.write_bytes(bytes(len(path.read_bytes())))),
                   "gone": (layer, lambda path: path.unlink()),
                   "link": (layer, lambda path: (path.unlink(), path.symlink_to("/etc/hostname"))),
                   "manifest": ("manifest.json", lambda path: path.write_bytes(path.read_bytes()[:-1])),
                   "version": ("version", lambda path: path.write_text("Directory Transport Version: 9\n"))}
        for name, (file, damage) in damages.items():
            with self.subTest(name):
                self.assert_success(self.to_dir("hello:1.0", name))
                damage(self.temp / name / file)
                result = self.tug("copy", f"dir:{name}", f"oci:to-{name}:1")
                self.assert_failure(result, text=layer if file == layer else "manifest|version")
                self.assertFalse((self.temp / f"to-{name}/index.json").exists())

    @tug_only
    def test_manifest_cut_anywhere(self):
        """Never another image, never a crash."""
        self.assert_success(self.to_dir("hello:1.0", "image"))
        path = self.temp / "image/manifest.json"
        whole = path.read_bytes()
        for size in range(0, len(whole), 37):
            path.write_bytes(whole[:size])
            self.assert_failure(self.tug("copy", "dir:image", "dir:new"))
        self.assertFalse((self.temp / "new").exists())

    @tug_only
    def test_same_digest_in_a_layout(self):
        self.assert_success(self.to_dir("multi:all", "image", "--all"))
        self.assert_success(self.tug("copy", "--all", "dir:image", "oci:layout:x"))
        self.assertEqual(Layout(self.temp / "layout").descriptor("x")["digest"], fixture("multi:all")[1]["digest"])


if __name__ == "__main__":
    case.main()
