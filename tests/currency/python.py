"""The default session cookie of each Python library, a line of JSON each: see npm.mjs."""

import json
from importlib.metadata import version

SECRET = "currency-secret-of-at-least-32-characters"


def flask():
    from flask import Flask, session

    app = Flask(__name__)
    app.secret_key = SECRET

    @app.get("/")
    def sign_in():
        session["_user_id"] = "u-1"
        return ""

    return "flask", app.test_client().get("/").headers["Set-Cookie"], {"secret": SECRET}


def starlette():
    import asyncio

    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.sessions import SessionMiddleware
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    def sign_in(request):
        request.session["user_id"] = "u-1"
        return PlainTextResponse("")

    app = Starlette(routes=[Route("/", sign_in)], middleware=[Middleware(SessionMiddleware, secret_key=SECRET)])
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b"", "http_version": "1.1",
             "scheme": "http", "server": ("app.test", 80), "client": ("127.0.0.1", 1), "root_path": ""}
    asyncio.run(app(scope, receive, send))
    cookie = dict(sent[0]["headers"])[b"set-cookie"].decode()
    return "starlette", cookie, {"secret": SECRET, "user_id": "/user_id"}


def django():
    from django.conf import settings

    settings.configure(SECRET_KEY=SECRET, SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies")
    from django.contrib.sessions.backends.signed_cookies import SessionStore

    session = SessionStore()
    session["_auth_user_id"] = "u-1"
    session.save()
    return "django", f"sessionid={session.session_key}", {"secret": SECRET, "backend": "signed_cookies"}


for library, make in {"Flask": flask, "starlette": starlette, "Django": django}.items():
    row = {"library": library, "user": "u-1"}
    try:
        row["version"] = version(library)
        row["kind"], cookie, row["settings"] = make()
        row["cookie"] = cookie.split(";")[0]
    except Exception as error:  # noqa: BLE001 - told in the table
        row["error"] = str(error)
    print(json.dumps(row))
