"""FastAPI with fastapi-users: cookie transport and database strategy, as its documentation shows."""

from typing import Annotated

from fastapi import Depends, FastAPI, Header
from fastapi.responses import HTMLResponse, RedirectResponse

from accounts import User, backend, fastapi_users

app = FastAPI()
app.include_router(fastapi_users.get_auth_router(backend), prefix="/auth")

Visitor = Annotated[User | None, Depends(fastapi_users.current_user(optional=True))]

# What a front end sends.
SCRIPT = """<script>
  async function post(path, body, next) {
    const response = await fetch(path, { method: "POST", body });
    if (response.ok) location = next;
  }
</script>"""


def name(user: User) -> str:
    return user.email.split("@")[0]


@app.get("/", response_class=HTMLResponse)
def home(user: Visitor):
    if user is None:
        return RedirectResponse("/login")
    return f"""<p>Signed in as {name(user)}</p>
        <button onclick="post('/auth/logout', null, '/login')">Sign out</button>{SCRIPT}"""


@app.get("/login", response_class=HTMLResponse)
def sign_in_page():
    return f"""<form onsubmit="post('/auth/login', new FormData(this), '/'); return false">
        <label>Email <input name="username"></label>
        <label>Password <input name="password" type="password"></label>
        <button>Sign in</button></form>{SCRIPT}"""


@app.get("/whoami")
def whoami(user: Visitor, x_auth_user: Annotated[str | None, Header()] = None):
    return {"user": name(user) if user else None, "header": x_auth_user}
