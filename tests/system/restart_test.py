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


class Restart(SystemTest):
    """The registry has a disk: what was committed is there again, and it may know sessions that it had open."""

    @classmethod
    def setUpClass(cls):
        directory = pathlib.Path(tempfile.mkdtemp(prefix="tug-test-restart-"))
        cls.addClassCleanup(shutil.rmtree, directory, ignore_errors=True)
        cls.layout = Layout(directory)
        cls.descriptor = cls.layout.add(cls.layout.image([{"large": noise(LARGE)}, {"small": noise(50_000)}], level=0))

    def setUp(self):
        super().setUp()
        self.registry = self.enterContext(Registry(self.temp / "registry"))

    def start_push(self, address):
        return self.start("copy", "--no-cache", "--dest-tls-verify=false", self.source(self.layout), f"docker://{address}/restarted:1")

    def assert_pushed(self, process):
        out, err = process.communicate(timeout=300)
        self.assertEqual(process.returncode, 0, f"{out}\n{err}")
        self.assertEqual(err, "")
        self.assert_stored(self.registry, "restarted", "1", self.layout, self.descriptor)

    def push_through_proxy(self, **where):
        """It is stopped at the given point, and the program sees connections that are accepted and closed until it is back."""
        reached, released = threading.Event(), threading.Event()

        def hold():
            reached.set()
            released.wait(60)

        with PausingProxy(self.registry.address, action=hold, **where) as proxy:
            process = self.start_push(proxy.address)
            self.assertTrue(reached.wait(60))
            # In this thread: the registry ends with the thread that started it.
            self.registry.stop()
            released.set()
            time.sleep(SECONDS_AWAY)
            self.registry.start()
            self.assert_pushed(process)

    def test_in_a_body(self):
        self.push_through_proxy(trigger=b"PATCH ", after_bytes=LARGE // 2)

    def test_at_a_commit(self):
        self.push_through_proxy(trigger=b"PUT /v2/restarted/blobs/")

    def test_at_the_manifest(self):
        self.push_through_proxy(trigger=b"PUT /v2/restarted/manifests/")

    def test_connections_are_refused(self):
        """Without a proxy in between: stopped when a part of the large layer is on its disk."""
        process = self.start_push(self.registry.address)
        deadline = time.monotonic() + 60
        while self.largest_upload() < LARGE // 30:
            self.assertIsNone(process.poll(), "the push was over before the registry could be stopped")
            self.assertLess(time.monotonic(), deadline)
        process.send_signal(signal.SIGSTOP)
        self.assertLess(self.largest_upload(), LARGE)
        self.registry.stop()
        process.send_signal(signal.SIGCONT)
        time.sleep(SECONDS_AWAY)
        self.registry.start()
        self.assert_pushed(process)

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
