"""Pushes that are killed or interrupted and run again: what was sent is not sent twice, and the tag never names what is not there."""

import json
import os
import pathlib
import random
import re
import signal
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import case  # noqa: E402
from support.case import SystemTest, registry_for_class  # noqa: E402
from support.layouts import OCI_CONFIG, OCI_LAYER_GZIP, Layout, to_json  # noqa: E402
from support.session_registry import SessionRegistry  # noqa: E402
from support.stores import Store  # noqa: E402

MB = 1_000_000
HTTP = ["--dest-tls-verify=false"]
LARGE = 60 * MB
BROKEN_AT = 40 * MB
SMALL = 100_000


def image_of(layout, sizes, seed=1):
    """An image whose layers are noise of these sizes."""
    noise = random.Random(seed)
    layers = [layout.blob(noise.randbytes(size), OCI_LAYER_GZIP) for size in sizes]
    config = layout.blob(to_json({"architecture": "amd64", "os": "linux", "config": {},
                                  "rootfs": {"type": "layers", "diff_ids": [each["digest"] for each in layers]}}), OCI_CONFIG)
    return layout.add(layout.manifest(config, layers))


def commits_to(registry, repository):
    """The digests of the blobs that were committed, in order."""
    return [re.search(r"digest=([^&]+)", r.path).group(1) for r in registry.requests()
            if r.method == "PUT" and r.status == 201 and f"/{repository}/blobs/" in r.path]


class BrokenOff(SystemTest):
    """Pushes to a registry that keeps sessions: until BROKEN_AT, and again."""

    def setUp(self):
        super().setUp()
        self.registry = self.enterContext(SessionRegistry())
        self.uploads = self.home / ".local/state/tug/uploads"

    def arguments(self, source, *flags, tag="1"):
        return ["copy", *HTTP, "--no-cache", *flags, source, f"docker://{self.registry.address}/team/app:{tag}"]

    def break_off(self, source, *flags, number=signal.SIGKILL, after=BROKEN_AT):
        """Starts the push, and sends it `number` when so many bytes have come. Returns its stderr."""
        holder, started = [], threading.Event()

        def end():
            started.wait(60)
            holder[0].send_signal(number)
            holder[0].wait(60)

        self.registry.at(after, end)
        holder.append(self.start(*self.arguments(source, *flags)))
        started.set()
        _, err = holder[0].communicate(timeout=120)
        self.registry.wait_for_bodies()
        self.assertEqual(holder[0].returncode, -number if number == signal.SIGKILL else 128 + number, err)
        self.assertEqual(self.registry.tags("team/app"), {})
        return err

    def push_again(self, source, *flags):
        """(its stderr, the bytes of body that it sent)"""
        before = self.registry.body_bytes
        result = self.assert_success(self.tug(*self.arguments(source, *flags)))
        return result.err, self.registry.body_bytes - before

    def count(self, method):
        return sum(r.method == method for r in self.registry.requests())

    def stored(self):
        """What of the large blob is in the one session that is left."""
        [size] = self.registry.session_sizes()
        return size

    def state_files(self):
        return sorted(self.uploads.glob("*")) if self.uploads.exists() else []


class Resume(BrokenOff):
    def setUp(self):
        super().setUp()
        self.layout = Layout(self.temp / "layout")
        self.image = image_of(self.layout, [LARGE, SMALL])
        self.oci = self.source(self.layout)

    def assert_sent(self, large, pushed):
        """So many bytes of the large blob; the small ones were sent in either run."""
        err, sent = pushed
        self.assertEqual(err, "")
        self.assertGreaterEqual(sent, large)
        self.assertLess(sent, large + SMALL + 1000)

    def assert_whole(self):
        self.assert_stored(self.registry, "team/app", "1", self.layout, self.image)
        self.assertEqual(self.registry.open_uploads("team/app"), [])
        self.assertEqual(self.state_files(), [])

    # ---- a blob that was half sent

    def test_killed(self):
        """SIGKILL in mid-body: the next run sends the rest of the blob into the same session, and leaves no state behind."""
        self.break_off(self.oci)
        [state] = [path for path in self.state_files() if path.suffix == ".json"]
        self.assertEqual(state.stat().st_mode & 0o777, 0o600)
        stored = self.stored()
        self.assertGreaterEqual(stored, BROKEN_AT - 200_000)
        self.assert_sent(LARGE - stored, self.push_again(self.oci))
        self.assert_whole()

    def test_interrupted(self):
        """SIGINT: the session is kept instead of cancelled, the user is told, and the next run goes on."""
        err = self.break_off(self.oci, number=signal.SIGINT)
        self.assertIn("the same command goes on from there", err)
        self.assertEqual(self.count("DELETE"), 0)
        stored = self.stored()
        self.assert_sent(LARGE - stored, self.push_again(self.oci))
        self.assert_whole()

    def test_interrupted_without_state(self):
        """--no-resume: the session is cancelled, nothing is written, and the next run sends everything."""
        err = self.break_off(self.oci, "--no-resume", number=signal.SIGTERM)
        self.assertNotIn("goes on", err)
        self.assertEqual(self.registry.open_uploads("team/app"), [])
        self.assertEqual(self.state_files(), [])
        self.assert_sent(LARGE, self.push_again(self.oci))
        self.assert_whole()

    def test_broken_early(self):
        """What is not worth it is not kept: the session is cancelled."""
        self.break_off(self.oci, number=signal.SIGTERM, after=MB)
        self.assertEqual(self.registry.open_uploads("team/app"), [])
        self.assertEqual(self.state_files(), [])
        self.push_again(self.oci)
        self.assert_whole()

    def test_connections_that_break(self):
        """The tries are used up: the session is kept, too."""
        self.registry.at(BROKEN_AT, self.registry.hang_up)
        result = self.tug(*self.arguments(self.oci, "--retry-times=0"))
        self.registry.wait_for_bodies()
        self.assertEqual(result.code, 1)
        self.assertIn("the same command goes on from there", result.err)
        stored = self.stored()
        self.assert_sent(LARGE - stored, self.push_again(self.oci))
        self.assert_whole()

    def test_state_in_a_file(self):
        """--resume-state FILE: holds what it must and no more, and goes when everything is done."""
        file = self.temp / "push.state"
        flags = ["--resume-state", file, "--dest-creds", "alice:s3cret"]
        self.break_off(self.oci, *flags)
        self.assertEqual(self.state_files(), [])
        text = file.read_text()
        self.assertEqual(file.stat().st_mode & 0o777, 0o600)
        self.assertLess(len(text), 1000)
        self.assertNotIn("s3cret", text)
        [upload] = json.loads(text)["uploads"]
        self.assertEqual((upload["registry"], upload["repository"]), (self.registry.address, "team/app"))
        self.assertEqual(upload["blob"], self.layout.read_json(self.image)["layers"][0]["digest"])
        self.assertTrue(upload["session"].startswith("/v2/team/app/blobs/uploads/"), upload)
        stored = self.stored()
        self.assert_sent(LARGE - stored, self.push_again(self.oci, *flags))
        self.assert_whole()
        self.assertFalse(file.exists())
        self.assertFalse(pathlib.Path(f"{file}.lock").exists())

    def test_file_that_is_something_else(self):
        """Refused before anything is sent, and left as it is."""
        file = self.temp / "precious"
        for content in ("", "my notes\n", '{"version":1}', '{"version":2,"uploads":[]}', "[" * 100):
            with self.subTest(content=content):
                file.write_text(content)
                result = self.copy(self.layout, f"{self.registry.address}/refused:1", *HTTP, "--resume-state", file)
                self.assert_failure(result, text="--resume-state: .*precious holds something else")
                self.assertEqual(file.read_text(), content)
        for name, text in (("no/such/directory", "cannot be written"), (".", "is not a regular file")):
            result = self.copy(self.layout, f"{self.registry.address}/refused:1", *HTTP, "--resume-state", self.temp / name)
            self.assert_failure(result, text=text)
        result = self.copy(self.layout, f"{self.registry.address}/refused:1", *HTTP, "--resume-state", file, "--no-resume")
        self.assert_failure(result, text="exclude each other")

    def hold_a_push(self, *flags):
        """A push that waits at BROKEN_AT until the second value is set."""
        held, released = threading.Event(), threading.Event()
        self.registry.at(BROKEN_AT, lambda: (held.set(), released.wait(60)))
        process = self.start(*self.arguments(self.oci, *flags))
        self.assertTrue(held.wait(60))
        return process, released

    def test_file_in_use(self):
        """Two processes never write the same session."""
        file = self.temp / "push.state"
        process, released = self.hold_a_push("--resume-state", file)
        second = self.tug(*self.arguments(self.oci, "--resume-state", file, tag="2"))
        released.set()
        self.assert_failure(second, text="push.state is in use by another process")
        _, err = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 0, err)
        self.assert_whole()

    def test_same_blob_at_the_same_time(self):
        """Without a file of its own, a second process sends the blob in a session of its own."""
        process, released = self.hold_a_push()
        self.assert_success(self.tug(*self.arguments(self.oci, tag="2")))
        asked = [r for r in self.registry.requests() if r.method == "GET" and "/uploads/" in r.path]
        self.assertEqual(asked, [], "the session of the first is its own")
        released.set()
        _, err = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 0, err)
        self.assert_stored(self.registry, "team/app", "2", self.layout, self.image)
        self.assert_whole()

    # ---- state that does not fit

    def test_session_that_is_gone(self):
        """The registry has forgotten it: everything is sent, into a new one."""
        self.break_off(self.oci)
        self.registry.forget_sessions()
        self.assert_sent(LARGE, self.push_again(self.oci))
        self.assert_whole()

    def test_session_with_other_bytes(self):
        """What is there is not this blob's beginning: the registry refuses the sum, and everything is sent again."""
        self.break_off(self.oci)
        stored = self.stored()
        self.layout = Layout(self.temp / "other")
        self.image = image_of(self.layout, [LARGE, SMALL], seed=2)
        [state] = [path for path in self.state_files() if path.suffix == ".json"]
        document = json.loads(state.read_text())
        document["uploads"][0]["blob"] = self.layout.read_json(self.image)["layers"][0]["digest"]
        for path in self.state_files():
            path.unlink()
        forged = self.temp / "forged.state"
        forged.write_text(json.dumps(document))
        self.assert_sent(LARGE - stored + LARGE, self.push_again(self.source(self.layout), "--resume-state", forged))
        self.assert_whole()
        self.assertFalse(forged.exists())

    def test_sessions_elsewhere(self):
        """What a state file names is a path at the registry: nothing in it leads to another host, and nothing is sent there."""
        layer = self.layout.read_json(self.image)["layers"][0]["digest"]
        with SessionRegistry() as other:
            for session in (f"http://{other.address}/v2/team/app/blobs/uploads/1", f"//{other.address}/x", f"@{other.address}/x", "",
                            "/x y", "/x\r\nEvil: 1", "/" + "x" * 9000, "../../x", 7, None):
                with self.subTest(session=session):
                    file = self.temp / "forged.state"
                    file.write_text(json.dumps({"version": 1, "uploads": [
                        {"registry": self.registry.address, "repository": "team/app", "blob": layer, "session": session, "saved": int(time.time())}]}))
                    self.assert_success(self.tug(*self.arguments(self.oci, "--resume-state", file)))
                    self.assert_whole()
                    self.registry.forget_blobs()
            self.assertEqual(other.requests(), [])

    def test_state_that_is_old(self):
        """Registries forget sessions after a week at the latest: nobody is asked about one."""
        self.break_off(self.oci)
        [state] = [path for path in self.state_files() if path.suffix == ".json"]
        state.write_text(re.sub(r'"saved":\d+', f'"saved":{int(time.time()) - 8 * 86400}', state.read_text()))
        asked = self.count("GET")
        self.assert_sent(LARGE, self.push_again(self.oci))
        self.assertEqual(self.count("GET") - asked, 1, "nothing but /v2/")
        self.registry.forget_sessions()
        self.assert_whole()

    def test_old_files_are_removed(self):
        """What nobody came back for."""
        self.uploads.mkdir(parents=True)
        for name in ("a.json", "a.json.lock", "b.json", "c.json.lock", "keep.txt"):
            path = self.uploads / name
            path.write_text("{}")
            if name[0] != "b":
                os.utime(path, (1, 1))
        self.push_again(self.oci)
        self.assertEqual([path.name for path in self.state_files()], ["b.json", "keep.txt"])

    def test_state_that_is_broken(self):
        """A state file of ours that nobody can read costs nothing but the resuming."""
        self.break_off(self.oci)
        for path in self.state_files():
            path.write_text('{"version":1,"uplo')
        self.push_again(self.oci)
        self.registry.forget_sessions()
        self.assert_whole()

    def test_places_that_nobody_can_write(self):
        """No home, no directory, a file in its place: the push goes on without."""
        blocked = self.temp / "blocked"
        blocked.write_text("")
        for name, env in (("none", {"HOME": ""}), ("file", {"XDG_STATE_HOME": str(blocked)}), ("proc", {"XDG_STATE_HOME": "/proc/1/none"})):
            with self.subTest(place=name):
                self.assert_success(self.tug(*self.arguments(self.oci), env=env))
                self.assert_whole()
                self.registry.forget_blobs()

    # ---- chunks

    def test_chunks(self):
        """--chunk-size: several PATCHes of that size, the same bytes."""
        self.assert_success(self.tug(*self.arguments(self.oci, "--chunk-size=16MB")))
        self.assert_whole()
        self.assertEqual(self.count("PATCH"), 4)
        for text in ("0", "1", "-1", "16X", "many", "2G"):
            result = self.tug(*self.arguments(self.oci, f"--chunk-size={text}"))
            self.assert_failure(result, text="--chunk-size: .* is not a size from 65.5 kB to 1.1 GB")

    def test_killed_between_chunks(self):
        """The newest URL of the session is kept, and the rest comes in chunks as well."""
        self.break_off(self.oci, "--chunk-size=8M")
        stored, patches = self.stored(), self.count("PATCH")
        self.assert_sent(LARGE - stored, self.push_again(self.oci, "--chunk-size=8M"))
        self.assertGreaterEqual(self.count("PATCH") - patches, 2)
        self.assert_whole()


class FromTheStore(BrokenOff):
    """Layers that are compressed while they are sent."""

    def setUp(self):
        super().setUp()
        self.store = Store(self.temp / "store", "vfs")
        # Noise in hexadecimal compresses to half of it. Another one each time: the blob info cache of this machine must not know it.
        for number, size in enumerate((LARGE, 20 * MB), 1):
            self.store.commit(f"large:{number}", "scratch" if number == 1 else f"large:{number - 1}",
                              {f"noise{number}": os.urandom(size).hex().encode()})
        self.image = self.store.reference("large:2")

    def test_killed_while_compressing(self):
        """The bytes are the same each time, so the rest of them goes into the same session."""
        for flags in ([], ["--chunk-size=4M"], ["--dest-compress-format=zstd"]):
            with self.subTest(flags=flags):
                before = self.registry.body_bytes
                self.assert_success(self.tug(*self.arguments(self.image, *flags, tag="whole")))
                whole, size = self.registry.tags("team/app")["whole"], self.registry.body_bytes - before
                self.registry.forget_blobs()
                self.break_off(self.image, *flags)
                half_sent = [size for size in self.registry.session_sizes() if size > 16 * MB]
                self.assertTrue(half_sent)
                before = self.registry.body_bytes
                self.push_again(self.image, *flags)
                self.assertLessEqual(self.registry.body_bytes - before, size - sum(half_sent))
                self.assertEqual(self.registry.tags("team/app")["1"], whole)
                self.assertEqual(self.state_files(), [])
                self.registry.forget_blobs()

    def test_committed_layers_are_known(self):
        """A layer that the killed run committed is neither compressed nor sent again."""
        # With the cache: it is where the next run learns of them.
        arguments = ["copy", *HTTP, self.image, f"docker://{self.registry.address}/team/app:1"]
        before_kill, started, holder = [], threading.Event(), []

        def end():
            """The config and the smaller layer come first. The connection that brought the byte, the larger layer's, waits meanwhile."""
            started.wait(60)
            deadline = time.monotonic() + 60
            while len(commits_to(self.registry, "team/app")) < 2 and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(0.5)  # until it has the answer, and has noted it
            before_kill.extend(commits_to(self.registry, "team/app"))
            holder[0].kill()
            holder[0].wait(60)

        self.registry.at(70 * MB, end)
        holder.append(self.start(*arguments))
        started.set()
        holder[0].communicate(timeout=120)
        self.assertEqual(len(before_kill), 2)
        self.assertEqual(self.registry.tags("team/app"), {})
        self.assert_success(self.tug(*arguments))
        commits = commits_to(self.registry, "team/app")
        self.assertEqual(len(commits), len(set(commits)), commits)


@registry_for_class()
class KilledAtAnyMoment(SystemTest):
    """A push of 8 layers, one of 200 MB, killed at random moments and run again until it succeeds."""

    def test_kills(self):
        layout = Layout(self.temp / "layout")
        image = image_of(layout, [200 * MB, 20 * MB, 5 * MB, 2 * MB, MB, 300_000, 20_000, 1000])
        moments = random.Random(20261126)
        started = time.monotonic()
        self.push(layout, "measured", None)
        whole = time.monotonic() - started
        wanted = case.scaled(100, 12)
        kills, rounds, generation = 0, 0, 0
        known = []  # at each kill of this repository, the blobs that the registry had committed
        while kills < wanted:
            repository = f"kill-{generation}"
            was_killed = self.push(layout, repository, moments.uniform(0, 1.5 * whole))
            rounds += 1
            kills += was_killed
            if was_killed:
                known.append(commits_to(self.registry, repository))
                self.check_tag(layout, image, repository)
                continue
            self.finish(layout, image, repository, known)
            known.clear()
            generation += 1
        self.push(layout, f"kill-{generation}", None)
        self.finish(layout, image, f"kill-{generation}", known)
        print(f"{kills} kills in {rounds} runs; {generation + 1} images finished; one push takes {whole:.2f} s", file=sys.stderr)

    def push(self, layout, repository, kill_after):
        """Whether it was killed."""
        process = self.start("copy", *HTTP, "--no-cache", "-q", self.source(layout), f"docker://{self.registry.address}/{repository}:1")
        try:
            _, err = process.communicate(timeout=kill_after if kill_after is not None else 300)
        except Exception:
            process.kill()
            process.communicate()
            self.assertIsNotNone(kill_after, "the push hangs")
            return True
        self.assertEqual(process.returncode, 0, err)
        return False

    def check_tag(self, layout, image, repository):
        """The tag is not there, or everything behind it is."""
        if self.registry.tags(repository):
            self.check_whole(layout, image, repository)

    def check_whole(self, layout, image, repository):
        # Sizes and links after each kill; the registry has checked each digest, and the whole is compared once at the end.
        self.assertEqual(self.registry.tags(repository), {"1": image["digest"]})
        for blob in layout.closure(image)[1]:
            self.assertTrue(self.registry.has_blob_link(repository, blob["digest"]))
            self.assertEqual(self.registry.blob_size(blob["digest"]), blob["size"])

    def finish(self, layout, image, repository, known):
        self.check_whole(layout, image, repository)
        self.assertEqual(list((self.home / ".local/state/tug").glob("uploads/*")), [])
        commits = commits_to(self.registry, repository)
        # A request that was under way at the kill may still be carried out, after the next run has asked: that blob is not known by then.
        for before in known:
            self.assertEqual(commits[:len(before)], before)
            self.assertEqual(set(commits[len(before):]) & set(before), set(), f"sent again to {repository}: {commits} after {before}")
        if repository == "kill-0":
            self.assert_stored(self.registry, repository, "1", layout, image)


if __name__ == "__main__":
    case.main()
