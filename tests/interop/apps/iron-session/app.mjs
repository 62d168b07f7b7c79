// Express with iron-session, as its README shows.

import express from "express";
import { getIronSession } from "iron-session";

const users = [
  { id: 17, username: "ada", password: "analytical engine" },
  { id: 18, username: "bob", password: "tabulating machine" },
];

const app = express();
app.use(express.urlencoded());
app.use(async (request, response, next) => {
  request.session = await getIronSession(request, response, {
    password: process.env.IRON_PASSWORD,
    cookieName: "shop_session",
    cookieOptions: { secure: process.env.NODE_ENV === "production" },
  });
  next();
});

app.get("/", (request, response) => {
  const { user } = request.session;
  if (!user) return response.redirect("/login");
  response.send(`<p>Signed in as ${user.username}</p>
    <form method="post" action="/logout"><button>Sign out</button></form>`);
});

app.get("/login", async (request, response) => {
  request.session.visits = (request.session.visits ?? 0) + 1;
  await request.session.save();
  response.send(`<form method="post">
    <label>Username <input name="username"></label>
    <label>Password <input name="password" type="password"></label>
    <button>Sign in</button></form>`);
});

app.post("/login", async (request, response) => {
  const { username, password } = request.body;
  const user = users.find((user) => user.username === username && user.password === password);
  if (!user) return response.redirect("/login");
  request.session.user = { id: user.id, username };
  await request.session.save();
  response.redirect("/");
});

app.post("/logout", (request, response) => {
  request.session.destroy();
  response.redirect("/");
});

app.get("/whoami", (request, response) => {
  response.json({ user: request.session.user?.username ?? null, header: request.get("X-Auth-User") ?? null });
});

const server = app.listen(process.env.PORT ?? 3000, "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
