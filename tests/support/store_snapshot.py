"""All that a containers-storage store has, to be compared with another's."""

import base64
import gzip
import hashlib
import json
import os
import stat
import time

RECENT = time.time() - 86400


def state_of(path):
    """Type, owner, mode, time, attributes and content of a file."""
    status = path.lstat()
    kind = stat.S_IFMT(status.st_mode)
    content = {stat.S_IFREG: lambda: hashlib.sha256(path.read_bytes()).hexdigest(), stat.S_IFLNK: lambda: os.readlink(path),
               stat.S_IFCHR: lambda: status.st_rdev, stat.S_IFBLK: lambda: status.st_rdev}.get(kind, lambda: None)()
    xattrs = {name: os.getxattr(path, name, follow_symlinks=False) for name in os.listxattr(path, follow_symlinks=False)}
    # What no tar dates is as old as the test.
    mtime = "now" if status.st_mtime > RECENT else status.st_mtime_ns
    links = status.st_nlink if kind == stat.S_IFREG else 1
    return oct(status.st_mode), status.st_uid, status.st_gid, mtime, xattrs, links, content


def contents(directory):
    """{relative path: state} of everything below `directory`, which is "."."""
    return {str(path.relative_to(directory)): state_of(path) for path in (directory, *directory.rglob("*"))}


def snapshot(store):
    """All that a store has of its images, without what differs each time: the names of overlay's links, times of now, locks' contents."""
    root, driver = store.root, store.driver
    layers = {layer["id"]: layer for layer in records(root / f"{driver}-layers/layers.json")}
    for layer in layers.values():
        layer.pop("created")
    images = {image["id"]: image for image in records(root / f"{driver}-images/images.json")}
    for image in images.values():
        # Of earlier manifests of the image skopeo forgets it.
        sizes = json.loads(image["metadata"])["signatures-sizes"]
        image["metadata"] = {each: sizes[each] for each in (image["big-data-digests"]["manifest"],)}
    result = {"layers": layers, "images": images}
    result["order"] = list(layers)
    for path in (root / f"{driver}-layers").glob("*.tar-split.gz"):
        with gzip.open(path) as file:
            result[path.name] = recipe(file), oct(path.stat().st_mode)
    for path in (root / f"{driver}-images").iterdir():
        if path.is_dir():
            result[path.name] = {name: (oct(int(state[0], 8)), state[-1]) for name, state in contents(path).items()}
    if driver == "vfs":
        result["files"] = {path.name: contents(path) for path in (root / "vfs/dir").iterdir()} if (root / "vfs/dir").is_dir() else {}
        return result
    overlay = root / "overlay"
    links = {path.name: os.readlink(path).split("/")[1] for path in (overlay / "l").iterdir()}
    for path in overlay.iterdir():
        if not path.is_dir() or path.name == "l":
            continue
        assert links[(path / "link").read_text()] == path.name
        lower = (path / "lower").read_text().split(":") if (path / "lower").exists() else []
        result[path.name + " overlay"] = {
            "names": {each.name: oct(each.lstat().st_mode) for each in path.iterdir()}, "files": contents(path / "diff"),
            "lower": [links[each.removeprefix("l/")] for each in lower]}
    result["links"] = sorted(links.values())
    return result


def recipe(file):
    """tar-split's objects; into how many pieces a run of bytes is cut says nothing."""
    result = []
    for entry in map(json.loads, file):
        entry.pop("position")
        if entry["type"] == 1:
            result.append(entry)
        elif result and isinstance(result[-1], bytes):
            result[-1] += base64.b64decode(entry["payload"])
        else:
            result.append(base64.b64decode(entry["payload"]))
    return result


def records(path):
    return json.loads(path.read_text() or "[]") if path.exists() else []


class StoreComparison:
    """For the classes of tests that compare stores."""

    def assert_same_stores(self, one, other):
        one, other = snapshot(one), snapshot(other)
        self.assertEqual(set(one), set(other))
        for key in one:
            with self.subTest(key):
                self.assertEqual(one[key], other[key])
