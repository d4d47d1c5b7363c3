"""A list spread over the tasks of a Slurm job array, as README.md says it: real Slurm, docker-registry."""

import collections
import json
import pathlib
import re
import shutil
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import case, slurm  # noqa: E402
from support.case import SKIPPED, SystemTest, tug_only  # noqa: E402
from support.layouts import Layout, noise  # noqa: E402
from support.proxy import SlowProxy  # noqa: E402
from support.registry import Registry  # noqa: E402
from support.slurm import Slurm, Task  # noqa: E402

IMAGES = 12
TASKS = range(1, 5)
DONE, FAILED = Task("COMPLETED", 0), Task("FAILED", 1)


@tug_only
class JobArray(SystemTest):
    @classmethod
    def setUpClass(cls):
        directory = pathlib.Path(tempfile.mkdtemp(prefix="tug-test-slurm-"))
        cls.addClassCleanup(shutil.rmtree, directory, ignore_errors=True)
        cls.slurm = cls.enterClassContext(Slurm(directory))

    def setUp(self):
        super().setUp()
        self.own_cache()
        self.registry = self.enterContext(Registry(self.temp / "registry"))
        self.layout = Layout(self.temp / "layout")
        self.images = {f"app{i}": self.image(f"app{i}", i) for i in range(IMAGES)}
        (self.temp / "list.txt").write_text("".join(f"oci:layout:{name}:1 {self.destination(name)}\n" for name in self.images))
        # Jobs find it as `tug`, like those of README.md.
        (self.temp / "bin").mkdir()
        (self.temp / "bin/tug").symlink_to(pathlib.Path(shutil.which(case.TUG)).resolve())
        self.environment["PATH"] = f"{self.temp}/bin:{self.environment['PATH']}"

    def image(self, name, seed):
        return self.layout.add(self.layout.image([{"base": noise(20_000, 1000)}, {"own": noise(1000, seed)}]), ref=f"{name}:1")

    def destination(self, name):
        return f"docker://{self.registry.address}/p/{name}:1"

    def submit(self, array=f"1-{len(TASKS)}"):
        """The job array of README.md."""
        return self.slurm.sbatch(
            f"--array={array}", "--output=%A-%a.out", "--error=%A-%a.err", "--wrap",
            f"tug copy --dest-tls-verify=false --json --from-file list.txt --keep-going --shard $SLURM_ARRAY_TASK_ID/{len(TASKS)}",
            env=self.environment, cwd=self.temp)

    def run_array(self, **options):
        """({task: how it ended}, {task: its --json})"""
        job = self.submit(**options)
        ended = self.slurm.ended(job)
        said = {task: [json.loads(line) for line in (self.temp / f"{job}-{task}.out").read_text().splitlines()] for task in ended}
        return ended, said

    def manifests_put(self):
        return collections.Counter(request.path for request in self.registry.requests() if request.method == "PUT" and "/manifests/" in request.path)

    def assert_all_stored(self):
        for name, descriptor in self.images.items():
            self.assert_stored(self.registry, f"p/{name}", "1", self.layout, descriptor)

    def assert_said_once(self, said):
        """No image is of two tasks, none of no task; and they are spread."""
        destinations = [document["destination"] for documents in said.values() for document in documents]
        self.assertEqual(sorted(destinations), sorted(map(self.destination, self.images)))
        self.assertGreater(sum(bool(documents) for documents in said.values()), 1, said)

    def test_all_tasks_together_push_the_list_once(self):
        ended, said = self.run_array()
        self.assertEqual(ended, {task: DONE for task in TASKS}, said)
        self.assert_said_once(said)
        self.assert_all_stored()
        self.assertEqual(self.manifests_put(), {f"/v2/p/{name}/manifests/1": 1 for name in self.images})
        # Once more, as after a failure of the cluster: nothing is sent.
        ended, said = self.run_array()
        self.assertEqual(ended, {task: DONE for task in TASKS}, said)
        self.assert_said_once(said)
        self.assertEqual(sum(self.manifests_put().values()), IMAGES)

    def test_a_pair_that_fails_fails_its_task_alone_which_is_repeated_alone(self):
        with open(self.temp / "list.txt", "a", encoding="utf-8") as pairs:
            pairs.write(f"oci:layout:late:1 {self.destination('late')}\n")
        ended, said = self.run_array()
        [(failed, error)] = [(task, document["error"]) for task, documents in said.items() for document in documents if "error" in document]
        self.assertEqual(error["class"], "not-found")
        self.assertEqual(ended, {task: FAILED if task == failed else DONE for task in TASKS}, said)
        self.assert_all_stored()
        self.images["late"] = self.image("late", IMAGES)
        self.assert_said_once(said)
        ended, said = self.run_array(array=failed)
        self.assertEqual(ended, {failed: DONE}, said)
        self.assert_all_stored()
        self.assertEqual(self.manifests_put(), {f"/v2/p/{name}/manifests/1": 1 for name in self.images})

    def test_a_cancelled_array_stops_in_order_and_is_repeated(self):
        pairs = self.temp / "list.txt"
        with SlowProxy(self.registry.address, hold_at=5000) as proxy:
            pairs.write_text(pairs.read_text().replace(self.registry.address, proxy.address))
            job = self.submit()
            proxy.wait_until_held()
            self.slurm.cancel(job)
            ended = self.slurm.ended(job)
            self.assertIn("CANCELLED", {how.state for how in ended.values()})
            # Slurm may have closed its account before tug's exit code comes in; and which tasks had come this far is chance.
            stopped = [path.read_text() for path in self.temp.glob(f"{job}-*.err")]
            self.assertTrue(any(re.search(r"\d+ of \d+ images were done", text) for text in stopped), stopped)
            proxy.release()
            ended, said = self.run_array()
        self.assertEqual(ended, {task: DONE for task in TASKS}, said)
        self.assert_all_stored()


if __name__ == "__main__":
    if reason := slurm.obstacle():
        print(f"skipped: {reason}")
        sys.exit(SKIPPED)
    case.main()
