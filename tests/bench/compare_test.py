"""The benchmarks run: a table comes out. What the figures are is asserted nowhere, but that the latency proxy delays and counts."""

import pathlib
import re
import socket
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from latency_proxy import LatencyProxy  # noqa: E402
from support.case import ROOT, TUG, SystemTest, main  # noqa: E402
from support.loopback_server import Handler, LoopbackServer  # noqa: E402

REQUEST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n" + bytes(range(200)) * 1000
RTT = 0.05


class Echo(Handler):
    def do_POST(self):
        self.answer(200, body=b"".join(self.pieces()))


def exchange(connection):
    """The answer, and after how long it began."""
    begin = time.monotonic()
    connection.sendall(REQUEST)
    answer = connection.recv(1)
    after = time.monotonic() - begin
    while not answer.endswith(REQUEST[-200_000:]):
        piece = connection.recv(1 << 20)
        if not piece:
            break
        answer += piece
    return answer, after


class LatencyProxyTest(SystemTest):
    def test_bytes_pass_whole_and_late(self):
        with LoopbackServer(Echo) as server, LatencyProxy(server.address, rtt_ms=RTT * 1000, trace=self.temp / "trace") as proxy:
            host, _, port = proxy.address.partition(":")
            for _ in range(2):  # counts begin anew
                with socket.create_connection((host, int(port)), timeout=60) as connection:
                    # The handshake and the answer; then the answer alone. A quarter less: the proxy is half a millisecond early at most.
                    for round_trips in (2, 1):
                        answer, after = exchange(connection)
                        self.assertTrue(answer.endswith(REQUEST[-200_000:]), answer[:1000])
                        self.assertGreater(after, round_trips * RTT * 0.75)
                    connection.shutdown(socket.SHUT_WR)
                    self.assertEqual(connection.recv(1), b"")
                counts = proxy.take_counts()
                self.assertEqual((counts["connections"], counts["requests"], counts["round_trips"]), (1, 2, 3))
        trace = [line.split()[1:5] for line in (self.temp / "trace").read_text().splitlines()]
        once = [["1", "0", "*", "connect"], ["1", "1", ">", "POST"], ["1", "2", "<", "HTTP/1.1"], ["1", "2", ">", "POST"], ["1", "3", "<", "HTTP/1.1"]]
        self.assertEqual(trace, once * 2)

    def test_who_finds_no_server_is_cut_off(self):
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            with LatencyProxy("127.0.0.1:%d" % closed.getsockname()[1], rtt_ms=1) as proxy:
                host, _, port = proxy.address.partition(":")
                with socket.create_connection((host, int(port)), timeout=60) as connection:
                    try:
                        self.assertEqual(connection.recv(1), b"")
                    except ConnectionError:
                        pass


class CompareTest(SystemTest):
    def test_a_table_comes_out(self):
        table = self.temp / "table.md"
        done = subprocess.run(["sh", str(ROOT / "tests/bench/compare.sh"), "--quick", "--tug", TUG, "--work", str(self.temp), "--markdown", str(table),
                               "unchanged", "latency", "bulk", "registries"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=1200,
                              env={**self.environment, "PYTHONDONTWRITEBYTECODE": "1"})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(done.stderr, "")
        said, empty, head, line, *rows = table.read_text().splitlines()
        self.assertRegex(said, r"^Medians of 1 runs in turn, \d{4}-\d\d-\d\d, .*: tug \S+, skopeo \S+, .*Command: `sh tests/bench/compare.sh --quick ")
        self.assertEqual(empty, "")
        self.assertRegex(head, r"^\| work \| tug \| skopeo \|")
        works = {row.split(" | ")[0].removeprefix("| "): row.split(" | ")[1:3] for row in rows}
        self.assertEqual(list(works), ["layout, unchanged", "5 small layers, 10 ms away, cold", "5 small layers, 10 ms away, unchanged",
                                       "5 images that share 10 of 11 layers", "the same images again", "registry to registry"])
        for work, (tug, skopeo) in works.items():
            self.assertRegex(tug, r"^[\d.]+ m?s, CPU [\d.]+ m?s, \d+ MB", work)
            self.assertRegex(skopeo, r"^[\d.]+ m?s \([\d.]+ ×\), CPU [\d.]+ m?s \([\d.]+ ×\)", work)
        trips = {work: [int(re.search(r"(\d+) round trips", cell)[1]) for cell in cells] for work, cells in works.items() if "away" in work}
        for work, counts in trips.items():
            self.assertGreaterEqual(min(counts), 2, work)  # a handshake and an answer


if __name__ == "__main__":
    main()
