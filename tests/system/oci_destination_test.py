"""OCI layouts as destinations: beside what skopeo writes for the same command, and read back by skopeo, umoci and tug."""

import json
import pathlib
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import case, layouts  # noqa: E402
from support.case import FIXTURES, SystemTest, fixture, scaled, tug_only  # noqa: E402
from support.layouts import Layout, noise  # noqa: E402
from support.trees import tree  # noqa: E402

# Copies in a row, each (fixture, name in the layout, flags): what is in the layout then is what skopeo has made of the same.
SEQUENCES = {
    "a name": [("hello:1.0", ":1.0", [])],
    "no name": [("hello:1.0", "", [])],
    "no name twice": [("hello:1.0", "", []), ("hello:1.0", "", [])],
    "two names for one image": [("hello:1.0", ":1", []), ("hello:1.0", ":2", [])],
    "a name after none": [("hello:1.0", "", []), ("hello:1.0", ":1", [])],
    "none after a name": [("hello:1.0", ":1", []), ("hello:1.0", "", [])],
    "the same again": [("hello:1.0", ":1", []), ("hello:1.0", ":1", [])],
    "two images": [("hello:1.0", ":1", []), ("multi:arm64", ":2", ["--override-arch=arm64"])],
    "a name like a reference": [("hello:1.0", ":registry.example:5000/team/app:1.0", [])],
    "one platform of an index": [("multi:all", ":1", ["--override-arch=arm64"])],
    "a whole index": [("multi:all", ":all", ["--all"])],
    "a whole index and an image of it": [("multi:all", ":all", ["--all"]), ("multi:arm64", ":arm64", ["--override-arch=arm64"])],
    "an artifact": [("artifact:chart", ":chart", [])],
    "blobs elsewhere": [("hello:1.0", ":1", ["--dest-shared-blob-dir=shared"]), ("multi:all", ":all", ["--all", "--dest-shared-blob-dir=shared"])],
}


class OciDestination(SystemTest):
    def layout(self, name="layout"):
        return self.temp / name

    def copy_to(self, source, destination, *flags, **options):
        return self.tug("copy", *flags, source if ":/" in source else f"oci:{FIXTURES}/{source}", f"oci:{destination}", **options)

    def names(self, path):
        return sorted(entry.get("annotations", {}).get(layouts.REF_NAME, "") for entry in Layout(path).entries())

    def umoci(self, *arguments):
        done = subprocess.run(["umoci", *map(str, arguments)], env=self.environment, cwd=self.temp, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def assert_no_leftovers(self, path):
        self.assertEqual([name for name in tree(path) if ".tug" in name], [])


class BesideSkopeo(OciDestination):
    def test_the_same_files(self):
        """Every file of the layout, byte for byte, and the same lines on standard output but for those on signatures."""
        for name, steps in SEQUENCES.items():
            outputs = {}
            for program in ("tug", "skopeo"):
                directory = self.temp / name / program
                directory.mkdir(parents=True)
                for source, ref, flags in steps:
                    result = self.tug("copy", "--insecure-policy", *flags, f"oci:{FIXTURES}/{source}", f"oci:layout{ref}", cwd=directory,
                                      program="skopeo" if program == "skopeo" else None)
                    self.assert_success(result)
                    outputs.setdefault(program, result.out)
            with self.subTest(name):
                self.assertEqual(tree(self.temp / name / "tug"), tree(self.temp / name / "skopeo"))
                if not any("--all" in flags for _, _, flags in steps):
                    without = [line for line in outputs["skopeo"].splitlines() if not line.startswith("Storing ")]
                    self.assertEqual(sorted(outputs["tug"].splitlines()), sorted(without))

    @tug_only
    def test_a_name_that_another_image_had(self):
        """skopeo leaves the older image in the list without a name, so that `oci:PATH` means two; here it is replaced, as umoci does it."""
        self.assert_success(self.copy_to("hello:1.0", f"{self.layout()}:1"))
        self.assert_success(self.copy_to("multi:all", f"{self.layout()}:1", "--override-arch=arm64"))
        self.assertEqual(self.names(self.layout()), ["1"])
        self.assert_success(self.tug("inspect", f"oci:{self.layout()}"))


@tug_only
class Writing(OciDestination):
    def test_read_back(self):
        """By skopeo, which makes the same layout of it again, by umoci, which unpacks it, and by tug."""
        self.assert_success(self.copy_to("hello:1.0", f"{self.layout()}:1"))
        source, descriptor = fixture("hello:1.0")
        self.assertEqual(self.skopeo("inspect", "--raw", f"oci:{self.layout()}:1").out.encode(), source.read(descriptor))
        self.skopeo("copy", "--insecure-policy", f"oci:{self.layout()}:1", f"oci:{self.layout('again')}:1")
        self.assertEqual(tree(self.layout()), tree(self.layout("again")))
        self.umoci("unpack", "--rootless", "--image", f"{self.layout()}:1", "bundle")
        self.assertTrue(any((self.temp / "bundle/rootfs").iterdir()))
        self.assert_success(self.copy_to(f"oci:{self.layout()}:1", f"{self.layout('third')}:1"))
        self.assertEqual(tree(self.layout()), tree(self.layout("third")))

    def test_beside_umoci(self):
        """A layout that umoci made keeps what it has, and umoci goes on with ours."""
        self.umoci("init", "--layout", self.layout())
        self.umoci("new", "--image", f"{self.layout()}:empty")
        self.assert_success(self.copy_to("hello:1.0", f"{self.layout()}:hello"))
        self.assertEqual(self.umoci("ls", "--layout", self.layout()).split(), ["empty", "hello"])
        self.umoci("tag", "--image", f"{self.layout()}:hello", "other")
        self.umoci("rm", "--image", f"{self.layout()}:hello")
        self.umoci("gc", "--layout", self.layout())
        self.umoci("unpack", "--rootless", "--image", f"{self.layout()}:other", "bundle")

    def test_many_processes_at_once(self):
        """Each finds its image in the list afterwards."""
        count = scaled(12, 6)
        processes = [self.start("copy", "-q", f"oci:{FIXTURES}/hello:1.0", f"oci:{self.layout()}:v{n}") for n in range(count)]
        for process in processes:
            _, err = process.communicate(timeout=120)
            self.assertEqual((process.returncode, err), (0, ""))
        self.assertEqual(self.names(self.layout()), sorted(f"v{n}" for n in range(count)))
        self.assert_no_leftovers(self.layout())

    def test_many_images_in_one_run(self):
        """--from-file, into one layout."""
        listed = self.temp / "list"
        listed.write_text("".join(f"oci:{FIXTURES}/{source} oci:{self.layout()}:{n}\n" for n, source in enumerate(["hello:1.0", "hello:1.0", "multi:all"])))
        self.assert_success(self.tug("copy", "--from-file", listed))
        self.assertEqual(self.names(self.layout()), ["0", "1", "2"])

    def test_dry_run(self):
        """Says what it would do, and leaves no trace: in a new place, an empty one, a layout."""
        self.assert_success(self.copy_to("hello:1.0", f"{self.layout('old')}:1"))
        self.layout("empty").mkdir()
        before = tree(self.temp)
        for destination in ("new:1", "empty:1", "old:1", "old:2"):
            result = self.assert_success(self.copy_to("multi:all", self.temp / destination, "--dry-run", "--all"))
            self.assertIn("Would copy", result.out)
        self.assertEqual(tree(self.temp), before)

    def test_again_is_nothing_to_do(self):
        """A copy of what is there writes nothing; where a blob was lost, it comes back."""
        self.assert_success(self.copy_to("hello:1.0", f"{self.layout()}:1"))
        whole = tree(self.layout())
        report = self.assert_success(self.copy_to("hello:1.0", f"{self.layout()}:1", "--json")).json()
        self.assertTrue(report["skipped"])
        source, descriptor = fixture("hello:1.0")
        lost = source.read_json(descriptor)["layers"][0]
        Layout(self.layout()).blob_path(lost["digest"]).unlink()
        report = self.assert_success(self.copy_to("hello:1.0", f"{self.layout()}:1", "--json")).json()
        self.assertEqual({blob["digest"] for blob in report["blobs"] if blob["outcome"] == "uploaded"}, {lost["digest"]})
        self.assertEqual(tree(self.layout()), whole)

    def test_blob_that_is_not_what_it_is_called(self):
        """A source that lies: its content never gets the name, and no image is listed."""
        source = Layout(self.temp / "source")
        descriptor = source.add(source.image([{"etc/motd": b"hello\n"}]), ref="1")
        layer = source.read_json(descriptor)["layers"][0]
        path = source.blob_path(layer["digest"])
        path.write_bytes(bytes(len(path.read_bytes())))
        result = self.copy_to(f"oci:{source.path}:1", f"{self.layout()}:1", "--json")
        self.assert_failure(result, text=[layer["digest"].partition(":")[2], "has the digest sha256:"])
        self.assert_error_object(result, "integrity")
        self.assertFalse(Layout(self.layout()).blob_path(layer["digest"]).exists())
        self.assertFalse((self.layout() / "index.json").exists())
        self.assert_no_leftovers(self.layout())

    def test_places_that_are_refused(self):
        """One line that names the place; what is there stays."""
        full = self.temp / "full"
        full.mkdir()
        (full / "precious").write_text("x")
        (self.temp / "file").write_text("x")
        other = Layout(self.temp / "other")
        (other.path / "oci-layout").write_text('{"imageLayoutVersion":"2.0.0"}')
        before = tree(self.temp)
        for destination, text in ((f"{full}:1", "full is not empty"), (f"{self.temp}/file:1", "oci-archive"), (f"{self.temp}/no/layout:1", "does not exist"),
                                  (f"{other.path}:1", r"2\.0\.0"), (f"{self.layout()}:@1", "position"), (f"{self.layout()}:a b", "name")):
            with self.subTest(destination):
                self.assert_failure(self.copy_to("hello:1.0", destination), text=text)
        self.assert_failure(self.copy_to("hello:1.0", f"{self.layout()}:1", "--additional-tag=2"), text="additional-tag")
        self.assertEqual(tree(self.temp), before)

    def test_docker_manifest(self):
        """With --preserve-digests it is kept as it is, as skopeo does it, which one line says. (Else it is converted: conversion_test.py)"""
        result = self.assert_success(self.copy_to("docker-v2s2:image", f"{self.layout()}:1", "--preserve-digests"))
        self.assertRegex(result.err, "level=warning msg=.*is a Docker manifest")
        source, descriptor = fixture("docker-v2s2:image")
        self.assertEqual(Layout(self.layout()).read(Layout(self.layout()).descriptor("1")), source.read(descriptor))
        for name in ("docker-v2s2:list", "nested:nested", "foreign:oci"):
            self.assert_success(self.copy_to(name, f"{self.layout()}:{name.partition(':')[0]}", "--all", "--preserve-digests"))
            back = self.layout(f"back-{name.partition(':')[0]}")
            self.assert_success(self.copy_to(f"oci:{self.layout()}:{name.partition(':')[0]}", f"{back}:1", "--all", "--preserve-digests"))
            self.assertEqual(Layout(back).descriptor("1")["digest"], fixture(name)[1]["digest"])


@tug_only
class Killed(OciDestination):
    def test_at_any_moment(self):
        """Nothing half-written has a name, other images stay, and the next run does the rest."""
        source = Layout(self.temp / "source")
        source.add(source.image([{f"file{n}": noise(3_000_000, n)} for n in range(4)], level=0), ref="1")
        self.assert_success(self.copy_to("hello:1.0", f"{self.layout()}:old"))
        for attempt in range(8):
            process = self.start("copy", "-q", self.source(source) + ":1", f"oci:{self.layout()}:new")
            time.sleep(0.005 * (attempt + 1))
            process.send_signal(signal.SIGKILL)
            process.communicate()
            for digest, data in self.blobs():
                self.assertEqual(layouts.digest_of(data), digest)
            self.assertIn("old", self.names(self.layout()))
            self.assert_no_leftovers(self.layout())
        self.assert_success(self.tug("copy", "-q", self.source(source) + ":1", f"oci:{self.layout()}:new"))
        self.assertEqual(self.names(self.layout()), ["new", "old"])

    def blobs(self):
        for path in (self.layout() / "blobs/sha256").iterdir():
            yield f"sha256:{path.name}", path.read_bytes()

    def test_by_a_signal(self):
        """Exit code 143, or it was done before."""
        source = Layout(self.temp / "source")
        source.add(source.image([{"large": noise(20_000_000)}], level=0), ref="1")
        process = self.start("copy", "-q", self.source(source) + ":1", f"oci:{self.layout()}:1")
        time.sleep(0.03)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        self.assertIn(process.returncode, (0, 143, -signal.SIGTERM))
        if (self.layout() / "index.json").exists():
            self.assertEqual(json.loads((self.layout() / "index.json").read_text())["manifests"][0]["annotations"], {layouts.REF_NAME: "1"})
        if self.layout().exists():
            self.assert_no_leftovers(self.layout())


if __name__ == "__main__":
    case.main()
