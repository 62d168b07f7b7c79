// The page of a team that moved its Portive key to the gateway: there is no route that mints a token and
// no key. One token arrives with the request for the page, others are fetched when they are needed.

import { useState } from "react";
import { signIn, signOut } from "next-auth/react";
import { getServerSession } from "next-auth/next";
import { Client, uploadFile } from "@portive/client";
import { authOptions } from "./api/auth/[...nextauth]";

export async function getServerSideProps({ req, res }) {
  const session = await getServerSession(req, res, authOptions);
  return {
    props: {
      name: session?.user.name ?? null,
      pageToken: req.headers["x-portive-token"] ?? null,
      apiOrigin: process.env.PORTIVE_ORIGIN,
    },
  };
}

async function fetchToken() {
  const response = await fetch("/api/get-auth-token");
  if (!response.ok) throw new Error(`no token: ${response.status}`);
  return (await response.json()).authToken;
}

export default function Page({ name, pageToken, apiOrigin }) {
  const [status, setStatus] = useState("");

  async function upload(authToken) {
    setStatus("uploading");
    const client = new Client({ authToken, apiOrigin });
    const file = new File(["hello"], "hello.txt", { type: "text/plain" });
    const event = await uploadFile({ client, file });
    setStatus(event.type === "success" ? `stored as ${event.hostedFile.url}` : event.message);
  }

  return (
    <main>
      <p data-testid="name">{name ?? "nobody"}</p>
      <p data-testid="page-token">{pageToken}</p>
      {name ? <button onClick={() => signOut()}>Sign out</button> : <button onClick={() => signIn()}>Sign in</button>}
      <button onClick={() => upload(fetchToken)}>Upload</button>
      <button onClick={() => upload(pageToken)}>Upload with the page&apos;s token</button>
      <p role="status">{status}</p>
    </main>
  );
}
