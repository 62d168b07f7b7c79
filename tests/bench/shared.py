#!/usr/bin/env python3
"""The price of a limit that replicas share, beside the same limit in memory.

  python3 tests/bench/shared.py                  instructions, round trips, latency; about six minutes
  python3 tests/bench/shared.py instructions     only that part; also `trips`, `latency`

Needs redis-server, valgrind and h2load; the gateway is $PORTCULLIS or target/release/portcullis. Both gateways have one
thread and answer the same cached token. Ends with status 1 if a bar is missed:

  instructions   user-space instructions per answer, all threads, by valgrind's callgrind: at most 2 x in-memory
  trips          questions to the store per answer, by the store's own count: one, whatever the number of rates
  latency        p99 at 2,000 answers a second: at most 1 ms more, in the median of neighbouring runs; wants a calm machine
"""
import base64, hashlib, hmac, json, os, pathlib, re, shutil, signal, socket, statistics, subprocess, sys, tempfile, time

SECRET = "bench-session-secret-0123456789abcdef0123"
KEY = "PRTV_0123456789abcdef_0123456789abcdef0123456789abcdef"
PATH = "/api/get-auth-token"
FEW, MANY = 1000, 4000
PER_SECOND, CLIENTS, SECONDS, ROUNDS = 2000, 20, 10, 7
FILE = """[server]
listen = "127.0.0.1:{port}"
admin = false
threads = 1
watch = false
public_origin = "https://app.example.com"

[session]
kind = "jwt"
cookie = "session"
secret = "env:SESSION_SECRET"

[token.portive]
path = "/api/get-auth-token"
preset = "portive"
key = "env:PORTIVE_API_KEY"
ttl = "600s"
limit = ["1000000000/minute", "2000000000/day"]
"""
SHARED = '\n[shared]\nredis = "env:REDIS_URL"\ntimeout = "{timeout}"\n'


def session():
    encode = lambda data: base64.urlsafe_b64encode(data).rstrip(b"=").decode()
    now = int(time.time())
    claims = {"sub": "user-000003", "iat": now, "exp": now + 86400}
    text = ".".join(encode(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    return text + "." + encode(hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).digest())


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Server:
    """A process that listens on a port; ended by `stop`."""

    def __init__(self, port, command, log, environment=None):
        self.port = port
        environment = {**os.environ, **(environment or {})}
        self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        for _ in range(1200):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.05)
        sys.exit(f"{command[0]} does not listen; see {log.name}")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(120)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Bench:
    def __init__(self, folder):
        self.folder = folder
        self.log = open(folder / "log", "w")
        self.gateway = os.environ.get("PORTCULLIS") or str(pathlib.Path("target/release/portcullis").resolve())
        port = free_port()
        self.redis = Server(port, ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)],
                            self.log)
        self.cookie = session()

    def start(self, shared, wrapper=(), timeout="50ms"):
        port = free_port()
        file = self.folder / f"gateway-{port}.toml"
        file.write_text(FILE.format(port=port) + (SHARED.format(timeout=timeout) if shared else ""))
        environment = {"SESSION_SECRET": SECRET, "PORTIVE_API_KEY": KEY, "REDIS_URL": f"redis://127.0.0.1:{self.redis.port}"}
        return Server(port, [*wrapper, self.gateway, "run", "--config", str(file)], self.log, environment)

    def load(self, server, count, *more):
        command = ["h2load", "--h1", "-n", str(count), "-c", str(CLIENTS), "-t", "1", "-H", f"cookie: session={self.cookie}", *more,
                   f"http://127.0.0.1:{server.port}{PATH}"]
        said = subprocess.run(command, capture_output=True, text=True).stdout
        done = re.search(r"status codes: (\d+) 2xx", said)
        if not done or int(done[1]) != count:
            sys.exit(f"not every answer was 200: {said[-400:]}")

    def calls(self):
        """Questions that the store has answered, but for those of its scripts."""
        said = subprocess.run(["redis-cli", "-p", str(self.redis.port), "info", "commandstats"], capture_output=True, text=True).stdout
        calls = {name: int(number) for name, number in re.findall(r"cmdstat_(\S+?):calls=(\d+)", said)}
        return calls.get("evalsha", 0) + calls.get("eval", 0), sum(calls.get(name, 0) for name in ("get", "set", "time"))

    def instructions_of(self, shared):
        """Per answer, by function: the difference of two runs, so that the start does not count."""
        runs = []
        for count in (FEW, MANY):
            profile = self.folder / f"profile-{shared}-{count}"
            wrapper = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={profile}"]
            server = self.start(shared, wrapper, "5s")
            try:
                self.load(server, 500)
                self.load(server, count)
            finally:
                server.stop()
            said = profile.read_text()
            runs.append((int(re.search(r"^(?:totals|summary): (\d+)", said, re.M)[1]), sha256(profile)))
        return tuple((many - few) / (MANY - FEW) for few, many in zip(*runs))

    def instructions(self):
        memory, store = self.instructions_of(False), self.instructions_of(True)
        ratio = store[0] / memory[0]
        print(f"instructions per answer: in memory {memory[0]:.0f} (SHA-256 {memory[1]:.0f}), shared {store[0]:.0f} "
              f"(SHA-256 {store[1]:.0f}), ratio {ratio:.2f}, without SHA-256 {(store[0] - store[1]) / (memory[0] - memory[1]):.2f}", flush=True)
        return ratio <= 2

    def trips(self):
        server = self.start(True, timeout="5s")
        try:
            self.load(server, 500)
            before, began = self.calls(), time.monotonic()
            self.load(server, 5000)
            after, beats = self.calls(), (time.monotonic() - began) / 2.5 + 1
        finally:
            server.stop()
        asked, inner = after[0] - before[0], after[1] - before[1]
        print(f"questions to the store for 5000 answers under two rates: {asked}, of which at most {beats:.0f} say that the gateway is "
              f"there; {inner / 5000:.2f} commands each inside the script", flush=True)
        return 5000 <= asked <= 5000 + beats

    def percentile(self, server, part):
        log = self.folder / "requests"
        log.unlink(missing_ok=True)
        self.load(server, PER_SECOND * SECONDS, f"--rps={PER_SECOND // CLIENTS}", f"--log-file={log}")
        times = sorted(int(line.split("\t")[2]) for line in log.read_text().splitlines())
        return [times[int(len(times) * p)] / 1000 for p in part]

    def latency(self):
        servers = [self.start(False), self.start(True)]
        added, p99s = [], ([], [])
        try:
            for server in servers:
                self.load(server, 5000)
            for turn in range(ROUNDS):
                order = servers if turn % 2 else servers[::-1]
                found = {server.port: self.percentile(server, (0.5, 0.99)) for server in order}
                memory, store = (found[server.port] for server in servers)
                added.append(store[1] - memory[1])
                for all_of, one in zip(p99s, (memory, store)):
                    all_of.append(one)
        finally:
            for server in servers:
                server.stop()
        middle = [[statistics.median(column) for column in zip(*one)] for one in p99s]
        print(f"at {PER_SECOND} a second: in memory p50 {middle[0][0]:.2f} ms p99 {middle[0][1]:.2f} ms, shared p50 {middle[1][0]:.2f} ms "
              f"p99 {middle[1][1]:.2f} ms; p99 added {statistics.median(added):.2f} ms (rounds: {' '.join(f'{one:.2f}' for one in added)})",
              flush=True)
        return statistics.median(added) <= 1


def sha256(profile):
    """Valgrind has no SHA extensions, so what the processor does at once counts as thousands there."""
    said = subprocess.run(["callgrind_annotate", "--threshold=100", "--auto=no", "--inclusive=no", str(profile)],
                          capture_output=True, text=True).stdout
    lines = re.findall(r"^\s*([\d,]+) .*sha256", said, re.M)
    return sum(int(number.replace(",", "")) for number in lines)


def main():
    parts = sys.argv[1:] or ["trips", "latency", "instructions"]
    folder = pathlib.Path(tempfile.mkdtemp(prefix="shared-"))
    bench = Bench(folder)
    try:
        held = [getattr(bench, part)() for part in parts]
    finally:
        bench.redis.stop()
    shutil.rmtree(folder)
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
