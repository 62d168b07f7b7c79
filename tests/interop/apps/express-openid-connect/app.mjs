// Express with express-openid-connect, as its README shows; its provider is a local one.

import express from "express";
import openid from "express-openid-connect";
import { addProvider } from "./provider.mjs";

const users = new Map([["17", "ada"], ["18", "bob"]]);
const client = { client_id: "shop", client_secret: "interop-client-secret-0123456789" };
const issuer = `${process.env.PUBLIC_URL}/oidc`;

const app = express();
addProvider(app, issuer, { ...client, redirect_uris: [`${process.env.PUBLIC_URL}/callback`] });
app.use(
  openid.auth({
    issuerBaseURL: issuer,
    baseURL: process.env.PUBLIC_URL,
    clientID: client.client_id,
    clientSecret: client.client_secret,
    secret: process.env.SECRET,
    authRequired: false,
    // The form is shown again, whoever is signed in at the provider.
    authorizationParams: { response_type: "code", scope: "openid", prompt: "login" },
  }),
);

app.get("/", (request, response) => {
  if (!request.oidc.isAuthenticated()) return response.redirect("/login");
  response.send(`<p>Signed in as ${users.get(request.oidc.user.sub)}</p>
    <form action="/logout"><button>Sign out</button></form>`);
});

app.get("/whoami", (request, response) => {
  const user = users.get(request.oidc.user?.sub) ?? null;
  response.json({ user, header: request.get("X-Auth-User") ?? null });
});

const server = app.listen(process.env.PORT ?? 3000, "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
