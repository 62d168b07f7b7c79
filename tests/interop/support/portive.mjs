// Portive, as far as a browser and a token can tell: its own verifier, and a stand-in for its servers.

import { createServer } from "node:http";
import { createRequire } from "node:module";
import { once } from "node:events";

// The packages ship ES modules that Node cannot load; their CommonJS builds are the same code.
const require = createRequire(import.meta.url);
const { AuthHeaderStruct, AuthPayloadStruct, UploadPropsStruct } = require("@portive/api-types");
const { parseHeader, verifyJWT } = require("@portive/jwt-utils");
const { assert: conforms } = require("superstruct");
export const { Client, uploadFile } = require("@portive/client");
export const { createAuthToken, parseApiKey } = require("@portive/auth");

/** A key of the right shape that opens nothing. */
export const API_KEY = "PRTV_RFbFVVdEvOPCN79y_interopTestSecret0123456789ab";

/** The claims of `token`, or an error: what Portive's servers do with it. */
export function verify(token, apiKey = API_KEY) {
  const { keyId, secretKey } = parseApiKey(apiKey);
  const { kid } = parseHeader(token, AuthHeaderStruct, "token header");
  if (kid !== keyId) throw new Error(`unknown key ${kid}`);
  return verifyJWT(token, secretKey, AuthPayloadStruct);
}

/** How far Portive's servers let the clocks of others be off, in seconds. */
export const TOLERANCE = 60;

/** Does `work` at a moment given in seconds since 1970; Portive's code reads the clock through `Date`. */
export function at(moment, work) {
  const real = Date.now;
  Date.now = () => moment * 1000;
  try {
    return work();
  } finally {
    Date.now = real;
  }
}

/** Portive's upload API and file store on a free port; `uploads` lists what it let in. */
export class Origin {
  uploads = [];
  #server = createServer({ keepAliveTimeout: 600_000 }, (request, response) => this.#answer(request, response));

  static async open() {
    const origin = new Origin();
    origin.#server.listen(0, "127.0.0.1");
    await once(origin.#server, "listening");
    return origin;
  }

  get url() {
    return `http://127.0.0.1:${this.#server.address().port}`;
  }

  close() {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async #answer(request, response) {
    response.setHeader("Access-Control-Allow-Origin", "*");
    response.setHeader("Access-Control-Allow-Headers", "content-type");
    const body = await text(request);
    switch (`${request.method} ${request.url}`) {
      case "POST /api/v1/upload":
        return this.#policy(body, response);
      case "POST /bucket":
        this.uploads.at(-1).stored = body;
        return response.writeHead(204).end();
      default:
        return response.writeHead(request.method === "OPTIONS" ? 204 : 404).end();
    }
  }

  #policy(body, response) {
    const reply = (status, value) => {
      response.writeHead(status, { "Content-Type": "application/json" });
      response.end(JSON.stringify(value));
    };
    try {
      const posted = JSON.parse(body);
      conforms(posted, UploadPropsStruct);
      const claims = verify(posted.authToken);
      this.uploads.push({ claims, token: posted.authToken, ...posted.data.clientFileInfo });
      const data = { formFields: { key: "1" }, apiUrl: `${this.url}/bucket`, fileUrl: `${this.url}/file/1` };
      reply(200, { status: "success", data });
    } catch (error) {
      reply(401, { status: "error", message: error.message });
    }
  }
}

async function text(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
