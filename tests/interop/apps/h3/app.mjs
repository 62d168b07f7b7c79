// h3 2 with useSession, as its documentation shows; SolidStart does the same.

import { H3, html, readBody, redirect, serve, useSession } from "h3";

const users = [
  { id: 17, username: "ada", password: "analytical engine" },
  { id: 18, username: "bob", password: "tabulating machine" },
];

const session = (event) =>
  useSession(event, {
    password: process.env.SESSION_PASSWORD,
    idleTimeout: 30 * 60,
    cookie: { secure: process.env.NODE_ENV === "production" },
  });

const app = new H3();

app.get("/", async (event) => {
  const { user } = (await session(event)).data;
  if (!user) return redirect("/login");
  return html`<p>Signed in as ${user.username}</p>
    <form method="post" action="/logout"><button>Sign out</button></form>`;
});

app.get("/login", async (event) => {
  const visitor = await session(event);
  await visitor.update({ visits: (visitor.data.visits ?? 0) + 1 });
  return html`<form method="post">
    <label>Username <input name="username"></label>
    <label>Password <input name="password" type="password"></label>
    <button>Sign in</button></form>`;
});

app.post("/login", async (event) => {
  const { username, password } = await readBody(event);
  const user = users.find((user) => user.username === username && user.password === password);
  if (!user) return redirect("/login");
  // Large enough for several cookies.
  await (await session(event)).update({ user: { id: user.id, username }, notes: "x".repeat(6000) });
  return redirect("/");
});

app.post("/logout", async (event) => {
  await (await session(event)).clear();
  return redirect("/");
});

app.get("/whoami", async (event) => {
  const { user } = (await session(event)).data;
  return { user: user?.username ?? null, header: event.req.headers.get("X-Auth-User") };
});

const server = serve(app, { port: Number(process.env.PORT ?? 3000), hostname: "127.0.0.1", silent: true });
await server.ready();
console.log(`listening on ${server.url.replace(/\/$/, "")}`);
