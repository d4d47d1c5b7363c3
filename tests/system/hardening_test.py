"""What the hardening flags of a release (TUG_HARDEN) must have made of the program, as readelf shows it."""

import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import case  # noqa: E402
from support.case import SystemTest  # noqa: E402


class Hardening(SystemTest):
    def setUp(self):
        super().setUp()
        self.headers = self.readelf("--file-header", "--program-headers")
        self.dynamic = self.readelf("--dynamic")

    def readelf(self, *options):
        return self.assert_success(self.tug(*options, "--wide", case.TUG, program="readelf")).out

    def segments(self):
        """[(type, flags)]"""
        found = re.findall(r"^  ([A-Z_]+) +(?:0x[0-9a-f]+ +){5}([RWE ]{3}) ", self.headers, re.MULTILINE)
        self.assertIn(("LOAD", "R E"), found)
        return found

    def test_position_independent(self):
        """Its addresses are random: DYN, and for the dynamic loader PIE rather than a library."""
        self.assertRegex(self.headers, r"Type: +DYN ")
        self.assertRegex(self.dynamic, r"\(FLAGS_1\) .*\bPIE\b")

    def test_relocations_are_read_only(self):
        """Full RELRO: everything is bound before main, and then write-protected."""
        self.assertIn(("GNU_RELRO", "R  "), self.segments())
        self.assertRegex(self.dynamic, r"\(FLAGS\) .*\bBIND_NOW\b")
        self.assertRegex(self.dynamic, r"\(FLAGS_1\) .*\bNOW\b")

    def test_nothing_is_writable_and_executable(self):
        """The stack included; and nothing in the code is patched when it is loaded."""
        self.assertEqual([each for each in self.segments() if "W" in each[1] and "E" in each[1]], [])
        self.assertIn(("GNU_STACK", "RW "), self.segments())
        self.assertNotIn("TEXTREL", self.dynamic)

    def test_libraries_come_from_the_system_only(self):
        self.assertNotRegex(self.dynamic, "RPATH|RUNPATH")

    def test_stacks_are_protected(self):
        self.assert_uses("__stack_chk_fail", "stack smashing detected")

    def test_sizes_are_checked(self):
        """_FORTIFY_SOURCE: functions of libc that know the size of what they write to."""
        self.assert_uses(r"__\w+_chk", "buffer overflow detected")

    def assert_uses(self, function, words):
        """A static program has no names of functions any more, but what glibc says when that one ends it."""
        if "INTERP" not in self.headers:
            found = words.encode() in pathlib.Path(case.TUG).read_bytes()
        else:
            found = re.search(rf" UND {function}@", self.readelf("--dyn-syms"))
        self.assertTrue(found, f"there is no {function}")


if __name__ == "__main__":
    case.main()
