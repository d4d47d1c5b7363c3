"""Credentials: every place they may come from, which of them wins, and that none of them is ever shown."""

import base64
import json
import pathlib
import re
import secrets
import stat
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import case  # noqa: E402
from support.case import SystemTest, fixture, registry_for_class, tug_only  # noqa: E402
from support.pki import Pki  # noqa: E402
from support.registry import Registry  # noqa: E402
from support.token_server import TokenServer, User  # noqa: E402

HTTP = "--dest-tls-verify=false"
# A password of this process alone: tests look for it in the arguments of all processes.
USER, PASSWORD = "alice", f"pa:ss wörd {secrets.token_hex(4)}"
WRONG = "not-the-password"


def basic(user=USER, password=PASSWORD):
    """The `auth` member of an auth file's entry."""
    return base64.b64encode(f"{user}:{password}".encode()).decode()


class AuthTest(SystemTest):
    def push(self, name, *flags, layout="hello:1.0", env=None):
        return self.copy(layout, f"{self.registry.address}/{name}", HTTP, "--retry-times=0", *flags, env=env)

    def write_auth(self, path, key=None, entry=None, **document):
        """An auth file with one entry for our registry (or `key`)."""
        path.parent.mkdir(parents=True, exist_ok=True)
        if entry is not None:
            document["auths"] = {key or self.registry.address: entry}
        path.write_text(json.dumps(document))
        return path

    def good(self, path, key=None):
        return self.write_auth(path, key, {"auth": basic()})

    def bad(self, path, key=None):
        return self.write_auth(path, key, {"auth": basic(password=WRONG)})

    @property
    def auth_json(self):
        return self.run_dir / "containers/auth.json"

    def assert_pushed(self, result, name="app"):
        self.assert_success(result)
        self.assertEqual(self.registry.tags(name).get("1"), fixture("hello:1.0")[1]["digest"])

    def assert_refused(self, result, text=()):
        """Exit 1, class auth, nothing tagged, and no secret said."""
        self.assert_failure(result, text=text)
        self.assert_no_secret(result)
        self.assertEqual(self.registry.tags("app"), {})

    def assert_no_secret(self, result, *secrets):
        for secret in (PASSWORD, WRONG, basic(), basic(password=WRONG), base64.b64encode(PASSWORD.encode()).decode(), *secrets):
            self.assertNotIn(secret, result.out + result.err)


class Fresh(AuthTest):
    """Each test has its own registry, so that "nothing tagged" can be told from the tag."""

    def setUp(self):
        super().setUp()
        self.registry = self.enterContext(Registry(self.temp / "registry", htpasswd={USER: PASSWORD, "bob": "b0b"}))


class Flags(Fresh):
    """Credentials on the command line."""

    def test_creds(self):
        """--dest-creds USER:PASSWORD, split at the first colon; --dcreds is its old name."""
        self.assert_pushed(self.push("app:1", f"--dest-creds={USER}:{PASSWORD}"))
        self.assert_success(self.push("app:2", "--dcreds", f"{USER}:{PASSWORD}"))

    def test_username_and_password(self):
        """--dest-username with --dest-password."""
        self.assert_pushed(self.push("app:1", "--dest-username", USER, "--dest-password", PASSWORD))

    def test_username_without_password(self):
        """One of the two alone is a usage error."""
        self.assert_failure(self.push("app:1", "--dest-username", USER), text="password")
        self.assert_failure(self.push("app:1", "--dest-password", PASSWORD), text="username")

    def test_contradictions(self):
        """Credentials cannot be given in two ways, and not together with --dest-no-creds."""
        creds = f"--dest-creds={USER}:{PASSWORD}"
        for flags in ([creds, "--dest-no-creds"], [creds, "--dest-username=bob", "--dest-password=b0b"],
                      ["--dest-username=bob", "--dest-password=b0b", "--dest-no-creds"]):
            with self.subTest(flags=flags):
                self.assert_refused(self.push("app:1", *flags))

    def test_empty_creds(self):
        """--dest-creds "" is an error, not an anonymous push."""
        self.assert_refused(self.push("app:1", "--dest-creds="))

    def test_flags_win_over_files(self):
        """Good flags with a bad auth file work, bad flags with a good one do not."""
        self.bad(self.auth_json)
        self.assert_refused(self.push("app:1"))
        self.assert_pushed(self.push("app:1", f"--dest-creds={USER}:{PASSWORD}"))
        self.good(self.auth_json)
        self.assert_failure(self.push("app:2", f"--dest-creds={USER}:{WRONG}"))

    def test_no_creds(self):
        """--dest-no-creds: the auth file is not used."""
        self.good(self.auth_json)
        self.assert_refused(self.push("app:1", "--dest-no-creds"))

    def test_creds_of_the_source_are_not_the_destinations(self):
        """--src-creds says nothing about the destination."""
        self.assert_refused(self.push("app:1", f"--src-creds={USER}:{PASSWORD}"))


class Files(Fresh):
    """Credentials in files: which files, in which order."""

    def test_authfile(self):
        """--authfile names the only file that is read; --dest-authfile wins over it."""
        good, bad = self.good(self.temp / "good.json"), self.bad(self.temp / "bad.json")
        self.bad(self.auth_json)
        self.assert_refused(self.push("app:1", "--authfile", bad))
        self.assert_refused(self.push("app:1", "--authfile", good, "--dest-authfile", bad))
        self.assert_pushed(self.push("app:1", "--authfile", good))
        self.assert_success(self.push("app:2", "--authfile", bad, "--dest-authfile", good))
        self.assert_success(self.push("app:3", "--dest-authfile", good))

    def test_authfile_that_does_not_list_the_registry(self):
        """A named file is the only one: the default ones are not looked at."""
        self.good(self.auth_json)
        self.assert_refused(self.push("app:1", "--authfile", self.write_auth(self.temp / "empty.json", auths={})))

    @tug_only
    def test_authfile_that_is_missing(self):
        """A named file that is not there is an error that names it."""
        self.good(self.auth_json)
        self.assert_refused(self.push("app:1", "--authfile", self.temp / "none.json"), text=r"none\.json")

    def test_registry_auth_file(self):
        """$REGISTRY_AUTH_FILE is what --authfile is, and the flag wins."""
        good, bad = self.good(self.temp / "good.json"), self.bad(self.temp / "bad.json")
        self.good(self.auth_json)
        self.assert_refused(self.push("app:1", env={"REGISTRY_AUTH_FILE": str(bad)}))
        self.assert_refused(self.push("app:1", "--authfile", bad, env={"REGISTRY_AUTH_FILE": str(good)}))
        self.assert_pushed(self.push("app:1", env={"REGISTRY_AUTH_FILE": str(good)}))

    def test_default_files_in_order(self):
        """$XDG_RUNTIME_DIR/containers/auth.json, then ~/.config/containers/auth.json, then ~/.docker/config.json, then ~/.dockercfg."""
        places = [self.auth_json, self.home / ".config/containers/auth.json", self.home / ".docker/config.json"]
        for number, place in enumerate(places):
            with self.subTest(only=place.name):
                self.good(place)
                self.assert_success(self.push(f"only:{number}"))
                place.unlink()
        for first, second in zip(places, places[1:]):
            with self.subTest(first=first.name, second=second.name):
                self.bad(first)
                self.good(second)
                self.assert_refused(self.push("app:1"))
                self.write_auth(first, "other.example", {"auth": basic(password=WRONG)})  # not our registry: the next file counts
                self.assert_success(self.push("next:1"))
                first.unlink()
                second.unlink()

    def test_dockercfg(self):
        """~/.dockercfg, whose keys stand at the top."""
        (self.home / ".dockercfg").write_text(json.dumps({self.registry.address: {"auth": basic()}}))
        self.assert_pushed(self.push("app:1"))

    @tug_only
    def test_xdg_config_home_and_docker_config(self):
        """$XDG_CONFIG_HOME and $DOCKER_CONFIG move their files."""
        self.good(self.temp / "config/containers/auth.json")
        self.assert_pushed(self.push("app:1", env={"XDG_CONFIG_HOME": str(self.temp / "config")}))
        self.good(self.temp / "docker/config.json")
        self.assert_success(self.push("app:2", env={"DOCKER_CONFIG": str(self.temp / "docker")}))

    def test_most_specific_key_wins(self):
        """host/namespace/repository before host/namespace before host."""
        address = self.registry.address
        good, bad = {"auth": basic()}, {"auth": basic(password=WRONG)}
        self.write_auth(self.auth_json, auths={address: bad, f"{address}/team": bad, f"{address}/team/app": good, f"{address}/te": bad})
        self.assert_success(self.push("team/app:1"))
        self.assert_failure(self.push("team/other:1"))
        self.write_auth(self.auth_json, auths={address: good, f"{address}/team": bad})
        self.assert_success(self.push("other/app:1"))
        self.assert_failure(self.push("team/app:2"))

    def test_key_as_url(self):
        """Docker's keys with a scheme."""
        self.good(self.home / ".docker/config.json", key=f"https://{self.registry.address}")
        self.assert_pushed(self.push("app:1"))

    def test_another_port_is_another_registry(self):
        """A key without the port, or with another, does not match."""
        self.write_auth(self.auth_json, auths={"127.0.0.1": {"auth": basic()}, "127.0.0.1:1": {"auth": basic()}})
        self.assert_refused(self.push("app:1"))

    @tug_only
    def test_plain_username_and_password_in_the_file(self):
        """Docker also writes `username` and `password` instead of `auth` (skopeo#1198)."""
        self.write_auth(self.auth_json, entry={"username": USER, "password": PASSWORD})
        self.assert_pushed(self.push("app:1"))

    def test_broken_file(self):
        """A file that is no JSON is an error that names it, and shows nothing of what it holds."""
        self.auth_json.parent.mkdir(parents=True)
        self.auth_json.write_text('{"auths": {"%s": {"auth": "%s"' % (self.registry.address, basic()))
        self.assert_refused(self.push("app:1"), text=re.escape(str(self.auth_json)))

    @tug_only
    def test_broken_auth_member(self):
        """An `auth` that is no base64, or has no colon: an error that names the file."""
        for text in ("!!!", base64.b64encode(b"no colon").decode()):
            with self.subTest(auth=text):
                self.write_auth(self.auth_json, entry={"auth": text})
                self.assert_refused(self.push("app:1"), text=re.escape(str(self.auth_json)))


class WhatIsSaid(Fresh):
    """Messages about credentials: helpful, and silent about the secrets."""

    @tug_only
    def test_wrong_password_names_the_file(self):
        """Exit 1, class auth, and the file that the credential came from."""
        self.bad(self.auth_json)
        result = self.push("app:1", "--json")
        self.assert_refused(result, text=re.escape(str(self.auth_json)))
        self.assertEqual(self.assert_error_object(result, "auth")["httpStatus"], 401)

    @tug_only
    def test_wrong_password_of_a_flag_names_the_flag(self):
        """The message says that it came from the command line."""
        self.assert_refused(self.push("app:1", f"--dest-creds={USER}:{WRONG}"), text="--dest-creds|command line")

    @tug_only
    def test_no_credentials_tells_where_it_looked(self):
        """Nothing found: the message lists the places."""
        result = self.push("app:1", "--json")
        self.assert_refused(result, text=[re.escape(str(self.auth_json)), r"\.docker/config\.json"])
        self.assert_error_object(result, "auth")

    def test_debug_shows_no_secret(self):
        """--debug tells about every request, and not the password in any form."""
        self.good(self.auth_json)
        for flags in ([], [f"--dest-creds={USER}:{PASSWORD}"], ["--dest-username", USER, "--dest-password", PASSWORD]):
            with self.subTest(flags=flags):
                result = self.push("debug:1", "--debug", "--no-skip-existing", *flags) if not case.IS_SKOPEO \
                    else self.push("debug:1", "--debug", *flags)
                self.assert_success(result)
                self.assertIn("level=debug", result.err)
                self.assert_no_secret(result)

    @tug_only
    def test_debug_shows_no_wrong_secret(self):
        """Nor when it is refused."""
        result = self.push("app:1", "--debug", f"--dest-creds={USER}:{WRONG}")
        self.assertEqual(result.code, 1)
        self.assert_no_secret(result)


# Answers like a credential helper; keeps what it was asked, and how: the arguments of all processes of the system that hold the secret.
HELPER = """#!/usr/bin/python3
import glob, json, sys
verb, asked = sys.argv[1], sys.stdin.read()
shown = []
for path in glob.glob("/proc/[0-9]*/cmdline"):
    try:
        text = open(path, "rb").read()
    except OSError:
        continue
    if {secret!r}.encode() in text:
        shown.append(path)
with open({log!r}, "a") as log:
    log.write(json.dumps({{"verb": verb, "asked": asked, "shown": shown}}) + "\\n")
{answer}
"""


class Helpers(AuthTest):
    """Credential helpers: real programs on PATH."""

    def setUp(self):
        super().setUp()
        self.registry = self.enterContext(Registry(self.temp / "registry", htpasswd={USER: PASSWORD}))
        self.bin = self.temp / "bin"
        self.bin.mkdir()
        self.log = self.temp / "helper.log"
        self.environment["PATH"] = f"{self.bin}:{self.environment['PATH']}"

    def helper(self, name, answer, secret=PASSWORD):
        path = self.bin / f"docker-credential-{name}"
        path.write_text(HELPER.format(secret=secret, log=str(self.log), answer=answer))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def answering(self, name, user=USER, secret=PASSWORD):
        document = json.dumps({"ServerURL": "x", "Username": user, "Secret": secret})
        self.helper(name, f"print({document!r})", secret)

    def asked(self):
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []

    def test_cred_helpers(self):
        """credHelpers of an auth file: asked for the registry, on stdin, with nothing secret in anybody's arguments."""
        self.answering("testing")
        self.write_auth(self.auth_json, credHelpers={self.registry.address: "testing"})
        self.assert_pushed(self.push("app:1"))
        for call in self.asked():
            self.assertEqual((call["verb"], call["asked"].strip(), call["shown"]), ("get", self.registry.address, []))
        self.assertTrue(self.asked())

    @tug_only
    def test_a_helper_is_asked_once(self):
        """One push asks once, however many requests it makes."""
        self.answering("testing")
        self.write_auth(self.auth_json, credHelpers={self.registry.address: "testing"})
        self.assert_pushed(self.push("app:1"))
        self.assertEqual(len(self.asked()), 1)

    def test_cred_helpers_before_auths(self):
        """In one file the helper is asked before `auths`."""
        self.answering("testing")
        self.write_auth(self.auth_json, entry={"auth": basic(password=WRONG)}, credHelpers={self.registry.address: "testing"})
        self.assert_pushed(self.push("app:1"))

    @tug_only
    def test_creds_store(self):
        """credsStore of Docker's config.json."""
        self.answering("store")
        self.write_auth(self.home / ".docker/config.json", credsStore="store", entry={})
        self.assert_pushed(self.push("app:1"))
        self.assertEqual({call["verb"] for call in self.asked()}, {"get"})

    @tug_only
    def test_cred_helpers_before_creds_store(self):
        """credHelpers for the host, then credsStore."""
        self.answering("testing")
        self.answering("store", secret=WRONG)
        self.write_auth(self.home / ".docker/config.json", credsStore="store", credHelpers={self.registry.address: "testing"})
        self.assert_pushed(self.push("app:1"))

    @tug_only
    def test_helper_that_knows_nothing(self):
        """"credentials not found" is no error: the next source counts."""
        self.helper("testing", 'print("credentials not found in native keychain"); sys.exit(1)')
        self.write_auth(self.auth_json, credHelpers={self.registry.address: "testing"})
        self.good(self.home / ".docker/config.json")
        self.assert_pushed(self.push("app:1"))

    @tug_only
    def test_helper_that_fails(self):
        """Any other failure is one: with the helper's name and its words, which are no secret."""
        self.helper("testing", 'print("the keyring is locked"); sys.exit(1)')
        self.write_auth(self.auth_json, credHelpers={self.registry.address: "testing"})
        result = self.push("app:1", "--json")
        self.assert_refused(result, text=["docker-credential-testing", "the keyring is locked"])
        self.assert_error_object(result, ("auth", "local"))

    @tug_only
    def test_helper_that_answers_nonsense(self):
        """An answer that is no JSON: an error that does not repeat it."""
        self.helper("testing", f"print({PASSWORD!r})")
        self.write_auth(self.auth_json, credHelpers={self.registry.address: "testing"})
        self.assert_refused(self.push("app:1"), text="docker-credential-testing")

    @tug_only
    def test_helper_that_is_missing(self):
        """A helper of credHelpers that is not on PATH is an error that names it; one of credsStore is passed over."""
        self.write_auth(self.auth_json, credHelpers={self.registry.address: "absent"})
        self.assert_refused(self.push("app:1"), text="docker-credential-absent")
        self.auth_json.unlink()
        self.write_auth(self.home / ".docker/config.json", credsStore="absent", entry={"auth": basic()})
        self.assert_pushed(self.push("app:1"))

    @tug_only
    def test_helper_name_that_is_a_path(self):
        """A name with a slash is never run."""
        self.answering("testing")
        self.write_auth(self.auth_json, credHelpers={self.registry.address: "../bin/docker-credential-testing"})
        self.assert_refused(self.push("app:1"))
        self.assertEqual(self.asked(), [])

    def test_wrong_password_of_a_helper(self):
        """The message names the helper."""
        self.answering("testing", secret=WRONG)
        self.write_auth(self.auth_json, credHelpers={self.registry.address: "testing"})
        self.assert_refused(self.push("app:1"), text=() if case.IS_SKOPEO else "docker-credential-testing")

    def test_debug_shows_no_secret_of_a_helper(self):
        """--debug with a helper."""
        self.answering("testing")
        self.write_auth(self.auth_json, credHelpers={self.registry.address: "testing"})
        result = self.push("app:1", "--debug")
        self.assert_pushed(result)
        self.assert_no_secret(result)


class Tokens(AuthTest):
    """Token authentication: who asks for what."""

    IDENTITY = "identity-token-0123456789"

    def setUp(self):
        super().setUp()
        self.tokens = self.enterContext(TokenServer(self.temp / "tokens", {
            USER: User(PASSWORD, {"app": "pull,push", "lender": "pull"}, self.IDENTITY),
            "reader": User("r3ad", {"app": "pull"}),
        }))
        self.registry = self.enterContext(Registry(self.temp / "registry", tokens=self.tokens))

    def test_scopes(self):
        """A push asks for pull and push on its repository, first of all, with Basic credentials and the service's name."""
        self.assert_pushed(self.push("app:1", f"--dest-creds={USER}:{PASSWORD}"))
        for request in self.tokens.requests:
            self.assertEqual((request.method, request.grant, request.user), ("GET", "basic", USER))
            self.assertEqual(request.parameters["service"], TokenServer.service)
            self.assertIn(request.asked[0], ("repository:app:pull,push", "repository:app:push,pull"))
            self.assertNotIn("offline_token", request.parameters)

    @tug_only
    def test_one_token_for_a_push(self):
        """All requests of a push share one token: one question to the token server."""
        self.assert_pushed(self.push("app:1", f"--dest-creds={USER}:{PASSWORD}"))
        self.assertEqual(len(self.tokens.requests), 1)

    @tug_only
    def test_identity_token(self):
        """An `identitytoken` in the auth file: POST with the refresh token, which is sent nowhere else."""
        self.write_auth(self.auth_json, entry={"auth": basic("<token>", ""), "identitytoken": self.IDENTITY})
        result = self.push("app:1", "--debug")
        self.assert_pushed(result)
        self.assert_no_secret(result, self.IDENTITY)
        self.assertEqual({(r.method, r.grant) for r in self.tokens.requests}, {("POST", "refresh_token")})
        for request in self.tokens.requests:
            self.assertTrue(request.parameters["client_id"])
            self.assertEqual(request.parameters["service"], TokenServer.service)

    @tug_only
    def test_identity_token_of_a_helper(self):
        """A helper that answers with the user <token>."""
        directory = self.temp / "bin"
        directory.mkdir()
        helper = directory / "docker-credential-id"
        helper.write_text("#!/bin/sh\ncat >/dev/null\necho '%s'\n" % json.dumps({"Username": "<token>", "Secret": self.IDENTITY}))
        helper.chmod(0o755)
        self.write_auth(self.auth_json, credHelpers={self.registry.address: "id"})
        self.assert_pushed(self.push("app:1", env={"PATH": f"{directory}:/usr/bin:/bin"}))
        self.assertEqual({r.grant for r in self.tokens.requests}, {"refresh_token"})

    @tug_only
    def test_refused_identity_token(self):
        """A refresh token that the server does not know: class auth."""
        self.write_auth(self.auth_json, entry={"auth": basic("<token>", ""), "identitytoken": "stale-identity"})
        result = self.push("app:1", "--json")
        self.assert_refused(result, text=re.escape(str(self.auth_json)))
        self.assertNotIn("stale-identity", result.out + result.err)
        self.assert_error_object(result, "auth")

    def test_registry_token(self):
        """--dest-registry-token is sent as it is, without asking the token server."""
        record = self.tokens.serve("GET", {"service": [TokenServer.service], "scope": ["repository:app:pull,push"]},
                                   "Basic " + basic())[1]
        before = len(self.tokens.requests)
        result = self.push("app:1", f"--dest-registry-token={record['token']}", "--debug")
        self.assert_pushed(result)
        self.assertEqual(len(self.tokens.requests), before)
        if not case.IS_SKOPEO:
            self.assert_no_secret(result, record["token"])

    @tug_only
    def test_wrong_registry_token(self):
        """A registry token that the registry refuses: class auth, naming the command line; the token is not shown."""
        result = self.push("app:1", "--dest-registry-token=not.a.token", "--json")
        self.assert_refused(result, text="--dest-registry-token|command line")
        self.assert_error_object(result, "auth")
        self.assertNotIn("not.a.token", result.out + result.err)

    @tug_only
    def test_wrong_password(self):
        """Refused by the token server: class auth, with the file's name."""
        self.bad(self.auth_json)
        result = self.push("app:1", "--json")
        self.assert_refused(result, text=re.escape(str(self.auth_json)))
        self.assert_error_object(result, "auth")
        self.assertLessEqual(len(self.tokens.requests), 2)

    @tug_only
    def test_user_who_may_only_pull(self):
        """The token server grants less than was asked: refused once, not for ever."""
        result = self.push("app:1", "--dest-creds=reader:r3ad", "--json")
        self.assert_refused(result, text="app")
        self.assert_error_object(result, ("auth", "denied"))
        self.assertLessEqual(len(self.tokens.requests), 4)

    @tug_only
    def test_anonymous(self):
        """Without credentials a token is asked for anonymously; that it does not allow a push is told with the places looked at."""
        result = self.push("app:1", "--json")
        self.assert_refused(result, text=re.escape(str(self.auth_json)))
        self.assert_error_object(result, ("auth", "denied"))
        self.assertEqual({r.grant for r in self.tokens.requests}, {"anonymous"})

    @tug_only
    def test_debug_shows_no_token(self):
        """--debug: neither the password nor any token that was issued."""
        result = self.push("app:1", f"--dest-creds={USER}:{PASSWORD}", "--debug")
        self.assert_pushed(result)
        self.assert_no_secret(result, *(request.token for request in self.tokens.requests),
                              *(request.token.rpartition(".")[2] for request in self.tokens.requests))

    @tug_only
    def test_tokens_without_a_lifetime(self):
        """A token server that does not tell expires_in."""
        self.tokens.announce = False
        self.assert_pushed(self.push("app:1", f"--dest-creds={USER}:{PASSWORD}"))


class TokensAndTls(AuthTest):
    """What must never be sent in the clear."""

    @tug_only
    def test_token_server_without_tls_for_a_registry_with_it(self):
        """An https registry that sends its clients to an http token server: nothing is sent there."""
        pki = Pki(self.temp / "pki")
        tokens = self.enterContext(TokenServer(self.temp / "tokens", {USER: User(PASSWORD, {"*": "pull,push"})}))
        self.registry = self.enterContext(Registry(self.temp / "registry", tokens=tokens, certificate=pki.issue("registry")))
        result = self.copy("hello:1.0", f"{self.registry.address}/app:1", f"--dest-creds={USER}:{PASSWORD}", "--retry-times=0",
                           "--json", env={"SSL_CERT_FILE": str(pki.ca)})
        self.assert_refused(result)
        self.assert_error_object(result, "auth")
        self.assertEqual(tokens.requests, [])


@registry_for_class(htpasswd={USER: PASSWORD})
class Inspect(AuthTest):
    """The same sources for a reader."""

    def test_inspect(self):
        """tug inspect with --creds, an auth file, and without either."""
        self.assert_success(self.push("app:1", f"--dest-creds={USER}:{PASSWORD}"))
        reference = f"docker://{self.registry.address}/app:1"
        raw = fixture("hello:1.0")
        arguments = ["inspect", "--raw", "--tls-verify=false"]
        self.assertEqual(self.tug(*arguments, f"--creds={USER}:{PASSWORD}", reference).out.encode(), raw[0].read(raw[1]))
        self.assert_failure(self.tug(*arguments, reference))
        self.good(self.auth_json)
        self.assert_success(self.tug(*arguments, reference))


if __name__ == "__main__":
    case.main()
