"""The .tar.gz of the static program: it is unpacked somewhere and runs there."""

import pathlib
import platform
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import case  # noqa: E402
from support.case import SystemTest  # noqa: E402
from support.packages import make_packages  # noqa: E402


class Archive(SystemTest):
    def test_it_has_the_program_its_manual_pages_and_completions(self):
        packages = make_packages(self.temp / "packages")
        self.assertEqual(set(packages), {"tug"})
        version = self.assert_success(self.tug("--version")).out
        name = f"tug-{version.split()[2]}-linux-{platform.machine()}"
        self.assertEqual(packages["tug"].name, f"{name}.tar.gz")
        subprocess.run(["tar", "-C", self.temp, "-xf", packages["tug"]], check=True)
        top = self.temp / name
        self.assertEqual(sorted(path.name for path in top.iterdir()), ["bin", "share"])
        self.assertEqual((top / "bin/tug").read_bytes(), pathlib.Path(case.TUG).read_bytes())
        self.assertEqual(self.assert_success(self.tug("--version", program=top / "bin/tug")).out, version)
        for path in ("man/man1/tug.1", "man/man1/tug-copy.1", "bash-completion/completions/tug", "fish/vendor_completions.d/tug.fish",
                     "zsh/site-functions/_tug", "doc/tug/README.md", "doc/tug/CHANGELOG.md"):
            self.assertTrue((top / "share" / path).stat().st_size > 0, path)
        # The libraries that are in the file ask for that.
        self.assertIn("==== libssl-dev", (top / "share/doc/tug/copyright").read_text())


if __name__ == "__main__":
    case.main()
