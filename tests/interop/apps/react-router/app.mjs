// React Router's routes, loaders and actions on a plain Node.js server, with the cookie sessions of its documentation.

import { createServer } from "node:http";
import { createCookieSessionStorage, createStaticHandler, redirect } from "react-router";

const users = [
  { id: "17", username: "ada", password: "analytical engine" },
  { id: "18", username: "bob", password: "tabulating machine" },
];

const { getSession, commitSession, destroySession } = createCookieSessionStorage({
  cookie: {
    name: "__session",
    httpOnly: true,
    path: "/",
    sameSite: "lax",
    secrets: [process.env.SESSION_SECRET],
    secure: process.env.NODE_ENV === "production",
  },
});

const sessionOf = (request) => getSession(request.headers.get("Cookie"));
const html = (body, headers = {}) => new Response(body, { headers: { "Content-Type": "text/html", ...headers } });

const routes = [
  {
    path: "/",
    async loader({ request }) {
      const session = await sessionOf(request);
      if (!session.has("userId")) return redirect("/login");
      return html(`<p>Signed in as ${session.get("username")}</p>
        <form method="post" action="/logout"><button>Sign out</button></form>`);
    },
  },
  {
    path: "/login",
    async loader({ request }) {
      const session = await sessionOf(request);
      session.set("visits", (session.get("visits") ?? 0) + 1);
      const form = `<form method="post">
        <label>Username <input name="username"></label>
        <label>Password <input name="password" type="password"></label>
        <button>Sign in</button></form>`;
      return html(form, { "Set-Cookie": await commitSession(session) });
    },
    async action({ request }) {
      const form = await request.formData();
      const [username, password] = [form.get("username"), form.get("password")];
      const user = users.find((user) => user.username === username && user.password === password);
      if (!user) return redirect("/login");
      const session = await sessionOf(request);
      session.set("userId", user.id);
      session.set("username", username);
      // Without it every sign-in of a user would set the very same cookie.
      session.set("since", Date.now());
      session.flash("message", "Welcome back");
      return redirect("/", { headers: { "Set-Cookie": await commitSession(session) } });
    },
  },
  {
    path: "/logout",
    async action({ request }) {
      const session = await sessionOf(request);
      return redirect("/", { headers: { "Set-Cookie": await destroySession(session) } });
    },
  },
  {
    path: "/whoami",
    async loader({ request }) {
      const session = await sessionOf(request);
      const header = request.headers.get("X-Auth-User");
      return Response.json({ user: session.get("username") ?? null, header });
    },
  },
];

const { queryRoute } = createStaticHandler(routes);

const server = createServer({ keepAliveTimeout: 600_000 }, async (incoming, outgoing) => {
  const { method, headers } = incoming;
  const body = method === "POST" ? { body: incoming, duplex: "half" } : {};
  const request = new Request(`http://${headers.host}${incoming.url}`, { method, headers, ...body });
  const response = await queryRoute(request).catch((thrown) =>
    thrown instanceof Response ? thrown : new Response(null, { status: thrown.status ?? 500 }),
  );
  outgoing.writeHead(response.status, Object.fromEntries(response.headers));
  outgoing.end(Buffer.from(await response.arrayBuffer()));
});
server.listen(process.env.PORT ?? 3000, "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
