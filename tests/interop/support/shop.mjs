// A gRPC server with every kind of call, and clients for it.

import { EventEmitter, once } from "node:events";
import { fileURLToPath } from "node:url";
import grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

const FAILED_PRECONDITION = grpc.status.FAILED_PRECONDITION;

export const { Orders, Private } = grpc.loadPackageDefinition(
  loadSync(fileURLToPath(new URL("./shop.proto", import.meta.url))),
).shop.v1;

/** The ids of calls that ended before the server was done with them. */
export const cancelled = [];

/** Hears `one` for each answer of a call for `slowly`: the next one is sent once it has been received. */
export const arrivals = new EventEmitter();

/** A server on a free port. */
export async function openShop() {
  const server = new grpc.Server();
  server.addService(Orders.service, answers);
  server.addService(Private.service, answers);
  const insecure = grpc.ServerCredentials.createInsecure();
  const port = await new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", insecure, (error, port) => (error ? reject(error) : resolve(port)));
  });
  server.url = `http://127.0.0.1:${port}`;
  return server;
}

const userOf = (call) => call.metadata.get("x-auth-user").join() || "nobody";

const answers = {
  Get(call, done) {
    const { id } = call.request;
    call.on("cancelled", () => cancelled.push(id));
    if (id === "never") return;
    const trailers = new grpc.Metadata();
    trailers.set("x-trailer", "at the end");
    trailers.set("x-trailer-bin", Buffer.from([0, 1, 255]));
    if (id === "refused") {
      return done({ code: FAILED_PRECONDITION, details: "not in stock: größe 50 %", metadata: trailers });
    }
    const head = new grpc.Metadata();
    call.metadata.get("x-echo").forEach((value) => head.add("x-echoed", value));
    call.metadata.get("x-echo-bin").forEach((value) => head.add("x-echoed-bin", value));
    call.sendMetadata(head);
    done(null, { ...call.request, user: userOf(call) }, trailers);
  },
  async List(call) {
    const { id, count } = call.request;
    call.on("cancelled", () => cancelled.push(id));
    for (let number = 1; number <= count && !call.cancelled; number += 1) {
      const arrived = id === "slowly" && once(arrivals, "one");
      if (!call.write({ id, count: number, user: userOf(call) })) await once(call, "drain");
      await arrived;
    }
    if (id === "fails") return call.emit("error", { code: FAILED_PRECONDITION, details: "that was all" });
    if (id !== "open") call.end();
  },
  Add(call, done) {
    let count = 0;
    call.on("data", (order) => (count += order.count));
    call.on("end", () => done(null, { count, user: userOf(call) }));
    call.on("error", () => {});
  },
  Chat(call) {
    call.on("data", (order) => call.write({ ...order, user: userOf(call) }));
    call.on("end", () => call.end());
    call.on("error", () => {});
  },
};
