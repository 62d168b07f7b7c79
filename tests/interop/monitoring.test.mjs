// The alerts and the dashboard of deploy/monitoring, against metrics of real gateways: every name is in a scrape,
// and every alert fires for a gateway that was brought into its state, and for no healthy one.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import https from "node:https";
import { connect } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Gateway } from "./harness.mjs";
import { EchoApp } from "./support/echo-app.mjs";
import { firing, namesOf, promtool } from "./support/promtool.mjs";
import { NEXTAUTH_SECRET, cookieOf } from "./support/session.mjs";
import { CLOSED } from "./support/ports.mjs";
import { Redis } from "./support/stores.mjs";
import { eventually } from "./support/wait.mjs";

const SLOW = 240_000;
const file = (path) => fileURLToPath(new URL(`../../deploy/monitoring/${path}`, import.meta.url));
const RULES = file("prometheus-rules.yaml");
const rules = readFileSync(RULES, "utf8");
const ALERTS = [...rules.matchAll(/^ *- alert: (\w+)$/gm)].map(([, name]) => name);
const dashboard = JSON.parse(readFileSync(file("grafana-dashboard.json"), "utf8"));
const panels = dashboard.panels.filter((panel) => panel.type !== "row");

const ENV = {
  NEXTAUTH_SECRET,
  PORTIVE_API_KEY: "PRTV_interop_monitoring-0123456789abcdef",
  VENDOR_KEY: "sk-interop-monitoring-0123456789abcdef",
  SHARED_KEY: "interop-shared-monitoring-0123456789abcdef",
};

/** Names of metrics in every scrape of this file. */
const scraped = new Set();
let app, folder;

before(async () => {
  app = await EchoApp.start();
  folder = mkdtempSync(join(tmpdir(), "portcullis-monitoring-"));
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=app.example"];
  const out = ["-keyout", join(folder, "key.pem"), "-out", join(folder, "site.pem")];
  execFileSync("openssl", ["req", "-x509", ...key, ...out, "-days", "3", "-addext", "subjectAltName=DNS:app.example"], { stdio: "ignore" });
});

after(() => {
  app?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const UPSTREAM = (...urls) => `[upstream]\nservers = ${JSON.stringify(urls)}\n`;
const SESSION = `[session]\nkind = "next-auth"\nsecret = "env:NEXTAUTH_SECRET"\n`;
const TOKEN = (limit) => `[token.portive]\npath = "/api/token"\npreset = "portive"\nkey = "env:PORTIVE_API_KEY"\nttl = "1m"\nlimit = "${limit}"\n`;
const usual = ({ server = "", url = `http://${app.address}`, upstream = "", limit = "1000/minute", rest = "" } = {}) =>
  server + UPSTREAM(url) + upstream + SESSION + TOKEN(limit) + rest;

async function scrape(gateway) {
  const response = await fetch(`${gateway.admin}/metrics`).catch(() => null);
  const text = response && await response.text();
  namesOf(text).forEach((name) => scraped.add(name));
  return text;
}

const status = async (gateway) => (await fetch(`${gateway.admin}/status`)).json();

const get = async (gateway, path, headers = {}) => {
  const response = await fetch(gateway.url + path, { headers });
  await response.arrayBuffer();
  return response.status;
};
const times = (count, act) => Promise.all(Array.from({ length: count }, act));
const token = async (gateway, user = "ada") => get(gateway, "/api/token", { cookie: await cookieOf(user) });

/** Scrapes of a gateway before, while and after it is brought into a state. */
async function observe(settings, cause, { env = {}, through } = {}) {
  const gateway = await Gateway.start(settings, { ...ENV, ...env }, through);
  try {
    const scrapes = [await scrape(gateway)];
    for (const round of [1, 2]) {
      await cause(gateway, round);
      // A request is counted when its answer has gone, which its client may know a moment before.
      await eventually("that all is counted", async () => await gateway.metric("portcullis_requests_in_flight") === 0);
      scrapes.push(await scrape(gateway));
    }
    return scrapes;
  } finally {
    gateway.kill();
  }
}

/** A server that answers after a while. */
async function slowServer(within) {
  const server = createServer({ keepAliveTimeout: 600_000 }, (request, response) => setTimeout(() => response.end("late"), within));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { url: `http://127.0.0.1:${server.address().port}`, close: () => (server.close(), server.closeAllConnections()) };
}

/** How a gateway comes into the state of each alert. */
const STATES = {
  PortcullisDown: async () => {
    const gateway = await Gateway.start(usual(), ENV);
    const scrapes = [await scrape(gateway)];
    gateway.kill();
    await eventually("its end", async () => await scrape(gateway) === null);
    return [...scrapes, null, null];
  },
  PortcullisErrors: async () => observe(usual({ url: `http://${CLOSED}` }), async (gateway) => {
    assert.equal(await get(gateway, "/"), 502);
  }),
  PortcullisUpstreamDown: async () => {
    const own = await EchoApp.start();
    const health = `health = { path = "/", every = "2s", unhealthy_after = 2 }\n`;
    return observe(usual({ url: `http://${own.address}`, upstream: health }), async (gateway) => {
      own.stop();
      const up = `portcullis_upstream_servers{server="http://${own.address}",state="up",upstream="default"}`;
      await eventually("that it is down", async () => await gateway.metric(up) === 0);
    });
  },
  PortcullisUpstreamServerDown: async () => {
    const own = await EchoApp.start();
    const health = `health = { path = "/", every = "2s", unhealthy_after = 2 }\n`;
    const settings = UPSTREAM(`http://${app.address}`, `http://${own.address}`) + health + SESSION;
    return observe(settings, async (gateway) => {
      own.stop();
      const down = `portcullis_upstream_servers{server="http://${own.address}",state="down",upstream="default"}`;
      await eventually("that it is down", async () => await gateway.metric(down) === 1);
      assert.equal(await get(gateway, "/"), 200);
    });
  },
  PortcullisUpstreamSlow: async () => {
    const slow = await slowServer(3000);
    try {
      return await observe(usual({ url: slow.url }), (gateway) => times(5, () => get(gateway, "/")));
    } finally {
      slow.close();
    }
  },
  PortcullisVendorPaused: async () => {
    const vendor = `[token.remote]\npath = "/api/remote"\nkind = "exchange"\nmethod = "POST"\nurl = "http://${CLOSED}/"\n`
      + `key = { secret = "env:VENDOR_KEY" }\nheaders = { authorization = "Bearer {key.secret}" }\nttl = "1m"\n`
      + `take = { token = "/token" }\nresponse = { token = "{token}" }\n`;
    return observe(usual({ rest: vendor }), async (gateway, round) => {
      for (const user of Array.from({ length: 6 }, (_, index) => `u${round}${index}`)) {
        assert.ok(await get(gateway, "/api/remote", { cookie: await cookieOf(user) }) >= 500);
      }
    });
  },
  PortcullisSessionStoreFailing: async () => {
    const settings = UPSTREAM(`http://${app.address}`)
      + `[session]\nkind = "lookup"\ncookie = "sid"\nuser_id = "/user"\nstore = { engine = "redis", url = "env:REDIS_URL", prefix = "s:" }\n`
      + TOKEN("9/minute");
    const env = { REDIS_URL: `redis://${CLOSED}` };
    return observe(settings, async (gateway, round) => {
      assert.equal(await get(gateway, "/api/token", { cookie: `sid=unknown-session-${round}` }), 503);
    }, { env });
  },
  PortcullisSessionsRefused: () => observe(usual(), async (gateway) => {
    const cookie = await cookieOf("ada", { secret: "what-the-app-signed-with-before-0123456789" });
    assert.equal(await get(gateway, "/api/token", { cookie }), 401);
  }),
  PortcullisLimitReached: () => observe(usual({ limit: "1/day" }), (gateway) => times(3, () => token(gateway))),
  PortcullisReloadRefused: () => observe(usual({ server: `watch = "50ms"\n` }), async (gateway) => {
    gateway.rewrite((text) => text.replace("[upstream]", "[upstraem]"));
    await eventually("the refusal", async () => await gateway.metric("portcullis_config_last_reload_successful") === 0);
  }),
  PortcullisCertificateExpires: () => {
    const pair = { cert: join(folder, "site.pem"), key: join(folder, "key.pem") };
    return observe(usual({ server: `tls = [{ cert = "${pair.cert}", key = "${pair.key}" }]\n` }), async (gateway) => {
      const url = gateway.url.replace("http:", "https:");
      const request = https.get(url, { rejectUnauthorized: false, servername: "app.example", agent: false });
      const [response] = await once(request, "response");
      response.resume();
      await once(response, "end");
      await eventually("the handshake", async () => await gateway.metric(`portcullis_tls_handshakes_total{result="done"}`) > 0);
    });
  },
  PortcullisAuditFailing: () => observe(usual({ rest: `[log]\naudit = "/dev/full"\n` }), async (gateway, round) => {
    assert.equal(await token(gateway), 200);
    await eventually("the loss", async () => await gateway.metric("portcullis_audit_failures_total") >= round);
  }),
  PortcullisRevocationsNotKept: () => observe(usual({ rest: `[revocations]\nfile = "revocations"\n` }), async (gateway, round) => {
    rmSync(gateway.path("revocations"), { recursive: true });
    mkdirSync(gateway.path("revocations"));
    const body = JSON.stringify({ user: `u${round}` });
    // Not with fetch, which adds a browser's header fields.
    const { hostname, port } = new URL(gateway.admin);
    const socket = connect(port, hostname);
    socket.end(`POST /revoke HTTP/1.1\r\nHost: ${hostname}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`);
    const [answer] = await once(socket, "data");
    assert.match(String(answer), /^HTTP\/1\.1 500 /);
    await eventually("the count", async () => await gateway.metric("portcullis_revocation_file_failures_total") > 0);
  }),
  PortcullisSharedStoreDown: async () => {
    const shared = `[shared]\nredis = "env:REDIS_URL"\nkey = "env:SHARED_KEY"\n`;
    const env = { REDIS_URL: `redis://${CLOSED}` };
    return observe(usual({ rest: shared }), async (gateway) => {
      await eventually("the pause", async () => {
        await token(gateway);
        return await gateway.metric("portcullis_shared_breaker") === 1;
      });
      const { shared, attention } = await status(gateway);
      assert.ok(shared.state === "paused" && shared.failures > 0, JSON.stringify(shared));
      assert.ok(attention.some((sentence) => sentence.includes("shared store")), attention.join());
    }, { env });
  },
  PortcullisConnectionsRefused: () => observe(usual({ server: "max_connections = 1\n" }), async (gateway) => {
    const { hostname, port } = new URL(gateway.url);
    const before = await gateway.metric("portcullis_connections_refused_total");
    const sockets = Array.from({ length: 4 }, () => connect(port, hostname).on("error", () => {}));
    await eventually("a refusal", async () => await gateway.metric("portcullis_connections_refused_total") > before);
    sockets.forEach((socket) => socket.destroy());
  }),
  PortcullisFileDescriptorsLow: async () => {
    const sockets = [];
    const through = ["prlimit", "--nofile=100:100", "--"];
    const scrapes = await observe(usual(), async (gateway) => {
      const { hostname, port } = new URL(gateway.url);
      while (await gateway.metric("process_open_fds") < 85) {
        sockets.push(connect(port, hostname).on("error", () => {}));
        await once(sockets.at(-1), "connect");
      }
    }, { through });
    sockets.forEach((socket) => socket.destroy());
    return scrapes;
  },
  PortcullisSpansDropped: async () => {
    const otlp = `[log]\notlp = "http://${CLOSED}"\n`;
    return observe(usual({ rest: otlp }), async (gateway, round) => {
      await get(gateway, "/page");
      await eventually("the loss", async () => await gateway.metric("portcullis_spans_dropped_total") >= 2 * round);
    });
  },
  PortcullisAccessLogDropping: () => {
    // What should read the log does not.
    const through = ["sh", "-c", '"$@" | sleep 600', "sh"];
    const long = "/".padEnd(7000, "x");
    return observe(usual({ server: "threads = 1\n" }), async (gateway) => {
      const before = await gateway.metric("portcullis_access_lines_dropped_total");
      await eventually("a loss", async () => {
        await times(50, () => get(gateway, long));
        return await gateway.metric("portcullis_access_lines_dropped_total") > before;
      });
    }, { through });
  },
};

describe("each alert fires for a gateway in its state", () => {
  test("every alert has a state, and every state an alert", () => {
    assert.deepEqual(Object.keys(STATES).toSorted(), ALERTS.toSorted());
  });
  for (const [alert, state] of Object.entries(STATES)) {
    test(alert, { timeout: SLOW }, async () => {
      const scrapes = await state();
      assert.ok(firing(RULES, [alert], scrapes).has(alert), `it fires\n${scrapes.at(-1)}`);
      const before = firing(RULES, [alert], [scrapes[0], scrapes[0]]);
      assert.equal(before.has(alert), alert === "PortcullisCertificateExpires", "not before");
    });
  }
});

test("no alert fires for a healthy gateway with a shared store, and promtool finds nothing to say", { timeout: SLOW }, async () => {
  const redis = await Redis.open();
  const shared = `[shared]\nredis = "env:REDIS_URL"\nkey = "env:SHARED_KEY"\ntimeout = "5s"\n`;
  try {
    const scrapes = await observe(usual({ rest: shared }), async (gateway) => {
      await times(5, () => token(gateway));
      await times(5, () => get(gateway, "/page"));
      assert.equal(await get(gateway, "/api/token"), 401);
      const { shared, attention } = await status(gateway);
      assert.deepEqual([shared.state, shared.replicas, attention], ["asked", 1, []]);
    }, { env: redis.env });
    assert.deepEqual(firing(RULES, ALERTS, scrapes), new Set());
    promtool(["check", "metrics"], scrapes.at(-1));
  } finally {
    await redis.close();
  }
});

test("a token in shadow mode is counted", { timeout: SLOW }, async () => {
  const shadow = `[token.beside]\npath = "/api/beside"\npreset = "portive"\nkey = "env:PORTIVE_API_KEY"\nttl = "1m"\nshadow = true\n`;
  await observe(usual({ rest: shadow }), async (gateway) => {
    assert.equal(await get(gateway, "/api/beside", { cookie: await cookieOf("ada") }), 200);
    await eventually("the comparison", async () => await gateway.metric(`portcullis_shadow_answers_total{result="different",token="beside"}`) > 0);
  });
});

describe("rules and dashboard", () => {
  const expressions = [
    ...[...rules.matchAll(/^ +expr: (?:\|\n((?: {10,}.*\n)+)|(.*))$/gm)].map(([, block, line]) => block ?? line),
    ...panels.flatMap((panel) => panel.targets.map(({ expr }) => expr)),
  ];
  /** As a server gets it from Grafana. */
  const filled = (expr) => expr.replaceAll("$__rate_interval", "5m").replaceAll("$instance", ".*");
  const named = new Set(expressions.flatMap((expr) => expr.match(/\b(?:portcullis|process)_\w+|\bup\b(?=\{)/g) ?? []));

  test("promtool accepts the rules and every expression of the dashboard", () => {
    promtool(["check", "rules", RULES]);
    const rules = panels.flatMap(({ targets }) => targets).map(({ expr }, index) => ({ record: `panel:${index}`, expr: filled(expr) }));
    const path = join(folder, "panels.yaml");
    writeFileSync(path, JSON.stringify({ groups: [{ name: "panels", rules }] }));
    promtool(["check", "rules", path]);
  });

  test("the rules' own examples hold", () => {
    promtool(["test", "rules", fileURLToPath(new URL("../fixtures/monitoring/alerts.yaml", import.meta.url))]);
  });

  test("every name in them is in a scrape", () => {
    assert.equal(expressions.length, ALERTS.length + panels.flatMap(({ targets }) => targets).length);
    assert.ok(named.size > 40, `only ${[...named]}`);
    assert.deepEqual([...named].filter((name) => !scraped.has(name)), []);
  });

  test("every metric of the reference is in the dashboard or in a rule, or is known to be left out", () => {
    const reference = readFileSync(fileURLToPath(new URL("../../deploy/guides/reference.md", import.meta.url)), "utf8");
    const rows = [...reference.matchAll(/^\| `((?:portcullis|process)_\w+)` \|/gm)].map(([, name]) => name);
    const shown = [...named].map((name) => name.replace(/_bucket$/, ""));
    const missing = rows.filter((name) => !shown.includes(name)).toSorted();
    assert.deepEqual(missing, [
      "portcullis_http2_refused_total",
      "portcullis_proxy_headers_refused_total",
      "portcullis_shared_denied_here_total",
      "portcullis_shared_scripts_total",
      "portcullis_spans_sent_total",
      "process_threads",
      "process_virtual_memory_bytes",
    ]);
  });

  test("the dashboard is one that Grafana can import", () => {
    assert.equal(dashboard.schemaVersion, 39);
    assert.deepEqual(dashboard.templating.list.map(({ name }) => name), ["datasource", "instance"]);
    const ids = dashboard.panels.map(({ id }) => id);
    assert.equal(new Set(ids).size, ids.length);
    const taken = new Set();
    for (const { title, gridPos: { x, y, w, h } } of dashboard.panels) {
      assert.ok(x >= 0 && x + w <= 24, title);
      for (let column = x; column < x + w; column++) {
        for (let line = y; line < y + h; line++) {
          const place = `${column},${line}`;
          assert.ok(!taken.has(place), `${title} lies over another`);
          taken.add(place);
        }
      }
    }
    for (const { title, datasource, targets, fieldConfig } of panels) {
      assert.ok(title && fieldConfig.defaults.unit && targets.length > 0, title);
      for (const target of [{ datasource }, ...targets]) {
        assert.deepEqual(target.datasource, { type: "prometheus", uid: "${datasource}" }, title);
      }
      assert.ok(targets.every(({ expr }) => expr.includes('instance=~"$instance"')), title);
    }
  });
});
