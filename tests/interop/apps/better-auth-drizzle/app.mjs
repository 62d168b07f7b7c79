// Express with better-auth's handler, as its documentation shows.

import { fromNodeHeaders, toNodeHandler } from "better-auth/node";
import express from "express";
import { auth } from "./auth.mjs";

const app = express();
app.all("/api/auth/*splat", toNodeHandler(auth));

app.use(async (request, response, next) => {
  request.session = await auth.api.getSession({ headers: fromNodeHeaders(request.headers) });
  next();
});

app.get("/", (request, response) => {
  if (!request.session) return response.redirect("/login");
  response.send(`<p>Signed in as ${request.session.user.name}</p>
    <button onclick="post('/api/auth/sign-out', {}, '/login')">Sign out</button>${SCRIPT}`);
});

app.get("/login", (request, response) => {
  response.send(`<form onsubmit="signIn(this); return false">
    <label>Email <input name="email"></label>
    <label>Password <input name="password" type="password"></label>
    <button>Sign in</button></form>${SCRIPT}`);
});

app.get("/whoami", (request, response) => {
  response.json({ user: request.session?.user.name ?? null, header: request.get("X-Auth-User") ?? null });
});

// What better-auth's client sends.
const SCRIPT = `<script>
  async function post(path, body, next) {
    const headers = { "Content-Type": "application/json" };
    const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
    if (response.ok) location = next;
  }
  function signIn({ email, password }) {
    post("/api/auth/sign-in/email", { email: email.value, password: password.value }, "/");
  }
</script>`;

const server = app.listen(process.env.PORT ?? 3000, "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
