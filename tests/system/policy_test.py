"""policy.json: tug refuses the files that skopeo refuses, and an image wherever skopeo does."""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import case  # noqa: E402
from support.case import FIXTURES, SystemTest, tug_only  # noqa: E402
from support.docker_daemon import DockerDaemon  # noqa: E402
from support.stores import Store  # noqa: E402

HELLO = f"oci:{FIXTURES}/hello:1.0"
ACCEPT, REJECT = [{"type": "insecureAcceptAnything"}], [{"type": "reject"}]


@tug_only
class PolicyTest(SystemTest):
    def outcome(self, program, policy, source, *flags, **options):
        """"taken", "rejected" or "invalid" (the policy)."""
        path = self.temp / "policy.json"
        path.write_text(policy if isinstance(policy, str) else json.dumps(policy))
        flags = (*flags, "-q") if program else (*flags, "-q", "--no-cache")
        result = self.tug("copy", "--policy", path, *flags, source, f"dir:{self.temp}/out", program=program, **options)
        if result.code == 0:
            return "taken"
        if "is rejected by policy" in result.err or "rejects" in result.err:
            return "rejected"
        self.assertRegex(result.err, r"invalid policy|policy \S+policy\.json", str(result))
        return "invalid"

    def check(self, policy, source, expected, *flags, **options):
        with self.subTest(policy=policy, source=source):
            self.assertEqual(self.outcome("skopeo", policy, source, *flags, **options), expected)
            self.assertEqual(self.outcome(None, policy, source, *flags, **options), expected)

    def check_scopes(self, transport, rows, *flags, **options):
        """A rule that applies decides, whichever way the default is; where it is no rule for the image, the default does."""
        for scope, source, expected in rows:
            for rule, default in ((REJECT, ACCEPT), (ACCEPT, REJECT)):
                outcome = expected
                if default is REJECT and expected != "invalid":
                    outcome = "taken" if expected == "rejected" else "rejected"
                self.check({"default": default, "transports": {transport: {scope: rule}}}, source, outcome, *flags, **options)

    def image(self, place):
        self.skopeo("copy", "-q", "--insecure-policy", HELLO, place)

    def test_paths(self):
        """Rules are for real directories: a link to one leads to the same rule."""
        (self.temp / "real").mkdir()
        self.image(f"oci:{self.temp}/real/layout:ref")
        self.image(f"dir:{self.temp}/real/dir")
        self.image(f"oci-archive:{self.temp}/real/o.tar:ref")
        self.image(f"docker-archive:{self.temp}/real/d.tar:app:1")
        (self.temp / "link").symlink_to("real")
        (self.temp / "layout").symlink_to("real/layout")
        (self.temp / "o.tar").symlink_to("link/o.tar")
        root, real = self.temp, self.temp / "real"
        links = self.temp / "link"
        self.check_scopes("oci", [
            (f"{real}", "oci:link/layout:ref", "rejected"), (f"{links}", "oci:link/layout:ref", "taken"),
            (f"{real}/layout", "oci:layout:ref", "rejected"), (f"{root}", f"oci:{real}/layout:ref", "rejected"),
            (f"{real}/layout", "oci:link/../real/layout:ref", "rejected"),
            (f"{real}/layout:ref", "oci:real/layout:ref", "taken"), (f"{real}/layout:", "oci:real/layout", "taken"),
            (f"{real}/lay", "oci:real/layout", "taken"), (f"{real}:x", "oci:real/layout", "taken"),
            (f"{real}/", "oci:real/layout", "invalid"), (f"{root}/./real", "oci:real/layout", "invalid"),
            (f"{root}/real/../real", "oci:real/layout", "invalid"), (f"{root}//real", "oci:real/layout", "invalid"),
            ("real", "oci:real/layout", "invalid"), ("/", "oci:real/layout", "invalid"), ("", "oci:real/layout", "rejected"),
        ])
        self.check_scopes("dir", [
            (f"{real}/dir", "dir:link/dir", "rejected"), (f"{real}", "dir:link/dir/", "rejected"), (f"{links}", "dir:link/dir", "taken"),
            (f"{real}/dir/", "dir:real/dir", "invalid"), ("dir", "dir:real/dir", "invalid"), ("/", "dir:real/dir", "invalid"),
        ])
        self.check_scopes("oci-archive", [
            (f"{real}/o.tar", "oci-archive:o.tar", "rejected"), (f"{real}", "oci-archive:link/o.tar:ref", "rejected"),
            (f"{real}/o.tar:ref", "oci-archive:real/o.tar:ref", "taken"), (f"{real}/", "oci-archive:real/o.tar", "invalid"),
        ])
        self.check_scopes("docker-archive", [
            ("", "docker-archive:real/d.tar", "rejected"), (f"{real}/d.tar", "docker-archive:real/d.tar", "invalid"),
            (f"{real}/d.tar:docker.io/library/app:1", "docker-archive:real/d.tar:app:1", "invalid"),
        ])

    def test_scopes_of_others(self):
        """What another transport takes for a scope, and what it does not."""
        self.image(f"dir:{self.temp}/dir")
        source = f"dir:{self.temp}/dir"
        digest = "0" * 64
        for transport, scopes, expected in (
            ("docker", ("a/b", "*.x", "UPPER", "/x", "docker.io/"), "taken"),
            ("docker-daemon", ("/x", "UPPER", "sha512:00"), "taken"),
            ("docker-daemon", (f"sha256:{digest}",), "invalid"),
            ("containers-storage", ("[vfs@/a]", "[/a]x", "[/]", "[vfs@/a/]", "[vfs@/a]docker.io/x:1", f"[vfs@/a]@{digest}", "[vfs@/a+/b]",
                                    f"[/a]x@sha256:{digest}", f"[/a]x@sha256:{digest}@{digest}"), "taken"),
            ("containers-storage", ("x", "[vfs@a]", "[vfs@/a", "[]", "[@/a]", "[vfs@]", "[/a]x@y", f"[/a]x@{digest}@{digest}"), "invalid"),
            ("sif", ("/a:b",), "taken"), ("sif", ("a", "/a/"), "invalid"), ("tarball", ("",), "taken"), ("tarball", ("x",), "invalid"),
            ("unheard-of", ("", "anything"), "taken"),
        ):
            for scope in scopes:
                self.check({"default": ACCEPT, "transports": {transport: {scope: REJECT}}}, source, expected)

    def test_daemon(self):
        """By the names that Docker has for the image; an ID has none."""
        with DockerDaemon(self.temp) as daemon:
            self.skopeo("copy", "-q", "--insecure-policy", "--dest-daemon-host", daemon.host, HELLO, "docker-daemon:app:1")
            (image_id,) = (name for name in daemon.images if name.startswith("sha256:"))
            names = ("docker.io/library/app:1", "docker.io/library/app", "docker.io/library", "docker.io", "*.io", "")
            self.check_scopes("docker-daemon", [
                *((name, "docker-daemon:app:1", "rejected") for name in names), ("app:1", "docker-daemon:app:1", "taken"),
                ("docker.io", f"docker-daemon:{image_id}", "taken"), ("", f"docker-daemon:{image_id}", "rejected"),
            ], "--src-daemon-host", daemon.host)

    def test_store(self):
        """By the store, and by the image's name or ID in it."""
        store = Store(self.temp / "store", "vfs")
        env = {"CONTAINERS_STORAGE_CONF": str(store.conf)}
        store.run("skopeo", "copy", "-q", "--insecure-policy", HELLO, f"{store.place}app:1")
        (record,) = store.records()
        image_id, digest = record["id"], record["digest"]
        root = f"[vfs@{store.root}]"
        (store.directory / "link").symlink_to(store.root)
        linked = store.place.replace(str(store.root), f"{store.directory}/link")
        named, by_id = f"{store.place}app:1", f"{store.place}@{image_id}"
        self.check_scopes("containers-storage", [
            *((scope, named, "rejected") for scope in (
                "", root, f"[{store.root}]", f"{root}docker.io", f"{root}docker.io/library", f"{root}docker.io/library/app",
                f"{root}docker.io/library/app:1", f"{root}docker.io/library/app:1@{image_id}")),
            *((scope, named, "taken") for scope in (
                f"[{store.root}]docker.io", f"{root}@{image_id}", f"[vfs@{store.root}/]", f"[overlay@{store.root}]", f"{root}app",
                f"[vfs@{store.root}+{store.runroot}]")),
            (f"{root}docker.io/library/app:1", "containers-storage:app:1", "rejected"),
            (f"{root}@{image_id}", by_id, "rejected"), (f"{root}@{image_id}", f"{store.place}{image_id[:12]}", "rejected"),
            (f"{root}docker.io/library/app:1", by_id, "taken"),
            (f"{root}docker.io/library/app:1@{image_id}", f"{named}@{image_id}", "rejected"),
            (f"{root}docker.io/library/app@{digest}", f"{store.place}app@{digest}", "rejected"),
            (f"{root}docker.io/library/app:1@{digest}", f"{named}@{digest}", "rejected"),
            (f"{root}docker.io/library/app:1", f"{named}@{digest}", "rejected"),
            (root, named.replace("/root+", "/root/+"), "rejected"), (root, named.replace("/root+", "/./root+"), "rejected"),
            (root, f"{linked}app:1", "taken"), (f"[vfs@{store.directory}/link]", f"{linked}app:1", "rejected"),
        ], env=env)

    def test_files(self):
        """What is no policy is refused, also where no image needs it."""
        self.image(f"dir:{self.temp}/dir")
        accept = '{"type":"insecureAcceptAnything"}'
        rows = [
            ("taken", f'{{"default":[{accept}],"transports":{{}}}}'), ("taken", f'{{"default":[{accept}],"transports":{{"docker":{{}}}}}}'),
            *(("invalid", text) for text in (
                f'{{"default":[{accept}],"transport":{{}}}}', f'{{"default":[{accept}],"extra":1}}', f'{{"Default":[{accept}]}}',
                f'{{"default":[{accept}],"transports":null}}', f'{{"default":[{accept}],"transports":[]}}',
                f'{{"default":[{accept}],"transports":{{"dir":null}}}}', f'{{"default":[{accept}],"transports":{{"dir":{{"":null}}}}}}',
                f'{{"default":[{accept}],"default":[{accept}]}}', f'{{"default":[{accept}]}} x', "null", '{"default":null}', '{"default":[]}',
                '{"default":[{"type":"insecureAcceptAnything","x":1}]}', '{"default":[{"Type":"insecureAcceptAnything"}]}',
                '{"default":[{"type":"reject","x":1}]}', '{"default":[null]}', '{"default":["reject"]}', '{"default":[{}]}',
            )),
        ]
        gpg = {"type": "signedBy", "keyType": "GPGKeys"}
        signed = {**gpg, "keyPath": "/k"}

        def identity(**members):
            return {**signed, "signedIdentity": members}

        requirements = [
            *(("taken", requirement) for requirement in (
                signed, {**gpg, "keyPaths": ["/a", "/b"]}, {**gpg, "keyData": "aGVsbG8="}, {**signed, "keyType": "X509Certificates"},
                identity(type="matchExact"), identity(type="exactReference", dockerReference="x/y:1"),
                identity(type="exactRepository", dockerRepository="x/y"), identity(type="remapIdentity", prefix="a", signedPrefix="b"),
                identity(type="remapIdentity", prefix="A-B.c:1/d/e", signedPrefix="b:1"), identity(type="exactRepository", dockerRepository="x/y:1"),
                {"type": "sigstoreSigned", "keyPath": "/k"}, {"type": "sigstoreSigned", "keyData": "aGVsbG8="},
                {"type": "signedBaseLayer", "baseLayerIdentity": {"type": "matchRepository"}},
            )),
            *(("invalid", requirement) for requirement in (
                gpg, {"type": "signedBy", "keyPath": "/k"}, {"type": "signedBy"}, {**signed, "keyType": "nope"}, {**signed, "keyData": "aGVsbG8="},
                {**gpg, "keyData": "!!"}, {**gpg, "keyPath": ""}, {**gpg, "keyPath": 1}, {**gpg, "keyPaths": "/a"}, {**gpg, "keyPaths": None},
                {**gpg, "keyData": None}, {**signed, "extra": 1}, {**signed, "signedIdentity": None}, identity(type="bogus"), identity(),
                identity(type="matchExact", x=1), identity(type="exactReference"), identity(type="exactReference", dockerReference="x/y"),
                identity(type="exactReference", dockerReference="UPPER:1"), identity(type="exactRepository", dockerRepository="x y"),
                identity(type="remapIdentity", prefix="a"), identity(type="remapIdentity", prefix="", signedPrefix="b"),
                identity(type="remapIdentity", prefix="a/", signedPrefix="b"), identity(type="remapIdentity", prefix="a", signedPrefix="-"),
                identity(type="exactReference", dockerReference=f"x/y@sha256:{'0' * 63}"),
                {"type": "sigstoreSigned"}, {"type": "sigstoreSigned", "keyPath": "/k", "keyType": "x"}, {"type": "sigstoreSigned", "keyData": "!"},
                {"type": "sigstoreSigned", "keyPath": "/k", "keyData": "aGVsbG8="},
                {"type": "signedBaseLayer"}, {"type": "signedBaseLayer", "baseLayerIdentity": {}}, {"type": "SignedBy"},
            )),
        ]
        rows += [(expected, {"default": ACCEPT, "transports": {"docker": {"": [requirement]}}}) for expected, requirement in requirements]
        for expected, policy in rows:
            self.check(policy, f"dir:{self.temp}/dir", expected)


if __name__ == "__main__":
    case.main()
