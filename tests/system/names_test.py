"""The program under the names skopeo and buildah: the command lines of the original step runner (step contract, section 8), with nothing
but two links on PATH, beside what Debian's skopeo and buildah do.
"""

import base64
import contextlib
import json
import os
import pathlib
import pty
import re
import secrets
import shutil
import stat
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import case  # noqa: E402
from support.case import FIXTURES, SystemTest, fixture, tug_only  # noqa: E402
from support.layouts import Layout, digest_of  # noqa: E402
from support.pki import Pki  # noqa: E402
from support.registry import Registry, die_with_parent  # noqa: E402
from support.stores import Store  # noqa: E402

USER, PASSWORD = "alice", f"pa:ss wörd {secrets.token_hex(4)}"
WRONG = f"not-the-password-{secrets.token_hex(4)}"
IMAGE = "localhost/o/app:1"
# What upstream shows of a tool's standard error.
SHOWN = 750


def basic(user=USER, password=PASSWORD):
    return base64.b64encode(f"{user}:{password}".encode()).decode()


class StepFailed(Exception):
    """Upstream's StepRunnerException, with its message."""


@tug_only
class NamesTest(SystemTest):
    """One registry with users and TLS of a private CA, one store with an image, and a directory with the two links."""

    @classmethod
    def setUpClass(cls):
        cls.directory = pathlib.Path(tempfile.mkdtemp(prefix="tug-test-names-"))
        cls.addClassCleanup(shutil.rmtree, cls.directory, ignore_errors=True)
        cls.pki = Pki(cls.directory / "pki")
        cls.registry = cls.enterClassContext(Registry(cls.directory / "registry", htpasswd={USER: PASSWORD},
                                                      certificate=cls.pki.issue("registry")))
        cls.plain = cls.enterClassContext(Registry(cls.directory / "plain"))
        cls.address = cls.registry.address
        cls.store = Store(cls.directory / "store", "vfs")
        cls.store.commit("o/app:1", "scratch", {"bin/app": b"#!/bin/sh\n" + os.urandom(20_000)})
        cls.bin = cls.directory / "bin"
        cls.bin.mkdir()
        for name in ("skopeo", "buildah"):
            (cls.bin / name).symlink_to(pathlib.Path(shutil.which(case.TUG)).resolve())

    def setUp(self):
        super().setUp()
        self.environment.update(PATH=str(self.bin), CONTAINERS_STORAGE_CONF=str(self.store.conf), SSL_CERT_FILE=str(self.pki.ca))
        self.auth = self.temp / "container-auth.json"
        self.repository = "o/" + self.id().rpartition(".")[2].replace("_", "-")

    # ---- running

    def run_tool(self, name, *arguments, text=None, terminal=False, program=None, **environment):
        """As upstream runs its tools: standard input is a pipe, which stays open unless `text` is to be read to its end; with `terminal`
        standard output is a pseudo-terminal."""
        environment = {**self.environment, **environment}
        path = program or shutil.which(name, path=environment["PATH"])
        self.assertIsNotNone(path, f"{name} is not on PATH")
        master, slave = pty.openpty() if terminal else (None, subprocess.PIPE)
        process = subprocess.Popen([name, *map(str, arguments)], executable=path, stdin=subprocess.PIPE, stdout=slave, stderr=subprocess.PIPE,
                                   cwd=self.temp, env=environment, preexec_fn=die_with_parent)
        self.addCleanup(case._reap, process)
        self.addCleanup(_close, process.stdin)
        streams = {"err": process.stderr.fileno(), "out": master if terminal else process.stdout.fileno()}
        if terminal:
            os.close(slave)
        read = {}
        threads = [threading.Thread(target=lambda n=n, f=f: read.update({n: _read_to_end(f)}), daemon=True) for n, f in streams.items()]
        for thread in threads:
            thread.start()
        if text is not None:
            with contextlib.suppress(BrokenPipeError):  # it may have ended at once, for a flag
                process.stdin.write(text.encode())
                process.stdin.close()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            self.fail(f"{name} {arguments} waits for something")
        for thread in threads:
            thread.join(60)
        if terminal:
            os.close(master)
        result = case.Result([name, *arguments], process.returncode, *(read[each].decode(errors="replace") for each in ("out", "err")))
        for secret in (PASSWORD, WRONG, basic(), base64.b64encode(PASSWORD.encode()).decode()):
            self.assertNotIn(secret, result.out + result.err)
        return result

    def login(self, name="buildah", *, password=PASSWORD, verify="true", uri=None, **options):
        return self.run_tool(name, "login", "--password-stdin", f"--username={USER}", f"--tls-verify={verify}", f"--authfile={self.auth}",
                             uri or self.address, text=password, **options)

    def skopeo_copy(self, destination=None, source=f"containers-storage:{IMAGE}", *, verify="true", **options):
        destination = destination or f"docker://{self.address}/{self.repository}:v1"
        return self.run_tool("skopeo", "copy", "--src-tls-verify=true", f"--dest-tls-verify={verify}", f"--authfile={self.auth}", source, destination,
                             terminal=True, **options)

    def pull(self, address=None, **options):
        return self.run_tool("buildah", "pull", "--authfile", self.auth, address or f"{self.address}/{self.repository}:v1", **options)

    def inspect(self, address=None, **options):
        return self.run_tool("buildah", "inspect", address or f"{self.address}/{self.repository}:v1", **options)

    def pushed(self, name="v1"):
        """Logged in, and an image in the registry."""
        self.assert_success(self.login())
        self.assert_success(self.skopeo_copy(f"docker://{self.address}/{self.repository}:{name}"))
        return self.registry.tags(self.repository)[name]

    def call_insecure(self, *addresses):
        """registries.conf."""
        path = self.home / ".config/containers/registries.conf"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f'[[registry]]\nlocation = "{address}"\ninsecure = true\n' for address in addresses))

    def real_buildah(self, *arguments, **environment):
        """Debian's, in a store of its own that goes with the test."""
        if not hasattr(self, "real"):
            self.real = Store(self.temp / "real", "vfs")
        done = subprocess.run(["/usr/bin/buildah", *map(str, arguments)], env={**self.real.environment, "SSL_CERT_FILE": str(self.pki.ca), **environment},
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120)
        return case.Result(arguments, done.returncode, done.stdout, done.stderr)

    # ---- judging

    def assert_refused(self, result, text, code=125):
        """buildah's exit code and one line "Error: …" whose reason is within what upstream shows."""
        self.assertEqual((result.code, result.out), (code, ""), str(result))
        self.assertRegex(result.err.splitlines()[-1], r"\AError: ", str(result))
        self.assertRegex(result.err[:SHOWN], text, str(result))
        return result


def _close(pipe):
    with contextlib.suppress(BrokenPipeError):
        pipe.close()


def _read_to_end(descriptor):
    data = b""
    while True:
        try:
            part = os.read(descriptor, 65536)
        except OSError:  # a pseudo-terminal whose other side is closed
            return data
        if not part:
            return data
        data += part


class OriginalStepRunner(NamesTest):
    """Upstream's sequence of calls."""

    def original_step(self, registries, registry, repository, tag, *, verify=True):
        """What the implementer Skopeo does: the artifacts' digest, or StepFailed. 44 is an exception of another kind upstream."""
        flag = str(verify).lower()
        for uri in registries:
            tool = next(name for name in ("buildah", "podman", "skopeo") if shutil.which(name, path=self.environment["PATH"]))
            done = self.login(tool, uri=uri, verify=flag)
            if done.code != 0:
                raise RuntimeError(f"Failed to login to container registry ({uri}) with username ({USER}): {done.err[:SHOWN]}")
        done = self.run_tool("skopeo", "copy", f"--src-tls-verify={flag}", f"--dest-tls-verify={flag}", f"--authfile={self.auth}",
                             f"containers-storage:{IMAGE}", f"docker://{registry}/{repository}:{tag}", terminal=True)
        if done.code != 0:
            raise StepFailed(f"Error pushing container image ({IMAGE})  to tag ({registry}/{repository}:{tag}) using skopeo: {done.err[:SHOWN]}")
        done = self.run_tool("buildah", "pull", "--authfile", self.auth, f"{registry}/{repository}:{tag}")
        if done.code != 0:
            raise StepFailed(f"Error getting pushed container image digest: {done.err[:SHOWN]}")
        done = self.run_tool("buildah", "inspect", f"{registry}/{repository}:{tag}")
        if done.code != 0:
            raise StepFailed(f"Error getting pushed container image digest: {done.err[:SHOWN]}")
        return json.loads(done.out)["FromImageDigest"]

    def test_all_of_it(self):
        """From the local store to a registry with users and TLS: the digest is the registry's."""
        digest = self.original_step([self.address], self.address, self.repository, "v1")
        self.assertEqual(self.registry.tags(self.repository), {"v1": digest})
        status, headers, body = self.registry.get(f"/v2/{self.repository}/manifests/v1", authorization=f"Basic {basic()}")
        self.assertEqual((status, headers["Docker-Content-Digest"], digest_of(body)), (200, digest, digest))

    def test_again_with_another_image(self):
        """The same tag: what the first run has seen is not what the second one reports."""
        first = self.original_step([self.address], self.address, self.repository, "v1")
        self.skopeo("copy", f"--dest-creds={USER}:{PASSWORD}", f"oci:{FIXTURES}/hello:1.0", f"docker://{self.address}/{self.repository}:v1",
                    env={"PATH": "/usr/bin"})
        self.assert_success(self.pull())
        digest = json.loads(self.assert_success(self.inspect()).out)["FromImageDigest"]
        self.assertEqual(digest, fixture("hello:1.0")[1]["digest"])
        self.assertEqual(self.original_step([], self.address, self.repository, "v1"), first)

    def test_plain_http_without_an_auth_file(self):
        """Nothing to log in to, so no auth file is ever made: Debian's buildah fails there after the push; the links do not (9)."""
        self.call_insecure(self.plain.address)
        digest = self.original_step([], self.plain.address, self.repository, "v1", verify=False)
        self.assertEqual(self.plain.tags(self.repository), {"v1": digest})
        self.assertFalse(self.auth.exists())

    def test_login_by_skopeo(self):
        """With the link skopeo alone, it is what logs in (8)."""
        alone = self.temp / "alone"
        alone.mkdir()
        (alone / "skopeo").symlink_to((self.bin / "skopeo").resolve())
        self.environment["PATH"] = str(alone)
        self.assert_success(self.login("skopeo"))
        self.assert_success(self.skopeo_copy())
        self.assertIn("v1", self.registry.tags(self.repository))

    def test_failures(self):
        """Each says why in what upstream shows of it."""
        with self.assertRaisesRegex(StepFailed, "using skopeo: .*401|using skopeo: .*no credentials"):
            self.original_step([], self.address, self.repository, "v1")
        with self.assertRaisesRegex(RuntimeError, "Failed to login .*nowhere.invalid"):
            self.original_step(["nowhere.invalid"], self.address, self.repository, "v1")
        self.assert_success(self.login())
        with self.assertRaisesRegex(StepFailed, "using skopeo: .*(?i:repository).*(?i:lower|upper|invalid)"):
            self.original_step([], self.address, "Upper/Case", "v1")
        self.assertEqual(self.registry.tags(self.repository), {})


class Skopeo(NamesTest):
    def test_copy_to_a_terminal(self):
        """Plain lines on the pseudo-terminal, nothing on standard error, and standard input is left alone."""
        self.assert_success(self.login())
        result = self.assert_success(self.skopeo_copy(TERM="xterm"))
        self.assertEqual(result.err, "")
        self.assertNotRegex(result.out, r"[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f]|\r[^\n]", "lines, no cursor movement")
        self.assertIn("Copying blob", result.out)
        self.assertEqual(list(self.registry.tags(self.repository)), ["v1"])

    def test_flags_of_upstream(self):
        """--name=value, and all of Go's truth words."""
        for word in ("1", "t", "T", "true", "True", "TRUE"):
            with self.subTest(word):
                self.assert_success(self.run_tool("skopeo", "copy", f"--src-tls-verify={word}", "--dest-tls-verify=False", f"--authfile={self.auth}",
                                                  f"oci:{FIXTURES}/hello:1.0", f"docker://{self.plain.address}/{self.repository}:{word}"))
        for word in ("2", "yes", "none", ""):
            with self.subTest(word):
                result = self.run_tool("skopeo", "copy", f"--src-tls-verify={word}", "--dest-tls-verify=False", f"--authfile={self.auth}",
                                       f"oci:{FIXTURES}/hello:1.0", f"docker://{self.plain.address}/{self.repository}:refused")
                self.assert_failure(result, text="src-tls-verify")
        self.assertNotIn("refused", self.plain.tags(self.repository))

    def test_additional_tags_that_cannot_be(self):
        """skopeo ignores them: so does the link, with a line; under its own name tug refuses them."""
        destinations = ((f"dir:{self.temp}/x", "b:2", "has no tags"),
                        (f"docker://{self.plain.address}/{self.repository}:1", "other.example/b:2", "is not in the destination's repository"))
        for destination, tag, why in destinations:
            words = ["copy", "--dest-tls-verify=false", f"--additional-tag={tag}", f"oci:{FIXTURES}/hello:1.0", destination]
            with self.subTest(destination):
                result = self.assert_success(self.run_tool("skopeo", *words))
                self.assertRegex(result.err, rf"\Atime=.* level=warning msg=\"--additional-tag is ignored: .*{why}.*\n\Z")
                self.assert_failure(self.run_tool("tug", *words, program=case.TUG), text=f"additional-tag: .*{why}")
        self.assertEqual(list(self.plain.tags(self.repository)), ["1"])

    def test_failed_copy(self):
        """Exit 1 (2: not found is skopeo's too), the reason first."""
        result = self.skopeo_copy(source="containers-storage:localhost/missing:1")
        self.assertIn(result.code, (1, 2))
        self.assertRegex(result.message()[:SHOWN], "localhost/missing:1")
        self.assertEqual(self.registry.tags(self.repository), {})

    def test_absent_auth_file(self):
        """The named file need not be there."""
        self.assert_success(self.skopeo_copy(f"docker://{self.plain.address}/{self.repository}:v1", verify="false"))
        self.assertFalse(self.auth.exists())

    def test_version_and_help(self):
        """The forms that scripts read, and the name."""
        for flag in ("--version", "-v"):
            self.assertRegex(self.assert_success(self.run_tool("skopeo", flag)).out, r"\Askopeo version \d+\.\d+\.\d+( \S.*)?\n\Z")
        real = subprocess.run(["/usr/bin/skopeo", "--version"], stdout=subprocess.PIPE, check=True, text=True).stdout
        self.assertEqual(self.run_tool("skopeo", "--version").out.split()[:3], real.split()[:3])
        self.assertIn("skopeo [flags] VERB", self.run_tool("skopeo", "--help").out)
        self.assertIn("skopeo copy [flags]", self.run_tool("skopeo", "copy", "--help").out)
        self.assert_failure(self.run_tool("skopeo", "frobnicate"), text='unknown command "frobnicate" for "skopeo"')

    def test_the_name_may_have_a_path(self):
        """argv[0] with a path; and any other name is tug."""
        self.assertRegex(self.run_tool(str(self.bin / "buildah"), "--version").out, r"\Abuildah version ")
        self.assertRegex(self.run_tool("buildah.old", "--version", program=self.bin / "buildah").out, r"\Atug version ")
        self.assertRegex(self.run_tool("", "--version", program=self.bin / "buildah").out, r"\Atug version ")


class Buildah(NamesTest):
    def test_login(self):
        """The file as upstream found it; the password is read to the end of standard input."""
        result = self.assert_success(self.login())
        self.assertEqual((result.out, result.err), ("Login Succeeded!\n", ""))
        self.assertEqual(self.auth.read_text(), '{\n\t"auths": {\n\t\t"%s": {\n\t\t\t"auth": "%s"\n\t\t}\n\t}\n}' % (self.address, basic()))
        self.assertEqual(stat.S_IMODE(self.auth.stat().st_mode), 0o600)
        self.assert_success(self.run_tool("buildah", "logout", "--authfile", self.auth, self.address))
        self.assertEqual(json.loads(self.auth.read_text()).get("auths", {}), {})

    def test_login_that_fails(self):
        """buildah's words and exit code; no file is made."""
        result = self.assert_refused(self.login(password=WRONG), "invalid username/password")
        real = self.real_buildah("login", f"--username={USER}", f"--password={WRONG}", f"--authfile={self.auth}", self.address)
        self.assertEqual(result.code, real.code)
        self.assertEqual(result.err.strip()[:len(real.err.strip())], real.err.strip())
        self.assert_refused(self.login(verify="no"), "tls-verify")
        self.environment.pop("SSL_CERT_FILE")
        self.assert_refused(self.login(), "certificate")
        self.assertFalse(self.auth.exists())
        self.assert_success(self.login(verify="false"))

    def test_pull_and_inspect_beside_debians_buildah(self):
        """FromImageDigest and what else an image's JSON says, for an image of the store, an OCI image and an index."""
        self.pushed()
        for name in ("hello:1.0", "multi:all"):
            self.skopeo("copy", "--all", f"--dest-creds={USER}:{PASSWORD}", f"oci:{FIXTURES}/{name}",
                        f"docker://{self.address}/{self.repository}:{name.partition(':')[0]}", env={"PATH": "/usr/bin"})
        for tag in ("v1", "hello", "multi"):
            with self.subTest(tag):
                address = f"{self.address}/{self.repository}:{tag}"
                ours, theirs = self.assert_success(self.pull(address)), self.assert_success(self.real_buildah("pull", "--authfile", self.auth, address))
                self.assertEqual(ours.out, theirs.out)
                self.assertTrue(theirs.err.startswith(ours.err), ours.err)
                ours = json.loads(self.assert_success(self.inspect(address)).out)
                theirs = json.loads(self.assert_success(self.real_buildah("inspect", address)).out)
                for member in ("Type", "FromImage", "FromImageID", "FromImageDigest", "Config", "Manifest", "Container", "ContainerID", "MountPoint",
                               "ImageAnnotations", "ImageCreatedBy", "OCIv1", "History"):
                    self.assertEqual(ours[member], theirs[member], member)

    def test_inspect_gets_no_auth_file(self):
        """After a pull it works all the same, also when the registry is gone; what is kept for that is the user's own and holds no secret."""
        digest = self.pushed()
        result = self.assert_refused(self.inspect(), "401|no credentials")
        self.assertIn("importing settings", result.err)
        self.assert_success(self.pull())
        before = len(self.registry.requests())
        self.assertEqual(json.loads(self.assert_success(self.inspect()).out)["FromImageDigest"], digest)
        self.assertEqual(len(self.registry.requests()), before)
        kept = [path for path in self.home.rglob("*") if path.is_file() and "pulled" in str(path)]
        self.assertEqual([stat.S_IMODE(path.stat().st_mode) for path in kept], [0o600])
        self.assertNotIn(basic(), kept[0].read_text())

    def test_inspect_asks_the_registry(self):
        """Without an earlier pull, and where nothing can be kept: of a registry that lets it."""
        self.call_insecure(self.plain.address)
        address = f"{self.plain.address}/{self.repository}:v1"
        self.assert_success(self.skopeo_copy(f"docker://{address}", verify="false"))
        digest = self.plain.tags(self.repository)["v1"]
        self.assertEqual(json.loads(self.assert_success(self.inspect(address)).out)["FromImageDigest"], digest)
        self.assert_success(self.pull(address, XDG_STATE_HOME="/dev/null/nowhere"))
        self.assertEqual(json.loads(self.assert_success(self.inspect(address, XDG_STATE_HOME="/dev/null/nowhere")).out)["FromImageDigest"], digest)

    def test_spoilt_memory(self):
        """What was kept and is no longer readable is asked of the registry."""
        self.call_insecure(self.plain.address)
        address = f"{self.plain.address}/{self.repository}:v1"
        self.assert_success(self.skopeo_copy(f"docker://{address}", verify="false"))
        self.assert_success(self.pull(address))
        kept = next(path for path in self.home.rglob("*.json") if "pulled" in str(path))
        good = json.loads(kept.read_text())
        for text in ("", "{", "[]", "{}", json.dumps({**good, "manifest": "{}"}), json.dumps({**good, "config": "x"}), json.dumps({**good, "name": "other"})):
            with self.subTest(text[:40]):
                kept.write_text(text)
                self.assertEqual(json.loads(self.assert_success(self.inspect(address)).out)["FromImageDigest"], self.plain.tags(self.repository)["v1"])

    def test_plain_http(self):
        """`pull` gets no TLS flag: registries.conf decides, as for buildah; --tls-verify=false does too."""
        address = f"{self.plain.address}/{self.repository}:v1"
        self.assert_success(self.skopeo_copy(f"docker://{address}", verify="false"))
        self.assert_refused(self.pull(address), r"(?i)http|tls|ssl")
        self.assert_success(self.run_tool("buildah", "pull", "--tls-verify=false", "--authfile", self.auth, address))
        self.call_insecure(self.plain.address)
        self.assert_success(self.pull(address))

    def test_pull_that_fails(self):
        """What is missing, who is not let in, what is no reference; the reason in what upstream shows."""
        self.pushed()
        self.assert_refused(self.pull(f"{self.address}/{self.repository}:none"), "none.*manifest unknown")
        self.auth.unlink()
        self.assert_refused(self.pull(), "401|no credentials")
        self.assert_refused(self.pull("Upper/Case"), "Upper/Case")
        self.assert_refused(self.pull("oci:/somewhere"), "oci:/somewhere|reference")
        self.assert_refused(self.pull("nowhere.invalid/a:1"), "nowhere.invalid")

    def test_addresses(self):
        """With the transport, by digest, without a tag; -q."""
        digest = self.pushed("latest")
        identity = json.loads(self.registry.stored_blob(digest))["config"]["digest"].partition(":")[2]
        for address in (f"docker://{self.address}/{self.repository}:latest", f"{self.address}/{self.repository}@{digest}", f"{self.address}/{self.repository}"):
            with self.subTest(address):
                self.assertEqual(self.assert_success(self.pull(address)).out, identity + "\n")
                self.assertEqual(json.loads(self.assert_success(self.inspect(address)).out)["FromImageDigest"], digest)
        quiet = self.assert_success(self.run_tool("buildah", "pull", "-q", "--authfile", self.auth, f"{self.address}/{self.repository}"))
        self.assertEqual((quiet.out, quiet.err), (identity + "\n", ""))

    def test_everything_else_is_refused(self):
        """By name, 125; so are flags that are not served."""
        for verb in ("add", "bud", "build", "commit", "config", "containers", "copy", "from", "images", "info", "manifest", "mount", "push", "rename", "rm",
                     "rmi", "run", "source", "step", "tag", "umount", "unshare", "version", "nonsense"):
            with self.subTest(verb):
                self.assert_refused(self.run_tool("buildah", verb, "x"), f'\\AError: unknown command "{verb}" for "buildah"')
        for arguments, text in ((["pull", "--policy=always", "x/y"], "--policy"), (["pull", "--all-tags", "x/y"], "--all-tags"),
                                (["inspect", "--format", "{{.FromImageDigest}}", "x/y"], "--format"), (["inspect", "--type", "container", "x"], "--type"),
                                (["inspect"], "argument"), (["pull"], "argument"), (["--root", "/x", "pull", "y"], "--root"), ([], "no command")):
            with self.subTest(arguments):
                self.assert_refused(self.run_tool("buildah", *arguments), text)
        self.assertEqual(self.real_buildah("nonsense").code, 125)

    def test_version_and_help(self):
        """The form that scripts read."""
        real = self.assert_success(self.real_buildah("--version")).out
        for flag in ("--version", "-v"):
            ours = self.assert_success(self.run_tool("buildah", flag)).out
            self.assertRegex(ours, r"\Abuildah version \d+\.\d+\.\d+ \(.+\)\n\Z")
            self.assertEqual(ours.split()[:3], real.split()[:3])
        text = self.assert_success(self.run_tool("buildah", "--help")).out
        self.assertEqual(re.findall(r"(?m)^  ([a-z]+)  ", text), ["login", "logout", "pull", "inspect"])

    def test_an_image_of_another_platform(self):
        """An index without one for this machine is refused; what it has is not taken for it."""
        layout = Layout(self.temp / "other")
        image = layout.image([{"a": b"b"}], architecture="s390x")
        layout.add(layout.index([{**image, "platform": {"architecture": "s390x", "os": "linux"}}]))
        self.call_insecure(self.plain.address)
        self.skopeo("copy", "--all", "--dest-tls-verify=false", f"oci:{layout.path}", f"docker://{self.plain.address}/{self.repository}:v1", env={"PATH": "/usr/bin"})
        self.assert_refused(self.pull(f"{self.plain.address}/{self.repository}:v1"), "no image for linux/")


if __name__ == "__main__":
    case.main()
