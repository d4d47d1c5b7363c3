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
import threading

import yaml  # Debian's python3-yaml: whatever tug writes is read by somebody else

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import case  # noqa: E402
from support.case import FIXTURES, SystemTest, fixture, tug_only  # noqa: E402
from support.layouts import Layout, digest_of  # noqa: E402
from support.pki import Pki  # noqa: E402
from support.proxy import AlteringProxy, PausingProxy  # noqa: E402
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


@tug_only
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
                                (["-s", STEP, "--artifacts", "-", "--env-file", "-"], "standard output"),
                                (["-s", STEP, "--retry-times", "x"], "--retry-times"), (["-s", STEP, "--retry-delay=soon"], "--retry-delay"),
                                (["-s", STEP, "--dry-run=maybe"], "dry-run"), (["-s", STEP, "--nonsense"], "--nonsense")):
            with self.subTest(arguments=arguments):
                result = self.tug("step", *arguments, cwd=self.work)
                self.assert_failure(result, code=2, text=text)
        self.assertEqual(snapshot(self.work), {})


# ---- 5 and 6: the run -----------------------------------------------------------------------------------------------------------

IMAGE = "localhost/o/app:1"  # in containers-storage


class LiveTest(StepTest):
    """One registry with users and TLS of a private CA, and one store with an image, for all tests of a class."""

    tls = True

    @classmethod
    def setUpClass(cls):
        cls.directory = pathlib.Path(tempfile.mkdtemp(prefix="tug-test-step-"))
        cls.addClassCleanup(shutil.rmtree, cls.directory, ignore_errors=True)
        cls.pki = Pki(cls.directory / "pki")
        cls.registry = cls.enterClassContext(Registry(cls.directory / "registry", htpasswd={USER: PASSWORD, "bob": "0123"},
                                                      certificate=cls.pki.issue("registry") if cls.tls else None))
        cls.address = cls.registry.address
        cls.store = Store(cls.directory / "store", "vfs")
        cls.store.commit("o/app:1", "scratch", {"bin/app": b"#!/bin/sh\n" + os.urandom(20_000)})

    def setUp(self):
        super().setUp()
        self.environment["CONTAINERS_STORAGE_CONF"] = str(self.store.conf)
        if self.tls:
            self.environment["SSL_CERT_FILE"] = str(self.pki.ca)
        # Each test pushes to a repository of its own.
        self.repository = "o/" + self.id().rpartition(".")[2].replace("_", "-")

    def settings(self, **settings):
        """What a push from the store needs, as lines of YAML; None leaves one out. "_" stands for "-" in a name."""
        values = {"container-image-pull-address": IMAGE, "container-image-push-registry": self.address,
                  "container-image-push-repository": self.repository, "container-image-push-tag": "v1",
                  "container-registries": {self.address: {"username": USER, "password": PASSWORD}}}
        if not self.tls:
            values["dest-tls-verify"] = "false"
        values.update({name.replace("_", "-"): value for name, value in settings.items()})
        return "".join(f"{json.dumps(name)}: {json.dumps(value)}\n" for name, value in values.items() if value is not None)

    def configure(self, *, top="", entry="", **settings):
        return self.write(config_file(self.settings(**settings), top=top, entry=entry))

    def tags(self, repository=None):
        return self.registry.tags(repository or self.repository)

    def get(self, path):
        return self.registry.get(path, authorization=f"Basic {basic()}")

    def assert_pushed(self, artifacts, tag="v1", repository=None, registry=None):
        """The eight artifacts agree with each other, with the registry, and with what Debian's skopeo reads."""
        repository, registry = repository or self.repository, registry or self.address
        digest = artifacts["container-image-push-digest"]
        self.assertEqual({name: artifacts[name] for name in DESCRIPTIONS}, {
            "container-image-push-registry": registry, "container-image-push-repository": repository, "container-image-push-tag": tag,
            "container-image-address-by-tag": f"{registry}/{repository}:{tag}", "container-image-short-address-by-tag": f"{repository}:{tag}",
            "container-image-push-digest": digest, "container-image-address-by-digest": f"{registry}/{repository}@{digest}",
            "container-image-short-address-by-digest": f"{repository}@{digest}"})
        status, headers, body = self.get(f"/v2/{repository}/manifests/{tag}")
        self.assertEqual((status, headers["Docker-Content-Digest"], digest_of(body)), (200, digest, digest))
        flags = [f"--creds={USER}:{PASSWORD}"] + ([] if self.tls else ["--tls-verify=false"])
        raw = self.skopeo("inspect", "--raw", *flags, f"docker://{self.address}/{repository}:{tag}").out
        self.assertEqual("sha256:" + hashlib.sha256(raw.encode()).hexdigest(), digest)

    def assert_not_pushed(self, repository=None):
        self.assertEqual(self.tags(repository), {})

    def assert_failed_result(self, result, message, keys=()):
        """What is recorded of a failed sub-step; `message` is a pattern for all of it."""
        self.assertEqual(set(result), {"artifacts", "evidence", "message", "sub-step-implementer-name", "success"})
        self.assertIs(result["success"], False)
        self.assertRegex(result["message"], f"(?s)\\A{message}\\Z")
        self.assertEqual([artifact["name"] for artifact in result["artifacts"]], list(keys))

    def copy_failed(self, source=IMAGE, tag="v1"):
        """6.2's message, two spaces before "to"."""
        return re.escape(f"Error pushing container image ({source})  to tag ({self.address}/{self.repository}:{tag}) using skopeo: ")


class Run(LiveTest):
    """From the local store to a registry with users and TLS."""

    def test_artifacts(self):
        """All of 6.1 and 6.3: the eight artifacts, the files' structure, the auth file, and what is said."""
        self.configure()
        result = self.assert_status(self.step(), 0)
        self.assertEqual(result.err, "")
        recorded = self.result()
        self.assert_pushed(self.artifacts(recorded))
        values = self.artifacts(recorded)
        self.assertEqual(self.results(), {STEP: {"Skopeo": {
            "sub-step-implementer-name": "Skopeo", "success": True, "message": "", "evidence": [],
            "artifacts": [{"name": name, "value": values[name], "description": text} for name, text in DESCRIPTIONS.items()]}}})
        self.assertEqual([artifact["name"] for artifact in recorded["artifacts"]], KEYS_BEFORE_PUSH + KEYS_AFTER_PUSH)
        # As upstream writes it: keys sorted, block style, indent 4.
        text = self.results_file.read_text()
        self.assertEqual(text.splitlines()[:7], [
            "step-runner-results:", f"    {STEP}:", "        Skopeo:", "            artifacts:",
            "            -   description: Container image registry container image was pushed to.",
            "                name: container-image-push-registry", f"                value: {self.address}"])
        self.assertTrue(text.endswith("            evidence: []\n            message: ''\n            sub-step-implementer-name: Skopeo\n"
                                      "            success: true\n"), text)
        auth = self.work / WORKING / STEP / "container-auth.json"
        self.assertEqual(auth.read_text(), '{\n\t"auths": {\n\t\t"%s": {\n\t\t\t"auth": "%s"\n\t\t}\n\t}\n}' % (self.address, basic()))
        self.assertEqual(stat.S_IMODE(auth.stat().st_mode), 0o600)
        self.assertEqual(sorted(path.name for path in (self.work / WORKING).iterdir()), [
            STEP, "step-runner-results.json", "step-runner-results.pkl.lock", "step-runner-results.yml"])
        for text in (IMAGE, f"docker://{self.address}/{self.repository}:v1", values["container-image-push-digest"], "Login Succeeded!", "success"):
            self.assertIn(text, result.out)

    def results_document(self):
        return yaml.safe_load(self.results_file.read_text())

    def test_the_file_is_what_python_writes(self):
        """Byte for byte PyYAML's output of the same document, long messages and odd values included."""
        self.configure(container_image_pull_address="localhost/no such: image", container_image_push_tag=1.25, additional_artifacts=[
            {"name": "text", "value": "a: 'b' #c\nd\n"}, {"name": "yes", "value": "yes"}, {"name": "1", "value": "0x1F"}, {"name": "n", "value": 7},
            {"name": "umlaut", "value": "wörter " * 20}, {"name": "tree", "value": {"b": [1, None, True, []], "a": {}}}])
        self.assert_status(self.step(), 200)
        self.assertEqual(self.results_file.read_text(), yaml.dump(self.results_document(), indent=4, default_flow_style=False))

    def test_two_sub_steps(self):
        """In order; the second finds what the first has recorded."""
        self.write(config_file(self.settings(), entry="name: first") +
                   f"  - {{implementer: Skopeo, name: second, config: {{container-image-pull-address: '{IMAGE}', container-image-push-tag: v2}}}}\n")
        result = self.assert_status(self.step("--artifacts=-"), 0)
        self.assertEqual(list(self.results()[STEP]), ["first", "second"])
        self.assertEqual(json.loads(result.out), self.artifacts(self.result("second")))
        for name, tag in (("first", "v1"), ("second", "v2")):
            recorded = self.result(name)
            self.assertEqual(recorded["sub-step-implementer-name"], "Skopeo")
            self.assert_pushed(self.artifacts(recorded), tag)

    def two_with_a_failing_first(self, entry):
        self.write(config_file(self.settings(container_image_pull_address="localhost/missing:1"), entry="name: first\n" + entry) +
                   f"  - {{implementer: Skopeo, name: second, config: {{container-image-pull-address: '{IMAGE}'}}}}\n")
        return self.assert_status(self.step("--artifacts", "artifacts.json"), 200)

    def test_a_failed_sub_step_ends_the_step(self):
        """The second one is not run."""
        self.two_with_a_failing_first("")
        self.assertEqual(list(self.results()[STEP]), ["first"])
        self.assert_not_pushed()

    def test_continue_sub_steps_on_failure(self):
        """The second one runs, inherits what the failed one recorded (3.3), and the step has failed all the same."""
        self.two_with_a_failing_first("continue-sub-steps-on-failure: 'yes'")
        self.assert_failed_result(self.result("first"), self.copy_failed("localhost/missing:1") + ".+", KEYS_BEFORE_PUSH)
        self.assertIs(self.result("second")["success"], True)
        self.assert_pushed(self.artifacts(self.result("second")))
        self.assertFalse((self.work / "artifacts.json").exists())

    def test_failed_copy(self):
        """200, five artifacts, the message of 6.2; additional artifacts are recorded too."""
        self.configure(container_image_pull_address="localhost/missing:1", additional_artifacts=["/tmp/log.txt"])
        result = self.assert_status(self.step("--artifacts=a.json", "--env-file=a.env", "--handover=a.yml"), 200)
        self.assert_failed_result(self.result(), self.copy_failed("localhost/missing:1") + ".*localhost/missing:1.+", [*KEYS_BEFORE_PUSH, "log.txt"])
        self.assertEqual({each["name"]: each["description"] for each in self.result()["artifacts"] if each["name"] != "log.txt"},
                         {name: DESCRIPTIONS[name] for name in KEYS_BEFORE_PUSH})
        self.assertIn("Error pushing container image (localhost/missing:1)  to tag", result.out)
        self.assertEqual(list(self.work.glob("a.*")), [])
        self.assert_not_pushed()

    def test_copies_that_cannot_start(self):
        """References and flags that skopeo would refuse, a destination that cannot be written, a policy that says no: failed copies."""
        policy = self.home / ".config/containers/policy.json"
        for title, settings in (("slash", {"container_image_push_registry": self.address + "/"}), ("tag", {"container_image_push_tag": "a b"}),
                                ("flag", {"dest_tls_verify": 2}), ("transport", {"container_image_push_registry_type": "tarball:"}),
                                ("policy", {})):
            with self.subTest(title):
                if title == "policy":
                    policy.parent.mkdir(parents=True)
                    policy.write_text('{"default": [{"type": "reject"}]}')
                self.configure(**settings)
                self.assert_status(self.step(), 200)
                self.assert_failed_result(self.result(), "Error pushing container image .+ using skopeo: .+", KEYS_BEFORE_PUSH)
                self.assert_not_pushed()

    def test_wrong_password(self):
        """44; upstream's words; nothing but /v2/ is asked, no other registry is tried, no auth file is made. The failure is recorded."""
        before = len(self.registry.requests())
        self.configure(container_registries=[{"uri": self.address, "username": USER, "password": WRONG},
                                             {"uri": "never.invalid", "username": USER, "password": PASSWORD}])
        result = self.assert_status(self.step(), 44)
        message = re.escape(f"Failed to login to container registry ({self.address}) with username ({USER}): ") + ".*invalid username/password.*"
        self.assertRegex(result.err, message)
        self.assert_failed_result(self.result(), message)
        self.assertEqual({request.path for request in self.registry.requests()[before:]}, {"/v2/"})
        self.assertFalse((self.work / WORKING / STEP / "container-auth.json").exists())
        self.assert_not_pushed()

    def test_nobody_there(self):
        """A registry that cannot be reached is a failed login."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            address = "127.0.0.1:%d" % listener.getsockname()[1]
        self.configure(container_registries={address: {"username": USER, "password": PASSWORD}})
        self.assert_status(self.step(), 44, re.escape(f"Failed to login to container registry ({address}) with username ({USER}): "))
        self.assert_not_pushed()

    def test_missing_settings(self):
        """200, the exact message, no artifacts, nothing asked."""
        before = len(self.registry.requests())
        self.configure(container_image_push_registry=None, container_image_push_repository=None)
        self.assert_status(self.step(), 200)
        self.assert_failed_result(self.result(), re.escape(
            "Missing required step configuration or previous step result artifact keys: [['container-image-push-registry', 'destination-url'], "
            "['container-image-push-repository', 'container-image-repository']]"))
        self.assertEqual(len(self.registry.requests()), before)

    def test_malformed_registries(self):
        """200, no artifacts, and the message of 4.1 without the password; an empty one where upstream has an empty one."""
        for registries, message in (({self.address: {"password": PASSWORD}},
                                     re.escape(f"Configuration for container registry ({self.address}) must specify a 'username': {{'password': '") + r"\*+'\}"),
                                    ([{"uri": self.address, "username": USER, "passwort": PASSWORD}],
                                     "Configuration for container registry must specify a 'password': .+"),
                                    ([PASSWORD], "Configuration for container registry must specify a 'uri': .+"),
                                    (PASSWORD, ""), ({self.address: {"username": "", "password": PASSWORD}}, "")):
            with self.subTest(message):
                self.configure(container_registries=registries)
                self.assert_status(self.step(), 200)
                self.assert_failed_result(self.result(), message)
        self.assert_not_pushed()

    def test_previous_results(self):
        """The build's artifacts are the settings; its results stay in the file, under the same keys, with what they had."""
        earlier = {"generate-metadata": {"SemanticVersion": {"sub-step-implementer-name": "SemanticVersion", "success": True, "message": "", "evidence": [
            {"name": "e", "value": "v", "description": ""}], "artifacts": [{"name": "container-image-tag", "value": "1.0-69442c8", "description": "the tag"}]}},
                   "create-container-image": {"Buildah": {"sub-step-implementer-name": "Buildah", "success": True, "message": "", "evidence": [], "artifacts": [
                       {"name": "container-image-build-address", "value": IMAGE, "description": "built"},
                       {"name": "container-image-repository", "value": self.repository, "description": ""}]}}}
        self.write(yaml.dump({"step-runner-results": earlier}, indent=4), f"{WORKING}/step-runner-results.yml")
        self.configure(container_image_pull_address=None, container_image_push_repository=None, container_image_push_tag=None)
        self.assert_status(self.step(), 0)
        self.assert_pushed(self.artifacts(self.result()), "1.0-69442c8")
        self.assertEqual({name: content for name, content in self.results().items() if name != STEP}, earlier)

    def test_run_twice(self):
        """After a failure and after a success: the entry is replaced, others stay; a failed second run leaves no artifact of the first."""
        self.configure(container_image_pull_address="localhost/missing:1")
        self.assert_status(self.step(), 200)
        self.configure()
        self.assert_status(self.step(), 0)
        first = self.results()
        self.assert_pushed(self.artifacts(self.result()))
        self.assert_status(self.step("--step-config", "container-image-push-tag=v2"), 0)
        self.assert_pushed(self.artifacts(self.result()), "v2")
        self.assertEqual((list(first), list(self.results()[STEP])), ([STEP], ["Skopeo"]))
        self.assert_status(self.step("--step-config", "container-image-pull-address=localhost/missing:2"), 200)
        self.assert_failed_result(self.result(), ".+", KEYS_BEFORE_PUSH)

    def test_environment(self):
        """-e: settings, auth file and result of the environment; the result without one stays beside it."""
        self.configure(entry="environment-config: {DEV: {container-image-push-tag: dev}}")
        self.assert_status(self.step(), 0)
        self.assert_status(self.step("-e", "DEV"), 0)
        self.assertEqual(set(self.results()), {STEP, "DEV"})
        self.assert_pushed(self.artifacts(self.result()))
        self.assert_pushed(self.artifacts(self.result(environment="DEV")), "dev")
        self.assertTrue((self.work / WORKING / STEP / "DEV/container-auth.json").is_file())

    def test_at_the_same_time(self):
        """Steps of one directory that end together lose none of each other's results."""
        self.configure()
        names = [f"ENV{number}" for number in range(6)]
        running = [self.start("step", "-s", STEP, "--no-cache", "-e", name, cwd=self.work) for name in names]
        for process in running:
            out, err = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 0, out + err)
        self.assertEqual(set(self.results()), set(names))
        for name in names:
            self.assert_pushed(self.artifacts(self.result(environment=name)))

    def test_tag_keeps_its_type(self):
        """The tag 1.10 is the float 1.1, also in the results; said once, with the key."""
        self.write(config_file(self.settings(container_image_push_tag=None) + "container-image-push-tag: 1.10"))
        result = self.assert_status(self.step("--artifacts", "a.json"), 0)
        self.assertIn("                value: 1.1\n", self.results_file.read_text())
        self.assertEqual(self.artifacts(self.result())["container-image-push-tag"], 1.1)
        self.assertEqual(self.artifacts(self.result())["container-image-address-by-tag"], f"{self.address}/{self.repository}:1.1")
        self.assertEqual(list(self.tags()), ["1.1"])
        self.assertRegex(result.err, r'\A[^\n]*level=warning[^\n]*container-image-push-tag[^\n]*1\.10[^\n]*quote[^\n]*\n\Z')

    def test_index_is_reduced(self):
        """A list comes down to the instance for this machine."""
        self.configure(container_image_pull_registry_type="oci:", container_image_pull_address=f"{FIXTURES}/multi:all")
        self.assert_status(self.step(), 0)
        layout, descriptor = fixture("multi:all")
        digest = self.artifacts(self.result())["container-image-push-digest"]
        chosen = [each for each in layout.read_json(descriptor)["manifests"] if each["digest"] == digest]
        self.assertEqual([each["platform"]["architecture"] for each in chosen], [case.HOST_ARCHITECTURE])
        self.assert_pushed(self.artifacts(self.result()))


class Files(LiveTest):
    """What is written beside the results."""

    def test_artifacts_env_file_and_handover(self):
        """The same eight values as a flat JSON object, as lines that sh sources, and as configuration."""
        odd = "it's $(touch pwned) `x` \\ \"q\" ü\nsecond line"
        self.configure(additional_artifacts=[{"name": "odd-value", "value": odd}, {"name": "1.st", "value": "x"}])
        result = self.assert_status(self.step("--artifacts", "out.json", "--env-file=out.env", "--handover", "out.yml"), 0)
        expected = self.artifacts(self.result())
        self.assert_pushed(expected)
        self.assertNotRegex(result.out, "(?m)^second line")
        self.assertEqual(json.loads((self.work / "out.json").read_text()), expected)
        self.assertEqual(list(json.loads((self.work / "out.json").read_text())), list(expected))
        self.assertEqual(yaml.safe_load((self.work / "out.yml").read_text()), {"step-runner-config": {"global-defaults": expected}})
        script = 'set -eu; . ./out.env; for name in CONTAINER_IMAGE_PUSH_DIGEST CONTAINER_IMAGE_ADDRESS_BY_TAG ODD_VALUE _1_ST; do ' \
                 'eval value="\\$$name"; printf "%s\\0" "$value"; done'
        values = subprocess.run(["sh", "-c", script], cwd=self.work, check=True, stdout=subprocess.PIPE).stdout.decode().split("\0")[:-1]
        self.assertEqual(values, [expected["container-image-push-digest"], expected["container-image-address-by-tag"], odd, "x"])
        self.assertFalse((self.work / "pwned").exists())
        # What psr is given after -c.
        result = self.assert_status(self.step("--dry-run", "-c", "psr.yaml", "out.yml"), 0)
        self.assertEqual(json.loads(result.out)["tag"], "v1")

    def test_artifacts_on_standard_output(self):
        """--artifacts -: nothing but JSON there; what is for people goes to standard error."""
        self.configure()
        result = self.assert_status(self.step("--artifacts", "-"), 0)
        self.assertEqual(json.loads(result.out), self.artifacts(self.result()))
        self.assertIn("docker://", result.err)

    def test_a_file_that_cannot_be_written(self):
        """44, naming it, before anything is pushed."""
        self.configure()
        for flag in ("--artifacts", "--env-file", "--handover"):
            self.assert_status(self.step(flag, "missing/file"), 44, "missing/file cannot be written")
        self.assert_not_pushed()

    def test_nobody_listens(self):
        """A log that is full or gone loses no result; artifacts that were asked for on standard output and did not get there are 44."""
        self.configure()
        for arguments, status in (([], 0), (["--artifacts=-"], 44)):
            with self.subTest(arguments), open("/dev/full", "wb") as full:
                shutil.rmtree(self.work / WORKING, ignore_errors=True)
                done = subprocess.run([case.TUG, "step", "-s", STEP, "--no-cache", *arguments], env=self.environment, cwd=self.work,
                                      stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE, timeout=60)
                self.assertEqual(done.returncode, status, done.stderr)
                self.assert_pushed(self.artifacts(self.result()))

    def test_auth_file_is_merged_into(self):
        """containers-config-auth-file, relative to the working directory: what else is in it stays. The auth file is used for the push."""
        path = self.write(json.dumps({"auths": {"other.invalid": {"auth": basic("o", "p")}}, "credHelpers": {"h.invalid": "none"}, "x": [1]}), "conf/auth.json")
        self.configure(containers_config_auth_file="conf/auth.json")
        self.assert_status(self.step(), 0)
        self.assertEqual(json.loads(path.read_text()), {"auths": {"other.invalid": {"auth": basic("o", "p")}, self.address: {"auth": basic()}},
                                                        "credHelpers": {"h.invalid": "none"}, "x": [1]})
        self.assertFalse((self.work / WORKING / STEP).exists())
        self.configure(containers_config_auth_file="conf/none.json", container_registries=None, container_image_push_tag="v2")
        self.assert_status(self.step(), 200, "401|unauthorized|no credentials")
        self.configure(containers_config_auth_file="conf/auth.json", container_registries=None, container_image_push_tag="v2")
        self.assert_status(self.step(), 0)
        self.assert_pushed(self.artifacts(self.result()), "v2")

    def test_uris(self):
        """With a scheme, a slash, a path: the key is what skopeo makes of it, and the push finds it."""
        for tag, uri, key in (("a", f"https://{self.address}", self.address), ("b", f"https://{self.address}/", self.address),
                              ("c", f"{self.address}/o", f"{self.address}/o")):
            with self.subTest(uri):
                shutil.rmtree(self.work / WORKING, ignore_errors=True)
                self.configure(container_registries=[{"uri": uri, "username": USER, "password": PASSWORD}], container_image_push_tag=tag)
                self.assert_status(self.step(), 0)
                self.assertEqual(json.loads((self.work / WORKING / STEP / "container-auth.json").read_text())["auths"], {key: {"auth": basic()}})
                self.assert_pushed(self.artifacts(self.result()), tag)

    def test_passwords(self):
        """A number is its text, with a warning that does not show it; a block scalar's line break is dropped."""
        registries = f"container-registries: {{'{self.address}': {{username: bob, password: 0123}}}}"
        self.write(config_file(self.settings(container_registries=None) + registries))
        result = self.assert_status(self.step(), 0, "password.*read as a number.*quote")
        self.assertNotIn("0123", result.out + result.err)
        self.write(config_file(self.settings(container_registries=None, container_image_push_tag="v2") +
                               f"container-registries:\n  '{self.address}':\n    username: {USER}\n    password: |\n      {PASSWORD}\n"))
        self.assert_status(self.step(), 0)
        self.assert_pushed(self.artifacts(self.result()), "v2")


class Tls(LiveTest):
    """Certificates, and who verifies them."""

    def test_certs_d(self):
        """A CA below certs.d serves the login and the copy."""
        del self.environment["SSL_CERT_FILE"]
        directory = self.home / ".config/containers/certs.d" / self.address
        directory.mkdir(parents=True)
        shutil.copy(self.pki.ca, directory / "ca.crt")
        self.configure()
        self.assert_status(self.step(), 0)
        self.environment["SSL_CERT_FILE"] = str(self.pki.ca)
        self.assert_pushed(self.artifacts(self.result()))

    def test_unknown_ca(self):
        """The login fails; with the entry's tls-verify false it works, and the copy fails (4.2); with dest-tls-verify false all is well."""
        del self.environment["SSL_CERT_FILE"]
        self.configure()
        self.assert_status(self.step(), 44, "Failed to login .*certificate")
        self.configure(container_registries={self.address: {"username": USER, "password": PASSWORD, "tls-verify": "False"}})
        self.assert_status(self.step(), 200)
        self.assert_failed_result(self.result(), self.copy_failed() + ".*certificate.*", KEYS_BEFORE_PUSH)
        self.assert_not_pushed()
        self.configure(dest_tls_verify="no")
        self.assert_status(self.step(), 0)
        self.environment["SSL_CERT_FILE"] = str(self.pki.ca)
        self.assert_pushed(self.artifacts(self.result()))

    def test_source_verifies_by_its_own_setting(self):
        """The same registry as source and destination: one auth file for both, src-tls-verify for the one alone."""
        self.configure()
        self.assert_status(self.step(), 0)
        from_registry = {"container_image_pull_registry_type": "docker://", "container_image_pull_address": f"{self.address}/{self.repository}:v1",
                         "container_image_push_tag": "v2"}
        del self.environment["SSL_CERT_FILE"]
        self.configure(dest_tls_verify=False, **from_registry)
        self.assert_status(self.step(), 200)
        self.assert_failed_result(self.result(), ".*certificate.*", KEYS_BEFORE_PUSH)
        self.configure(dest_tls_verify=False, src_tls_verify="off", **from_registry)
        self.assert_status(self.step(), 0)
        self.environment["SSL_CERT_FILE"] = str(self.pki.ca)
        self.assert_pushed(self.artifacts(self.result()), "v2")
        self.assertEqual(len(set(self.tags().values())), 1)


class Secrets(LiveTest):
    """step() of the base class looks for the password in all that a run says and writes; here with decryptors."""

    OBFUSCATE = "config-decryptors: [{implementer: ploigos_step_runner.decryption_utils.ObfuscationDefaults}]"

    def test_with_and_without_obfuscation(self):
        """Success, failed copy, wrong password, malformed: the password is nowhere; the user's name neither when a decryptor claims it."""
        wrong = {self.address: {"username": USER, "password": WRONG}}
        runs = ((0, {}), (200, {"container_image_pull_address": "localhost/missing:1"}), (200, {"container_image_push_tag": PASSWORD}),
                (44, {"container_registries": wrong}), (200, {"container_registries": [{**wrong[self.address]}]}))
        for top in ("", self.OBFUSCATE):
            for status, settings in runs:
                with self.subTest(top=top, settings=list(settings)):
                    self.configure(top=top, **settings)
                    result = self.tug("step", "-s", STEP, "--no-cache", "--retry-times=0", cwd=self.work)
                    self.assertEqual(result.code, status, str(result))
                    # Who writes a secret where none belongs gets it masked as long as it was read before.
                    if settings.get("container_image_push_tag") != PASSWORD and "dest_tls_verify" not in settings:
                        self.assert_no_secret(result, *([USER] if top else []))
                    else:
                        self.assertNotIn(PASSWORD, result.out + result.err)

    def test_debug(self):
        """--debug logs requests, not credentials."""
        self.configure()
        result = self.assert_status(self.step("--debug"), 0)
        self.assertIn("level=debug", result.err)

    def test_configuration_that_cannot_be_read(self):
        """The place of an error or of a conflict is said, not what stands there."""
        login = {self.address: {"username": USER, "password": PASSWORD}}
        other = {self.address: {"username": USER, "password": WRONG}}
        self.write(whole(f"global-defaults: {{container-registries: {json.dumps(login)}}}"), "a.yaml")
        self.write(whole(f"global-defaults: {{container-registries: {json.dumps(other)}}}"), "b.yaml")
        self.assert_status(self.step("-c", "a.yaml", "b.yaml"), 102, r"Conflict at container-registries.*password.*a\.yaml.*b\.yaml")
        for text in (f"step-runner-config:\n  password: '{PASSWORD}\n", f"step-runner-config: {{password: {PASSWORD}\n",
                     f"step-runner-config:\n  password: *{WRONG}\n", f"step-runner-config:\n  password: !{WRONG} x\n", f"step-runner-config:\n  password: !{WRONG}\n",
                     f"step-runner-config:\n  password: &{WRONG}\n  other: &{WRONG}\n", f"step-runner-config:\n  password: !{WRONG} [x]\n",
                     f'{{"step-runner-config": {{"password": "{PASSWORD}" "{WRONG}"}}}}'):
            with self.subTest(text):
                self.write(text)
                self.assert_status(self.step(), 102, r"psr\.yaml")
        self.assert_status(self.step("--step-config", PASSWORD), 102)

    def fake_sops(self, script):
        """A program sops that records its arguments; all of the environment stays as it is but PATH."""
        directory = self.temp / "bin"
        directory.mkdir(exist_ok=True)
        program = directory / "sops"
        program.write_text(f"#!/bin/sh\nfor word; do printf '%s\\n' \"$word\" >>'{self.temp}/sops.log'; done\n{script}\n")
        program.chmod(0o755)
        self.environment["PATH"] = f"{directory}:{self.environment['PATH']}"

    def sops_config(self):
        value = "ENC[AES256_GCM,data:q9pWbQ==,iv:x,tag:y,type:str]"
        return self.configure(container_registries={self.address: {"username": USER, "password": value}},
                              top="config-decryptors: [{implementer: SOPS, config: {additional_sops_args: ['--flag=x', '-y']}}]")

    def test_sops(self):
        """The command line of 2.5; its output is the password and is shown nowhere."""
        self.fake_sops(f"printf '%s' '{PASSWORD}'")
        self.sops_config()
        self.assert_status(self.step("-c", "psr.yaml"), 0)
        self.assert_pushed(self.artifacts(self.result()))
        words = (self.temp / "sops.log").read_text().splitlines()
        self.assertEqual(words, ["--decrypt", f'--extract=["step-runner-config"]["{STEP}"][0]["config"]["container-registries"]["{self.address}"]["password"]',
                                 "psr.yaml", "--flag=x", "-y"])

    def test_sops_in_a_list(self):
        """A position is bare in the path; the file is the one that the value came from; a line break at the end is dropped (4.4)."""
        self.fake_sops(f"echo '{PASSWORD}'")
        self.configure(container_registries=None, top="config-decryptors: [{implementer: SOPS}]")
        self.write(whole("global-defaults:\n  container-registries:\n  - {uri: '%s', username: '%s', password: 'ENC[x]'}" % (self.address, USER)), "conf/secret.yaml")
        self.assert_status(self.step("-c", "psr.yaml", "conf"), 0)
        self.assertEqual((self.temp / "sops.log").read_text().splitlines(), [
            "--decrypt", '--extract=["step-runner-config"]["global-defaults"]["container-registries"][0]["password"]', "conf/secret.yaml"])

    def test_sops_decrypts_any_value(self):
        """A tag from sops is pasted, and masked wherever it would be shown."""
        self.fake_sops("printf secret-tag")
        self.configure(container_image_push_tag="ENC[x]", top="config-decryptors: [{implementer: SOPS}]")
        result = self.assert_status(self.step(), 0)
        self.assertNotIn("secret-tag", result.out + result.err)
        self.assertEqual(list(self.tags()), ["secret-tag"])
        result = self.assert_status(self.step("--dry-run"), 0)
        self.assertNotIn("secret-tag", result.out + result.err)

    def test_sops_fails(self):
        """44, with the place of the value; nothing is pushed."""
        self.fake_sops("echo 'no key' >&2; exit 3")
        self.sops_config()
        result = self.assert_status(self.step(), 44, r"container-registries.*password.* in psr\.yaml.*sops.*3")
        self.assertIn("no key", result.err)
        self.assert_not_pushed()


class Plain(LiveTest):
    """A registry without TLS: proxies can look in, and answer something else."""

    tls = False

    def test_flags_alone(self):
        """No psr.yaml: --step-config has all it needs. Nothing to log in to, no auth file: an anonymous push (section 9)."""
        with Registry(self.temp / "anonymous") as registry:
            result = self.step("--artifacts=-", "--step-config", "container-image-pull-registry-type=oci:", f"container-image-pull-address={FIXTURES}/hello:1.0",
                               f"container-image-push-registry={registry.address}", "container-image-push-repository=alone", "dest-tls-verify=false")
            self.assert_status(result, 0)
            digest = fixture("hello:1.0")[1]["digest"]
            self.assertEqual(registry.tags("alone"), {"latest": digest})
        self.assertEqual(json.loads(result.out)["container-image-push-digest"], digest)
        self.assertEqual(self.artifacts(self.result())["container-image-address-by-digest"], f"{registry.address}/alone@{digest}")
        self.assertFalse((self.work / WORKING / STEP).exists())

    def push_through(self, alter):
        proxy = self.enterContext(AlteringProxy(self.address, alter=alter))
        self.configure(container_image_push_registry=proxy.address, container_registries={proxy.address: {"username": USER, "password": PASSWORD}})
        return proxy, self.step()

    def test_the_registry_calls_it_otherwise(self):
        """Another Docker-Content-Digest in the answer to the PUT: a failed step, five artifacts, upstream's words."""
        other = "sha256:" + 64 * "7"

        def alter(method, path, headers):
            return {**headers, "Docker-Content-Digest": other} if method == "PUT" and "/manifests/" in path else headers

        proxy, result = self.push_through(alter)
        self.assert_status(result, 200)
        self.assert_failed_result(self.result(), f"Error getting pushed container image digest: .*{other}.*", KEYS_BEFORE_PUSH)
        self.assertEqual(self.artifacts(self.result())["container-image-push-registry"], proxy.address)

    def test_the_registry_does_not_say(self):
        """No Docker-Content-Digest at all: what was computed here counts."""
        proxy, result = self.push_through(lambda method, path, headers: {n: v for n, v in headers.items() if n != "Docker-Content-Digest"})
        self.assert_status(result, 0)
        self.assert_pushed(self.artifacts(self.result()), registry=proxy.address)

    def test_interrupted(self):
        """SIGTERM in mid-upload: 143, recorded as failed, nothing tagged, nothing of the files lost."""
        layout = Layout(self.temp / "big")
        layout.add(layout.image([{"noise": os.urandom(3_000_000)}]))
        earlier = {"deploy": {"X": {"sub-step-implementer-name": "X", "success": True, "message": "", "evidence": [], "artifacts": []}}}
        self.write(yaml.dump({"step-runner-results": earlier}), f"{WORKING}/step-runner-results.yml")
        reached, released = threading.Event(), threading.Event()

        def hold():
            reached.set()
            released.wait(60)

        with PausingProxy(self.address, action=hold) as proxy:
            self.configure(container_image_pull_registry_type="oci:", container_image_pull_address=str(layout.path), container_image_push_registry=proxy.address,
                           container_registries={proxy.address: {"username": USER, "password": PASSWORD}})
            process = self.start("step", "-s", STEP, "--no-cache", "--artifacts", "a.json", cwd=self.work)
            self.assertTrue(reached.wait(60))
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=60)
            released.set()
        result = case.Result(process.args, process.returncode, out, err)
        self.assert_no_secret(result)
        self.assertEqual(result.code, 143, str(result))
        self.assert_failed_result(self.result(), ".*interrupted.*|.*SIGTERM.*|.*signal.*", KEYS_BEFORE_PUSH)
        self.assertEqual(self.results()["deploy"], earlier["deploy"])
        self.assertFalse((self.work / "a.json").exists())
        self.assert_not_pushed()


class BadInput(LiveTest):
    """Each is said in one line with the file or the key, changes no file that was there, and pushes nothing."""

    def check(self, status, text, *arguments, cwd=None, program=None):
        """`text`: a pattern for the closing line; for a failed step (200) for the outcome."""
        requests, before = len(self.registry.requests()), snapshot(self.work)
        result = self.step(*arguments, cwd=cwd) if program is None else self.tug(
            *program[1:], case.TUG, "step", "-s", STEP, "--no-cache", *arguments, program=program[0], cwd=cwd or self.work)
        self.assert_status(result, status)
        said = [line for line in (result.out if status == 200 else result.err).splitlines() if re.search(text, line)]
        self.assertTrue(said, str(result))
        self.assertLess(len(said[-1]), 2200)
        if status != 200:
            self.assertEqual(said[-1], result.err.splitlines()[-1])
            self.assertEqual([line for line in result.err.splitlines()[:-1] if "level=warning" not in line], [], str(result))
        after = snapshot(self.work)
        self.assertEqual({name: after.get(name) for name in before if name.rpartition("/")[2] not in ("step-runner-results.yml", "step-runner-results.json")},
                         {name: before[name] for name in before if name.rpartition("/")[2] not in ("step-runner-results.yml", "step-runner-results.json")})
        if status in (101, 102):
            self.assertEqual(after, before)
        self.assertEqual(len(self.registry.requests()), requests)
        self.assert_not_pushed()
        return after, before

    def test_files(self):
        """Configuration files that are none."""
        for title, text, status, message in (
                ("null", "", 101, r"psr\.yaml is empty"), ("only a comment", "# nothing\n", 102, r"psr\.yaml"), ("null document", "null\n", 102, r"psr\.yaml"),
                ("null step-runner-config", "step-runner-config:\n", 102, r"step-runner-config.*psr\.yaml"),
                ("null global-defaults", whole(f"global-defaults:\n{STEP}: {{implementer: Skopeo}}"), 102, r"global-defaults.*psr\.yaml"),
                ("null global-environment-defaults", whole("global-environment-defaults:"), 102, r"global-environment-defaults.*psr\.yaml"),
                ("null environment", whole("global-environment-defaults: {DEV: }"), 102, r"DEV.*psr\.yaml"),
                ("null step", whole(f"{STEP}:"), 102, f"{STEP}.*psr\\.yaml"), ("null sub-step", whole(f"{STEP}: [null]"), 102, f"{STEP}.*psr\\.yaml"),
                ("null implementer", whole(f"{STEP}: {{implementer: }}"), 102, f"{STEP}.*psr\\.yaml.*implementer|implementer"),
                ("null decryptors", whole("config-decryptors:"), 102, r"config-decryptors.*psr\.yaml"),
                ("a list", "- step-runner-config: {}\n", 102, r"psr\.yaml.*list"), ("text", "step-runner-config\n", 102, r"psr\.yaml"),
                ("unknown alias", whole("global-defaults: {a: *id001}"), 102, r"psr\.yaml: line 2, .*anchor"),
                ("tabs", "step-runner-config:\n\tglobal-defaults: {}\n", 102, r"psr\.yaml"), ("two documents", "a: 1\n---\nb: 2\n", 102, r"psr\.yaml"),
                ("a tag of Python's", whole("global-defaults: {a: !!python/object/apply:os.system ['touch pwned']}"), 102, r"psr\.yaml"),
                ("not UTF-8", None, 102, r"psr\.yaml"), ("nested deeply", "[" * 20_000, 102, r"psr\.yaml"),
                ("a date in the settings", config_file(self.settings() + "since: 2024-01-02"), 44, r"since.*psr\.yaml.*2024-01-02.*date")):
            with self.subTest(title):
                path = self.write(text if text is not None else "")
                if text is None:
                    path.write_bytes(b"step-runner-config: {a: \xff\xfe}\n")
                self.check(status, message)
        self.assertFalse((self.work / "pwned").exists())

    def test_duplicate_anchors(self):
        """Refused, as PyYAML does it: which one an alias means would be a guess."""
        self.write(config_file(self.settings() + "a: &x v1\nb: &x v2\n"))
        self.check(102, r"psr\.yaml: line \d+.*duplicate anchor")

    def test_huge_scalar(self):
        """A megabyte in a place where it is pasted is refused, shortened; where nobody looks it does not matter."""
        self.configure(container_image_push_tag="x" * 1_000_000, container_registries=None)
        self.check(200, "Error pushing container image")
        self.assertLess(len(self.step().out), 20_000)
        self.configure(unused="x" * 1_000_000)
        self.assert_status(self.step("--dry-run"), 0)

    def test_paths(self):
        """A directory without files, one that is not there, a file that may not be read, a socket."""
        (self.work / "empty").mkdir()
        self.check(102, "empty has no files", "-c", "empty")
        self.check(101, "missing: No such file", "-c", "missing")
        self.check(101, "/dev/null is neither", "-c", "/dev/null")
        path = self.configure()
        path.chmod(0)
        # Root may read anything unless it gives that up.
        program = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"] if os.geteuid() == 0 else ["env"]
        self.check(102, r"psr\.yaml: Permission denied", program=program)

    def test_logins(self):
        """What no login takes; the key is named, the password is not."""
        for title, registries, status, message in (
                ("text", PASSWORD, 200, r"container-registries in psr\.yaml is text, neither a mapping nor a list"),
                ("a number", 7, 200, r"container-registries in psr\.yaml is a number, neither"), ("two lines", {self.address: {"username": USER, "password": f"{PASSWORD}\n{WRONG}"}}, 44,
                                                                         r"container-registries.*password in psr\.yaml has more than one line"),
                ("a user of two lines", {self.address: {"username": "a\nb", "password": PASSWORD}}, 44, "username.*line break"),
                ("a user with a colon", {self.address: {"username": "a:b", "password": PASSWORD}}, 44, "colon"),
                ("a URL with a user", [{"uri": "https://u@h.invalid", "username": USER, "password": PASSWORD}], 44, "uri.*psr.yaml.*is no registry"),
                ("a name without a dot", {"quay": {"username": USER, "password": PASSWORD}}, 44, "quay.*is not HOST"),
                ("a list in the place of a password", {self.address: {"username": USER, "password": [PASSWORD]}}, 200,
                 r"password in psr\.yaml is a list, not text"), ("an empty user", {self.address: {"username": "", "password": PASSWORD}}, 200,
                                                               r"username in psr\.yaml is empty")):
            with self.subTest(title):
                self.configure(container_registries=registries)
                self.check(status, message)

    def test_own_configuration(self):
        """registries.conf and policy.json that cannot be read: 44 before, and a failed copy."""
        self.configure(container_registries=None)
        conf = self.home / ".config/containers/registries.conf"
        conf.parent.mkdir(parents=True)
        conf.write_text("x = [")
        self.check(44, r"registries\.conf: line 1")
        conf.unlink()
        conf.with_name("policy.json").write_text("{")
        self.check(200, r"Error pushing .*policy\.json")

    def test_auth_file_that_is_not_json(self):
        """44 before anybody is asked; the file stays as it is."""
        for text in ("not JSON", "[]", '{"auths": []}', ""):
            with self.subTest(text):
                self.write(text, "auth.json")
                self.configure(containers_config_auth_file="auth.json")
                if text == "":  # nothing in it: nothing to lose
                    self.assert_status(self.step(), 0)
                    continue
                self.check(44, r"auth\.json")

    def test_auth_file_in_a_missing_directory(self):
        """44, with the path; the directory is not made: it was mistyped."""
        self.configure(containers_config_auth_file="missing/auth.json")
        self.check(44, "missing")
        self.assertFalse((self.work / "missing").exists())

    def test_results_file_that_is_not_ours(self):
        """44 before the push; it is left as it is, byte for byte, and nothing is made beside it."""
        self.configure()
        for text in ("a: b\n", "[]\n", "x: [\n", "step-runner-results: []\n", "step-runner-results: {a: b}\n", "step-runner-results: {a: {b: c}}\n",
                     "step-runner-results:\n", "# by hand\n", "null\n"):
            with self.subTest(text):
                self.write(text, f"{WORKING}/step-runner-results.yml")
                after, before = self.check(44, r"step-runner-results\.yml is not a results file")
                self.assertEqual(after, before)

    def test_working_directory(self):
        """One that cannot be written, or is none: 44 before the push."""
        self.configure()
        self.write("a file", WORKING)
        self.check(44, WORKING)
        (self.work / WORKING).unlink()
        (self.work / WORKING / "step-runner-results.yml").mkdir(parents=True)
        self.check(44, r"step-runner-results\.yml")
        shutil.rmtree(self.work / WORKING)
        program = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"] if os.geteuid() == 0 else ["env"]
        (self.work / WORKING).mkdir(mode=0o555)
        self.check(44, f"{WORKING}.*Permission denied", program=program)
        (self.work / WORKING).rmdir()
        self.work.chmod(0o555)
        self.addCleanup(self.work.chmod, 0o755)
        self.check(44, f"{WORKING}.*Permission denied", program=program)


if __name__ == "__main__":
    case.main()
