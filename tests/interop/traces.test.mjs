// Spans as a collector gets them, read with the messages that the protocol's own project publishes.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, afterEach, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Gateway } from "./harness.mjs";
import { Child } from "./support/child.mjs";
import { EchoApp } from "./support/echo-app.mjs";
import { NEXTAUTH_SECRET, cookieOf } from "./support/session.mjs";
import { CLOSED } from "./support/ports.mjs";
import { eventually } from "./support/wait.mjs";

const SLOW = 240_000;
const file = (path) => fileURLToPath(new URL(`traces/${path}`, import.meta.url));
const TRACE = "0af7651916cd43dd8448eb211c80319c";
const PARENT = "b7ad6b7169203331";
const SAMPLED = `00-${TRACE}-${PARENT}-01`;
const USER = "unmistakable-user";
const ENV = {
  NEXTAUTH_SECRET,
  PORTIVE_API_KEY: "PRTV_interop_traces-0123456789abcdef",
  VENDOR_KEY: "sk-interop-traces-0123456789abcdef",
  COLLECTOR_KEY: "interop-collector-0123456789abcdef",
};

/** A collector of its own: what it prints, it has been sent. */
class Collector {
  static async start() {
    const collector = new Collector();
    collector.child = new Child(file(".venv/bin/python"), [file("receiver.py")]);
    collector.url = await collector.child.heard("where it listens", (line) => line.startsWith("{") ? JSON.parse(line).listening : null);
    return collector;
  }

  get spans() {
    return this.child.output.split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line)).filter(({ span }) => span);
  }

  /** The spans of a trace, once its request has one and `count` others have come. */
  async trace(trace, count) {
    const found = () => this.spans.filter((span) => span.trace === trace);
    await eventually(`${count} spans of ${trace}`, () => found().length >= count);
    const spans = found();
    assert.equal(spans.length, count, JSON.stringify(spans));
    return spans;
  }
}

let app, collector, gateway;
before(async () => {
  app = await EchoApp.start();
  collector = await Collector.start();
}, { timeout: SLOW });
afterEach(() => gateway?.kill());
after(() => {
  app?.stop();
  collector?.child.kill();
});

const settings = (otlp, { servers = [`http://${app.address}`], rest = "" } = {}) => `[upstream]\nservers = ${JSON.stringify(servers)}
[session]\nkind = "next-auth"\nsecret = "env:NEXTAUTH_SECRET"
[token.portive]\npath = "/api/token"\npreset = "portive"\nkey = "env:PORTIVE_API_KEY"\nttl = "1m"\nlimit = "1000/minute"
[[route]]\npath = "/account/**"\nsession = "required"\nlimit = "1000/minute"
${rest}[log]\n${otlp}\n`;
const start = async (otlp, more) => gateway = await Gateway.start(settings(otlp, more), ENV);

async function get(path, headers = {}) {
  const response = await fetch(gateway.url + path, { headers });
  await response.arrayBuffer();
  return response.status;
}
const signedIn = async (more = {}) => ({ cookie: await cookieOf(USER), ...more });
const step = (spans, name) => {
  const found = spans.filter(({ attributes }) => attributes["portcullis.step"] === name);
  assert.equal(found.length, 1, `one ${name}: ${JSON.stringify(spans)}`);
  return found[0];
};
const ofRequest = (spans) => spans.find(({ kind }) => kind === "SPAN_KIND_SERVER");
const traceparentAt = (seen) => seen.fields.traceparent;

describe("a recorded request", { timeout: SLOW }, () => {
  test("for a token has spans of session, limit and mint below its own, by the convention's names", async () => {
    await start(`otlp = "${collector.url}"`);
    assert.equal(await get(`/api/token?code=canary`, await signedIn({ traceparent: SAMPLED })), 200);
    const spans = await collector.trace(TRACE, 4);
    const request = ofRequest(spans);
    assert.deepEqual([request.name, request.parent, request.flags], ["GET token.portive", PARENT, 0x301]);
    assert.equal(request.status, "STATUS_CODE_UNSET");
    assert.deepEqual(
      { ...request.attributes, "server.port": 0, "portcullis.request_id": "" },
      {
        "http.request.method": "GET",
        "url.scheme": "http",
        "url.path": "/api/token",
        "http.route": "token.portive",
        "server.address": "127.0.0.1",
        "server.port": 0,
        "client.address": "127.0.0.1",
        "network.protocol.version": "1.1",
        "http.response.status_code": 200,
        "portcullis.outcome": "issued",
        "portcullis.reason": "minted",
        "portcullis.request_id": "",
      },
    );
    const [session, limit, mint] = ["session", "limit", "mint"].map((name) => step(spans, name));
    assert.deepEqual([session.name, limit.name, mint.name], ["session", "limit token.portive", "mint portive"]);
    assert.equal(session.attributes["portcullis.session.result"], "accepted");
    assert.equal(limit.attributes["portcullis.limit.admitted"], true);
    for (const span of [session, limit, mint]) {
      assert.deepEqual([span.parent, span.kind, span.flags], [request.span, "SPAN_KIND_INTERNAL", 0x101]);
      assert.ok(request.start <= span.start && span.start <= span.end && span.end <= request.end, JSON.stringify(span));
    }
    assert.equal(request.resource["service.name"], "portcullis");
  });

  test("that is forwarded names the attempt to the app, and only the one that reached it", async () => {
    const closed = `http://${CLOSED}`;
    await start(`otlp = "${collector.url}"`, { servers: [closed, `http://${app.address}`] });
    for (const _ of [1, 2]) {
      app.seen.length = 0;
      const trace = crypto.randomUUID().replaceAll("-", "");
      assert.equal(await get("/account/me", await signedIn({ traceparent: `00-${trace}-${PARENT}-01`, tracestate: "v=1" })), 200);
      await eventually("the request's span", () => collector.spans.some((span) => span.trace === trace && span.kind === "SPAN_KIND_SERVER"));
      const spans = collector.spans.filter((span) => span.trace === trace);
      const request = ofRequest(spans);
      const attempts = spans.filter(({ attributes }) => attributes["portcullis.step"] === "upstream");
      const last = attempts.find(({ attributes }) => attributes["http.response.status_code"] === 200);
      assert.deepEqual(traceparentAt(app.seen[0]), [`00-${trace}-${last.span}-01`]);
      assert.deepEqual(app.seen[0].fields.tracestate, ["v=1"]);
      assert.ok(attempts.every(({ parent, kind }) => parent === request.span && kind === "SPAN_KIND_CLIENT"));
      for (const failed of attempts.filter((attempt) => attempt !== last)) {
        assert.equal(failed.status, "STATUS_CODE_ERROR");
        assert.ok(failed.attributes["error.type"]);
        assert.equal(last.attributes["http.request.resend_count"], 1);
      }
      assert.equal(last.attributes["server.port"], Number(app.address.split(":")[1]));
      assert.equal(request.attributes["http.route"], "/account/**");
      step(spans, "limit");
      step(spans, "session");
    }
    const retried = collector.spans.filter(({ attributes }) => attributes["http.request.resend_count"] === 1);
    assert.ok(retried.length > 0, "one of the two came to the closed server first");
  });

  test("names its grant and its exchange to whoever is asked", async () => {
    const asked = [];
    const vendor = createServer({ keepAliveTimeout: 600_000 }, (request, response) => {
      asked.push({ url: request.url, traceparent: request.headers.traceparent });
      request.resume();
      const status = request.url.startsWith("/refuse") ? 429 : 200;
      response.writeHead(status, { "content-type": "application/json" }).end(`{"token":"vendors-token-of-0123456789"}`);
    });
    vendor.listen(0, "127.0.0.1");
    await once(vendor, "listening");
    const url = `http://127.0.0.1:${vendor.address().port}`;
    const token = (name, path) => `[token.${name}]\npath = "/api/${name}"\nkind = "exchange"\nmethod = "POST"\nurl = "${url}${path}?secret=canary"\n`
      + `key = { secret = "env:VENDOR_KEY" }\nheaders = { authorization = "Bearer {key.secret}" }\nttl = "1m"\n`
      + `take = { token = "/token" }\nresponse = { token = "{token}" }\ngrant = { url = "${url}/grants" }\n`;
    await start(`otlp = "${collector.url}"`, { rest: token("remote", "/mint") + token("refused", "/refuse") });
    for (const [name, path, status] of [["remote", "/mint", 200], ["refused", "/refuse", 503]]) {
      asked.length = 0;
      const trace = crypto.randomUUID().replaceAll("-", "");
      assert.equal(await get(`/api/${name}`, await signedIn({ traceparent: `00-${trace}-${PARENT}-01` })), status);
      const spans = await collector.trace(trace, 4);
      const [grant, exchange] = [step(spans, "grant"), step(spans, "exchange")];
      assert.deepEqual(asked.map(({ traceparent }) => traceparent), [grant, exchange].map(({ span }) => `00-${trace}-${span}-01`));
      assert.deepEqual([grant.name, exchange.name, exchange.kind], ["GET", "POST", "SPAN_KIND_CLIENT"]);
      assert.equal(exchange.attributes["portcullis.token"], name);
      assert.equal(exchange.attributes["server.address"], "127.0.0.1");
      assert.equal(exchange.status, path === "/refuse" ? "STATUS_CODE_ERROR" : "STATUS_CODE_UNSET");
      assert.equal(ofRequest(spans).status, status === 503 ? "STATUS_CODE_ERROR" : "STATUS_CODE_UNSET");
    }
    vendor.close();
    vendor.closeAllConnections();
  });

  test("that is refused is a span too, and no error of the server", async () => {
    await start(`otlp = "${collector.url}"`);
    const trace = crypto.randomUUID().replaceAll("-", "");
    assert.equal(await get("/api/token", { cookie: "next-auth.session-token=canary", traceparent: `00-${trace}-${PARENT}-01` }), 401);
    const spans = await collector.trace(trace, 2);
    const request = ofRequest(spans);
    assert.deepEqual([request.status, request.attributes["http.response.status_code"]], ["STATUS_CODE_UNSET", 401]);
    assert.equal(step(spans, "session").attributes["portcullis.session.result"], request.attributes["portcullis.reason"]);
  });
});

describe("which requests are recorded", { timeout: SLOW }, () => {
  test("a client that says no is believed, and the app hears it unchanged", async () => {
    await start(`otlp = "${collector.url}"`);
    const trace = crypto.randomUUID().replaceAll("-", "");
    app.seen.length = 0;
    assert.equal(await get("/page", { traceparent: `00-${trace}-${PARENT}-00` }), 200);
    assert.deepEqual(traceparentAt(app.seen[0]), [`00-${trace}-${PARENT}-00`]);
    assert.equal(await get("/page", { traceparent: `00-${trace.replace(/^./, "f")}-${PARENT}-01` }), 200);
    await collector.trace(trace.replace(/^./, "f"), 3);
    assert.ok(!collector.spans.some((span) => span.trace === trace));
  });

  test("of traces that begin here, the share; and the app is told which", async () => {
    await start(`otlp = { endpoint = "${collector.url}/v1/traces", sample = "50%", service = "edge" }`);
    app.seen.length = 0;
    await Promise.all(Array.from({ length: 200 }, () => get("/page")));
    const told = app.seen.map((seen) => traceparentAt(seen)[0].split("-"));
    const sampled = told.filter(([, , , flags]) => flags === "01");
    assert.ok(sampled.length > 60 && sampled.length < 140, `${sampled.length} of 200`);
    for (const [, trace, span] of sampled) {
      const spans = await collector.trace(trace, 3);
      assert.equal(step(spans, "upstream").span, span);
      assert.equal(ofRequest(spans).parent, "");
      assert.equal(spans[0].resource["service.name"], "edge");
    }
    const others = told.filter(([, , , flags]) => flags === "00").map(([, trace]) => trace);
    assert.equal(others.length, 200 - sampled.length);
    assert.ok(!collector.spans.some(({ trace }) => others.includes(trace)));
  });

  test("a reload begins and ends it", async () => {
    await start(`user = "hash"`);
    const record = async (on) => {
      const before = await gateway.metric(`portcullis_reloads_total{result="ok"}`);
      gateway.rewrite((text) => text.replace(/^(otlp|user) = .*$/m, on ? `otlp = "${collector.url}"` : `user = "hash"`));
      await eventually("the reload", async () => await gateway.metric(`portcullis_reloads_total{result="ok"}`) > before);
    };
    const traces = Array.from({ length: 3 }, () => crypto.randomUUID().replaceAll("-", ""));
    const ask = (trace) => get("/page", { traceparent: `00-${trace}-${PARENT}-01` });
    await ask(traces[0]);
    await record(true);
    await ask(traces[1]);
    await collector.trace(traces[1], 3);
    await record(false);
    await ask(traces[2]);
    await gateway.stop();
    assert.deepEqual(traces.map((trace) => collector.spans.filter((span) => span.trace === trace).length), [0, 3, 0]);
  });
});

describe("the collector", { timeout: SLOW }, () => {
  test("is shown its key, which stands nowhere else, and gets the last spans when the gateway stops", async () => {
    await start(`otlp = { endpoint = "${collector.url}", headers = { x-collector-key = "env:COLLECTOR_KEY" } }`);
    const trace = crypto.randomUUID().replaceAll("-", "");
    await get("/page", { traceparent: `00-${trace}-${PARENT}-01` });
    await gateway.stop();
    const spans = await collector.trace(trace, 3);
    assert.deepEqual(spans.map(({ key }) => key), Array(3).fill(ENV.COLLECTOR_KEY));
  });

  test("that is busy is asked again, and one that refuses is not", async () => {
    await start(`otlp = "${collector.url}/busy"`);
    const trace = crypto.randomUUID().replaceAll("-", "");
    await get("/page", { traceparent: `00-${trace}-${PARENT}-01` });
    await collector.trace(trace, 3);
    assert.equal(await gateway.metric("portcullis_spans_dropped_total"), 0);
    await eventually("the count", async () => await gateway.metric("portcullis_spans_sent_total") === 3);
    gateway.kill();
    await start(`otlp = "${collector.url}/refuse"`);
    await get("/page");
    await eventually("the loss", async () => await gateway.metric("portcullis_spans_dropped_total") === 3);
    await eventually("the reason", () => /the trace collector refuses spans/.test(gateway.output));
  });

  test("that never answers holds up no request, and what waits for it has an end", async () => {
    const silent = createServer(() => {});
    silent.listen(0, "127.0.0.1");
    await once(silent, "listening");
    await start(`otlp = "http://127.0.0.1:${silent.address().port}"`);
    for (let round = 0; round < 30; round++) {
      const statuses = await Promise.all(Array.from({ length: 100 }, () => get("/page")));
      assert.deepEqual(statuses.filter((status) => status !== 200), []);
    }
    // Three spans each: a full queue, and a batch under way.
    const lost = 9000 - 4096 - 2 * 512;
    await eventually("the loss", async () => await gateway.metric("portcullis_spans_dropped_total") >= lost);
    silent.close();
    silent.closeAllConnections();
  });
});

test("no span of this file has a secret, a user, a query or a name that the convention does not know", () => {
  assert.ok(collector.spans.length > 200);
  assert.deepEqual([...new Set(collector.spans.flatMap(({ unknown }) => unknown))], []);
  const whole = JSON.stringify(collector.spans.map(({ key, ...span }) => span));
  for (const secret of [USER, "canary", "vendors-token", ...Object.values(ENV), "Ada Lovelace", "eyJ"]) {
    assert.ok(!whole.includes(secret), secret);
  }
});
