"""Manual pages and completions: every flag that --help shows is in them, and the tools that read them find no fault."""

import pathlib
import re
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import case  # noqa: E402
from support.case import SystemTest  # noqa: E402

FLAG = re.compile(r"^  (?:-(\w), |    )--([\w.-]+)", re.MULTILINE)

# What readline does for a completion function: the line and where the cursor is. $1 is the script, $2 the line; a reply per line.
COMPLETE = r"""
source "$1" || exit 3
COMP_LINE=$2 COMP_POINT=${#2}
${3:-_tug} || exit 4
for reply in "${COMPREPLY[@]}"; do printf '%s\n' "$reply"; done
"""


@case.tug_only
class Help(SystemTest):
    def setUp(self):
        super().setUp()
        self.share = self.temp / "share"
        self.assert_success(self.tug("generate-docs", self.share))
        self.verbs = re.findall(r"^  ([\w-]+) {2,}\S", self.help().partition("Verbs:\n")[2].partition("\n\n")[0], re.MULTILINE)
        self.assertLessEqual({"copy", "inspect", "login", "logout", "step", "completion"}, set(self.verbs))

    def help(self, *verb):
        return self.assert_success(self.tug(*verb, "--help")).out

    def flags(self, *verb):
        """[(short name or "", long name)], as --help has them."""
        flags = FLAG.findall(self.help(*verb))
        self.assertIn(("h", "help"), flags)
        return flags

    def page(self, *verb):
        return self.share / "man/man1" / ("-".join(("tug", *verb)) + ".1")

    def run_tool(self, *command, **settings):
        return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60,
                              env={**self.environment, **settings}, cwd=self.temp)

    # ---- what is there

    def test_files(self):
        """Below DIR they are as below /usr/share; a verb that is not shown has no page."""
        found = sorted(str(path.relative_to(self.share)) for path in self.share.rglob("*") if path.is_file())
        pages = ["tug.1"] + [f"tug-{verb}.1" for verb in self.verbs]
        self.assertEqual(found, sorted(["bash-completion/completions/tug", "fish/vendor_completions.d/tug.fish", "zsh/site-functions/_tug"]
                                       + [f"man/man1/{page}" for page in pages]))
        self.assertNotIn("generate-docs", self.help() + self.page().read_text())
        for shell, path in (("bash", "bash-completion/completions/tug"), ("zsh", "zsh/site-functions/_tug"), ("fish", "fish/vendor_completions.d/tug.fish")):
            self.assertEqual(self.assert_success(self.tug("completion", shell)).out, (self.share / path).read_text())
        self.assert_failure(self.tug("completion", "csh"), text="csh.*bash, zsh and fish")

    def test_every_flag_is_in_its_page(self):
        """As a heading of its own, short name and all; each page names the others."""
        for verb in ([], *([verb] for verb in self.verbs)):
            page = self.page(*verb).read_text().replace("\\-", "-").replace("\\fB", "").replace("\\fI", "").replace("\\fR", "")
            headings = set(re.findall(r"^\.TP\n(.*)", page, re.MULTILINE))
            names = {re.split(r"[ \[]", heading.partition(", ")[2] or heading)[0]: heading for heading in headings if heading.startswith("-")}
            self.assertEqual(set(names), {f"--{name}" for _, name in self.flags(*verb)})
            for short, name in self.flags(*verb):
                self.assertEqual(names[f"--{name}"].startswith(f"-{short}, "), bool(short), names[f"--{name}"])
        for verb in self.verbs:
            self.assertIn(f"tug-{verb}(1)", self.page().read_text().replace("\\-", "-").replace("\\fR", ""))

    def test_every_flag_is_in_the_completions(self):
        """And so is every verb."""
        zsh = (self.share / "zsh/site-functions/_tug").read_text()
        fish = (self.share / "fish/vendor_completions.d/tug.fish").read_text()
        self.assertEqual(self.complete(""), sorted(self.verbs + ["help"]))
        for verb in ([], *([verb] for verb in self.verbs)):
            flags = self.flags(*verb)
            self.assertEqual(self.complete(" ".join((*verb, "--"))), sorted(f"--{name}" for _, name in flags))
            if verb:
                in_zsh = re.search(rf"^    {verb[0]}\)\n(.*?) ;;$", zsh, re.MULTILINE | re.DOTALL).group(1)
                in_fish = "\n".join(re.findall(rf"^.*__fish_seen_subcommand_from {verb[0]}'.*$", fish, re.MULTILINE))
            else:
                in_zsh = re.search(r"_arguments -C -s(.*)->argument", zsh, re.DOTALL).group(1)
                in_fish = "\n".join(re.findall(r"^.*__fish_use_subcommand.*$", fish, re.MULTILINE))
            for short, name in flags:
                self.assertRegex(in_zsh, rf"'(\([^)]*\)|\*)?--{re.escape(name)}[=\[]")
                self.assertRegex(in_fish, rf" -l {re.escape(name)}{f' -s {short}' if short else ''} ")

    # ---- what the readers say

    def test_groff(self):
        """Pages are ASCII, lines of text do not begin as requests, and groff and man have no warnings (where they are installed)."""
        known = {".TH", ".SH", ".SS", ".TP", ".PP", ".nf", ".fi", ".B", ".BR"}
        for page in sorted((self.share / "man/man1").iterdir()):
            text = page.read_text("ascii")
            self.assertTrue(text.startswith(".TH TUG"), text[:60])
            for line in text.splitlines():
                if line[:1] in (".", "'"):
                    self.assertIn(line.split()[0], known)
                self.assertNotRegex(line, r"[^\\]\\[^\-e&(f\[]")
            for tool in (["groff", "-man", "-ww", "-Tutf8", "-z"], ["man", "--warnings", "-l", "-Tutf8", "-Z"], ["mandoc", "-Tlint", "-Werror"]):
                if shutil.which(tool[0], path=self.environment["PATH"]):
                    result = self.run_tool(*tool, page, LC_ALL="C.UTF-8")
                    self.assertEqual((result.returncode, result.stderr), (0, ""), f"{tool} {page}")

    def test_syntax_of_the_scripts(self):
        """Each shell that is here can read its script."""
        for shell, path in (("bash", "bash-completion/completions/tug"), ("zsh", "zsh/site-functions/_tug"), ("fish", "fish/vendor_completions.d/tug.fish")):
            if shutil.which(shell, path=self.environment["PATH"]):
                result = self.run_tool(shell, "-n", self.share / path)
                self.assertEqual((result.returncode, result.stderr), (0, ""), shell)

    # ---- bash

    def complete(self, line, function="_tug", script=None):
        """The replies for `tug LINE`, sorted."""
        result = self.run_tool("bash", "--norc", "-c", COMPLETE, "bash", script or self.share / "bash-completion/completions/tug", f"tug {line}", function)
        self.assertEqual((result.returncode, result.stderr), (0, ""), line)
        return sorted(result.stdout.splitlines())

    def test_words_in_bash(self):
        """Verbs, flags, values, transports; wherever the flags stand."""
        for line, replies in (
                ("co", ["completion", "copy"]), ("cop", ["copy"]), ("x", []), ("--debug co", ["completion", "copy"]),
                ("--policy co co", ["completion", "copy"]), ("--dest-creds a:b ins", ["inspect"]), ("help co", ["completion", "copy"]),
                ("copy --dest-c", ["--dest-cert-dir", "--dest-compress", "--dest-compress-format", "--dest-compress-level", "--dest-creds"]),
                ("copy oci", ["oci:"]), ("copy c", ["containers-storage:"]), ("copy ", ["containers-storage:", "docker://", "oci:"]),
                ("copy oci:x ", ["docker://"]), ("copy oci:x docker:/", ["//"]), ("copy oci:x docker://y ", []),
                ("copy --all oci:x d", ["docker://"]), ("copy --digestfile f d", ["docker://"]), ("copy --src-tls-verify d", ["docker://"]),
                ("copy --format ", ["oci", "v2s2"]), ("copy -f o", ["oci"]), ("copy --format=", ["oci", "v2s2"]), ("copy --format=v", ["v2s2"]),
                ("copy --progress=p", ["plain"]), ("--progress=p", ["plain"]), ("copy --dest-tls-verify=f", ["false"]), ("copy --src-creds ", []),
                ("inspect --creds oci oci", ["oci:"]), ("completion ", ["bash", "fish", "zsh"]), ("completion b", ["bash"]),
                ("step -s ", ["push-container-image"]), ("frobnicate --", [])):
            with self.subTest(line=line):
                self.assertEqual(self.complete(line), replies)

    def test_files_in_bash(self):
        """Files and directories behind flags that take one, behind = and behind oci:, with spaces too."""
        for name in ("layout", "layer dir"):
            (self.temp / name / "deep").mkdir(parents=True)
        (self.temp / "lay.json").write_text("")
        for line, replies in (
                ("copy oci:la", ["layer dir", "layout"]), ("copy oci:layout/", ["layout/deep"]), ("inspect oci:./layo", ["./layout"]),
                ("copy --digestfile lay", ["lay.json", "layer dir", "layout"]), ("copy --digestfile=lay.", ["lay.json"]),
                ("copy --src-cert-dir lay", ["layer dir", "layout"]), ("copy --src-cert-dir=layo", ["layout"]),
                ("step -c lay.", ["lay.json"])):
            with self.subTest(line=line):
                self.assertEqual(self.complete(line), replies)

    def test_as_skopeo(self):
        """Under the name skopeo it completes skopeo."""
        (self.temp / "skopeo").symlink_to(case.TUG)
        script = self.temp / "script"
        script.write_text(self.assert_success(self.tug("completion", "bash", program=self.temp / "skopeo")).out)
        self.assertEqual(self.complete("cop", "_skopeo", script), ["copy"])
        self.assertTrue(script.read_text().endswith("\ncomplete -F _skopeo skopeo\n"))

    # ---- the build

    def test_the_build_made_them(self):
        """The files beside the program are those that it makes."""
        built = pathlib.Path(case.TUG).resolve().parent / "share"
        for path in (path for path in self.share.rglob("*") if path.is_file()):
            self.assertEqual((built / path.relative_to(self.share)).read_bytes(), path.read_bytes())


if __name__ == "__main__":
    case.main()
