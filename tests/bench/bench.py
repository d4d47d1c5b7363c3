#!/usr/bin/env python3
"""tug beside what else pushes images and is on this machine (skopeo, crane, oras, buildah), on the same work in turn: medians and ratios.

    tests/bench/bench.py [--tug PATH] [--runs N] [--quick] [--work DIR] [--markdown FILE] [SCENARIO ...]

Scenarios: layout, unchanged, store, store-zstd, store-warm, latency, latency-tls, bulk, registries, archive, store-oci, to-store, and of tug alone or with
skopeo only: start, huge, store-1, store-huge. All of them by default; tests/bench/compare.sh runs the first ones for the table of README.md.
Every run of a cold scenario pushes to a fresh registry (Debian's docker-registry, on loopback, storage in --work). Wall is the whole
process; CPU is user + system of the client alone; RSS its peak. Nothing here is asserted: the tests are elsewhere.
"""

import argparse
import contextlib
import datetime
import json
import os
import pathlib
import platform
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from latency_proxy import LatencyProxy  # noqa: E402
from support.layouts import Layout, noise  # noqa: E402
from support.pki import Pki  # noqa: E402
from support.registry import Registry  # noqa: E402
from support.stores import release_mounts  # noqa: E402

GZIP_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
HUGE_BYTES = 5 << 30
STORE_IMAGE = "localhost/bench:1"


class Sizes:
    """How much work there is; `quick` only shows that everything runs."""

    def __init__(self, quick):
        self.runs = 1 if quick else 3
        self.repeats_of_short_runs = 2 if quick else 40
        self.rtt_ms = 10 if quick else 50
        self.small_layers = 5 if quick else 30
        self.bulk_images = 5 if quick else 200
        self.directories = [["etc/ssl"], ["etc/default", "etc/init.d"]] if quick else [
            ["usr/bin"], ["usr/lib/x86_64-linux-gnu"], ["usr/share"], ["usr/lib/gcc", "usr/include"], ["usr/lib/python3", "usr/sbin"]]
        self.store_directories = ["etc/ssl", "etc/init.d"] if quick else [
            "usr/bin", "usr/lib/x86_64-linux-gnu", "usr/share", "usr/lib/gcc", "usr/lib/llvm-14", "usr/lib/python3", "usr/include", "usr/sbin"]


class Measured:
    def __init__(self, wall, cpu, rss):
        self.wall, self.cpu, self.rss = wall, cpu, rss
        self.round_trips = None


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


class Programs:
    """How each program that is on this machine is told to push. The methods return {program: command}, without those that cannot."""

    def __init__(self, tug):
        self.paths = {"tug": tug, **{name: path for name in ("skopeo", "crane", "oras", "buildah") if (path := shutil.which(name))}}

    def versions(self):
        arguments = {"crane": "version", "oras": "version"}
        commands = {**{name: [path, arguments.get(name, "--version")] for name, path in self.paths.items()},
                    "docker-registry": ["docker-registry", "--version"]}
        for name, command in commands.items():
            words = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0].replace("Version:", "").split()
            yield f"{name} {next(word for word in words if word.lstrip('v')[:1].isdigit())}"

    def _present(self, commands):
        return {name: [self.paths[name], *words] for name, words in commands.items() if name in self.paths}

    def from_layout(self, layout, image, *, tls=False, tug_flags=("--no-cache",)):
        """The only image of a layout, tagged "app", to HOST/NAME:TAG."""
        copy = ["copy", "-q", "--insecure-policy"] + ([] if tls else ["--dest-tls-verify=false"])
        return self._present({
            "tug": [*copy, *tug_flags, f"oci:{layout}:app", f"docker://{image}"],
            "skopeo": [*copy, f"oci:{layout}:app", f"docker://{image}"],
            "crane": ["push", *([] if tls else ["--insecure"]), str(layout), image],
            "oras": ["cp", "--no-tty", "--from-oci-layout", *([] if tls else ["--to-plain-http"]), f"{layout}:app", image]})

    def from_store(self, image, *, format=None, level=None):
        """STORE_IMAGE of the containers-storage that the environment names."""
        copy = ["copy", "-q", "--insecure-policy", "--dest-tls-verify=false"]
        compression = (["--dest-compress-format", format] if format else []) + (["--dest-compress-level", str(level)] if level else [])
        for_buildah = (["--compression-format", format] if format else []) + (["--compression-level", str(level)] if level else [])
        source = f"containers-storage:{STORE_IMAGE}"
        return self._present({
            "tug": [*copy, "--no-cache", *compression, source, f"docker://{image}"],
            "skopeo": [*copy, *compression, source, f"docker://{image}"],
            "buildah": ["push", "-q", "--tls-verify=false", *for_buildah, STORE_IMAGE, f"docker://{image}"]})

    def between(self, source, destination, *, tug_flags=("--no-cache",)):
        """What skopeo can copy too, from any place to any place."""
        copy = ["copy", "-q", "--insecure-policy", "--src-tls-verify=false", "--dest-tls-verify=false"]
        return self._present({"tug": [*copy, *tug_flags, source, destination], "skopeo": [*copy, source, destination]})

    def tug_has(self, flag):
        return flag in subprocess.run([self.paths["tug"], "copy", "--help"], capture_output=True, text=True, check=True).stdout


def in_a_row(commands):
    """One command that runs all of them, one after the other."""
    return ["sh", "-ec", "\n".join(map(shlex.join, commands))]


class Bench:
    def __init__(self, arguments, work):
        self.programs, self.sizes, self.work = Programs(arguments.tug), Sizes(arguments.quick), work
        self.runs = arguments.runs or self.sizes.runs
        self.repeats = self.sizes.repeats_of_short_runs
        home = work / "home"
        home.mkdir(exist_ok=True)
        self.environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(home), "XDG_RUNTIME_DIR": str(home), "XDG_DATA_HOME": str(home),
                            "TMPDIR": str(work), "CONTAINERS_STORAGE_CONF": str(work / "storage.conf"),
                            **{name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")}}
        self.done = []  # (work, {program: [Measured]}, {program: bytes stored})

    # ---- the work

    def files_layout(self):
        """One image of at least 500 MB in gzip layers, from this machine's own files."""
        path = self.work / "layout"
        if path.exists():
            return path
        layout = Layout(path)
        layers = []
        for directories in self.sizes.directories:
            present = [d for d in directories if os.path.isdir("/" + d)]
            tar = subprocess.Popen(["tar", "-C", "/", "--sort=name", "--ignore-failed-read", "-cf", "-", *present], stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL)
            data = subprocess.run(["gzip", "-1n"], stdin=tar.stdout, stdout=subprocess.PIPE, check=True).stdout
            tar.wait()
            layers.append(layout.blob(data, GZIP_LAYER))
        config = layout.json_blob({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "0" * 64] * len(layers)}},
                                  "application/vnd.oci.image.config.v1+json")
        layout.add(layout.manifest(config, layers), "app")
        print(f"# layout: {len(layers)} gzip layers, {sum(layer['size'] for layer in layers) / 1e6:.0f} MB", flush=True)
        return path

    def noise_layout(self, name, layers):
        """An image whose layers have a file each, of so many bytes that do not compress: [(bytes, seed)]."""
        layout = Layout(self.work / name)
        layout.add(layout.image([{f"file-{seed}": noise(size, seed)} for size, seed in layers], level=1), "app")
        return layout.path

    def small_layout(self):
        """Layers of 10 to 97 KB."""
        return self.noise_layout("small", [(10_000 + 3_000 * n, n) for n in range(self.sizes.small_layers)])

    def bulk_layouts(self):
        """Images with 10 layers in common and one of their own. One layout each, because crane knows no names in a layout."""
        shared = [(10_000 + 3_000 * n, n) for n in range(10)]
        return [self.noise_layout(f"bulk/{n}", [*shared, (20_000, 10 + n)]) for n in range(self.sizes.bulk_images)]

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
        return layout.path

    def store_image(self):
        """An image of at least 1.5 GB in an overlay store, made by buildah from this machine's own files."""
        root = self.work / "store"
        if root.exists():
            return
        (self.work / "storage.conf").write_text(f'[storage]\ndriver = "overlay"\ngraphroot = "{root}/root"\nrunroot = "{root}/run"\n')
        script = f"""set -e
          for d in {' '.join(self.sizes.store_directories)}; do
            [ -d /$d ] || continue
            c=$(buildah from ${{base:-scratch}}); buildah add -q $c /$d /$d >/dev/null
            buildah commit -q --rm $c {STORE_IMAGE} >/dev/null; base={STORE_IMAGE}
          done"""
        subprocess.run(["sh", "-c", script], env={**self.environment, "BUILDAH_ISOLATION": "chroot"}, check=True, stderr=subprocess.DEVNULL)
        layers = json.loads((root / "root/overlay-layers/layers.json").read_text())
        print(f"# store: {len(layers)} layers, {sum(layer.get('diff-size', 0) for layer in layers) / 1e6:.0f} MB", flush=True)

    # ---- scenarios

    @contextlib.contextmanager
    def registry(self, **settings):
        """A fresh one."""
        directory = self.work / "registry"
        with Registry(directory, **settings) as registry:
            yield registry
        shutil.rmtree(directory)

    def in_turn(self, name, commands, runs=None):
        """`commands`: HOST/NAME:TAG -> {program: command}. Each run with a fresh registry, the programs in turn."""
        results, stored = {}, {}
        for _ in range(runs or self.runs):
            for program in commands("HOST"):
                with self.registry() as registry:
                    results.setdefault(program, []).append(measure(commands(f"{registry.address}/bench:1")[program], self.environment))
                    stored[program] = stored_layer_bytes(registry)
        self.add(name, results, stored)

    def into(self, name, place, commands):
        """A place on this machine that is made anew each time, the programs in turn."""
        results = {}
        for _ in range(self.runs):
            for program, command in commands.items():
                results.setdefault(program, []).append(measure(command, self.environment))
                release_mounts(place)
                shutil.rmtree(place)
        self.add(name, results)

    def many_times(self, name, commands, repeats):
        """Short runs that change nothing, or nothing any more."""
        results = {}
        for _ in range(repeats):
            for program, command in commands.items():
                results.setdefault(program, []).append(measure(command, self.environment))
        self.add(name, results)

    def add(self, name, results, stored=None):
        self.done.append((name, results, stored or {}))
        for row in self.rows(*self.done[-1]):
            print("#", *row, flush=True)

    def layout(self):
        layout = self.files_layout()
        self.in_turn("layout, cold", lambda image: self.programs.from_layout(layout, image))

    def unchanged(self):
        layout = self.files_layout()
        with self.registry() as registry:
            commands = self.programs.from_layout(layout, f"{registry.address}/bench:1")
            measure(commands["tug"], self.environment)
            self.many_times("layout, unchanged", commands, self.repeats)

    def registries(self):
        """From one registry to another."""
        layout = self.files_layout()
        with Registry(self.work / "source") as source:
            measure(self.programs.from_layout(layout, f"{source.address}/bench:1")["tug"], self.environment)
            self.in_turn("registry to registry", lambda image: self.programs.between(f"docker://{source.address}/bench:1", f"docker://{image}"))
        shutil.rmtree(self.work / "source")

    def archive(self):
        """What `docker save` writes, whose layers have to be compressed."""
        self.store_image()
        archive = self.work / "archive.tar"
        command = ["skopeo", "copy", "-q", "--insecure-policy", f"containers-storage:{STORE_IMAGE}", f"docker-archive:{archive}:{STORE_IMAGE}"]
        subprocess.run(command, env=self.environment, check=True)
        self.in_turn("docker-archive to a registry", lambda image: self.programs.between(f"docker-archive:{archive}", f"docker://{image}"))
        archive.unlink()

    def store_oci(self):
        """Into a layout that is not there yet."""
        self.store_image()
        layout = self.work / "copied"
        self.into("store to oci:", layout, self.programs.between(f"containers-storage:{STORE_IMAGE}", f"oci:{layout}:1"))

    def to_store(self):
        """Into a store that has nothing yet."""
        self.store_image()
        place = self.work / "filled"
        with self.registry() as registry:
            image = f"docker://{registry.address}/bench:1"
            measure(self.programs.between(f"containers-storage:{STORE_IMAGE}", image)["tug"], self.environment)
            self.into("registry to a store", place, self.programs.between(image, f"containers-storage:[overlay@{place}/root+{place}/run]{STORE_IMAGE}"))

    def start(self):
        self.many_times("--version", {name: [path, "--version"] for name, path in self.programs.paths.items() if name in ("tug", "skopeo")}, self.repeats)

    def huge(self):
        layout = self.huge_layout()
        self.in_turn("one 5 GB blob", lambda image: tug_only(self.programs.from_layout(layout, image)), runs=1)
        shutil.rmtree(layout)

    def store_scenario(self, name, **how):
        self.store_image()
        self.in_turn(name, lambda image: self.programs.from_store(image, **how))

    def store(self):
        self.store_scenario("store, cold, gzip")

    def store_1(self):
        self.store_scenario("store, cold, gzip 1", format="gzip", level=1)

    def store_zstd(self):
        self.store_scenario("store, cold, zstd", format="zstd")

    def store_warm(self):
        """An unchanged image: with the cache that podman, buildah and skopeo share, and without any."""
        self.store_image()
        with self.registry() as registry:
            commands = self.programs.from_store(f"{registry.address}/bench:1")
            for program in ("skopeo", "tug"):
                if program in commands:
                    measure(commands[program], self.environment)
            commands["tug --no-cache"] = commands["tug"]
            commands["tug"] = [word for word in commands["tug"] if word != "--no-cache"]
            self.many_times("store, unchanged", commands, max(1, self.repeats // 4))

    def store_huge(self):
        """One layer of 5 GB beside the others: memory does not grow with it."""
        self.store_image()
        script = f"""set -e
          mkdir {self.work}/big; for i in 1 2 3 4 5 6 7 8 9 10; do cat /usr/bin/* /usr/lib/x86_64-linux-gnu/*.so* 2>/dev/null; done | head -c {HUGE_BYTES} >{self.work}/big/file
          c=$(buildah from {STORE_IMAGE}); buildah add -q $c {self.work}/big /big >/dev/null; rm -r {self.work}/big
          buildah commit -q --rm $c localhost/huge:1 >/dev/null"""
        subprocess.run(["sh", "-c", script], env={**self.environment, "BUILDAH_ISOLATION": "chroot"}, check=True, stderr=subprocess.DEVNULL)
        for format in ("gzip", "zstd"):
            def command(image, format=format):
                commands = tug_only(self.programs.from_store(image, format=format))
                return {name: [word.replace(STORE_IMAGE, "localhost/huge:1") for word in words] for name, words in commands.items()}

            self.in_turn(f"store with a layer of 5 GB, {format}", command, runs=1)

    def latency(self):
        self.latency_scenario("", {})

    def latency_tls(self):
        pki = Pki(self.work / "pki")
        self.environment["SSL_CERT_FILE"] = str(pki.ca)
        self.latency_scenario(" with TLS", {"certificate": pki.issue("registry")})
        del self.environment["SSL_CERT_FILE"]

    def latency_scenario(self, what, settings):
        """Many small layers to a registry that is not near: what counts is how often one waits. First to an empty registry, then again."""
        layout = self.small_layout()
        tls = "certificate" in settings
        cold, again = {}, {}
        for _ in range(self.runs):
            for program in self.programs.from_layout(layout, "HOST", tls=tls):
                with self.registry(**settings) as registry, LatencyProxy(registry.address, rtt_ms=self.sizes.rtt_ms) as proxy:
                    command = self.programs.from_layout(layout, f"{proxy.address}/bench:1", tls=tls)[program]
                    for results in (cold, again):
                        measured = measure(command, self.environment)
                        measured.round_trips = proxy.take_counts()["round_trips"]
                        results.setdefault(program, []).append(measured)
        name = f"{self.sizes.small_layers} small layers, {self.sizes.rtt_ms} ms away{what}"
        self.add(f"{name}, cold", cold)
        self.add(f"{name}, unchanged", again)

    def bulk(self):
        """Many images that have most layers in common: one run of tug, or one of each other program per image. Then the same again.
        Everybody has a blob info cache of its own, which is empty at first."""
        layouts = self.bulk_layouts()
        cold, again, stored = {}, {}, {}
        for run in range(self.runs):
            for program in self.programs.from_layout("LAYOUT", "HOST"):
                environment = {**self.environment, "_CONTAINERS_ROOTLESS_UID": "1000", "XDG_DATA_HOME": str(self.work / f"cache-{program}-{run}")}
                with self.registry() as registry:
                    command = self.bulk_command(program, {layout: f"{registry.address}/bench-{n}:1" for n, layout in enumerate(layouts)})
                    for results in (cold, again):
                        results.setdefault(program, []).append(measure(command, environment))
                    stored[program] = stored_layer_bytes(registry)
        self.add(f"{len(layouts)} images that share 10 of 11 layers", cold, stored)
        self.add("the same images again", again)

    def bulk_command(self, program, images):
        if program != "tug" or not self.programs.tug_has("--from-file"):
            return in_a_row(self.programs.from_layout(layout, image, tug_flags=())[program] for layout, image in images.items())
        pairs = self.work / "pairs"
        pairs.write_text("".join(f"oci:{layout}:app docker://{image}\n" for layout, image in images.items()))
        return [self.programs.paths["tug"], "copy", "-q", "--insecure-policy", "--dest-tls-verify=false", "--from-file", str(pairs)]

    # ---- what is said

    @staticmethod
    def rows(name, results, stored):
        base = results.get("skopeo")
        for program, runs in results.items():
            def ratio(key, runs=runs):
                return f"{median(runs, key) / median(base, key):.2f} ×" if base and program != "skopeo" else ""
            size = f"{stored[program] / 1e6:.1f}" if stored else ""
            size_ratio = f"{stored[program] / stored['skopeo']:.3f} ×" if "skopeo" in stored and program != "skopeo" else ""
            yield (name, program, f"{median(runs, 'wall') * 1000:.1f}", ratio("wall"), f"{median(runs, 'cpu') * 1000:.1f}", ratio("cpu"),
                   f"{max(r.rss for r in runs):.1f}", size, size_ratio)

    def table(self):
        """A line for each program."""
        yield from table_lines(("work", "program", "wall ms", "", "CPU ms", "", "peak RSS MB", "stored MB", ""),
                               (row for each in self.done for row in self.rows(*each)))

    def side_by_side(self):
        """A line for each work and a column for each program, for people: what tug takes, and what part of the others' that is."""
        others = [name for name in self.programs.paths if any(name in results for _, results, _ in self.done) and name != "tug"]
        yield from table_lines(("work", "tug", *others), self.lines_side_by_side(others))

    def lines_side_by_side(self, others):
        for work, results, stored in self.done:
            for tug in (name for name in results if name.partition(" ")[0] == "tug"):
                mine = results[tug]
                own = f"{seconds(mine, 'wall')}, CPU {seconds(mine, 'cpu')}, {max(r.rss for r in mine):.0f} MB{trips(mine)}"
                beside = (self.beside(mine, results.get(other), tug, other, stored) for other in others)
                yield (work + tug.removeprefix("tug").replace(" ", ", ", 1), own, *beside)

    @staticmethod
    def beside(mine, theirs, tug, other, stored):
        if not theirs:
            return ""
        def part(key):
            return f"{seconds(theirs, key)} ({median(mine, key) / median(theirs, key):.2f} ×)"
        bytes_part = f", bytes {stored[tug] / stored[other]:.3f} ×" if stored else ""
        return f"{part('wall')}, CPU {part('cpu')}{bytes_part}{trips(theirs)}"

    def report(self, command, load_before):
        """The table with all that one has to know to judge it."""
        cpu = next((line.partition(":")[2].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")),
                   platform.machine())
        yield (f"Medians of {self.runs} runs in turn, {datetime.date.today()}, on {len(os.sched_getaffinity(0))} cores ({cpu}; "
               f"load before: {load_before:.1f}), registry on the same machine: {', '.join(self.programs.versions())}. In parentheses tug's part of "
               f"what the other takes. Command: `{command}`")
        yield ""
        yield from self.side_by_side()


def tug_only(commands):
    return {"tug": commands["tug"]}


def seconds(runs, key):
    value = median(runs, key)
    return f"{value:.1f} s" if value >= 9.95 else f"{value:.2f} s" if value >= 0.995 else f"{value * 1000:.0f} ms"


def trips(runs):
    counts = [run.round_trips for run in runs if run.round_trips is not None]
    return f", {statistics.median_high(counts)} round trips" if counts else ""


def table_lines(head, rows):
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def stored_layer_bytes(registry):
    """All bytes of blobs on the registry's disk."""
    blobs = registry.storage / "docker/registry/v2/blobs"
    return sum(path.stat().st_size for path in blobs.rglob("data"))


def main():
    scenarios = ["start", "layout", "unchanged", "huge", "store", "store-1", "store-zstd", "store-warm", "store-huge", "latency", "latency-tls", "bulk",
                 "registries", "archive", "store-oci", "to-store"]
    root = pathlib.Path(__file__).resolve().parent.parent.parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tug", default=str(root / "build/release/tug"))
    parser.add_argument("--runs", type=int, help="default 3; each repeat of a short run counts as one of 40")
    parser.add_argument("--quick", action="store_true", help="little work: to see that everything runs")
    parser.add_argument("--work", default=None, help="a directory with room for 30 GB; default: a temporary one")
    parser.add_argument("--markdown", metavar="FILE", help="write a table for people to FILE (- for standard output)")
    parser.add_argument("--command", default=shlex.join(sys.argv), help="how that table says that it was made")
    parser.add_argument("scenario", nargs="*", choices=[*scenarios, []], default=[])
    arguments = parser.parse_args()
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="tug-bench-", dir=arguments.work) as directory:
        bench = Bench(arguments, pathlib.Path(directory))
        try:
            for scenario in arguments.scenario or scenarios:
                getattr(bench, scenario.replace("-", "_"))()
        finally:
            print("", *bench.table(), sep="\n")
            release_mounts(bench.work)
        if arguments.markdown:
            text = "\n".join(bench.report(arguments.command, load_before)) + "\n"
            if arguments.markdown == "-":
                print("", text, sep="\n", end="")
            else:
                pathlib.Path(arguments.markdown).write_text(text)


if __name__ == "__main__":
    main()
