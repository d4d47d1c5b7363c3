"""Tar archives with images in them, made with nothing but the standard library.

    write_tar(path, {"c.json": b"{}", "l/layer.tar": Link("../x.tar")})      # members in order; a name may stand there twice in a list of pairs
    docker_archive([{path: content}, ...], tags=["app:1"])                   # members of an archive as `docker save` makes it
"""

import hashlib
import io
import json
import subprocess
import tarfile

from .layouts import CREATED, digest_of, tar


class Link:
    def __init__(self, target, kind=tarfile.SYMTYPE):
        self.target, self.kind = target, kind


def hardlink(target):
    return Link(target, tarfile.LNKTYPE)


def tar_bytes(members):
    """{name: bytes | Link | None for a directory}, or pairs of them, as a tar."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, content in members.items() if isinstance(members, dict) else members:
            info = tarfile.TarInfo(name)
            if content is None:
                info.type = tarfile.DIRTYPE
            elif isinstance(content, Link):
                info.type, info.linkname = content.kind, content.target
            else:
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
    return out.getvalue()


def write_tar(path, members):
    path.write_bytes(tar_bytes(members))
    return path


def config_of(tars, **more):
    return json.dumps({"created": CREATED, "architecture": "amd64", "os": "linux", "config": {"Env": ["A=<b>"], "Cmd": ["/bin/hello"]}, **more,
                       "rootfs": {"type": "layers", "diff_ids": [digest_of(each) for each in tars]}}, separators=(",", ":")).encode()


def manifest_of(*items):
    """items: (config, tags, layers), names of members."""
    return json.dumps([{"Config": config, "RepoTags": tags, "Layers": layers} for config, tags, layers in items]).encode()


def docker_archive(layers, tags=("app:1",), pack=lambda data: data):
    """The members, in order; the layers' are `N/layer.tar`, as pack() makes them."""
    tars = [tar(files) for files in layers]
    members = {f"{n}/layer.tar": pack(each) for n, each in enumerate(tars)}
    config = config_of(tars)
    name = digest_of(config).partition(":")[2] + ".json"
    return {**members, name: config, "manifest.json": manifest_of((name, list(tags), list(members)))}


def packed(data, program):
    """What gzip, bzip2, xz or zstd makes of it."""
    return subprocess.run([program, "-c"], input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True).stdout


def names(path):
    with tarfile.open(path) as archive:
        return archive.getnames()


def write_sparse_archive(path, size):
    """A docker-archive of one layer of one file of `size` zeros, which takes no room on the disk; returns the config's bytes."""
    inner = tarfile.TarInfo("zeros")
    inner.size = size
    layer_size = 512 + size + -size % 512 + 1024
    hasher, zeros = hashlib.sha256(inner.tobuf(tarfile.GNU_FORMAT)), bytes(1 << 20)
    for at in range(512, layer_size, len(zeros)):
        hasher.update(zeros[:min(len(zeros), layer_size - at)])
    diff_id = hasher.hexdigest()
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": ["sha256:" + diff_id]}}).encode()

    def header(name, length):
        info = tarfile.TarInfo(name)
        info.size = length
        return info.tobuf(tarfile.GNU_FORMAT)

    with open(path, "wb") as out:
        out.write(header("layer.tar", layer_size) + inner.tobuf(tarfile.GNU_FORMAT))
        out.seek(512 + layer_size)
        for name, content in (("c.json", config), ("manifest.json", manifest_of(("c.json", ["big:1"], ["layer.tar"])))):
            out.write(header(name, len(content)) + content + bytes(-len(content) % 512))
        out.write(bytes(1024))
    return config
