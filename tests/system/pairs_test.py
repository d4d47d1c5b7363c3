"""Every pair of transports: what tug copies from one to the other, read back by skopeo; and what skopeo wrote into each, copied by tug.

The image's config, and so its layers' diff IDs, must survive every way; the manifest's digest wherever no conversion is needed. Which files and bytes
each place gets is the matter of its own test.
"""

import hashlib
import itertools
import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import case  # noqa: E402
from support.case import SystemTest, registry_for_class, tug_only  # noqa: E402
from support.docker_daemon import DockerDaemon  # noqa: E402
from support.layouts import Layout, digest_of, noise  # noqa: E402
from support.stores import Store, release_mounts  # noqa: E402

STORES = ("overlay", "vfs")
# Those that keep an OCI manifest with compressed layers as it is.
EXACT = ("oci", "oci-archive", "dir", "docker", *STORES)
# skopeo asks the daemon for its version first, and takes what `docker-archive` takes: tested beside it in docker_daemon_test.
TRANSPORTS = (*EXACT, "docker-archive", "docker-daemon")


@tug_only
@registry_for_class()
class Pairs(SystemTest):
    def setUp(self):
        super().setUp()
        self.addCleanup(release_mounts, self.temp)
        self.daemon = self.enterContext(DockerDaemon(self.temp))
        layout = Layout(self.temp / "origin")
        layers = [{"etc/motd": b"hello\n", "bin/hello": noise(30_000)}, {"usr": None, "usr/link": "../etc/motd"}, {"etc/.wh.motd": b"", "n": noise(9000, 1)}]
        self.descriptor = layout.add(layout.image(layers), ref="1")
        self.manifest = layout.read_json(self.descriptor)
        self.config = layout.read(self.manifest["config"])
        self.origin = f"oci:{layout.path}:1"

    def place(self, transport, name):
        """A reference for an image of this name."""
        if transport in STORES:
            # One that has nothing else: a layer that is there already would be taken as it is.
            return Store(self.temp / f"{transport}-{name}", transport).reference("image:1")
        return {"oci": f"oci:{self.temp}/oci:{name}", "oci-archive": f"oci-archive:{self.temp}/{name}.tar:1", "dir": f"dir:{self.temp}/dir-{name}",
                "docker": f"docker://{self.registry.address}/{name}:1", "docker-archive": f"docker-archive:{self.temp}/{name}.docker.tar:{name}:1",
                "docker-daemon": f"docker-daemon:{name}:1"}[transport]

    def copy(self, source, destination, program=None):
        flags = ["--src-tls-verify=false", "--dest-tls-verify=false", "--src-daemon-host", self.daemon.host, "--dest-daemon-host", self.daemon.host]
        flags += ["--insecure-policy"] if program else ["--no-cache"]
        return self.assert_success(self.tug("copy", "-q", *flags, source, destination, program=program))

    def read(self, reference, *flags):
        return self.skopeo("inspect", "--raw", *flags, "--tls-verify=false", "--daemon-host", self.daemon.host, reference).out

    def layers_of(self, reference, name):
        """The digests of the image's layers, taken out by skopeo and decompressed."""
        target = self.temp / f"read-{name}"
        self.copy(reference, f"dir:{target}", program="skopeo")
        manifest = json.loads((target / "manifest.json").read_text())
        return [digest_of(plain((target / layer["digest"].split(":")[1]).read_bytes())) for layer in manifest["layers"]]

    def assert_arrived(self, reference, name, is_exact):
        self.assertEqual(self.read(reference, "--config"), self.config.decode())
        self.assertEqual(self.layers_of(reference, name), json.loads(self.config)["rootfs"]["diff_ids"])
        if is_exact:
            self.assertEqual(hashlib.sha256(self.read(reference).encode()).hexdigest(), self.descriptor["digest"].split(":")[1])

    def test_all_pairs(self):
        """By tug into each place, and from there into each other."""
        for source in TRANSPORTS:
            self.copy(self.origin, self.place(source, source))
        for source, destination in itertools.product(TRANSPORTS, TRANSPORTS):
            with self.subTest(f"{source} to {destination}"):
                name = f"{source}-to-{destination}"
                self.copy(self.place(source, source), self.place(destination, name))
                # From a store into anything but a store the layers have to be compressed anew.
                is_exact = source in EXACT and destination in EXACT and (source not in STORES or destination in STORES)
                self.assert_arrived(self.place(destination, name), name, is_exact)

    def test_what_skopeo_wrote(self):
        """From each place into a registry."""
        for source in TRANSPORTS:
            with self.subTest(source):
                self.copy(self.origin, self.place(source, f"s-{source}"), program="skopeo")
                reference = self.place("docker", f"from-{source}")
                self.copy(self.place(source, f"s-{source}"), reference)
                self.assert_arrived(reference, f"from-{source}", source in EXACT and source not in STORES)


def plain(layer):
    if layer[:2] == b"\x1f\x8b":
        return subprocess.run(["gzip", "-dc"], input=layer, stdout=subprocess.PIPE, check=True).stdout
    return layer


if __name__ == "__main__":
    case.main()
