#!/usr/bin/env python3
"""The requests that deploy/build/profile-guided profiles: what a gateway does most.

Pages and cached tokens for one user and for many, over HTTP/1.1, HTTP/2 and TLS; uploads, long answers, questions of another
proxy, refusals. The gateway is $PORTCULLIS, built with counters, which it writes when it ends.
"""
import pathlib, shutil, sys, tempfile

sys.dont_write_bytecode = True
from peer_servers import TOKEN, Client, Servers, ask, free_port, h2load, session

REQUESTS, USERS = 6_000, 2_000
HTTP1, HTTP2 = ("20", "--h1"), ("4", "-m", "8")


def request(path, cookie):
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: session={cookie}\r\n\r\n".encode()


def profile(servers, tls):
    questions = free_port()
    server = servers.gateway(tls=tls, routes=f'[auth]\nlisten = "127.0.0.1:{questions}"\n')
    url = f"http{'s' * tls}://127.0.0.1:{server.port}"
    upload = servers.folder / "upload"
    upload.write_bytes(b"x" * 2_000)
    for clients, *version in (HTTP1, HTTP2):
        for path, count in (("/", REQUESTS), (TOKEN, REQUESTS), ("/files/100k", REQUESTS // 20)):
            h2load(url + path, servers.cookie, count, clients, *version)
        h2load(url + "/", servers.cookie, REQUESTS // 10, clients, *version, "-d", str(upload))
    if not tls:
        client = Client(server)
        client.send_all(request((TOKEN, "/")[number % 2], session(number % USERS)) for number in range(REQUESTS))
        client.close()
        asked = ("-H", "x-original-method: GET", "-H", "x-original-uri: /", "-H", "x-forwarded-for: 192.0.2.7")
        h2load(f"http://127.0.0.1:{questions}/auth/nginx", servers.cookie, REQUESTS, *HTTP1, *asked)
        for number in range(REQUESTS // 20):
            for path, cookie in (("/", session(number, "another")), (TOKEN, None)):
                status, _ = ask(server, path, cookie)
                if status != 401:
                    sys.exit(f"{path} without a session is answered {status}")
    servers.stop_one(server)


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="profile-"))
    servers = Servers(folder)
    try:
        for tls in (False, True):
            profile(servers, tls)
    finally:
        servers.stop()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
