"""Pushes through a proxy that resets connections after random byte counts: each is complete, or fails clearly and leaves no tag."""

import concurrent.futures
import itertools
import pathlib
import random
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import case  # noqa: E402
from support.case import SystemTest, registry_for_class, scaled  # noqa: E402
from support.layouts import Layout, noise  # noqa: E402
from support.proxy import FlakyProxy  # noqa: E402

SEEDS = range(1, scaled(200, 40) + 1)
AT_ONCE = 4
REPOSITORY = "flaky"


@registry_for_class()
class Flaky(SystemTest):
    def test_every_run_ends_well_or_clearly(self):
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            runs = list(pool.map(self.run_with, SEEDS))
        outcomes = [self.judge(*run) for run in runs]
        resets = sum(proxy.resets for _, _, proxy, _ in runs)
        self.assertGreater(resets, len(runs))
        # Most connections are reset in these runs, and a push outlives that, but not always.
        self.assertGreater(outcomes.count("pushed"), len(runs) // 2)
        # At most the answer to the last request of all, and to every question about it, was lost.
        self.assertLessEqual(outcomes.count("unknown"), len(runs) // 50)

    def test_no_connection_holds(self):
        """What no number of tries outlives ends in a clear failure."""
        run = self.run_with(0, itertools.repeat((200_000, True)))
        self.assertEqual(self.judge(*run), "failed")

    def run_with(self, seed, limits=None):
        layout = Layout(self.temp / f"image-{seed}")
        # A layer that is sent in one PUT with its digest, and one that is streamed by PATCH.
        sizes = random.Random(seed)
        layout.add(layout.image([{"small": noise(300_000, seed)}, {"large": noise(sizes.randrange(1_100_000, 1_500_000), -seed)}], level=0))
        with FlakyProxy(self.registry.address, limits=limits or random_limits(seed)) as proxy:
            result = self.copy(layout, f"{proxy.address}/{REPOSITORY}:{seed}", "--dest-tls-verify=false", "--retry-delay=10ms")
        return seed, layout, proxy, result

    def judge(self, seed, layout, proxy, result):
        with self.subTest(seed=seed):
            tagged = str(seed) in self.registry.tags(REPOSITORY)
            if tagged:
                self.assert_stored(self.registry, REPOSITORY, str(seed), layout, layout.descriptor())
            if result.code == 0:
                self.assertTrue(tagged, str(result))
                self.assertEqual(result.err, "")
                return "pushed"
            self.assert_failure(result, text="127.0.0.1")
            if not tagged:
                return "failed"
            # The registry took the manifest, and nobody could say so.
            self.assertRegex(result.message(), re.escape(layout.descriptor()["digest"]))
            return "unknown"
        return "wrong"


def random_limits(seed):
    """Between 200 bytes and 3 MB, each power of ten as often as the others; answers are smaller than what is sent."""
    chance = random.Random(seed)
    while True:
        from_client = chance.random() < 0.5
        yield int(10 ** chance.uniform(2.3, 6.5 if from_client else 4.0)), from_client


if __name__ == "__main__":
    case.main()
