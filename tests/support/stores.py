"""Real containers-storage stores, made by Debian's buildah and skopeo: locally built images, and "pulled" ones whose tars have what breaks
readers (hard links, names that are not UTF-8, pax records, padding, whiteouts, links out of the tree, sparse members).

    store = Store(directory, "overlay")
    store.build_all()
    store.reference("single:1")     # "containers-storage:[overlay@…/root+…/run]localhost/single:1"

Everything is below `directory`; the machine's own store is never touched.
"""

import gzip
import io
import json
import os
import pathlib
import subprocess
import tarfile

from .layouts import CREATED, EPOCH, OCI_CONFIG, OCI_LAYER_GZIP, Layout, digest_of, platform

OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"

# Images that cannot be pushed; each with what the error says. (A sparse member cannot be read back exactly by anybody.)
UNREADABLE = {"pull-sparse:1": "cannot be made again", "pull-v2s1:1": "schema 1"}
# All names of "docker:1", as the store has them.
DOCKER_NAMES = ("localhost/docker:1", "localhost/docker:2", "example.com:5000/ns/docker:v1", "docker.io/library/docker:latest")


def release_mounts(directory):
    """The overlay driver leaves its directory mounted on itself: without this nobody can remove `directory`."""
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        if line.split()[1].startswith(f"{directory}/"):
            subprocess.run(["umount", line.split()[1]], check=False)


class Store:
    def __init__(self, directory, driver):
        self.directory, self.driver = pathlib.Path(directory), driver
        self.root, self.runroot = self.directory / "root", self.directory / "run"
        home = self.directory / "home"
        home.mkdir(parents=True, exist_ok=True)
        self.conf = self.directory / "storage.conf"
        self.conf.write_text(f'[storage]\ndriver = "{driver}"\ngraphroot = "{self.root}"\nrunroot = "{self.runroot}"\n')
        self.environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(home), "CONTAINERS_STORAGE_CONF": str(self.conf), "LANG": "C.UTF-8",
                            "TMPDIR": str(home), "BUILDAH_ISOLATION": "chroot"}
        self.images = []

    def reference(self, name):
        return f"{self.place}localhost/{name}"

    @property
    def place(self):
        """What stands before a name of any form."""
        return f"containers-storage:[{self.driver}@{self.root}+{self.runroot}]"

    def run(self, *command, check=True):
        done = subprocess.run([str(word) for word in command], env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
        if check and done.returncode != 0:
            raise RuntimeError(f"{command}\n{done.stdout}\n{done.stderr}")
        return done.stdout.strip()

    def records(self):
        """images.json."""
        return json.loads((self.root / f"{self.driver}-images/images.json").read_text())

    def record(self, name):
        return next(record for record in self.records() if f"localhost/{name}" in record.get("names", []))

    def layers(self):
        return json.loads((self.root / f"{self.driver}-layers/layers.json").read_text())

    def diff_ids(self, name):
        """Of the image's layers, base first, as the store hashed them."""
        layers = {layer["id"]: layer for layer in self.layers()}
        found, layer = [], layers[self.record(name)["layer"]]
        while layer:
            found.insert(0, layer["diff-digest"])
            layer = layers.get(layer.get("parent"))
        return found

    # ---- built here

    def commit(self, name, base, files, *, format="oci", remove=()):
        """One more layer on `base` ("scratch" or an image's name): files {path: bytes}, and paths that are removed."""
        container = self.run("buildah", "from", base if base == "scratch" else f"localhost/{base}")
        mount = pathlib.Path(self.run("buildah", "mount", container))
        for path, content in files.items():
            target = mount / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            os.utime(target, (EPOCH, EPOCH))
        for path in remove:
            (mount / path).unlink()
        self.run("buildah", "umount", container)
        self.run("buildah", "commit", "-q", "--rm", "--format", format, container, f"localhost/{name}")
        self.images.append(name)

    def build_local(self):
        self.commit("single:1", "scratch", {"etc/motd": b"hello\n", "data/zeros": bytes(300_000), "data/empty": b""})
        self.commit("chain:1", "scratch", {"a": b"a" * 5000, "b": b"b"})
        self.commit("chain:2", "chain:1", {"c": os.urandom(40_000)})
        self.commit("chain:3", "chain:2", {"a": b"changed"}, remove=["b"])
        self.commit("docker:1", "chain:2", {"d": b"docker format"}, format="docker")
        self.run("buildah", "tag", *DOCKER_NAMES)
        big = b"".join(f"line {n} of a file that is larger than one chunk\n".encode() for n in range(90_000))
        self.commit("big:1", "scratch", {"big/text": big, "big/random": os.urandom(2_500_000)})
        self.run("buildah", "manifest", "create", "localhost/list:1")
        for name in ("single:1", "chain:1"):
            self.run("buildah", "manifest", "add", "localhost/list:1", f"containers-storage:localhost/{name}")

    def build_large(self):
        """"large:1": a layer that no buffer holds, 64 MiB that do not compress and then many small files. "files:3": three layers of
        many files."""
        self.commit("large:1", "scratch", {"a/noise": os.urandom(64 << 20), **{f"z/{n:03}": os.urandom(3000) for n in range(200)}})
        for number, base in enumerate(("scratch", "files:1", "files:2"), 1):
            self.commit(f"files:{number}", base, {f"{number}/{n:03}": os.urandom(500) for n in range(100)})
        return self

    # ---- pulled

    def pull(self, name, layout, ref="v1", *flags):
        self.run("skopeo", "copy", "-q", "--insecure-policy", *flags, f"oci:{layout.path}:{ref}", f"containers-storage:localhost/{name}")
        self.images.append(name)

    def pull_tars(self, name, tars, compression="gzip", architecture="amd64"):
        layout = Layout(self.directory / "layouts" / name.replace(":", "-"))
        layout.add(self.image(layout, tars, compression, architecture), ref="v1")
        self.pull(name, layout)

    @staticmethod
    def image(layout, tars, compression, architecture):
        config = layout.json_blob({"created": CREATED, "architecture": architecture, "os": "linux", "config": {},
                                   "rootfs": {"type": "layers", "diff_ids": [digest_of(each) for each in tars]},
                                   "history": [{"created": CREATED, "created_by": "tests"} for _ in tars]}, OCI_CONFIG)
        pack, media_type = {"gzip": (lambda data: gzip.compress(data, 6, mtime=0), OCI_LAYER_GZIP), "none": (lambda data: data, OCI_LAYER),
                            "zstd": (zstd, OCI_LAYER_ZSTD)}[compression]
        return layout.manifest(config, [layout.blob(pack(each), media_type) for each in tars])

    def build_pulled(self):
        self.pull_tars("pull-gnu:1", [odd_tar(tarfile.GNU_FORMAT)])
        self.pull_tars("pull-pax:1", [odd_tar(tarfile.PAX_FORMAT)], "zstd")
        self.pull_tars("pull-plain:1", [odd_tar(tarfile.USTAR_FORMAT, long_names=False)], "none")
        self.pull_tars("pull-padding:1", [odd_tar(tarfile.GNU_FORMAT) + bytes(1_500_000)])
        self.pull_tars("pull-whiteouts:1", [simple_tar({"keep": b"1", "gone": b"2", "dir/x": b"3"}),
                                            simple_tar({".wh.gone": b"", "dir/.wh..wh..opq": b"", "dir/y": b"4"})])
        same = simple_tar({"same": b"same" * 1000})
        self.pull_tars("pull-same:1", [same, simple_tar({}), same])
        self.pull_tars("pull-abslink:1", [linked_tar()])
        self.pull_tars("pull-sparse:1", [sparse_tar()])
        # One record for both, because they share their config: its default manifest is the one that was pulled last.
        self.pull("pull-v2s2:1", Layout(self.directory / "layouts/pull-whiteouts-1"), "v1", "--format", "v2s2")
        self.pull("pull-v2s1:1", Layout(self.directory / "layouts/pull-plain-1"), "v1", "--format", "v2s1")
        layout = Layout(self.directory / "layouts/multi")
        children = [platform(self.image(layout, [simple_tar({"arch": name.encode()})], "gzip", name), name) for name in ("amd64", "arm64")]
        layout.add(layout.index(children), ref="v1")
        self.pull("pull-multi:1", layout)

    def build_all(self):
        self.build_local()
        self.build_pulled()
        return self


def zstd(data):
    return subprocess.run(["zstd", "-q", "-3", "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout


def _archive(members, format=tarfile.USTAR_FORMAT):
    """members: (TarInfo, bytes)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format, encoding="utf-8", errors="surrogateescape") as archive:
        for info, content in members:
            info.mtime = EPOCH
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def _member(name, content=b"", type=tarfile.REGTYPE, link="", mode=0o644, **more):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = type, link, mode
    for key, value in more.items():
        setattr(info, key, value)
    return info, content


def simple_tar(files):
    return _archive([_member(name, content) for name, content in files.items()])


def odd_tar(format, long_names=True):
    """What real layers have and simple readers forget."""
    members = [
        _member("dir", type=tarfile.DIRTYPE, mode=0o755),
        _member("dir/file", b"content\n" * 3000),
        _member("./dir/./dots", b"a name to be cleaned"),
        _member("dir/hard", type=tarfile.LNKTYPE, link="dir/file"),
        _member("dir/soft", type=tarfile.SYMTYPE, link="file"),
        _member("dir/dangling", type=tarfile.SYMTYPE, link="/nowhere/at all"),
        _member("dir/empty"),
        _member("dir/fifo", type=tarfile.FIFOTYPE),
        _member("setuid", b"#!/bin/sh\n", mode=0o4755, uid=1234, gid=5678),
        _member("secret", b"mode 0", mode=0),
        _member("back\\slash and blank", b"1"),
        _member("new\nline", b"2"),
        _member("exactly-512", b"x" * 512),
        _member("<&>\u2028", b"escaped in Go's JSON"),
    ]
    if format != tarfile.PAX_FORMAT:  # a pax record is UTF-8
        members.append(_member("latin1-\udce9", b"not UTF-8"))
    else:
        info, content = _member("attributes", b"with xattrs")
        info.pax_headers = {"SCHILY.xattr.user.tug": "value", "mtime": "1700000000.123456789"}
        members.append((info, content))
    if long_names:
        members.append(_member("long/" + "n" * 200 + "/" + "m" * 200, b"long name"))
    return _archive(members, format)


def linked_tar():
    """A member whose path runs through an absolute link of the same layer: Go's tools follow it on the host and fail."""
    return _archive([_member("real", type=tarfile.DIRTYPE, mode=0o755), _member("via", type=tarfile.SYMTYPE, link="/real"),
                     _member("via/file", b"below the link")])


def sparse_tar():
    """A pax 1.0 sparse member: tar-split records its expanded size, so that the layer cannot be made again."""
    content = b"1\n4096\n4\n".ljust(512, b"\0") + b"data"
    info, _ = _member("GNUSparseFile.0/sparse", content)
    info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "sparse", "GNU.sparse.realsize": "8192"}
    return _archive([(info, content)], tarfile.PAX_FORMAT)


def static_program(directory):
    """A program without libraries that says what it finds."""
    source = directory / "says.c"
    source.write_text('#include <stdio.h>\nint main(void) { char t[99] = ""; FILE *f = fopen("/etc/motd", "r"); fgets(t, 99, f); '
                      'printf("it says %s", t); return 0; }\n')
    subprocess.run(["cc", "-static", "-Os", "-s", "-o", directory / "says", source], check=True)
    return (directory / "says").read_bytes()


def tar_of(*members):
    """(name, type, content or link[, more of TarInfo])."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, kind, content, *more in members:
            info = tarfile.TarInfo(name)
            info.type, info.mtime, info.mode = kind, EPOCH, 0o755 if kind == tarfile.DIRTYPE else 0o644
            if isinstance(content, str):
                info.linkname, content = content, b""
            info.size = len(content)
            for key, value in (more[0] if more else {}).items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


FILE, DIRECTORY, SYMLINK, HARDLINK = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
LOWER = tar_of(("d", DIRECTORY, b""), ("d/one", FILE, b"1"), ("d/two", FILE, b"22"), ("d/sub", DIRECTORY, b""), ("d/sub/deep", FILE, b"333"),
               ("file", FILE, b"a file"), ("becomes-dir", FILE, b"f"), ("becomes-file", DIRECTORY, b""), ("becomes-file/x", FILE, b"x"),
               ("link", SYMLINK, "d"), ("gone-dir", DIRECTORY, b""), ("gone-dir/y", FILE, b"y"), ("other", FILE, b"o"))
UPPER = tar_of(("d", DIRECTORY, b""), ("d/.wh.one", FILE, b""), ("d/sub", DIRECTORY, b""), ("d/sub/.wh..wh..opq", FILE, b""),
               ("d/sub/new", FILE, b"new"), (".wh.gone-dir", FILE, b""), ("file", FILE, b"changed"), ("becomes-dir", DIRECTORY, b""),
               ("becomes-dir/in", FILE, b"in"), ("becomes-file", FILE, b"now a file"), ("twin", FILE, b"twins"), ("twin2", HARDLINK, "twin"),
               ("implied/parent/file", FILE, b"its directories are not in the tar"))
