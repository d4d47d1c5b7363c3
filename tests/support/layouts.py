"""OCI image layouts written and read with nothing but the standard library; byte for byte the same on every run.

    layout = Layout(directory)
    layout.add(layout.image([{"etc/motd": b"hello\\n"}]), ref="1.0")     # blobs, manifest and index.json are on disk now
"""

import gzip
import hashlib
import io
import json
import pathlib
import random
import tarfile

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_FOREIGN_LAYER_GZIP = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
REF_NAME = "org.opencontainers.image.ref.name"

CREATED = "2023-11-14T22:13:20Z"
EPOCH = 1700000000


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def noise(size, seed=None):
    """Bytes that do not compress, the same each time."""
    return random.Random(size if seed is None else seed).randbytes(size)


def to_json(document):
    return json.dumps(document, separators=(",", ":")).encode()


def compress(data, level=6):
    return gzip.compress(data, level, mtime=0)


def tar(files):
    """{path: bytes | "link target" | None for a directory} as a tar archive without anything of this machine in it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.mtime, info.mode = EPOCH, 0o755 if content is None or name.startswith("bin/") else 0o644
            if content is None:
                info.type = tarfile.DIRTYPE
            elif isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
            else:
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
    return out.getvalue()


class Layout:
    """An OCI image layout at `path`, made if it is not there. Every method leaves a complete layout on disk."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        if not (self.path / "oci-layout").exists():
            self.path.mkdir(parents=True, exist_ok=True)
            (self.path / "oci-layout").write_bytes(to_json({"imageLayoutVersion": "1.0.0"}))
            self.write_index([])

    # ---- reading

    def blob_path(self, digest):
        algorithm, encoded = digest.split(":")
        return self.path / "blobs" / algorithm / encoded

    def read(self, descriptor):
        return self.blob_path(descriptor["digest"]).read_bytes()

    def read_json(self, descriptor):
        return json.loads(self.read(descriptor))

    def entries(self):
        return json.loads((self.path / "index.json").read_bytes())["manifests"]

    def descriptor(self, ref=None):
        """What index.json says of `ref`, or of the only image."""
        entries = [e for e in self.entries() if ref is None or e.get("annotations", {}).get(REF_NAME) == ref]
        assert len(entries) == 1, (ref, entries)
        return entries[0]

    def closure(self, descriptor):
        """(manifests, blobs): all descriptors that a registry holds for `descriptor`, itself included; foreign layers left out."""
        manifests, blobs = [descriptor], []
        document = self.read_json(descriptor)
        for child in document.get("manifests", []):
            more_manifests, more_blobs = self.closure(child)
            manifests += more_manifests
            blobs += more_blobs
        blobs += [b for b in [document.get("config")] + document.get("layers", []) if b and not b.get("urls")]
        return manifests, blobs

    # ---- writing

    def write_index(self, entries):
        (self.path / "index.json").write_bytes(to_json({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}))

    def blob(self, data, media_type, **members):
        """Stores bytes; returns their descriptor."""
        path = self.blob_path(digest_of(data))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return {"mediaType": media_type, "digest": digest_of(data), "size": len(data), **members}

    def json_blob(self, document, media_type, **members):
        return self.blob(to_json(document), media_type, **members)

    def manifest(self, config, layers, media_type=OCI_MANIFEST, **members):
        document = {"schemaVersion": 2, "mediaType": media_type, **members, "config": config, "layers": layers}
        return self.json_blob(document, media_type)

    def index(self, manifests, media_type=OCI_INDEX, **members):
        return self.json_blob({"schemaVersion": 2, "mediaType": media_type, **members, "manifests": manifests}, media_type)

    def image(self, layers, architecture="amd64", os="linux", variant=None, docker=False, level=6, **config):
        """A container image whose layers hold `layers` ([{path: content}]); returns the manifest's descriptor."""
        tars = [tar(files) for files in layers]
        document = {"created": CREATED, "architecture": architecture, "os": os}
        if variant:
            document["variant"] = variant
        document["config"] = {"Env": ["PATH=/usr/bin:/bin"], "Cmd": ["/bin/hello"], **config}
        document["rootfs"] = {"type": "layers", "diff_ids": [digest_of(each) for each in tars]}
        document["history"] = [{"created": CREATED, "created_by": f"layer {n}"} for n in range(len(tars))]
        return self.manifest(
            self.json_blob(document, DOCKER_CONFIG if docker else OCI_CONFIG),
            [self.blob(compress(each, level), DOCKER_LAYER_GZIP if docker else OCI_LAYER_GZIP) for each in tars],
            DOCKER_MANIFEST if docker else OCI_MANIFEST)

    def add(self, descriptor, ref=None):
        """Puts a manifest into index.json, under a name; returns the descriptor as it stands there."""
        entry = dict(descriptor)
        if ref:
            entry["annotations"] = {**entry.get("annotations", {}), REF_NAME: ref}
        self.write_index(self.entries() + [entry])
        return entry


def platform(descriptor, architecture, variant=None, os="linux"):
    """The descriptor as an index names it."""
    return {**descriptor, "platform": {"architecture": architecture, "os": os, **({"variant": variant} if variant else {})}}
