"""oci-archive: at both ends: read back by skopeo and umoci, what skopeo wrote read by us, and archives made to deceive."""

import json
import pathlib
import shutil
import signal
import subprocess
import sys
import tarfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import archives, case  # noqa: E402
from support.archives import Link, hardlink, packed, write_tar  # noqa: E402
from support.case import FIXTURES, SystemTest, fixture, registry_for_class, tug_only  # noqa: E402
from support.layouts import Layout, noise, platform  # noqa: E402
from support.registry import die_with_parent  # noqa: E402
from support.stores import Store  # noqa: E402
from support.trees import tree  # noqa: E402


def members_of(layout):
    """The files of a layout as members of an archive."""
    return {str(name): content for name, content in sorted(tree(layout).items()) if content is not None}


@tug_only
class OciArchive(SystemTest):
    def setUp(self):
        super().setUp()
        self.path = self.temp / "image.tar"

    def unpacked(self, path, name="unpacked"):
        with tarfile.open(self.temp / path) as archive:
            archive.extractall(self.temp / name)
        return self.temp / name

    def raw(self, reference, **options):
        return self.assert_success(self.tug("inspect", "--raw", f"oci-archive:{reference}", **options)).out


@registry_for_class()
class RoundTrips(OciArchive):
    def test_beside_skopeo(self):
        """Unpacked, the same files as skopeo's; the same bytes each time, and skopeo reads them."""
        for source, ref, flags in (("hello:1.0", ":1", []), ("hello:1.0", "", []), ("multi:all", ":all", ["--all"]),
                                   ("multi:all", ":1", ["--override-arch=arm64"]),
                                   ("artifact:chart", ":chart", []), ("hello:1.0", ":registry.example:5000/team/app:1.0", [])):
            with self.subTest(f"{source}{ref}"):
                for program in ("tug", "skopeo"):
                    self.assert_success(self.tug("copy", "--insecure-policy", *flags, f"oci:{FIXTURES}/{source}", f"oci-archive:{program}.tar{ref}",
                                                 program=None if program == "tug" else program))
                    shutil.rmtree(self.temp / program, ignore_errors=True)
                self.assertEqual(tree(self.unpacked("tug.tar", "tug")), tree(self.unpacked("skopeo.tar", "skopeo")))
                self.assertEqual(self.raw(f"skopeo.tar{ref}"), self.skopeo("inspect", "--raw", f"oci-archive:tug.tar{ref}").out)
                before = (self.temp / "tug.tar").read_bytes()
                self.assert_success(self.tug("copy", *flags, f"oci-archive:tug.tar{ref}", f"oci-archive:tug.tar{ref}"))
                self.assertEqual((self.temp / "tug.tar").read_bytes(), before)

    def test_the_same_bytes_each_time(self):
        """Also of an index of many images, whose manifests are small and ready at the same time."""
        source = Layout(self.temp / "source")
        names = [f"arch{n}" for n in range(24)]
        source.add(source.index([platform(source.image([{"n": name.encode()}], architecture=name), name) for name in names]), ref="all")
        archives = []
        for number in range(4):
            self.assert_success(self.tug("copy", "-q", "--all", f"oci:{source.path}:all", f"oci-archive:{number}.tar:all"))
            archives.append((self.temp / f"{number}.tar").read_bytes())
        self.assertTrue(all(each == archives[0] for each in archives))

    def test_to_and_from_a_registry(self):
        """Every digest stays; also of an index with all its images, and with compressed archives."""
        for source, flags in (("hello:1.0", []), ("multi:all", ["--all"]), ("nested:nested", ["--all"]), ("artifact:sbom", [])):
            layout, descriptor = fixture(source)
            name = source.partition(":")[0]
            self.assert_success(self.tug("copy", *flags, f"oci:{FIXTURES}/{source}", f"oci-archive:{self.path}:1"))
            for program in ("gzip", "bzip2", "xz", "zstd", None):
                reference = f"{self.path}.{program}"
                pathlib.Path(reference).write_bytes(packed(self.path.read_bytes(), program) if program else self.path.read_bytes())
                with self.subTest(f"{source} {program}"):
                    self.assert_success(self.tug("copy", "--no-cache", "--dest-tls-verify=false", *flags, f"oci-archive:{reference}:1",
                                                 f"docker://{self.registry.address}/{name}-{program or 'plain'}:1".lower()))
                    self.assert_stored(self.registry, f"{name}-{program or 'plain'}".lower(), "1", layout, descriptor)
            self.assert_success(self.tug("copy", "--src-tls-verify=false", *flags, f"docker://{self.registry.address}/{name}-plain:1",
                                         "oci-archive:back.tar:1"))
            self.assertEqual(self.raw("back.tar:1").encode(), layout.read(descriptor))

    def test_with_other_programs(self):
        """buildah pulls it; umoci, which reads directories, unpacks its layout; what buildah pushed is read."""
        store = Store(self.temp / "store", "vfs")
        store.commit("app:1", "scratch", {"etc/motd": b"hello\n", "large": noise(2_000_000)})
        conf = {"CONTAINERS_STORAGE_CONF": str(store.conf)}
        self.assert_success(self.tug("copy", store.reference("app:1"), "oci-archive:ours.tar:localhost/ours:1", env=conf))
        store.run("buildah", "pull", "-q", f"oci-archive:{self.temp}/ours.tar")
        store.run("buildah", "push", "-q", "localhost/app:1", f"oci-archive:{self.temp}/theirs.tar:localhost/ours:1")
        ours, theirs = [json.loads(self.skopeo("inspect", "--config", f"oci-archive:{name}.tar").out) for name in ("ours", "theirs")]
        self.assertEqual(ours, theirs)
        self.assert_success(self.tug("copy", "oci-archive:theirs.tar", "oci:layout:1"))
        self.assert_success(self.tug("copy", "oci-archive:ours.tar", "oci-archive:simple.tar:1"))
        for number, layout in enumerate(("layout", self.unpacked("simple.tar"))):
            done = subprocess.run(["umoci", "unpack", "--rootless", "--image", f"{layout}:1", f"bundle{number}"], env=self.environment, cwd=self.temp,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            self.assertEqual(done.returncode, 0, done.stdout)
            self.assertEqual((self.temp / f"bundle{number}/rootfs/etc/motd").read_bytes(), b"hello\n")

    def test_several_images(self):
        """Names, positions and --all-images, as of a directory."""
        source = Layout(self.temp / "source")
        for number in range(3):
            source.add(source.image([{"n": b"%d" % number}]), ref=f"v{number}" if number else None)
        write_tar(self.path, members_of(source.path))
        self.assertEqual(self.raw(f"{self.path}:v1"), self.raw(f"{self.path}:@1"))
        self.assert_failure(self.tug("inspect", f"oci-archive:{self.path}"), text="holds 3 images, name one of them: @0, v1, v2")
        self.assert_failure(self.tug("inspect", f"oci-archive:{self.path}:v7"), code=2, text="no such image")
        result = self.assert_success(self.tug("copy", "--all-images", "--no-cache", "--dest-tls-verify=false", f"oci-archive:{self.path}",
                                              f"docker://{self.registry.address}/several/app"))
        self.assertIn("2 images", result.out)
        self.assertEqual(set(self.registry.tags("several/app")), {"v1", "v2"})

    def test_pipes(self):
        """From and into one, the same as files."""
        self.assert_success(self.tug("copy", f"oci:{FIXTURES}/hello:1.0", f"oci-archive:{self.path}:1"))
        copy = f"{case.TUG} copy oci:{FIXTURES}/hello:1.0 oci-archive:/dev/stdout:1 | {case.TUG} copy oci-archive:/dev/stdin:1 oci-archive:/dev/stdout:1"
        done = subprocess.run(["sh", "-c", copy], env=self.environment, cwd=self.temp, stdout=subprocess.PIPE, timeout=300, check=True,
                              preexec_fn=die_with_parent)
        self.assertEqual(done.stdout, self.path.read_bytes())
        self.assert_failure(self.tug("copy", "--all-images", "oci-archive:/dev/null", "docker://registry.example/a"), text="only once")


class Replacing(OciArchive):
    def test_replaced_at_the_end(self):
        """What has the name stays until all of the new one is there, also through a link; a failure leaves it as it was."""
        source = Layout(self.temp / "source")
        source.add(source.image([{"a": noise(100_000)}, {"b": noise(100_000, seed=2)}], level=1), ref="1")
        self.path.write_bytes(b"old")
        (self.temp / "link.tar").symlink_to("image.tar")
        before = set(tree(self.temp))
        layer = source.read_json(source.descriptor("1"))["layers"][1]
        good = source.read(layer)
        for damage in (good[:-1], good[:-1] + bytes([good[-1] ^ 1]), good + b"x"):
            source.blob_path(layer["digest"]).write_bytes(damage)
            self.assert_failure(self.tug("copy", "--quiet", f"oci:{source.path}:1", "oci-archive:link.tar:1"), text=layer["digest"])
            self.assertEqual(self.path.read_bytes(), b"old")
        source.blob_path(layer["digest"]).write_bytes(good)
        self.assert_success(self.tug("copy", f"oci:{source.path}:1", "oci-archive:link.tar:1"))
        self.assertTrue((self.temp / "link.tar").is_symlink())
        self.assertEqual(self.raw(self.path).encode(), source.read(source.descriptor("1")))
        self.assertEqual(set(tree(self.temp)), before)

    def test_killed(self):
        """While it waits for its layers: nothing is left of it."""
        process = self.start("copy", "--quiet", "oci-archive:/dev/stdin", f"oci-archive:{self.path}")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        self.assertFalse(self.path.exists())
        self.assertEqual([name for name in tree(self.temp) if ".tug" in name], [])

    def test_bad_destinations(self):
        for reference, text in (("image.tar:@0", "a position is for reading"), ("image.tar:a b", "no image can have the name"), ("none/image.tar", "none"),
                                (str(self.temp), "directory"), (":1", "needs the path")):
            with self.subTest(reference):
                self.assert_failure(self.tug("copy", "--quiet", f"oci:{FIXTURES}/hello:1.0", f"oci-archive:{reference}"), text=text)
        self.assert_failure(self.tug("copy", "--additional-tag=a:b", f"oci:{FIXTURES}/hello:1.0", f"oci-archive:{self.path}"), text="additional-tag")
        self.assertFalse(self.path.exists())


class Bad(OciArchive):
    def setUp(self):
        super().setUp()
        self.layout = Layout(self.temp / "layout")
        self.descriptor = self.layout.add(self.layout.image([{"a": noise(3000)}, {"b": b"b"}]), ref="1")
        self.members = members_of(self.layout.path)
        self.layer = "blobs/sha256/" + self.layout.read_json(self.descriptor)["layers"][0]["digest"].partition(":")[2]
        self.manifest = "blobs/sha256/" + self.descriptor["digest"].partition(":")[2]

    def refused(self, members, text, code=1):
        write_tar(self.path, members)
        self.refused_as_it_is(text, code)

    def refused_as_it_is(self, text, code=1):
        self.assert_failure(self.tug("copy", "--quiet", f"oci-archive:{self.path}", "dir:image", timeout=60), code=code, text=text)
        self.assertFalse((self.temp / "image/manifest.json").exists())

    def test_good(self):
        """What the others damage; with "./" before each name, too, and with blobs behind links in the archive."""
        content = self.members[self.layer]
        for number, members in enumerate((self.members, {f"./{name}": content for name, content in self.members.items()},
                                          {**self.members, "there": content, self.layer: Link("../../there")},
                                          {"there": content, **self.members, self.layer: hardlink("there")})):
            write_tar(self.path, members)
            self.assert_success(self.tug("copy", "--quiet", f"oci-archive:{self.path}", f"dir:good{number}"))
            self.assertEqual(tree(self.temp / f"good{number}"), tree(self.temp / "good0"))

    def test_damaged(self):
        without = {name: content for name, content in self.members.items() if name != self.layer}
        flipped = bytearray(self.members[self.layer])
        flipped[100] ^= 1
        for members, text in ((without, "there is no blobs/sha256/"), ({**self.members, self.layer: b"short"}, "has 5 bytes, but its descriptor says"),
                              ({**self.members, self.layer: bytes(flipped)}, "digest"), ({**self.members, self.manifest: b"{}"}, "has 2 bytes"),
                              ({**self.members, "index.json": b"{"}, "index.json in"), ({**self.members, "oci-layout": b"{}"}, "imageLayoutVersion"),
                              ({**self.members, "index.json": b" " * 5_000_000}, "larger than"),
                              ({name: content for name, content in self.members.items() if name != "oci-layout"}, "is no OCI layout"),
                              ({"manifest.json": b"[]"}, "docker-archive:"),
                              ([*self.members.items(), ("index.json", b"{}")], "more than one member index.json"),
                              ({**self.members, self.layer: Link("/etc/passwd")}, "leads to no file inside"),
                              ({**self.members, self.layer: Link("../../../layout/" + self.layer)}, "leads to no file inside"),
                              ({**without, "/" + self.layer: b"", "../" + self.layer: b""}, "there is no blobs/sha256/")):
            with self.subTest(text):
                self.refused(members, text)
        self.refused({**self.members, "index.json": b'{"schemaVersion":2,"manifests":[]}'}, "holds no image", code=2)

    def test_cut_short(self):
        whole = archives.tar_bytes(self.members)
        squeezed = packed(whole, "xz")
        for data in [whole[:size] for size in range(0, whole.index(b"oci-layout"), 777)] + [squeezed[:len(squeezed) * n // 8] for n in range(1, 8)]:
            with self.subTest(len(data)):
                self.path.write_bytes(data)
                self.refused_as_it_is("image.tar")



if __name__ == "__main__":
    case.main()
