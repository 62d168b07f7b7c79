// A local OpenID provider with a login form, below the app's own address: npm oidc-provider.

import express from "express";
import Provider from "oidc-provider";

const people = [
  { id: "17", username: "ada", password: "analytical engine" },
  { id: "18", username: "bob", password: "tabulating machine" },
];

/** Its routes; the issuer is the address under which `app` serves them. */
export function addProvider(app, issuer, client) {
  const provider = new Provider(issuer, {
    clients: [client],
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_, { uid }) => `/sign-in/${uid}` },
    findAccount: (_, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
    loadExistingGrant,
  });
  // The gateway in front is the one that people reach.
  provider.proxy = true;
  app.get("/sign-in/:uid", (_, response) => {
    response.send(`<form method="post">
      <label>Username <input name="username"></label>
      <label>Password <input name="password" type="password"></label>
      <button>Sign in</button></form>`);
  });
  app.post("/sign-in/:uid", express.urlencoded(), async (request, response) => {
    const { username, password } = request.body;
    const person = people.find((person) => person.username === username && person.password === password);
    const result = person ? { login: { accountId: person.id } } : { error: "access_denied" };
    await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
  });
  app.use(new URL(issuer).pathname, provider.callback());
}

/** Nobody is asked for consent: the client is the provider's own. */
async function loadExistingGrant(context) {
  const { client, session, provider } = context.oidc;
  const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
  grant.addOIDCScope("openid");
  await grant.save();
  return grant;
}
