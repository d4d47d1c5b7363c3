"""tug copy --from-file and --all-images: many images in one run, against docker-registry."""

import collections
import json
import pathlib
import re
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import case  # noqa: E402
from support.case import SystemTest  # noqa: E402
from support.layouts import Layout, noise  # noqa: E402
from support.proxy import SlowProxy  # noqa: E402
from support.registry import Registry  # noqa: E402
from support.stores import Store  # noqa: E402

IMAGES = 12
SHARED = 4


class BulkTest(SystemTest):
    def setUp(self):
        super().setUp()
        self.own_cache()
        self.registry = self.enterContext(Registry(self.temp / "registry"))
        self.layout = Layout(self.temp / "layout")
        base = [{f"base{i}": noise(20_000, i)} for i in range(SHARED)]
        self.images = {f"app{i}": self.layout.add(self.layout.image([*base, {"own": noise(1000, 100 + i)}]), ref=f"app{i}:1")
                       for i in range(IMAGES)}

    def bulk(self, *arguments, **options):
        return self.tug("copy", "--dest-tls-verify=false", *arguments, **options)

    def all_images(self, *flags, prefix="p", **options):
        return self.bulk(*flags, "--all-images", f"oci:{self.layout.path}", f"docker://{self.registry.address}/{prefix}", **options)

    def listed(self, pairs, name="list"):
        path = self.temp / name
        path.write_text("".join(f"{source} {destination}\n" for source, destination in pairs))
        return path

    def pairs(self, repository):
        """All images of the layout; `repository` makes the destination of a name."""
        return [(f"oci:{self.layout.path}:{name}:1", f"docker://{self.registry.address}/{repository(name)}") for name in self.images]

    def assert_all_stored(self, prefix="p"):
        for name, descriptor in self.images.items():
            self.assert_stored(self.registry, f"{prefix}/{name}", "1", self.layout, descriptor)

    def counts(self):
        """How many requests of each kind the registry has answered."""
        return collections.Counter((request.method, "blobs" if "/blobs/" in request.path else "manifests" if "/manifests/" in request.path else "v2",
                                    request.status) for request in self.registry.requests())


class AllImages(BulkTest):
    def test_shared_blobs_are_sent_once_and_mounted(self):
        """Every image is there, a blob that all share was sent by one of them and asked for by nobody else."""
        result = self.assert_success(self.all_images("--no-cache"))
        self.assert_all_stored()
        counts = self.counts()
        # Layers of their own and configs, and once each shared one.
        self.assertEqual(counts["PUT", "blobs", 201], 2 * IMAGES + SHARED)
        self.assertEqual(counts["POST", "blobs", 201], SHARED * (IMAGES - 1))
        self.assertEqual(counts["POST", "blobs", 202], 2 * IMAGES + SHARED)
        self.assertLessEqual(counts["HEAD", "blobs", 404], 2 * IMAGES + SHARED)
        self.assertEqual(counts["HEAD", "blobs", 200], 0)
        self.assertEqual(len(result.lines), IMAGES + 1)
        self.assertRegex(result.lines[-1], rf"\A{IMAGES} images: {IMAGES} copied, 0 unchanged; .* sent in ")
        copied = [line for line in result.lines if re.fullmatch(r"Copied oci:\S+ to docker://\S+@sha256:[0-9a-f]{64}: .*", line)]
        self.assertEqual(len(copied), IMAGES, result)

    def test_the_question_opens_the_upload(self):
        """Once a mount was taken, a blob is asked for by the POST that sends it: no HEAD from the third image on."""
        self.assert_success(self.all_images("--no-cache", "--jobs=1"))
        self.assert_all_stored()
        counts = self.counts()
        self.assertLessEqual(counts["HEAD", "blobs", 404], SHARED + 2 * 2)
        self.assertEqual(counts["POST", "blobs", 202], 2 * IMAGES + SHARED)
        self.assertEqual(counts["PUT", "blobs", 201], 2 * IMAGES + SHARED)

    def test_what_is_there_is_not_sent(self):
        """Neither to a second tag, where that question is a mount from the repository itself."""
        pairs = [[(f"oci:{self.layout.path}:{name}:1", f"docker://{self.registry.address}/p/{name}:{tag}") for name in self.images] for tag in (1, 2)]
        self.assert_success(self.bulk("--no-cache", "--jobs=1", "--from-file", self.listed(pairs[0])))
        before = self.counts()
        result = self.assert_success(self.bulk("--no-cache", "--jobs=1", "--from-file", self.listed(pairs[1])))
        new = self.counts() - before
        self.assertEqual((new["POST", "blobs", 202], new["PUT", "blobs", 201], new["PUT", "manifests", 201]), (0, 0, IMAGES))
        self.assertLessEqual(new["HEAD", "blobs", 200], SHARED + 2 * 2)

    def test_again_sends_nothing(self):
        """A second run asks for each tag, and no more."""
        self.assert_success(self.all_images("--no-cache"))
        before = self.counts()
        result = self.assert_success(self.all_images("--no-cache"))
        new = self.counts() - before
        self.assertEqual(new["HEAD", "manifests", 200], IMAGES)
        self.assertLessEqual(sum(new.values()), IMAGES + 1, new)
        self.assertIn(f"{IMAGES} images: 0 copied, {IMAGES} unchanged; 0 B sent", result.lines[-1])

    def test_dry_run_says_where_each_goes(self):
        """--dry-run prints every pair and changes nothing."""
        result = self.assert_success(self.all_images("--dry-run", prefix="x/y"))
        for name in self.images:
            self.assertIn(f"Would copy oci:{self.layout.path}:{name}:1 to docker://{self.registry.address}/x/y/{name}:1\n", result.out)
        self.assertFalse(any(request.method in ("POST", "PUT", "PATCH") for request in self.registry.requests()))

    def test_names(self):
        """Tags, names with and without a registry, and images without a name."""
        layout = Layout(self.temp / "names")
        image = layout.image([{"a": b"a"}])
        for ref in ("v1", "quay.io/team/app:2", "app", None):
            layout.add(image if ref != "v1" else layout.image([{"b": b"b"}]), ref=ref)
        destination = f"docker://{self.registry.address}/n"
        result = self.assert_success(self.bulk("--all-images", f"oci:{layout.path}:*", destination))
        self.assertEqual(set(self.registry.tags("n")), {"v1", "app"})
        self.assertEqual(set(self.registry.tags("n/team/app")), {"2"})
        self.assertIn("3 images: 3 copied", result.lines[-1])
        self.assertIn("1 without a name left out", result.lines[-1])

    def test_wrong_places(self):
        """One line, and nothing is sent."""
        place = f"docker://{self.registry.address}/p"
        for source, destination, text in (("docker://a.example/b", place, "cannot be listed"), (f"oci:{self.layout.path}", "dir:x", "no place"),
                                          (f"oci:{self.layout.path}", "oci:x:1", "no place"),
                                          (f"oci:{self.layout.path}:app1:1", place, "names an image"), ("oci:/nowhere", place, "/nowhere")):
            with self.subTest(source=source, destination=destination):
                self.assert_failure(self.bulk("--all-images", source, destination), text=text)
        self.assertEqual(self.registry.requests(), [])


class FromFile(BulkTest):
    def test_one_repository(self):
        """Many tags of one repository: nothing is mounted, what is known there is not asked for again."""
        self.assert_success(self.bulk("--no-cache", "--jobs", "8", "--from-file", self.listed(self.pairs(lambda name: f"p:{name}"))))
        self.assertEqual(self.registry.tags("p"), {name: each["digest"] for name, each in self.images.items()})
        counts = self.counts()
        self.assertEqual(counts["POST", "blobs", 202], 2 * IMAGES + SHARED)
        self.assertEqual(counts["POST", "blobs", 201], 0)
        self.assertEqual(counts["HEAD", "blobs", 404], 2 * IMAGES + SHARED)

    def test_list_from_a_pipe(self):
        """--from-file - reads standard input; so does a named pipe's path."""
        text = "# all of them\n" + "".join(f"'{source}'\t{destination}\n" for source, destination in self.pairs(lambda name: f"p/{name}:1"))
        for path in ("-", "/dev/stdin"):
            with self.subTest(path=path):
                result = subprocess.run([case.TUG, "copy", "--no-cache", "--dest-tls-verify=false", "--from-file", path], input=text, text=True,
                                        capture_output=True, env=self.environment, cwd=self.temp, timeout=120)
                self.assertEqual(result.returncode, 0, result)
                self.assert_all_stored()

    def test_json_lines(self):
        """--json: one object for each image, failures too."""
        pairs = [*self.pairs(lambda name: f"p/{name}:1"), (f"oci:{self.layout.path}:missing", f"docker://{self.registry.address}/p/missing")]
        result = self.bulk("--no-cache", "--json", "--keep-going", "--from-file", self.listed(pairs))
        self.assertEqual(result.code, 1, result)
        documents = [json.loads(line) for line in result.lines]
        self.assertEqual(len(documents), IMAGES + 1)
        digests = {document["destination"]: document["digest"] for document in documents if "digest" in document}
        self.assertEqual(digests, {f"docker://{self.registry.address}/p/{name}:1": each["digest"] for name, each in self.images.items()})
        (failed,) = (document for document in documents if "error" in document)
        self.assertEqual(failed["error"]["class"], "not-found")

    def test_keep_going(self):
        """The others are copied; the error names those that were not."""
        bad = [(f"oci:{self.layout.path}:no{i}", f"docker://{self.registry.address}/p/no{i}:1") for i in range(2)]
        result = self.bulk("-k", "--no-cache", "--from-file", self.listed([bad[0], *self.pairs(lambda name: f"p/{name}:1"), bad[1]]))
        self.assertEqual(result.code, 1, result)
        self.assert_all_stored()
        self.assertEqual(result.err.count("level=error"), 2, result)
        message = result.message()
        self.assertTrue(message.startswith(f"2 of {IMAGES + 2} images failed: "), message)
        for _, destination in bad:
            self.assertIn(destination, message)

    def test_the_first_failure_ends_the_run(self):
        """Without --keep-going no further image is begun, and the error says how many were not."""
        bad = (f"oci:{self.layout.path}:missing", f"docker://{self.registry.address}/p/missing:1")
        result = self.bulk("--jobs", "1", "--no-cache", "--from-file", self.listed([bad, *self.pairs(lambda name: f"p/{name}:1")]))
        self.assertEqual(result.code, 1, result)
        self.assertIn(f"because of that {IMAGES} not copied", result.message())
        self.assertEqual(self.registry.requests(), [])

    def test_wrong_lists(self):
        """The line is named, and nothing is sent."""
        good = "oci:a docker://r.example/a\n"
        for text, message in ((good + "x\n", "list, line 2: 1 word"), ("oci:a docker://r.example/A\n", "lower case"), (good + "oci:b docker://r.example/a\n", "line 1"),
                              ("oci:a 'docker://r.example/b\n", "not closed"), ("nowhere:a docker://r.example/b\n", "unknown transport")):
            with self.subTest(text=text):
                path = self.temp / "list"
                path.write_text(text)
                self.assert_failure(self.bulk("--from-file", path), text=message)
        self.assert_failure(self.bulk("--from-file", self.temp / "nothing"), text="cannot open .*/nothing")
        self.assert_failure(self.bulk("--from-file", self.temp), text="reading")

    def test_wrong_flags(self):
        """What is for one image, or for many, is refused with the other."""
        path = self.listed(self.pairs(lambda name: f"p/{name}:1"))
        for arguments, text in ((["--from-file", path, "a", "b"], "takes no arguments"), (["--from-file", path, "--all-images"], "exclude each other"),
                                (["--from-file", path, "--digestfile", "x"], "--digestfile"), (["--jobs", "2", "oci:a", "docker://b"], "--jobs"),
                                (["--all-images", "a"], "exactly 2"), (["--from-file", path, "--jobs", "0"], "--jobs"),
                                (["--from-file", path, "--shard", "3/2"], "--shard")):
            with self.subTest(arguments=arguments):
                self.assert_failure(self.bulk(*arguments), text=text)
        self.assertEqual(self.registry.requests(), [])

    def test_shards(self):
        """All shards together copy every image once; each says what it left to the others."""
        path = self.listed(self.pairs(lambda name: f"p/{name}:1"))
        copied = 0
        for number in range(1, 4):
            result = self.assert_success(self.bulk("--no-cache", "--from-file", path, "--shard", f"{number}/3"))
            found = re.search(r"(\d+) images?: (\d+) copied, 0 unchanged; .*; (\d+) in other shards", result.lines[-1])
            self.assertTrue(found, result)
            self.assertEqual(int(found[1]) + int(found[3]), IMAGES)
            copied += int(found[2])
        self.assertEqual(copied, IMAGES)
        self.assert_all_stored()

    def test_interruption(self):
        """SIGINT: exit 130, and how far it came."""
        with SlowProxy(self.registry.address, hold_at=5000) as proxy:
            pairs = [(source, destination.replace(self.registry.address, proxy.address)) for source, destination in self.pairs(lambda name: f"p/{name}:1")]
            process = self.start("copy", "--no-cache", "--no-resume", "--dest-tls-verify=false", "--from-file", self.listed(pairs))
            proxy.wait_until_held()
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=100)
        self.assertEqual(process.returncode, 130, err)
        self.assertIn(f"of {IMAGES} images were done", err)

    def test_additional_tag(self):
        """The flags of a copy apply to all of them."""
        self.assert_success(self.bulk("--no-cache", "--quiet", "--additional-tag", "also", "--from-file", self.listed(self.pairs(lambda name: f"p/{name}:1"))))
        for name, descriptor in self.images.items():
            self.assertEqual(self.registry.tags(f"p/{name}"), {"1": descriptor["digest"], "also": descriptor["digest"]})


class FromStore(SystemTest):
    def test_all_images_of_a_store(self):
        """Every name of every image; a layer that several share is compressed and sent once."""
        self.own_cache()
        store = Store(self.temp / "store", "vfs")
        store.commit("base:1", "scratch", {"base": noise(100_000, 1)})
        for name in ("app:1", "app:2", "team/other:1"):
            store.commit(name, "base:1", {"own": name.encode()})
        store.run("buildah", "tag", "localhost/app:2", "quay.io/some/app:2")
        with Registry(self.temp / "registry") as registry:
            result = self.assert_success(self.tug("copy", "--no-cache", "--dest-tls-verify=false", "--all-images", store.place,
                                                  f"docker://{registry.address}/p"))
            self.assertIn("5 images: 5 copied", result.lines[-1])
            self.assertEqual(set(registry.tags("p/app")), {"1", "2"})
            for repository in ("base", "team/other", "some/app"):
                self.assertEqual(len(registry.tags(f"p/{repository}")), 1, repository)
            # 4 layers, 4 configs.
            self.assertEqual(sum(request.method == "PUT" and "/blobs/" in request.path for request in registry.requests()), 8)
            again = self.assert_success(self.tug("copy", "--no-cache", "--dest-tls-verify=false", "--all-images", store.place,
                                                 f"docker://{registry.address}/p"))
            self.assertIn("5 unchanged; 0 B sent", again.lines[-1])
            self.skopeo("inspect", "--tls-verify=false", f"docker://{registry.address}/p/some/app:2")


if __name__ == "__main__":
    case.main()
