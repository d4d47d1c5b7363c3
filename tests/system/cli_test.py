"""The command line: help, version, usage errors, where options may stand, and inspect beside skopeo's."""

import json
import pathlib
import re
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import case  # noqa: E402
from support.case import FIXTURES, HOST_ARCHITECTURE, SystemTest, fixture, registry_for_class, tug_only  # noqa: E402
from support.layouts import Layout  # noqa: E402

HELLO = f"oci:{FIXTURES}/hello:1.0"


class Usage(SystemTest):
    """Nothing here needs a registry."""

    def test_version(self):
        """--version and -v: one line on stdout."""
        for flag in ("--version", "-v"):
            result = self.assert_success(self.tug(flag))
            self.assertRegex(result.out, r"\A(tug|skopeo) version \d+\.\d+\.\d+[^\n]*\n\Z")
            self.assertEqual(result.err, "")

    def test_help(self):
        """--help and -h, for the program and for each verb: on stdout, exit 0, with its options."""
        for arguments, words in ((["--help"], ["copy", "inspect", "--debug"]), (["-h"], ["copy"]),
                                 (["copy", "--help"], ["--dest-creds", "--all", "--digestfile", "--retry-times"]),
                                 (["copy", "-h"], ["--multi-arch"]), (["inspect", "--help"], ["--raw", "--config", "--creds"])):
            if case.IS_SKOPEO and "--multi-arch" in words:
                words = ["--all"]
            with self.subTest(arguments=arguments):
                result = self.assert_success(self.tug(*arguments))
                self.assertEqual(result.err, "")
                for word in words:
                    self.assertIn(word, result.out)

    def test_no_verb(self):
        """Without a verb: exit 1, and where to find help."""
        self.assert_failure(self.tug(), text="--help")

    def test_unknown_verb(self):
        """An unknown verb: exit 1, naming it."""
        self.assert_failure(self.tug("frobnicate"), text="frobnicate")

    @tug_only
    def test_unknown_verb_that_is_nearly_known(self):
        """A typing error gets the verb that was meant."""
        self.assert_failure(self.tug("cpoy"), text="copy")

    def test_unknown_flag(self):
        """An unknown option: exit 1, naming it, for the program and for a verb."""
        for arguments in (["--frob"], ["copy", "--frob"], ["copy", "--frob=1", "a", "b"], ["copy", HELLO, "--frob", "docker://x/y"]):
            with self.subTest(arguments=arguments):
                self.assert_failure(self.tug(*arguments), text="frob")

    @tug_only
    def test_flags_of_skopeo_that_are_not_supported(self):
        """What asks for a signature or encryption is refused by name; what means other transports is ignored, as skopeo does."""
        for flag in ("--sign-by=me", "--encryption-key=jwe:k.pem", "--sign-by-sigstore-private-key=k", "--sign-by-sq-fingerprint=f", "--sign-by-sigstore=p",
                     "--sign-passphrase-file=f", "--sign-identity=x", "--encrypt-layer=0", "--decryption-key=k"):
            self.assert_failure(self.tug("copy", flag, HELLO, "docker://127.0.0.1:1/x"), text=flag.split("=")[0])
        for value, text in (("v2s1", "v2s1 is not supported"), ("v3", "unknown format .v3."), ("", "unknown format")):
            self.assert_failure(self.tug("copy", "--format", value, "--dry-run", HELLO, "docker://127.0.0.1:1/x"), text=text)
        result = self.tug("copy", "--dest-precompute-digests", "--dest-oci-accept-uncompressed-layers", "--dest-daemon-host=x", HELLO,
                          "docker://127.0.0.1:1/x", "--retry-times=0")
        self.assert_failure(result, text="127.0.0.1:1")

    @tug_only
    def test_flags_of_a_verb_before_it(self):
        """They work; and a password that follows a flag, known or not, is never taken for the verb and shown."""
        self.assert_failure(self.tug("--dest-creds", "alice:hunter2", "copy", "oci:/nowhere", "docker://127.0.0.1:1/x"), text="/nowhere")
        for flag in ("--dest-credz", "--dest-password"):
            result = self.tug(flag, "hunter2", "frobnicate")
            self.assertEqual(result.code, 1)
            self.assertNotIn("hunter2", result.out + result.err)

    def test_registries_d(self):
        """--registries.d, before the verb and after it, with and without an equals sign."""
        for before, after in ((["--registries.d", "."], []), ([], ["--registries.d", "."]), ([], ["--registries.d=."])):
            with self.subTest(before=before, after=after):
                self.assert_success(self.tug(*before, "inspect", *after, "--raw", HELLO))

    def test_short_flags(self):
        """With an equals sign, attached and in groups, as pflag has them."""
        for words in (["-f", "{{.Os}}"], ["-f={{.Os}}"], ["-f{{.Os}}"], ["-nf", "{{.Os}}"], ["-nf={{.Os}}"], ["-n=true", "-f={{.Os}}"]):
            with self.subTest(words=words):
                self.assertEqual(self.assert_success(self.tug("inspect", *words, HELLO)).out, "linux\n")
        for flags in (["-q=true", "-a=true"], ["-aq"]):
            result = self.tug("copy", "--insecure-policy", *flags, HELLO, f"dir:{self.temp}/x")
            self.assertEqual(self.assert_success(result).out, "")
        result = self.tug("sync", "-s=docker", "-d=nothing", "a", "b")
        self.assert_failure(result, text="nothing")

    def test_unknown_short_flag_with_a_value(self):
        """Of what may be a password nothing is shown, behind the verb and before it."""
        for words in (["inspect", "-xsecr!et", HELLO], ["inspect", "-x=secr!et", HELLO]):
            result = self.tug(*words)
            self.assertEqual(result.code, 1)
            if not case.IS_SKOPEO:
                self.assert_failure(result, text="^unknown flag: -x($| )")
        if not case.IS_SKOPEO:
            for words in (["-xsecr!et", "inspect", HELLO], ["-p", "secr!et", "nonsense"], ["-x", "secr!et", "inspect", HELLO]):
                result = self.assert_failure(self.tug(*words))
                self.assertNotIn("secr!et", result.out + result.err)

    def test_empty_values(self):
        """What a script's --flag "$VAR" gives when there is nothing in the variable: as if the flag were not there."""
        flags = [f"--{name}=" for name in (
            "override-arch", "override-os", "override-variant", "policy", "registries-conf", "registries.d", "tmpdir", "digestfile", "authfile",
            "src-shared-blob-dir", "dest-shared-blob-dir", "dest-compress-format", "src-registry-token", "dest-registry-token", "additional-tag",
            "src-username", "src-password", "src-cert-dir", "dest-cert-dir", "sign-by", "sign-passphrase-file", "sign-by-sigstore-private-key",
            "encryption-key", "decryption-key", "src-daemon-host", "dest-daemon-host")]
        self.assert_success(self.tug("--insecure-policy", "copy", *flags, HELLO, f"dir:{self.temp}/x"))
        for flag in ("--src-creds", "--dest-creds", "--format", "--multi-arch", "--retry-times", "--command-timeout", "--dest-compress-level", "--encrypt-layer"):
            with self.subTest(flag=flag):
                self.assert_failure(self.tug("copy", "--insecure-policy", f"{flag}=", HELLO, f"dir:{self.temp}/y"))
        for flags in (["--src-username=x"], ["--src-username="]):
            self.assert_failure(self.tug("copy", "--insecure-policy", *flags, HELLO, f"dir:{self.temp}/y"))

    @tug_only
    def test_flags_that_are_refused_by_name(self):
        """Those that would make a copy safer must not be ignored."""
        for flags in (["--require-signed"], ["--tls-details", "x"]):
            self.assert_failure(self.tug(*flags, "copy", HELLO, "docker://127.0.0.1:1/x"), text=flags[0])

    @tug_only
    def test_what_skopeo_has_and_tug_has_not(self):
        """Refused by name, not taken for a typing error."""
        for verb in ("standalone-sign", "standalone-verify", "generate-sigstore-key", "untrusted-signature-dump-without-verification",
                     "experimental-image-proxy"):
            self.assert_failure(self.tug(verb, "-o", "x", "a", "b"), text=f"tug does not have skopeo's command {verb}")
        self.assert_failure(self.tug("inspect", "--manifest-digest=sha512", HELLO), text="--manifest-digest is not supported")

    def test_completion_without_descriptions(self):
        """skopeo's flag is taken."""
        self.assertIn("complete", self.assert_success(self.tug("completion", "bash", "--no-descriptions")).out)
        if not case.IS_SKOPEO:
            self.assert_failure(self.tug("completion", "powershell"), text="powershell")

    def test_what_is_not_there(self):
        """The message says what the file was to be."""
        self.assert_failure(self.tug("copy", "--policy=/nowhere", HELLO, f"dir:{self.temp}/x"), text="loading trust policy: .*open /nowhere")
        if not case.IS_SKOPEO:
            result = self.tug("copy", "--insecure-policy", "--dest-daemon-host=unix:///nowhere.sock", HELLO, "docker-daemon:a:b")
            self.assertRegex(result.err, "connecting to /nowhere.sock: No such file or directory")
            self.assertNotIn("docker:80", result.err)

    def test_compression_levels(self):
        """-1 is the default; what a format does not have is said with what it has."""
        for words in (["--dest-compress-level=-1"], ["--dest-compress-level", "-1"]):
            self.assert_success(self.tug("copy", "--insecure-policy", "--dest-compress", *words, HELLO, f"dir:{self.temp}/x"))
        if not case.IS_SKOPEO:
            for level in ("0", "-2", "10", "99"):
                self.assert_failure(self.tug("copy", "--insecure-policy", "--dest-compress", f"--dest-compress-level={level}", HELLO, f"dir:{self.temp}/y"),
                                    text=f"compression level {level} is not one of gzip's: 1 to 9")

    def test_missing_value(self):
        """An option without its value."""
        self.assert_failure(self.tug("copy", HELLO, "docker://127.0.0.1:1/x", "--digestfile"), text="digestfile")

    def test_bad_values(self):
        """Values that are no duration, number or boolean."""
        flags = ["--command-timeout=soon", "--dest-tls-verify=maybe", "--retry-times=some"]
        if not case.IS_SKOPEO:
            flags += ["--image-parallel-copies=-1", "--image-parallel-copies=x", "--retry-delay=later", "--dest-compress-level=high"]
        for flag in flags:
            with self.subTest(flag=flag):
                result = self.tug("copy", flag, HELLO, "docker://127.0.0.1:1/x")
                self.assert_failure(result, text=re.escape(flag.partition("=")[0].lstrip("-")))

    @tug_only
    def test_wrong_number_of_arguments(self):
        """copy takes two, inspect one: exit 1, with the usage on stderr."""
        for arguments in (["copy"], ["copy", HELLO], ["copy", HELLO, "docker://a/b", "docker://c/d"], ["inspect"], ["inspect", "a", "b"]):
            with self.subTest(arguments=arguments):
                result = self.tug(*arguments)
                self.assertEqual((result.code, result.out), (1, ""))
                self.assertRegex(result.err, case.FATAL_LINE)

    def test_optional_boolean_takes_its_value_only_with_an_equals_sign(self):
        """`--dest-tls-verify false` leaves "false" as an argument: one too many."""
        result = self.tug("copy", "--dest-tls-verify", "false", HELLO, "docker://127.0.0.1:1/x")
        self.assertEqual(result.code, 0 if case.IS_SKOPEO else 1)  # Debian's skopeo shows its help instead

    @tug_only
    def test_contradicting_global_flags(self):
        """--insecure-policy excludes --require-signed."""
        result = self.tug("copy", "--insecure-policy", "--require-signed", HELLO, "docker://127.0.0.1:1/x")
        self.assert_failure(result, text="require-signed")

    @tug_only
    def test_a_verb_that_is_not_there_yet(self):
        """Flags that tug knows of skopeo but cannot serve are refused by name, not ignored."""
        for flag in ("--sign-by=x", "--encryption-key=jwe:x", "--dest-compress-format=zstd:chunked"):
            with self.subTest(flag=flag):
                result = self.tug("copy", flag, HELLO, "docker://127.0.0.1:1/x", "--retry-times=0")
                self.assertEqual(result.code, 1)
                self.assertRegex(result.message(), re.escape(flag.partition("=")[0].lstrip("-")) + "|zstd:chunked")


@registry_for_class()
class Order(SystemTest):
    """Options may stand before the verb, after it, between the arguments and behind them."""

    def test_positions(self):
        """GNU style: --opt=value, --opt value, mixed with arguments; global options on both sides of the verb."""
        destination = f"docker://{self.registry.address}/order"
        lines = [["copy", "--dest-tls-verify=false", HELLO, destination + ":1"],
                 ["copy", HELLO, "--dest-tls-verify=false", destination + ":2"],
                 ["copy", HELLO, destination + ":3", "--dest-tls-verify=false"],
                 ["--insecure-policy", "--command-timeout", "60s", "copy", "--dest-tls-verify=false", HELLO, destination + ":4"],
                 ["copy", "--insecure-policy", "--command-timeout=1m30s", "--dest-tls-verify=false", HELLO, destination + ":5"],
                 ["copy", "--dest-tls-verify=0", "-q", "--", HELLO, destination + ":6"],
                 ["copy", "--dest-tls-verify=f", "--override-os", "linux", HELLO, destination + ":7"]]
        for number, arguments in enumerate(lines, 1):
            with self.subTest(arguments=arguments):
                self.assert_success(self.tug(*arguments))
                self.assertIn(str(number), self.registry.tags("order"))

    def test_relative_paths(self):
        """oci: paths are relative to the working directory."""
        self.assert_success(self.tug("copy", "--dest-tls-verify=false", "oci:hello:1.0",
                                     f"docker://{self.registry.address}/relative:1", cwd=FIXTURES))

    def test_default_tag(self):
        """No tag means latest."""
        self.assert_success(self.tug("copy", "--dest-tls-verify=false", HELLO, f"docker://{self.registry.address}/untagged"))
        self.assertEqual(set(self.registry.tags("untagged")), {"latest"})

    def test_localhost(self):
        """localhost:PORT is a host, not a Docker Hub path."""
        port = self.registry.address.rpartition(":")[2]
        self.assert_success(self.tug("copy", "--dest-tls-verify=false", HELLO, f"docker://localhost:{port}/named:1"))
        self.assertEqual(set(self.registry.tags("named")), {"1"})


@registry_for_class()
class Inspect(SystemTest):
    """tug inspect beside skopeo inspect, for the same image."""

    def setUp(self):
        super().setUp()
        self.pushed = f"docker://{self.registry.address}/inspected"
        self.skopeo("copy", "--dest-tls-verify=false", HELLO, self.pushed + ":1")
        self.skopeo("copy", "--dest-tls-verify=false", HELLO, self.pushed + ":2")
        self.skopeo("copy", "--all", "--dest-tls-verify=false", f"oci:{FIXTURES}/multi:all", self.pushed + "-multi:1")
        self.skopeo("copy", "--dest-tls-verify=false", f"oci:{FIXTURES}/artifact:chart", self.pushed + "-chart:1")

    def both(self, *arguments):
        return self.assert_success(self.tug("inspect", *arguments)).out, self.skopeo("inspect", *arguments).out

    def test_raw(self):
        """--raw: the manifest's bytes and not one more, from a registry and from a layout."""
        for name, reference in (("hello:1.0", self.pushed + ":1"), ("multi:all", self.pushed + "-multi:1"),
                                ("artifact:chart", self.pushed + "-chart:1")):
            layout, descriptor = fixture(name)
            ours = self.assert_success(self.tug("inspect", "--raw", "--tls-verify=false", reference)).out
            self.assertEqual(ours.encode(), layout.read(descriptor))
            ours = self.assert_success(self.tug("inspect", "--raw", self.source(name))).out
            self.assertEqual(ours.encode(), layout.read(descriptor))

    def test_raw_config(self):
        """--config --raw: the config's bytes."""
        layout, descriptor = fixture("hello:1.0")
        config = layout.read(layout.read_json(descriptor)["config"])
        for arguments in (["--tls-verify=false", self.pushed + ":1"], [HELLO]):
            ours, theirs = self.both("--config", "--raw", *arguments)
            self.assertEqual(ours.encode(), config)
            self.assertEqual(theirs.encode(), config)

    def test_config(self):
        """--config: the OCI view, indented as skopeo does it, to the byte."""
        for arguments in (["--tls-verify=false", self.pushed + ":1"], [HELLO]):
            ours, theirs = self.both("--config", *arguments)
            self.assertEqual(ours, theirs)

    def test_default(self):
        """The fields and values of skopeo's JSON; those that 1.9.3 does not have yet are as cli-surface A.4 tells."""
        for arguments in (["--tls-verify=false", self.pushed + ":1"], [HELLO],
                          ["--tls-verify=false", self.pushed + "-multi:1"], ["--tls-verify=false", "--override-arch=arm64", self.pushed + "-multi:1"]):
            with self.subTest(arguments=arguments):
                ours, theirs = map(json.loads, self.both(*arguments))
                layers_data = ours.pop("LayersData", None)
                ours.pop("Tag", None)
                self.assertEqual(ours, theirs)
                if not case.IS_SKOPEO:
                    self.assertEqual([layer["Digest"] for layer in layers_data], theirs["Layers"])

    @tug_only
    def test_order_and_form_of_the_default(self):
        """Names in skopeo's order, four spaces of indent, <, > and & escaped, a newline at the end."""
        out = self.assert_success(self.tug("inspect", "--tls-verify=false", self.pushed + ":1")).out
        names = re.findall(r'^    "(\w+)":', out, re.MULTILINE)
        self.assertEqual(names, ["Name", "Tag", "Digest", "RepoTags", "Created", "DockerVersion", "Labels", "Architecture", "Os", "Layers",
                                 "LayersData", "Env"] if "Tag" in names else
                         ["Name", "Digest", "RepoTags", "Created", "DockerVersion", "Labels", "Architecture", "Os", "Layers", "LayersData",
                          "Env"])
        self.assertIn(r'"\u003ca\u003e \u0026 \"b\""', out)
        self.assertTrue(out.startswith("{\n    ") and out.endswith("}\n"))
        self.assertEqual(sorted(json.loads(out)["RepoTags"]), ["1", "2"])
        layout, descriptor = fixture("hello:1.0")
        expected = [{"MIMEType": layer["mediaType"], "Digest": layer["digest"], "Size": layer["size"], "Annotations": None}
                    for layer in layout.read_json(descriptor)["layers"]]
        self.assertEqual(json.loads(out)["LayersData"], expected)

    @tug_only
    def test_no_tags(self):
        """-n: RepoTags is an empty list, and the registry is not asked for tags."""
        before = len(self.registry.requests())
        for flag in ("-n", "--no-tags"):
            out = self.assert_success(self.tug("inspect", flag, "--tls-verify=false", self.pushed + ":1")).out
            self.assertEqual(json.loads(out)["RepoTags"], [])
        self.assertFalse(any("/tags/" in request.path for request in self.registry.requests()[before:]))

    def test_by_digest(self):
        """NAME@DIGEST."""
        _, descriptor = fixture("hello:1.0")
        ours, theirs = self.both("--raw", "--tls-verify=false", f"{self.pushed}@{descriptor['digest']}")
        self.assertEqual(ours, theirs)

    def test_default_instance(self):
        """Of an index: the index's digest, the layers of this platform's instance."""
        out = self.assert_success(self.tug("inspect", "--tls-verify=false", self.pushed + "-multi:1")).out
        document = json.loads(out)
        self.assertEqual(document["Digest"], fixture("multi:all")[1]["digest"])
        self.assertEqual(document["Architecture"], HOST_ARCHITECTURE)

    @tug_only
    def test_docker_schema_2(self):
        """A Docker image's config, from the layout."""
        out = self.assert_success(self.tug("inspect", f"oci:{FIXTURES}/docker-v2s2:image")).out
        self.assertEqual(json.loads(out)["Architecture"], "amd64")

    def test_artifact(self):
        """What is no image has no such view: an error that names the type; --raw works."""
        result = self.tug("inspect", "--tls-verify=false", self.pushed + "-chart:1")
        self.assert_failure(result, text=re.escape("application/vnd.cncf.helm.config.v1+json"))

    @tug_only
    def test_not_there(self):
        """A tag that is not there: exit 2. A repository that is not there: exit 2 as well."""
        self.assert_failure(self.tug("inspect", "--tls-verify=false", self.pushed + ":none"), code=2, text="none")
        self.assert_failure(self.tug("inspect", "--tls-verify=false", self.pushed + "-none:1"), code=2, text="none")
        self.assert_failure(self.tug("inspect", f"oci:{FIXTURES}/hello:none"), code=2, text="none")

    @tug_only
    def test_a_tag_that_is_nearly_there(self):
        """A typing error gets the tag that was meant, from a registry by one question and from a layout; also when it is copied."""
        self.skopeo("copy", "--dest-tls-verify=false", HELLO, self.pushed + "-typed:release-1.0")
        meant = rf"did you mean {re.escape(self.pushed.partition('//')[2])}-typed:release-1\.0\?"
        destination = "docker://127.0.0.1:1/x"
        for arguments in (["inspect", "--no-tags", "--tls-verify=false"], ["copy", "--src-tls-verify=false"]):
            before = len(self.registry.requests())
            rest = [destination] if arguments[0] == "copy" else []
            self.assert_failure(self.tug(*arguments, self.pushed + "-typed:relaese-1.0", *rest), code=2, text=meant)
            self.assertEqual(sum("/tags/list" in request.path for request in self.registry.requests()[before:]), 1)
        self.assert_failure(self.tug("inspect", f"oci:{FIXTURES}/hello:1.00"), code=2, text='did you mean "1.0"')

    @tug_only
    def test_damaged_layout(self):
        """inspect checks digests too: of the manifest and of the config."""
        layout = Layout(shutil.copytree(FIXTURES / "hello", self.temp / "hello"))
        descriptor = layout.descriptor()
        for blob in (layout.read_json(descriptor)["config"], descriptor):
            path = layout.blob_path(blob["digest"])
            path.write_bytes(path.read_bytes().replace(b"sha256", b"sha265", 1))
            self.assert_failure(self.tug("inspect", "--config", f"oci:{layout.path}"), text=blob["digest"].partition(":")[2])


if __name__ == "__main__":
    case.main()
