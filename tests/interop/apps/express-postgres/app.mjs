// Express with Passport's local strategy; sessions in PostgreSQL through connect-pg-simple, all as their READMEs show.

import connectPgSimple from "connect-pg-simple";
import express from "express";
import session from "express-session";
import passport from "passport";
import { Strategy } from "passport-local";

const users = [
  { id: 17, username: "ada", password: "analytical engine" },
  { id: 18, username: "bob", password: "tabulating machine" },
];

passport.use(
  new Strategy((username, password, done) => {
    const user = users.find((user) => user.username === username && user.password === password);
    done(null, user ?? false);
  }),
);
passport.serializeUser((user, done) => done(null, user.id));
passport.deserializeUser((id, done) => done(null, users.find((user) => user.id === id) ?? false));

const PgStore = connectPgSimple(session);

const app = express();
app.use(express.urlencoded());
app.use(
  session({
    store: new PgStore({ conString: process.env.DATABASE_URL, createTableIfMissing: true }),
    secret: process.env.SESSION_SECRET,
    resave: false,
    saveUninitialized: false,
    cookie: { maxAge: 60 * 60 * 1000 },
  }),
);
app.use(passport.session());

app.get("/", (request, response) => {
  if (!request.user) return response.redirect("/login");
  response.send(`<p>Signed in as ${request.user.username}</p>
    <form method="post" action="/logout"><button>Sign out</button></form>`);
});

app.get("/login", (request, response) => {
  // As a shop counts visits or keeps a basket: the visitor has a session before signing in.
  request.session.visits = (request.session.visits ?? 0) + 1;
  response.send(`<form method="post">
    <label>Username <input name="username"></label>
    <label>Password <input name="password" type="password"></label>
    <button>Sign in</button></form>`);
});

app.post("/login", passport.authenticate("local", { successRedirect: "/", failureRedirect: "/login" }));

app.post("/logout", (request, response, next) => {
  request.logout((error) => (error ? next(error) : response.redirect("/")));
});

app.get("/whoami", (request, response) => {
  response.json({ user: request.user?.username ?? null, header: request.get("X-Auth-User") ?? null });
});

const server = app.listen(process.env.PORT ?? 3000, "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
