"""Pushes of real layouts to real registries, each read back: by skopeo and from the registry's disk."""

import contextlib
import dataclasses
import json
import os
import pathlib
import re
import socket
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import case, layouts  # noqa: E402
from support.case import FIXTURES, HOST_ARCHITECTURE, SystemTest, fixture, registry_for_class, tug_only  # noqa: E402
from support.counting_registry import CountingRegistry  # noqa: E402
from support.layouts import Layout, digest_of, noise  # noqa: E402
from support.pki import Pki  # noqa: E402
from support.proxy import PausingProxy  # noqa: E402
from support.registry import Registry  # noqa: E402
from support.token_server import TokenServer, User  # noqa: E402

# (fixture, flags): everything that a registry should take as it is.
EVERYTHING = [
    ("hello:1.0", []),
    ("multi:all", ["--all"]),
    ("multi:arm64", ["--override-arch", "arm64"]),
    ("artifact:chart", []),
    ("artifact:sbom", []),
]
# What skopeo 1.9.3 cannot read from a layout, or not push.
EVERYTHING_OF_TUG = [
    ("artifact:marker", []),
    ("docker-v2s2:image", []),
    ("docker-v2s2:list", ["--all"]),
    ("nested:nested", ["--all"]),
    ("foreign:docker", []),
    ("foreign:oci", []),
]

HTTP = ["--dest-tls-verify=false"]


@dataclasses.dataclass
class Place:
    """Where to push, and what the program and skopeo must be told to get in."""
    registry: Registry
    flags: list                                        # with {p} for "dest-", "src-" or nothing
    environment: dict = dataclasses.field(default_factory=dict)
    address: str = ""                                  # when not the registry's own

    def __post_init__(self):
        self.address = self.address or self.registry.address

    def destination_flags(self):
        return [flag.format(p="dest-") for flag in self.flags]

    def inspect_flags(self):
        return [flag.format(p="") for flag in self.flags]

    def source_flags(self):
        return [flag.format(p="src-") for flag in self.flags]


class EveryKindOfRegistry(SystemTest):
    """The same pushes to a registry behind each kind of door."""

    def enter(self, manager):
        return self.enterContext(manager)

    def directory(self, name):
        return self.temp / name

    def push_everything(self, place):
        fixtures = EVERYTHING if case.IS_SKOPEO else EVERYTHING + EVERYTHING_OF_TUG
        for number, (name, flags) in enumerate(fixtures):
            with self.subTest(fixture=name):
                self.push_and_read_back(place, name, flags, f"team/app-{number}")

    def push_and_read_back(self, place, name, flags, repository):
        result = self.copy(name, f"{place.address}/{repository}:v1", *flags, *place.destination_flags(), env=place.environment)
        self.assert_success(result)
        self.assertEqual(result.err, "")
        layout, descriptor = fixture(name)
        self.assert_stored(place.registry, repository, "v1", layout, descriptor)
        self.read_back(place, f"docker://{place.address}/{repository}:v1", layout, descriptor)

    def read_back(self, place, reference, layout, descriptor):
        """As another client sees it: skopeo gets the same manifest bytes, and blobs that hash to their digests."""
        raw = self.skopeo("inspect", "--raw", *place.inspect_flags(), reference, env=place.environment).out
        self.assertEqual(raw.encode(), layout.read(descriptor))
        if not skopeo_can_copy(layout.read_json(descriptor)):
            return
        directory = pathlib.Path(tempfile.mkdtemp(dir=self.temp))
        self.skopeo("copy", "--all", *place.source_flags(), reference, f"dir:{directory}/image", env=place.environment)
        for blob in layout.closure(descriptor)[1]:
            content = (directory / "image" / blob["digest"].removeprefix("sha256:")).read_bytes()
            self.assertEqual(digest_of(content), blob["digest"])

    # ---- the doors

    def test_no_authentication_over_http(self):
        """Plain http, which must be asked for."""
        registry = self.enter(Registry(self.directory("r")))
        self.push_everything(Place(registry, ["--{p}tls-verify=false"]))

    def test_htpasswd(self):
        """Basic authentication."""
        registry = self.enter(Registry(self.directory("r"), htpasswd={"alice": "correct horse"}))
        self.push_everything(Place(registry, ["--{p}tls-verify=false", "--{p}creds=alice:correct horse"]))

    def test_tokens(self):
        """Bearer tokens that the registry verifies, for exactly the scopes that a push needs."""
        tokens = self.enter(TokenServer(self.directory("t"), {"alice": User("s3cret", {"team/*": "pull,push"})}))
        registry = self.enter(Registry(self.directory("r"), tokens=tokens))
        place = Place(registry, ["--{p}tls-verify=false", "--{p}creds=alice:s3cret"])
        self.push_everything(place)
        for request in tokens.pushes():
            self.assertRegex(request.asked[0], r"\Arepository:team/app-\d+:(pull,push|push,pull)\Z")
            self.assertEqual(request.user, "alice")

    def test_tokens_over_https(self):
        """Registry and token server both behind a private CA."""
        pki = Pki(self.directory("pki"))
        tokens = self.enter(TokenServer(self.directory("t"), {"alice": User("s3cret", {"*": "pull,push"})},
                                        certificate=pki.issue("tokens")))
        registry = self.enter(Registry(self.directory("r"), tokens=tokens, certificate=pki.issue("registry")))
        self.push_everything(Place(registry, ["--{p}creds=alice:s3cret"], {"SSL_CERT_FILE": str(pki.ca)}))

    def test_ca_from_cert_dir(self):
        """A private CA, from --dest-cert-dir."""
        pki = Pki(self.directory("pki"))
        registry = self.enter(Registry(self.directory("r"), certificate=pki.issue("registry")))
        certificates = cert_dir(self.directory("certs"), pki)
        self.push_everything(Place(registry, ["--{p}cert-dir=" + str(certificates)]))

    def test_ca_from_environment(self):
        """A private CA, from SSL_CERT_FILE."""
        pki = Pki(self.directory("pki"))
        registry = self.enter(Registry(self.directory("r"), certificate=pki.issue("registry")))
        self.push_everything(Place(registry, [], {"SSL_CERT_FILE": str(pki.ca)}))

    def test_ca_from_certs_d(self):
        """A private CA, from the user's certs.d directory for this host and port."""
        pki = Pki(self.directory("pki"))
        registry = self.enter(Registry(self.directory("r"), certificate=pki.issue("registry")))
        cert_dir(self.home / ".config/containers/certs.d" / registry.address, pki)
        self.push_everything(Place(registry, []))

    def test_client_certificate(self):
        """A registry that only speaks to clients with a certificate."""
        pki = Pki(self.directory("pki"))
        registry = self.enter(Registry(self.directory("r"), certificate=pki.issue("registry"), client_ca=pki.ca))
        certificates = cert_dir(self.directory("certs"), pki, client=pki.issue("client"))
        self.push_everything(Place(registry, ["--{p}cert-dir=" + str(certificates)]))

    def test_self_signed_without_verification(self):
        """An https registry that nobody vouches for."""
        pki = Pki(self.directory("pki"))
        registry = self.enter(Registry(self.directory("r"), certificate=pki.issue("registry", "DNS:elsewhere.example")))
        self.push_everything(Place(registry, ["--{p}tls-verify=false"]))

    def test_insecure_in_registries_conf(self):
        """`insecure = true` for this registry does what --dest-tls-verify=false does."""
        registry = self.enter(Registry(self.directory("r")))
        configuration = self.home / ".config/containers/registries.conf"
        configuration.parent.mkdir(parents=True)
        configuration.write_text(f'[[registry]]\nlocation = "{registry.address}"\ninsecure = true\n')
        self.push_everything(Place(registry, []))

    @tug_only  # skopeo 1.9.3 does not live through this: the commit gets a 401, and that is that
    def test_tokens_that_expire_in_mid_push(self):
        """Tokens live 2 s, for the registry too, and the upload is held up for 3 s: the push renews and goes on."""
        tokens = self.enter(TokenServer(self.directory("t"), {"alice": User("s3cret", {"*": "pull,push"})}, lifetime=2))
        registry = self.enter(Registry(self.directory("r"), tokens=tokens))
        layout = Layout(self.temp / "big")  # larger than 1 MiB, so that there is a PATCH, and after it the PUT that commits
        descriptor = layout.add(layout.image([{"noise": noise(3_000_000)}]))
        proxy = self.enter(PausingProxy(registry.address, action=lambda: time.sleep(3)))
        result = self.copy(layout, f"{proxy.address}/slow:1", "--dest-tls-verify=false", "--dest-creds=alice:s3cret")
        self.assert_success(result)
        self.assertTrue(proxy.fired)
        self.assert_stored(registry, "slow", "1", layout, descriptor)
        self.assertGreaterEqual(len({request.token for request in tokens.pushes()}), 2)
        self.assertEqual([r for r in registry.requests() if r.method == "PATCH" and r.status != 202], [])

    # ---- doors that stay shut

    def test_http_is_not_spoken_unasked(self):
        """Without --dest-tls-verify=false no plain http, loopback or not: nothing arrives at the registry."""
        registry = self.enter(Registry(self.directory("r")))
        result = self.copy("hello:1.0", f"{registry.address}/a:1", "--retry-times=0")
        self.assert_failure(result, text=re.escape(registry.address))
        self.assertEqual(registry.requests(), [])

    def test_unknown_ca(self):
        """A certificate of an unknown CA is refused, and the answer says where a CA could stand."""
        pki = Pki(self.directory("pki"))
        registry = self.enter(Registry(self.directory("r"), certificate=pki.issue("registry")))
        result = self.copy("hello:1.0", f"{registry.address}/a:1", "--retry-times=0")
        self.assert_failure(result, text=["certificate"] if case.IS_SKOPEO else ["certificate", r"certs\.d|cert-dir"])
        self.assertEqual(registry.tags("a"), {})

    def test_wrong_host_name(self):
        """A good certificate for another host is refused."""
        pki = Pki(self.directory("pki"))
        registry = self.enter(Registry(self.directory("r"), certificate=pki.issue("registry", "DNS:elsewhere.example")))
        result = self.copy("hello:1.0", f"{registry.address}/a:1", "--retry-times=0", env={"SSL_CERT_FILE": str(pki.ca)})
        self.assert_failure(result)
        self.assertEqual(registry.tags("a"), {})

    def test_missing_client_certificate(self):
        """Without the client certificate the registry does not speak with us."""
        pki = Pki(self.directory("pki"))
        registry = self.enter(Registry(self.directory("r"), certificate=pki.issue("registry"), client_ca=pki.ca))
        result = self.copy("hello:1.0", f"{registry.address}/a:1", "--retry-times=0", env={"SSL_CERT_FILE": str(pki.ca)})
        self.assert_failure(result, text=re.escape(registry.address))
        self.assertEqual(registry.tags("a"), {})

    @tug_only
    def test_client_certificate_without_its_key(self):
        """X.cert without X.key is an error that names the file."""
        pki = Pki(self.directory("pki"))
        registry = self.enter(Registry(self.directory("r"), certificate=pki.issue("registry"), client_ca=pki.ca))
        certificates = cert_dir(self.directory("certs"), pki, client=pki.issue("client"))
        (certificates / "client.key").unlink()
        result = self.copy("hello:1.0", f"{registry.address}/a:1", "--dest-cert-dir", certificates)
        self.assert_failure(result, text=r"client\.(cert|key)")

    @tug_only
    def test_blocked_in_registries_conf(self):
        """`blocked = true`: refused before any request, naming the configuration file."""
        registry = self.enter(Registry(self.directory("r")))
        configuration = self.temp / "registries.conf"
        configuration.write_text(f'[[registry]]\nlocation = "{registry.address}"\nblocked = true\ninsecure = true\n')
        result = self.copy("hello:1.0", f"{registry.address}/a:1", "--json", env={"CONTAINERS_REGISTRIES_CONF": str(configuration)})
        self.assert_failure(result, text=["blocked", re.escape(str(configuration))])
        self.assert_error_object(result, "denied")
        self.assertEqual(registry.requests(), [])

    def test_proxy_of_the_environment_is_not_used_for_loopback(self):
        """http_proxy and https_proxy that lead nowhere do not matter for a registry on this machine."""
        registry = self.enter(Registry(self.directory("r")))
        nowhere = "http://127.0.0.1:9"
        environment = {name: nowhere for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")}
        self.assert_success(self.copy("hello:1.0", f"{registry.address}/a:1", *HTTP, env=environment))

    @tug_only
    def test_proxy_of_the_environment(self):
        """https_proxy is asked for any other host, and no_proxy takes hosts out again."""
        asked = []
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        asked.append(connection.recv(65536).split(b"\r\n")[0])
                        connection.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

        threading.Thread(target=serve, daemon=True).start()
        proxy = {"https_proxy": "http://127.0.0.1:%d" % listener.getsockname()[1]}
        result = self.copy("hello:1.0", "registry.invalid:5000/a:1", "--retry-times=0", env=proxy)
        self.assert_failure(result)
        self.assertEqual(set(asked), {b"CONNECT registry.invalid:5000 HTTP/1.1"})
        asked.clear()
        result = self.copy("hello:1.0", "registry.invalid:5000/a:1", "--retry-times=0", env={**proxy, "no_proxy": "registry.invalid"})
        self.assert_failure(result, text=r"registry\.invalid")
        self.assertEqual(asked, [])

    @tug_only
    def test_nobody_listens(self):
        """A refused connection: exit 1, class network, within the tries that were allowed."""
        registry = Registry(self.directory("r"))
        with registry:
            address = registry.address
        result = self.copy("hello:1.0", f"{address}/a:1", "--json", "--retry-times=0", *HTTP)
        self.assert_failure(result, text=re.escape(address))
        self.assert_error_object(result, "network")


@registry_for_class()
class WhatIsSent(SystemTest):
    """One registry without authentication: which requests a push makes, and which it does not make."""

    def push(self, layout, name, *flags, **options):
        return self.copy(layout, f"{self.registry.address}/{name}", *HTTP, *flags, **options)

    def requests_of(self, action):
        """Runs `action`; returns its result and the requests that it made."""
        before = len(self.registry.requests())
        result = action()
        return result, self.registry.requests()[before:]

    @tug_only
    def test_second_push_sends_nothing(self):
        """The tag has our digest: one question about the tag, no probe, no upload, no manifest."""
        self.assert_success(self.push("hello:1.0", "again:1"))
        result, requests = self.requests_of(lambda: self.push("hello:1.0", "again:1"))
        self.assert_success(result)
        self.assertEqual([r for r in requests if r.path != "/v2/"], [("HEAD", "/v2/again/manifests/1", 200)])

    @tug_only
    def test_second_push_of_an_index_sends_nothing(self):
        """The same for an index: only its images are asked for too, since an index may be there without them."""
        self.assert_success(self.push("multi:all", "again-multi:1", "--all"))
        result, requests = self.requests_of(lambda: self.push("multi:all", "again-multi:1", "--all"))
        self.assert_success(result)
        asked = [r for r in requests if r.path != "/v2/"]
        self.assertEqual(asked[0], ("HEAD", "/v2/again-multi/manifests/1", 200))
        for request in asked[1:]:
            self.assertEqual(request.method, "HEAD")
            self.assertRegex(request.path, "^/v2/again-multi/manifests/sha256:")

    @tug_only
    def test_another_tag_sends_only_the_manifest(self):
        """All blobs are there: they are probed, not sent."""
        self.assert_success(self.push("hello:1.0", "retag:1"))
        result, requests = self.requests_of(lambda: self.push("hello:1.0", "retag:2"))
        self.assert_success(result)
        self.assertEqual([r for r in requests if r.method in ("POST", "PATCH")], [])
        self.assertEqual([r.path for r in requests if r.method == "PUT"], ["/v2/retag/manifests/2"])

    @tug_only
    def test_equal_blobs_are_sent_once(self):
        """Three images that share a layer: every distinct digest has one upload."""
        _, requests = self.requests_of(lambda: self.assert_success(self.push("multi:all", "once:1", "--all")))
        commits = [re.search(r"digest=(\S+)", r.path).group(1) for r in requests if r.method == "PUT" and "/uploads/" in r.path]
        layout, descriptor = fixture("multi:all")
        distinct = {blob["digest"].replace(":", "%3A") for blob in layout.closure(descriptor)[1]}
        self.assertEqual(sorted(commits), sorted(distinct))

    @tug_only
    def test_large_and_small_blobs_take_their_paths(self):
        """Above 1 MiB: POST, PATCH with the body, empty PUT; below: POST and PUT with the body."""
        layout = Layout(self.temp / "sizes")
        descriptor = layout.add(layout.image([{"big": noise(1_500_000)}, {"small": b"few bytes"}]))
        _, requests = self.requests_of(lambda: self.assert_success(self.push(layout, "sizes:1")))
        self.assert_stored(self.registry, "sizes", "1", layout, descriptor)
        uploads = [r for r in requests if "/uploads/" in r.path]
        self.assertEqual(sorted(r.method for r in uploads), ["PATCH", "POST", "POST", "POST", "PUT", "PUT", "PUT"])

    def test_empty_blob(self):
        """A layer of no bytes at all."""
        layout = Layout(self.temp / "empty")
        config = layout.json_blob({}, "application/vnd.example.config+json")
        descriptor = layout.add(layout.manifest(config, [layout.blob(b"", "application/octet-stream")]))
        self.assert_success(self.push(layout, "empty:1"))
        self.assert_stored(self.registry, "empty", "1", layout, descriptor)

    @tug_only
    def test_manifests_come_last_and_children_first(self):
        """No manifest before its blobs, no index before its children, the tag at the very end."""
        _, requests = self.requests_of(lambda: self.assert_success(self.push("multi:all", "order:1", "--all")))
        puts = [r.path for r in requests if r.method == "PUT"]
        manifests = [path for path in puts if "/manifests/" in path]
        self.assertEqual(puts[-len(manifests):], manifests)
        self.assertEqual(len(manifests), 4)
        self.assertTrue(all("/manifests/sha256:" in path for path in manifests[:-1]), manifests)
        self.assertEqual(manifests[-1], "/v2/order/manifests/1")

    @tug_only
    def test_blobs_are_mounted_from_a_sibling(self):
        """A layer says which repository of this registry has it (containerd's annotation): it is mounted, its bytes are not sent."""
        layout = Layout(self.temp / "annotated")
        plain = layout.image([{"file": noise(2_000_000)}])
        self.assert_success(self.push(self.only(layout, plain), "lender:1"))
        document = layout.read_json(plain)
        document["layers"][0]["annotations"] = {f"containerd.io/distribution.source.{self.registry.address}": "lender"}
        annotated = layout.json_blob(document, layouts.OCI_MANIFEST)
        result, requests = self.requests_of(lambda: self.push(self.only(layout, annotated), "borrower:1", "--json"))
        self.assert_success(result)
        digest = document["layers"][0]["digest"]
        outcomes = {blob["digest"]: blob["outcome"] for blob in result.json()["blobs"]}
        self.assertEqual(outcomes[digest], "mounted")
        self.assertEqual([r for r in requests if r.method == "PATCH"], [])
        self.assertTrue(any(r.method == "POST" and "mount=" in r.path and "from=lender" in r.path and r.status == 201
                            for r in requests), requests)
        self.assert_stored(self.registry, "borrower", "1", layout, annotated)

    @tug_only
    def test_blobs_are_mounted_from_where_they_were_pushed_before(self):
        """The blob info cache knows the first repository: the second push mounts, the third to the first repository finds its own."""
        layout = Layout(self.temp / "layout")
        descriptor = layout.add(layout.image([{"file": noise(2_000_000)}, {"unique": self.registry.address.encode()}]))
        self.assert_success(self.push(layout, "first:1", cache=True))
        result, requests = self.requests_of(lambda: self.push(layout, "second:1", "--json", cache=True))
        self.assert_success(result)
        self.assertEqual({blob["outcome"] for blob in result.json()["blobs"]}, {"mounted"})
        self.assertEqual([r for r in requests if r.method == "PATCH"], [])
        self.assert_stored(self.registry, "second", "1", layout, descriptor)
        document = self.push(layout, "first:2", "--json", cache=True).json()
        self.assertEqual({blob["outcome"] for blob in document["blobs"]}, {"existed"})

    @tug_only
    def test_a_mount_that_is_refused_falls_back_to_an_upload(self):
        """The annotation is wrong: the session that the registry opens instead takes the blob."""
        layout = Layout(self.temp / "annotated")
        plain = layout.image([{"file": noise(1_200_000)}])
        document = layout.read_json(plain)
        document["layers"][0]["annotations"] = {f"containerd.io/distribution.source.{self.registry.address}": "nobody/here"}
        annotated = layout.json_blob(document, layouts.OCI_MANIFEST)
        self.assert_success(self.push(self.only(layout, annotated), "borrower2:1"))
        self.assert_stored(self.registry, "borrower2", "1", layout, annotated)

    @staticmethod
    def only(layout, descriptor):
        layout.write_index([descriptor])
        return layout

    @tug_only
    def test_dry_run_changes_nothing(self):
        """--dry-run only asks, and prints what would be sent."""
        result, requests = self.requests_of(lambda: self.push("hello:1.0", "dry:1", "--dry-run"))
        self.assert_success(result)
        self.assertEqual([r for r in requests if r.method not in ("GET", "HEAD")], [])
        self.assertEqual(self.registry.tags("dry"), {})
        layout, descriptor = fixture("hello:1.0")
        for each in [descriptor] + layout.closure(descriptor)[1]:
            self.assertIn(each["digest"], result.out)

    @tug_only
    def test_dry_run_as_json(self):
        """The plan as an object: what would be uploaded is told, nothing is."""
        result, requests = self.requests_of(lambda: self.push("hello:1.0", "dry-json:1", "--dry-run", "--json"))
        self.assert_success(result)
        self.assertEqual({blob["outcome"] for blob in result.json()["blobs"]}, {"uploaded"})
        self.assertEqual(result.json()["bytesSent"], 0)
        self.assertEqual([r for r in requests if r.method not in ("GET", "HEAD")], [])

    @tug_only
    def test_no_skip_existing(self):
        """--no-skip-existing checks every blob and writes the manifest again, though the tag has the digest."""
        self.assert_success(self.push("hello:1.0", "noskip:1"))
        result, requests = self.requests_of(lambda: self.push("hello:1.0", "noskip:1", "--no-skip-existing"))
        self.assert_success(result)
        layout, descriptor = fixture("hello:1.0")
        probed = {r.path.rpartition("/")[2] for r in requests if r.method == "HEAD" and "/blobs/" in r.path}
        self.assertEqual(probed, {blob["digest"] for blob in layout.closure(descriptor)[1]})
        self.assertIn(("PUT", "/v2/noskip/manifests/1", 201), requests)

    @tug_only
    def test_bodies_in_flight(self):
        """Six large ones at once and small ones beside them, or as many of any size as --image-parallel-copies says; the largest first."""
        layout = Layout(self.temp / "many")
        layout.add(layout.image([{"file": os.urandom(300_000 + 2000 * number)} for number in range(14)]))
        for flags, bodies, large in (([], 7, 6), (["--image-parallel-copies=1"], 1, 1), (["--image-parallel-copies", "12"], 12, 12)):
            with self.subTest(flags=flags), CountingRegistry(gather=bodies) as registry:
                self.assert_success(self.copy(layout, f"{registry.address}/many:1", *HTTP, *flags))
                self.assertEqual(registry.most_bodies, bodies)
                self.assertEqual(len(registry.body_sizes), 15)
                by_size = sorted(registry.body_sizes, reverse=True)
                # The config is small.
                self.assertEqual(set(registry.body_sizes[:bodies]), {*by_size[:large], *(by_size[-1:] if bodies > large else [])})

    def test_small_bodies_in_flight(self):
        """All at once, for they cost round trips and no bandwidth."""
        layout = Layout(self.temp / "small")
        layout.add(layout.image([{"file": os.urandom(2000 * (number + 1))} for number in range(14)]))
        with CountingRegistry(gather=15) as registry:
            self.assert_success(self.copy(layout, f"{registry.address}/small:1", *HTTP))
            self.assertEqual(registry.most_bodies, 15)

    @tug_only
    def test_tries(self):
        """Three more than one by default, else as many as --retry-times says; who is told to wait waits, as skopeo does."""
        for status, flags, expected in ((503, [], 4), (503, ["--retry-times=2"], 3), (503, ["--retry-times=0"], 1),
                                        (429, ["--retry-times=0"], 4), (429, ["--retry-times=5"], 6)):
            with self.subTest(status=status, flags=flags), CountingRegistry(fail_with=status) as registry:
                result = self.copy("hello:1.0", f"{registry.address}/hello:1", *HTTP, "--retry-delay=10ms", *flags)
                self.assert_failure(result, text=str(status))
                self.assertEqual(registry.requests["HEAD"], expected)

    def test_by_digest(self):
        """A destination NAME@DIGEST stores the manifest without a tag."""
        layout, descriptor = fixture("hello:1.0")
        self.assert_success(self.push("hello:1.0", f"untagged@{descriptor['digest']}"))
        self.assertEqual(self.registry.tags("untagged"), {})
        status, _, body = self.registry.get(f"/v2/untagged/manifests/{descriptor['digest']}")
        self.assertEqual((status, body), (200, layout.read(descriptor)))

    @tug_only
    def test_by_another_digest(self):
        """A destination digest that is not the image's is a usage error."""
        result = self.push("hello:1.0", "untagged2@sha256:" + "0" * 64, "--json")
        self.assert_failure(result, text="digest")
        self.assert_error_object(result, "usage")

    @tug_only
    def test_additional_tags(self):
        """--additional-tag repeats and splits at commas; every tag names the image."""
        result = self.push("hello:1.0", "tags:1", "--additional-tag", "2", "--additional-tag=3,latest", "--json")
        self.assert_success(result)
        _, descriptor = fixture("hello:1.0")
        self.assertEqual(self.registry.tags("tags"), dict.fromkeys(["1", "2", "3", "latest"], descriptor["digest"]))
        self.assertEqual(sorted(result.json()["tags"]), ["1", "2", "3", "latest"])

    @tug_only
    def test_additional_tag_when_the_image_is_there(self):
        """A further tag is set even when the first needs nothing."""
        self.assert_success(self.push("hello:1.0", "tags2:1"))
        self.assert_success(self.push("hello:1.0", "tags2:1", "--additional-tag", "2"))
        self.assertEqual(set(self.registry.tags("tags2")), {"1", "2"})

    @tug_only
    def test_bad_additional_tag(self):
        """A tag that cannot be one is refused before anything is sent."""
        result, requests = self.requests_of(lambda: self.push("hello:1.0", "tags3:1", "--additional-tag", "no good"))
        self.assert_failure(result, text="no good")
        self.assertEqual(requests, [])


@registry_for_class()
class Indexes(SystemTest):
    """Which instances of an index are copied."""

    def push(self, name, *flags, layout="multi:all"):
        return self.copy(layout, f"{self.registry.address}/{name}", *HTTP, *flags)

    def instance(self, architecture):
        return fixture(f"multi:{architecture}")[1]["digest"]

    def assert_tag(self, repository, digest):
        self.assertEqual(self.registry.tags(repository), {"1": digest})

    def test_this_platform_by_default(self):
        """Without flags, the instance for this machine alone."""
        self.assert_success(self.push("default:1"))
        self.assert_tag("default", self.instance(HOST_ARCHITECTURE))

    def test_override(self):
        """--override-os, -arch and -variant choose another, before or after the verb."""
        self.assert_success(self.push("arm64:1", "--override-arch", "arm64"))
        self.assert_tag("arm64", self.instance("arm64"))
        self.assert_success(self.push("armv7:1", "--override-os=linux", "--override-arch=arm", "--override-variant=v7"))
        self.assert_tag("armv7", self.instance("arm"))
        self.assert_success(self.tug("--override-arch", "arm64", "copy", *HTTP, self.source("multi:all"),
                                     f"docker://{self.registry.address}/global:1"))
        self.assert_tag("global", self.instance("arm64"))

    def test_no_instance(self):
        """No instance for a platform: an error that names the platform and, from tug, those that there are."""
        result = self.push("windows:1", "--override-os", "windows")
        self.assert_failure(result, text="windows" if case.IS_SKOPEO else ["windows", "linux/arm64"])
        self.assertEqual(self.registry.tags("windows"), {})

    def test_all(self):
        """--all, -a and --multi-arch all copy every instance and the index, byte for byte."""
        for repository, flags in (("all", ["--all"]), ("all-a", ["-a"]), ("all-multi", ["--multi-arch", "all"])):
            with self.subTest(flags=flags):
                self.assert_success(self.push(f"{repository}:1", *flags))
                self.assert_stored(self.registry, repository, "1", *fixture("multi:all"))

    def test_all_of_a_single_image(self):
        """--all of something that is no index copies the image."""
        self.assert_success(self.push("single:1", "--all", layout="hello:1.0"))
        self.assert_stored(self.registry, "single", "1", *fixture("hello:1.0"))

    def test_system(self):
        """--multi-arch system is the default."""
        self.assert_success(self.push("system:1", "--multi-arch=system"))
        self.assert_tag("system", self.instance(HOST_ARCHITECTURE))

    def test_index_only(self):
        """--multi-arch index-only sends the index alone: fine where the instances are, refused where they are not."""
        result = self.push("index-only:1", "--multi-arch=index-only")
        self.assert_failure(result)
        self.assertEqual(self.registry.tags("index-only"), {})
        self.assert_success(self.push("index-only:all", "--all"))
        before = len(self.registry.requests())
        self.assert_success(self.push("index-only:1", "--multi-arch=index-only"))
        writes = [r for r in self.registry.requests()[before:] if r.method not in ("GET", "HEAD")]
        self.assertEqual(writes, [("PUT", "/v2/index-only/manifests/1", 201)])
        self.assertEqual(self.registry.tags("index-only")["1"], fixture("multi:all")[1]["digest"])

    @tug_only
    def test_list_of_platforms(self):
        """--multi-arch with all the platforms of the index is --all."""
        self.assert_success(self.push("platforms:1", "--multi-arch=linux/amd64,linux/arm64,linux/arm/v7"))
        self.assert_stored(self.registry, "platforms", "1", *fixture("multi:all"))

    @tug_only
    def test_some_platforms(self):
        """Only some: the index stays as it is, which this registry refuses unless it has the others; then the answer says so."""
        result = self.push("sparse:1", "--multi-arch=linux/amd64,linux/arm64")
        self.assert_failure(result, text="index")
        self.assertEqual(self.registry.tags("sparse"), {})
        for architecture in ("amd64", "arm64"):
            status, _, _ = self.registry.get(f"/v2/sparse/manifests/{self.instance(architecture)}")
            self.assertEqual(status, 200)
        status, _, _ = self.registry.get(f"/v2/sparse/manifests/{self.instance('arm')}")
        self.assertEqual(status, 404)

    @tug_only
    def test_unknown_platform_in_the_list(self):
        """A platform that the index does not have: nothing is copied."""
        result = self.push("unknown:1", "--multi-arch=linux/amd64,linux/s390x")
        self.assertIn(result.code, (1, 2))
        self.assert_failure(result, code=result.code, text="s390x")
        self.assertEqual(self.registry.tags("unknown"), {})

    @tug_only
    def test_contradictions(self):
        """--all excludes --multi-arch; an unknown word for --multi-arch is refused."""
        self.assert_failure(self.push("contradiction:1", "--all", "--multi-arch=system"), text="multi-arch")
        self.assert_failure(self.push("contradiction:1", "--multi-arch=everything"), text="everything")


@registry_for_class()
class WhatIsSaid(SystemTest):
    """Output, files and exit codes."""

    def push(self, name, *flags, layout="hello:1.0", **options):
        return self.copy(layout, f"{self.registry.address}/{name}", *HTTP, *flags, **options)

    def test_text_of_an_image(self):
        """stdout without a terminal, line by line (cli-surface A.3)."""
        result = self.assert_success(self.push("text:1"))
        layout, descriptor = fixture("hello:1.0")
        manifest = layout.read_json(descriptor)
        lines = [line for line in result.lines if line != "Storing signatures"]  # skopeo before 1.10
        self.assertEqual(lines[0], "Getting image source signatures")
        self.assertEqual(sorted(lines[1:4]), sorted(f"Copying blob {layer['digest']}" for layer in manifest["layers"]))
        self.assertEqual(lines[4:], [f"Copying config {manifest['config']['digest']}", "Writing manifest to image destination"])
        self.assertEqual(result.err, "")

    def test_text_of_an_index(self):
        """The same for all instances of an index."""
        result = self.assert_success(self.push("text-multi:1", "--all", layout="multi:all"))
        layout, descriptor = fixture("multi:all")
        children = layout.read_json(descriptor)["manifests"]
        self.assertEqual(result.lines[0], "Getting image list signatures")
        self.assertRegex(result.lines[1], r"\ACopying 3 (of 3|images generated from 3) images in list\Z")
        for number, child in enumerate(children, 1):
            self.assertIn(f"Copying image {child['digest']} ({number}/3)", result.lines)
        for blob in layout.closure(descriptor)[1]:
            self.assertRegex(result.out, rf"Copying (blob|config) {blob['digest']}\n")
        self.assertIn("Writing manifest list to image destination", result.lines)

    def test_quiet(self):
        """-q: nothing on stdout."""
        for flag in ("-q", "--quiet"):
            result = self.assert_success(self.push("quiet:1", flag))
            self.assertEqual((result.out, result.err), ("", ""))

    def test_digestfile(self):
        """The digest without a newline; the index's with --all; also when nothing had to be sent."""
        path = self.temp / "digest"
        for _ in range(2):
            self.assert_success(self.push("digestfile:1", "--digestfile", path))
            self.assertEqual(path.read_bytes(), fixture("hello:1.0")[1]["digest"].encode())
            path.unlink()
        self.assert_success(self.push("digestfile:2", "--all", f"--digestfile={path}", layout="multi:all"))
        self.assertEqual(path.read_text(), fixture("multi:all")[1]["digest"])

    @tug_only
    def test_digestfile_that_cannot_be_written(self):
        """Exit 1, naming the file."""
        path = self.temp / "missing" / "digest"
        self.assert_failure(self.push("digestfile:3", "--digestfile", path), text=re.escape(str(path)))

    @tug_only
    def test_json(self):
        """--json: one object on stdout and nothing else."""
        result = self.assert_success(self.push("json:1", "--json"))
        layout, descriptor = fixture("hello:1.0")
        document = result.json()
        self.assertEqual(set(document), {"source", "destination", "digest", "mediaType", "skipped", "tags", "blobs", "instances",
                                         "bytesSent", "seconds"})
        self.assertEqual(document["source"], f"oci:{FIXTURES}/hello:1.0")
        self.assertEqual(document["destination"], f"docker://{self.registry.address}/json:1")
        self.assertEqual((document["digest"], document["mediaType"]), (descriptor["digest"], descriptor["mediaType"]))
        self.assertEqual((document["skipped"], document["tags"], document["instances"]), (False, ["1"], []))
        self.assertGreater(document["seconds"], 0)
        expected = {blob["digest"]: blob for blob in layout.closure(descriptor)[1]}
        self.assertEqual({blob["digest"] for blob in document["blobs"]}, set(expected))
        for blob in document["blobs"]:
            self.assertEqual(set(blob), {"digest", "size", "mediaType", "outcome", "sent"})
            self.assertEqual((blob["size"], blob["mediaType"]), (expected[blob["digest"]]["size"], expected[blob["digest"]]["mediaType"]))
            self.assertEqual((blob["outcome"], blob["sent"]), ("uploaded", blob["size"]))
        self.assertGreaterEqual(document["bytesSent"], sum(blob["size"] for blob in expected.values()))
        self.assertEqual(result.out.count("\n"), 1)
        self.assertTrue(result.out.endswith("\n"))

    @tug_only
    def test_json_of_what_is_there(self):
        """A push that had nothing to do says so."""
        self.assert_success(self.push("json-skip:1"))
        document = self.push("json-skip:1", "--json").json()
        self.assertTrue(document["skipped"])
        self.assertEqual(document["bytesSent"], 0)
        self.assertLessEqual({blob["outcome"] for blob in document["blobs"]}, {"existed", "skipped"})

    @tug_only
    def test_json_of_an_index(self):
        """The instances are named with their platforms."""
        document = self.assert_success(self.push("json-multi:1", "--all", "--json", layout="multi:all")).json()
        layout, descriptor = fixture("multi:all")
        self.assertEqual(document["digest"], descriptor["digest"])
        children = {child["digest"]: child for child in layout.read_json(descriptor)["manifests"]}
        self.assertEqual({each["digest"] for each in document["instances"]}, set(children))
        for each in document["instances"]:
            self.assertLessEqual({"digest", "size", "mediaType"}, set(each))
            self.assertEqual(each["size"], children[each["digest"]]["size"])

    @tug_only
    def test_json_of_a_failure(self):
        """The error object on stdout, the usual line on stderr."""
        result = self.push("json-fail:1", "--json", layout="multi:nope")
        self.assert_failure(result, code=2, text=["nope", "amd64", "arm64"])
        error = self.assert_error_object(result, "not-found")
        self.assertIn("nope", error["message"])

    @tug_only
    def test_json_of_the_registrys_answer(self):
        """HTTP status and the registry's codes are in the error object."""
        result = self.push("json-status:1", "--json", "--multi-arch=index-only", layout="multi:all")
        self.assert_failure(result)
        error = json.loads(result.out)["error"]
        self.assertIn(error["httpStatus"], (400, 404))
        self.assertTrue(any("UNKNOWN" in code for code in error["codes"]), error)

    @tug_only
    def test_reference_that_is_not_there(self):
        """A REF that the layout does not have: exit 2 and a list of what there is."""
        result = self.push("exit:1", layout="multi:1.0")
        self.assert_failure(result, code=2, text=["1\\.0", "all", "amd64", "arm64"])

    @tug_only
    def test_several_images_and_no_reference(self):
        """The error lists them."""
        self.assert_failure(self.push("exit:1", layout="multi"), text=["all", "amd64", "arm64"])

    def test_debug(self):
        """--debug logs to stderr, before or after the verb, and changes nothing on stdout."""
        result = self.assert_success(self.push("debug:1", "--debug"))
        self.assertIn("level=debug", result.err)
        self.assertEqual(result.lines[0], "Getting image source signatures")
        result = self.tug("--debug", "copy", *HTTP, self.source("hello:1.0"), f"docker://{self.registry.address}/debug:2")
        self.assert_success(result)
        self.assertIn("level=debug", result.err)

    @tug_only
    def test_command_timeout(self):
        """--command-timeout ends a push that hangs."""
        released = threading.Event()
        self.addCleanup(released.set)
        with PausingProxy(self.registry.address, trigger=b"POST ", action=lambda: released.wait(60)) as proxy:
            result = self.copy("hello:1.0", f"{proxy.address}/timeout:1", *HTTP, "--command-timeout=1500ms", "--json", timeout=60)
            released.set()
        self.assert_failure(result)
        self.assert_error_object(result, "interrupted")
        self.assertEqual(self.registry.tags("timeout"), {})

    @tug_only
    def test_connection_that_breaks_once(self):
        """The connection is cut in mid-upload: tried again by default, and the image is complete."""
        layout = Layout(self.temp / "big")
        descriptor = layout.add(layout.image([{"noise": noise(3_000_000)}]))
        with contextlib.ExitStack() as stack:
            proxy = stack.enter_context(PausingProxy(self.registry.address, after_bytes=500_000, action=lambda: proxy.cut()))
            result = self.copy(layout, f"{proxy.address}/broken:1", *HTTP, "--retry-delay=100ms")
            self.assertTrue(proxy.fired)
        self.assert_success(result)
        self.assert_stored(self.registry, "broken", "1", layout, descriptor)

    @tug_only
    def test_policy(self):
        """A policy that rejects is fatal; one that is named must exist; --insecure-policy passes over both."""
        reject = self.temp / "reject.json"
        reject.write_text('{"default": [{"type": "reject"}]}')
        accept = self.temp / "accept.json"
        accept.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        broken = self.temp / "broken.json"
        broken.write_text("{")
        self.assert_success(self.push("policy:0", "--policy", accept))
        self.assert_failure(self.push("policy:1", "--policy", reject), text=["policy|reject"])
        self.assert_failure(self.push("policy:1", "--policy", self.temp / "none.json"), text=r"none\.json")
        self.assert_failure(self.push("policy:1", "--policy", broken), text=r"broken\.json")
        self.assertEqual(set(self.registry.tags("policy")), {"0"})
        self.assert_success(self.push("policy:1", "--policy", reject, "--insecure-policy"))

    def test_insecure_policy(self):
        """--insecure-policy before and after the verb."""
        self.assert_success(self.push("insecure:1", "--insecure-policy"))
        self.assert_success(self.tug("--insecure-policy", "copy", *HTTP, self.source("hello:1.0"),
                                     f"docker://{self.registry.address}/insecure:2"))

    @tug_only
    def test_foreign_layers(self):
        """A foreign layer stays where it is, and the report says so."""
        document = self.assert_success(self.push("foreign:1", "--json", layout="foreign:docker")).json()
        layout, descriptor = fixture("foreign:docker")
        foreign = layout.read_json(descriptor)["layers"][0]["digest"]
        outcomes = {blob["digest"]: blob["outcome"] for blob in document["blobs"]}
        self.assertEqual(outcomes.pop(foreign), "skipped")
        self.assertEqual(set(outcomes.values()), {"uploaded"})
        self.assertIsNone(self.registry.stored_blob(foreign))

    @tug_only
    def test_subject_is_kept(self):
        """A manifest with a subject goes as it is, and can be found through the registry that has no referrers API."""
        self.assert_success(self.push("subject:chart", layout="artifact:chart"))
        self.assert_success(self.push("subject:sbom", layout="artifact:sbom"))
        layout, descriptor = fixture("artifact:sbom")
        self.assert_stored(self.registry, "subject", "sbom", layout, descriptor)


def skopeo_can_copy(manifest):
    """What skopeo 1.9.3 copies from a registry to a directory: no nested index, nothing foreign, no artifact."""
    if any(child["mediaType"] == layouts.OCI_INDEX for child in manifest.get("manifests", [])):
        return False
    config = manifest.get("config", {}).get("mediaType", layouts.OCI_CONFIG)
    return config in (layouts.OCI_CONFIG, layouts.DOCKER_CONFIG) and not any(layer.get("urls") for layer in manifest.get("layers", []))


def cert_dir(directory, pki, client=None):
    """A directory as --dest-cert-dir and certs.d want it."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "ca.crt").write_bytes(pki.ca.read_bytes())
    if client:
        (directory / "client.cert").write_bytes(client[0].read_bytes())
        (directory / "client.key").write_bytes(client[1].read_bytes())
    return directory


if __name__ == "__main__":
    case.main()
