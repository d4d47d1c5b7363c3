"""Many pushes at once to one registry: each image is complete and exact, and each process stays within its memory and descriptors."""

import concurrent.futures
import os
import pathlib
import resource
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import case  # noqa: E402
from support.case import SystemTest, registry_for_class, scaled  # noqa: E402
from support.layouts import Layout, noise  # noqa: E402
from support.registry import die_with_parent  # noqa: E402

PUSHES = scaled(200, 48)
AT_ONCE = 16
REPOSITORIES = 10  # so that many push the shared layer to the same one
MOST_DESCRIPTORS = 64
MOST_MEMORY = 64 << 20


@registry_for_class()
class Load(SystemTest):
    def test_pushes_of_different_images(self):
        """They share HOME with its cache, a layer, and the registry's repositories."""
        self.own_cache()
        layout = Layout(self.temp / "images")
        shared = {"base": noise(200_000)}
        images = {f"image-{n}": layout.image([shared, {"own": noise(100_000, seed=n)}], level=1, Env=[f"N={n}"]) for n in range(PUSHES)}
        layout.write_index([{**descriptor, "annotations": {"org.opencontainers.image.ref.name": name}} for name, descriptor in images.items()])
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            ends = dict(zip(images, pool.map(lambda n: self.push(layout, n), range(PUSHES))))
        for name, (status, errors, _) in ends.items():
            self.assertEqual((status, errors), (0, ""), name)
        for number, (name, descriptor) in enumerate(images.items()):
            self.assert_stored(self.registry, repository_of(number), name, layout, descriptor)
        self.assertEqual(sum(len(self.registry.tags(repository_of(n))) for n in range(REPOSITORIES)), PUSHES)
        self.assertTrue((self.home / ".local/share/containers/cache/blob-info-cache-v1.sqlite").is_file())
        if not case.sanitizer():
            self.assert_memory_is_bounded([usage.ru_maxrss * 1024 for _, _, usage in ends.values()])

    def push(self, layout, number):
        """(exit status, stderr, rusage); with few descriptors, and no way to get more."""
        reference = f"docker://{self.registry.address}/{repository_of(number)}:image-{number}"
        errors = self.temp / f"errors-{number}"
        with open(errors, "wb") as err:
            process = subprocess.Popen([case.TUG, "copy", "--quiet", "--dest-tls-verify=false", f"oci:{layout.path}:image-{number}", reference],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=err, env=self.environment,
                                       preexec_fn=few_descriptors)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        return process.returncode, errors.read_text(errors="replace"), usage

    def assert_memory_is_bounded(self, peaks):
        # A process's peak begins with what its parent had when it started it.
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        self.assertLess(own, MOST_MEMORY, "this test itself uses more memory than it allows")
        self.assertLess(max(peaks), MOST_MEMORY)


def few_descriptors():
    die_with_parent()
    resource.setrlimit(resource.RLIMIT_NOFILE, (MOST_DESCRIPTORS, MOST_DESCRIPTORS))


def repository_of(number):
    return f"load/r{number % REPOSITORIES}"


if __name__ == "__main__":
    case.main()
