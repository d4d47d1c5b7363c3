"""--progress: what a person sees on a terminal in the middle of a push and at its end, and what a log and a program read."""

import fcntl
import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import case  # noqa: E402
from support.case import SystemTest, registry_for_class  # noqa: E402
from support.layouts import Layout, noise  # noqa: E402
from support.proxy import SlowProxy  # noqa: E402
from support.registry import die_with_parent  # noqa: E402
from support.terminal import Terminal  # noqa: E402

BAR_LINE = re.compile(r"[0-9a-f]{12} \[=*>? +\] +\d+(\.\d)? k?M?B / \d+(\.\d)? k?M?B +\d+(\.\d)? k?M?B/s")
TOTAL_LINE = re.compile(r"total {8}\[=*>? +\] +\d+(\.\d)? k?M?B / \d+(\.\d)? k?M?B +\d+(\.\d)? k?M?B/s( (\d+m)?\d+s left)?")
LOG_LINE = re.compile(r'time="[^"]+" level=info msg="(.*)"')
STORY = ["Getting image source signatures", "Copying blob", "Copying blob", "Copying blob", "Copying config", "Writing manifest to image destination"]


class OnTerminal:
    """The program with a pseudo-terminal as standard output and standard error, and what is on the screen."""

    def __init__(self, test, arguments, *, program=(case.TUG,), columns=100, rows=24, stdout=None, environment=()):
        self._master, slave = pty.openpty()
        self.terminal = Terminal(columns, rows)
        self._set_size(columns, rows)
        self._process = subprocess.Popen([*program, *map(str, arguments)], stdin=slave, stdout=slave if stdout is None else stdout, stderr=slave,
                                         env={**test.environment, "TERM": "xterm", **dict(environment)}, cwd=test.temp, preexec_fn=self._own_the_terminal)
        os.close(slave)
        self.raw = b""
        test.addCleanup(self._clean_up)

    @staticmethod
    def _own_the_terminal():
        die_with_parent()
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def _set_size(self, columns, rows):
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def resize(self, columns, rows=24):
        """As a terminal does it: what was written has its new form before the program learns of it."""
        self.terminal.resize(columns, rows)
        self._set_size(columns, rows)

    def read(self, seconds):
        """Whether there was more to read."""
        ready, _, _ = select.select([self._master], [], [], seconds)
        if not ready:
            return True
        try:
            data = os.read(self._master, 65536)
        except OSError:  # EIO: nobody has the other end any more
            data = b""
        self.raw += data
        self.terminal.feed(data.decode(errors="replace"))
        return bool(data)

    def screen(self):
        return self.terminal.lines()

    def wait_for(self, condition, what, seconds=100):
        """Reads until the lines of the screen fulfil it, and returns them."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            # What is half drawn is not what a person sees.
            if not select.select([self._master], [], [], 0.05)[0] and condition(self.screen()):
                return self.screen()
            if not self.read(0.05):
                break
        raise AssertionError(f"{what} does not come; the screen is\n" + "\n".join(self.screen()) + f"\n{self.raw!r}")

    def end(self, seconds=200):
        """Reads to its end; its exit code."""
        deadline = time.monotonic() + seconds
        while self.read(0.5):
            if time.monotonic() > deadline:
                raise AssertionError("still running; the screen is\n" + "\n".join(self.screen()))
        return self._process.wait(timeout=60)

    def signal(self, number):
        self._process.send_signal(number)

    def _clean_up(self):
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._master)


def has_bars(count):
    """As many, and that of the config, which is soon over, gone."""
    def condition(lines):
        bars = [line for line in lines if re.match(r"[0-9a-f]{12} ", line)]
        return len(bars) == count and all(map(BAR_LINE.fullmatch, bars)) and any(map(TOTAL_LINE.fullmatch, lines))
    return condition


@case.tug_only
@registry_for_class()
class Progress(SystemTest):
    """The layers are larger than what the system takes off the program's hands: while the proxy holds them, no bar is full."""

    @classmethod
    def make_layout(cls):
        """One layout for all tests: they only read it."""
        if not hasattr(cls, "layout"):
            directory = pathlib.Path(tempfile.mkdtemp(prefix="tug-test-layout-"))
            cls.addClassCleanup(shutil.rmtree, directory, ignore_errors=True)
            cls.layout = Layout(directory)
            layers = [{"file": noise(size)} for size in (12_000_000, 8_000_000, 6_000_000)]
            image = cls.layout.add(cls.layout.image(layers, level=1))
            cls.blobs = {each["digest"]: each["size"] for each in cls.layout.closure(image)[1]}
            cls.layers = [digest for digest, size in cls.blobs.items() if size > 1_000_000]

    def setUp(self):
        super().setUp()
        self.make_layout()

    def proxy(self, **settings):
        proxy = SlowProxy(self.registry.address, **settings)
        self.enterContext(proxy)
        return proxy

    def arguments(self, proxy, *flags, repository=None):
        destination = f"docker://{proxy.address}/{repository or self.id().rpartition('.')[2]}:1"
        return ("copy", "--no-cache", "--dest-tls-verify=false", *flags, self.source(self.layout), destination)

    def story(self, lines):
        """The lines of the story, in skopeo's words, without digests."""
        return [re.sub(r" sha256:[0-9a-f]{64}", "", line) for line in lines if line]

    def assert_only_story(self, run, story=STORY):
        """Nothing is left behind."""
        self.assertEqual(self.story(run.screen()), story, repr(run.raw))

    # ---- a terminal

    def test_a_push_on_a_terminal(self):
        """A bar for each blob below the story while it lasts, and the story alone at the end."""
        proxy = self.proxy(hold_at=300_000)
        run = OnTerminal(self, self.arguments(proxy))
        lines = run.wait_for(has_bars(3), "bars")
        self.assertEqual(self.story(lines[:5]), STORY[:5])
        self.assertEqual({line[:12] for line in lines[5:8]}, {layer[7:19] for layer in self.layers})
        self.assertRegex(lines[8], TOTAL_LINE)
        self.assertRegex(lines[8], r" / 26\.0 MB ")
        self.assertTrue(all(len(line) < 100 for line in lines), lines)
        self.assertIn(b"\x1b[32m", run.raw)
        proxy.release()
        self.assertEqual(run.end(), 0)
        self.assert_only_story(run)
        self.assertEqual(run.terminal.cursor_column, 0)

    def test_a_quick_push_shows_nothing(self):
        """Not one control sequence for what is over at once."""
        for tag in (1, 2):
            destination = f"docker://{self.registry.address}/quick:{tag}"
            run = OnTerminal(self, ("copy", "--no-cache", "--dest-tls-verify=false", self.source("hello:1.0"), destination))
            self.assertEqual(run.end(), 0)
            if not case.sanitizer():
                self.assertNotIn(b"\x1b", run.raw)

    def test_resize(self):
        """Lines of a terminal that has become narrower were wrapped by it: they are all taken away, and the story is not."""
        proxy = self.proxy(hold_at=300_000)
        run = OnTerminal(self, self.arguments(proxy), columns=120)
        run.wait_for(has_bars(3), "bars")
        for columns in (50, 30, 100):
            run.resize(columns)
            wanted = r"[0-9a-f]{12} \[=*>? *\] .*" if columns == 100 else r"[0-9a-f]{12} +\d.* MB.*" if columns == 50 else r"[0-9a-f]{12} \d+ %"
            lines = run.wait_for(lambda lines: sum(1 for line in lines if re.fullmatch(wanted, line)) == 3, f"a screen of {columns} columns")
            self.assertEqual(sum(1 for line in lines if line.startswith("total")), 1, lines)
            self.assertEqual(self.unwrapped(lines[:-4]), STORY[:5], lines)
            self.assertTrue(all(len(line) < columns for line in lines[-4:]), lines)
        proxy.release()
        self.assertEqual(run.end(), 0)
        self.assertEqual(self.unwrapped(run.screen()), STORY)

    def unwrapped(self, lines):
        """The story of a screen on which its lines were wrapped."""
        text = "".join(lines)
        found = re.findall(r"Getting image source signatures|Copying blob|Copying config|Writing manifest to image destination", text)
        rest = re.sub("|".join(map(re.escape, sorted(set(found), key=len, reverse=True))) + r"| sha256:[0-9a-f]{64}", "", text)
        self.assertEqual(rest, "", lines)
        return found

    def test_a_narrow_and_low_terminal(self):
        """Nothing wraps, and the total is there when not all blobs can be."""
        proxy = self.proxy(hold_at=300_000)
        run = OnTerminal(self, self.arguments(proxy, "--quiet", "--progress=auto"), columns=20, rows=5)
        lines = run.wait_for(lambda lines: lines[1:2] == ["and 2 more"] and len(lines) == 3, "three lines")
        self.assertRegex(lines[0], r"\A[0-9a-f]{12} \d+ %\Z")
        self.assertRegex(lines[2], r"\Atotal \d+ %")
        proxy.release()
        self.assertEqual(run.end(), 0)
        self.assertEqual(run.screen(), [])

    def test_no_color(self):
        """NO_COLOR: bars without colors."""
        proxy = self.proxy(hold_at=300_000)
        run = OnTerminal(self, self.arguments(proxy), environment={"NO_COLOR": "1"})
        run.wait_for(has_bars(3), "bars")
        proxy.release()
        self.assertEqual(run.end(), 0)
        self.assertNotRegex(run.raw, rb"\x1b\[[0-9;]*m")
        self.assert_only_story(run)

    def test_terminals_and_modes_without_bars(self):
        """A dumb terminal, --quiet, --json, none: no control sequence."""
        for flags, environment in (((), {"TERM": "dumb"}), (("--quiet",), {}), (("--json",), {}), (("--progress", "none"), {})):
            with self.subTest(flags=flags):
                proxy = self.proxy(rate=16_000_000)
                run = OnTerminal(self, self.arguments(proxy, *flags), environment=environment)
                self.assertEqual(run.end(), 0)
                self.assertNotIn(b"\x1b", run.raw)

    def assert_story_and_error(self, lines):
        """The screen has what was said, and nothing of the bars."""
        self.assertEqual(self.story(lines[:5]), STORY[:5])
        self.assertRegex(lines[5], r"\AFATA\[\d{4}\] ")
        self.assertFalse([line for line in lines if BAR_LINE.search(line) or TOTAL_LINE.search(line)], lines)

    def test_a_failure(self):
        """The connection breaks: the message stands below the story, where the bars were."""
        proxy = self.proxy(hold_at=300_000)
        run = OnTerminal(self, self.arguments(proxy, "--retry-times=0"))
        run.wait_for(has_bars(3), "bars")
        proxy.stop()
        self.assertEqual(run.end(), 1)
        self.assert_story_and_error(run.screen())

    def test_an_interrupt(self):
        """SIGINT takes the bars away at once, before the message."""
        proxy = self.proxy(hold_at=300_000)
        run = OnTerminal(self, self.arguments(proxy))
        run.wait_for(has_bars(3), "bars")
        run.signal(signal.SIGINT)
        self.assertEqual(run.end(), 130)
        self.assert_story_and_error(run.screen())

    def test_standard_output_elsewhere(self):
        """The story in a file, the bars on the terminal."""
        proxy = self.proxy(hold_at=300_000)
        with open(self.temp / "story", "wb") as story:
            run = OnTerminal(self, self.arguments(proxy), stdout=story)
        lines = run.wait_for(has_bars(3), "bars")
        self.assertEqual(len(lines), 4)
        proxy.release()
        self.assertEqual(run.end(), 0)
        self.assertEqual(run.screen(), [])
        self.assertEqual(self.story((self.temp / "story").read_text().splitlines()), STORY)

    def test_in_the_background(self):
        """The terminal belongs to another program: nothing is drawn over what that shows."""
        proxy = self.proxy(rate=16_000_000)
        run = OnTerminal(self, self.arguments(proxy), program=("bash", "-c", 'set -m; "$@" & wait $!', "bash", case.TUG))
        self.assertEqual(run.end(), 0)
        self.assertNotIn(b"\x1b", run.raw)
        self.assertEqual(self.story(run.screen())[:len(STORY)], STORY)

    # ---- no terminal

    def test_no_terminal(self):
        """Without one, a push that is over soon says nothing on standard error; one that lasts says a line each ten seconds, but not
        in place of skopeo, whose callers take the beginning of standard error for the reason."""
        result = self.assert_success(self.tug(*self.arguments(self.proxy(rate=60_000_000), repository="quick")))
        self.assertEqual(result.err, "")
        self.assertEqual(self.story(result.lines), STORY)
        (self.temp / "skopeo").symlink_to(case.TUG)
        proxies = [self.proxy(hold_at=300_000) for _ in range(2)]
        runs = [self.start(*self.arguments(proxies[0], repository="as-tug")),
                self.start(*self.arguments(proxies[1], repository="as-skopeo"), program=self.temp / "skopeo")]
        first = runs[0].stderr.readline()
        self.assertRegex(LOG_LINE.fullmatch(first.strip()).group(1), r"\Asent \d.* of 26\.0 MB \(\d+ %\), [01] blobs? done, \d.*B/s(, .* left)?\Z")
        for proxy in proxies:
            proxy.release()
        out, err = runs[1].communicate(timeout=100)
        self.assertEqual((runs[1].returncode, err), (0, ""))
        out, err = runs[0].communicate(timeout=100)
        self.assertEqual(runs[0].returncode, 0)
        for line in err.splitlines():
            self.assertRegex(line, LOG_LINE)

    def test_plain(self):
        """A line for each blob, whatever became of it."""
        for flags in (("--progress=plain",), ("--progress", "plain", "--quiet")):
            result = self.assert_success(self.tug(*self.arguments(self.registry, *flags), "--no-skip-existing"))
            texts = [LOG_LINE.fullmatch(line).group(1) for line in result.err.splitlines()]
            known = sorted(text.split()[0] for text in texts)
            self.assertEqual(known, sorted(self.blobs))
            words = {text.split()[1].strip(":") for text in texts}
            if flags == ("--progress=plain",):
                self.assertEqual(words, {"uploaded"})
                self.assertEqual(self.story(result.lines), STORY)
                self.assertTrue(any(re.search(r" uploaded: 12\.0 MB in \d+\.\d s", text) for text in texts), texts)
            else:
                self.assertEqual((words, result.out), ({"existed"}, ""))

    def test_json(self):
        """An object per line: each blob begins, gets on, and ends; standard output is as it is without."""
        proxy = self.proxy(hold_at=300_000)
        run = self.start(*self.arguments(proxy, "--json", "--progress=json"))
        events = []
        while not {"bytes"} & {event["event"] for event in events}:
            events.append(json.loads(run.stderr.readline()))
        proxy.release()
        out, err = run.communicate(timeout=100)
        self.assertEqual(run.returncode, 0)
        events += map(json.loads, err.splitlines())
        destination = json.loads(out)["destination"]
        for digest, size in self.blobs.items():
            own = [event for event in events if event["digest"] == digest]
            self.assertEqual([own[0]["event"], own[-1]["event"]], ["started", "finished"])
            self.assertEqual({event["event"] for event in own[1:-1]} - {"bytes"}, set())
            self.assertEqual((own[-1]["outcome"], own[-1]["bytes"]), ("uploaded", size))
            self.assertEqual({event["total"] for event in own}, {size})
            self.assertEqual({event["destination"] for event in own}, {destination})
        self.assertEqual({event["digest"] for event in events}, set(self.blobs))

    def test_json_of_a_failure(self):
        """Blobs that did not get there end too; the error is the last line."""
        proxy = self.proxy(hold_at=300_000)
        run = self.start(*self.arguments(proxy, "--retry-times=0", "--progress=json"))
        events = [json.loads(run.stderr.readline()) for _ in self.layers]
        proxy.stop()
        out, err = run.communicate(timeout=100)
        self.assertEqual(run.returncode, 1)
        *rest, fatal = err.splitlines()
        self.assertRegex(fatal + "\n", case.FATAL_LINE)
        events += map(json.loads, rest)
        for digest in {event["digest"] for event in events}:
            own = [event for event in events if event["digest"] == digest]
            self.assertEqual((own[-1]["event"], own[-1]["outcome"]), ("finished", "failed"))

    def test_a_mode_that_is_none(self):
        """It is refused by name, before anything is sent."""
        self.assert_failure(self.tug(*self.arguments(self.registry, "--progress=fancy")), text="fancy.*auto, plain, json or none")


if __name__ == "__main__":
    case.main()
