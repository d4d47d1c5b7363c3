"""Layouts that other tools made, one per tool: pushed by tug, read back by skopeo, and unpacked."""

import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import case  # noqa: E402
from support.case import FIXTURES, SystemTest, registry_for_class  # noqa: E402
from support.layouts import Layout  # noqa: E402

TEXT = "".join(f"line {n}\n" for n in range(2000))


@registry_for_class()
class LayoutsOfOtherTools(SystemTest):
    def run_tool(self, *arguments):
        process = subprocess.run([str(argument) for argument in arguments], env=self.environment, cwd=self.temp, text=True,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual(process.returncode, 0, f"{arguments}\n{process.stdout}\n{process.stderr}")
        return process.stdout.strip()

    def rootfs(self):
        root = self.temp / "rootfs"
        (root / "etc").mkdir(parents=True)
        (root / "etc/lines").write_text(TEXT)
        (root / "etc/link").symlink_to("lines")
        return root

    def push_and_read_back(self, path, ref, repository):
        """The registry has exactly the layout's bytes, and skopeo makes a layout of them again that umoci can unpack."""
        layout = Layout(path)
        descriptor = layout.descriptor(ref)
        reference = f"docker://{self.registry.address}/{repository}:v1"
        self.assert_success(self.tug("copy", "--dest-tls-verify=false", f"oci:{path}:{ref}", reference))
        self.assert_stored(self.registry, repository, "v1", layout, descriptor)
        raw = self.skopeo("inspect", "--raw", "--tls-verify=false", reference).out
        self.assertEqual(raw.encode(), layout.read(descriptor))
        self.skopeo("copy", "--src-tls-verify=false", reference, f"oci:{self.temp}/back:v1")
        self.run_tool("umoci", "unpack", "--image", f"{self.temp}/back:v1", self.temp / "bundle")
        self.assertEqual((self.temp / "bundle/rootfs/etc/lines").read_text(), TEXT)
        self.assertTrue((self.temp / "bundle/rootfs/etc/link").is_symlink())

    def test_buildah(self):
        """buildah push to oci:."""
        buildah = ("buildah", "--storage-driver", "vfs", "--root", self.temp / "root", "--runroot", self.temp / "runroot")
        container = self.run_tool(*buildah, "from", "scratch")
        self.run_tool(*buildah, "copy", "-q", container, self.rootfs(), "/")
        self.run_tool(*buildah, "config", "--env", "A=B", "--cmd", "/bin/true", container)
        self.run_tool(*buildah, "commit", "-q", container, "localhost/made-by-buildah:1")
        self.run_tool(*buildah, "push", "-q", "localhost/made-by-buildah:1", f"oci:{self.temp}/layout:v1")
        self.push_and_read_back(self.temp / "layout", "v1", "buildah")

    def test_skopeo(self):
        """skopeo copy from a registry to oci:."""
        (self.temp / "source").mkdir()
        source = Layout(self.temp / "source")
        source.add(source.image([{"etc/": None, "etc/lines": TEXT.encode(), "etc/link": "lines"}]), ref="v1")
        there = f"docker://{self.registry.address}/for-skopeo:v1"
        self.skopeo("copy", "--dest-tls-verify=false", f"oci:{source.path}:v1", there)
        self.skopeo("copy", "--src-tls-verify=false", there, f"oci:{self.temp}/layout:v1")
        self.push_and_read_back(self.temp / "layout", "v1", "skopeo")

    def test_skopeo_index(self):
        """skopeo copy --all of an index."""
        self.skopeo("copy", "--all", f"oci:{FIXTURES}/multi:all", f"oci:{self.temp}/layout:v1")
        layout = Layout(self.temp / "layout")
        descriptor = layout.descriptor("v1")
        reference = f"docker://{self.registry.address}/skopeo-index:v1"
        self.assert_success(self.tug("copy", "--all", "--dest-tls-verify=false", f"oci:{layout.path}:v1", reference))
        self.assert_stored(self.registry, "skopeo-index", "v1", layout, descriptor)

    def test_umoci(self):
        """umoci init, new and insert."""
        image = f"{self.temp}/layout:v1"
        self.run_tool("umoci", "init", "--layout", self.temp / "layout")
        self.run_tool("umoci", "new", "--image", image)
        self.run_tool("umoci", "insert", "--image", image, self.rootfs() / "etc", "/etc")
        self.push_and_read_back(self.temp / "layout", "v1", "umoci")


if __name__ == "__main__":
    case.main()
