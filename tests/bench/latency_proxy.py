#!/usr/bin/env python3
"""A TCP proxy on loopback behind which a server is some milliseconds away, for benchmarks.

    python3 tests/bench/latency_proxy.py --target HOST:PORT [--rtt-ms 50] [--trace FILE]

prints its address, and forwards until standard input ends or SIGTERM comes. For each line of standard input, and at the end, it prints what
it counted since the last time, as JSON. In Python:

    with LatencyProxy(registry.address, rtt_ms=50) as proxy:
        tug copy ... docker://{proxy.address}/...
        proxy.take_counts()     # {"connections": 3, "requests": 12, "round_trips": 7, "seconds": 0.4}

What is delayed: each piece of the byte streams is passed on half a round trip after it came, in either direction; more may come meanwhile
(bandwidth is not limited, nothing waits for an acknowledgement). The handshake: connect() to a loopback address returns at once, where
over a real link it takes a round trip. So what a client sends within the first round trip of a connection counts as sent at the end of
that: the first answer comes two round trips after connect(), as it would. (A client that connects ahead of time gains here what it
would gain there.) Ends of streams and resets are delayed like bytes.

What is counted: "round_trips" is the longest chain of handshakes and of answers that the client had before it sent something more. It is at
least what the client really waited for in a row, and never more than the time that passed divided by the round trip. One client at a
time, and counts taken after each, or it says nothing. With --trace, FILE gets a line for each connection, and for each request and answer
that is plain HTTP: milliseconds, connection, round trips before it, "*", ">" or "<", its first line.

One thread, asyncio: hundreds of connections at once cost what their bytes cost.
"""

import argparse
import asyncio
import collections
import json
import re
import signal
import subprocess
import sys

# epoll waits for whole milliseconds and wakes up to one late: what is due so soon is passed on at once, so that delays are right on average.
EARLY = 0.0005
END, RESET = object(), object()
REQUEST = re.compile(rb"[A-Z]+ \S+ HTTP/1\.[01]\r\n")
STATUS = re.compile(rb"HTTP/1\.[01] \d{3}[^\r]*")


class LatencyProxy:
    """A process of its own for as long as a `with` block lasts."""

    def __init__(self, target, *, rtt_ms=50, trace=None):
        self._command = [sys.executable, "-IS", __file__, "--target", target, "--rtt-ms", str(rtt_ms), *(["--trace", str(trace)] if trace else [])]
        self.address = None

    def __enter__(self):
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.address = self._process.stdout.readline().strip()
        if not self.address:
            raise RuntimeError(f"no proxy: exit code {self._process.wait()}")
        return self

    def __exit__(self, *_):
        self._process.communicate()

    def take_counts(self):
        """What was counted since the last time. No client may be at work."""
        self._process.stdin.write("\n")
        return json.loads(self._process.stdout.readline())


class _Way:
    """One direction of a connection: what came in, each piece with the time when it is due at the other end."""

    def __init__(self, loop, delay, deliver):
        self._loop, self._delay, self._deliver = loop, delay, deliver
        self._queue = collections.deque()
        self._timer = None
        self._open = False

    def put(self, piece, sent=0.0):
        """`sent`: if it is to count as sent later than now."""
        self._queue.append((max(sent, self._loop.time()) + self._delay, piece))
        self._wait()

    def open(self):
        """The other end is there."""
        self._open = True
        self._wait()

    def _wait(self):
        if self._open and self._queue and not self._timer:
            self._timer = self._loop.call_at(self._queue[0][0] - EARLY, self._pass_on)

    def _pass_on(self):
        self._timer = None
        due = self._loop.time() + EARLY
        while self._queue and self._queue[0][0] <= due:
            self._deliver(self._queue.popleft()[1])
        self._wait()


class _Side(asyncio.Protocol):
    """The client's or the server's end of a connection."""

    def __init__(self, connection, from_client):
        self._connection, self._from_client = connection, from_client
        self.transport = None
        self.ended = False
        self.peer = None

    def connection_made(self, transport):
        self.transport = transport
        self._connection.made(self._from_client)

    def data_received(self, data):
        self._connection.received(data, self._from_client)

    def eof_received(self):
        self._connection.received(END, self._from_client)
        return True  # the other direction may go on

    def connection_lost(self, error):
        if error:
            self._connection.received(RESET, self._from_client)

    # What a slow reader does not take is not read from the other either.
    def pause_writing(self):
        if self.peer.transport:
            self.peer.transport.pause_reading()

    def resume_writing(self):
        if self.peer.transport:
            self.peer.transport.resume_reading()

    def deliver(self, piece):
        if self.transport.is_closing():
            return
        if piece is RESET:
            self.transport.abort()
        elif piece is END:
            self.ended = True
            try:
                self.transport.write_eof()
            except OSError:  # reset meanwhile
                return self.transport.abort()
            if self.peer.ended:
                self.transport.close()
                self.peer.transport.close()
        else:
            self.transport.write(piece)


class _Counts:
    """What happened since the last time somebody asked. A connection is counted where it began, whatever comes of it later."""

    def __init__(self, clock, trace):
        self._clock, self._trace = clock, trace
        self.connections = self.requests = self.trips = 0
        self._first = self._last = 0.0

    def connected(self):
        """(number of the connection, round trips there were once it is established)"""
        self.connections += 1
        if self.connections == 1:
            self._first = self._clock()
        self.note(self.connections, self.trips, "*", b"connect")
        return self.connections, self.trips + 1

    def note(self, connection, trips, mark, line, not_before=0.0):
        self._last = max(self._last, self._clock())
        if self._trace:
            at = max(self._clock(), not_before) - self._first
            print(f"{at * 1000:8.1f} {connection:4d} {trips:4d} {mark} {line.decode(errors='replace').strip()}", file=self._trace, flush=True)

    def __str__(self):
        return json.dumps({"connections": self.connections, "requests": self.requests, "round_trips": self.trips,
                           "seconds": round(self._last - self._first, 4)})


class _Connection:
    def __init__(self, relay):
        self._relay, self._loop, self._counts = relay, relay.loop, relay.counts
        self.client, self._server = _Side(self, True), _Side(self, False)
        self.client.peer, self._server.peer = self._server, self.client
        one_way = relay.rtt / 2
        self._up = _Way(self._loop, one_way, self._deliver_up)
        self._down = _Way(self._loop, one_way, self._deliver_down)
        self._trips_at_server = 0

    def made(self, by_client):
        if not by_client:
            return self._up.open()
        self._established = self._loop.time() + self._relay.rtt
        self._number, self._trips_of_handshake = self._counts.connected()
        self._down.open()
        self._connecting = self._loop.create_task(self._connect())

    async def _connect(self):
        try:
            await self._loop.create_connection(lambda: self._server, *self._relay.target)
        except OSError:
            self._down.put((RESET, 0))

    def received(self, piece, from_client):
        if not from_client:
            return self._down.put((piece, self._trips_at_server + 1))
        counts = self._counts
        if self._loop.time() < self._established:
            trips = self._trips_of_handshake
        else:
            trips = counts.trips = max(counts.trips, self._trips_of_handshake)
        if isinstance(piece, bytes) and (line := REQUEST.match(piece)):
            counts.requests += 1
            counts.note(self._number, trips, ">", line[0], self._established)
        self._up.put((piece, trips), self._established)

    def _deliver_up(self, item):
        piece, trips = item
        self._trips_at_server = max(self._trips_at_server, trips)
        self._server.deliver(piece)

    def _deliver_down(self, item):
        piece, trips = item
        if isinstance(piece, bytes):
            self._counts.trips = max(self._counts.trips, trips)
            if line := STATUS.match(piece):
                self._counts.note(self._number, trips, "<", line[0])
        self.client.deliver(piece)


class _Relay:
    """The listening end."""

    def __init__(self, target, rtt, trace):
        host, _, port = target.rpartition(":")
        self.target, self.rtt, self._trace = (host.strip("[]"), int(port)), rtt, trace
        self.loop = self.counts = None

    def _begin_counts(self):
        self.counts = _Counts(self.loop.time, self._trace)

    def _print_counts(self):
        print(self.counts, flush=True)
        self._begin_counts()

    async def run(self):
        self.loop = asyncio.get_running_loop()
        self._begin_counts()
        stopped = asyncio.Event()
        self.loop.add_signal_handler(signal.SIGTERM, stopped.set)
        self._listen_to(sys.stdin, stopped)
        server = await self.loop.create_server(lambda: _Connection(self).client, "127.0.0.1", 0, backlog=1024)
        print("{}:{}".format(*server.sockets[0].getsockname()), flush=True)
        await stopped.wait()
        server.close()
        self._print_counts()

    def _listen_to(self, stream, stopped):
        def readable():
            text = stream.buffer.raw.read(4096)
            for _ in range(text.count(b"\n")):
                self._print_counts()
            if not text:
                self.loop.remove_reader(stream)
                stopped.set()

        try:
            self.loop.add_reader(stream, readable)
        except PermissionError:  # /dev/null or a file: nothing to wait for
            stopped.set()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", required=True, metavar="HOST:PORT")
    parser.add_argument("--rtt-ms", type=float, default=50)
    parser.add_argument("--trace", type=argparse.FileType("w"))
    arguments = parser.parse_args()
    asyncio.run(_Relay(arguments.target, arguments.rtt_ms / 1000, arguments.trace).run())


if __name__ == "__main__":
    main()
