"""The servers that peers.py compares, each doing the same work, and what drives them.

The files of each stand in peers/. A server runs on one processor core, load and app on the other.
"""
import base64, hashlib, hmac, http.client, json, os, pathlib, re, select, signal, socket, subprocess, sys, time

HERE = pathlib.Path(__file__).resolve().parent
FILES = HERE / "peers"
SECRET = "bench-session-secret-0123456789abcdef0123"
KEY = "PRTV_0123456789abcdef_0123456789abcdef0123456789abcdef"
TOKEN = "/api/get-auth-token"
MODULES = "/usr/lib/nginx/modules"
UNLIMITED = 1_000_000_000
NOW = int(time.time())
KIB = 1024
SIZES = {"1 KiB": (KIB, "/"), "100 KiB": (100 * KIB, "/files/100k"), "1 MiB": (KIB * KIB, "/files/1m"), "10 MiB": (10 * KIB * KIB, "/files/10m")}
SERVER_CORE, OTHER_CORE = ("taskset", "-c", "0"), ("taskset", "-c", "1")


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def session(number=3, secret=SECRET):
    claims = {"sub": f"user-{number:06}", "iat": NOW, "exp": NOW + 86400}
    text = ".".join(base64url(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    return text + "." + base64url(hmac.digest(secret.encode(), text.encode(), hashlib.sha256))


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def all_of(process):
    """The ids of a process and of all its children."""
    found = [process]
    for task in pathlib.Path(f"/proc/{process}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += all_of(int(child))
    return found


class Server:
    """A process that listens on a port; ended by `stop`."""

    def __init__(self, name, port, command, log, access=None, environment=None):
        self.name, self.port, self.log, self.access = name, port, log, access or log
        with open(log, "ab") as output:
            self.process = subprocess.Popen(command, env={**os.environ, **(environment or {})}, stdin=subprocess.DEVNULL,
                                            stdout=output, stderr=output)
        for _ in range(1200):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.05)
        sys.exit(f"{name} does not listen: {log.read_text()[-2000:]}")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def seconds(self):
        """Processor time of all threads, which the scheduler counts in nanoseconds."""
        threads = (task for process in all_of(self.process.pid) for task in pathlib.Path(f"/proc/{process}/task").iterdir())
        return sum(int((task / "schedstat").read_text().split()[0]) for task in threads) / 1e9

    def resident(self):
        """Resident memory in bytes."""
        said = (pathlib.Path(f"/proc/{process}/status").read_text() for process in all_of(self.process.pid))
        return sum(int(re.search(r"VmRSS:\s+(\d+) kB", text)[1]) * KIB for text in said)


class Servers:
    """Starts servers in front of one app; `stop` ends all of them."""

    def __init__(self, folder):
        self.folder = folder
        self.all = []
        self.cookie = session()
        (folder / "files").mkdir()
        for size, path in SIZES.values():
            if path != "/":
                (folder / path[1:]).write_bytes(b"x" * size)
        certificate = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "7",
                       "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout",
                       folder / "key.pem", "-out", folder / "certificate.pem"]
        subprocess.run(certificate, check=True, capture_output=True)
        self.app = self.nginx("app", "app.conf", OTHER_CORE)

    def write(self, source, name, **words):
        """One of the files with its words filled in."""
        text = (FILES / source).read_text()
        words = {"FOLDER": self.folder, "HERE": FILES, "MODULES": MODULES, "NAME": name, "SECRET": SECRET, "KEY": KEY,
                 "SECRET64": base64url(SECRET.encode()), "KIB": "x" * KIB, **words}
        for word, value in words.items():
            text = text.replace(f"@{word}@", str(value))
        file = self.folder / f"{name}-{source}"
        file.write_text(text)
        return file

    def started(self, name, port, command, access=None, environment=None):
        log = self.folder / f"{name}-{port}.log"
        server = Server(name, port, command, log, access and self.folder / access, environment)
        self.all.append(server)
        return server

    def nginx(self, name, source, core, lua=False, limit=UNLIMITED):
        port, tls = free_port(), free_port()
        app = self.app.port if self.all else 0
        file = self.write(source, name, PORT=port, TLS=tls, APP=app, LIMIT=limit)
        file.write_text(re.sub("#LUA ", "", file.read_text()) if lua else re.sub(r"(?m)^ *#LUA .*\n", "", file.read_text()))
        server = self.started(name, port, [*core, "nginx", "-e", "stderr", "-c", str(file)], f"{name}.access")
        server.tls = tls
        return server

    def plain(self):
        return self.nginx("nginx", "nginx.conf", SERVER_CORE)

    def lua(self, limit=UNLIMITED):
        return self.nginx("nginx-lua", "nginx.conf", SERVER_CORE, True, limit)

    def haproxy(self, limit=UNLIMITED):
        port = free_port()
        file = self.write("haproxy.cfg", "haproxy", PORT=port, APP=self.app.port, LIMIT=limit)
        return self.started("haproxy", port, [*SERVER_CORE, "haproxy", "-db", "-f", str(file)])

    def envoy(self, limit=UNLIMITED):
        port = free_port()
        program = os.environ.get("ENVOY") or str(HERE.parent / "interop/fronts/.venv/bin/envoy")
        file = self.write("envoy.yaml", "envoy", PORT=port, APP=self.app.port, LIMIT=limit)
        command = [*SERVER_CORE, program, "-c", str(file), "--use-dynamic-base-id", "--concurrency", "1", "-l", "warn"]
        return self.started("envoy", port, command, "envoy.access")

    def gateway(self, limit=UNLIMITED, tls=False, threads=1, routes="", wrapper=SERVER_CORE):
        port = free_port()
        pair = f'tls = {{ cert = "{self.folder}/certificate.pem", key = "{self.folder}/key.pem" }}' if tls else ""
        file = self.write("gateway.toml", f"gateway-{port}", PORT=port, APP=self.app.port, LIMIT=limit, TLS=pair, THREADS=threads, ROUTES=routes)
        program = os.environ.get("PORTCULLIS") or str(pathlib.Path("target/release/portcullis").resolve())
        environment = {"SESSION_SECRET": SECRET, "PORTIVE_API_KEY": KEY}
        server = self.started("gateway", port, [*wrapper, program, "run", "--config", str(file)], None, environment)
        server.tls = port
        return server

    def stop(self):
        for server in self.all[::-1]:
            server.stop()
        self.all.clear()

    def stop_one(self, server):
        server.stop()
        self.all.remove(server)


def ask(server, path, cookie=None):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("GET", path, headers={"cookie": f"session={cookie}"} if cookie else {})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def expect(server, what, found, wanted):
    if found != wanted:
        sys.exit(f"{server.name} does not do its work: {what}: found {found!r}, expected {wanted!r}; see {server.log}")


def verify(servers, start, checks=True, token=False):
    """A server that checks sessions refuses wrong ones and counts; each forwards the right body and logs."""
    server = start(limit=5) if checks else start()
    path = TOKEN if token else "/"
    for size, file in SIZES.values():
        # The limit is small, so the others have users of their own.
        status, body = ask(server, file, session(size))
        expect(server, file, (status, len(body), body == b"x" * size), (200, size, True))
    if checks:
        good = session(7)
        expect(server, "a session of another key", ask(server, path, session(7, "another"))[0], 401)
        expect(server, "no session", ask(server, path)[0], 401)
        expect(server, "a session cut short", ask(server, path, good[:-4])[0], 401)
        expect(server, "X-User", ask(server, "/user", session(8)), (200, b"user-000008"))
        statuses = [ask(server, path, good)[0] for _ in range(7)]
        expect(server, "a limit of 5", statuses, [200] * 5 + [429] * 2)
        expect(server, "another user", ask(server, path, session(9))[0], 200)
    if token:
        first, second = ask(server, TOKEN, session(10)), ask(server, TOKEN, session(10))
        expect(server, "the token", (first[0], second), (200, first))
        claims = json.loads(first[1])["authToken"].split(".")[1]
        expect(server, "its tags", json.loads(base64.urlsafe_b64decode(claims + "=="))["tags"], ["user-000010"])
    # Envoy and the gateway write what waits within two seconds.
    wanted = time.monotonic() + 15
    while b"/files/10m" not in server.access.read_bytes():
        if time.monotonic() > wanted:
            expect(server, "the access log", "no line", "a line for each request")
        time.sleep(0.2)
    servers.stop_one(server)


def h2load(url, cookie, count, clients, *more):
    """Requests a second by the clock; every answer is 2xx."""
    command = [*OTHER_CORE, "h2load", "-n", str(count), "-c", str(clients), "-t", "1", "-H", f"cookie: session={cookie}", *more, url]
    said = subprocess.run(command, capture_output=True, text=True).stdout
    done = re.search(r"status codes: (\d+) 2xx", said)
    if not done or int(done[1]) != count:
        sys.exit(f"not every answer was 2xx: {' '.join(command)}\n{said[-600:]}")
    return count / seconds_of(re.search(r"finished in ([\d.]+)(us|ms|s|m)", said))


def seconds_of(found):
    return float(found[1]) * {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60}[found[2]]


class Client:
    """Sends different requests over kept connections, as fast as they are answered."""

    def __init__(self, server, connections=32):
        self.sockets = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(connections)]
        self.poll = select.epoll()
        self.by_number = {}
        for one in self.sockets:
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.poll.register(one, select.EPOLLIN)
            self.by_number[one.fileno()] = one

    def send_all(self, requests):
        """An answer is as long as the first one, and comes in one piece or in several."""
        requests, waits, parts, length = iter(requests), 0, {}, None
        for one in self.sockets:
            request = next(requests, None)
            if request is None:
                break
            one.sendall(request)
            waits += 1
        while waits:
            for number, _ in self.poll.poll():
                one = self.by_number[number]
                said = parts.pop(number, b"") + one.recv(65536)
                head, end, body = said.partition(b"\r\n\r\n")
                if not end or len(body) < int(re.search(rb"(?i)\ncontent-length: *(\d+)", head)[1]):
                    if not said:
                        sys.exit("the server has closed a connection")
                    parts[number] = said
                    continue
                if not said.startswith(b"HTTP/1.1 200"):
                    sys.exit(f"not every answer was 200: {said[:200]}")
                request = next(requests, None)
                if request is None:
                    waits -= 1
                else:
                    one.sendall(request)

    def close(self):
        self.poll.close()
        for one in self.sockets:
            one.close()
