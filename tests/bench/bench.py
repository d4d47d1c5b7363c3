#!/usr/bin/env python3
"""tug beside Debian's skopeo, on the same work in turn: medians and ratios.

    tests/bench/bench.py [--tug PATH] [--runs N] [--work DIR] [SCENARIO ...]

Scenarios (all of them by default): layout, unchanged, start, huge, store, store-1, store-zstd, store-warm, store-huge.
Every run of a cold scenario pushes to a fresh registry (Debian's docker-registry, on loopback, storage in --work). Wall is the whole
process; CPU is user + system of the client alone; RSS its peak. Nothing here is asserted: the tests are elsewhere.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support.layouts import Layout  # noqa: E402
from support.registry import Registry  # noqa: E402
from support.stores import release_mounts  # noqa: E402

GZIP_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
HUGE_BYTES = 5 << 30
REPEATS_OF_SHORT_RUNS = 40


class Measured:
    def __init__(self, wall, cpu, rss):
        self.wall, self.cpu, self.rss = wall, cpu, rss


# The peak memory that the kernel reports of a child includes what it had of its parent's before exec, so that a big parent hides a small
# program: a small process starts each one.
LAUNCHER = """
import os, sys, time
start = time.perf_counter()
pid = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)])
_, status, usage = os.wait4(pid, 0)
print(time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, os.waitstatus_to_exitcode(status))
"""


def measure(command, environment):
    result = subprocess.run([sys.executable, "-ISc", LAUNCHER, *command], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                            check=False)
    *numbers, status = result.stdout.split()
    if status != "0":
        raise SystemExit(f"{' '.join(command)} failed:\n{result.stderr}")
    return Measured(*map(float, numbers))


def median(results, name):
    return statistics.median(getattr(result, name) for result in results)


class Bench:
    def __init__(self, arguments, work):
        self.tug, self.runs, self.work = arguments.tug, arguments.runs, work
        home = work / "home"
        home.mkdir(exist_ok=True)
        self.environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(home), "XDG_RUNTIME_DIR": str(home), "XDG_DATA_HOME": str(home),
                            "TMPDIR": str(work), "CONTAINERS_STORAGE_CONF": str(work / "storage.conf")}
        self.rows = []

    # ---- the programs

    def tug_copy(self, source, destination, *flags):
        return [self.tug, "copy", "-q", "--insecure-policy", "--no-cache", "--dest-tls-verify=false", *flags, source, destination]

    def skopeo_copy(self, source, destination, *flags):
        return ["skopeo", "copy", "-q", "--insecure-policy", "--dest-tls-verify=false", *flags, source, destination]

    # ---- the work

    def files_layout(self):
        """One image of at least 500 MB in gzip layers, from this machine's own files."""
        layout = Layout(self.work / "layout")
        layers = []
        for directories in (["usr/bin"], ["usr/lib/x86_64-linux-gnu"], ["usr/share"], ["usr/lib/gcc", "usr/include"], ["usr/lib/python3", "usr/sbin"]):
            present = [d for d in directories if os.path.isdir("/" + d)]
            tar = subprocess.Popen(["tar", "-C", "/", "--sort=name", "--ignore-failed-read", "-cf", "-", *present], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            data = subprocess.run(["gzip", "-1n"], stdin=tar.stdout, stdout=subprocess.PIPE, check=True).stdout
            tar.wait()
            layers.append(layout.blob(data, GZIP_LAYER))
        config = layout.json_blob({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "0" * 64] * len(layers)}},
                                  "application/vnd.oci.image.config.v1+json")
        layout.add(layout.manifest(config, layers), "app")
        total = sum(layer["size"] for layer in layers)
        print(f"# layout: {len(layers)} gzip layers, {total / 1e6:.0f} MB", flush=True)
        return f"oci:{layout.path}:app"

    def huge_layout(self):
        """One 5 GB blob (a sparse file: what counts is how it is sent)."""
        layout = Layout(self.work / "huge")
        blobs = layout.path / "blobs/sha256"
        blobs.mkdir(parents=True, exist_ok=True)
        temporary = blobs / "temporary"
        with open(temporary, "wb") as file:
            file.truncate(HUGE_BYTES)
        digest = subprocess.run(["sha256sum", str(temporary)], capture_output=True, text=True, check=True).stdout.split()[0]
        temporary.rename(blobs / digest)
        layer = {"mediaType": GZIP_LAYER, "digest": "sha256:" + digest, "size": HUGE_BYTES}
        config = layout.json_blob({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": ["sha256:" + digest]}},
                                  "application/vnd.oci.image.config.v1+json")
        layout.add(layout.manifest(config, [layer]), "app")
        return f"oci:{layout.path}:app"

    def store_image(self):
        """An image of at least 1.5 GB in an overlay store, made by buildah from this machine's own files."""
        root = self.work / "store"
        (self.work / "storage.conf").write_text(f'[storage]\ndriver = "overlay"\ngraphroot = "{root}/root"\nrunroot = "{root}/run"\n')
        script = """set -e
          for d in usr/bin usr/lib/x86_64-linux-gnu usr/share usr/lib/gcc usr/lib/llvm-14 usr/lib/python3 usr/include usr/sbin; do
            [ -d /$d ] || continue
            c=$(buildah from ${base:-scratch}); buildah add -q $c /$d /$d >/dev/null
            buildah commit -q --rm $c localhost/bench:1 >/dev/null; base=localhost/bench:1
          done"""
        subprocess.run(["sh", "-c", script], env={**self.environment, "BUILDAH_ISOLATION": "chroot"}, check=True, stderr=subprocess.DEVNULL)
        layers = json.loads((root / "root/overlay-layers/layers.json").read_text())
        print(f"# store: {len(layers)} layers, {sum(layer.get('diff-size', 0) for layer in layers) / 1e6:.0f} MB", flush=True)
        return "containers-storage:localhost/bench:1"

    # ---- scenarios

    def in_turn(self, name, commands):
        """`commands`: {program: function(registry address) -> command}. Each run with a fresh registry, the programs in turn."""
        results = {program: [] for program in commands}
        stored = {}
        for _ in range(self.runs):
            for program, make in commands.items():
                directory = self.work / "registry"
                with Registry(directory) as registry:
                    results[program].append(measure(make(registry.address), self.environment))
                    stored[program] = stored_layer_bytes(registry)
                shutil.rmtree(directory)
        self.add_rows(name, results, stored)

    def add_rows(self, name, results, stored=None):
        base = results.get("skopeo")
        for program, runs in results.items():
            def ratio(key, runs=runs):
                return f"{median(runs, key) / median(base, key):.2f} ×" if base and program != "skopeo" else ""
            size = f"{stored[program] / 1e6:.1f}" if stored else ""
            size_ratio = f"{stored[program] / stored['skopeo']:.3f} ×" if stored and "skopeo" in stored and program != "skopeo" else ""
            self.rows.append((name, program, f"{median(runs, 'wall') * 1000:.1f}", ratio("wall"), f"{median(runs, 'cpu') * 1000:.1f}", ratio("cpu"),
                              f"{max(r.rss for r in runs):.1f}", size, size_ratio))
            print("#", *self.rows[-1], flush=True)

    def layout(self):
        source = self.files_layout()
        self.in_turn("layout, cold", {"tug": lambda a: self.tug_copy(source, f"docker://{a}/bench:1"),
                                      "skopeo": lambda a: self.skopeo_copy(source, f"docker://{a}/bench:1")})

    def unchanged(self):
        source = self.files_layout()
        with Registry(self.work / "registry") as registry:
            target = f"docker://{registry.address}/bench:1"
            measure(self.tug_copy(source, target), self.environment)
            results = {"tug": [], "skopeo": []}
            for _ in range(REPEATS_OF_SHORT_RUNS):
                results["tug"].append(measure(self.tug_copy(source, target), self.environment))
                results["skopeo"].append(measure(self.skopeo_copy(source, target), self.environment))
        shutil.rmtree(self.work / "registry")
        self.add_rows("layout, unchanged", results)

    def start(self):
        results = {"tug": [], "skopeo": []}
        for _ in range(REPEATS_OF_SHORT_RUNS):
            results["tug"].append(measure([self.tug, "--version"], self.environment))
            results["skopeo"].append(measure(["skopeo", "--version"], self.environment))
        self.add_rows("--version", results)

    def huge(self):
        source = self.huge_layout()
        runs, self.runs = self.runs, 1
        self.in_turn("one 5 GB blob", {"tug": lambda a: self.tug_copy(source, f"docker://{a}/bench:1")})
        self.runs = runs
        shutil.rmtree(self.work / "huge")

    def store_scenario(self, name, tug_flags, skopeo_flags):
        source = self.store_image() if not (self.work / "store").exists() else "containers-storage:localhost/bench:1"
        self.in_turn(name, {"tug": lambda a: self.tug_copy(source, f"docker://{a}/bench:1", *tug_flags),
                            "skopeo": lambda a: self.skopeo_copy(source, f"docker://{a}/bench:1", *skopeo_flags)})

    def store(self):
        self.store_scenario("store, cold, gzip", [], [])

    def store_1(self):
        flags = ["--dest-compress-format", "gzip", "--dest-compress-level", "1"]
        self.store_scenario("store, cold, gzip 1", flags, flags)

    def store_zstd(self):
        flags = ["--dest-compress-format", "zstd"]
        self.store_scenario("store, cold, zstd", flags, flags)

    def store_warm(self):
        """An unchanged image: with the cache that podman, buildah and skopeo share, and without any."""
        source = self.store_image() if not (self.work / "store").exists() else "containers-storage:localhost/bench:1"
        with Registry(self.work / "registry") as registry:
            target = f"docker://{registry.address}/bench:1"
            measure(self.skopeo_copy(source, target), self.environment)
            measure(self.tug_copy(source, target), self.environment)
            results = {"tug": [], "tug --no-cache": [], "skopeo": []}
            for _ in range(REPEATS_OF_SHORT_RUNS // 4):
                results["tug"].append(measure([word for word in self.tug_copy(source, target) if word != "--no-cache"], self.environment))
                results["tug --no-cache"].append(measure(self.tug_copy(source, target), self.environment))
                results["skopeo"].append(measure(self.skopeo_copy(source, target), self.environment))
        shutil.rmtree(self.work / "registry")
        self.add_rows("store, unchanged", results)

    def store_huge(self):
        """One layer of 5 GB beside the others: memory does not grow with it."""
        if not (self.work / "store").exists():
            self.store_image()
        script = f"""set -e
          mkdir {self.work}/big; for i in 1 2 3 4 5 6 7 8 9 10; do cat /usr/bin/* /usr/lib/x86_64-linux-gnu/*.so* 2>/dev/null; done | head -c {HUGE_BYTES} >{self.work}/big/file
          c=$(buildah from localhost/bench:1); buildah add -q $c {self.work}/big /big >/dev/null; rm -r {self.work}/big
          buildah commit -q --rm $c localhost/huge:1 >/dev/null"""
        subprocess.run(["sh", "-c", script], env={**self.environment, "BUILDAH_ISOLATION": "chroot"}, check=True, stderr=subprocess.DEVNULL)
        runs, self.runs = self.runs, 1
        for format in ("gzip", "zstd"):
            self.in_turn(f"store with a layer of 5 GB, {format}", {
                "tug": lambda a, f=format: self.tug_copy("containers-storage:localhost/huge:1", f"docker://{a}/bench:1", "--dest-compress-format", f)})
        self.runs = runs

    def table(self):
        head = ("work", "program", "wall ms", "", "CPU ms", "", "peak RSS MB", "stored MB", "")
        print("\n| " + " | ".join(head) + " |\n|" + "---|" * len(head))
        for row in self.rows:
            print("| " + " | ".join(row) + " |")


def stored_layer_bytes(registry):
    """All bytes of blobs on the registry's disk."""
    blobs = registry.storage / "docker/registry/v2/blobs"
    return sum(path.stat().st_size for path in blobs.rglob("data"))


def main():
    scenarios = ["start", "layout", "unchanged", "huge", "store", "store-1", "store-zstd", "store-warm", "store-huge"]
    root = pathlib.Path(__file__).resolve().parent.parent.parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tug", default=str(root / "build/release/tug"))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--work", default=None, help="a directory with room for 30 GB; default: a temporary one")
    parser.add_argument("scenario", nargs="*", choices=[*scenarios, []], default=[])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tug-bench-", dir=arguments.work) as directory:
        bench = Bench(arguments, pathlib.Path(directory))
        try:
            for scenario in arguments.scenario or scenarios:
                getattr(bench, scenario.replace("-", "_"))()
        finally:
            bench.table()
            release_mounts(bench.work)


if __name__ == "__main__":
    main()
