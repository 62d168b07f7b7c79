"""FastAPI with Starlette's SessionMiddleware."""

import os
from typing import Annotated

from fastapi import FastAPI, Form, Header, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.middleware.sessions import SessionMiddleware

app = FastAPI()
app.add_middleware(SessionMiddleware, secret_key=os.environ["SESSION_SECRET"])

users = [
    {"id": 17, "username": "ada", "password": "analytical engine"},
    {"id": 18, "username": "bob", "password": "tabulating machine"},
]


@app.get("/", response_class=HTMLResponse)
def home(request: Request):
    user = request.session.get("user")
    if user is None:
        return RedirectResponse("/login")
    return f"""<p>Signed in as {user["username"]}</p>
        <form method="post" action="/logout"><button>Sign out</button></form>"""


@app.get("/login", response_class=HTMLResponse)
def sign_in_page(request: Request):
    request.session["visits"] = request.session.get("visits", 0) + 1
    return """<form method="post">
        <label>Username <input name="username"></label>
        <label>Password <input name="password" type="password"></label>
        <button>Sign in</button></form>"""


@app.post("/login")
def sign_in(request: Request, username: Annotated[str, Form()], password: Annotated[str, Form()]):
    for user in users:
        if (user["username"], user["password"]) == (username, password):
            request.session.clear()
            request.session["user"] = {"id": user["id"], "username": user["username"]}
            return RedirectResponse("/", status_code=303)
    return RedirectResponse("/login", status_code=303)


@app.post("/logout")
def sign_out(request: Request):
    request.session.clear()
    return RedirectResponse("/", status_code=303)


@app.get("/whoami")
def whoami(request: Request, x_auth_user: Annotated[str | None, Header()] = None):
    user = request.session.get("user", {}).get("username")
    return {"user": user, "header": x_auth_user}
