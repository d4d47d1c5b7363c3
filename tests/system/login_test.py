"""tug login and tug logout: beside Debian's skopeo and buildah, against real registries, with real helper programs and a real terminal."""

import base64
import fcntl
import json
import os
import pathlib
import pty
import re
import secrets
import select
import signal
import stat
import subprocess
import sys
import termios
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import case  # noqa: E402
from support.case import TUG, SystemTest, fixture, tug_only  # noqa: E402
from support.pki import Pki  # noqa: E402
from support.registry import Registry, die_with_parent  # noqa: E402
from support.token_server import TokenServer, User  # noqa: E402

HTTP = "--tls-verify=false"
# A password of this process alone: tests look for it in the arguments of all processes.
USER, PASSWORD = "alice", f"pa:ss wörd {secrets.token_hex(4)}"
WRONG = f"not-the-password-{secrets.token_hex(4)}"


def _unread(pipe):
    """How many bytes of a pipe its reader has not taken yet."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, b"\0\0\0\0"), sys.byteorder)


def basic(user=USER, password=PASSWORD):
    """The `auth` member of an auth file's entry."""
    return base64.b64encode(f"{user}:{password}".encode()).decode()


class LoginTest(SystemTest):
    """With one registry that knows USER."""

    def setUp(self):
        super().setUp()
        self.registry = self.enterContext(Registry(self.temp / "registry", **self.registry_settings()))
        self.address = self.registry.address

    def registry_settings(self):
        return {"htpasswd": {USER: PASSWORD, "bob": "b0b"}}

    @property
    def auth_json(self):
        return self.run_dir / "containers/auth.json"

    def run_with_input(self, *arguments, text="", program=None, env=None):
        """Runs it with `text` on standard input, a pipe."""
        process = subprocess.run([program or TUG, *map(str, arguments)], input=text.encode(), stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, env={**self.environment, **(env or {})}, cwd=self.temp, timeout=60)
        return case.Result(process.args, process.returncode, process.stdout.decode(), process.stderr.decode())

    def login(self, *flags, target=None, password=PASSWORD, user=USER, **options):
        """With the password on standard input."""
        return self.run_with_input("login", HTTP, "--username", user, "--password-stdin", *flags, target or self.address,
                                   text=password + "\n", **options)

    def auths(self, path=None):
        return json.loads((path or self.auth_json).read_text())["auths"]

    def assert_no_secret(self, result, *secrets):
        for secret in (PASSWORD, WRONG, basic(), basic(password=WRONG), base64.b64encode(PASSWORD.encode()).decode(), *secrets):
            self.assertNotIn(secret, result.out + result.err)


class Words(LoginTest):
    """What is printed, and the exit codes: skopeo's."""

    def test_login_and_again(self):
        """The file, byte for byte, and the words of a first and a second login."""
        result = self.assert_success(self.login())
        self.assertEqual((result.out, result.err), ("Login Succeeded!\n", ""))
        self.assertEqual(self.auth_json.read_text(),
                         '{\n\t"auths": {\n\t\t"%s": {\n\t\t\t"auth": "%s"\n\t\t}\n\t}\n}' % (self.address, basic()))
        self.assertEqual(stat.S_IMODE(self.auth_json.stat().st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(self.auth_json.parent.stat().st_mode), 0o700)
        again = self.assert_success(self.tug("login", HTTP, self.address))
        self.assertEqual(again.out, f"Authenticating with existing credentials for {self.address}\n"
                                    f"Existing credentials are valid. Already logged in to {self.address}\n")

    def test_verbose_and_get_login(self):
        """-v says where; --get-login prints the user's name, and whether there is one."""
        result = self.assert_failure(self.tug("login", HTTP, "--get-login", self.address))
        self.assertEqual(result.message(), f"not logged into {self.address}")
        self.assertEqual(self.login("-v").out, f"Used:  {self.auth_json}\nLogin Succeeded!\n")
        self.assertEqual(self.assert_success(self.tug("login", "--get-login", self.address)).out, f"{USER}\n")
        self.assertEqual(self.tug("login", "--get-login", f"http://{self.address}").out, f"{USER}\n")

    def test_wrong_password(self):
        """The same first words, exit 1, nothing printed, no file made, and no secret said."""
        for flags in ([], ["--debug"]):
            result = self.login(*flags, password=WRONG)
            self.assertEqual((result.code, result.out), (1, ""))
            self.assertTrue(result.message().startswith(f'logging into "{self.address}": invalid username/password'), str(result))
            self.assert_no_secret(result)
        self.assertFalse(self.auth_json.exists())

    def test_wrong_password_leaves_the_file(self):
        """Byte for byte, whatever its form."""
        self.auth_json.parent.mkdir()
        before = b'{ "auths" : {"%s":{"auth":"%s"}},\n"x":1 }\n' % (self.address.encode(), basic().encode())
        self.auth_json.write_bytes(before)
        self.assert_failure(self.login(password=WRONG))
        self.assertEqual(self.auth_json.read_bytes(), before)

    def test_existing_credentials_that_are_bad(self):
        """They are tried, said to be bad, and asked for; which a pipe that is empty does not answer."""
        self.auth_json.parent.mkdir()
        self.auth_json.write_text(json.dumps({"auths": {self.address: {"auth": basic(password=WRONG)}}}))
        result = self.tug("login", HTTP, self.address)
        self.assertEqual((result.code, result.out),
                         (1, f"Authenticating with existing credentials for {self.address}\n"
                             "Existing credentials are invalid, please enter valid username and password\n"
                             f"Username ({USER}): "))
        self.assert_failure(result, text="getting username and password: reading username: ")
        self.assert_no_secret(result)

    def test_usage(self):
        """skopeo's sentences for what is missing, too much, or contradictory."""
        for arguments, message in (
                (["login"], "please provide a registry to login to"),
                (["login", "a.example", "b.example"], "login accepts only one registry to login to"),
                (["login", "--password-stdin", "a.example"], "Must provide --username with --password-stdin"),
                (["login", "--password-stdin", "-u", "x", "-p", "y", "a.example"],
                 "Can't specify both --password-stdin and --password"),
                (["logout"], "please provide a registry to logout from"),
                (["logout", "a.example", "b.example"], "logout accepts only one registry to logout from"),
                (["logout", "--all", "a.example"], "--all takes no arguments"),
                (["logout", "a.example"], "not logged into a.example")):
            with self.subTest(arguments=arguments):
                self.assertEqual(self.assert_failure(self.tug(*arguments)).message(), message)

    @tug_only
    def test_no_terminal(self):
        """Without a password and a terminal: an error that says what to do."""
        self.assert_failure(self.tug("login", HTTP, "-u", USER, self.address),
                            text=["getting username and password: reading password: standard input is not a terminal",
                                  "--password-stdin"])

    def test_password_flag_and_short_names(self):
        """-u and -p."""
        self.assertEqual(self.assert_success(self.tug("login", HTTP, "-u", USER, "-p", PASSWORD, self.address)).out, "Login Succeeded!\n")
        self.assertEqual(self.auths(), {self.address: {"auth": basic()}})

    def test_username_from_a_pipe(self):
        """The name alone may come by a pipe."""
        result = self.run_with_input("login", HTTP, "-p", PASSWORD, self.address, text=f"{USER}\n")
        self.assertEqual(self.assert_success(result).out, "Username: Login Succeeded!\n")

    def test_logout(self):
        """Removes what login wrote; a second time there is nothing to remove."""
        self.login()
        self.login(target=f"{self.address}/team")
        self.assertEqual(self.assert_success(self.tug("logout", self.address)).out, f"Removed login credentials for {self.address}\n")
        self.assertEqual(set(self.auths()), {f"{self.address}/team"})
        self.assertEqual(self.assert_failure(self.tug("logout", self.address)).message(), f"not logged into {self.address}")
        self.assertEqual(self.assert_success(self.tug("logout", "-a")).out, "Removed login credentials for all registries\n")
        self.assertEqual(self.auth_json.read_text(), '{\n\t"auths": {}\n}')
        self.assert_success(self.tug("logout", "--all"))

    def test_logout_of_a_file_that_is_missing(self):
        """A named file must be there."""
        missing = self.temp / "none.json"
        result = self.assert_failure(self.tug("logout", "--authfile", missing, self.address))
        self.assertEqual(result.message(), f"checking authfile: stat {missing}: no such file or directory")


class Password(LoginTest):
    """--password-stdin."""

    def registry_settings(self):
        return {"htpasswd": {USER: PASSWORD, "spacy": " p "}}

    def test_one_line_break_is_dropped(self):
        """Of either kind; spaces stay."""
        for text in (PASSWORD, PASSWORD + "\n", PASSWORD + "\r\n"):
            self.assert_success(self.run_with_input("login", HTTP, "-u", USER, "--password-stdin", self.address, text=text))
            self.assertEqual(self.auths()[self.address]["auth"], basic())
        self.assert_success(self.login(user="spacy", password=" p "))

    @tug_only
    def test_what_is_no_password(self):
        """Nothing, several lines, and far too much."""
        for text, message in (("", "no password on standard input"), ("\n", "no password on standard input"),
                              (f"{PASSWORD}\nmore\n", "line break"), ("x" * 200_000, "more than a password can be")):
            result = self.run_with_input("login", HTTP, "-u", USER, "--password-stdin", self.address, text=text)
            self.assert_failure(result, text=message)
            self.assert_no_secret(result)
        self.assertFalse(self.auth_json.exists())

    @tug_only
    def test_a_signal_ends_the_wait(self):
        """Standard input that stays open and silent."""
        process = subprocess.Popen([TUG, "login", HTTP, "-u", USER, "--password-stdin", self.address], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.environment, preexec_fn=die_with_parent)
        process.stdin.write(b"begun")
        process.stdin.flush()
        deadline = time.monotonic() + 20
        while _unread(process.stdin) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=10)
        self.assertEqual(process.returncode, 143)


class File(LoginTest):
    """The file: which, merged how, and what is refused."""

    def test_key_of_a_url_and_of_a_path(self):
        """A URL is its host and port; a path is kept."""
        for target, key in ((f"https://{self.address}/v1/", self.address), (f"{self.address}/team/app", f"{self.address}/team/app")):
            self.assert_success(self.login(target=target))
            self.assertEqual(self.auths().pop(key), {"auth": basic()})
        for target in (f"{self.address}/a:tag", f"{self.address}/", f"{self.address}/UP"):
            self.assert_failure(self.login(target=target))

    def test_registry_auth_file(self):
        """$REGISTRY_AUTH_FILE; --authfile wins over it."""
        by_variable, by_flag = self.temp / "variable.json", self.temp / "flag.json"
        environment = {"REGISTRY_AUTH_FILE": str(by_variable)}
        self.assert_success(self.login(env=environment))
        self.assert_success(self.login("--authfile", by_flag, env=environment, target=f"{self.address}/x"))
        self.assertEqual(set(self.auths(by_variable)), {self.address})
        self.assertEqual(set(self.auths(by_flag)), {f"{self.address}/x"})
        self.assertFalse(self.auth_json.exists())

    def test_docker_config(self):
        """$DOCKER_CONFIG/config.json for both verbs, whatever else is there; $REGISTRY_AUTH_FILE and --authfile win over it."""
        directory, other = self.temp / "docker", self.temp / "other.json"
        environment = {"DOCKER_CONFIG": str(directory)}
        self.assertIn(f"Used:  {directory}/config.json\n", self.assert_success(self.login("-v", env=environment)).out)
        self.assertEqual(self.auths(directory / "config.json"), {self.address: {"auth": basic()}})
        self.assertFalse(self.auth_json.exists())
        self.assertEqual(self.assert_success(self.tug("login", "--get-login", self.address, env=environment)).out, f"{USER}\n")
        self.assert_success(self.login())  # in the default file, where it stays
        self.assert_success(self.tug("logout", self.address, env=environment))
        self.assertEqual((self.auths(directory / "config.json"), set(self.auths())), ({}, {self.address}))
        self.assert_success(self.login(env={**environment, "REGISTRY_AUTH_FILE": str(other)}))
        self.assert_success(self.login("--authfile", other, env=environment, target=f"{self.address}/x"))
        self.assertEqual(set(self.auths(other)), {self.address, f"{self.address}/x"})
        self.assertEqual(self.auths(directory / "config.json"), {})

    @tug_only
    def test_merged(self):
        """What else is in the file stays, in its order."""
        path = self.temp / "auth.json"
        path.write_text(json.dumps({"z": [1, {"y": None}], "auths": {"b.example": {"auth": "YTpi", "email": "e"}, "a.example": {}},
                                    "credHelpers": {"h.example": "helper"}, "a": 1}))
        path.chmod(0o600)
        self.assert_success(self.login("--authfile", path))
        self.assertEqual(path.read_text(), json.dumps(
            {"z": [1, {"y": None}], "auths": {"b.example": {"auth": "YTpi", "email": "e"}, "a.example": {}, self.address: {"auth": basic()}},
             "credHelpers": {"h.example": "helper"}, "a": 1}, indent="\t"))

    def test_not_json(self):
        """Refused before the registry is asked; the file stays."""
        path = self.temp / "auth.json"
        path.write_text("no json")
        self.assert_failure(self.login("--authfile", path), text=re.escape(str(path)))
        self.assert_failure(self.tug("logout", "--authfile", path, self.address), text=re.escape(str(path)))
        self.assertEqual(path.read_text(), "no json")
        if not case.IS_SKOPEO:
            self.assertEqual(self.registry.requests(), [])

    @tug_only
    def test_missing_directory(self):
        """Of a named file: an error that names it."""
        result = self.login("--authfile", self.temp / "no/auth.json")
        self.assert_failure(result, text=re.escape(f"the directory {self.temp}/no does not exist"))

    @tug_only
    def test_directory_that_cannot_be_written(self):
        """/proc takes no file; neither does a directory in the file's place."""
        self.assert_failure(self.login("--authfile", "/proc/auth.json"), text="/proc/auth.json")
        self.assert_failure(self.login("--authfile", self.temp), text=re.escape(str(self.temp)))

    @tug_only
    def test_docker_file(self):
        """--compat-auth-file: docker's config.json; no path, and not beside --authfile."""
        path = self.temp / "config.json"
        path.write_text('{"HttpHeaders": {"a": "b"}}')
        path.chmod(0o600)
        self.assert_success(self.login("--compat-auth-file", path))
        self.assertEqual(json.loads(path.read_text()), {"HttpHeaders": {"a": "b"}, "auths": {self.address: {"auth": basic()}}})
        self.assertEqual(self.tug("login", "--get-login", "--compat-auth-file", path, self.address).out, f"{USER}\n")
        self.assert_failure(self.login("--compat-auth-file", path, target=f"{self.address}/x"), text="path")
        self.assert_failure(self.login("--compat-auth-file", path, "--authfile", path), text="exclude")
        self.assert_success(self.tug("logout", "--compat-auth-file", path, self.address))
        self.assertEqual(json.loads(path.read_text()), {"HttpHeaders": {"a": "b"}, "auths": {}})

    def test_at_the_same_time(self):
        """Eight logins at once: each is in the file afterwards."""
        if case.IS_SKOPEO:
            self.skipTest("skopeo takes no lock, and loses some")
        targets = [f"{self.address}/team{number}" for number in range(8)]
        processes = [self.start("login", HTTP, "-u", USER, "-p", PASSWORD, target) for target in targets]
        for process in processes:
            out, err = process.communicate(timeout=60)
            self.assertEqual((process.returncode, out), (0, "Login Succeeded!\n"), err)
        self.assertEqual(self.auths(), {target: {"auth": basic()} for target in targets})
        self.assertEqual([path.name for path in self.auth_json.parent.iterdir()], ["auth.json"])


class OtherTools(LoginTest):
    """What one tool logged in is used by the other."""

    def test_skopeo_uses_our_login(self):
        """skopeo reads, checks and removes what tug wrote."""
        self.copy("hello:1.0", f"{self.address}/app:1", "--dest-tls-verify=false", f"--dest-creds={USER}:{PASSWORD}")
        self.assert_success(self.login())
        inspected = self.skopeo("inspect", HTTP, f"docker://{self.address}/app:1")
        self.assertEqual(inspected.json()["Digest"], fixture("hello:1.0")[1]["digest"])
        self.assertEqual(self.skopeo("login", "--get-login", self.address).out, f"{USER}\n")
        self.assertIn("Existing credentials are valid", self.skopeo("login", HTTP, self.address).out)
        self.skopeo("logout", self.address)
        self.assert_failure(self.tug("login", "--get-login", self.address))

    def test_we_use_skopeos_login(self):
        """tug pushes with, checks and removes what skopeo wrote."""
        self.skopeo("login", HTTP, "-u", USER, "-p", PASSWORD, self.address)
        skopeos = self.auth_json.read_bytes()
        self.assert_success(self.copy("hello:1.0", f"{self.address}/app:1", "--dest-tls-verify=false"))
        self.assertIn("Existing credentials are valid", self.assert_success(self.tug("login", HTTP, self.address)).out)
        self.assert_success(self.login())
        self.assertEqual(self.auth_json.read_bytes(), skopeos)  # the same file, byte for byte
        self.assert_success(self.tug("logout", self.address))
        self.assertEqual(self.tug("login", "--get-login", self.address, program="skopeo").code, 1)

    def test_buildahs_command_line(self):
        """The step runner's call of `buildah login`, as it stands (step-contract 4.4), in both programs: the same words and file."""
        files = []
        for program in ("buildah", TUG):
            path = self.temp / f"{len(files)}.json"
            result = self.run_with_input("login", "--password-stdin", f"--username={USER}", HTTP, f"--authfile={path}",
                                         f"{self.address}/org", text=PASSWORD, program=program)
            self.assertEqual((result.code, result.out, result.err), (0, "Login Succeeded!\n", ""))
            files.append(path.read_bytes())
        self.assertEqual(files[0], files[1])


class Tls(LoginTest):
    """A registry with a certificate of a private CA."""

    def registry_settings(self):
        self.pki = Pki(self.temp / "pki")
        return {"htpasswd": {USER: PASSWORD}, "certificate": self.pki.issue("server")}

    def run_login(self, *flags):
        return self.run_with_input("login", "-u", USER, "--password-stdin", *flags, self.address, text=PASSWORD)

    def test_certificates(self):
        """Unknown CA: refused, nothing stored. With --cert-dir, or without verification: good."""
        self.assert_failure(self.run_login(), text="authenticating creds for .*certificate")
        self.assertFalse(self.auth_json.exists())
        directory = self.temp / "certs"
        directory.mkdir()
        (directory / "ca.crt").write_bytes(self.pki.ca.read_bytes())
        self.assert_success(self.run_login("--cert-dir", directory))
        self.auth_json.unlink()
        self.assert_success(self.run_login(HTTP))
        self.assertTrue(self.auth_json.exists())

    def test_certificate_directory_that_is_not_there(self):
        """As if it were empty; tug says so."""
        missing = self.temp / "missing"
        result = self.assert_success(self.run_login(HTTP, "--cert-dir", missing))
        if not case.IS_SKOPEO:
            self.assertRegex(result.err, rf"\Atime=.* level=warning msg=\"the certificate directory {missing} is not there\"\n\Z")
        result = self.run_login("--cert-dir", missing)  # no CA: refused
        self.assertEqual(result.code, 1)
        self.assertIn("certificate", result.err)

    def test_tls_verify_takes_a_boolean(self):
        """Not "no"."""
        self.assert_failure(self.run_login("--tls-verify=no"), text="tls-verify")


class Tokens(LoginTest):
    """A registry that sends its clients to a token service."""

    def registry_settings(self):
        self.tokens = self.enterContext(TokenServer(self.temp / "tokens", {USER: User(PASSWORD, {"app": "pull,push"})}))
        return {"tokens": self.tokens}

    def test_token(self):
        """The password goes to the token service; what it refuses is not stored."""
        self.assert_failure(self.login(password=WRONG), text="invalid username/password")
        self.assertFalse(self.auth_json.exists())
        self.assert_success(self.login())
        self.assertEqual([(request.user, request.grant, request.status) for request in self.tokens.requests],
                         [(USER, "basic", 401), (USER, "basic", 200)])
        self.assert_success(self.copy("hello:1.0", f"{self.address}/app:1", "--dest-tls-verify=false"))

    def test_debug_has_no_secret(self):
        """--debug tells of the requests, and neither password nor token."""
        result = self.login("--debug")
        self.assert_success(result)
        self.assertIn("level=debug", result.err)
        self.assert_no_secret(result, *[request.token for request in self.tokens.requests if request.token])


# A credential helper that keeps what it is told in a file, and notes which processes show the secret in their arguments.
HELPER = """#!/usr/bin/python3
import glob, json, os, sys
verb, asked = sys.argv[1], sys.stdin.read()
shown = []
for path in glob.glob("/proc/[0-9]*/cmdline") + glob.glob("/proc/[0-9]*/environ"):
    try:
        if {secret!r}.encode() in open(path, "rb").read():
            shown.append(path)
    except OSError:
        pass
with open({log!r}, "a") as log:
    log.write(json.dumps([verb, asked.strip(), len(sys.argv), shown]) + "\\n")
kept = json.load(open({kept!r})) if os.path.exists({kept!r}) else {{}}
if verb == "store":
    kept[json.loads(asked)["ServerURL"]] = json.loads(asked)
elif verb == "list":
    print(json.dumps({{key: value["Username"] for key, value in kept.items()}}))
elif asked.strip() not in kept:
    print("credentials not found in native keychain")
    sys.exit(1)
elif verb == "get":
    print(json.dumps(kept[asked.strip()]))
else:
    del kept[asked.strip()]
json.dump(kept, open({kept!r}, "w"))
"""


class Helpers(LoginTest):
    """Credential helpers: real programs on PATH."""

    def setUp(self):
        super().setUp()
        self.bin, self.log, self.kept = self.temp / "bin", self.temp / "helper.log", self.temp / "kept.json"
        self.bin.mkdir()
        helper = self.bin / "docker-credential-testing"
        helper.write_text(HELPER.format(secret=PASSWORD, log=str(self.log), kept=str(self.kept)))
        helper.chmod(0o755)
        self.environment["PATH"] = f"{self.bin}:{self.environment['PATH']}"

    def asked(self):
        """[[verb, input], ...] so far, having looked that no process showed the secret."""
        calls = [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []
        self.assertEqual([call for call in calls if call[2] != 2 or call[3]], [])
        return [call[:2] for call in calls]

    def write(self, path, document):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document))
        path.chmod(0o600)

    def test_cred_helpers(self):
        """store, get and erase; the file is left alone, and neither arguments nor environment show the password."""
        self.write(self.auth_json, {"credHelpers": {self.address: "testing"}})
        before = self.auth_json.read_bytes()
        result = self.login("--debug", "-v")
        self.assert_success(result)
        self.assert_no_secret(result)
        stored = {"ServerURL": self.address, "Username": USER, "Secret": PASSWORD}
        self.assertEqual(json.loads(self.kept.read_text()), {self.address: stored})
        self.assertEqual(self.auth_json.read_bytes(), before)
        self.assert_success(self.copy("hello:1.0", f"{self.address}/app:1", "--dest-tls-verify=false"))
        self.assertIn("Existing credentials are valid", self.tug("login", HTTP, self.address).out)
        self.assertEqual(self.tug("login", "--get-login", self.address).out, f"{USER}\n")
        self.skopeo("inspect", HTTP, f"docker://{self.address}/app:1")
        self.assertEqual(self.tug("logout", self.address).out, f"Removed login credentials for {self.address}\n")
        self.assertEqual(json.loads(self.kept.read_text()), {})
        if not case.IS_SKOPEO:  # Debian's skopeo has a nil pointer here
            self.assertEqual(self.assert_failure(self.tug("logout", self.address)).message(), f"not logged into {self.address}")
        self.assertEqual({verb for verb, _ in self.asked()}, {"store", "get", "erase"})

    @tug_only
    def test_verbose_names_the_helper(self):
        """-v: which helper."""
        self.write(self.auth_json, {"credHelpers": {self.address: "testing"}})
        self.assertEqual(self.login("-v").out, "Used:  credential helper: testing\nLogin Succeeded!\n")

    def test_wrong_password_is_not_stored(self):
        """The helper hears nothing of it."""
        self.write(self.auth_json, {"credHelpers": {self.address: "testing"}})
        self.assert_failure(self.login(password=WRONG), text="invalid username/password")
        self.assertNotIn("store", [verb for verb, _ in self.asked()])

    @tug_only
    def test_registries_conf(self):
        """credential-helpers of registries.conf, with logout --all."""
        conf = self.temp / "registries.conf"
        conf.write_text('credential-helpers = ["testing"]\n')
        self.assert_success(self.login("--registries-conf", conf))
        self.assertFalse(self.auth_json.exists())
        self.assertEqual(set(json.loads(self.kept.read_text())), {self.address})
        self.assert_success(self.tug("logout", "--registries-conf", conf, "--all"))
        self.assertEqual(self.asked()[-2:], [["list", "unused"], ["erase", self.address]])

    @tug_only
    def test_creds_store(self):
        """credsStore of docker's file: the helper has the login, the file docker's mark."""
        path = self.temp / "config.json"
        self.write(path, {"credsStore": "testing"})
        self.assert_success(self.login("--compat-auth-file", path))
        self.assertEqual(json.loads(path.read_text()), {"credsStore": "testing", "auths": {self.address: {}}})
        self.assert_success(self.tug("logout", "--compat-auth-file", path, self.address))
        self.assertEqual((json.loads(self.kept.read_text()), json.loads(path.read_text())["auths"]), ({}, {}))

    @tug_only
    def test_missing_helper(self):
        """One that credHelpers names and is not there: an error, and no fall back to the file."""
        self.write(self.auth_json, {"credHelpers": {self.address: "absent"}})
        self.assert_failure(self.login(), text="docker-credential-absent is not installed")
        self.assertNotIn("auths", self.auth_json.read_text())


class Terminal:
    """The program with a pseudo-terminal as its standard input, output and error."""

    def __init__(self, test, *arguments):
        pid, self.master = pty.fork()
        if pid == 0:
            try:
                os.execvpe(TUG, [TUG, *arguments], test.environment)
            finally:
                os._exit(127)
        self.pid, self.shown = pid, ""
        test.addCleanup(self._end)
        self._ended = None

    def expect(self, text, timeout=20):
        """Reads until `text` was shown."""
        self._read(lambda: text in self.shown, timeout)
        if text not in self.shown:
            raise AssertionError(f"{text!r} was not shown, but {self.shown!r}")

    def type(self, text):
        os.write(self.master, text.encode())

    def echoes(self):
        return bool(termios.tcgetattr(self.master)[3] & termios.ECHO)

    def wait(self, timeout=20):
        """Its exit code. What it showed until then is in `shown`."""
        self._read(self._has_ended, timeout)
        if not self._has_ended():
            raise AssertionError(f"still running: {self.shown!r}")
        self._read(lambda: False, 0.05)
        return self._ended

    def _has_ended(self):
        if self._ended is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._ended = os.waitstatus_to_exitcode(status) if pid else None
        return self._ended is not None

    def _read(self, enough, timeout):
        deadline = time.monotonic() + timeout
        while not enough() and time.monotonic() < deadline:
            if not select.select([self.master], [], [], 0.02)[0]:
                continue
            try:
                self.shown += os.read(self.master, 4096).decode(errors="replace")
            except OSError:  # nobody has its other side open
                time.sleep(0.02)

    def _end(self):
        if not self._has_ended():
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.master)


class Prompt(LoginTest):
    """Asking on a terminal."""

    def test_asked_for_both(self):
        """Name with echo, password without."""
        terminal = Terminal(self, "login", HTTP, self.address)
        terminal.expect("Username: ")
        terminal.type(f"{USER}\n")
        terminal.expect("Password: ")
        if not case.IS_SKOPEO:
            self.assertFalse(terminal.echoes())
        time.sleep(0.2)  # skopeo hides what is typed only after it has asked
        terminal.type(f"{PASSWORD}\n")
        self.assertEqual(terminal.wait(), 0, terminal.shown)
        self.assertEqual(terminal.shown.replace("\r\n", "\n"), f"Username: {USER}\nPassword: \nLogin Succeeded!\n")
        self.assertEqual(self.auths(), {self.address: {"auth": basic()}})

    def test_the_stored_name_is_offered(self):
        """Return alone takes it."""
        self.auth_json.parent.mkdir()
        self.auth_json.write_text(json.dumps({"auths": {self.address: {"auth": basic(password=WRONG)}}}))
        self.auth_json.chmod(0o600)
        terminal = Terminal(self, "login", HTTP, self.address)
        terminal.expect(f"Username ({USER}): ")
        terminal.type("\n")
        terminal.expect("Password: ")
        time.sleep(0.2)
        terminal.type(f"{PASSWORD}\n")
        self.assertEqual(terminal.wait(), 0, terminal.shown)
        self.assertNotIn(PASSWORD, terminal.shown)

    @tug_only
    def test_a_signal_leaves_the_terminal_as_it_was(self):
        """Ctrl-C, and SIGTERM from elsewhere: the echo is back, exit 128 + signal. Ctrl-\\ and Ctrl-Z do nothing meanwhile."""
        for end, code in ((lambda t: t.type("\x03"), 130), (lambda t: os.kill(t.pid, signal.SIGTERM), 143)):
            terminal = Terminal(self, "login", HTTP, "-u", USER, self.address)
            terminal.expect("Password: ")
            # The terminal outlives the program because this process holds its other side too.
            other_side = os.open(f"/proc/{terminal.pid}/fd/0", os.O_RDWR | os.O_NOCTTY)
            self.addCleanup(os.close, other_side)
            self.assertFalse(terminal.echoes())
            terminal.type("\x1c\x1a")
            time.sleep(0.2)
            self.assertFalse(terminal.echoes())
            end(terminal)
            self.assertEqual(terminal.wait(), code, terminal.shown)
            self.assertTrue(terminal.echoes())
        self.assertFalse(self.auth_json.exists())

    @tug_only
    def test_end_of_input(self):
        """Ctrl-D."""
        terminal = Terminal(self, "login", HTTP, "-u", USER, self.address)
        terminal.expect("Password: ")
        time.sleep(0.2)
        terminal.type("\x04")
        self.assertEqual(terminal.wait(), 1)
        self.assertIn("getting username and password: reading password", terminal.shown)


if __name__ == "__main__":
    case.main()
