"""tug sync: many images in one run, beside Debian's skopeo with the same arguments, and what skopeo does not have.

`Beside` runs both with the same command line (tug as `skopeo`) and compares the exit code, standard output, the log lines on standard
error, and the registry's tags or the directory that came of it. Debian's skopeo is 1.9.3: later flags are tested without it.
"""

import json
import os
import pathlib
import re
import shutil
import sys
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import case  # noqa: E402
from support.case import SystemTest, sanitizer  # noqa: E402
from support.layouts import Layout, noise, platform  # noqa: E402
from support.loopback_server import Handler, LoopbackServer  # noqa: E402
from support.registry import Registry  # noqa: E402

LOG_LINE = re.compile(r'time="[^"]*" level=(\w+) msg=("(?:[^"\\]|\\.)*"|\S+)(.*)')
# What skopeo's errors begin with; behind it stands the cause, in words of one's own.
CAUSES = re.compile(r"\A(Error copying ref \"[^\"]*\"|Error determining repository tags for image \S+|Error [^:]*, skipping|Sync failed [^:]*|"
                    r"Refusing to overwrite destination directory \"[^\"]*\"|No images to sync found in \"[^\"]*\"|[^:]* is not a valid \w+ transport|"
                    r"A \w+ transport must be specified|Invalid source directory specified: stat [^:]*|sync from 'dir' to 'dir' not implemented|"
                    r"Cannot obtain a valid image reference for transport \"docker\" and reference \"[^\"]*\")")


class SyncTest(SystemTest):
    def setUp(self):
        super().setUp()
        self.own_cache()
        self.registry = self.enterContext(Registry(self.temp / "registry"))
        self.address = self.registry.address
        self.layout = Layout(self.temp / "layout")
        self.base = {"base": noise(5000, 1)}
        (self.temp / "bin").mkdir()
        self.as_skopeo = self.temp / "bin/skopeo"
        self.as_skopeo.symlink_to(shutil.which(case.TUG))

    def image(self, seed, **members):
        return self.layout.image([self.base, {"own": noise(500, seed)}], **members)

    def push(self, descriptor, name):
        """The image, or index with all that it names, into the registry, as it is."""
        ref = f"push{len(self.layout.entries())}"
        self.layout.add(descriptor, ref=ref)
        self.assert_success(self.tug("copy", "--all", "--quiet", "--no-cache", "--dest-tls-verify=false", f"oci:{self.layout.path}:{ref}",
                                     f"docker://{self.address}/{name}"))
        return descriptor

    def seed(self, repository="src/app", tags=("v1", "v2", "v0")):
        return {tag: self.push(self.image(f"{repository}{tag}"), f"{repository}:{tag}")["digest"] for tag in tags}

    def sync(self, *arguments, **options):
        return self.tug("sync", "--src-tls-verify=false", "--dest-tls-verify=false", "--no-cache", *arguments, **options)

    def docker(self, source, destination, *flags, **options):
        return self.sync("--src", "docker", "--dest", "docker", *flags, f"{self.address}/{source}", f"{self.address}/{destination}", **options)

    def yaml(self, text, name="sync.yml"):
        """A file with one registry, ours."""
        path = self.temp / name
        path.write_text(f"{self.address}:\n" + "".join(f"  {line}\n" for line in text.strip("\n").split("\n")))
        return path

    def requests_since(self, before):
        return self.registry.requests()[before:]


def tree(path):
    """{relative path: bytes, None for a directory} of everything below."""
    return {str(each.relative_to(path)): each.read_bytes() if each.is_file() else None for each in sorted(path.rglob("*"))}


class Beside(SyncTest):
    """Command line by command line."""

    def setUp(self):
        super().setUp()
        self.digests = self.seed()
        one, two = self.image("multi1"), self.image("multi2", architecture="arm64")
        self.push(self.layout.index([platform(one, "amd64"), platform(two, "arm64")]), "src/multi:1")
        self.push(self.image("other"), "src/deep/er/app:v9")

    def run_both(self, *arguments, prepare=None, in_order=True, code=0, story=True):
        """DST in an argument is a place of one's own: below the registry, or a directory."""
        outcomes = {}
        for name, program in (("skopeo", "skopeo"), ("tug", self.as_skopeo)):
            directory = self.temp / f"of-{name}"
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir()
            shutil.rmtree(self.registry.storage / "docker/registry/v2/repositories" / f"dst{self.runs}{name}", ignore_errors=True)
            place = f"dst{self.runs}{name}"
            if prepare:
                prepare(directory)
            words = [str(each).replace("REG", self.address).replace("DST", place).replace("DIGEST", self.digests["v1"]) for each in arguments]
            result = self.tug("sync", "--insecure-policy", "--src-tls-verify=false", "--dest-tls-verify=false", *words, program=program, cwd=directory)
            outcomes[name] = self.outcome(result, place, directory, in_order)
            if not story:
                outcomes[name].pop("story")
        type(self).runs += 1
        self.assertEqual(outcomes["tug"], outcomes["skopeo"], arguments)
        self.assertEqual(outcomes["tug"]["code"], code, arguments)
        return outcomes["tug"]

    runs = 0

    def outcome(self, result, place, directory, in_order):
        def common(text):
            return text.replace(place, "DST").replace(self.address, "REG")

        out = [line for line in common(result.out).splitlines() if line != "Storing signatures"]
        blobs = sorted(line for line in out if line.startswith("Copying blob"))
        log = [self.log_line(line) for line in common(result.err).splitlines()]
        repositories = self.registry.storage / "docker/registry/v2/repositories" / place
        tags = {str(path.parent.relative_to(repositories)): self.registry.tags(f"{place}/{path.parent.relative_to(repositories)}")
                for path in repositories.rglob("_manifests")}
        revisions = sorted(str(path.relative_to(repositories)) for path in repositories.rglob("_manifests/revisions/sha256/*"))
        files = {name.replace(self.address, "REG"): content for name, content in tree(directory).items()}
        story = [line for line in out if not line.startswith("Copying blob")]
        return {"code": result.code, "blobs": blobs, "log": log if in_order else sorted(log), "tags": tags, "revisions": revisions, "files": files,
                "story": story if in_order else sorted(story)}

    @staticmethod
    def log_line(line):
        found = LOG_LINE.fullmatch(line)
        if not found:
            return line
        level, message, fields = found.groups()
        message = json.loads(message) if message.startswith('"') else message
        if level in ("info", "warning"):
            return level, message, fields
        cause = CAUSES.match(message)
        # What is wrong says each in words of its own.
        return level, cause.group() if cause else "", re.sub(r' error=".*', "", fields)

    def test_registry_to_registry(self):
        for arguments in (("REG/src/app", "REG/DST"), ("REG/src/app:v0", "REG/DST"), ("REG/src/app@DIGEST", "REG/DST"), ("REG/src/app", "REG/DST/x/y"),
                          ("REG/src/app", "REG/DST/x/../y//"), ("REG/src/deep/er/app", "REG/DST"), ("--dry-run", "REG/src/app", "REG/DST"),
                          ("--remove-signatures", "--preserve-digests", "--retry-times", "2", "REG/src/app", "REG/DST"),
                          ("--all", "REG/src/multi", "REG/DST"), ("-a", "REG/src/multi:1", "REG/DST"),
                          ("--override-arch", "arm64", "REG/src/multi", "REG/DST")):
            with self.subTest(arguments=arguments):
                # Of lists 1.9.3 tells in other words than later skopeos; tug looks for no signatures anyway, and says so.
                tells_otherwise = {"--all", "-a", "--remove-signatures"}.intersection(arguments)
                self.run_both("--src", "docker", "--dest", "docker", *arguments, story=not tells_otherwise)

    def test_registry_to_registry_again(self):
        """What is there already is skipped, and said so."""
        for _ in range(2):
            for program, place in (("skopeo", "again1"), (self.as_skopeo, "again2")):
                result = self.assert_success(self.tug("sync", "--insecure-policy", "--src-tls-verify=false", "--dest-tls-verify=false", "-s", "docker", "-d",
                                                      "docker", f"{self.address}/src/app", f"{self.address}/{place}", program=program))
            # The second of each round is tug's; in the second round all is there.
        self.assertEqual(result.lines, ["Getting image source signatures", "Skipping: image already present at destination"] * 3)

    def test_failures(self):
        for arguments in (("REG/src/app:nope", "REG/DST"), ("--keep-going", "REG/src/app:nope", "REG/DST"), ("REG/src/none", "REG/DST"),
                          ("--scoped", "REG/src/app:v0", "REG/DST"), ("REG/src/app:v0", "REG/DST/UP"), ("REG/src/App:v0", "REG/DST")):
            with self.subTest(arguments=arguments):
                self.run_both("--src", "docker", "--dest", "docker", *arguments, code=1)
        for arguments in (("--src", "x", "--dest", "docker", "a", "b"), ("--src", "docker", "--dest", "x", "a", "b"), ("--src", "docker", "a", "b"),
                          ("--dest", "docker", "a", "b"), ("--src", "dir", "--dest", "dir", "a", "b"),
                          *(("--src", "dir", "--dest", "docker", path, "REG/DST") for path in ("nothere", ".")),
                          ("--src", "yaml", "--dest", "docker", "nothere", "REG/DST")):
            with self.subTest(arguments=arguments):
                self.run_both(*arguments, code=1)

    def test_registry_to_directories(self):
        for arguments in (("REG/src/app", "out"), ("REG/src/app", "./out/x/"), ("--scoped", "REG/src/app", "out"), ("REG/src/app@DIGEST", "out"),
                          ("REG/src/app", ".")):
            with self.subTest(arguments=arguments):
                outcome = self.run_both("--src", "docker", "--dest", "dir", *arguments)
                self.assertTrue(any(name.endswith("manifest.json") for name in outcome["files"]))
        with self.subTest("it is there"):
            self.run_both("--src", "docker", "--dest", "dir", "REG/src/app:v1", "out", code=1,
                          prepare=lambda directory: (directory / "out/app:v1").mkdir(parents=True))

    def test_directories_to_registry(self):
        image = self.temp / "image"
        self.skopeo("copy", "--insecure-policy", "-q", "--src-tls-verify=false", f"docker://{self.address}/src/app:v1", f"dir:{image}")

        def prepare(directory):
            for path in ("out/app:v1", "out/reg.example/app:v2", "out/plain", "out/plain/below/app:v3"):
                shutil.copytree(image, directory / path)
            (directory / "out/file").write_text("")

        for arguments in (("out", "REG/DST"), ("--scoped", "out", "REG/DST"), ("--scoped", "./out/", "REG/DST"), ("./out", "REG/DST"), ("out/plain", "REG/DST"),
                          ("out/plain/", "REG/DST"), ("--scoped", "out/plain", "REG/DST"), ("--dry-run", "out", "REG/DST"), ("--scoped", ".", "REG/DST/x")):
            with self.subTest(arguments=arguments):
                self.run_both("--src", "dir", "--dest", "docker", *arguments, prepare=prepare)

    def test_yaml(self):
        files = {
            "images": (0, 'images:\n  src/app: [v2, "DIGEST", "bad tag!"]'),
            "all": (0, "images:\n  src/app: []"),
            "null": (0, "images:\n  src/app:"),
            "regex": (0, "images-by-tag-regex:\n  src/app: ^v[02]$"),
            "unanchored": (0, "images-by-tag-regex:\n  src/app: '1'"),
            "nothing matches": (0, "images-by-tag-regex:\n  src/app: zzz"),
            "bad regex": (0, "images-by-tag-regex:\n  src/app: x("),
            "bad name": (0, "images:\n  Bad/Name: []\n  src/app: [v1]"),
            "no repository": (0, "images:\n  src/none: []"),
            "no tag": (1, "images:\n  src/app: [nope]"),
            "no images": (0, "images: {}"),
            "not a list": (1, "images:\n  src/app: v1"),
            "twice": (0, "images:\n  src/app: [v1]\nimages-by-tag-regex:\n  src/app: v"),
        }
        for name, (code, text) in files.items():
            path = self.yaml(text.replace("DIGEST", self.digests["v1"]) + "\ntls-verify: false")
            for destination in ("docker", "dir"):
                if name in ("twice", "no tag") and destination == "dir":
                    continue  # skopeo copies the first half, and leaves a directory without an image
                with self.subTest(name, destination=destination):
                    self.run_both("--src", "yaml", "--dest", destination, path, "REG/DST" if destination == "docker" else "out", in_order=False, code=code)


class Names(SyncTest):
    """What goes where, without skopeo."""

    def test_append_suffix_and_digestfile(self):
        """The suffix is the tag's; a line DIGEST DESTINATION each, in the order of the list, with what is there already."""
        digests = self.seed()
        file = self.temp / "digests"
        file.write_text("old\n" * 1000)
        for _ in range(2):
            self.assert_success(self.docker("src/app", "dst", "--append-suffix", "-x", "--digestfile", file, "--jobs", 8))
            listed = [f"{digests[tag]} docker://{self.address}/dst/app:{tag}-x\n" for tag in json.loads(self.registry.get("/v2/src/app/tags/list")[2])["tags"]]
            self.assertEqual(file.read_text(), "".join(listed))
        self.assertEqual(self.registry.tags("dst/app"), {f"{tag}-x": digest for tag, digest in digests.items()})
        self.assert_failure(self.docker("src/app", "dst", "--digestfile", self.temp / "no/such"), text="Error creating digest file")
        path = self.yaml("images:\n  src/app: [v1, nope, v2]")
        self.assertEqual(self.sync("--src", "yaml", "--dest", "docker", "--keep-going", "--digestfile", file, path, f"{self.address}/dst").code, 1)
        self.assertEqual(file.read_text(), "".join(f"{digests[tag]} docker://{self.address}/dst/app:{tag}\n" for tag in ("v1", "v2")))

    def test_strip_prefix(self):
        digests = self.seed()
        self.assert_success(self.docker("src/app", "dst", "--scoped", "--strip-prefix", self.address))
        self.assertEqual(self.registry.tags("dst/src/app"), digests)
        self.assert_failure(self.docker("src/app", "dst", "--strip-prefix", self.address), text="needs --scoped")
        self.assert_failure(self.docker("src/app", "dst", "--scoped"), text="--strip-prefix")

    def test_include_and_exclude(self):
        digests = self.seed(tags=("1.0", "1.1", "1.1-rc", "2.0", "latest"))
        result = self.assert_success(self.docker("src/app", "dst", "--include", r"^1\.", "--include", r"^\d{1,2}\.0$", "--exclude", "rc"))
        self.assertEqual(self.registry.tags("dst/app"), {tag: digests[tag] for tag in ("1.0", "1.1", "2.0")})
        self.assertRegex(result.lines[-1], r"3 images: 3 copied, .*; 2 excluded\Z")
        self.assert_failure(self.docker("src/app", "dst", "--include", "x("), text=r"--include: error parsing regexp")
        self.assert_failure(self.docker("src/app", "dst", "--include", "zzz"), text="No images to sync found")

    def test_semver(self):
        digests = self.seed(tags=("1.2.3", "v1.3.0", "1.4", "2.0.0-rc1", "2.0.0", "latest"))
        for place, constraint, tags in (("a", "^1.2", ("1.2.3", "v1.3.0", "1.4")), ("b", ">=2", ("2.0.0",)), ("c", ">=2.0.0-0", ("2.0.0-rc1", "2.0.0")),
                                        ("d", "1.2.x || ~1.4", ("1.2.3", "1.4"))):
            with self.subTest(constraint):
                self.assert_success(self.sync("--src", "yaml", "--dest", "docker", self.yaml(f'images-by-semver:\n  src/app: "{constraint}"'),
                                              f"{self.address}/{place}"))
                self.assertEqual(self.registry.tags(f"{place}/app"), {tag: digests[tag] for tag in tags})

    def test_two_images_for_one_place(self):
        """Refused before anything is sent; --scoped keeps them apart; the same twice counts once."""
        self.seed()
        self.seed("src/deep/app", ("v1",))
        before = len(self.registry.requests())
        path = self.yaml("images:\n  src/app: [v1]\n  src/deep/app: [v1]")
        self.assert_failure(self.sync("--src", "yaml", "--dest", "docker", path, f"{self.address}/dst"), text="would both go to docker://")
        self.assertEqual(self.requests_since(before), [])
        result = self.assert_success(self.sync("--src", "yaml", "--dest", "docker", "--scoped", "--strip-prefix", self.address, path, f"{self.address}/dst"))
        self.assertIn("2 images: 2 copied", result.lines[-1])
        path = self.yaml("images:\n  src/app: [v1, v1]\nimages-by-tag-regex:\n  src/app: 1")
        result = self.assert_success(self.sync("--src", "yaml", "--dest", "docker", path, f"{self.address}/dst"))
        self.assertIn("1 image: 1 copied", result.lines[-1])

    def test_transport_in_front(self):
        self.assert_failure(self.sync("--src", "docker", "--dest", "docker", "docker://a.example/b", "c.example"),
                            text="no transport in front.*hint: a.example/b")
        self.assert_failure(self.sync("--src", "docker", "--dest", "oci", "a.example/b", "oci:x"), text="no transport in front")
        self.assert_failure(self.sync("--src", "docker", "--dest", "oci", "a.example/b", "x:y"), text="no path")
        self.assert_failure(self.sync("--src", "docker", "--dest", "docker", "a"), text="exactly 2 arguments")


class Layouts(SyncTest):
    def test_into_a_layout_and_back(self):
        """One store of blobs, an entry each; a second run adds what is new; back again byte for byte."""
        digests = self.seed()
        place = self.temp / "mirror"
        arguments = ("--src", "docker", "--dest", "oci", f"{self.address}/src/app", place)
        self.assert_success(self.sync(*arguments))
        names = {entry["annotations"]["org.opencontainers.image.ref.name"]: entry["digest"] for entry in Layout(place).entries()}
        self.assertEqual(names, {f"app:{tag}": digest for tag, digest in digests.items()})
        self.assertEqual(len(list((place / "blobs/sha256").iterdir())), 1 + 3 * 3)  # what all share is there once
        digests.update(self.seed(tags=("v7",)))
        result = self.assert_success(self.sync(*arguments))
        self.assertIn("4 images: 1 copied, 3 unchanged", result.lines[-1])
        before = len(self.registry.requests())
        result = self.assert_success(self.sync("--skip-existing", *arguments))
        self.assertEqual([request for request in self.requests_since(before) if "/manifests/" in request.path], [])
        self.assertIn("4 there already", result.lines[-1])
        self.assert_success(self.sync("--src", "oci", "--dest", "docker", place, f"{self.address}/back"))
        self.assertEqual(self.registry.tags("back/app"), digests)
        self.assert_success(self.sync("--src", "oci", "--dest", "dir", "--exclude", "v[01]", place, self.temp / "dirs"))
        self.assertEqual(sorted(path.name for path in (self.temp / "dirs").iterdir()), ["app:v2", "app:v7"])
        self.skopeo("copy", "--insecure-policy", "-q", f"dir:{self.temp}/dirs/app:v7", f"oci:{self.temp}/read:1")
        self.assertEqual(Layout(self.temp / "read").descriptor("1")["digest"], digests["v7"])

    def test_tags_alone(self):
        """A layout whose images have no names but tags: its own name is the repository."""
        descriptor = self.layout.add(self.image("x"), ref="v1")
        self.layout.add(self.image("y"))
        result = self.assert_success(self.sync("--src", "oci", "--dest", "docker", self.layout.path, f"{self.address}/dst"))
        self.assertEqual(self.registry.tags("dst/layout"), {"v1": descriptor["digest"]})
        self.assertIn("1 without a name left out", result.lines[-1])

    def test_shared_blobs(self):
        descriptor = self.layout.add(self.image("x"), ref="v1")
        (self.layout.path / "blobs").rename(self.temp / "shared")
        arguments = ("--src", "oci", "--dest", "docker", self.layout.path, f"{self.address}/shared")
        self.assertEqual(self.sync(*arguments).code, 1)
        self.assert_success(self.sync("--src-shared-blob-dir", self.temp / "shared", *arguments))
        self.assertEqual(self.registry.tags("shared/layout"), {"v1": descriptor["digest"]})

    def test_a_hostile_name_stays_below(self):
        self.layout.add(self.image("x"), ref="../../../escaped:1")
        self.assert_failure(self.sync("--src", "oci", "--dest", "dir", "--scoped", self.layout.path, "a/b"), text="not below a/b")
        self.assertFalse((self.temp / "a").exists())


class Again(SyncTest):
    """What a second run asks."""

    def test_unchanged_images_are_not_pulled(self):
        """A tag that both ends have costs a HEAD at each, and no body."""
        self.seed()
        self.assert_success(self.docker("src/app", "dst"))
        before = len(self.registry.requests())
        result = self.assert_success(self.docker("src/app", "dst"))
        self.assertIn("3 images: 0 copied, 3 unchanged; 0 B sent", result.lines[-1])
        asked = [request for request in self.requests_since(before) if request.path != "/v2/"]
        self.assertEqual([request.method for request in asked if "/manifests/" in request.path], ["HEAD"] * 6)
        self.assertLessEqual(len(asked), 7, asked)

    def test_changed_image_is_copied(self):
        self.seed()
        self.assert_success(self.docker("src/app", "dst"))
        new = self.push(self.image("new"), "src/app:v1")["digest"]
        result = self.assert_success(self.docker("src/app", "dst"))
        self.assertIn("3 images: 1 copied, 2 unchanged", result.lines[-1])
        self.assertEqual(self.registry.tags("dst/app")["v1"], new)

    def test_index_is_complete(self):
        """--all of an index looks for its images too."""
        one, two = self.image("1"), self.image("2", architecture="arm64")
        index = self.push(self.layout.index([platform(one, "amd64"), platform(two, "arm64")]), "src/multi:1")
        for expected in ("1 copied, 0 unchanged", "0 copied, 1 unchanged"):
            result = self.assert_success(self.docker("src/multi", "dst", "--all"))
            self.assertIn(expected, result.lines[-1])
        self.assertEqual(self.registry.tags("dst/multi"), {"1": index["digest"]})
        self.assertEqual(self.registry.get(f"/v2/dst/multi/manifests/{two['digest']}")[0], 200)

    def test_skip_existing(self):
        """The source is asked for its list alone, for tags that are there, whatever they name."""
        digests = self.seed()
        old = self.push(self.image("old"), "dst/app:v1")["digest"]
        before = len(self.registry.requests())
        result = self.assert_success(self.docker("src/app", "dst", "--skip-existing"))
        self.assertEqual(self.registry.tags("dst/app"), {**digests, "v1": old})
        self.assertEqual([request for request in self.requests_since(before) if "/src/app/manifests/v1" in request.path], [])
        self.assertRegex(result.lines[-1], r"\A2 images: 2 copied, .*; 1 there already\Z")
        self.assert_success(self.docker("src/app", "dst", "--immutable-tags", "^v1$"))
        self.assertEqual(self.registry.tags("dst/app")["v1"], old)
        self.assert_success(self.docker("src/app", "dst", "--immutable-tags", "^v2$"))
        self.assertEqual(self.registry.tags("dst/app"), digests)

    def test_skip_existing_directories(self):
        self.seed()
        arguments = ("--src", "docker", "--dest", "dir", f"{self.address}/src/app", "out")
        self.assert_success(self.sync(*arguments, "--include", "v1"))
        self.assert_failure(self.sync(*arguments), text="Refusing to overwrite.*--skip-existing")
        self.assertEqual([path.name for path in (self.temp / "out").iterdir()], ["app:v1"])
        self.assert_success(self.sync(*arguments, "--skip-existing"))
        self.assertEqual(sorted(path.name for path in (self.temp / "out").iterdir()), ["app:v0", "app:v1", "app:v2"])

    def test_dry_run(self):
        """Nothing is written, and said is what would be."""
        self.seed()
        before = len(self.registry.requests())
        result = self.assert_success(self.docker("src/app", "dst", "--dry-run", "--digestfile", self.temp / "digests"))
        self.assertEqual(sorted(result.lines[:-1]),
                         [f"Would copy docker://{self.address}/src/app:v{i} to docker://{self.address}/dst/app:v{i}" for i in range(3)])
        self.assertLessEqual({request.method for request in self.requests_since(before)}, {"GET", "HEAD"})
        result = self.assert_success(self.sync("--dry-run", "--src", "docker", "--dest", "dir", f"{self.address}/src/app", "out"))
        self.assertIn(f"Would copy docker://{self.address}/src/app:v0 to dir:out/app:v0", result.lines)
        result = self.assert_success(self.sync("--dry-run", "--json", "--src", "docker", "--dest", "oci", f"{self.address}/src/app:v0", "out"))
        self.assertEqual(json.loads(result.out), {"source": f"docker://{self.address}/src/app:v0", "destination": "oci:out:app:v0", "dryRun": True})
        self.assertFalse((self.temp / "out").exists() or (self.temp / "digests").exists())


class Failures(SyncTest):
    def test_keep_going(self):
        """The others are copied; the error names those that were not; exit code 1, never 2."""
        digests = self.seed()
        path = self.yaml("images:\n  src/app: [nope, v1]\n  src/none: []\n  src/app2: [v1]\nimages-by-tag-regex:\n  src/app: v[02]")
        result = self.sync("--src", "yaml", "--dest", "docker", "--keep-going", path, f"{self.address}/dst")
        self.assertEqual(result.code, 1, result)
        self.assertEqual(self.registry.tags("dst/app"), digests)
        self.assertIn("Error determining repository tags for image", result.err)
        self.assertIn(f"2 of 5 images failed: docker://{self.address}/dst/app", result.message())
        result = self.sync("--src", "yaml", "--dest", "docker", "--keep-going", self.yaml("images:\n  src/app: [v1]\n  src/none: []"), f"{self.address}/dst")
        self.assertEqual(result.code, 1, result)
        self.assertIn("not all repositories", result.message())

    def test_without_it(self):
        """A list that cannot be had ends the run before anything is sent; an image that cannot, with exit code 1."""
        self.seed()
        before = len(self.registry.requests())
        result = self.sync("--src", "yaml", "--dest", "docker", self.yaml("images:\n  src/app: [v1]\n  src/none: []"), f"{self.address}/dst")
        self.assert_failure(result, text="Error determining repository tags")
        self.assertFalse(any("/dst/" in request.path for request in self.requests_since(before)))
        result = self.docker("src/app:nope", "dst")
        self.assertEqual(result.code, 1, result)
        self.assertIn("1 of 1 image failed", result.message())

    def test_bad_files(self):
        """One line that names file and key, before anybody is asked."""
        for text, message in (("images:\n  src/app: v1", r"images\.src/app in \S*sync.yml: must be a list"), ("images: [", "sync.yml: line"),
                              ("images:\n  src/app: ['bad tag!']", r"images\.src/app in \S*sync.yml: invalid reference"),
                              ("images:\n  src/app: ['sha256:12']", r"images\.src/app in \S*sync.yml"),
                              ("images:\n  Bad/Name:", r"Bad/Name in \S*sync.yml: .*lower case"), ("images:\n  src/app:v1:", r"src/app:v1 in \S*sync.yml"),
                              ("images-by-tag-regex:\n  src/app: x(", r"images-by-tag-regex\.src/app in \S*sync.yml: error parsing regexp: missing \)"),
                              ("images-by-semver:\n  src/app: '>> 1'", r"images-by-semver\.src/app in \S*sync.yml: improper constraint"),
                              ("credentials: {username: '', password: s3cret}", r"credentials in \S*sync.yml: the user name"),
                              ("tls-verify: 17", r"tls-verify in \S*sync.yml: must be true or false")):
            with self.subTest(text):
                result = self.assert_failure(self.sync("--src", "yaml", "--dest", "docker", self.yaml(text), f"{self.address}/dst"), text=message)
                self.assertNotIn("s3cret", result.err)
        result = self.assert_success(self.sync("--src", "yaml", "--dest", "docker", self.yaml("imges: {}"), f"{self.address}/dst"))
        self.assertIn("did you mean images?", result.err)
        self.assertEqual(self.registry.requests(), [])

    def test_json(self):
        digests = self.seed()
        result = self.sync("--json", "--keep-going", "--src", "yaml", "--dest", "docker", self.yaml("images:\n  src/app: [v1, nope]"), f"{self.address}/dst")
        self.assertEqual(result.code, 1, result)
        one, two = sorted((json.loads(line) for line in result.lines), key=lambda document: "error" in document)
        self.assertEqual((one["destination"], one["digest"]), (f"docker://{self.address}/dst/app:v1", digests["v1"]))
        self.assertEqual(two["error"]["class"], "not-found")

    def test_policy(self):
        """A policy that rejects the source is obeyed, for what is there already too."""
        self.seed()
        self.assert_success(self.docker("src/app", "dst"))
        policy = self.temp / "policy.json"
        policy.write_text(json.dumps({"default": [{"type": "insecureAcceptAnything"}],
                                      "transports": {"docker": {f"{self.address}/src": [{"type": "reject"}]}}}))
        result = self.docker("src/app", "dst", "--policy", policy)
        self.assertEqual(result.code, 1, result)
        self.assertIn("reject", result.err)

    def test_credentials(self):
        """Those of the file are for its registry alone."""
        registry = self.enterContext(Registry(self.temp / "closed", htpasswd={"john": "s3cret"}))
        self.layout.add(self.image("x"), ref="x")
        self.assert_success(self.tug("copy", "-q", "--no-cache", "--dest-tls-verify=false", "--dest-creds", "john:s3cret", f"oci:{self.layout.path}:x",
                                     f"docker://{registry.address}/closed/app:1"))
        text = "{}:\n  images:\n    closed/app: []\n  credentials: {{username: john, password: {}}}\n  tls-verify: false\n"
        path = self.temp / "file.yml"
        path.write_text(text.format(registry.address, "s3cret"))
        arguments = ("sync", "--no-cache", "--src", "yaml", "--dest", "docker", "--dest-tls-verify=false", path, f"{self.address}/dst")
        self.assert_success(self.tug(*arguments))
        self.assertEqual(list(self.registry.tags("dst/app")), ["1"])
        path.write_text(text.format(registry.address, "wr0ng"))
        result = self.tug(*arguments)
        self.assert_failure(result, text="unauthorized|authentication|401|credential")
        self.assertNotIn("wr0ng", result.err)


class Prune(SyncTest):
    def delete(self, name):
        self.assert_success(self.tug("delete", "--tls-verify=false", f"docker://{self.address}/{name}"))

    def test_dropped_tags_go(self):
        """What the source has no more, after a dry run that only shows it."""
        digests = self.seed()
        self.assert_success(self.docker("src/app", "dst"))
        self.delete("src/app:v1")
        result = self.assert_success(self.docker("src/app", "dst", "--prune", "--dry-run"))
        self.assertIn(f"Would delete docker://{self.address}/dst/app:v1@{digests['v1']}", result.lines)
        self.assertEqual(self.registry.tags("dst/app"), digests)
        result = self.assert_success(self.docker("src/app", "dst", "--prune", "--json"))
        self.assertEqual(json.loads(result.lines[-1]), {"deleted": f"docker://{self.address}/dst/app:v1", "digest": digests.pop("v1")})
        self.assertEqual(self.registry.tags("dst/app"), digests)
        self.assertEqual(self.registry.tags("src/app"), digests)

    def test_only_what_this_sync_would_have_copied(self):
        """--include, --exclude and --append-suffix bound it, and so does the pattern of a file; tags that a file lists stay."""
        self.seed()
        for tag in ("w1", "v5", "v6-x", "v0-x", "x"):
            self.push(self.image(tag), f"dst/app:{tag}")
        self.assert_success(self.docker("src/app", "dst", "--prune", "--include", "v", "--exclude", "6"))
        self.assertEqual(set(self.registry.tags("dst/app")), {"v0", "v1", "v2", "w1", "v6-x", "x"})
        self.push(self.image("v5"), "dst/app:v5")
        self.assert_success(self.docker("src/app", "dst", "--prune", "--append-suffix", "-x"))
        self.assertEqual(set(self.registry.tags("dst/app")), {"v0", "v1", "v2", "v5", "w1", "x", "v0-x", "v1-x", "v2-x"})
        self.push(self.image("v7"), "dst/app:v7")
        self.assert_success(self.sync("--src", "yaml", "--dest", "docker", "--prune", "--keep-going",
                                      self.yaml("images:\n  src/app: [v1]\nimages-by-tag-regex:\n  src/app: '[057]$'"), f"{self.address}/dst"))
        self.assertEqual(set(self.registry.tags("dst/app")), {"v0", "v1", "v2", "w1", "x", "v0-x", "v1-x", "v2-x"})

    def test_what_another_tag_needs_stays(self):
        """A registry deletes an image with all its tags: one that a tag which stays names, alone or in an index, is kept."""
        shared, child = self.image("shared"), self.image("child", architecture="arm64")
        self.push(shared, "src/app:keep")
        index = self.layout.index([platform(self.image("amd"), "amd64"), platform(child, "arm64")])
        self.push(index, "src/app:multi")
        self.assert_success(self.docker("src/app", "dst", "--all"))
        self.push(shared, "dst/app:gone-shared")
        self.push(child, "dst/app:gone-child")
        self.push(self.image("alone"), "dst/app:gone-alone")
        result = self.assert_success(self.docker("src/app", "dst", "--all", "--prune"))
        self.assertEqual(set(self.registry.tags("dst/app")), {"keep", "multi", "gone-shared", "gone-child"})
        self.assertEqual(len(re.findall("is not pruned: ", result.err)), 2, result)
        self.assertEqual(self.registry.get(f"/v2/dst/app/manifests/{child['digest']}")[0], 200)

    def test_nothing_goes_after_a_failure(self):
        """Neither after an image that failed, nor of a repository whose list could not be had, nor for an empty list."""
        self.seed()
        self.push(self.image("old"), "dst/app:old")
        self.push(self.image("old"), "dst/none:old")
        before = self.registry.tags("dst/app")
        # v1 is in the list, and its manifest is not to be had.
        shutil.rmtree(self.registry.storage / "docker/registry/v2/repositories/src/app/_manifests/revisions")
        result = self.docker("src/app", "dst", "--prune", "--keep-going")
        self.assertEqual(result.code, 1, result)
        result = self.docker("src/none", "dst", "--prune")
        self.assertEqual(result.code, 1, result)
        result = self.sync("--src", "yaml", "--dest", "docker", "--prune", "--keep-going", self.yaml("images:\n  src/none: []"), f"{self.address}/dst")
        self.assertEqual(result.code, 1, result)
        self.assertEqual(self.registry.tags("dst/app"), before)
        self.assertEqual(list(self.registry.tags("dst/none")), ["old"])
        self.assertFalse(any(request.method == "DELETE" for request in self.registry.requests()))

    def test_nothing_goes_when_parts_were_passed_over(self):
        """Called as skopeo, which goes on without a repository or pattern that is wrong: its tags are not those that are gone."""
        self.seed()
        self.push(self.image("theirs"), "dst/app:theirs")
        for text in ("images:\n  src/app: []\nimages-by-tag-regex:\n  their/app: x(", "images:\n  src/app: []\n  their/app: []"):
            with self.subTest(text):
                result = self.sync("--insecure-policy", "--src", "yaml", "--dest", "docker", "--prune", self.yaml(text), f"{self.address}/dst",
                                   program=self.as_skopeo)
                self.assertEqual(result.code, 1, result)
                self.assertIn("nothing is pruned", result.err)
                self.assertIn("theirs", self.registry.tags("dst/app"))

    def test_a_repository_that_is_its_own_mirror(self):
        digests = self.seed(tags=("v1", "b-x"))
        self.assert_success(self.docker("src/app", "src", "--prune", "--append-suffix", "-x"))
        self.assertEqual(set(self.registry.tags("src/app")), {"v1", "b-x", "v1-x", "b-x-x"})
        self.assertEqual(self.registry.tags("src/app")["b-x"], digests["b-x"])

    def test_where_it_makes_no_sense(self):
        for source, destination, text in (("docker", "dir", "--dest docker"), ("dir", "docker", "--src docker")):
            self.assert_failure(self.sync("--prune", "--src", source, "--dest", destination, "a", "b"), text=text)
        self.seed()
        result = self.assert_success(self.docker("src/app:v1", "dst", "--prune"))
        self.assertIn("nothing is pruned", result.err)


class ManyTags(Handler):
    """A registry whose repositories have `count` tags each, in pages."""

    count, page = 10_000, 250
    asked = []

    def do_GET(self):
        path, _, query = self.path.partition("?")
        type(self).asked.append(path)
        if path == "/v2/":
            return self.answer(200, body=b"{}")
        if not path.endswith("/tags/list"):
            return self.answer(404)
        start = int(urllib.parse.parse_qs(query).get("last", ["-1"])[0]) + 1
        tags = [str(number) for number in range(start, min(start + self.page, self.count))]
        link = [("Link", f'<{path}?last={tags[-1]}&n={self.page}>; rel="next"')] if start + self.page < self.count else []
        return self.answer(200, headers=link, body=json.dumps({"name": "x", "tags": tags}).encode())

    def do_HEAD(self):
        type(self).asked.append(self.path)
        return self.answer(404)


class Many(SystemTest):
    def test_ten_thousand_tags(self):
        """The list comes in pages and costs little memory; what is there already is known by the destination's list alone."""
        with LoopbackServer(ManyTags) as server:
            ManyTags.asked.clear()
            process = self.start("sync", "--src-tls-verify=false", "--dest-tls-verify=false", "--src", "docker", "--dest", "docker", "--skip-existing",
                                 f"{server.address}/src/app", f"{server.address}/dst")
            out, err = process.stdout.read(), process.stderr.read()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(process.returncode, 0, err)
        self.assertIn("10000 there already", out)
        pages = ManyTags.count // ManyTags.page
        self.assertEqual(ManyTags.asked.count("/v2/src/app/tags/list"), pages)
        self.assertEqual(ManyTags.asked.count("/v2/dst/app/tags/list"), pages)
        self.assertFalse([path for path in ManyTags.asked if "/manifests/" in path])
        if not sanitizer():
            self.assertLess(usage.ru_maxrss, 48 * 1024)


if __name__ == "__main__":
    case.main()
