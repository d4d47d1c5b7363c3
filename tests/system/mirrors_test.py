"""registries.conf on the reading side: mirrors and remapped locations, for images, tags and inspect, beside Debian's skopeo."""

import contextlib
import pathlib
import socket
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import case  # noqa: E402
from support.case import SystemTest, fixture, tug_only  # noqa: E402
from support.registry import Registry  # noqa: E402
from support.trees import tree  # noqa: E402

# A registry that is nowhere: whatever is asked of it itself fails.
NOWHERE = "127.0.0.1:9/far"


class Mirrors(SystemTest):
    def setUp(self):
        super().setUp()
        self.near = self.enterContext(Registry(self.temp / "near"))
        self.nearest = self.enterContext(Registry(self.temp / "nearest"))
        self.layout, self.image = fixture("hello:1.0")
        self.push(self.near, "mirror/app", "1", "2")

    def push(self, registry, repository, *tags):
        for tag in tags:
            self.assert_success(self.copy("hello:1.0", f"{registry.address}/{repository}:{tag}", "--dest-tls-verify=false"))

    def conf(self, text):
        path = self.temp / "registries.conf"
        path.write_text(text)
        return ["--registries-conf", str(path)]

    def both(self, *arguments):
        """What each of the two programs writes into a dir: (or prints, without one)."""
        results = []
        for program in ("skopeo", None):
            directory = self.temp / f"dir-{len(list(self.temp.iterdir()))}"
            result = self.tug(*(str(each).replace("DIR", str(directory)) for each in arguments), program=program)
            self.assert_success(result)
            results.append(tree(directory) if directory.exists() else result.out)
        return results

    def test_location(self):
        conf = self.conf(f'[[registry]]\nprefix = "{NOWHERE}"\nlocation = "{self.near.address}/mirror"\ninsecure = true\n')
        theirs, ours = self.both(*conf, "--insecure-policy", "copy", f"docker://{NOWHERE}/app:1", "dir:DIR")
        self.assertEqual(ours, theirs)

    def test_mirrors(self):
        """One is empty, one has the image; the registry itself is not there."""
        conf = self.conf(
            f'[[registry]]\nlocation = "{NOWHERE}"\ninsecure = true\n'
            f'[[registry.mirror]]\nlocation = "{self.nearest.address}/mirror"\ninsecure = true\n'
            f'[[registry.mirror]]\nlocation = "{self.near.address}/mirror"\ninsecure = true\n'
        )
        theirs, ours = self.both(*conf, "--insecure-policy", "copy", f"docker://{NOWHERE}/app:1", "dir:DIR")
        self.assertEqual(ours, theirs)
        asked = self.nearest.requests()
        self.assertTrue(any("/v2/mirror/app/manifests/1" in str(each) for each in asked), asked)

    @tug_only
    def test_tags_and_inspect(self):
        """skopeo asks the registry itself for its tags, whatever its mirrors are (user-asks 40)."""
        conf = self.conf(f'[[registry]]\nprefix = "{NOWHERE}"\nlocation = "{self.near.address}/mirror"\ninsecure = true\n')
        listed = self.tug(*conf, "list-tags", f"docker://{NOWHERE}/app")
        self.assert_success(listed)
        self.assertEqual((listed.json()["Repository"], sorted(listed.json()["Tags"])), (f"{NOWHERE}/app", ["1", "2"]))
        shown = self.tug(*conf, "inspect", f"docker://{NOWHERE}/app:1")
        self.assert_success(shown)
        self.assertEqual((shown.json()["Name"], sorted(shown.json()["RepoTags"])), (f"{NOWHERE}/app", ["1", "2"]))
        self.assertEqual(shown.json()["Digest"], self.image["digest"])

    @tug_only
    def test_tags_of_a_mirror_that_is_away(self):
        """The next place is asked at once: as many connections as it takes once, where --retry-times would have made many."""
        with socket.create_server(("127.0.0.1", 0)) as away:
            calls = []

            def hang_up():
                with contextlib.suppress(OSError):
                    while True:
                        connection, _ = away.accept()
                        calls.append(connection.close())

            thread = threading.Thread(target=hang_up)
            thread.start()
            conf = self.conf(
                f'[[registry]]\nlocation = "{self.near.address}"\ninsecure = true\n'
                f'[[registry.mirror]]\nlocation = "127.0.0.1:{away.getsockname()[1]}"\ninsecure = true\n'
            )
            listed = self.tug(*conf, "list-tags", "--retry-times", "5", "--retry-delay", "10ms", f"docker://{self.near.address}/mirror/app")
            away.shutdown(socket.SHUT_RDWR)
            thread.join()
        self.assert_success(listed)
        self.assertEqual(sorted(listed.json()["Tags"]), ["1", "2"])
        self.assertGreater(len(calls), 0)
        # https, http and the connection opened in advance.
        self.assertLessEqual(len(calls), 4)

    @tug_only
    def test_no_mirrors(self):
        self.push(self.nearest, "far/app", "1")
        conf = self.conf(
            f'[[registry]]\nlocation = "{self.nearest.address}"\ninsecure = true\n'
            f'[[registry.mirror]]\nlocation = "{self.near.address}/mirror"\ninsecure = true\n'
        )
        before = len(self.near.requests())
        self.assert_success(self.tug(*conf, "inspect", "--no-mirrors", f"docker://{self.nearest.address}/far/app:1"))
        self.assertEqual(len(self.near.requests()), before)

    @tug_only
    def test_a_push_is_not_mirrored(self):
        """Nor remapped (registry-protocol.md R2.1)."""
        conf = self.conf(
            f'[[registry]]\nlocation = "{self.nearest.address}"\ninsecure = true\n'
            f'[[registry.mirror]]\nlocation = "{self.near.address}/mirror"\ninsecure = true\n'
        )
        before = len(self.near.requests())
        self.assert_success(self.tug(*conf, "copy", f"oci:{case.FIXTURES}/hello:1.0", f"docker://{self.nearest.address}/app:1"))
        self.assertEqual(len(self.near.requests()), before)
        self.assert_stored(self.nearest, "app", "1", self.layout, self.image)

    @tug_only
    def test_nobody_has_it(self):
        """Exit code and first words are the registry's own; each mirror's reason stands behind."""
        conf = self.conf(
            f'[[registry]]\nlocation = "{self.near.address}"\ninsecure = true\n'
            f'[[registry.mirror]]\nlocation = "{self.nearest.address}/mirror"\ninsecure = true\n'
        )
        result = self.tug(*conf, "inspect", f"docker://{self.near.address}/mirror/app:3")
        self.assert_failure(result, text=f"(?s)mirror/app.*its mirror {self.nearest.address}/mirror/mirror/app", code=2)

    @tug_only
    def test_a_location_that_is_none(self):
        conf = self.conf(f'[[registry]]\nprefix = "{NOWHERE}"\nlocation = "mirror"\n')
        result = self.tug(*conf, "inspect", f"docker://{NOWHERE}/app:1")
        self.assert_failure(result, text='location "mirror" does not begin with a registry', code=1)


if __name__ == "__main__":
    case.main()
