"""How a push ends that is not let end by itself: signals, an output that takes nothing or was closed."""

import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import case  # noqa: E402
from support.case import FIXTURES, SystemTest, registry_for_class, scaled  # noqa: E402
from support.layouts import Layout, noise  # noqa: E402
from support.proxy import PausingProxy  # noqa: E402
from support.registry import die_with_parent  # noqa: E402

SIGNALS = ((signal.SIGINT, 130), (signal.SIGTERM, 143))
SOON = scaled(2, 20)  # seconds
HTTP = ["--dest-tls-verify=false", "--no-cache"]
# With these an interrupted push keeps no session to go on with, so it cancels them.
CANCELS = ["--no-resume"]
HELLO = f"oci:{FIXTURES}/hello:1.0"
LARGE = 3_000_000


class Interruption(SystemTest):
    def interrupt(self, process, number, code):
        """It ends within the time that a user who pressed ^C has patience, with one line."""
        began = time.monotonic()
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        self.assertLess(time.monotonic() - began, SOON)
        self.assertEqual(process.returncode, code, err)
        self.assertRegex(err, r"\A" + case.FATAL_LINE.pattern + r"\Z")
        return out, err


@registry_for_class()
class InMidPush(Interruption):
    def setUp(self):
        super().setUp()
        self.layout = Layout(self.temp / "image")
        self.layout.add(self.layout.image([{"large": noise(LARGE)}, {"small": noise(50_000)}], level=0))

    @contextlib.contextmanager
    def held_push(self, repository, *flags, **where):
        """A push that is held at the given point, for as long as the block lasts."""
        reached, released = threading.Event(), threading.Event()

        def hold():
            reached.set()
            released.wait(120)

        with PausingProxy(self.registry.address, action=hold, **where) as proxy:
            process = self.start("copy", *HTTP, *flags, self.source(self.layout), f"docker://{proxy.address}/{repository}:1")
            self.assertTrue(reached.wait(60))
            try:
                yield process
            finally:
                proxy.cut()
                released.set()

    def requests_for_sessions(self, method, repository):
        """{session: status}"""
        prefix = f"/v2/{repository}/blobs/uploads/"
        return {each.path.removeprefix(prefix).partition("?")[0]: each.status for each in self.registry.requests()
                if each.method == method and each.path.startswith(prefix)}

    def test_in_a_body(self):
        """The session is cancelled, though distribution 2.8 does not take that: the URL that the client has knows of no byte (it carries
        the offset), the session's file has some, and that it calls an invalid upload. It purges them by itself."""
        for number, code in SIGNALS:
            with self.subTest(signal=number.name), self.held_push(f"body-{code}", *CANCELS, after_bytes=LARGE // 3) as process:
                self.wait_for_small_blobs(f"body-{code}")
                self.interrupt(process, number, code)
                open_sessions = self.registry.open_uploads(f"body-{code}")
                self.assertNotEqual(open_sessions, [])
                self.assertLessEqual(set(open_sessions), set(self.requests_for_sessions("DELETE", f"body-{code}")))
                self.assertEqual(self.registry.tags(f"body-{code}"), {})

    def test_before_a_body(self):
        """The session is cancelled."""
        for number, code in SIGNALS:
            repository = f"session-{code}"
            with self.subTest(signal=number.name), self.held_push(repository, *CANCELS, hold_back=True) as process:
                self.wait_for_small_blobs(repository)
                self.assertEqual(len(self.registry.open_uploads(repository)), 1)
                self.interrupt(process, number, code)
                self.assertEqual(self.registry.open_uploads(repository), [])
                # A small one too, where the signal came before the answer to its PUT.
                self.assertEqual(list(self.requests_for_sessions("DELETE", repository).values()).count(204), 1)
                self.assertEqual(self.registry.tags(repository), {})

    def test_while_waiting_for_an_answer(self):
        for trigger in ("HEAD /v2/{}/manifests/", "HEAD /v2/{}/blobs/", "POST /v2/{}/blobs/uploads/", "PUT /v2/{}/manifests/"):
            for number, code in SIGNALS:
                repository = f"{trigger.lower()[:3]}-{code}"
                held_at = trigger.format(repository).encode()
                with self.subTest(signal=number.name, trigger=trigger), self.held_push(repository, *CANCELS, trigger=held_at, hold_back=True) as process:
                    self.interrupt(process, number, code)
                self.assertEqual(self.registry.tags(repository), {})

    def wait_for_small_blobs(self, repository):
        deadline = time.monotonic() + 60
        while list(self.requests_for_sessions("PUT", repository).values()) != [201, 201]:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)

    def test_json(self):
        """A script is told by an object as well."""
        with self.held_push("json", *CANCELS, "--json") as process:
            out, _ = self.interrupt(process, *SIGNALS[0])
        self.assertEqual(json.loads(out)["error"]["class"], "interrupted")

    def test_a_registry_that_is_dead_is_not_waited_for(self):
        """Cancelling is best effort. The second signal does not even wait for that."""
        with self.held_push("dead", *CANCELS, after_bytes=LARGE // 3) as process, self.stopped_registry():
            self.interrupt(process, *SIGNALS[0])
        # Who ends at once waits for no thread: the thread sanitizer must not take that for a leak.
        self.environment["TSAN_OPTIONS"] = self.environment.get("TSAN_OPTIONS", "") + ":report_thread_leaks=0"
        with self.held_push("twice", *CANCELS, after_bytes=LARGE // 3) as process, self.stopped_registry():
            process.send_signal(signal.SIGINT)
            time.sleep(0.3)
            self.assertIsNone(process.poll(), "the first signal left nothing for the second to end")
            process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=60)
            self.assertEqual((process.returncode, err), (143, ""))
        self.assertEqual(self.registry.tags("dead") | self.registry.tags("twice"), {})

    @contextlib.contextmanager
    def stopped_registry(self):
        os.kill(self.registry.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.registry.pid, signal.SIGCONT)


class BeforeAnythingIsSent(Interruption):
    def test_no_answer_at_all(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            for number, code in SIGNALS:
                with self.subTest(signal=number.name):
                    process = self.start("copy", *HTTP, HELLO, "docker://127.0.0.1:%d/x" % listener.getsockname()[1])
                    connection, _ = listener.accept()
                    while not connection.recv(1):  # the spare one of the process before
                        connection.close()
                        connection, _ = listener.accept()
                    self.interrupt(process, number, code)
                    connection.close()

    def test_between_two_attempts(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            for number, code in SIGNALS:
                with self.subTest(signal=number.name):
                    process = self.start("copy", "--debug", "--retry-delay=100s", *HTTP, HELLO, "docker://127.0.0.1:%d/x" % listener.getsockname()[1])
                    closing = threading.Thread(target=close_each, args=(listener, 2), daemon=True)
                    closing.start()
                    while "trying again in 100000 ms" not in process.stderr.readline():
                        self.assertIsNone(process.poll())
                    self.interrupt(process, number, code)
                    closing.join(60)


@registry_for_class()
class Output(SystemTest):
    """What is asked for is delivered, or the exit code says that it was not; and our words go nowhere else."""

    def run_in_shell(self, redirections, *arguments, program=None):
        """(exit code, stdout, stderr), what the redirections leave of them."""
        process = subprocess.run(["sh", "-c", f'exec "$@" {redirections}', "sh", program or case.TUG, *arguments], env=self.environment,
                                 cwd=self.temp, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                 timeout=120, preexec_fn=die_with_parent)
        return process.returncode, process.stdout, process.stderr

    def push_arguments(self, name, *flags):
        return ["copy", *HTTP, *flags, HELLO, f"docker://{self.registry.address}/{name}:1"]

    def assert_pushed(self, name):
        layout, descriptor = case.fixture("hello:1.0")
        self.assert_stored(self.registry, name, "1", layout, descriptor)

    def test_stdout_that_takes_nothing(self):
        for redirection, reason in ((">/dev/full", "No space left on device"), (">&-", "Bad file descriptor"), ("1</dev/null", "Bad file descriptor")):
            for arguments in (["--version"], ["--help"], ["copy", "--help"], ["inspect", HELLO], ["inspect", "--raw", HELLO],
                              self.push_arguments("taken", "--dry-run"), self.push_arguments("taken", "--json")):
                with self.subTest(redirection=redirection, arguments=arguments):
                    code, _, err = self.run_in_shell(redirection, *arguments)
                    self.assertEqual(code, 1)
                    self.assertRegex(err, r"\A" + case.FATAL_LINE.pattern + r"\Z")
                    self.assertIn(f"standard output: {reason}", err)

    def test_reader_that_went_away(self):
        for arguments in (["inspect", HELLO], self.push_arguments("unread", "--json")):
            with self.subTest(arguments=arguments):
                read, write = os.pipe()
                os.close(read)
                process = subprocess.run([case.TUG, *arguments], env=self.environment, stdin=subprocess.DEVNULL, stdout=write, timeout=60,
                                         stderr=subprocess.PIPE, text=True, preexec_fn=die_with_parent)
                os.close(write)
                self.assertEqual(process.returncode, 1)
                self.assertIn("standard output: Broken pipe", process.stderr)

    def test_the_story_of_a_push_may_be_lost(self):
        """Nobody asked for it: the image counts."""
        for number, redirections in enumerate((">/dev/full", ">&-", "2>&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-", ">/dev/full 2>/dev/full")):
            with self.subTest(redirections=redirections):
                code, _, err = self.run_in_shell(redirections, *self.push_arguments(f"story-{number}"))
                self.assertEqual((code, err), (0, ""))
                self.assert_pushed(f"story-{number}")

    def test_a_failure_that_nobody_can_be_told_has_its_exit_code(self):
        for redirections in ("2>&-", "2>/dev/full", ">&- 2>&-", "<&- >&- 2>&-"):
            with self.subTest(redirections=redirections):
                code, _, _ = self.run_in_shell(redirections, "copy", "--json", *HTTP, f"oci:{self.temp}/none", f"docker://{self.registry.address}/none:1")
                self.assertEqual(code, 1)
                code, _, _ = self.run_in_shell(redirections, "--unknown")
                self.assertEqual(code, 1)

    def test_closed_descriptors_are_not_given_to_our_files(self):
        """With the log and the story closed, neither is written into what was opened in their place: the cache is as it should be, and
        signals are still heard."""
        self.own_cache()
        for number, redirections in enumerate((">&- 2>&-", "<&- >&- 2>&-")):
            with self.subTest(redirections=redirections):
                arguments = [each for each in self.push_arguments(f"closed-{number}", "--debug") if each != "--no-cache"]
                code, _, _ = self.run_in_shell(redirections, *arguments)
                self.assertEqual(code, 0)
                self.assert_pushed(f"closed-{number}")
        again = self.tug("copy", "--debug", HTTP[0], HELLO, f"docker://{self.registry.address}/closed-after:1")
        self.assert_success(again)
        self.assertNotIn("blob info cache /", again.err)

    def test_signals_are_heard_without_descriptors(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            reference = "docker://127.0.0.1:%d/x" % listener.getsockname()[1]
            process = self.start("-c", 'exec "$@" <&- >&- 2>&-', "sh", case.TUG, "copy", "--debug", "--retry-delay=100ms", *HTTP, HELLO, reference,
                                 program="sh")
            close_each(listener, 2)  # some lines of its log have been written by now
            connection, _ = listener.accept()
            self.assertTrue(connection.recv(1))
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(60), 143)
            connection.close()

    def test_digestfile_that_takes_nothing(self):
        """It is asked before the push whether it can be written, but only writing shows that it is full."""
        code, _, err = self.run_in_shell("", *self.push_arguments("digest", "--digestfile=/dev/full"))
        self.assertEqual(code, 1)
        self.assertRegex(err, r"\A" + case.FATAL_LINE.pattern + r"\Z")
        self.assertRegex(err, "/dev/full.*No space left on device")


def close_each(listener, count):
    """Closes so many connections once they have said something."""
    for _ in range(count):
        connection, _ = listener.accept()
        connection.recv(1)
        connection.close()


if __name__ == "__main__":
    case.main()
