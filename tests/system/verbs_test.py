"""The verbs beside copy: the same command lines with Debian's skopeo and with tug, against the same registry.

Compared are the exit code, standard output, and what standard error says (a pattern that both must match; tug's failures are one
fatal line). Debian's skopeo is 1.9.3: what tug has of a later one, and where it differs otherwise, is a row of `DIFFERENCES`.
"""

import base64
import json
import pathlib
import re
import shutil
import sys
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import case, layouts  # noqa: E402
from support.case import FIXTURES, IS_SKOPEO, SystemTest, fixture, registry_for_class, sanitizer, tug_only  # noqa: E402
from support.docker_daemon import DockerDaemon  # noqa: E402
from support.layouts import Layout, digest_of  # noqa: E402
from support.loopback_server import Handler, LoopbackServer  # noqa: E402
from support.registry import Registry  # noqa: E402
from support.stores import Store  # noqa: E402
from support.token_server import TokenServer, User  # noqa: E402
from support.trees import tree  # noqa: E402

HELLO = f"oci:{FIXTURES}/hello:1.0"
NO_DIGEST = "sha256:" + "1" * 64

# Templates of which both print the same.
SAME = r"""
{{.Digest}}
{{.Name}}|{{.Tag}}
{{.Created}}
{{.Labels}}
{{.Layers}}
{{.Env}}
{{.RepoTags}}
{{.Os}}/{{.Architecture}}
{{.DockerVersion}}|
{{.Labels.foo}}
{{.Labels.foo.bar}}
{{.Labels.note}}
{{index .Labels "x"}}
{{index .Labels "org.opencontainers.image.title"}}
{{index .Layers 0}}
{{index .Labels}}
{{(index .Layers 0)}}
{{slice .Os 1 2}}
{{slice .Os 1}}
{{slice .Layers 1 2}}
{{index .Os 0}}
{{range .Layers}}{{.}};{{end}}
{{range $i, $v := .Layers}}{{$i}}{{end}}
{{range $i := .Layers}}{{len $i}} {{end}}
{{range $i, $e := .Env}}{{if $i}},{{end}}{{$e}}{{end}}
{{range $k, $v := .Labels}}{{$k}}={{$v}};{{else}}none{{end}}
{{range .RepoTags}}a{{else}}none{{end}}
{{range .Layers}}{{break}}{{end}}
{{range .Layers}}{{continue}}x{{end}}ok
{{range .Labels.foo}}a{{else}}b{{end}}
{{$x := .Os}}{{$x}}{{$x = "y"}}{{$x}}
{{$x := 1}}{{range .Layers}}{{$x = 2}}{{end}}{{$x}}
{{$a := 1}}{{if true}}{{$a := 2}}{{$a}}{{end}}{{$a}}
{{$a := 1}}{{$b := $a}}{{$b}}
{{$x := .Labels.foo}}{{$x}}
{{with .Os}}{{.}}{{end}}
{{with $x := .Os}}{{$x}}{{else}}no{{end}}
{{with .Labels.foo}}a{{else}}b{{end}}
{{with 0}}a{{end}}|
{{if and .Os (eq .Os "linux")}}A{{else if .Name}}B{{else}}C{{end}}
{{if .Tag}}A{{else if .Os}}B{{else}}C{{end}}
{{if not (eq .Os "x")}}y{{end}}
{{if .Labels}}y{{end}}{{if .RepoTags}}n{{end}}
{{- /* c */ -}} a
{{/* a */}}{{/* b */ -}} z
{{.Os}}  {{- "x" -}}   y
{{len .Layers}} {{len .Os}} {{len .Labels}}
{{len "é"}}
{{ .Layers | len }}
{{.Os|len|printf "%03d"}}
{{print .Os | len}}
{{.Os | printf "%s-%s" "a"}}
{{ "x" | printf "%s" | printf "%q" }}
{{eq .Os "linux" "b"}}
{{eq 1 1 2}}
{{eq .Digest "x"}}
{{eq .Created .Created}}
{{eq .Labels.foo "x"}}
{{eq "x" .Labels.foo}}
{{eq nil nil}}
{{ne 1 2}} {{le 1 1}} {{gt "b" "a"}} {{ge 1 2}} {{lt 1 2}}
{{ge .Os "k"}}
{{and .Os .Tag}}|{{or .Tag .Os}}|{{not .Tag}}
{{and 1 0 2}}
{{or 0 ""}}
{{or .Labels.foo "d"}}
{{not .Labels.foo}}
{{print 1 2 "a" "b" 3}}
{{print .Layers .Os 1 1}}
{{print .Labels.foo}}
{{print nil}}
{{println 1 "a"}}
{{println .Layers .Os}}
{{printf "%v %v" .Env .Labels}}
{{printf "%q" .Layers}}
{{printf "%q" .Labels}}
{{printf "%d" .Layers}}
{{printf "%s" .Created}}
{{printf "%d" .Os}}
{{printf "%s" 1 2}}
{{printf "%s %d" .Os}}
{{printf "%5.2s|" .Os}}
{{printf "%6s|%-6s|" "é" "é"}}
{{printf "%10s|%-10s|%5d|%05d|%x|%t|%+v" "a" "b" 1 2 "abc" true 3}}
{{printf "%x %X %+d" 255 255 5}}
{{printf "%s" true}}
{{printf "%d" true}}
{{printf "%t" 1}}
{{printf "%T" .Layers}}
{{printf "%T %v %q %s %d" .Created .Layers .Os .Os 3}}
{{printf "%v" nil}}
{{printf "%s|%v" .Labels.foo .Labels.foo}}
{{printf "%%"}}
{{printf "%"}}
{{'a'}} {{'\\'}} {{'é'}}
{{1}} {{+1}} {{-1}} {{0b11}} {{0o17}} {{017}} {{0x1F}} {{1_000}}
{{true}}
{{"a\"b\x41\u00e9"}}
{{`raw "x"`}}
{{(len .Os)}} {{((len .Os))}}
{{.Digest.Algorithm}} {{.Digest.String}} {{.Digest.Encoded}} {{.Digest.Hex}}
{{.Created.Year}} {{.Created.Unix}} {{.Created.String}}
{{.Created.Format "2006-01-02"}}
{{.Created.Format "Mon Jan _2 15:04:05 2006"}}
{{.Created.Format "Monday, 2 January 06 03:04PM -07:00 MST .000"}}
{{.Os}}\n{{.Os}}
a\\b
a}}b
plain text
json .
""".strip().split("\n") + ["{{`raw\nx`}}", "{{if .Os\n}}a{{\nend}}"]

# Templates that both refuse: (template, what both say of it).
REFUSED = [
    ("{{if .Os}}", "EOF|no {{end}}"),
    ("{{range .Layers}}x", "EOF|no {{end}}"),
    ("{{.Digest}}{{end}}", "unexpected {{end}}"),
    ("{{if .Os}}a{{else}}b{{else}}c{{end}}", "else"),
    ("{{nofunc .}}", 'function "nofunc" not defined'),
    ("{{.  Os}}", 'function "Os" not defined'),
    ("{{", "unexpected|no }}"),
    ("{{.Os}", "bad character|unexpected"),
    ("{{.Os.}}", "unexpected"),
    ("{{.Os\"a\"}}", "bad character|unexpected"),
    ("{{ /* x */ }}", "unexpected"),
    ("{{/* c }}", "comment"),
    ("{{\"abc}}", "string"),
    ("{{`abc}}", "string"),
    ("{{|.Os}}", "unexpected|missing"),
    ("{{()}}", "missing"),
    ("{{if}}x{{end}}", "if"),
    ("{{nil}}", "nil is not a command"),
    ("{{$y}}", r"variable.*\$y"),
    ("{{$a = 1}}", r"variable.*\$a"),
    ("{{if $x := .Os}}{{$x}}{{end}}{{$x}}", r"variable.*\$x"),
    ("{{.Foo}}", "field.* Foo"),
    ("{{.os}}", "field.* os"),
    ("{{.Os.Foo}}", "can't evaluate field Foo in type string"),
    ("{{.Layers.Foo}}", r"can't evaluate field Foo in type \[\]string"),
    ("{{.Created.Foo}}", r"can't evaluate field Foo in type \*time.Time"),
    ("{{.Digest.Foo}}", "can't evaluate field Foo in type digest.Digest"),
    ("{{$.Os}}", r"can't evaluate field Os in type \[\]interface {}"),
    ("{{(index .Layers 0).Foo}}", "can't evaluate field Foo in type string"),
    ("{{.Labels \"x\"}}", "arguments"),
    ("{{.Os .Name}}", "Os has arguments"),
    ("{{.Os | .Name}}", "Name has arguments"),
    ("{{\"a\" \"b\"}}", "argument"),
    ("{{\"x\" | \"y\"}}", "executable|function"),
    ("{{index .Layers 10}}", "index out of range: 10"),
    ("{{index .Layers -1}}", "index out of range: -1"),
    ("{{index .Layers \"a\"}}", "cannot index.* with type string"),
    ("{{index 3 1}}", "can't index item of type int"),
    ("{{index .Labels nil}}", "string"),
    ("{{slice .Os 3 2}}", "invalid slice index: 3 > 2"),
    ("{{slice .Os 1 20}}", "out of range: 20"),
    ("{{len 3}}", "len of type int"),
    ("{{len .Labels.foo}}", "len"),
    ("{{not}}", "wrong number of args for not: want 1 got 0"),
    ("{{and}}", "args? for and|and needs"),
    ("{{printf}}", "wrong number of args for printf: want at least 1 got 0"),
    ("{{eq 1}}", "arg"),
    ("{{eq .Os 1}}", "incompatible types for comparison"),
    ("{{eq true .Os}}", "incompatible types for comparison"),
    ("{{lt \"a\" 1}}", "incompatible types for comparison"),
    ("{{eq .Labels .Labels}}", r"non-comparable type .*map\[string\]string"),
    ("{{range 3}}{{.}}{{end}}", "range can't iterate over 3"),
    ("{{range .Os}}{{.}}{{end}}", "range can't iterate over linux"),
    ("{{call .Os}}", "call"),
    ("{{define \"x\"}}hi{{end}}", "define"),
]

SAME_CONFIG = r"""
{{.OS}} {{.Architecture}}|{{.Variant}}|{{.Author}}
{{.Created}}
{{.Config}}
{{.Config.Cmd}} {{.Config.Env}} {{.Config.User}} {{.Config.WorkingDir}}
{{.Config.Entrypoint}}|{{.Config.StopSignal}}|{{.Config.Volumes}}|{{.Config.ExposedPorts}}
{{.Config.Labels.note}}
{{.RootFS.Type}} {{len .RootFS.DiffIDs}} {{index .RootFS.DiffIDs 0}}
{{(index .RootFS.DiffIDs 0).Hex}}
{{range .History}}{{.CreatedBy}}:{{.EmptyLayer}} {{end}}
{{range .History}}{{.Created.Unix}} {{.Author}}{{.Comment}}{{end}}
{{if .Config.Entrypoint}}e{{else}}c{{end}}
{{.}}
{{printf "%v" .RootFS}}
json
{{json .}}
""".strip().split("\n")

# Where tug does not what skopeo 1.9.3 does: (arguments of inspect, tug's exit code, tug's output or what it says, the reason).
HELLO_LAYERS = [entry["digest"] for entry in Layout(FIXTURES / "hello").read_json(Layout(FIXTURES / "hello").descriptor("1.0"))["layers"]]
DIFFERENCES = [
    ("{{len .LayersData}}", 0, "3\n", "later versions of skopeo have LayersData"),
    ("{{(index .LayersData 1).Size}}", 0, "44041\n", "the same"),
    ("{{(index .LayersData 0).MIMEType}}", 0, "application/vnd.oci.image.layer.v1.tar+gzip\n", "the same"),
    ("{{join .Layers \",\"}}", 0, ",".join(HELLO_LAYERS) + "\n", "later versions have this function"),
    ("{{json .Labels}}", 0, '{"note":"<a> & \\"b\\"","org.opencontainers.image.title":"hello"}\n', "the same"),
    ("{{json .Env}} {{json .Name}}", 0, '["PATH=/usr/bin:/bin"] ""\n', "the same"),
    ("{{upper .Os}} {{lower \"ABC\"}} {{title \"ab cd\"}}", 0, "LINUX abc Ab Cd\n", "the same"),
    ("{{range split \"a,b\" \",\"}}{{.}};{{end}}", 0, "a;b;\n", "the same"),
    ("{{pad .Os 1 2}}|{{truncate .Os 3}}", 0, " linux  |lin\n", "the same"),
    ("{{range .}}{{.Os}}{{end}}", 0, "linux\n", "later versions take a range over all themselves"),
    ("{{'\\n'}} {{printf \"a\\nb\"}}", 0, "10 a\nb\n", "1.9.3 puts the line end there itself, before it reads the template"),
    ("{{.Os}}\\tx", 0, "linux\tx\n", "1.9.3 prints no line that has a tab; later versions do"),
    ("table {{.Os}} {{.Architecture}}", 0, "linux       amd64\n", "the same"),
    ("table {{.Os}}\\t{{.Architecture}}\\nx\\tyy", 0, "linux       amd64\nx           yy\n", "the same"),
    ("{{.Os -}}", 0, "linux", "1.9.3 prints nothing without a line end; later versions do"),
    ("{{html .Os}}", 1, "the function html is not supported", "nobody makes web pages of it"),
    ("{{urlquery .Os}}", 1, "the function urlquery is not supported", "the same"),
    ("{{js .Os}}", 1, "the function js is not supported", "the same"),
    ("{{block \"x\" .}}b{{end}}", 1, "block is not supported", "templates in templates are not needed in one line"),
    ("{{printf \"%z\" 1}}", 1, "printf: %z is not supported", "Go prints %!z(int=1), which nobody wants"),
    ("{{printf \"%*d\" 5 1}}", 1, r"printf: %\* is not supported", "rare"),
    ("{{printf \"%q\" 65}}", 1, "printf: %q of a number is not supported", "rare"),
    ("{{break}}", 1, "break stands outside of a range", "skopeo's own range is not the user's"),
    ("{{else}}", 1, "unexpected {{else}}", "the same"),
    ("{{1.5}}", 1, "1.5 is no whole number", "rare"),
    ("{{.Created.Month}}", 1, "can't evaluate field Month", "rare; Format says it"),
    ("{{.Architecure}}", 1, "did you mean Architecture", "skopeo does not say it"),
]


def without_layers_data(text):
    """tug's JSON without the field that Debian's skopeo does not have yet."""
    return re.sub(r'    "LayersData": (null|\[\n.*?\n    \]),\n', "", text, flags=re.S)


@registry_for_class()
class VerbsTest(SystemTest):
    def copy_all(self, repository, *tags, layout="hello:1.0"):
        for tag in tags:
            self.assert_success(self.copy(layout, f"{self.registry.address}/{repository}:{tag}", "--dest-tls-verify=false", "--all"))
        return f"docker://{self.registry.address}/{repository}"

    def compare(self, *arguments, says=None, edit=lambda text: text):
        """Both on the same command line; `says`: both fail, and say this."""
        theirs = self.tug(*arguments, program="skopeo")
        ours = self.tug(*arguments)
        both = f"{theirs}\n---------- tug:\n{ours}"
        self.assertEqual(ours.code, theirs.code, both)
        self.assertEqual(edit(ours.out), theirs.out, both)
        if says is None:
            self.assertEqual((ours.code, ours.err), (0, ""), both)
        else:
            self.assertNotEqual(ours.code, 0, both)
            self.assertRegex(theirs.message() or theirs.err, f"(?i){says}", both)
            if not IS_SKOPEO:
                self.assert_failure(ours, text=f"(?i){says}", code=theirs.code)
        return ours

    # ---- layers

    def test_layers(self):
        """The directory of either program: what is in it, who may read it, and what is said."""
        layout, descriptor = fixture("hello:1.0")
        layer = layout.read_json(descriptor)["layers"][0]["digest"]
        short = layer.removeprefix("sha256:")
        nothing = "sha256:" + 64 * "0"
        for arguments, code in (([HELLO], 0), ([HELLO, layer], 0), ([HELLO, short, layer], 0), ([f"oci:{FIXTURES}/multi:all"], 0), ([], 1), ([HELLO, "sha256:00"], 1)):
            with self.subTest(arguments):
                trees = []
                for program in ("skopeo", None):
                    result = self.tug("--insecure-policy", "layers", *arguments, program=program)
                    self.assertEqual((result.code, result.out), (code, ""), str(result))
                    self.assertEqual(result.err.splitlines()[0], "DEPRECATED: skopeo layers is deprecated in favor of skopeo copy")
                    made = list(self.temp.glob("layers-*"))
                    self.assertEqual(len(made), code == 0, made)
                    for directory in made:
                        trees.append((oct(directory.stat().st_mode), tree(directory)))
                        shutil.rmtree(directory)
                self.assertEqual(trees[1:], trees[:1] if code == 0 else [])
        if not IS_SKOPEO:
            self.assertEqual(self.tug("layers", HELLO, nothing).code, 1)
            self.assertEqual(list(self.temp.glob("layers-*")), [])

    # ---- inspect

    def test_templates(self):
        for template in SAME:
            with self.subTest(template):
                self.compare("inspect", "--format", template, HELLO)

    def test_templates_refused(self):
        for template, says in REFUSED:
            with self.subTest(template):
                self.compare("inspect", "-f", template, HELLO, says=says)

    def test_templates_of_the_configuration(self):
        for template in SAME_CONFIG:
            for image in (HELLO, f"oci:{FIXTURES}/multi:all"):
                with self.subTest(template, image=image):
                    self.compare("inspect", "--config", "--format", template, image)
        for template, says in (("{{.os}}", "field.* os"), ("{{.Digest}}", "field.* Digest"), ("{{.Config.Foo}}", "field.* Foo")):
            with self.subTest(template):
                self.compare("inspect", "--config", "--format", template, HELLO, says=says)

    @tug_only
    def test_templates_that_differ(self):
        for template, code, expected, _ in DIFFERENCES:
            with self.subTest(template):
                result = self.tug("inspect", "--format", template, HELLO)
                if code == 0:
                    self.assert_success(result)
                    self.assertEqual(result.out, expected)
                else:
                    self.assert_failure(result, text=expected)
                    self.assertEqual(result.out, "")
                theirs = self.tug("inspect", "--format", template, HELLO, program="skopeo")
                self.assertNotEqual((theirs.code, theirs.out, theirs.code and theirs.err), (code, result.out, code and result.err))

    def test_json(self):
        for template in ("json", " json ", "{{json}}", "{{json .}}", " {{ json . }} ", ""):
            with self.subTest(template):
                self.compare("inspect", "--format", template, HELLO, edit=without_layers_data)

    def test_raw(self):
        for image in (HELLO, f"oci:{FIXTURES}/multi:all"):
            with self.subTest(image):
                self.compare("inspect", "--raw", image)
                self.compare("inspect", "--raw", "--config", image)
                self.compare("inspect", "--config", image)
                self.compare("inspect", image, edit=without_layers_data)
        self.compare("inspect", "--raw", "--format", "{{.}}", HELLO, says="raw output does not support format option")
        self.compare("inspect", "--raw", "--config", "-f", "json", HELLO, says="raw output does not support format option")

    def test_registry(self):
        repository = self.copy_all("inspected", "v1", "v2")
        self.copy_all("inspected", "many", layout="multi:all")
        self.copy_all("inspected", "docker", layout="docker-v2s2:image")
        for image in ("v1", "many", "docker"):
            for flags in ((), ("-n",), ("--no-tags",), ("--raw",), ("--config",)):
                with self.subTest(image, flags=flags):
                    self.compare("inspect", "--tls-verify=false", *flags, f"{repository}:{image}", edit=without_layers_data)
        for template in ("{{.Name}}", "{{.RepoTags}}", "{{range .RepoTags}}{{.}} {{end}}", "{{.Name}}@{{.Digest}}", "{{len .RepoTags}}"):
            with self.subTest(template):
                self.compare("inspect", "--tls-verify=false", "--format", template, f"{repository}:v1")
        if not IS_SKOPEO:  # 1.9.3 exits with 1, later versions with 2
            self.assert_failure(self.tug("inspect", "--tls-verify=false", "-f", "{{.Digest}}", f"{repository}:missing"), code=2)

    def test_names(self):
        """Every transport whose references may have a name prints it; an ID or a path is none."""
        store = Store(self.temp / "store", "vfs")
        store.run("skopeo", "copy", "-q", "--insecure-policy", HELLO, f"{store.place}app:1")
        (record,) = store.records()
        archive = self.temp / "app.tar"
        self.skopeo("--insecure-policy", "copy", "-q", HELLO, f"docker-archive:{archive}:app:1")
        with DockerDaemon(self.temp) as daemon:
            daemon.load(archive.read_bytes())
            (image_id,) = (name for name in daemon.images if name.startswith("sha256:"))
            for image, name in (
                (f"{store.place}app:1", "docker.io/library/app"), (f"{store.place}app@{record['digest']}", "docker.io/library/app"),
                (f"{store.place}app:1@{record['id']}", "docker.io/library/app"), (f"{store.place}@{record['id']}", ""),
                (f"{store.place}{record['id'][:12]}", ""), (f"docker-archive:{archive}:app:1", "docker.io/library/app"),
                (f"docker-archive:{archive}", ""), (f"docker-archive:{archive}:@0", ""), ("docker-daemon:app:1", "docker.io/library/app"),
                (f"docker-daemon:{image_id}", ""), (HELLO, ""),
            ):
                with self.subTest(image):
                    flags = ("--daemon-host", daemon.host) if image.startswith("docker-daemon:") else ()
                    self.compare("inspect", *flags, image, edit=without_layers_data)
                    self.assertEqual(self.compare("inspect", *flags, "--format", "{{.Name}}", image).out, f"{name}\n")

    # ---- list-tags

    def test_list_tags(self):
        repository = self.copy_all("tagged/app", "v10", "v2", "1.0", "A_b.C-d")
        self.compare("list-tags", "--tls-verify=false", repository)
        self.compare("list-tags", "--tls-verify=false", "--no-creds", repository)
        self.compare("list-tags", repository, "--tls-verify=false")
        self.compare("list-tags", "--tls-verify=false", "--retry-times", "0", repository)
        self.compare("list-tags", "--tls-verify=false", f"{repository}:v2", says="tag or (a )?digest")
        self.compare("list-tags", "--tls-verify=false", f"{repository}@{NO_DIGEST}", says="tag or (a )?digest")
        self.compare("list-tags", "--tls-verify=false", f"{repository}-missing", says="404")
        self.compare("list-tags", "--tls-verify=false", "--retry-times", "0", "docker://127.0.0.1:1/app", says="connect")
        self.compare("list-tags", f"oci:{FIXTURES}/hello", says="Unsupported transport 'oci' for tag listing. Only supported: docker")
        self.compare("list-tags", "dir:/tmp", says="Unsupported transport 'dir' for tag listing. Only supported: docker")
        self.compare("list-tags", f"docker://{self.registry.address}/UPPER", says="lower.?case")
        self.compare("list-tags", "docker://", says="reference|name")
        self.compare("list-tags", "hello", says="transport")
        self.compare("list-tags", "--no-such-flag", repository, says="unknown flag: --no-such-flag")
        self.compare("list-tag", repository, says="list-tags")  # did you mean

    @tug_only
    def test_list_tags_that_differ(self):
        for arguments in ((), ("docker://a.example/a", "docker://a.example/b")):
            self.assert_failure(self.tug("list-tags", *arguments), text="list-tags takes exactly 1 argument")
            self.assertIn("Usage:", self.tug("list-tags", *arguments, program="skopeo").out)  # 1.9.3 prints its help, and exits with 0

    def test_list_tags_of_an_emptied_repository(self):
        repository = self.copy_all("emptied", "v1")
        self.skopeo("delete", "--tls-verify=false", f"{repository}:v1")
        self.compare("list-tags", "--tls-verify=false", repository)

    def test_list_tags_pages(self):
        with PagedTags(pages=3, per_page=4) as server:
            result = self.compare("list-tags", "--tls-verify=false", f"docker://{server.address}/paged")
            self.assertEqual(len(result.json()["Tags"]), 12)

    @tug_only
    def test_list_tags_that_fail_midway(self):
        """Nothing of the list is printed when not all of it came."""
        with PagedTags(pages=3, per_page=4, broken_from=2) as server:
            result = self.tug("list-tags", "--tls-verify=false", "--retry-times", "0", f"docker://{server.address}/paged")
            self.assert_failure(result, text="listing the tags of")
            self.assertEqual(result.out, "")
        with PagedTags(pages=3, per_page=4, circle=True) as server:
            result = self.tug("list-tags", "--tls-verify=false", f"docker://{server.address}/paged")
            self.assert_failure(result, text="sends pages without an end")
            self.assertEqual(result.out, "")

    @tug_only
    def test_list_tags_without_number(self):
        """More tags than would be kept in memory: they go out as they come."""
        pages, per_page = 40, 20_000
        with PagedTags(pages=pages, per_page=per_page, length=100) as server:
            measure = ("import os, resource, subprocess, sys\n"
                       "code = subprocess.run(sys.argv[2:], stdout=open(sys.argv[1], 'wb')).returncode\n"
                       "print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n")
            out = self.temp / "tags.json"
            result = self.assert_success(self.tug("-c", measure, out, case.TUG, "list-tags", "--tls-verify=false",
                                                  f"docker://{server.address}/paged", program=sys.executable, timeout=600))
        code, kilobytes = map(int, result.out.split())
        self.assertEqual(code, 0, result.err)
        self.assertGreater(out.stat().st_size, 80_000_000)
        tags = json.loads(out.read_bytes())["Tags"]
        self.assertEqual((len(tags), tags[0], tags[-1]), (pages * per_page, server.tag(0), server.tag(pages * per_page - 1)))
        if not sanitizer():
            self.assertLess(kilobytes, 64 * 1024)

    # ---- delete

    def test_delete(self):
        """Each in a repository of its own; the digest goes, and with it its other tag."""
        for program in ("skopeo", None):
            name = f"deleted/by-{program or 'tug'}"
            repository = self.copy_all(name, "v1", "same")
            self.copy_all(name, "other", layout="docker-v2s2:image")
            result = self.assert_success(self.tug("delete", "--tls-verify=false", f"{repository}:v1", program=program))
            self.assertEqual((result.out, result.err), ("", ""))
            self.assertEqual(list(self.registry.tags(name)), ["other"])
            digest = self.registry.tags(name)["other"]
            self.assert_success(self.tug("delete", "--tls-verify=false", f"{repository}@{digest}", program=program))
            self.assertEqual(self.registry.get(f"/v2/{name}/manifests/{digest}")[0], 404)
            self.copy_all(name, "many", layout="multi:all")
            self.assert_success(self.tug("delete", f"{repository}:many", "--tls-verify=false", program=program))
            self.assertEqual(list(self.registry.tags(name)), [])

    def test_delete_refused(self):
        repository = self.copy_all("kept", "v1")
        self.compare("delete", "--tls-verify=false", f"{repository}:missing", says="Image may not exist|manifest unknown")
        self.compare("delete", "--tls-verify=false", repository, says="Image may not exist|manifest unknown")  # latest
        self.compare("delete", "--tls-verify=false", f"{repository}@{NO_DIGEST}", says="Image may not exist|unknown")
        self.compare("delete", "--tls-verify=false", f"{repository}-not:v1", says="Image may not exist|unknown")
        self.compare("delete", "--tls-verify=false", "--retry-times", "0", "docker://127.0.0.1:1/app:v1", says="connect")
        self.compare("delete", f"oci:{FIXTURES}/hello:1.0", says="Deleting images not implemented for oci: images")
        self.compare("delete", "dir:/tmp", says="Deleting images not implemented for dir: images")
        self.compare("delete", says="delete")
        self.compare("delete", repository, repository, says="delete")
        self.compare("delete", "hello", says="transport")
        self.compare("delete", f"docker://{self.registry.address}/UPPER:v1", says="lower.?case")
        self.compare("delete", "--no-such-flag", repository, says="unknown flag: --no-such-flag")
        self.assertEqual(list(self.registry.tags("kept")), ["v1"])

    def test_delete_where_nothing_is_deleted(self):
        with Registry(self.temp / "registry", environment={"REGISTRY_STORAGE_DELETE_ENABLED": "false"}) as registry:
            self.assert_success(self.copy("hello:1.0", f"{registry.address}/kept:v1", "--dest-tls-verify=false"))
            result = self.compare("delete", "--tls-verify=false", f"docker://{registry.address}/kept:v1", says="unsupported")
            if not IS_SKOPEO:
                self.assertRegex(result.message(), "405 Method Not Allowed.*REGISTRY_STORAGE_DELETE_ENABLED=true")
                self.assertEqual([r.status for r in registry.requests() if r.method == "DELETE"], [405, 405])
            self.assertEqual(list(registry.tags("kept")), ["v1"])

    def test_delete_with_tokens(self):
        """The registry wants a token for deleting."""
        users = {"alice": User("secret", {"team/*": "pull,push,delete,*"}), "bob": User("secret", {"team/*": "pull,push"})}
        with TokenServer(self.temp / "tokens", users) as tokens, Registry(self.temp / "registry", tokens=tokens) as registry:
            flags = ("--tls-verify=false",)
            for program in ("skopeo", None):
                self.assert_success(self.copy("hello:1.0", f"{registry.address}/team/app:v1", "--dest-tls-verify=false",
                                              "--dest-creds", "alice:secret"))
                image = f"docker://{registry.address}/team/app:v1"
                for creds in (("--creds", "bob:secret"), ()):
                    refused = self.tug("delete", *flags, *creds, image, program=program)
                    self.assert_failure(refused, text="(?i)unauthorized|authentication required|denied")
                    self.assertEqual(list(registry.tags("team/app")), ["v1"])
                self.assert_success(self.tug("delete", *flags, "--creds", "alice:secret", image, program=program))
                self.assertEqual(list(registry.tags("team/app")), [])

    # ---- manifest-digest

    def manifest(self, name, content):
        path = self.temp / name
        path.write_bytes(content)
        return path

    def test_manifest_digest(self):
        layout = Layout(FIXTURES / "hello")
        manifest = layout.read(layout.descriptor("1.0"))
        result = self.compare("manifest-digest", self.manifest("manifest", manifest))
        self.assertEqual(result.out, digest_of(manifest) + "\n")
        for name, content in (("empty", b""), ("text", b"hello\n"), ("spaces", b" " + manifest + b"\n"), ("binary", bytes(range(256))),
                              ("index", (FIXTURES / "multi/index.json").read_bytes()), ("list", b"[1,2]"),
                              ("word", b'the "signatures" of nobody'), ("schema1", schema1(signed=False)),
                              ("named", schema1(mediaType=layouts.DOCKER_MANIFEST)), ("-", b"a file of this name")):
            with self.subTest(name):
                self.manifest(name, content)
                self.compare("manifest-digest", name)
        self.compare("manifest-digest", "/dev/null")
        self.compare("manifest-digest", "/dev/stdin")
        self.compare("manifest-digest", self.temp / "missing", says="no such file")
        self.compare("manifest-digest", self.temp, says="is a directory")
        self.compare("manifest-digest", says="manifest-digest")
        self.compare("manifest-digest", "text", "text", says="manifest-digest")
        self.compare("manifest-digest", "--no-such-flag", "text", says="unknown flag: --no-such-flag")

    def test_manifest_digest_of_schema1(self):
        payload = schema1(signed=False)
        result = self.compare("manifest-digest", self.manifest("signed", schema1()))
        self.assertEqual(result.out, digest_of(payload) + "\n")
        self.compare("manifest-digest", self.manifest("twice", schema1(signatures=2)))
        self.compare("manifest-digest", self.manifest("type", schema1(mediaType="application/vnd.docker.distribution.manifest.v1+prettyjws")))
        for name, content in (("long", schema1(formatLength=10**6)), ("no-tail", schema1(formatTail=None)),
                              ("no-length", schema1(formatLength=None)), ("base64", schema1(formatTail="%%")),
                              ("text", schema1(formatLength="12"))):
            with self.subTest(name):
                self.compare("manifest-digest", self.manifest(name, content), says="length|tail|base64|parse|json")

    @tug_only
    def test_manifest_digest_that_differs(self):
        """skopeo reads files of any size, and of what it cannot read as JSON it takes all."""
        large = self.manifest("large", b" " * (4 * 1024 * 1024 + 1))
        self.assert_failure(self.tug("manifest-digest", large), text="is larger than 4.2 MB")
        broken = self.manifest("broken", schema1()[:-2])
        self.assert_failure(self.tug("manifest-digest", broken), text="the digest of .*broken")


def schema1(signed=True, signatures=1, mediaType=None, **changes):
    """A manifest of schema 1, whose signatures nobody made with a key."""
    members = {"schemaVersion": 1, "name": "team/app", "tag": "v1", "fsLayers": [{"blobSum": NO_DIGEST}]}
    if mediaType:
        members["mediaType"] = mediaType
    payload = json.dumps(members, indent=3)
    if not signed:
        return payload.encode()
    head, tail = payload[:-2], payload[-2:]
    protected = {"formatLength": len(head), "formatTail": base64url(tail.encode()), "time": "2023-11-14T22:13:20Z", **changes}
    protected = {name: value for name, value in protected.items() if value is not None}
    signature = {"header": {"alg": "ES256"}, "signature": base64url(b"none"), "protected": base64url(json.dumps(protected).encode())}
    return (head + ',\n   "signatures": ' + json.dumps([signature] * signatures) + tail).encode()


def base64url(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class PagedTags(LoopbackServer):
    """A registry that has nothing but tags, in pages. `broken_from`: this page and those after it are no JSON; `circle`: the last
    one links to the first again."""

    def __init__(self, *, pages, per_page, length=8, broken_from=None, circle=False):
        self.length = length
        owner = self

        class Tags(Handler):
            def do_GET(self):
                if self.path == "/v2/":
                    return self.answer(200, [("Content-Type", "application/json")], b"{}")
                query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
                page = int(query.get("page", ["0"])[0])
                headers = [("Content-Type", "application/json")]
                if page + 1 < pages or circle:
                    headers.append(("Link", f'</v2/paged/tags/list?page={(page + 1) % pages}>; rel="next"'))
                tags = [owner.tag(n) for n in range(page * per_page, (page + 1) * per_page)]
                body = json.dumps({"name": "paged", "tags": tags}).encode()
                if broken_from is not None and page >= broken_from:
                    body = b"<html>"
                return self.answer(200, headers, body)

        super().__init__(Tags)

    def tag(self, number):
        return f"v{number:0{self.length - 1}d}"


if __name__ == "__main__":
    case.main()
