"""A registry that is stopped for three seconds in mid-push and started again: with its default settings the push succeeds."""

import pathlib
import shutil
import signal
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import case  # noqa: E402
from support.case import SystemTest  # noqa: E402
from support.layouts import Layout, noise  # noqa: E402
from support.proxy import PausingProxy  # noqa: E402
from support.registry import Registry  # noqa: E402

SECONDS_AWAY = 3
LARGE = 30_000_000
MANIFEST = b"PUT /v2/restarted/manifests/"


class Restart(SystemTest):
    """The registry has a disk: what was committed is there again, and it may know sessions that it had open."""

    @classmethod
    def setUpClass(cls):
        directory = pathlib.Path(tempfile.mkdtemp(prefix="tug-test-restart-"))
        cls.addClassCleanup(shutil.rmtree, directory, ignore_errors=True)
        cls.layout = Layout(directory)
        cls.descriptor = cls.layout.add(cls.layout.image([{"large": noise(LARGE)}, {"small": noise(50_000)}], level=0))
        _, cls.blobs = cls.layout.closure(cls.descriptor)
        cls.large = max(cls.blobs, key=lambda each: each["size"])
        cls.small = [each for each in cls.blobs if each != cls.large]
        cls.commit = f"digest={cls.large['digest'].replace(':', '%3A')}".encode()

    def setUp(self):
        super().setUp()
        self.registry = self.enterContext(Registry(self.temp / "registry"))

    def start_push(self, address):
        return self.start("copy", "--no-cache", "--dest-tls-verify=false", self.source(self.layout), f"docker://{address}/restarted:1")

    def finished(self, process):
        out, err = process.communicate(timeout=300)
        return process.returncode, out, err

    def assert_pushed(self, result):
        status, out, err = result
        self.assertEqual(status, 0, f"{out}\n{err}")
        self.assertEqual(err, "")
        self.assert_stored(self.registry, "restarted", "1", self.layout, self.descriptor)

    def wait_until(self, condition):
        deadline = time.monotonic() + 60
        while not condition():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.005)

    def has(self, blobs):
        return all(self.registry.has_blob_link("restarted", each["digest"]) for each in blobs)

    def push_through_proxy(self, *, stopped_when, meanwhile=lambda: None, **where):
        """It is stopped at the given point, and the program sees connections that are accepted and closed until it is back. Not before
        `stopped_when`: what it does with half of a manifest that it was writing is for test_half_a_manifest."""
        reached, released = threading.Event(), threading.Event()

        def hold():
            reached.set()
            released.wait(60)

        with PausingProxy(self.registry.address, action=hold, **where) as proxy:
            process = self.start_push(proxy.address)
            self.assertTrue(reached.wait(60))
            self.wait_until(stopped_when)
            # In this thread: the registry ends with the thread that started it.
            self.registry.stop()
            meanwhile()
            released.set()
            time.sleep(SECONDS_AWAY)
            self.registry.start()
            return self.finished(process)

    def test_in_a_body(self):
        self.assert_pushed(self.push_through_proxy(
            trigger=b"PATCH ", after_bytes=LARGE // 2, stopped_when=lambda: self.has(self.small)))

    def test_before_a_commit(self):
        self.assert_pushed(self.push_through_proxy(
            trigger=self.commit, hold_back=True, stopped_when=lambda: self.has(self.small)))

    def test_after_a_commit(self):
        self.assert_pushed(self.push_through_proxy(
            trigger=self.commit, lose_answer=True, stopped_when=lambda: self.has(self.blobs)))

    def test_before_the_manifest(self):
        self.assert_pushed(self.push_through_proxy(
            trigger=MANIFEST, hold_back=True, stopped_when=lambda: self.has(self.blobs)))

    def test_after_the_manifest(self):
        self.assert_pushed(self.push_through_proxy(trigger=MANIFEST, lose_answer=True, stopped_when=self.is_tagged))

    def test_half_a_manifest(self):
        """Ended while it wrote one, it has an empty file, and says 201 to the next try without writing: that is no push."""
        def keep_half():
            half = self.registry.blob_path(self.descriptor["digest"])
            half.parent.mkdir(parents=True)
            half.touch()

        status, out, err = self.push_through_proxy(
            trigger=MANIFEST, hold_back=True, stopped_when=lambda: self.has(self.blobs), meanwhile=keep_half)
        self.assertEqual(status, 1, f"{out}\n{err}")
        self.assertEqual(err.count("\n"), 1)
        self.assertRegex(err, rf"pushing manifest {self.descriptor['digest']} to 127.0.0.1:\d+/restarted:1: .* does not give it back")
        self.assertIn("storage", err)

    def test_half_a_tag(self):
        """The registry answers 500 to who asks for it, until it is written again."""
        self.assert_pushed(self.finished(self.start_push(self.registry.address)))
        self.registry.tag_path("restarted", "1").write_text("")
        self.assert_pushed(self.finished(self.start_push(self.registry.address)))

    def is_tagged(self):
        return self.registry.tags("restarted").get("1") == self.descriptor["digest"]

    def test_connections_are_refused(self):
        """Without a proxy in between: stopped when a part of the large layer is on its disk."""
        process = self.start_push(self.registry.address)
        deadline = time.monotonic() + 60
        while self.largest_upload() < LARGE // 30:
            self.assertIsNone(process.poll(), "the push was over before the registry could be stopped")
            self.assertLess(time.monotonic(), deadline)
        process.send_signal(signal.SIGSTOP)
        self.assertLess(self.largest_upload(), LARGE)
        time.sleep(0.3)  # what it has whole, it may write whole
        self.registry.stop()
        process.send_signal(signal.SIGCONT)
        time.sleep(SECONDS_AWAY)
        self.registry.start()
        self.assert_pushed(self.finished(process))

    def largest_upload(self):
        files = self.registry.storage.glob("docker/registry/v2/repositories/restarted/_uploads/*/data")
        return max((size_of(file) for file in files), default=0)


def size_of(file):
    try:
        return file.stat().st_size
    except FileNotFoundError:  # it was committed meanwhile
        return 0


if __name__ == "__main__":
    case.main()
