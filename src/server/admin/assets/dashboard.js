// The operator's page: reads /status every few seconds and /events as they come.
// Everything is put in as text, never as markup: names may come from anywhere.

const EVERY = 5000;
const TONES = 6;
const MOST_LINES = 200;

const byId = (id) => document.getElementById(id);
const part = (name) => document.querySelector(`[data-testid="${name}"]`);
const whole = new Intl.NumberFormat("en");
const clock = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const exact = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

/** An element with text, a class and children. */
function element(name, { text, className, label, attributes = {} } = {}, children = []) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  if (label) made.dataset.label = label;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function drawn(name, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

/** Seconds as people say them. */
function span(seconds) {
  if (seconds < 90) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129_600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}

function milliseconds(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms === 0) return "0";
  if (ms < 1) return `${ms.toFixed(2)} ms`;
  if (ms < 100) return `${ms.toFixed(1)} ms`;
  return ms < 10_000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

// --- charts ------------------------------------------------------------------

/** The smallest round number that is not below `most`. */
function ceiling(most) {
  const power = 10 ** Math.floor(Math.log10(Math.max(most, 1e-9)));
  return [1, 2, 2.5, 5, 10].map((step) => step * power).find((limit) => limit >= most) ?? most;
}

/** The series that are drawn: those with anything in them, the smallest put together. */
function chosen(series) {
  const sum = (values) => values.reduce((a, b) => a + (b ?? 0), 0);
  const some = series.map((it) => ({ ...it, total: sum(it.values) })).filter((it) => it.total > 0);
  some.sort((a, b) => b.total - a.total || a.name.localeCompare(b.name));
  if (some.length <= TONES) return some;
  const rest = some.splice(TONES - 1);
  const values = rest[0].values.map((_, index) => sum(rest.map((it) => it.values[index])));
  return [...some, { name: `${rest.length} others`, values, total: sum(values) }];
}

/** Draws one chart: stacked areas of counts, or lines of times. */
function chart(id, { from, step, series, stacked, unit, empty }) {
  const place = byId(id);
  const shown = stacked ? chosen(series) : series.filter((it) => it.values.some((value) => value !== null));
  if (shown.length === 0) {
    place.replaceChildren(element("p", { className: "empty", text: empty }));
    return;
  }
  const points = shown[0].values.length;
  const heights = shown[0].values.map((_, index) => {
    const at = shown.map((it) => it.values[index] ?? 0);
    return stacked ? at.reduce((a, b) => a + b, 0) : Math.max(...at);
  });
  const top = ceiling(Math.max(...heights, stacked ? 1 : 0));
  const show = unit === "ms" ? milliseconds : (value) => whole.format(value);
  const svg = drawn("svg", { viewBox: `0 0 ${points} 100`, preserveAspectRatio: "none", role: "img" });
  const words = shown.map((it) => (stacked ? `${it.name} ${whole.format(it.total)}` : `${it.name} up to ${show(Math.max(...it.values.map((v) => v ?? 0)))}`));
  svg.setAttribute("aria-label", `Up to the last hour. ${words.join(", ")}.`);
  const y = (value) => 100 - (value / top) * 100;
  for (const value of [0, top / 2, top]) {
    svg.append(drawn("line", { class: "grid", x1: 0, x2: points, y1: y(value), y2: y(value) }));
  }
  const below = new Array(points).fill(0);
  shown.forEach((it, index) => {
    const tone = `tone-${index % TONES}`;
    if (stacked) {
      const upper = it.values.map((value, at) => `${at},${y(below[at] + value)} ${at + 1},${y(below[at] + value)}`);
      const lower = it.values.map((_, at) => `${at + 1},${y(below[at])} ${at},${y(below[at])}`).reverse();
      svg.append(drawn("polygon", { class: `area ${tone}`, points: [...upper, ...lower].join(" ") }));
      it.values.forEach((value, at) => { below[at] += value; });
      return;
    }
    const path = it.values.map((value, at) => {
      if (value === null) return "";
      const isAlone = (it.values[at - 1] ?? null) === null;
      return `${isAlone ? "M" : "L"}${at},${y(value)}H${at + 1}`;
    });
    svg.append(drawn("path", { class: `line ${tone}`, d: path.join("") }));
  });
  const cursor = drawn("line", { class: "cursor", y1: 0, y2: 100, visibility: "hidden" });
  svg.append(cursor);
  const said = element("p", { className: "said" });
  const say = (index) => {
    cursor.setAttribute("x1", index + 0.5);
    cursor.setAttribute("x2", index + 0.5);
    cursor.setAttribute("visibility", "visible");
    const values = shown.map((it) => `${it.name} ${it.values[index] === null ? "–" : show(it.values[index])}`);
    said.textContent = `${clock.format((from + index * step) * 1000)}: ${values.join(", ")}`;
  };
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    say(Math.min(points - 1, Math.max(0, Math.floor(((event.clientX - box.left) / box.width) * points))));
  });
  let at = points - 1;
  svg.setAttribute("tabindex", "0");
  svg.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: -1, ArrowRight: 1, Home: -points, End: points }[event.key];
    if (move === undefined) return;
    event.preventDefault();
    at = Math.min(points - 1, Math.max(0, at + move));
    say(at);
  });
  const ticks = [0, top / 2, top].map((value) => {
    const tick = element("span", { className: "tick", text: show(value), attributes: { "aria-hidden": "true" } });
    tick.style.setProperty("top", `${y(value)}%`);
    return tick;
  });
  const plot = element("div", { className: "plot" }, [svg, ...ticks]);
  const times = [0, 0.5, 1].map((share) => element("span", { text: clock.format((from + share * (points - 1) * step) * 1000) }));
  const legend = shown.map((it, index) => element("li", {}, [
    element("i", { className: `tone-${index % TONES}`, attributes: { "aria-hidden": "true" } }),
    element("span", { text: it.name }),
    ...(stacked ? [element("b", { text: whole.format(it.total) })] : []),
  ]));
  place.replaceChildren(
    plot,
    element("div", { className: "times", attributes: { "aria-hidden": "true" } }, times),
    element("ul", { className: "legend" }, legend),
    said,
  );
}

/** Half minutes before the first request are left out: a young process shows what it has. */
const LEAST_POINTS = 20;

function charts({ from: first, step_seconds: step, routes, tokens, forwarded }) {
  const all = forwarded.length;
  const began = routes.reduce((least, it) => {
    const at = it.requests.findIndex((count) => count > 0);
    return at < 0 ? least : Math.min(least, at);
  }, all);
  const skip = Math.min(Math.max(0, began - 1), all - LEAST_POINTS);
  const base = { from: first + skip * step, step };
  const since = (values) => values.slice(skip);
  const named = (route) => (route === "-" ? "no rule" : route);
  const of = (key) => routes.map((it) => ({ name: named(it.route), values: since(it[key]) }));
  chart("requests-chart", { ...base, stacked: true, series: of("requests"), empty: "No request in the last hour." });
  chart("refused-chart", { ...base, stacked: true, series: of("refused"), empty: "Nobody was refused in the last hour." });
  chart("limits-chart", { ...base, stacked: true, series: of("limited"), empty: "No limit was reached in the last hour." });
  const origins = tokens.flatMap((it) => [
    { name: `${it.token}, minted`, values: since(it.minted) },
    { name: `${it.token}, cached`, values: since(it.cached) },
  ]);
  chart("tokens-chart", { ...base, stacked: true, series: origins, empty: "No token in the last hour." });
  const times = ["p50", "p95", "p99"].map((name) => ({ name, values: since(forwarded).map((it) => it?.[`${name}_ms`] ?? null) }));
  chart("latency-chart", { ...base, stacked: false, unit: "ms", series: times, empty: "No request was forwarded in the last hour." });
}

// --- tables ------------------------------------------------------------------

const badge = (text, tone) => element("span", { className: `badge ${tone}`, text });

function rows(id, all, none, columns) {
  const cells = all.map((item) => element("tr", {}, columns(item)));
  if (cells.length === 0) cells.push(element("tr", {}, [element("td", { className: "soft", text: none, attributes: { colspan: "5" } })]));
  byId(id).replaceChildren(...cells);
}

function refusals(all, now) {
  rows("refusals", all, "Nobody was refused in the last hour.", (it) => [
    element("td", { text: it.route === "-" ? "no rule" : it.route }),
    element("td", {}, [badge(it.reason || it.code, "bad"), ...(it.reason && it.reason !== it.code ? [element("span", { className: "soft", text: ` ${it.code}` })] : [])]),
    element("td", { className: "number", text: whole.format(it.count), label: "times" }),
    element("td", { text: `${span(now - it.last_at)} ago`, label: "last" }),
    element("td", {}, [element("div", { text: `${it.meaning}.` }), element("code", { text: it.command })]),
  ]);
}

function vendors(all, now) {
  rows("vendors", all, "There is no [token.NAME].", (it) => {
    const key = it.keys.find((key) => key.signs);
    const calls = it.vendor;
    const tone = { called: calls?.failed_last_hour ? "warn" : "good", paused: "bad", trying: "warn" }[calls?.state];
    return [
      element("td", { text: it.token }),
      element("td", { className: "mono", text: key ? key.key : "–", label: "key" }),
      element("td", { text: key?.in_force_since ? span(now - key.in_force_since) : "–", label: "in force for" }),
      element("td", {}, calls
        ? [badge(calls.state, tone), element("span", { className: "soft", text: ` ${whole.format(calls.failed_last_hour)} of ${whole.format(calls.failed_last_hour + calls.answered_last_hour)} calls failed` })]
        : [element("span", { className: "soft", text: "signed here" })]),
    ];
  });
}

function servers(all) {
  rows("servers", all, "There is no server.", (it) => [
    element("td", { className: "mono", text: it.server }),
    element("td", {}, [badge(it.state, it.state === "up" ? "good" : "bad")]),
    element("td", { className: "number", text: whole.format(it.in_flight), label: "in flight" }),
    element("td", { className: "number", text: whole.format(it.failed_last_hour), label: "failed" }),
  ]);
}

function records({ certificates, reloads, audit, sessions, shared, at }) {
  const pairs = certificates.map((it) => [`Certificate ${it.name}`, [badge(`${whole.format(it.days_left)} days left`, it.days_left < 14 ? "bad" : "good")]]);
  if (pairs.length === 0) pairs.push(["Certificates", ["none: this gateway does not terminate TLS"]]);
  const last = reloads.last;
  const told = last ? [badge(last.result, last.result === "ok" ? "good" : "bad"), ` ${span(at - last.at)} ago`] : ["none since the start"];
  pairs.push(["Last reload", told]);
  for (const problem of last?.problems ?? []) pairs.push(["Problem", [element("code", { className: "mono", text: problem })]]);
  pairs.push(["Audit log", audit.on ? [badge(audit.failures ? `${whole.format(audit.failures)} lines lost` : "written", audit.failures ? "bad" : "good")] : ["off"]]);
  pairs.push(["Revocations", [sessions.revocations_not_written ? badge("not all written", "bad") : sessions.revocations_in_force ? "some are in force" : "none in force"]]);
  pairs.push(["Session stores", [sessions.store_errors ? badge(`${whole.format(sessions.store_errors)} errors`, "bad") : "no errors"]]);
  if (sessions.remembered_ratio !== null) pairs.push(["Sessions", [`${Math.round(sessions.remembered_ratio * 100)} % remembered, the others verified`]]);
  if (shared) {
    const lag = `${whole.format(shared.replicas)} replicas, revocations ${milliseconds(shared.stream_lag_ms)} late`;
    pairs.push(["Shared store", [badge(shared.state, shared.state === "asked" ? "good" : "bad"), ` ${lag}`]]);
  }
  byId("records").replaceChildren(...pairs.flatMap(([name, value]) => [element("dt", { text: name }), element("dd", {}, value)]));
}

// --- status ------------------------------------------------------------------

function pill(state, text) {
  const place = byId("ready");
  if (place.dataset.state === state && place.textContent === text) return;
  place.dataset.state = state;
  place.textContent = text;
}

function show(status) {
  const { program, ready, requests, latency, tokens, cache, at } = status;
  const build = program.commit ? `${program.version} (${program.commit})` : program.version;
  byId("program").textContent = `version ${build}, up for ${span(program.uptime_seconds)}`;
  if (ready.stopping) pill("missing", "stopping");
  else pill(ready.ready ? "ready" : "missing", ready.ready ? "ready" : "something is missing");
  const attention = [...ready.missing, ...status.attention];
  byId("attention").hidden = attention.length === 0;
  byId("attention-list").replaceChildren(...attention.map((text) => element("li", { text })));

  part("requests").textContent = whole.format(requests.last_hour);
  part("in-flight").textContent = `${whole.format(requests.in_flight)} in flight, ${whole.format(requests.connections)} connections`;
  part("refused").textContent = whole.format(requests.refused_last_hour);
  const share = requests.last_hour ? (requests.refused_last_hour / requests.last_hour) * 100 : 0;
  part("refused-share").textContent = `${share.toFixed(share < 10 ? 1 : 0)} % of all requests`;
  part("tokens").textContent = whole.format(tokens.reduce((sum, it) => sum + it.minted_last_hour + it.cached_last_hour, 0));
  part("cache-ratio").textContent = cache.ratio_last_hour === null ? "none yet" : `${Math.round(cache.ratio_last_hour * 100)} % from the cache`;
  const recent = latency.forwarded;
  part("p95").textContent = milliseconds(recent?.p95_ms);
  part("latency-more").textContent = recent ? `p50 ${milliseconds(recent.p50_ms)}, p99 ${milliseconds(recent.p99_ms)}` : "nothing in 5 minutes";

  charts(status.history);
  refusals(status.refusals, at);
  vendors(tokens, at);
  servers(status.upstreams);
  records(status);
}

async function look() {
  // Redrawing would take the focus, or the selection, from somebody who reads a chart.
  const reads = document.activeElement?.closest?.(".chart") || !document.getSelection().isCollapsed;
  try {
    const response = await fetch("/status", { credentials: "omit" });
    const status = await response.json();
    if (!reads) show(status);
  } catch {
    pill("gone", "no answer");
  }
  setTimeout(look, EVERY);
}

// --- live --------------------------------------------------------------------

let paused = false;

function line(event) {
  if (paused || (event.kind === "refused" && !byId("show-refused").checked)) return;
  if (event.kind === "reloaded") { setTimeout(look, 0); return; }
  const isGood = event.kind === "issued";
  const entry = element("li", {}, [
    element("time", { className: "soft", text: exact.format(event.at) }),
    element("span", {}, [badge(isGood ? "issued" : String(event.status), isGood ? "good" : "bad")]),
    element("span", { text: event.route === "-" ? "no rule" : event.route }),
    element("span", { text: isGood ? `${event.reason}, ${milliseconds(event.ms)}` : event.reason }),
    element("span", { className: "soft mono", text: event.user ?? "" }),
  ]);
  const list = byId("live");
  list.prepend(entry);
  while (list.children.length > MOST_LINES) list.lastElementChild.remove();
}

function follow() {
  const events = new EventSource("/events");
  events.addEventListener("open", () => { byId("live-state").textContent = "connected"; });
  events.addEventListener("error", () => { byId("live-state").textContent = "connecting again"; });
  events.addEventListener("message", ({ data }) => line(JSON.parse(data)));
}

byId("pause").addEventListener("click", () => {
  paused = !paused;
  byId("pause").setAttribute("aria-pressed", String(paused));
  byId("pause").textContent = paused ? "Go on" : "Pause";
});

// --- revoke ------------------------------------------------------------------

byId("revoke-form").addEventListener("submit", (event) => {
  event.preventDefault();
  byId("confirm-user").textContent = byId("user").value;
  byId("confirm").returnValue = "no";
  byId("confirm").showModal();
});

byId("confirm").addEventListener("close", async () => {
  if (byId("confirm").returnValue !== "yes") return;
  const headers = { "Content-Type": "application/json", "X-Portcullis-Dashboard": "revoke" };
  const token = byId("token").value;
  if (token) headers.Authorization = `Bearer ${token}`;
  const result = byId("revoke-result");
  try {
    const body = JSON.stringify({ user: byId("user").value });
    const response = await fetch("/revoke", { method: "POST", credentials: "omit", headers, body });
    const answer = await response.json();
    result.textContent = answer.revoked ? "Revoked: every session of this user has ended." : answer.detail;
  } catch {
    result.textContent = "The gateway did not answer; nothing is known to be revoked.";
  }
});

look();
follow();
