"""The base class of the system tests: runs the program under test in an environment of its own, and reads its answers.

The program is $TUG (ctest sets it). With TUG=skopeo the tests run Debian's skopeo instead, to check the tests themselves: what only
tug has (--json and more) is skipped then. Under ctest a skipped test is a failure: nothing counts as passed that did not run.
"""

import functools
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

from .layouts import Layout, digest_of
from .registry import Registry, die_with_parent
from .stores import release_mounts

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "fixtures"
TUG = os.environ.get("TUG", "")
IS_SKOPEO = os.path.basename(TUG) == "skopeo"

# Go's names for this machine.
HOST_ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}.get(platform.machine(), platform.machine())

FATAL_LINE = re.compile(r'time="\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)" level=fatal msg=("(?:[^"\\\n]|\\.)*"|\S+)\n')

# A test that has not what it needs ends like this, where CMakeLists.txt lets it (SKIP_RETURN_CODE).
SKIPPED = 77

tug_only = unittest.skipIf(IS_SKOPEO, "skopeo does not have this")


@functools.cache
def sanitizer():
    """"asan", "tsan" or "": what the program was built with. It is several times slower then, and its memory is not its own."""
    found = subprocess.run(["grep", "-aoE", "-m1", "__[at]san_init", shutil.which(TUG)], stdout=subprocess.PIPE, text=True, check=False)
    return found.stdout[2:6]


def scaled(count, sanitized):
    """`count`, or the smaller number with which a test under sanitizers takes about as long."""
    return sanitized if sanitizer() else count


class Result:
    """How one run ended."""

    def __init__(self, arguments, code, out, err):
        self.arguments, self.code, self.out, self.err = arguments, code, out, err

    @property
    def lines(self):
        return self.out.splitlines()

    def json(self):
        return json.loads(self.out)

    def message(self):
        """The text of the fatal line, unquoted."""
        found = FATAL_LINE.search(self.err)
        text = found.group(1) if found else ""
        # Go's quoting has \xNN where JSON has \u00NN.
        return json.loads(re.sub(r"\\x(..)", r"\\u00\1", text)) if text.startswith('"') else text

    def __str__(self):
        return f"{' '.join(map(str, self.arguments))}\nexit code {self.code}\n-- stdout\n{self.out}\n-- stderr\n{self.err}"


class SystemTest(unittest.TestCase):
    """Each test gets a temporary directory `self.temp`, whose `home` is the program's HOME."""

    maxDiff = None

    def setUp(self):
        self.temp = pathlib.Path(tempfile.mkdtemp(prefix="tug-test-"))
        self.addCleanup(shutil.rmtree, self.temp, ignore_errors=True)
        self.addCleanup(release_mounts, self.temp)
        self.home = self.temp / "home"
        self.run_dir = self.temp / "run"
        self.home.mkdir()
        self.run_dir.mkdir()
        self.environment = base_environment(self.home, self.run_dir)

    def own_cache(self):
        """The blob info cache is below HOME, as for every user but root: whose is the machine's."""
        self.environment["_CONTAINERS_ROOTLESS_UID"] = "1000"

    # ---- running

    def tug(self, *arguments, env=None, timeout=120, program=None, cwd=None):
        """Runs it to its end."""
        process = self.start(*arguments, env=env, program=program, cwd=cwd)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            self.fail(f"still running after {timeout} s: {Result(process.args, None, out, err)}")
        return Result(process.args, process.returncode, out, err)

    def start(self, *arguments, env=None, program=None, cwd=None):
        """Starts it; the caller waits for it."""
        environment = {**self.environment, **(env or {})}
        process = subprocess.Popen([program or TUG, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env=environment, cwd=cwd or self.temp, text=True, errors="replace",
                                   preexec_fn=die_with_parent)
        self.addCleanup(_reap, process)
        return process

    def skopeo(self, *arguments, **options):
        """Debian's skopeo: it must succeed."""
        return self.assert_success(self.tug(*arguments, program="skopeo", **options))

    def copy(self, layout, destination, *flags, cache=False, **options):
        """`tug copy` of a layout ("hello:1.0" of the fixtures, or a Layout) to REGISTRY/NAME[:TAG]. Without `cache` the machine's blob
        info cache is left alone: what one test sends must not depend on what another did."""
        if not cache and not IS_SKOPEO:
            flags = ("--no-cache", *flags)
        return self.tug("copy", *flags, self.source(layout), f"docker://{destination}", **options)

    @staticmethod
    def source(layout):
        if isinstance(layout, Layout):
            return f"oci:{layout.path}"
        return f"oci:{FIXTURES}/{layout}"

    # ---- judging

    def assert_success(self, result):
        self.assertEqual(result.code, 0, str(result))
        return result

    def assert_failure(self, result, *, code=1, text=()):
        """The contract for scripts: this exit code, nothing but one fatal line on stderr, `text` (patterns) in its message."""
        self.assertEqual(result.code, code, str(result))
        self.assertRegex(result.err, r"\A" + FATAL_LINE.pattern + r"\Z", str(result))
        for pattern in [text] if isinstance(text, str) else text:
            self.assertRegex(result.message(), pattern, str(result))
        return result

    def assert_error_object(self, result, error_class):
        """--json on failure: one object on stdout whose error has this class (or one of these)."""
        document = json.loads(result.out)
        self.assertEqual(set(document), {"source", "destination", "error"}, str(result))
        error = document["error"]
        classes = {error_class} if isinstance(error_class, str) else set(error_class)
        self.assertIn(error["class"], classes, str(result))
        self.assertIsInstance(error["message"], str)
        self.assertTrue(error["message"])
        self.assertLessEqual(set(error), {"class", "message", "hint", "httpStatus", "codes"}, str(result))
        return error

    def assert_stored(self, registry, repository, tag, layout, descriptor):
        """The registry's disk has exactly the layout's bytes: the tag, every manifest below it and every blob."""
        self.assertEqual(registry.tags(repository).get(tag), descriptor["digest"])
        manifests, blobs = layout.closure(descriptor)
        for each in manifests + blobs:
            stored = registry.stored_blob(each["digest"])
            self.assertIsNotNone(stored, f"{each} is not in the registry")
            self.assertEqual(digest_of(stored), each["digest"])
            self.assertEqual(stored, layout.read(each))
        for each in blobs:
            self.assertTrue(registry.has_blob_link(repository, each["digest"]), f"{each} is not in {repository}")


def base_environment(home, run_dir):
    """Nothing of the caller's but what sanitizers need."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(home), "XDG_RUNTIME_DIR": str(run_dir), "LANG": "C.UTF-8"}
    environment.update({name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")})
    return environment


def registry_for_class(**settings):
    """A class decorator: all tests of the class share one registry, `self.registry`."""

    def decorate(cls):
        def set_up_class(inner):
            directory = pathlib.Path(tempfile.mkdtemp(prefix="tug-test-registry-"))
            inner.addClassCleanup(shutil.rmtree, directory, ignore_errors=True)
            inner.registry = inner.enterClassContext(Registry(directory, **settings))

        cls.setUpClass = classmethod(set_up_class)
        return cls

    return decorate


def fixture(text):
    """(Layout, descriptor) of "multi:all"."""
    name, _, ref = text.partition(":")
    layout = Layout(FIXTURES / name)
    return layout, layout.descriptor(ref or None)


def _reap(process):
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
        process.wait()
    for stream in (process.stdout, process.stderr):
        if stream:
            stream.close()


class _CountingResult(unittest.TextTestResult):
    """On failure, shows the registry's log as well."""

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._explain(test, err)

    def addError(self, test, err):
        super().addError(test, err)
        self._explain(test, err)

    def _explain(self, test, err):
        registry = getattr(test, "registry", None)
        if registry is not None:
            self.stream.writeln(f"{err[0].__name__}: {err[1]}\nThe end of the registry's log:")
            self.stream.writeln("\n".join(line[:300] for line in str(registry).splitlines()[-20:]))


def main():
    """Runs the tests of the calling file; fails if none ran, or if any was skipped while testing tug itself."""
    if not TUG or not shutil.which(TUG):
        sys.exit("set TUG to the program to test, e.g. TUG=build/release/tug")
    runner = functools.partial(unittest.TextTestRunner, resultclass=_CountingResult, verbosity=2)
    program = unittest.main(module="__main__", testRunner=runner(), exit=False)
    result = program.result
    if result.testsRun == 0:
        sys.exit("no test ran")
    if result.skipped and not IS_SKOPEO:
        sys.exit(f"{len(result.skipped)} tests were skipped")
    sys.exit(not result.wasSuccessful())
