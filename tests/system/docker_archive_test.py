"""docker-archive: at both ends: beside what skopeo makes of the same, read back by skopeo and buildah, and archives made to deceive."""

import gzip
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import archives, case, layouts  # noqa: E402
from support.archives import Link, docker_archive, hardlink, manifest_of, packed, tar_bytes, write_tar  # noqa: E402
from support.case import FIXTURES, SystemTest, registry_for_class, scaled, tug_only  # noqa: E402
from support.docker_daemon import DockerDaemon  # noqa: E402
from support.layouts import Layout, digest_of, noise, tar  # noqa: E402
from support.registry import die_with_parent  # noqa: E402
from support.stores import Store  # noqa: E402
from support.trees import tree  # noqa: E402

LAYERS = [{"etc/motd": b"hello\n"}, {"bin/hello": noise(200_000), "link": "bin/hello"}, {"etc/motd": b"changed\n"}]
MOST_MEMORY = 64 << 20
BIG = int(os.environ.get("TUG_BIG_ARCHIVE_BYTES", scaled(600_000_000, 40_000_000)))


class DockerArchive(SystemTest):
    def setUp(self):
        super().setUp()
        self.path = self.temp / "image.tar"

    def archive(self, layers=None, name="image.tar", **options):
        return write_tar(self.temp / name, docker_archive(layers or LAYERS, **options))

    def raw(self, reference, **options):
        return self.assert_success(self.tug("inspect", "--raw", f"docker-archive:{reference}", **options)).out

    def rootfs(self, path):
        return self.assert_success(self.tug("inspect", "--config", f"docker-archive:{path}")).json()["rootfs"]

    def assert_same_as_skopeo(self, *arguments):
        """The same answer, and the same verdict."""
        ours, theirs = self.tug(*arguments), self.tug(*arguments, program="skopeo")
        self.assertEqual((ours.code, ours.out), (theirs.code, theirs.out), f"{ours}\n\n{theirs}")
        return ours


class BesideSkopeo(DockerArchive):
    def test_written(self):
        """Byte for byte what skopeo writes: members, their order, headers and all."""
        source = Layout(self.temp / "source")
        source.add(source.image(LAYERS, Labels={"note": "<a> & \"b\"", "ü": "\u2028"}), ref="labels")
        source.add(source.image([LAYERS[0]] * 3), ref="same")
        source.add(source.image([]), ref="empty")
        cases = {
            "no name": (f"oci:{FIXTURES}/hello:1.0", "", []),
            "a name": (f"oci:{FIXTURES}/hello:1.0", ":registry.example/team/app:1", []),
            "a short name": (f"oci:{FIXTURES}/hello:1.0", ":app", []),
            "more names": (f"oci:{FIXTURES}/hello:1.0", ":app:1", ["--additional-tag=app:2", "--additional-tag=other/app:1"]),
            "names alone": (f"oci:{FIXTURES}/hello:1.0", "", ["--additional-tag=app:2"]),
            "another platform": (f"oci:{FIXTURES}/multi:all", ":app", ["--override-arch=arm64"]),
            "labels": (f"oci:{source.path}:labels", ":app", []),
            "no layers": (f"oci:{source.path}:empty", ":app", []),
            "one layer three times": (f"oci:{source.path}:same", ":app", []),
            "from an archive": (f"docker-archive:{self.archive(name='plain.tar')}", ":app", []),
            "from an archive of compressed layers": (f"docker-archive:{self.archive(name='packed.tar', pack=gzip.compress)}", ":app", []),
        }
        for name, (reference, ref, flags) in cases.items():
            with self.subTest(name):
                written = {}
                for program in ("tug", "skopeo"):
                    path = self.temp / f"{program}.tar"
                    path.unlink(missing_ok=True)
                    self.assert_success(self.tug("copy", "--insecure-policy", f"--digestfile={program}", *flags, reference, f"docker-archive:{path}{ref}",
                                                 program="skopeo" if program == "skopeo" else None))
                    written[program] = path.read_bytes()
                self.assertEqual(archives.names(self.temp / "tug.tar"), archives.names(self.temp / "skopeo.tar"))
                self.assertEqual(written["tug"] == written["skopeo"], True)
                self.assertEqual((self.temp / "tug").read_text(), (self.temp / "skopeo").read_text())

    def test_read(self):
        """The manifest, the tags and what inspect says are skopeo's."""
        two = {**docker_archive(LAYERS[:1]), **{f"x/{name}": data for name, data in docker_archive(LAYERS[1:]).items() if name != "manifest.json"}}
        first, second = [json.loads(docker_archive(each)["manifest.json"])[0] for each in (LAYERS[:1], LAYERS[1:])]
        two["manifest.json"] = json.dumps([{**first, "RepoTags": None},
                                           {"Config": "x/" + second["Config"], "RepoTags": ["b:1", "quay.io/c:2"],
                                            "Layers": ["x/" + each for each in second["Layers"]]}]).encode()
        write_tar(self.temp / "two.tar", two)
        self.archive()
        self.archive(name="packed.tar", pack=gzip.compress)
        self.archive(name="untagged.tar", tags=[])
        write_tar(self.temp / "dots.tar", [(f"./{name}", content) for name, content in docker_archive(LAYERS).items()])
        for program in ("gzip", "bzip2", "xz", "zstd"):
            (self.temp / f"image.{program}").write_bytes(packed(self.path.read_bytes(), program))
            self.assertEqual(self.raw(f"image.{program}"), self.raw("image.tar"))
        # Debian's skopeo says "unexpected EOF" of those that gzip made.
        for name in ("image.tar", "packed.tar", "untagged.tar", "dots.tar", "image.bzip2", "image.xz", "image.zstd"):
            with self.subTest(name):
                self.assert_same_as_skopeo("inspect", "--raw", f"docker-archive:{name}")
                self.assert_same_as_skopeo("inspect", "--config", f"docker-archive:{name}")
                self.assert_same_as_skopeo("list-tags", f"docker-archive:{name}")
        for reference in ("image.tar:app:1", "image.tar:docker.io/library/app:1", "image.tar:@0", "two.tar:@0", "two.tar:@1", "two.tar:b:1",
                          "two.tar:quay.io/c:2"):
            with self.subTest(reference):
                self.assert_same_as_skopeo("inspect", "--raw", f"docker-archive:{reference}")
        self.assert_same_as_skopeo("list-tags", "docker-archive:two.tar")
        for reference in ("image.tar:none", "image.tar:@1", "two.tar", "none.tar", "image.tar:@x", "image.tar:App"):
            with self.subTest(reference):
                theirs = self.tug("inspect", f"docker-archive:{reference}", program="skopeo")
                ours = self.tug("inspect", f"docker-archive:{reference}")
                self.assertEqual((bool(ours.code), ours.out), (bool(theirs.code), theirs.out))

    @tug_only
    def test_not_modified(self):
        """What is there stays as it is; an empty file is as good as none."""
        self.path.write_bytes(b"anything")
        for program in (None, "skopeo"):
            result = self.tug("copy", "--insecure-policy", f"oci:{FIXTURES}/hello:1.0", f"docker-archive:{self.path}:app", program=program)
            self.assertEqual(result.code, 1)
            self.assertIn("docker-archive doesn't support modifying existing images", result.message())
        self.assertEqual(self.path.read_bytes(), b"anything")
        self.path.write_bytes(b"")
        self.assert_success(self.tug("copy", f"oci:{FIXTURES}/hello:1.0", f"docker-archive:{self.path}:app"))


@tug_only
@registry_for_class()
class RoundTrips(DockerArchive):
    def to_registry(self, program, reference, name):
        flags = ["--insecure-policy"] if program else ["--no-cache"]
        self.assert_success(self.tug("copy", "--quiet", "--dest-tls-verify=false", *flags, reference, f"docker://{self.registry.address}/{name}:1",
                                     program=program))
        _, _, body = self.registry.get(f"/v2/{name}/manifests/1")
        return json.loads(body)

    def test_to_a_registry(self):
        """The same in kind as skopeo's: the config's bytes, Docker's types, gzip layers whose tars are the archive's."""
        self.archive()
        (self.temp / "image.xz").write_bytes(packed(self.path.read_bytes(), "xz"))
        for number, name in enumerate(("image.tar", "image.xz")):
            ours = self.to_registry(None, f"docker-archive:{name}", f"ours{number}")
            theirs = self.to_registry("skopeo", f"docker-archive:{name}", f"theirs{number}")
            self.assertEqual(ours["config"], theirs["config"])
            self.assertEqual(list(ours), list(theirs))
            self.assertEqual([each["mediaType"] for each in ours["layers"]], [each["mediaType"] for each in theirs["layers"]])
            self.assertEqual([gzip.decompress(self.registry.stored_blob(each["digest"])) for each in ours["layers"]], [tar(each) for each in LAYERS])

    def test_from_a_registry(self):
        """Layers come compressed and stand there plain; skopeo reads the same image in it that it had pushed."""
        self.archive()
        pushed = self.to_registry("skopeo", f"docker-archive:{self.path}", "from")
        back = self.assert_success(self.tug("copy", "--src-tls-verify=false", f"docker://{self.registry.address}/from:1", "docker-archive:back.tar:app:1"))
        self.assertEqual(back.err, "")  # layers are plain there, but an archive keeps no digest that could change
        self.assertEqual(self.raw("back.tar"), self.raw(self.path))
        again = self.to_registry("skopeo", "docker-archive:back.tar", "again")
        self.assertEqual(again, pushed)

    def test_with_buildah(self):
        """An image out of buildah's store becomes an archive that buildah pulls, and the other way round."""
        store = Store(self.temp / "store", "vfs")
        store.commit("app:1", "scratch", {"etc/motd": b"hello\n", "data": noise(50_000)}, format="docker")
        self.assert_success(self.tug("copy", store.reference("app:1"), "docker-archive:ours.tar:localhost/ours:1",
                                     env={"CONTAINERS_STORAGE_CONF": str(store.conf)}))
        pulled = store.run("buildah", "pull", "-q", f"docker-archive:{self.temp}/ours.tar")
        self.assertEqual(pulled, store.run("buildah", "images", "-q", "--no-trunc").split(":")[1].strip())
        store.run("buildah", "push", "-q", "localhost/app:1", f"docker-archive:{self.temp}/theirs.tar:localhost/ours:1")
        self.assertEqual(self.raw("ours.tar"), self.raw("theirs.tar"))

    def test_to_and_from_layouts(self):
        for name, pack in (("plain.tar", bytes), ("packed.tar", gzip.compress)):
            self.archive(name=name, pack=pack)
            for destination in (f"oci:{name}-layout:1", f"dir:{name}-dir", f"oci-archive:{name}-oci.tar:1"):
                with self.subTest(f"{name} {destination}"):
                    self.assert_success(self.tug("copy", f"docker-archive:{name}", destination))
                    self.assert_success(self.tug("copy", destination, f"docker-archive:{name}-{destination.partition(':')[0]}-back.tar"))
                    back = f"{name}-{destination.partition(':')[0]}-back.tar"
                    if destination.startswith("dir:"):
                        self.assertEqual(self.raw(back), self.raw(name))
                    else:  # converted to OCI and back, which spells the configuration anew
                        self.assertEqual(self.rootfs(back), self.rootfs(name))

    def test_all_images(self):
        """Each under its names, in one run; those without a name are told of."""
        members = {}
        items = []
        for number, tags in enumerate((["team/one:1", "team/one:2"], ["quay.io/two:1"], [])):
            each = docker_archive(LAYERS[:number + 1])
            item = json.loads(each.pop("manifest.json"))[0]
            members.update({f"{number}/{name}": content for name, content in each.items()})
            items.append((f"{number}/{item['Config']}", tags, [f"{number}/{layer}" for layer in item["Layers"]]))
        members["manifest.json"] = manifest_of(*items)
        write_tar(self.path, members)
        result = self.assert_success(self.tug("copy", "--all-images", "--no-cache", "--dest-tls-verify=false", f"docker-archive:{self.path}",
                                              f"docker://{self.registry.address}/all"))
        self.assertIn("3 images", result.out)
        self.assertEqual(set(self.registry.tags("all/team/one")), {"1", "2"})
        self.assertEqual(set(self.registry.tags("all/two")), {"1"})
        self.assert_failure(self.tug("copy", "--all-images", f"docker-archive:{self.path}:team/one:1", f"docker://{self.registry.address}/all"),
                            text="names an image")


@tug_only
class Pipes(DockerArchive):
    def piped(self, *arguments, data=b"", **options):
        done = subprocess.run([case.TUG, *map(str, arguments)], input=data, env={**self.environment, **options}, cwd=self.temp, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=300, preexec_fn=die_with_parent)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_from_a_pipe(self):
        """Plain and compressed; what it is kept in has no name, wherever that is."""
        self.archive()
        (self.temp / "tmp").mkdir()
        for data in (self.path.read_bytes(), packed(self.path.read_bytes(), "zstd")):
            self.assertEqual(self.piped("inspect", "--raw", "docker-archive:/dev/stdin", data=data, TMPDIR=str(self.temp / "tmp")).decode(),
                             self.raw(self.path))
            self.piped("copy", "--tmpdir", self.temp / "tmp", "docker-archive:/dev/stdin", "oci:layout:1", data=data)
        self.assertEqual(tree(self.temp / "tmp"), {})
        self.assert_failure(self.tug("--tmpdir=/none", "inspect", "docker-archive:/dev/stdin"), text="/none|stdin")

    def test_into_a_pipe(self):
        """The same bytes as in a file, with nothing else on standard output."""
        self.archive()
        for number, source in enumerate((f"oci:{FIXTURES}/hello:1.0", f"docker-archive:{self.path}")):
            self.assert_success(self.tug("copy", source, f"docker-archive:file{number}.tar:app"))
            expected = (self.temp / f"file{number}.tar").read_bytes()
            self.assertEqual(self.piped("copy", source, "docker-archive:/dev/stdout:app"), expected)
            with open(self.temp / "redirected", "wb") as out:
                subprocess.run([case.TUG, "copy", source, "docker-archive:/dev/stdout:app"], stdout=out, env=self.environment, cwd=self.temp, check=True)
            self.assertEqual((self.temp / "redirected").read_bytes(), expected)
        self.assert_failure(self.tug("copy", "--json", f"oci:{FIXTURES}/hello:1.0", "docker-archive:/dev/stdout"), text="--json")


@tug_only
class ManyImages(DockerArchive):
    """One archive of several images, by a list or of all that a place holds."""

    def setUp(self):
        super().setUp()
        base = {"bin/base": noise(100_000)}
        self.layout = Layout(self.temp / "layout")
        self.images = {"base": [base], "app": [base, {"app": b"app"}], "other": [base, {"other": noise(300_000)}, {"x": b"x"}]}
        for name, layers in self.images.items():
            self.layout.add(self.layout.image(layers), ref=f"{name}:1")
        broken = self.layout.read_json(self.layout.image([*LAYERS, {"bad": b"bad"}]))
        broken["layers"][3] = self.layout.blob(layouts.compress(tar({"other": b"content"})), layouts.OCI_LAYER_GZIP)
        self.layout.add(self.layout.json_blob(broken, layouts.OCI_MANIFEST), ref="broken:1")
        self.three = [("base:1", ":r.example/base:1"), ("app:1", ":r.example/team/app:1"), ("other:1", "")]

    def listed(self, images, archive="docker-archive:all.tar"):
        path = self.temp / "list"
        path.write_text("".join(f"{name if name.startswith('containers-storage:') else f'oci:{self.layout.path}:{name}'} {archive}{ref}\n" for name, ref in images))
        return path

    def bulk(self, images, *flags, archive="docker-archive:all.tar", **options):
        return self.tug("copy", *flags, "--from-file", self.listed(images, archive), **options)

    def made(self, images, *flags, **options):
        """The archive's bytes; it is gone then."""
        self.assert_success(self.bulk(images, *flags, **options))
        data = (self.temp / "all.tar").read_bytes()
        (self.temp / "all.tar").unlink()
        return data

    def assert_failed(self, result, text):
        """An image did; what it says of the whole run."""
        self.assertEqual(result.code, 1, str(result))
        self.assertRegex(result.err.splitlines()[-1], text)

    def test_written(self):
        """Each blob stands there once; every image is found by name and by position, as skopeo and a daemon find it, with the digest that it had alone."""
        result = self.assert_success(self.bulk([*self.three, ("base:1", ":r.example/again")], "--json"))
        digests = [json.loads(line)["digest"] for line in result.out.splitlines()]
        members = archives.names(self.temp / "all.tar")
        self.assertEqual(len(members), len(set(members)))
        self.assertEqual(len([name for name in members if "/" not in name and name.endswith(".tar")]), 4)
        self.assertEqual(members[-2:], ["manifest.json", "repositories"])
        self.assertEqual(self.assert_same_as_skopeo("list-tags", "docker-archive:all.tar").json()["Tags"],
                         ["r.example/base:1", "r.example/again:latest", "r.example/team/app:1", "@2"])
        for ref, name, digest in ((":r.example/base:1", "base", digests[0]), (":r.example/again", "base", digests[3]), (":@0", "base", digests[3]),
                                  (":r.example/team/app:1", "app", digests[1]), (":@1", "app", digests[1]), (":@2", "other", digests[2])):
            with self.subTest(ref):
                self.assert_success(self.tug("copy", "--quiet", f"oci:{self.layout.path}:{name}:1", "docker-archive:alone.tar", "--digestfile=digest"))
                self.assertEqual((self.temp / "digest").read_text(), digest)
                self.assertEqual(self.assert_same_as_skopeo("inspect", "--raw", f"docker-archive:all.tar{ref}").out, self.raw("alone.tar"))
                self.assert_success(self.tug("copy", "--quiet", f"docker-archive:all.tar{ref}", f"dir:{name}"))
                self.assert_success(self.tug("copy", "--quiet", "docker-archive:alone.tar", f"dir:{name}-alone"))
                self.assertEqual(tree(self.temp / name), tree(self.temp / f"{name}-alone"))
                (self.temp / "alone.tar").unlink()
        daemon = DockerDaemon(self.temp)
        daemon.load((self.temp / "all.tar").read_bytes())
        self.assertEqual({name for name in daemon.images if not name.startswith("sha256:")},
                         {"r.example/base:1", "r.example/again:latest", "r.example/team/app:1"})

    def test_same_bytes(self):
        """Whatever the number of jobs, whatever stands between the lines, and one image alone is what a copy of it is."""
        whole = self.made(self.three)
        for jobs in (1, 8):
            self.assertEqual(self.made(self.three, f"--jobs={jobs}"), whole)
        path = self.listed(self.three)
        lines = path.read_text().splitlines()
        lines.insert(1, f"oci:{self.layout.path}:app:1 dir:beside")
        path.write_text("\n".join([lines[0], lines[1], lines[2].replace("all.tar", "./all.tar"), lines[3].replace("all.tar", f"{self.temp}/all.tar")]))
        self.assert_success(self.tug("copy", "--from-file", path))
        self.assertEqual((self.temp / "all.tar").read_bytes(), whole)
        self.assertTrue((self.temp / "beside/manifest.json").exists())
        (self.temp / "all.tar").unlink()
        alone = self.made(self.three[:1])
        self.assert_success(self.tug("copy", f"oci:{self.layout.path}:base:1", "docker-archive:one.tar:r.example/base:1"))
        self.assertEqual(alone, (self.temp / "one.tar").read_bytes())

    def test_as_podman_writes_it(self):
        """Byte for byte; and podman loads them all."""
        if shutil.which("podman") is None:
            self.skipTest("there is no podman")
        store = Store(self.temp / "store", "vfs")
        for name, base in (("base:1", "scratch"), ("app:1", "base:1"), ("other:1", "base:1")):
            store.commit(name, base, {name: noise(20_000)}, format="docker")
        store.run("buildah", "tag", "localhost/base:1", "localhost/base:2")
        names = [f"localhost/{name}" for name in ("base:1", "app:1", "other:1", "base:2")]
        store.run("podman", "save", "-m", "-o", self.temp / "theirs.tar", *names)
        self.assert_success(self.bulk([(store.place + name, f":{name}") for name in names]))
        self.assertEqual(archives.names(self.temp / "all.tar"), archives.names(self.temp / "theirs.tar"))
        self.assertEqual((self.temp / "all.tar").read_bytes() == (self.temp / "theirs.tar").read_bytes(), True)
        self.assert_success(self.tug("copy", "--all-images", store.place, "docker-archive:of-all.tar"))
        for archive in ("all.tar", "of-all.tar"):
            other = Store(self.temp / f"{archive}-store", "vfs")
            other.run("podman", "load", "-i", self.temp / archive)
            self.assertEqual(sorted(other.run("podman", "images", "--format", "{{.Repository}}:{{.Tag}}").split()), sorted(names))

    def test_all_images(self):
        """Under their names, or below one; from one kind of archive into the other, and back."""
        self.layout.write_index([each for each in self.layout.entries() if each["annotations"][layouts.REF_NAME] != "broken:1"])
        self.layout.add(self.layout.image(LAYERS), ref="v1")
        place = f"oci:{self.layout.path}"
        self.assert_failure(self.tug("copy", "--all-images", place, "docker-archive:all.tar"), text="names no repository")
        self.assert_success(self.tug("copy", "--all-images", place, "docker-archive:all.tar:team/x"))
        self.assertEqual(self.assert_same_as_skopeo("list-tags", "docker-archive:all.tar").json()["Tags"],
                         [f"docker.io/team/x{name}:1" for name in ("/base", "/app", "/other")] + ["docker.io/team/x:v1"])
        self.assert_success(self.tug("copy", "--all-images", "docker-archive:all.tar", "oci-archive:oci.tar"))
        self.assert_success(self.tug("copy", "--all-images", "docker-archive:all.tar", "oci:again"))
        self.assert_success(self.tug("copy", "--all-images", "oci-archive:oci.tar", "docker-archive:back.tar"))
        for number in range(4):
            self.assertEqual(self.rootfs(f"back.tar:@{number}"), self.rootfs(f"all.tar:@{number}"))
        self.assertEqual({each["digest"] for each in Layout(self.temp / "again").entries()}, {each["digest"] for each in self.oci_entries("oci.tar")})

    def oci_entries(self, name):
        with tarfile.open(self.temp / name) as archive:
            return json.load(archive.extractfile("index.json"))["manifests"]

    def test_oci_archive(self):
        """Likewise; the file that had the name is replaced at the end, and only if all got in."""
        images = [("base:1", ":one"), ("app:1", ":two"), ("base:1", ":three")]
        (self.temp / "all.tar").write_bytes(b"old")
        self.assert_failed(self.bulk([*images, ("none:1", ":four")], archive="oci-archive:all.tar"), "all.tar is not written")
        self.assertEqual((self.temp / "all.tar").read_bytes(), b"old")
        whole = self.made(images, archive="oci-archive:all.tar")
        self.assertEqual(self.made(images, "--jobs=1", archive="oci-archive:all.tar"), whole)
        (self.temp / "all.tar").write_bytes(whole)
        members = archives.names(self.temp / "all.tar")
        self.assertEqual(len(members), len(set(members)))
        self.assertEqual([(each["annotations"][layouts.REF_NAME], each["digest"]) for each in self.oci_entries("all.tar")],
                         [(ref[1:], self.layout.descriptor(name)["digest"]) for name, ref in images])
        for _, ref in images:
            self.assert_same_as_skopeo("inspect", "--raw", f"oci-archive:all.tar{ref}")

    def test_one_that_fails(self):
        """No archive without all of them; with --keep-going it has the others, as if the one that failed had not been in the list."""
        before = tree(self.temp)
        images = [*self.three[:1], ("broken:1", ":b:1"), *self.three[1:], ("none:1", ":c:1")]
        result = self.bulk(images)
        self.assert_failed(result, "1 of 5 images failed: docker-archive:all.tar:b:1; because of that 4 not copied; all.tar is not written")
        self.assertEqual(result.out, "")
        self.assertEqual({name: each for name, each in tree(self.temp).items() if name != "list"}, before)
        whole = self.made(self.three)
        result = self.bulk(images, "--keep-going")
        self.assert_failed(result, "2 of 5 images failed: docker-archive:all.tar:b:1, docker-archive:all.tar:c:1")
        self.assertEqual(result.out.count("Copied "), 3)
        self.assertEqual((self.temp / "all.tar").read_bytes() == whole, True)
        (self.temp / "all.tar").unlink()
        self.assert_failed(self.bulk([images[1], images[-1]], "--keep-going"), "all.tar is not written")
        self.assertFalse((self.temp / "all.tar").exists())
        (self.temp / "all.tar").write_bytes(b"anything")
        result = self.bulk(self.three)
        self.assert_failure(result, text="doesn't support modifying existing images")
        result = self.bulk(self.three, "--keep-going")
        self.assert_failed(result, "3 of 3 images failed: .*; all.tar is not written .hint: the same command")
        self.assertEqual((self.temp / "all.tar").read_bytes(), b"anything")

    def test_what_is_said_of_files(self):
        """All that are not written are named, also those that nobody began; what could not be said is the error."""
        path = self.listed([])
        lines = [f"oci:{self.layout.path}:none:1 docker-archive:first.tar:a:1", f"oci:{self.layout.path}:app:1 oci-archive:second.tar:a:1",
                 f"oci:{self.layout.path}:base:1 oci-archive:second.tar:b:1"]
        path.write_text("\n".join(lines))
        self.assert_failed(self.tug("copy", "--jobs=1", "--from-file", path),
                           "1 of 3 images failed: docker-archive:first.tar:a:1; because of that 2 not copied; first.tar, second.tar are not written")
        self.assert_failed(self.tug("copy", "--jobs=1", "-k", "--from-file", path), "first.tar:a:1; first.tar is not written .hint: the same command again")
        path.write_text("\n".join([*lines, f"oci:{self.layout.path}:base:1 docker-archive:first.tar:b:1"]))
        self.assert_failed(self.tug("copy", "--jobs=1", "-k", "--from-file", path), "first.tar:a:1 .hint: remove first.tar to write it with all its images")
        (self.temp / "first.tar").unlink()
        with open("/dev/full", "w") as full:
            done = subprocess.run([case.TUG, "copy", "--jobs=1", "-k", "--from-file", path], env=self.environment, cwd=self.temp, stdout=full,
                                  stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr.splitlines()[-1], "cannot write to standard output|standard output: No space left|No space left on device")

    def test_shards(self):
        """An archive is whole in one of them, however the list spells it."""
        path = self.listed([])
        spelled = ("all.tar", "./all.tar", str(self.temp / "all.tar"))
        path.write_text("".join(f"oci:{self.layout.path}:{name}:1 docker-archive:{archive}:r.example/{name}:1\n"
                                for name, archive in zip(self.images, spelled, strict=True)))
        results = [self.assert_success(self.tug("copy", "--from-file", path, f"--shard={number}/5")) for number in range(1, 6)]
        self.assertEqual(sorted(result.out.count("Copied ") for result in results), [0, 0, 0, 0, 3])
        self.assertEqual(self.tug("list-tags", "docker-archive:all.tar").json()["Tags"], [f"r.example/{name}:1" for name in self.images])

    def test_a_size_that_is_not_so(self):
        """Of a blob that an earlier image brought, which nobody reads again."""
        manifest = self.layout.read_json(self.layout.descriptor("base:1"))
        for part in ("layers", "config"):
            with self.subTest(part):
                wrong = json.loads(json.dumps(manifest))
                (wrong["layers"][0] if part == "layers" else wrong["config"])["size"] += 1
                self.layout.add(self.layout.json_blob(wrong, layouts.OCI_MANIFEST), ref="wrong:1")
                result = self.bulk([("base:1", ":a:1"), ("wrong:1", ":b:1")], archive="oci-archive:all.tar")
                self.assertEqual(result.code, 1, str(result))
                self.assertIn("bytes", result.err)
                self.assertFalse((self.temp / "all.tar").exists())

    def test_many_names(self):
        """Of one image are no more layers in manifest.json."""
        self.layout.add(self.layout.image([{f"{number}": b"x"} for number in range(100)]), ref="tall:1")
        path = self.listed([])
        path.write_text("".join(f"oci:{self.layout.path}:tall:1 docker-archive:all.tar:n:{number}\n" for number in range(700)))
        self.assert_success(self.tug("copy", "--quiet", "--from-file", path))
        self.assertEqual(len(self.tug("list-tags", "docker-archive:all.tar").json()["Tags"]), 700)

    def test_an_archive_for_each(self):
        """Any number of them in a list: none is open for longer than it is written."""
        path = self.listed([])
        path.write_text("".join(f"oci:{self.layout.path}:{'broken' if number % 3 else 'app'}:1 docker-archive:{number}.tar\n" for number in range(60)))
        limited = ["sh", "-c", 'ulimit -n 50; exec "$@"', "sh", case.TUG, "copy", "-k", "--from-file", path]
        done = subprocess.run(limited, env=self.environment, cwd=self.temp, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        self.assertIn("40 of 60 images failed", done.stderr)
        self.assertEqual(done.stdout.count("Copied "), 20)
        self.assertEqual(len(list(self.temp.glob("*.tar"))), 20)

    def test_wrong_lists(self):
        """Said before anything is read or written."""
        before = tree(self.temp)
        for images, flags, text in (([("base:1", ":a"), ("app:1", ":a:latest")], [], "line 2: .*gets another image in line 1"),
                                    ([("base:1", ":a"), ("app:1", ":@1")], [], "line 2: destination: .*a position is for reading"),
                                    ([("base:1", ":a"), ("app:1", ":App")], [], "line 2: "),
                                    (self.three, ["--additional-tag=b:1"], "--additional-tag is for one image")):
            with self.subTest(text):
                self.assert_failure(self.bulk(images, *flags), text=text)
        path = self.listed(self.three)
        path.write_text(path.read_text().replace("docker-archive", "oci-archive", 1))
        self.assert_failure(self.tug("copy", "--from-file", path), text="are one file")
        self.assert_failure(self.bulk(self.three, "--json", archive="docker-archive:/dev/stdout"), text="--json")
        self.assertEqual({name: each for name, each in tree(self.temp).items() if name != "list"}, before)

    def test_into_a_pipe(self):
        """The same bytes, with nothing else on standard output; what broke off there cannot be taken back."""
        whole = self.made(self.three)
        piped = subprocess.run([case.TUG, "copy", "--from-file", self.listed(self.three, "docker-archive:/dev/stdout")], env=self.environment, cwd=self.temp,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
        self.assertEqual(piped.stdout == whole, True)
        images = [*self.three[:1], ("broken:1", ":b:1"), *self.three[1:]]
        result = subprocess.run([case.TUG, "copy", "--keep-going", "--from-file", self.listed(images, "docker-archive:/dev/stdout")], env=self.environment,
                                cwd=self.temp, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn(b"broke off is in it", result.stderr)
        self.assertFalse(b"manifest.json" in result.stdout)
        path = self.listed([])
        path.write_text("".join(f"oci:{self.layout.path}:{name}:1 docker-archive:{pipe}:{name}:1\n"
                                for name, pipe in zip(self.images, ("/dev/stdout", "/proc/self/fd/1", "/dev/fd/1"), strict=True)))
        piped = subprocess.run([case.TUG, "copy", "--from-file", path], env=self.environment, cwd=self.temp, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, check=True)
        (self.temp / "piped.tar").write_bytes(piped.stdout)
        self.assertEqual(len(self.skopeo("list-tags", "docker-archive:piped.tar").json()["Tags"]), 3)

    def test_dry_run(self):
        result = self.assert_success(self.bulk(self.three, "--dry-run"))
        self.assertEqual(result.out.count("Would copy"), 3)
        self.assertFalse((self.temp / "all.tar").exists())
        (self.temp / "all.tar").write_bytes(b"anything")
        self.assertIn("doesn't support modifying existing images", self.bulk(self.three, "--dry-run").err)
        result = self.assert_success(self.bulk(self.three, "--dry-run", "--json", archive="docker-archive:/dev/stdout"))
        self.assertEqual(len(list(map(json.loads, result.out.splitlines()))), 3)


@tug_only
class Memory(DockerArchive):
    def peak(self, *arguments):
        """In a process of its own that starts it: a peak begins with what the parent had."""
        measure = ("import resource, subprocess, sys\ncode = subprocess.call(sys.argv[1:])\n"
                   "print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n")
        done = subprocess.run([sys.executable, "-c", measure, case.TUG, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, env=self.environment, cwd=self.temp, text=True, timeout=600, preexec_fn=die_with_parent)
        code, peak = done.stdout.split()
        self.assertEqual(code, "0", done.stderr)
        return int(peak) * 1024

    def test_large_archive(self):
        """Read where it is: no more memory than for a small one, and nothing is unpacked. ($TUG_BIG_ARCHIVE_BYTES=5000000000 for more.)"""
        config = archives.write_sparse_archive(self.path, BIG)
        self.environment["TMPDIR"] = "/none/such"
        peaks = [self.peak("copy", "--quiet", f"docker-archive:{self.path}", "oci:layout:1"),
                 self.peak("copy", "--quiet", "oci:layout:1", "oci-archive:layout.tar"),
                 self.peak("copy", "--quiet", "oci-archive:layout.tar", "dir:image")]
        manifest = json.loads((self.temp / "image/manifest.json").read_bytes())
        copied = json.loads((self.temp / "image" / manifest["config"]["digest"].partition(":")[2]).read_bytes())
        self.assertEqual(copied["rootfs"], json.loads(config)["rootfs"])
        for path in self.temp.rglob("*"):
            self.assertLess(path.stat().st_blocks * 512, 100_000_000, path)
        if not case.sanitizer():
            self.assertLess(max(peaks), MOST_MEMORY)


@tug_only
class Bad(DockerArchive):
    def refused(self, members, text, code=1):
        write_tar(self.path, members)
        self.refused_as_it_is(text, code)

    def refused_as_it_is(self, text, code=1):
        result = self.tug("copy", "--quiet", f"docker-archive:{self.path}", "dir:image", timeout=60)
        self.assert_failure(result, code=code, text=text)
        self.assertFalse((self.temp / "image/manifest.json").exists())

    def changed(self, **changes):
        """An archive in whose names `config`, `manifest`, `layer` stand something else."""
        members = docker_archive(LAYERS)
        config = next(name for name in members if name.endswith(".json"))
        names = {"config": config, "manifest": "manifest.json", "layer": "1/layer.tar"}
        return {**members, **{names[key]: value for key, value in changes.items()}}

    def test_links_and_names(self):
        """Layers behind links in the archive are found; nothing outside ever is."""
        good = docker_archive(LAYERS)
        secret = self.temp / "secret"
        secret.write_bytes(good["1/layer.tar"])
        for link in (Link("../1.tar"), Link("../a/../1.tar"), hardlink("1.tar"), hardlink("./1.tar")):
            write_tar(self.path, {"1.tar": good["1/layer.tar"], **self.changed(layer=link)})
            self.assert_success(self.tug("copy", "--quiet", f"docker-archive:{self.path}", f"dir:good-{link.kind}-{len(link.target)}"))
        for link in (Link(str(secret)), Link("../../secret"), hardlink(str(secret)), hardlink("../secret"), Link("layer.tar"), Link("../0"), Link("")):
            with self.subTest(link.target):
                self.refused(self.changed(layer=link), "leads to no file inside the archive|not a regular file|damaged")
        config = next(name for name in good if name.endswith(".json"))
        for name in (str(secret), "../secret", "1/../../secret"):
            self.refused({**good, name: b"x", "manifest.json": manifest_of((config, [], ["0/layer.tar", name, "2/layer.tar"]))}, "leads out of the archive")

    def test_documents(self):
        for changes, text in (({"manifest": b"{"}, "manifest.json in"), ({"manifest": b"{}"}, "not a list of images"),
                              ({"manifest": b"[" * 100_000}, "manifest.json in"), ({"manifest": b" " * 5_000_000}, "larger than"),
                              ({"manifest": b'[{"Config":"none.json"}]'}, "there is no none.json"), ({"config": b"{}"}, "there is no rootfs"),
                              ({"config": archives.config_of([b"x"])}, "manifest.json lists 3 layers, the config 1"),
                              ({"layer": b"other bytes"}, "has the digest"), ({"layer": gzip.compress(b"other bytes")}, "has the digest"),
                              ({"layer": gzip.compress(tar(LAYERS[1]))[:-9]}, "1/layer.tar in"), ({"layer": None}, "not a regular file")):
            with self.subTest(changes):
                self.refused(self.changed(**changes), text)
        self.refused({"file": b"content"}, "there is no manifest.json")
        self.refused({"oci-layout": b"{}"}, "oci-archive:")
        self.refused(self.changed(manifest=b"[]"), "holds no image", code=2)
        self.refused([*docker_archive(LAYERS).items(), *docker_archive(LAYERS[:1]).items()], "more than one member manifest.json")
        self.refused([("1/layer.tar", b"first"), *docker_archive(LAYERS).items()], "has the digest")
        write_tar(self.path, [*docker_archive(LAYERS).items(), ("1/layer.tar", b"second")])  # the first counts
        self.assert_success(self.tug("copy", "--quiet", f"docker-archive:{self.path}", "dir:first"))

    def test_cut_short(self):
        """At every place the end of a member may stand, and some others; plain and compressed."""
        self.archive()
        whole = self.path.read_bytes()
        with tarfile.open(self.path) as archive:
            ends = [member.offset for member in archive] + [member.offset_data + 1 for member in archive]
        squeezed = packed(whole, "gzip")
        cases = [whole[:end] for end in ends] + [squeezed[:len(squeezed) * n // 8] for n in range(1, 8)] + [b"", b"\0" * 2000, noise(5000)]
        for data in cases:
            with self.subTest(len(data)):
                self.path.write_bytes(data)
                self.refused_as_it_is("image.tar")

    def test_bombs(self):
        """What grows beyond all measure ends, soon and in bounded memory, in one line; many members do too."""
        layer = gzip.compress(bytes(50_000_000), 9)
        self.refused(self.changed(layer=layer), "has the digest")
        many = b"".join(tarfile.TarInfo(f"{n}").tobuf() for n in range(100_001))
        self.path.write_bytes(packed(many, "gzip"))
        self.refused_as_it_is("more than 100000 members")

    def test_what_an_archive_cannot_hold(self):
        """Said in one line, with nothing left behind."""
        before = tree(self.temp)
        for source, flags, text in ((f"{FIXTURES}/multi:all", ["--all"], "holds one image"), (f"{FIXTURES}/artifact:chart", [], "is an artifact"),
                                    (f"{FIXTURES}/foreign:oci", [], "needs all layers"),
                                    (f"{FIXTURES}/hello:1.0", ["--preserve-digests"], "--preserve-digests"),
                                    (f"{FIXTURES}/hello:1.0", ["--additional-tag=foo"], "must be a tagged reference")):
            with self.subTest(text):
                self.assert_failure(self.tug("copy", "--quiet", *flags, f"oci:{source}", "docker-archive:out.tar:app"), text=text)
        for reference, text in (("out.tar:@0", "a position is for reading"), ("out.tar:App", "docker-archive:out.tar:App"), ("none/out.tar", "none"),
                                (f"{self.temp}", "directory"), ("out.tar:app@" + digest_of(b""), "tags, not digests")):
            with self.subTest(reference):
                self.assert_failure(self.tug("copy", "--quiet", f"oci:{FIXTURES}/hello:1.0", f"docker-archive:{reference}"), text=text)
        source = Layout(self.temp / "source")
        image = source.read_json(source.image(LAYERS))
        image["layers"][1] = source.blob(layouts.compress(tar({"other": b"content"})), layouts.OCI_LAYER_GZIP)
        source.add(source.json_blob(image, layouts.OCI_MANIFEST), ref="1")
        self.assert_failure(self.tug("copy", "--quiet", f"oci:{source.path}:1", "docker-archive:out.tar"), text="has the digest")
        self.assertEqual({name for name in tree(self.temp) if not name.startswith("source")}, set(before))

    def test_dry_run(self):
        self.assertIn("Would copy", self.assert_success(self.tug("copy", "--dry-run", f"oci:{FIXTURES}/hello:1.0", "docker-archive:out.tar")).out)
        self.assertFalse((self.temp / "out.tar").exists())


if __name__ == "__main__":
    case.main()
