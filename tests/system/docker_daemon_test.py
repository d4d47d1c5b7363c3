"""docker-daemon: at both ends, with a stand-in for the daemon (no real one runs here), which skopeo talks to as well."""

import hashlib
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import case  # noqa: E402
from support.case import FIXTURES, SystemTest, fixture, registry_for_class, tug_only  # noqa: E402
from support.docker_daemon import DockerDaemon  # noqa: E402
from support.layouts import Layout, noise  # noqa: E402
from support.trees import tree  # noqa: E402

HELLO = f"oci:{FIXTURES}/hello:1.0"


@registry_for_class()
class DaemonTest(SystemTest):
    def setUp(self):
        super().setUp()
        self.daemon = self.enterContext(DockerDaemon(self.temp))

    def to_daemon(self, source, name, **options):
        return self.tug("--insecure-policy", "copy", "--dest-daemon-host", self.daemon.host, source, f"docker-daemon:{name}", **options)

    def from_daemon(self, name, destination, *flags, **options):
        return self.tug("--insecure-policy", "copy", "--src-daemon-host", self.daemon.host, *flags, f"docker-daemon:{name}", destination, **options)

    def assert_refused(self, result, text):
        """A line of the conversion may stand before."""
        self.assertEqual(result.code, 1, str(result))
        self.assertRegex(result.err.splitlines()[-1], f"level=fatal .*{text}", str(result))

    def test_what_the_daemon_gets(self):
        """skopeo's names and config; the archive that it would write into a file. (It hands a daemon the layers compressed as they are.)"""
        for number, name in enumerate(("app:1", "registry.example/team/app:1")):
            with self.subTest(name):
                self.assert_success(self.to_daemon(HELLO, name, program="skopeo"))
                theirs = sorted(self.daemon.images)
                self.daemon.images.clear()
                self.assert_success(self.to_daemon(HELLO, name))
                self.assertEqual(sorted(self.daemon.images), theirs)
                archive = self.temp / f"archive-{number}.tar"
                self.assert_success(self.tug("--insecure-policy", "copy", HELLO, f"docker-archive:{archive}:{name}", program="skopeo"))
                self.assertEqual(hashlib.sha256(self.daemon.images[name]).hexdigest(), hashlib.sha256(archive.read_bytes()).hexdigest())
                self.daemon.images.clear()

    def test_what_the_daemon_gives(self):
        """By name and by ID: the same manifest and config as skopeo sees, and the same layers in a directory."""
        self.assert_success(self.to_daemon(HELLO, "app:1"))
        for number, name in enumerate(sorted(self.daemon.images)):
            with self.subTest(name):
                for flags in (["--raw"], ["--raw", "--config"]):
                    ours, theirs = (
                        self.assert_success(self.tug("inspect", *flags, "--daemon-host", self.daemon.host, f"docker-daemon:{name}", program=program)).out
                        for program in (None, "skopeo")
                    )
                    self.assertEqual(ours, theirs)
                self.assert_success(self.from_daemon(name, f"dir:{self.temp}/dir-{number}"))
                self.assert_success(self.tug("--insecure-policy", "copy", f"dir:{self.temp}/dir-{number}", f"oci:{self.temp}/oci-{number}:x", program="skopeo"))

    @tug_only
    def test_to_a_registry(self):
        layout, descriptor = fixture("hello:1.0")
        self.assert_success(self.to_daemon(HELLO, "app:1"))
        destination = f"docker://{self.registry.address}/daemon/app:1"
        said = self.assert_success(self.from_daemon("app:1", destination, "--dest-tls-verify=false"))
        self.assertEqual(said.out.splitlines()[0], "The Docker daemon is saving the image app:1")
        self.assertEqual(self.assert_success(self.from_daemon("app:1", destination, "--dest-tls-verify=false", "--quiet")).out, "")
        shown = self.assert_success(self.tug("inspect", "--config", "--raw", "--tls-verify=false", destination))
        config = layout.read_json(descriptor)["config"]["digest"]
        self.assertEqual("sha256:" + hashlib.sha256(shown.out.encode()).hexdigest(), config)
        raw = self.tug("inspect", "--raw", "--daemon-host", self.daemon.host, "docker-daemon:app:1")
        self.assertEqual(self.assert_success(raw).json()["config"]["digest"], config)

    @tug_only
    def test_large_layers(self):
        """More than a pipe and a buffer hold."""
        source = Layout(self.temp / "source")
        source.add(source.image([{"a": noise(3_000_000)}, {"b": noise(1_000_000)}]), ref="large")
        self.assert_success(self.to_daemon(f"oci:{source.path}:large", "large:1"))
        self.assert_success(self.from_daemon("large:1", f"dir:{self.temp}/back"))
        self.assertGreater(sum(path.stat().st_size for path in (self.temp / "back").iterdir()), 4_000_000)

    def test_not_there(self):
        result = self.from_daemon("nothing:1", f"dir:{self.temp}/x")
        self.assert_failure(result, text="No such image: nothing:1", code=2 if case.IS_SKOPEO is False else result.code)
        self.assertEqual(tree(self.temp / "x") if (self.temp / "x").exists() else {}, {})

    @tug_only
    def test_refused(self):
        """A daemon says so with status 200, at the end of its answer."""
        self.daemon.refuse = "no space left on device"
        self.assert_refused(self.to_daemon(HELLO, "app:1"), "Docker daemon at unix://.* says: no space left on device")
        self.assertEqual(self.daemon.images, {})

    @tug_only
    def test_breaks_off(self):
        source = Layout(self.temp / "source")
        source.add(source.image([{"a": noise(3_000_000)}]), ref="large")
        self.assert_success(self.to_daemon(f"oci:{source.path}:large", "large:1"))
        self.daemon.break_after = 1_000_000
        result = self.from_daemon("large:1", f"dir:{self.temp}/x")
        self.assert_failure(result, text="Docker daemon", code=1)

    @tug_only
    def test_a_source_that_breaks_off(self):
        """The daemon gets no end of the archive, so that it loads nothing."""
        source = Layout(self.temp / "source")
        image = source.image([{"a": noise(3_000_000)}, {"b": noise(3_000_000)}])
        source.add(image, ref="broken")
        last = source.read_json(image)["layers"][-1]["digest"]
        path = source.path / "blobs" / last.replace(":", "/")
        path.write_bytes(path.read_bytes()[:-1000])
        self.assert_refused(self.to_daemon(f"oci:{source.path}:broken", "app:1"), last.split(":")[1][:12])
        self.assertEqual(self.daemon.images, {})

    @tug_only
    def test_nobody_listens(self):
        for host in (f"unix://{self.temp}/nowhere.sock", "http://127.0.0.1:9"):
            with self.subTest(host):
                result = self.tug("copy", "--src-daemon-host", host, "docker-daemon:app:1", f"dir:{self.temp}/x")
                self.assert_failure(result, text=f"Docker daemon at {host}.*is it running", code=1)
                result = self.tug("copy", "--dest-daemon-host", host, HELLO, "docker-daemon:app:1")
                self.assert_refused(result, f"Docker daemon at {host}.*is it running")

    @tug_only
    def test_references(self):
        cases = {
            "docker-daemon:app": "neither tag nor digest",
            "docker-daemon:sha256:123": "sha256 is for IDs",
            "docker-daemon:app:1": "",
        }
        for reference, text in cases.items():
            if text:
                with self.subTest(reference):
                    self.assert_failure(self.tug("inspect", "--daemon-host", self.daemon.host, reference), text=text, code=1)
        by_id = "docker-daemon:sha256:" + 64 * "0"
        self.assert_failure(self.tug("copy", "--dest-daemon-host", self.daemon.host, HELLO, by_id), text="must be a name:tag", code=1)
        for host in ("docker.sock", "unix://", "ftp://x"):
            with self.subTest(host):
                self.assert_failure(self.tug("inspect", "--daemon-host", host, "docker-daemon:app:1"), text="is no Docker daemon", code=1)
        self.assertEqual(self.daemon.requests, [])


if __name__ == "__main__":
    case.main()
