// gRPC with its own client and server: every kind of call, errors, deadlines and metadata pass through.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import grpc from "@grpc/grpc-js";
import { Orders, Private, arrivals, cancelled, openShop } from "./support/shop.mjs";
import { cookieOf } from "./support/session.mjs";
import { Certificate, gatewayFor } from "./support/wire.mjs";

const { DEADLINE_EXCEEDED, FAILED_PRECONDITION, CANCELLED, UNAUTHENTICATED, UNAVAILABLE, UNIMPLEMENTED } = grpc.status;
const TABLES = `[[route]]
path = "/shop.v1.Private/**"
session = "required"`;

let server, plain, tls, certificate, cookie;

before(async () => {
  server = await openShop();
  certificate = new Certificate();
  const upstream = 'http2 = true\nread_timeout = "20s"';
  plain = await gatewayFor(server.url, { upstream, tables: TABLES });
  tls = await gatewayFor(server.url, { upstream, tables: TABLES, server: certificate.settings });
  cookie = await cookieOf("ada");
}, { timeout: 240_000 });

after(() => {
  server?.forceShutdown();
  [plain, tls].forEach((gateway) => gateway?.kill());
  certificate?.remove();
});

for (const over of ["plain HTTP/2", "TLS"]) {
  describe(`over ${over}`, () => {
    let orders, inside;
    before(() => {
      const gateway = over === "TLS" ? tls : plain;
      const target = gateway.url.replace("http://127.0.0.1", over === "TLS" ? "localhost" : "127.0.0.1");
      const trusted = () => grpc.credentials.createSsl(readFileSync(certificate.file));
      const credentials = over === "TLS" ? trusted() : grpc.credentials.createInsecure();
      orders = new Orders(target, credentials);
      inside = new Private(target, credentials);
    });
    after(() => [orders, inside].forEach((client) => client.close()));
    calls(() => orders, () => inside);
  });
}

function calls(orders, inside) {
  const promise = (sentence, work) => test(sentence, { timeout: 240_000 }, work);

  promise("a call is answered, with metadata both ways and trailers", async () => {
    const metadata = signedIn();
    metadata.add("x-echo", "one");
    metadata.add("x-echo", "two");
    metadata.add("x-echo-bin", Buffer.from([0, 200, 10]));
    metadata.set("x-auth-user", "root");
    const body = randomBytes(3_000_000);
    const { response, head, status } = await unary(orders(), { id: "a", body }, metadata);
    assert.deepEqual([response.id, response.user], ["a", "ada"]);
    assert.ok(body.equals(response.body));
    assert.deepEqual(head.get("x-echoed"), ["one, two"]);
    assert.deepEqual(head.get("x-echoed-bin"), [Buffer.from([0, 200, 10])]);
    assert.deepEqual(status.metadata.get("x-trailer"), ["at the end"]);
    assert.deepEqual(status.metadata.get("x-trailer-bin"), [Buffer.from([0, 1, 255])]);
  });

  promise("without a session the server is told of nobody, whatever the client claims", async () => {
    const metadata = new grpc.Metadata();
    metadata.set("x-auth-user", "root");
    assert.equal((await unary(orders(), { id: "b" }, metadata)).response.user, "nobody");
  });

  promise("an error arrives with its code, its words and its trailers", async () => {
    const error = await failure(unary(orders(), { id: "refused" }));
    assert.deepEqual([error.code, error.details], [FAILED_PRECONDITION, "not in stock: größe 50 %"]);
    assert.deepEqual(error.metadata.get("x-trailer"), ["at the end"]);
  });

  promise("a method nobody has is UNIMPLEMENTED, as the server says", async () => {
    const { Get } = Orders.service;
    const client = orders();
    const call = new Promise((resolve, reject) => {
      const done = (error, answer) => (error ? reject(error) : resolve(answer));
      client.makeUnaryRequest("/shop.v1.Orders/Buy", Get.requestSerialize, Get.responseDeserialize, {}, done);
    });
    assert.equal((await failure(call)).code, UNIMPLEMENTED);
  });

  promise("a stream of answers arrives in order, one by one, and with the error that ends it", async () => {
    const { received } = await collected(orders().List({ id: "many", count: 2_000 }, signedIn()));
    assert.deepEqual(received.map(({ count }) => count), Array.from({ length: 2_000 }, (_, index) => index + 1));
    assert.ok(received.every(({ user }) => user === "ada"));
    const slowly = orders().List({ id: "slowly", count: 4 });
    slowly.on("data", () => arrivals.emit("one"));
    assert.equal((await collected(slowly)).received.length, 4);
    const broken = await collected(orders().List({ id: "fails", count: 3 }));
    assert.deepEqual([broken.received.length, broken.error.code], [3, FAILED_PRECONDITION]);
    assert.equal(broken.error.details, "that was all");
  });

  promise("a stream of requests is answered once", async () => {
    const answer = await new Promise((resolve, reject) => {
      const call = orders().Add(signedIn(), (error, answer) => (error ? reject(error) : resolve(answer)));
      for (let number = 1; number <= 1_000; number += 1) call.write({ count: number });
      call.end();
    });
    assert.deepEqual([answer.count, answer.user], [500_500, "ada"]);
  });

  promise("both sides talk at the same time", async () => {
    const call = orders().Chat(signedIn());
    for (let number = 0; number < 200; number += 1) {
      call.write({ id: `message ${number}` });
      const [answer] = await once(call, "data");
      assert.deepEqual([answer.id, answer.user], [`message ${number}`, "ada"]);
    }
    call.end();
    const [status] = await once(call, "status");
    assert.equal(status.code, grpc.status.OK);
  });

  promise("two hundred calls at once each get their own answer", async () => {
    const ids = Array.from({ length: 200 }, (_, number) => `call ${number}`);
    const answered = await Promise.all(ids.map(async (id) => (await unary(orders(), { id })).response.id));
    assert.deepEqual(answered, ids);
  });

  promise("a deadline ends the call at both ends", async () => {
    cancelled.length = 0;
    // On a busy machine, a deadline may pass before the server hears of the call.
    for (let within = 300; !cancelled.includes("never"); within *= 2) {
      const error = await failure(unary(orders(), { id: "never" }, signedIn(), { deadline: Date.now() + within }));
      assert.equal(error.code, DEADLINE_EXCEEDED);
      await new Promise((resolve) => setTimeout(resolve, within));
    }
  });

  promise("a call that is given up ends at the server", async () => {
    cancelled.length = 0;
    const call = orders().List({ id: "open", count: 1 });
    await once(call, "data");
    call.cancel();
    const [error] = await once(call, "error");
    assert.equal(error.code, CANCELLED);
    await eventually(() => cancelled.includes("open"));
  });

  promise("where a session is required, every kind of call is UNAUTHENTICATED without one", async () => {
    const unfinished = (call) => new Promise((resolve) => call.on("error", resolve).on("data", () => {}));
    const refusals = await Promise.all([
      failure(unary(inside(), { id: "c" })),
      unfinished(inside().List({ id: "c", count: 1 })),
      unfinished(inside().Chat()),
      failure(new Promise((resolve, reject) => {
        inside().Add((error, answer) => (error ? reject(error) : resolve(answer))).write({ count: 1 });
      })),
    ]);
    assert.deepEqual(refusals.map(({ code }) => code), Array(4).fill(UNAUTHENTICATED));
    assert.equal((await unary(inside(), { id: "c" }, signedIn())).response.user, "ada");
  });
}

test("a server that is gone is UNAVAILABLE", { timeout: 240_000 }, async () => {
  server.forceShutdown();
  const orders = new Orders(plain.url.slice("http://".length), grpc.credentials.createInsecure());
  assert.equal((await failure(unary(orders, { id: "d" }))).code, UNAVAILABLE);
  orders.close();
});

test("the gateways stop when asked, and printed no secret", { timeout: 240_000 }, async () => {
  await plain.stop();
  await tls.stop();
});

function signedIn() {
  const metadata = new grpc.Metadata();
  metadata.set("cookie", cookie);
  return metadata;
}

/** One question, one answer: the answer, the metadata before it and the status after it. */
function unary(client, request, metadata = new grpc.Metadata(), options = {}) {
  return new Promise((resolve, reject) => {
    const answer = {};
    const finish = () => answer.response && answer.status && resolve(answer);
    const call = client.Get(request, metadata, options, (error, response) => {
      if (error) return reject(error);
      answer.response = response;
      finish();
    });
    call.on("metadata", (head) => (answer.head = head));
    call.on("status", (status) => {
      answer.status = status;
      finish();
    });
  });
}

async function failure(call) {
  return call.then((answer) => assert.fail(`answered: ${JSON.stringify(answer)}`), (error) => error);
}

/** All that a stream of answers brings. */
function collected(call) {
  return new Promise((resolve) => {
    const all = { received: [] };
    call.on("data", (order) => all.received.push(order));
    call.on("error", (error) => (all.error = error));
    call.on("status", () => setImmediate(() => resolve(all)));
  });
}

async function eventually(check) {
  while (!check()) await new Promise((resolve) => setTimeout(resolve, 10));
}
