"""Compares step/yaml and step/yaml_writer with PyYAML: yaml_test.py DRIVER

Typing: the same document gives the same types and values as yaml.safe_load (step-contract 1.3).
Writing: the same value gives the same bytes as yaml.dump(value, indent=4) (6.3).
"""

import datetime
import json
import random
import subprocess
import sys
import unittest

import yaml

DRIVER = None

# Every scalar that YAML 1.1 treats specially, and its neighbours that it does not.
SCALARS = """
yes Yes YES yEs no No NO on On ON off Off OFF oN y Y n N true True TRUE tRUE false False FALSE
null Null NULL nULL ~ ~~ 0 00 07 010 08 09 0o7 0_7 0_ 1_000 1__0 _1 1_ +1 -1 -0 +0 ++1 - -- + -010 +010
0x1F 0X1F -0x1f 0x 0x_ 0xg 0b101 -0b1 0b2 0B1 1.10 1.1 1. .5 .5e3 .5e+3 -.5 +.5 -0.0 1.5e3 1.5e+3 1.5E-3 1e3
1e+3 1.e+3 1_0.5_0 _.5 ._5 1.2.3 1.0-69442c8 1.0.0 0.1 00.1 08.5 100000000000000000.0 1.0e+15 1.0e+16 1.0e+17
1.0e-4 1.0e-5 123456789.123456789 1.0e+400 -1.0e+400 1.0e-400 0.1e+1 5.0e-324 1.7976931348623157e+308
.inf .Inf .INF .iNF -.inf +.INF inf .nan .NaN .NAN .Nan -.nan nan
22:30 1:30 01:30 190:20:30 1:60 1:5 1:05:5 -1:30 +1:30 1:30.5 1:30:5.25 0:30 0:30.5 1_0:30 10:3a 12:30:45 1:2:3:4
1234567 0123456 12345678901234567890 123456789012345678901234567890 0xffffffffffffffffffff 0777777777777777777777777
3f2a9c1 1234e567 12e4 69442c8 6944208 v1.2 latest sha256:abc http://x docker://x a:b a#b -a ?a :a
2024-01-02 2024-1-2 2024-01-2 2024-01-02T03:04:05Z 2024-1-2T3:04:05 2024-01-02T03:04:05.678+01:00 20240102
2024-01-02-x 024-01-02 2024-01-02T03:04 1-2-3 2001-12-14t21:59:43.10-05:00 ENC[abc] a=b = == << <<< < > % a% @a"""

DOCUMENTS = [
    "", "# nothing\n", "---\n", "a: b\n", "{}", "[]", "a: {}\nb: []\n", "a:\nb: ~\n", "a: 'it''s'\n",
    "a: '1.10'\nb: \"1.10\"\nc: !!str 1.10\nd: !!int '7'\ne: !!float 3\nf: !!bool 'yes'\ng: !!null x\n",
    "a: |\n  x\n  y\nb: >\n  x\n  y\n\n  z\nc: |-\n  x\nd: |+\n  x\n\n",
    "a: &x {b: 1}\nc: *x\nd: [*x, *x]\n",
    "d: &d {a: 1, b: 2}\ne:\n  <<: *d\n  b: 3\n  c: 4\n",
    "d: &d {a: 1, b: 2}\ne: &e {b: 5, z: 6}\nf:\n  q: 0\n  <<: [*d, *e]\n  a: 9\n",
    "d: &d {a: 1}\ne: &e {a: 2}\nf:\n  <<: *d\n  <<: *e\n", "a: {<<: {b: 1, c: 2}, c: 3}\n", "'<<': 3\n",
    "a: 1\na: 2\nb: 3\na: [4]\n", "1: a\ntrue: b\n1.0: c\n", "yes: a\n010: b\n~: c\n1.50: d\n",
    "? a\n? b\n", "? a\n: b\n", "? |\n  x\n: y\n", "- a\n- - b\n  - c\n- d: e\n  f: g\n",
    "a: b\\n\nc: \"b\\n\\t\\x41\\u00e9\\U0001F600\\/\"\n", "a: é😀\n", '{"a": 1, "b": [true, null, 1.50, 1e3, -0]}',
    '{"a": "b\\u00e9\\/", "a": 2}', "a: b # c\n", "%YAML 1.1\n---\na: 1\n...\n", "\ufeffa: 1\n", "a: x\ty\n",
    "a: - b\n", "a: b: c\n", "{a: [1, 2}", "a: *nope\n", "a: &x 1\nb: &x 2\n", "--- 1\n--- 2\n", "? [a]\n: b\n",
    "<<: 3\n", "a: !foo b\n", "a: !!int x\n", "a: @b\n", "a: `b\n", "a: \x01\n", "x: y\n z: w\n", "a: 'b\n",
    "a: \"b\\q\"\n", "a: [b\n", "a: b]\n", "- a\nb: c\n", "a: 0b_\n", "key: [a, b, {c: d}]\n", "a: ! b\n", 'a: "\\N\\_\\L\\P\\xe9"\n', "a: 'b\nc: d\n", "a: \"b\nc: d\n", "a: 'b", "a: \"b", "a: {b: 'c}\n",
    "a: x y  z\n   w\n", "a:\n- b\n- c\n", "a:\n  - b\n", "'': x\n", "a: ''\n", "a: >-\n  " + "word " * 40 + "\n",
]

WORDS = ["a", "1.1", "yes", "word", "a longer word", "it's", 'say "so"', "x: y", "# c", "é", "tab\t", "\\", "-", "'",
         "line\nbreak", " lead", "trail ", "  ", "\n", "", "😀", "null", "%", "{", "a#b", "\x1b[0m", "\u2028", "\x85"]


def typed(value):
    name = type(value).__name__
    if isinstance(value, dict):
        return ["dict", [[typed(key), typed(content)] for key, content in value.items()]]
    if isinstance(value, list):
        return ["list", [typed(item) for item in value]]
    if isinstance(value, (datetime.date, datetime.datetime)):
        return ["date"]
    return [name, str(value)]


def ask(mode, documents):
    done = subprocess.run([DRIVER, mode], input="\0".join(documents) + "\0", encoding="utf-8",
                          stdout=subprocess.PIPE, check=True)
    answers = done.stdout.split("\0")[:-1]
    assert len(answers) == len(documents), (len(answers), len(documents))
    return answers


def expected_types(document):
    if document.startswith(("{", "[")):
        try:
            return typed(json.loads(document))
        except ValueError:
            pass
    try:
        return typed(yaml.safe_load(document))
    except Exception:  # PyYAML raises ValueError and KeyError as well
        return None


def random_value(rng, depth=0):
    kind = rng.randrange(10)
    if depth < 4 and kind == 0:
        return [random_value(rng, depth + 1) for _ in range(rng.randrange(4))]
    if depth < 4 and kind in (1, 2):
        return {random_text(rng)[:200]: random_value(rng, depth + 1) for _ in range(rng.randrange(4))}
    if kind == 3:
        return rng.choice([0, 7, -12, 10**30, True, False, None, 1.1, 1e17, 1e-7, -0.0, 2.0])
    return random_text(rng)


def random_text(rng):
    separator = rng.choice(["", " ", " ", "  ", "\n", "'"])
    return separator.join(rng.choice(WORDS) for _ in range(rng.choice([0, 1, 1, 1, 2, 3, 30])))


class Typing(unittest.TestCase):
    def test_scalars(self):
        for template in ("%s\n", "k: %s\n", "- %s\n", "k: '%s'\n", "%s: v\n", "k: {x: %s}\n"):
            documents = [template % scalar for scalar in SCALARS.split()]
            self.compare(documents)

    def test_documents(self):
        self.compare(DOCUMENTS)

    # What we read although PyYAML refuses it: `=` and `<<` as values, for which safe-loading has no
    # constructor, are text; the others are spots in which yaml-cpp's scanner is more patient.
    LENIENT = {template % scalar for scalar in ("=", "<<") for template in ("%s\n", "k: %s\n", "- %s\n", "k: {x: %s}\n", "%s: v\n")}
    LENIENT |= {"%\n", "%: v\n", "k: {x: :a}\n", "a: x\ty\n"}

    def compare(self, documents):
        for document, answer in zip(documents, ask("types", documents)):
            with self.subTest(document=document, answer=answer):
                if document in self.LENIENT:
                    continue
                expected = expected_types(document)
                if expected is None:
                    self.assertTrue(answer.startswith("!"))
                else:
                    self.assertFalse(answer.startswith("!"))
                    self.assertEqual(json.loads(answer), expected)


class Writing(unittest.TestCase):
    def test_random_values(self):
        rng = random.Random(1)
        self.compare([{"v": random_value(rng)} for _ in range(3000)])

    def test_results_file(self):
        self.compare([{"step-runner-results": {"push-container-image": {"Skopeo": {
            "artifacts": [{"description": "d", "name": "n", "value": value}], "evidence": [], "success": False,
            "message": "Error pushing container image (localhost/org/app:1)  to tag (r/o/a:1) using skopeo: " + "x " * 60,
            "sub-step-implementer-name": "Skopeo"}}}} for value in (1.1, "1.10", "1.0-69442c8", "v1", 7, True)])

    def test_infinities(self):
        self.assertEqual(ask("rewrite", ["a: .inf\nb: -.INF\nc: .NaN\n"]), ["a: .inf\nb: -.inf\nc: .nan\n"])

    def compare(self, values):
        documents = [json.dumps(value) for value in values]
        for value, answer in zip(values, ask("rewrite", documents)):
            with self.subTest(value=value):
                self.assertEqual(answer, yaml.dump(value, indent=4))


if __name__ == "__main__":
    DRIVER = sys.argv.pop(1)
    unittest.main()
