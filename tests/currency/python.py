"""The default session cookie of each Python library, a line of JSON each: see npm.mjs."""

import json
import os
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


def configure_django():
    """Once for the process."""
    from django.conf import settings

    if not settings.configured:
        cache = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": os.environ["REDIS_URL"]}
        settings.configure(SECRET_KEY=SECRET, CACHES={"default": cache})


def django():
    configure_django()
    from django.contrib.sessions.backends.signed_cookies import SessionStore

    session = SessionStore()
    session["_auth_user_id"] = "u-1"
    session.save()
    return "django", f"sessionid={session.session_key}", {"secret": SECRET, "backend": "signed_cookies"}


def django_redis():
    configure_django()
    from django.contrib.sessions.backends.cache import SessionStore

    session = SessionStore()
    session["_auth_user_id"] = "u-1"
    session.save()
    store = {"engine": "redis", "url": os.environ["REDIS_URL"]}
    return "django", f"sessionid={session.session_key}", {"backend": "cache", "store": store}


def flask_session():
    from flask import Flask, session
    from flask_session import Session
    from redis import Redis

    app = Flask(__name__)
    app.config.update(SESSION_TYPE="redis", SESSION_REDIS=Redis.from_url(os.environ["REDIS_URL"]))
    Session(app)

    @app.get("/")
    def sign_in():
        session["_user_id"] = "u-1"
        return ""

    store = {"engine": "redis", "url": os.environ["REDIS_URL"]}
    return "flask-session", app.test_client().get("/").headers["Set-Cookie"], {"store": store}


def fastapi_users():
    import asyncio
    import uuid

    from fastapi_users.authentication import CookieTransport
    from fastapi_users.authentication.strategy.db import DatabaseStrategy
    from fastapi_users.db import SQLAlchemyBaseUserTableUUID
    from fastapi_users_db_sqlalchemy.access_token import (
        SQLAlchemyAccessTokenDatabase,
        SQLAlchemyBaseAccessTokenTableUUID,
    )
    from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
    from sqlalchemy.orm import DeclarativeBase

    class Base(DeclarativeBase):
        pass

    class User(SQLAlchemyBaseUserTableUUID, Base):
        pass

    class AccessToken(SQLAlchemyBaseAccessTokenTableUUID, Base):
        pass

    async def sign_in(path):
        engine = create_async_engine(f"sqlite+aiosqlite:///{path}")
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        async with AsyncSession(engine, expire_on_commit=False) as session:
            user = User(id=uuid.uuid4(), email="u@example.com", hashed_password="")
            session.add(user)
            await session.commit()
            await session.refresh(user)
            tokens = SQLAlchemyAccessTokenDatabase(session, AccessToken)
            token = await DatabaseStrategy(tokens, lifetime_seconds=3600).write_token(user)
            answer = await CookieTransport().get_login_response(token)
            return answer.headers["set-cookie"], str(user.id)

    path = os.path.abspath("app.db")
    cookie, user = asyncio.run(sign_in(path))
    store = {"engine": "sql", "url": f"sqlite://{path}", "table": "accesstoken", "id_column": "token",
             "created_column": "created_at", "lifetime": "1h"}
    return "lookup", cookie, {"cookie": "fastapiusersauth", "store": store}, user


RECIPES = {
    "Flask": flask,
    "Flask-Session": flask_session,
    "fastapi-users": fastapi_users,
    "starlette": starlette,
    "Django": django,
    "django-redis": django_redis,
}

for library, make in RECIPES.items():
    row = {"library": library, "user": "u-1"}
    try:
        row["version"] = version(library)
        row["kind"], cookie, row["settings"], *user = make()
        row["user"] = user[0] if user else "u-1"
        row["cookie"] = cookie.split(";")[0]
    except Exception as error:  # noqa: BLE001 - told in the table
        row["error"] = str(error)
    print(json.dumps(row))
