"""tug step: what settings come to, what is pushed and recorded, and how it fails; against real registries, read back by Debian's tools.

The section numbers are those of the step's contract: 1 settings, 2 command line and files, 3 which value wins, 4 registries and the auth
file, 5 the copy and the digest, 6 results.
"""

import base64
import collections
import hashlib
import json
import os
import pathlib
import re
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import textwrap

import yaml  # Debian's python3-yaml: whatever tug writes is read by somebody else

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import case  # noqa: E402
from support.case import FIXTURES, SystemTest, fixture  # noqa: E402
from support.layouts import Layout, digest_of  # noqa: E402
from support.pki import Pki  # noqa: E402
from support.proxy import PausingProxy  # noqa: E402
from support.registry import Registry  # noqa: E402
from support.stores import Store  # noqa: E402

STEP = "push-container-image"
WORKING = "step-runner-working"
HELLO = f"oci:{FIXTURES}/hello:1.0"
# A password of this process alone: whatever a run prints or records is searched for it.
USER, PASSWORD = "alice", f"pa:ss wörd {secrets.token_hex(4)}"
WRONG = f"not-the-password-{secrets.token_hex(4)}"

KEYS_BEFORE_PUSH = ["container-image-push-registry", "container-image-push-repository", "container-image-push-tag",
                    "container-image-address-by-tag", "container-image-short-address-by-tag"]
KEYS_AFTER_PUSH = ["container-image-push-digest", "container-image-address-by-digest", "container-image-short-address-by-digest"]
# 6.1, word for word.
DESCRIPTIONS = {
    "container-image-push-registry": "Container image registry container image was pushed to.",
    "container-image-push-repository": "Container image repository container image was pushed to.",
    "container-image-push-tag": "Container image tag container image was pushed to.",
    "container-image-address-by-tag": "Pushed container image address by tag.",
    "container-image-short-address-by-tag": "Pushed container image short address (no registry) by tag.",
    "container-image-push-digest": "Container image digest container image was pushed to.",
    "container-image-address-by-digest": "Pushed container image address by digest.",
    "container-image-short-address-by-digest": "Pushed container image short address (no registry) by digest.",
}
MISSING = "Missing required step configuration or previous step result artifact keys: "


def config_file(settings="", *, top="", entry=""):
    """psr.yaml with one sub-step: `settings` are lines of its config, `entry` other lines of it, `top` lines of the top level."""
    def indented(text, by):
        return textwrap.indent(textwrap.dedent(text).strip("\n"), " " * by)
    return (f"step-runner-config:\n{indented(top, 2)}\n  {STEP}:\n  - implementer: Skopeo\n{indented(entry, 4)}\n"
            f"    config:\n{indented(settings, 6) or '      {}'}\n")


def basic(user=USER, password=PASSWORD):
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def snapshot(directory):
    """{path: (mode, content)} of everything below it."""
    found = {}
    for path in sorted(directory.rglob("*")):
        status = path.lstat()
        found[str(path.relative_to(directory))] = (status.st_mode, path.read_bytes() if stat.S_ISREG(status.st_mode) else None)
    return found


class StepTest(SystemTest):
    def setUp(self):
        super().setUp()
        self.work = self.temp / "work"
        self.work.mkdir()

    def step(self, *arguments, cwd=None, **options):
        """The machine's blob info cache is left alone: what one test sends must not depend on what another did."""
        result = self.tug("step", "-s", STEP, "--no-cache", "--retry-times=0", *arguments, cwd=cwd or self.work, **options)
        self.assert_no_secret(result)
        return result

    def write(self, text, name="psr.yaml"):
        path = self.work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    @property
    def results_file(self):
        return self.work / WORKING / "step-runner-results.yml"

    def results(self):
        """Both files, which must say the same."""
        document = yaml.safe_load(self.results_file.read_text())
        self.assertEqual(json.loads((self.work / WORKING / "step-runner-results.json").read_text()), document)
        self.assertEqual(list(document), ["step-runner-results"])
        return document["step-runner-results"]

    def result(self, sub_step="Skopeo", environment=None):
        results = self.results()
        return (results[environment] if environment else results)[STEP][sub_step]

    @staticmethod
    def artifacts(result):
        return {artifact["name"]: artifact["value"] for artifact in result["artifacts"]}

    def secrets(self):
        return [PASSWORD, WRONG, basic(), basic(password=WRONG), base64.b64encode(PASSWORD.encode()).decode()]

    def assert_no_secret(self, result, *more):
        """Neither in what is said nor in any file but configuration and auth files."""
        texts = {"stdout": result.out, "stderr": result.err}
        for path in self.work.rglob("*"):
            if path.is_file() and os.access(path, os.R_OK) and WORKING in path.parts and path.name != "container-auth.json":
                texts[str(path)] = path.read_text(errors="replace")
        for name, text in texts.items():
            for secret in (*self.secrets(), *more):
                self.assertNotIn(secret, text, name)

    def assert_status(self, result, status, text="", *, closing=True):
        """The exit status, the closing line of 2.2 as the last of stderr, and `text` (a pattern) in what is said."""
        self.assertEqual(result.code, status, str(result))
        line = {44: f"Fatal error calling step \\({STEP}\\): .+", 101: "specified -c/--config must exist and not be empty: .+",
                102: "specified -c/--config is invalid configuration: .+", 200: f"Step {STEP} not successful"}.get(status)
        if line and closing:
            self.assertRegex(result.err.splitlines()[-1], f"\\A{line}\\Z", str(result))
        self.assertNotIn("Traceback", result.err)
        if text:
            self.assertRegex(result.out + result.err, text, str(result))
        return result


# ---- 1 to 4: effective values ---------------------------------------------------------------------------------------------------

# What every case of the table has unless it says otherwise.
COMPLETE = """
container-image-pull-address: localhost/o/a:1
container-image-push-registry: reg.invalid
container-image-push-repository: o/a
"""
REFUSED = 200, "invalid reference format"

# `config`: the sub-step's settings, over COMPLETE; `files`: {name: text} in place of that. `expected`: members of the JSON object (a
# list for more than one sub-step), or (status, pattern). `warning`: a pattern for stderr; None: nothing may be said there.
Case = collections.namedtuple("Case", "title config expected arguments files warning", defaults=((), None, ""))


def settings_over_complete(config):
    """One mapping as text: a key of `config` takes the place of COMPLETE's."""
    given = {line.partition(":")[0].strip("'\" ") for line in config.splitlines() if line and line[0] not in " -}"}
    kept = [line for line in COMPLETE.strip().splitlines() if line.partition(":")[0] not in given]
    return "\n".join(kept + [config])


def whole(body):
    """A configuration file from the text below step-runner-config."""
    return "step-runner-config:\n" + textwrap.indent(textwrap.dedent(body).strip("\n"), "  ") + "\n"


def results_of(*results):
    """The results file of earlier steps: (environment or None, step, {artifact: value})."""
    tree = {}
    for environment, step, artifacts in results:
        at = tree.setdefault(environment, {}) if environment else tree
        at.setdefault(step, {})["Sub"] = {
            "sub-step-implementer-name": "Sub", "success": True, "message": "", "evidence": [],
            "artifacts": [{"name": name, "value": value, "description": ""} for name, value in artifacts.items()]}
    return yaml.safe_dump({"step-runner-results": tree}, indent=4)


def with_results(*results, config=COMPLETE, **more):
    return {"psr.yaml": config_file(config, **more), f"{WORKING}/step-runner-results.yml": results_of(*results)}


PUSH_KEYS = "container-image-push-registry: reg.invalid\ncontainer-image-push-repository: o/a\n"
LADDER = """
    global-defaults: {container-image-push-tag: from-5, dest-tls-verify: 'no'}
    global-environment-defaults:
      DEV: {container-image-push-tag: from-4}
      PROD: {container-image-push-tag: never}
    push-container-image:
      implementer: Skopeo
      config: {container-image-pull-address: x, container-image-push-registry: r.invalid, container-image-push-repository: o/a%s}
      environment-config: {DEV: {src-tls-verify: 'off'%s}, PROD: {container-image-push-tag: never}}
"""
LOGIN = {"registry": "reg.invalid", "username": "u", "tls-verify": True}


def registries_case(title, registries, expected, **more):
    return Case(title, f"container-registries:\n{textwrap.indent(textwrap.dedent(registries).strip(chr(10)), '  ')}\n"
                + more.pop("config", ""), expected, **more)


TABLE = [
    # 1: each row, each alias, each default
    Case("1 defaults", "", {"source": "containers-storage:localhost/o/a:1", "destination": "docker://reg.invalid/o/a:latest", "tag": "latest",
                            "authfile": f"{WORKING}/{STEP}/container-auth.json", "src-tls-verify": True, "dest-tls-verify": True,
                            "logins": [], "artifacts": {"container-image-push-registry": "reg.invalid",
                                                        "container-image-push-repository": "o/a", "container-image-push-tag": "latest",
                                                        "container-image-address-by-tag": "reg.invalid/o/a:latest",
                                                        "container-image-short-address-by-tag": "o/a:latest"}}, warning=None),
    Case("1.1 source type", "container-image-pull-registry-type: 'oci:'\ncontainer-image-registry-type: 'docker://'\ncontainer-image-pull-address: /l",
         {"source": "oci:/l", "destination": "docker://reg.invalid/o/a:latest"}),
    Case("1.1 one alias for two things", "container-image-registry-type: 'oci:'\ncontainer-image-pull-address: /l",
         {"source": "oci:/l", "destination": "oci:reg.invalid/o/a:latest"}),
    Case("1.1 the source alone", "container-image-registry-type: 'oci:'\ncontainer-image-push-registry-type: 'docker://'\n"
         "container-image-pull-address: /l", {"source": "oci:/l", "destination": "docker://reg.invalid/o/a:latest"}),
    Case("1.2 source address", "container-image-pull-address: one\ncontainer-image-build-address: two", {"source": "containers-storage:one"}),
    Case("1.2 the built image", "", {"source": "containers-storage:two"},
         files={"psr.yaml": config_file(PUSH_KEYS + "container-image-build-address: two")}),
    Case("1.3 src-tls-verify", "src-tls-verify: false", {"src-tls-verify": False, "dest-tls-verify": True}),
    Case("1.3 source-tls-verify comes first", "source-tls-verify: 'no'\nsrc-tls-verify: true", {"src-tls-verify": False}),
    Case("1.3 the comma key has no effect", "'source-tls,verify': 'no'", {"src-tls-verify": True}, warning="source-tls,verify.*src-tls-verify"),
    Case("1.3 source-tls-verify is not what the check looks at", "source-tls-verify: true\nsrc-tls-verify: null",
         (200, re.escape(MISSING + "[['source-tls,verify', 'src-tls-verify']]"))),
    Case("1.3 the comma key passes the check, and is no value", "'source-tls,verify': true\nsrc-tls-verify: null", (200, "none")),
    Case("1.4 destination type", "container-image-push-registry-type: 'oci:'", {"destination": "oci:reg.invalid/o/a:latest"}),
    Case("1.5 registry", "container-image-push-registry: one.invalid:5000\ndestination-url: two.invalid",
         {"destination": "docker://one.invalid:5000/o/a:latest"}),
    Case("1.5 destination-url", "container-image-push-registry: null\ndestination-url: two.invalid", {"destination": "docker://two.invalid/o/a:latest"}),
    Case("1.5 what nothing reads", "container-image-registry: localhost\ndestination: x", {"destination": "docker://reg.invalid/o/a:latest"}),
    Case("1.6 repository", "container-image-push-repository: p/q\ncontainer-image-repository: r/s", {"destination": "docker://reg.invalid/p/q:latest"}),
    Case("1.6 the built image's", "container-image-push-repository:\ncontainer-image-repository: r/s", {"destination": "docker://reg.invalid/r/s:latest"}),
    Case("1.7 push-tag", "container-image-version: v3\ncontainer-image-tag: v2\ncontainer-image-push-tag: v1", {"tag": "v1"}),
    Case("1.7 tag", "container-image-version: v3\ncontainer-image-tag: v2", {"tag": "v2"}),
    Case("1.7 version", "container-image-version: v3", {"tag": "v3"}),
    Case("1.8 dest-tls-verify", "dest-tls-verify: false", {"dest-tls-verify": False, "src-tls-verify": True}),
    Case("1.9 auth file", "containers-config-auth-file: conf/auth.json", {"authfile": "conf/auth.json"}),
    Case("1.11 additional artifacts", "additional-artifacts:\n- {name: n, value: 7}\n- /tmp/reports/all.xml\n",
         {"artifacts": {"container-image-push-registry": "reg.invalid", "container-image-push-repository": "o/a", "container-image-push-tag": "latest",
                        "container-image-address-by-tag": "reg.invalid/o/a:latest", "container-image-short-address-by-tag": "o/a:latest",
                        "n": 7, "all.xml": "/tmp/reports/all.xml"}}),
    Case("1.11 anything but a list is ignored", "additional-artifacts: text", {"tag": "latest"}),
    Case("1 a slash at the end of the registry", "container-image-push-registry: reg.invalid/", REFUSED),
    Case("1 a transport in the registry", "container-image-push-registry: 'docker://reg.invalid'", REFUSED),
    Case("1 upper case in the repository", "container-image-push-repository: O/A", REFUSED),

    # 1.1, 1.3: scalars as Python prints them, types as YAML 1.1 has them
    *(Case(f"1.3 {written}", f"container-image-push-tag: {written}", {"tag": tag}, warning=warning)
      for written, tag, warning in (
          ("1.10", "1.1", "container-image-push-tag.*1.10.*1.1.*quote"), ("yes", "True", "quote"), ("off", "False", "quote"), ("7", "7", "quote"),
          ("010", "8", "quote"), ("0x1F", "31", "quote"), ("1_000", "1000", "quote"), ("22:30", "1350", "quote"), ("1e3", "1e3", None),
          ("1.2.3", "1.2.3", None), ("1.0-69442c8", "1.0-69442c8", None), ("'1.10'", "1.10", None), ("'yes'", "yes", None),
          ("\"2024-01-02\"", "2024-01-02", None))),
    *(Case(f"1.4 null written {written!r}", f"container-image-push-tag: {written}",
           (200, re.escape(MISSING + "[['container-image-push-tag', 'container-image-tag', 'container-image-version']]")))
      for written in ("", "~", "null")),
    Case("1.3 a date", "unused: 2024-01-02", (44, "unused.*date|date.*unused")),
    Case("1.3 the type stays in the artifact", "container-image-push-tag: 1.10",
         {"artifacts": {"container-image-push-registry": "reg.invalid", "container-image-push-repository": "o/a", "container-image-push-tag": 1.1,
                        "container-image-address-by-tag": "reg.invalid/o/a:1.1", "container-image-short-address-by-tag": "o/a:1.1"}}),

    # 1.2: booleans
    *(Case(f"1.2 {text!r} is true", f"dest-tls-verify: '{text}'", {"dest-tls-verify": True}) for text in ("y", "Yes", "t", "TRUE", "on", "1")),
    *(Case(f"1.2 {text!r} is false", f"src-tls-verify: '{text}'", {"src-tls-verify": False}) for text in ("n", "No", "f", "FALSE", "off", "0")),
    *(Case(f"1.2 {text!r} is neither for {key}", f"{key}: '{text}'", (44, f"invalid truth value.*{key}"))
      for key in ("dest-tls-verify", "src-tls-verify") for text in ("", " false", "2", "maybe")),
    Case("1.2 integer 0", "dest-tls-verify: 0", {"dest-tls-verify": False}),
    Case("1.2 integer 1", "dest-tls-verify: 1", {"dest-tls-verify": True}),
    Case("1.2 integer 2 is the copy's to refuse", "dest-tls-verify: 2", (200, "dest-tls-verify.*2|2.*dest-tls-verify")),
    Case("1.2 so is a list", "src-tls-verify: [false]", (200, "src-tls-verify")),
    Case("1.2 on the command line all is text", "", {"dest-tls-verify": False}, ("--step-config", "dest-tls-verify=OFF")),

    # 1.4: null, empty, missing
    Case("1.4 null hides the lower sources", "", (200, re.escape("[['container-image-push-registry', 'destination-url']]")),
         files={"psr.yaml": config_file(settings_over_complete("container-image-push-registry: null"),
                                        top="global-defaults: {container-image-push-registry: hidden.invalid}")}),
    Case("1.4 0 is present", "container-image-push-tag: 0", {"tag": "0"}),
    Case("1.4 false is present", "container-image-push-tag: false", {"tag": "False"}),
    *(Case(f"1.4 an empty {key}", f"{key}: ''", (44, f"{key} is empty"))
      for key in ("container-image-pull-address", "container-image-push-registry", "container-image-push-repository", "container-image-push-tag")),

    # 1.5: what is missing
    Case("1.5 nothing set", "", (200, re.escape(MISSING + "[['container-image-pull-address', 'container-image-build-address'], "
                                                "['container-image-push-registry', 'destination-url'], "
                                                "['container-image-push-repository', 'container-image-repository']]")),
         files={"psr.yaml": config_file()}),
    Case("1.5 everything null", "", (200, re.escape(
        MISSING + "[['container-image-pull-registry-type', 'container-image-registry-type'], "
        "['container-image-pull-address', 'container-image-build-address'], ['source-tls,verify', 'src-tls-verify'], "
        "['container-image-push-registry-type', 'container-image-registry-type'], ['container-image-push-registry', 'destination-url'], "
        "['container-image-push-repository', 'container-image-repository'], "
        "['container-image-push-tag', 'container-image-tag', 'container-image-version'], 'dest-tls-verify']")),
         files={"psr.yaml": config_file("container-image-pull-registry-type:\ncontainer-image-push-registry-type:\nsrc-tls-verify:\n"
                                        "dest-tls-verify:\ncontainer-image-push-tag:\n")}),

    # 2.1: the command line
    Case("2.1 the last -c wins", "", {"tag": "b"}, ("-c", "nowhere", "-c", "b.yaml"),
         {"psr.yaml": "not read", "b.yaml": config_file(COMPLETE + "container-image-push-tag: b")}),
    Case("2.1 several files after one -c", "", {"tag": "b"}, ("-c", "a.yaml", "b.yaml"),
         {"a.yaml": config_file(COMPLETE), "b.yaml": whole("global-defaults: {container-image-push-tag: b}")}),
    Case("2.1 --config=FILE", "", {"tag": "b"}, ("--config=b.yaml",), {"b.yaml": config_file(COMPLETE + "container-image-push-tag: b")}),
    Case("2.1 the last --step-config wins", "", {"tag": "latest", "dest-tls-verify": False},
         ("--step-config", "container-image-push-tag=v1", "--step-config", "dest-tls-verify=no")),
    Case("2.1 several after one --step-config", "", {"tag": "v1", "dest-tls-verify": False},
         ("--step-config", "container-image-push-tag=v1", "dest-tls-verify=no")),
    Case("2.1 the key is trimmed, the value is not", "", (200, "invalid reference format"), ("--step-config", " container-image-push-tag = v1 ")),
    Case("2.1 split at the first =", "", {"authfile": "a=b"}, ("--step-config", "containers-config-auth-file=a=b")),
    Case("2.1 quotes stay", "", {"authfile": '"f"'}, ("--step-config", 'containers-config-auth-file="f"')),
    Case("2.1 an item without =", "", (102, "KEY=VALUE"), ("--step-config", "container-image-push-tag")),
    Case("2.1 flags alone", "", {"source": "containers-storage:localhost/a", "destination": "docker://r.invalid/o/a:latest"},
         ("--step-config", "container-image-pull-address=localhost/a", "destination-url=r.invalid", "container-image-repository=o/a"), {}),
    Case("2.1 no file and no flags", "", (101, "psr.yaml"), (), {}),

    # 2.2, 2.3: files
    Case("2.2 a file that is not there", "", (101, "nowhere.yaml"), ("-c", "nowhere.yaml")),
    Case("2.2 an empty file", "", (101, "psr.yaml.*empty"), (), {"psr.yaml": ""}),
    Case("2.2 flags do not replace a file that was asked for", "", (101, "nowhere"), ("-c", "nowhere", "--step-config", "a=b")),
    Case("2.3 JSON, whatever the name", "", {"tag": "v1"}, ("-c", "conf.txt"), {"conf.txt": json.dumps({"step-runner-config": {STEP: {
        "implementer": "Skopeo", "config": {"container-image-pull-address": "x", "destination-url": "r.invalid", "container-image-repository": "o/a",
                                            "container-image-tag": "v1"}}}})}),
    Case("2.3 a directory, all of it but what begins with a dot", "", {"tag": "deep"}, ("-c", "conf"),
         {"conf/a": config_file(COMPLETE), "conf/b/c/d.json": '{"step-runner-config": {"global-defaults": {"container-image-push-tag": "deep"}}}',
          "conf/.hidden": "{", "conf/.git/config": "{"}),
    Case("2.3 a directory without files", "", (102, "conf.*no files"), ("-c", "conf"), {"conf/.hidden": "{}"}),
    Case("2.3 no top level key", "", (102, r"psr\.yaml.*step-runner-config"), (), {"psr.yaml": "a: b\n"}),
    Case("2.3 not YAML", "", (102, r"psr\.yaml"), (), {"psr.yaml": "a: [b\n"}),
    Case("2.3 the implementer by its dotted path", "", {"tag": "latest"},
         files={"psr.yaml": config_file(COMPLETE).replace("Skopeo", "ploigos_step_runner.step_implementers.push_container_image.Skopeo")}),
    Case("2.3 another implementer", "", (44, "Buildah"), files={"psr.yaml": config_file(COMPLETE).replace("Skopeo", "Buildah")}),
    Case("2.3 no implementer", "", (102, "implementer"), files={"psr.yaml": config_file(COMPLETE).replace("- implementer: Skopeo", "- name: x")}),
    Case("2.3 a step without configuration", "", (44, STEP), files={"psr.yaml": whole("deploy: {implementer: ArgoCD}")}),
    Case("2.3 a step that is text", "", (102, STEP), files={"psr.yaml": whole(f"{STEP}: Skopeo")}),
    Case("2.3 one mapping in place of a list", "", {"tag": "v1"}, files={"psr.yaml": whole(
        f"{STEP}:\n  implementer: Skopeo\n  config: {{container-image-pull-address: x, destination-url: r.invalid, "
        "container-image-repository: o/a, container-image-tag: v1}")}),
    Case("2.3 environment-name is not yours to set", "", (102, "environment-name"), ("-e", "DEV"),
         {"psr.yaml": config_file(COMPLETE, top="global-environment-defaults: {DEV: {environment-name: DEV}}")}),
    Case("2.3 continue-sub-steps-on-failure", "", (102, "continue-sub-steps-on-failure"),
         files={"psr.yaml": config_file(COMPLETE, entry="continue-sub-steps-on-failure: maybe")}),

    # 2.4: merging
    Case("2.4 equal values agree, as Python compares", "", {"dest-tls-verify": True}, ("-c", "a", "b"),
         {"a": whole("global-defaults: {x: {y: 1}}"), "b": config_file(COMPLETE, top="global-defaults: {x: {y: true, z: 2}}")}),
    Case("2.4 a conflict", "", (102, r"Conflict at x\.y"), ("-c", "a", "b"),
         {"a": whole("global-defaults: {x: {y: '0'}}"), "b": config_file(COMPLETE, top="global-defaults: {x: {y: 0}}")}),
    Case("2.4 lists are leaves", "", (102, "Conflict at x"), ("-c", "a", "b"),
         {"a": whole("global-defaults: {x: [1]}"), "b": config_file(COMPLETE, top="global-defaults: {x: [1, 2]}")}),
    Case("2.4 two without a name are one", "", [{"tag": "v1", "dest-tls-verify": False}], files={"psr.yaml": config_file(COMPLETE) +
         "  - {implementer: Skopeo, config: {container-image-push-tag: v1, dest-tls-verify: 'no'}}\n"}),
    Case("2.4 and conflict", "", (102, "Conflict at container-image-push-registry"), files={"psr.yaml": config_file(COMPLETE) +
         "  - {implementer: Skopeo, config: {container-image-push-registry: other.invalid}}\n"}),
    Case("2.4 two with names are two", "", [{"tag": "v1"}, {"tag": "v2"}], files={"psr.yaml": config_file(
        COMPLETE + "container-image-push-tag: v1", entry="name: one") +
        "  - {implementer: Skopeo, name: two, config: {container-image-pull-address: x, container-image-push-tag: v2}}\n"}),
    Case("2.4 one name, two implementers", "", (102, "one"), files={"psr.yaml": config_file(COMPLETE, entry="name: one") +
         "  - {implementer: x.Skopeo, name: one}\n"}),
    Case("2.4 one name, two ways to go on", "", (102, "continue-sub-steps-on-failure"), files={
        "psr.yaml": config_file(COMPLETE, entry="name: one\ncontinue-sub-steps-on-failure: yes") + "  - {implementer: Skopeo, name: one}\n"}),
    Case("2.4 the later of two equal keys", "container-image-push-tag: v1\ncontainer-image-push-tag: v2", {"tag": "v2"}),

    # 2.5: decryptors
    Case("2.5 obfuscation changes no value but what is shown", "", {"logins": [{**LOGIN, "username": "********"}]}, files={"psr.yaml": config_file(
        COMPLETE + "container-registries: {reg.invalid: {username: somebody, password: hidden}}",
        top="config-decryptors: [{implementer: ObfuscationDefaults}]")}),
    Case("2.5 nobody claims it", "container-image-push-tag: ENC[x]", REFUSED),
    Case("2.5 an unknown decryptor", "", (102, "Vault"), files={"psr.yaml": config_file(COMPLETE, top="config-decryptors: [{implementer: Vault}]")}),
    Case("2.5 sops that is not there", "", (44, "sops"), files={"psr.yaml": config_file(
        COMPLETE + "container-image-push-tag: ENC[x]", top="config-decryptors: [{implementer: SOPS}]")}),

    # 3.1: sources, strongest first; each rung alone with all below
    Case("3.1 --step-config", "", {"tag": "from-1"}, ("-e", "DEV", "--step-config", "container-image-push-tag=from-1"),
         {"psr.yaml": whole(LADDER % (", container-image-push-tag: from-3", ", container-image-push-tag: from-2"))}),
    Case("3.1 environment-config", "", {"tag": "from-2", "src-tls-verify": False}, ("-e", "DEV"),
         {"psr.yaml": whole(LADDER % (", container-image-push-tag: from-3", ", container-image-push-tag: from-2"))}),
    Case("3.1 config", "", {"tag": "from-3"}, ("-e", "DEV"), {"psr.yaml": whole(LADDER % (", container-image-push-tag: from-3", ""))}),
    Case("3.1 global-environment-defaults", "", {"tag": "from-4"}, ("-e", "DEV"), {"psr.yaml": whole(LADDER % ("", ""))}),
    Case("3.1 global-defaults", "", {"tag": "from-5", "dest-tls-verify": False, "src-tls-verify": True}, (), {"psr.yaml": whole(LADDER % ("", ""))}),
    Case("3.1 an environment that nobody knows", "", {"tag": "from-5", "authfile": f"{WORKING}/{STEP}/TEST/container-auth.json"},
         ("--environment", "TEST"), {"psr.yaml": whole(LADDER % ("", ""))}),
    Case("3.1 configuration beats artifacts", "", {"tag": "configured"}, (), with_results(
        (None, "create-container-image", {"container-image-push-tag": "artifact"}), config=COMPLETE, top="global-defaults: {container-image-push-tag: configured}")),
    Case("3.1 artifacts beat defaults", "", {"tag": "artifact"}, (), with_results(
        (None, "create-container-image", {"container-image-push-tag": "artifact"}))),
    Case("3.1 the combination is shallow", "container-registries: {}", {"logins": []}, files={"psr.yaml": config_file(
        COMPLETE + "container-registries: {}", top="global-defaults: {container-registries: {reg.invalid: {username: u, password: p}}}")}),

    # 3.2: aliases, in three passes
    Case("3.2 a configured alias beats an artifact of an earlier one", "", {"tag": "configured"}, (), with_results(
        (None, "create-container-image", {"container-image-push-tag": "artifact"}), top="global-defaults: {container-image-version: configured}")),
    Case("3.2 an artifact of a later alias beats the default of an earlier one", "", {"tag": "artifact"}, (), with_results(
        (None, "generate-metadata", {"container-image-version": "artifact"}))),
    Case("3.2 among configured ones order beats source", "", {"tag": "weak"}, ("--step-config", "container-image-tag=strong"),
         {"psr.yaml": config_file(COMPLETE, top="global-defaults: {container-image-push-tag: weak}")}),

    # 3.3: artifacts of earlier steps
    Case("3.3 a build's artifacts are all that a push needs", "", {"source": "containers-storage:localhost/o/a:7", "destination": "docker://r.invalid/o/a:7"}, (),
         with_results((None, "create-container-image", {"container-image-build-address": "localhost/o/a:7", "container-image-repository": "o/a",
                                                        "container-image-tag": "7", "container-image-registry": "localhost"}),
                      config="destination-url: r.invalid")),
    Case("3.3 the environment's own first", "", {"tag": "dev"}, ("-e", "DEV"), with_results(
        ("DEV", "create-container-image", {"container-image-tag": "dev"}), ("PROD", "create-container-image", {"container-image-tag": "prod"}))),
    Case("3.3 else any environment's", "", {"tag": "prod"}, ("-e", "DEV"), with_results(
        ("PROD", "create-container-image", {"container-image-tag": "prod"}))),
    Case("3.3 any environment's, alias by alias", "", {"tag": "prod"}, ("-e", "DEV"), with_results(
        ("DEV", "create-container-image", {"container-image-tag": "dev"}), ("PROD", "push-container-image", {"container-image-push-tag": "prod"}))),
    Case("3.3 without -e any environment's", "", {"tag": "prod"}, (), with_results(("PROD", "create-container-image", {"container-image-tag": "prod"}))),
    Case("3.3 two that differ: which one was taken is said", "", {"tag": "later"}, (), with_results(
        (None, "generate-metadata", {"container-image-tag": "earlier"}), (None, "create-container-image", {"container-image-tag": "later"})),
         warning="container-image-tag.*create-container-image.*generate-metadata"),
    Case("3.3 a null artifact is none", "", {"tag": "latest"}, (), with_results((None, "create-container-image", {"container-image-tag": None}))),

    # 4.1: the three shapes
    registries_case("4.1 the key is the registry", "reg.invalid: {username: u, password: p}", {"logins": [LOGIN]}),
    registries_case("4.1 uri wins over the key", "anything: {uri: reg.invalid, username: u, password: p}", {"logins": [LOGIN]}),
    registries_case("4.1 a list, in its order", "- {uri: reg.invalid, username: u, password: p}\n- {uri: 'https://b.invalid:5000/ns', username: v, password: p}",
                    {"logins": [LOGIN, {"registry": "b.invalid:5000/ns", "username": "v", "tls-verify": True}]}),
    registries_case("4.1 both mapping shapes at once", "reg.invalid: {username: u, password: p}\nx: {uri: b.invalid, username: v, password: p}",
                    {"logins": [LOGIN, {"registry": "b.invalid", "username": "v", "tls-verify": True}]}),
    *(Case(f"4.1 {text} is no login", f"container-registries: {text}", {"logins": []}) for text in ("", "{}", "[]")),
    registries_case("4.1 no username", "reg.invalid: {password: hidden}",
                    (200, r"Configuration for container registry \(reg\.invalid\) must specify a 'username': \{'password': '\*+'\}")),
    registries_case("4.1 no password", "reg.invalid: {username: u}", (200, r"Configuration for container registry \(reg\.invalid\) must specify a 'password'")),
    registries_case("4.1 no uri in a list", "- {}", (200, "Configuration for container registry must specify a 'uri'")),
    registries_case("4.1 no username in a list", "- {uri: reg.invalid}", (200, "Configuration for container registry must specify a 'username'")),
    registries_case("4.1 no password in a list", "- {uri: reg.invalid, username: u}", (200, "Configuration for container registry must specify a 'password'")),
    Case("4.1 text", "container-registries: reg.invalid", (200, "container-registries.*neither a mapping nor a list")),
    registries_case("4.1 an empty password", "reg.invalid: {username: u, password: ''}", (200, r"password.*is empty")),
    registries_case("4.1 an empty username", "reg.invalid: {username: '', password: p}", (200, r"username.*is empty")),
    registries_case("4.1 an empty uri", "- {uri: '', username: u, password: p}", (200, r"uri.*is empty")),

    # 4.2: TLS at the login
    registries_case("4.2 destination false", "reg.invalid: {username: u, password: p, tls-verify: true}", {"logins": [{**LOGIN, "tls-verify": False}]},
                    config="dest-tls-verify: false\n"),
    registries_case("4.2 destination true, the entry's own", "reg.invalid: {username: u, password: p, tls-verify: 'False'}",
                    {"logins": [{**LOGIN, "tls-verify": False}], "dest-tls-verify": True}),
    registries_case("4.2 'no' is none of the login's words", "reg.invalid: {username: u, password: p, tls-verify: 'no'}", (44, "tls-verify.*'no'")),
    registries_case("4.2 an integer by its truth", "reg.invalid: {username: u, password: p}", {"logins": [{**LOGIN, "tls-verify": False}]},
                    config="dest-tls-verify: 0\n"),
    registries_case("4.2 the source's setting is not the login's", "reg.invalid: {username: u, password: p}", {"logins": [LOGIN]},
                    config="src-tls-verify: false\n"),

    # 4.3, 4.4
    Case("4.3 with an environment", "", {"authfile": f"{WORKING}/{STEP}/DEV/container-auth.json"}, ("-e", "DEV")),
    registries_case("4.4 a password that is a number", "reg.invalid: {username: 7, password: 0123}", {"logins": [{**LOGIN, "username": "7"}]},
                    warning="password.*number.*quote"),
    registries_case("4.4 a password with a line break inside", "reg.invalid: {username: u, password: \"hid\\nden\"}", (44, "password.*more than one line")),
]


class EffectiveValues(StepTest):
    """tug step --dry-run: configuration → effective settings, or how it fails; nothing is written, nothing is sent."""

    def check(self, test):
        directory = self.temp / "case"
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        files = {"psr.yaml": config_file(settings_over_complete(test.config))} if test.files is None else test.files
        for name, text in files.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        before = snapshot(self.temp)
        result = self.step("--dry-run", *test.arguments, cwd=directory)
        self.assertEqual(snapshot(self.temp), before, "a dry run writes nothing")
        self.assertNotIn("hidden", result.out + result.err)
        if isinstance(test.expected, tuple):
            self.assert_status(result, *test.expected)
            return
        self.assertEqual(result.code, 0, str(result))
        objects = [json.loads(line) for line in result.lines]
        expected = test.expected if isinstance(test.expected, list) else [test.expected]
        self.assertEqual(len(objects), len(expected), str(result))
        for found, wanted in zip(objects, expected):
            self.assertEqual(list(found), ["source", "destination", "tag", "authfile", "src-tls-verify", "dest-tls-verify", "logins", "artifacts"])
            self.assertEqual({key: found[key] for key in wanted}, wanted)
        if test.warning is None:
            self.assertEqual(result.err, "")
        elif test.warning:
            self.assertRegex(result.err, test.warning)

    def test_table(self):
        for test in TABLE:
            with self.subTest(test.title):
                self.check(test)

    def test_titles(self):
        """A case that another replaced would not be missed."""
        titles = [test.title for test in TABLE]
        self.assertEqual(sorted(set(titles)), sorted(titles))

    def test_nothing_is_sent(self):
        """Neither a login nor a question: nobody knocks at the registry's port."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            address = "127.0.0.1:%d" % listener.getsockname()[1]
            self.write(config_file(f"container-image-pull-address: x\ndestination-url: {address}\ncontainer-image-repository: a\n"
                                   f"container-registries: {{'{address}': {{username: {USER}, password: '{PASSWORD}'}}}}"))
            self.assert_status(self.step("--dry-run"), 0)
            listener.setblocking(False)
            self.assertRaises(BlockingIOError, listener.accept)

    def test_later_sub_steps_inherit(self):
        """What a sub-step would record, the next one finds; failures too, if it is allowed to go on."""
        self.write(config_file(COMPLETE + "container-image-push-tag: v1", entry="name: one\ncontinue-sub-steps-on-failure: yes") +
                   "  - {implementer: Skopeo, name: two, config: {container-image-pull-address: x}}\n")
        result = self.assert_status(self.step("--dry-run"), 0)
        self.assertEqual([json.loads(line)["destination"] for line in result.lines], ["docker://reg.invalid/o/a:v1"] * 2)

    def test_an_own_earlier_result_decides_nothing(self):
        """It is going to be replaced: a tag that it recorded must not come back."""
        for name, text in with_results((None, STEP, {"container-image-push-tag": "old"})).items():
            self.write(text.replace("Sub:", "Skopeo:"), name)
        result = self.assert_status(self.step("--dry-run"), 0)
        self.assertEqual(json.loads(result.out)["tag"], "latest")

    def test_usage(self):
        """2, and one line that says it."""
        for arguments, text in ((["-r", "x", "-s", STEP], "-r"), ([], "--step"), (["-s", STEP, "-c"], "config"), (["-s", STEP, "stray"], "argument"),
                                (["-s", STEP, "--artifacts", "-", "--env-file", "-"], "standard output")):
            with self.subTest(arguments=arguments):
                result = self.tug("step", *arguments, cwd=self.work)
                self.assert_failure(result, code=2, text=text)
        self.assertEqual(snapshot(self.work), {})


if __name__ == "__main__":
    case.main()
