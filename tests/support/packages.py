"""What cpack makes of the build under test (ctest says where it is)."""

import os
import pathlib
import re
import subprocess

BUILD = pathlib.Path(os.environ.get("TUG_BUILD", "."))
CXX = os.environ.get("TUG_CXX", "c++")
CONSUMER = pathlib.Path(__file__).resolve().parents[1] / "package" / "consumer"


def make_packages(directory):
    """{name without version and architecture: file}"""
    done = subprocess.run(["cpack", "-B", directory], cwd=BUILD, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False)
    assert done.returncode == 0, done.stdout
    return {re.split("[-_][0-9]", file.name)[0]: file for file in directory.iterdir() if file.is_file()}


def deb_field(deb, name):
    return subprocess.run(["dpkg-deb", "--field", deb, name], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def pkg_config_command(prefix, program):
    """Compiles the consumer with what tug.pc below `prefix` says. Without its plugin the linker sees what a release (LTO) has for those
    who do not know this compiler's intermediate code."""
    [pc] = prefix.glob("lib/**/tug.pc")
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "tug"], env={**os.environ, "PKG_CONFIG_PATH": str(pc.parent)},
                           stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    return [CXX, "-std=c++20", "-fno-use-linker-plugin", CONSUMER / "push.cc", "-o", program, *flags]
