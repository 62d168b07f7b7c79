// The upload page: asks the gateway for a token and shows what came back.
//
// It fetches as any page would, with the session cookie and nothing else. The
// requests use the default cache mode on purpose: "no-store" would make the
// browser send `Cache-Control: no-cache`, which asks the gateway to mint again.

const TOKEN_URL = "/api/get-auth-token";
const BURST = 40;

/** An element of the page by its test id. */
const part = (name) => document.querySelector(`[data-testid="${name}"]`);
const byId = (id) => document.getElementById(id);

/** The last token: { text, header, claims, skew }. */
let current = null;
/** The last allowance: { quota, window, remaining, at }. */
let allowance = null;
/** When (in ms, this browser's clock) the gateway answers again. */
let waitUntil = 0;

// --- reading answers -------------------------------------------------------

/** Asks for one token. Never throws: a lost connection has status 0. */
async function ask({ method = "GET", fresh = false } = {}) {
  const started = performance.now();
  try {
    const headers = fresh ? { "Cache-Control": "no-cache" } : {};
    const response = await fetch(TOKEN_URL, { method, headers });
    const body = await response.json().catch(() => ({}));
    const { status } = response;
    return { status, body, headers: response.headers, took: performance.now() - started };
  } catch {
    return { status: 0, body: {}, headers: new Headers(), took: 0 };
  }
}

/** A JWT's header and claims. Reading is not verifying: that is the issuer's part. */
function decode(text) {
  const read = (segment) => {
    const binary = atob(segment.replaceAll("-", "+").replaceAll("_", "/"));
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(binary, (c) => c.charCodeAt(0))));
  };
  const [header, claims] = text.split(".", 2).map(read);
  return { text, header, claims };
}

/** A structured-field list such as `"portive";q=30;w=60` as a map of parameters by name. */
function readList(value) {
  const items = (value ?? "").matchAll(/"([^"]*)"((?:\s*;\s*[a-z]+=[^;,\s]+)*)/g);
  return new Map([...items].map(([, name, parameters]) => [
    name,
    Object.fromEntries([...parameters.matchAll(/([a-z]+)=(\d+)/g)].map(([, key, n]) => [key, Number(n)])),
  ]));
}

/** The tightest allowance the headers speak of, or null. */
function readAllowance(headers) {
  const policies = readList(headers.get("RateLimit-Policy"));
  const states = [...readList(headers.get("RateLimit"))]
    .filter(([name]) => policies.has(name))
    .map(([name, { r = 0 }]) => ({ quota: policies.get(name).q, window: policies.get(name).w, remaining: r }))
    .sort((a, b) => a.remaining / a.quota - b.remaining / b.quota);
  return states.length ? { ...states[0], at: Date.now() } : null;
}

/** How far this browser's clock is off the gateway's; under 2 s is rounding. */
function skew(headers) {
  const off = Date.parse(headers.get("Date") ?? "") - Date.now();
  return Math.abs(off) > 2000 ? off : 0;
}

// --- showing them ----------------------------------------------------------

const SENTENCES = {
  0: "No answer. Is the demo still running?",
  401: "Not signed in. Refused at the gate; the app was not asked.",
  404: "This came from the app, and the app has no tokens. Open the page through Portcullis.",
  429: "Allowance used up. Refused at the gate; nothing was minted.",
};

function showStatus({ status, body, took }) {
  const place = part("result-status");
  const badge = Object.assign(document.createElement("b"), { textContent: status || "offline" });
  const sentence = status === 200
    ? `Answered by Portcullis in ${Math.max(1, Math.round(took))} ms.`
    : SENTENCES[status] ?? body.title ?? "An answer this page does not know.";
  place.dataset.status = status || "offline";
  place.replaceChildren(badge, ` ${sentence}`);
  if (status === 401) {
    place.append(" ", Object.assign(document.createElement("a"), { href: "/", textContent: "Sign in again" }));
  }
}

function showToken(answer, fresh) {
  const token = { ...decode(answer.body.authToken), skew: skew(answer.headers) };
  showSame(current, token, fresh);
  current = token;
  showJson(part("token-header"), token.header);
  showJson(part("token-claims"), token.claims);
  part("raw-token").replaceChildren(...token.text.split(".").map((segment) =>
    Object.assign(document.createElement("span"), { textContent: segment })));
  const kept = keptUntil(token.claims.exp - token.claims.iat);
  byId("kept").textContent = `Ask again and you get this one, until ${Math.ceil(kept)} s are left.`;
  tick();
}

function showSame(before, token, fresh) {
  const place = part("same-token");
  if (before === null) {
    place.dataset.same = "first";
    place.textContent = "Your first token on this page.";
  } else if (before.text !== token.text) {
    place.dataset.same = "new";
    place.textContent = fresh ? "A new token, minted because you asked for a fresh one." : "A new token, minted just now.";
  } else {
    place.dataset.same = "same";
    place.textContent = fresh
      ? "Minted again within the same second, so it reads the same."
      : "The same token as before, from the gateway’s cache.";
  }
}

/** JSON with its parts marked for colour; the text stays plain JSON. */
function showJson(place, value) {
  const tokens = JSON.stringify(value, null, 2).split(/("(?:[^"\\]|\\.)*"(?=:)|"(?:[^"\\]|\\.)*"|\b(?:true|false|null)\b|-?\d+(?:\.\d+)?)/);
  let key = "";
  place.replaceChildren(...tokens.map((text, index) => {
    if (index % 2 === 0) return document.createTextNode(text);
    const span = document.createElement("span");
    span.textContent = text;
    span.className = text.startsWith('"') ? "text" : "value";
    if (tokens[index + 1]?.startsWith(":")) {
      span.className = "name";
      key = JSON.parse(text);
    } else if (["exp", "iat", "nbf"].includes(key)) {
      span.dataset.note = new Date(Number(text) * 1000).toLocaleTimeString();
    }
    return span;
  }));
}

function showAllowance(headers) {
  const read = readAllowance(headers);
  if (!read) return;
  allowance = read;
  const { quota, window, remaining } = read;
  byId("allowance").classList.remove("unknown");
  part("rate-remaining").textContent = remaining;
  part("rate-limit").textContent = quota;
  const each = window / quota;
  byId("refill").textContent = each >= 1
    ? `One comes back every ${Number(each.toFixed(1))} s.`
    : `${Number((1 / each).toFixed(1))} come back every second.`;
  const gauge = byId("gauge");
  gauge.setAttribute("aria-label", `${remaining} of ${quota} left`);
  const bars = Math.min(quota, 60);
  if (gauge.childElementCount !== bars) {
    gauge.replaceChildren(...Array.from({ length: bars }, () => document.createElement("i")));
  }
  tick();
}

/** Lights the part of the way a request went, and says how it ended. */
function showWay(reached, outcome, note) {
  const way = byId("way");
  way.dataset.reached = "";
  void way.offsetWidth; // restarts the animation
  way.dataset.reached = reached;
  way.dataset.outcome = outcome;
  byId("way-note").textContent = note;
}

function showTokenWay({ status }) {
  if (status === 200) showWay("gate", "ok", "Answered at the gate. The app was not asked.");
  else if (status === 404) showWay("app", "refused", "Nobody stood in front: the app answered, and it has no key.");
  else if (status) showWay("gate", "refused", "Refused at the gate. The app was not asked.");
}

/** One answer, on every part of the page it concerns. */
function show(answer, fresh) {
  showStatus(answer);
  showAllowance(answer.headers);
  showTokenWay(answer);
  const wait = Number(answer.headers.get("Retry-After"));
  waitUntil = answer.status === 429 && wait > 0 ? Date.now() + wait * 1000 : 0;
  if (answer.status === 200 && answer.body.authToken) showToken(answer, fresh);
  else Object.assign(part("same-token"), { textContent: "" }).dataset.same = "none";
  tick();
}

// --- what moves with time --------------------------------------------------

function tick() {
  tickLife();
  tickGauge();
  tickWait();
}

/** The gateway hands out a kept token until a fifth of its life, 10 s at least, is left. */
const keptUntil = (total) => Math.min(Math.max(total / 5, 10), 300, total / 2);

function tickLife() {
  if (!current) return;
  const { exp, iat } = current.claims;
  const total = exp - iat;
  const left = Math.max(0, exp - (Date.now() + current.skew) / 1000);
  const life = document.querySelector(".life");
  const mark = life.querySelector(".mark");
  life.dataset.state = left === 0 ? "over" : left < keptUntil(total) ? "late" : "good";
  life.querySelector(".left").style.setProperty("scale", `${Math.min(1, left / total)} 1`);
  mark.hidden = false;
  mark.style.setProperty("left", `${(keptUntil(total) / total) * 100}%`);
  part("token-life").textContent = left === 0 ? "expired" : `${Math.ceil(left)} s of ${total} s`;
}

/** Solid: left as of the last answer. Pale: come back since, by the policy. */
function tickGauge() {
  if (!allowance) return;
  const { quota, window, remaining, at } = allowance;
  const bars = [...byId("gauge").children];
  const scale = bars.length / quota;
  const back = remaining + ((Date.now() - at) / 1000) * (quota / window);
  bars.forEach((bar, index) => {
    bar.className = index < Math.ceil(remaining * scale) ? "left" : index < Math.floor(back * scale) ? "back" : "";
  });
}

function tickWait() {
  const place = part("retry-after");
  const seconds = Math.ceil((waitUntil - Date.now()) / 1000);
  place.hidden = waitUntil === 0;
  place.dataset.over = seconds <= 0;
  place.textContent = seconds > 0 ? `Retry-After: try again in ${seconds} s` : "You may try again now.";
}

// --- buttons ---------------------------------------------------------------

/** Runs `work` with the token buttons off, so that answers do not overtake each other. */
async function busy(work) {
  const buttons = ["get-token", "fresh-token", "burst"].map(part);
  buttons.forEach((button) => button.setAttribute("aria-disabled", "true"));
  try {
    await work();
  } finally {
    buttons.forEach((button) => button.removeAttribute("aria-disabled"));
  }
}

function onClick(button, work) {
  button.addEventListener("click", () => {
    if (button.getAttribute("aria-disabled") !== "true") work();
  });
}

async function burst() {
  const dots = Array.from({ length: BURST }, () => document.createElement("i"));
  byId("dots").replaceChildren(...dots);
  part("burst-result").replaceChildren();
  const answers = [];
  await Promise.all(dots.map(async () => {
    const answer = await ask({ method: "POST" });
    dots[answers.length].dataset.status = answer.status;
    answers.push(answer);
  }));
  showBurst(answers);
  show(answers.at(-1), false);
}

function showBurst(answers) {
  const counts = new Map();
  answers.forEach(({ status }) => counts.set(status, (counts.get(status) ?? 0) + 1));
  const tokens = new Set(answers.filter(({ status }) => status === 200).map(({ body }) => body.authToken)).size;
  const pieces = [...counts].sort(([a], [b]) => a - b).flatMap(([status, count]) => {
    const badge = Object.assign(document.createElement("b"), { textContent: `${count} × ${status || "lost"}` });
    badge.dataset.status = status;
    return [badge, " "];
  });
  const minted = tokens ? `${tokens === 1 ? "One token" : `${tokens} tokens`} served them all.` : "";
  part("burst-result").replaceChildren(...pieces, minted);
}

/** Asks the app who it thinks we are; returns the user the gateway named to it. */
async function look(headers = {}) {
  const response = await fetch("/whoami", { headers }).catch(() => null);
  if (!response?.ok) return undefined;
  const seen = await response.json();
  showJson(part("whoami"), seen);
  return seen.headers["X-Auth-User"];
}

async function askTheApp() {
  const user = await look();
  if (user !== undefined) showWay("app", "ok", "Forwarded to the app, with the identity the gateway verified.");
}

async function claimToBeRoot() {
  const user = await look({ "X-Auth-User": "root" });
  if (user === undefined) return;
  showWay("app", "ok", "Forwarded to the app; the false header was dropped on the way.");
  part("spoof-result").textContent = `Sent “X-Auth-User: root”. The app sees ${user ?? "nobody"}.`;
}

onClick(part("get-token"), () => busy(async () => show(await ask(), false)));
onClick(part("fresh-token"), () => busy(async () => show(await ask({ fresh: true }), true)));
onClick(part("burst"), () => busy(burst));
onClick(part("look"), askTheApp);
onClick(part("spoof"), claimToBeRoot);
look();
setInterval(tick, 250);
