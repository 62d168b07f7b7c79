// What runs in the browser: clients that take what the gateway answers, each as its vendor's documentation says.
//
// They call their vendors' own hosts; `elsewhere.mjs` answers in their place.

import { createClient } from "@anam-ai/js-sdk";
import { AzureCommunicationTokenCredential } from "@azure/communication-common";
import { WebPubSubClient } from "@azure/web-pubsub-client";
import { BlobClient } from "@azure/storage-blob";
import { HMSReactiveStore } from "@100mslive/hms-video-store";
import { Cartesia } from "@cartesia/cartesia-js";
import RealtimeKitClient from "@cloudflare/realtimekit";
import { GoogleGenAI } from "@google/genai";
import { LiveAvatarSession } from "@heygen/liveavatar-web-sdk";
import Nango from "@nangohq/frontend";
import { SonioxClient } from "@soniox/client";
import { RealtimeClient } from "@speechmatics/real-time-client";
import { embedDashboard } from "@superset-ui/embedded-sdk";
import { TableauViz } from "@tableau/embedding-api";
import { VideoSDK } from "@videosdk.live/js-sdk";
import { DirectLine } from "botframework-directlinejs";
import braintree from "braintree-web/client";
import { HumeClient } from "hume";
import { SpeechConfig, SpeechSynthesizer } from "microsoft-cognitiveservices-speech-sdk";
import { OpenAIRealtimeWebSocket } from "openai/realtime/websocket";
import { factories, models, service } from "powerbi-client";
import { RetellWebClient } from "retell-client-js-sdk";

async function ask(path, init) {
  const response = await fetch(path, init);
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}

/** Waits until `found` gives something. */
async function until(found) {
  for (;;) {
    const value = found();
    if (value !== undefined && value !== false) return value;
    await new Promise((later) => setTimeout(later, 20));
  }
}

function container() {
  const box = document.createElement("div");
  document.body.append(box);
  return box;
}

globalThis.clients = {
  async "gemini-live"() {
    const { token } = await ask("/api/gemini-token");
    const ai = new GoogleGenAI({ apiKey: token, httpOptions: { apiVersion: "v1alpha" } });
    const session = await ai.live.connect({ model: "gemini-live", callbacks: { onmessage() {} } });
    session.close();
  },

  async openai() {
    const { value } = await ask("/api/openai-client-secret");
    const client = { apiKey: value, baseURL: "https://api.openai.com/v1" };
    const realtime = new OpenAIRealtimeWebSocket({ model: "gpt-realtime", dangerouslyAllowBrowser: true }, client);
    await until(() => realtime.socket.readyState === WebSocket.OPEN);
    realtime.close();
  },

  async "azure-speech"() {
    const { token, region } = await ask("/api/speech-token");
    const synthesizer = new SpeechSynthesizer(SpeechConfig.fromAuthorizationToken(token, region), null);
    synthesizer.speakTextAsync("hello", () => {}, () => {});
  },

  async "direct-line"() {
    const { token, conversationId } = await ask("/api/direct-line-token");
    const directLine = new DirectLine({ token, webSocket: false });
    const connected = new Promise((resolve, reject) => {
      directLine.connectionStatus$.subscribe((status) => {
        if (status === 2) resolve();
        if (status === 4 || status === 3) reject(new Error(`status ${status}`));
      });
      directLine.activity$.subscribe();
    });
    await connected;
    directLine.end();
    return conversationId;
  },

  async soniox() {
    const client = new SonioxClient({ api_key: async () => (await ask("/api/soniox-key")).api_key });
    await client.tts.generate({ text: "Hello", voice: "Adrian", language: "en" });
  },

  async speechmatics() {
    const { jwt } = await ask("/api/speechmatics-jwt");
    const client = new RealtimeClient();
    await client.start(jwt, { transcription_config: { language: "en", operating_point: "enhanced" } });
  },

  async cartesia() {
    const { token } = await ask("/api/cartesia-token");
    const client = new Cartesia({ token, maxRetries: 0 });
    await client.voices.list();
  },

  async hume() {
    const { accessToken } = await ask("/api/hume-token");
    const socket = new HumeClient({ accessToken }).empathicVoice.chat.connect({ configId: "c-1" });
    await socket.tillSocketOpen?.();
    socket.close();
  },

  async liveavatar() {
    const { session_token } = await ask("/api/liveavatar-token");
    const session = new LiveAvatarSession(session_token, { voiceChat: false });
    await session.start().catch(() => {});
  },

  async anam() {
    const { sessionToken } = await ask("/api/anam-token");
    const client = createClient(sessionToken, { disableInputAudio: true });
    await client.stream().catch(() => {});
  },

  async retell() {
    const { access_token } = await ask("/api/retell-call");
    await new RetellWebClient().startCall({ accessToken: access_token }).catch(() => {});
  },

  async "cloudflare-realtimekit"() {
    const { authToken } = await ask("/api/realtimekit-token?meeting=m1");
    await RealtimeKitClient.init({ authToken, defaults: { audio: false, video: false } }).catch(() => {});
  },

  async videosdk() {
    const { token } = await ask("/api/videosdk-token?room=acme_standup");
    VideoSDK.config(token);
    const meeting = VideoSDK.initMeeting({ meetingId: "acme_standup", name: "Ada", micEnabled: false, webcamEnabled: false });
    meeting.join();
  },

  async hms() {
    const { token } = await ask("/api/100ms-token?room_id=room1");
    const store = new HMSReactiveStore();
    store.getActions().join({ authToken: token, userName: "Ada", settings: { isAudioMuted: true, isVideoMuted: true } }).catch(() => {});
  },

  async "web-pubsub"() {
    const client = new WebPubSubClient({ getClientAccessUrl: async () => (await ask("/api/web-pubsub")).url });
    const connected = new Promise((resolve) => client.on("connected", resolve));
    await client.start();
    const { userId } = await connected;
    client.stop();
    return userId;
  },

  async superset() {
    await embedDashboard({
      id: "your-dashboard-uuid",
      supersetDomain: "https://superset.example.com",
      mountPoint: container(),
      fetchGuestToken: async () => (await ask("/api/superset-guest-token")).token,
    });
  },

  async "power-bi"() {
    const { accessToken } = await ask("/api/power-bi-token");
    const powerbi = new service.Service(factories.hpmFactory, factories.wpmpFactory, factories.routerFactory);
    const [id, embedUrl] = ["your-report-id", "https://app.powerbi.com/reportEmbed?reportId=your-report-id"];
    const settings = { type: "report", id, embedUrl, accessToken, tokenType: models.TokenType.Embed };
    const wrong = models.validateReportLoad({ id, accessToken, tokenType: settings.tokenType });
    powerbi.embed(container(), settings);
    return wrong ?? "valid";
  },

  async tableau() {
    const viz = new TableauViz();
    viz.src = "https://tableau.example.com/t/site/views/Workbook/Sheet";
    viz.token = (await ask("/api/tableau-token")).token;
    document.body.append(viz);
  },

  async nango() {
    const { sessionToken } = await ask("/api/nango-session");
    const client = new Nango({ connectSessionToken: sessionToken });
    await client.auth("github", { credentials: { apiKey: "the user's own" } }).catch(() => {});
  },

  async braintree() {
    const { clientToken } = await ask("/api/braintree-client-token");
    const client = await braintree.create({ authorization: clientToken });
    return client.getConfiguration().gatewayConfiguration.merchantId;
  },

  async "azure-communication"() {
    const { token } = await ask("/api/azure-communication-token");
    const credential = new AzureCommunicationTokenCredential(token);
    return credential.getToken();
  },

  async "azure-blob"() {
    const { url } = await ask("/api/azure-blob-url?blob=users/user_42/a.txt");
    const { blobBody } = await new BlobClient(url).download();
    return (await blobBody).text();
  },

  /** The browser itself takes the servers; it throws where one is malformed. */
  async ice(path) {
    const answer = await ask(path);
    const iceServers = answer.iceServers ?? [{ urls: answer.urls, username: answer.username, credential: answer.credential }];
    const connection = new RTCPeerConnection({ iceServers });
    const taken = connection.getConfiguration().iceServers;
    connection.close();
    return taken.map(({ urls, username, credential }) => ({ urls: [urls].flat(), username, credential }));
  },
};
