// What runs in the browser: each vendor's own client, pointed at the gateway as its documentation says.
//
// The vendors' servers are stand-ins behind the same address as the page.

import { Token } from "@ckeditor/ckeditor5-cloud-services";
import { createClient } from "@liveblocks/client";
import * as Ably from "ably";
import { TokenSource } from "livekit-client";
import Pusher from "pusher-js/with-encryption";

const { hostname, port, origin } = location;

/** Where Pusher's clients find its servers, which are behind the page's own address. */
const NEXT_DOOR = {
  cluster: "interop",
  wsHost: hostname,
  wsPort: Number(port),
  forceTLS: false,
  enabledTransports: ["ws"],
  disableStats: true,
  channelAuthorization: { endpoint: "/pusher/auth" },
  userAuthentication: { endpoint: "/pusher/user-auth" },
};

/** How `work` ended, as a value that can leave the page. */
async function outcome(work) {
  try {
    return await work;
  } catch (error) {
    const { message, statusCode, code } = error;
    return { refused: String(message), statusCode, code };
  }
}

globalThis.clients = {
  livekit(roomName) {
    const source = TokenSource.endpoint("/api/livekit-token");
    const options = { roomName, participantIdentity: "somebody-else", participantName: "Mallory" };
    return outcome(source.fetch(options));
  },

  /** Publishes with a token of its own; `authUrl` answers with a JWT or with a request for a token. */
  ably(authUrl, authMethod) {
    const client = new Ably.Rest({
      authUrl,
      authMethod,
      restHost: hostname,
      port: Number(port),
      tls: false,
      useBinaryProtocol: false,
      fallbackHosts: [],
    });
    const publish = async () => {
      const { token, clientId } = await client.auth.authorize();
      await client.channels.get("user:user_42").publish("greeting", "hello");
      return { token, clientId };
    };
    return outcome(publish());
  },

  pusher(channel) {
    const client = new Pusher("your-app-key", NEXT_DOOR);
    const subscribed = new Promise((resolve, reject) => {
      const joined = client.subscribe(channel);
      joined.bind("pusher:subscription_succeeded", () => resolve(joined.members?.myID ?? "subscribed"));
      joined.bind("pusher:subscription_error", ({ status, error }) => reject({ message: error, statusCode: status }));
    });
    return outcome(subscribed).finally(() => client.disconnect());
  },

  /** The first event of an encrypted channel, as the client decrypts it. */
  pusherEncrypted(channel) {
    const client = new Pusher("your-app-key", NEXT_DOOR);
    const heard = new Promise((resolve, reject) => {
      const joined = client.subscribe(channel);
      joined.bind("plan", resolve);
      joined.bind("pusher:subscription_error", ({ status, error }) => reject({ message: error, statusCode: status }));
    });
    return outcome(heard).finally(() => client.disconnect());
  },

  pusherUser() {
    const client = new Pusher("your-app-key", NEXT_DOOR);
    client.signin();
    const signedIn = client.user.signinDonePromise.then(() => client.user.user_data);
    return outcome(signedIn).finally(() => client.disconnect());
  },

  async ckeditor() {
    const fetched = await outcome(Token.create("/api/ckeditor-token", { autoRefresh: false }));
    return fetched.refused ? fetched : { token: fetched.value, refresh: fetched._getTokenRefreshTimeoutTime() };
  },

  /** Enters a room; says how the room's connection went. */
  liveblocks(authEndpoint, name) {
    const client = createClient({ authEndpoint, baseUrl: origin });
    const { room, leave } = client.enterRoom(name);
    const entered = new Promise((resolve, reject) => {
      room.events.status.subscribe((status) => {
        if (status === "connected") resolve({ status, self: room.getSelf()?.id });
        if (status === "disconnected") reject({ message: status });
      });
    });
    return outcome(entered).finally(leave);
  },
};
