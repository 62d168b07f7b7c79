"""Flask with Flask-Session on Redis and Flask-Login, as their manuals show them."""

import os

from flask import Flask, jsonify, redirect, render_template_string, request, session, url_for
from flask_login import LoginManager, UserMixin, current_user, login_required, login_user, logout_user
from flask_session import Session
from redis import Redis

app = Flask(__name__)
app.config.update(SESSION_TYPE="redis", SESSION_REDIS=Redis.from_url(os.environ["REDIS_URL"]))
Session(app)

login_manager = LoginManager(app)
login_manager.login_view = "login"


class User(UserMixin):
    def __init__(self, id, username, password):
        self.id = id
        self.username = username
        self.password = password


users = [User(17, "ada", "analytical engine"), User(18, "bob", "tabulating machine")]


@login_manager.user_loader
def load_user(user_id):
    return next((user for user in users if user.get_id() == user_id), None)


@app.get("/")
@login_required
def home():
    return render_template_string(
        """<p>Signed in as {{ current_user.username }}</p>
        <form method="post" action="{{ url_for('logout') }}"><button>Sign out</button></form>"""
    )


@app.route("/login", methods=["GET", "POST"])
def login():
    if request.method == "POST":
        for user in users:
            if (user.username, user.password) == (request.form["username"], request.form["password"]):
                # Against session fixation: the id of the visit before is worth nothing afterwards.
                app.session_interface.regenerate(session)
                login_user(user)
                return redirect(url_for("home"))
    session["visits"] = session.get("visits", 0) + 1
    return render_template_string(
        """<form method="post">
        <label>Username <input name="username"></label>
        <label>Password <input name="password" type="password"></label>
        <button>Sign in</button></form>"""
    )


@app.post("/logout")
def logout():
    logout_user()
    return redirect(url_for("home"))


@app.get("/whoami")
def whoami():
    user = current_user.username if current_user.is_authenticated else None
    return jsonify(user=user, header=request.headers.get("X-Auth-User"))
