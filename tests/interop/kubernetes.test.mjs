// The manifests of deploy/kubernetes against the schemas that registries carry: Kubernetes' own, and the Gateway API's.
// The gateway.toml in them is checked by the gateway.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "node:test";
import { foreign } from "./fronts/cases.mjs";
import { binary } from "./harness.mjs";

const folder = fileURLToPath(new URL("../../deploy/kubernetes", import.meta.url));
const here = fileURLToPath(new URL("kubernetes", import.meta.url));
const python = join(here, ".venv/bin/python");
const models = (name) => import(join(here, `node_modules/@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1/${name}.js`));

/** The documents of a YAML file. */
function documents(file) {
  const read = "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))";
  return JSON.parse(execFileSync(python, ["-c", read, file], { encoding: "utf8" }));
}

/** What Kubernetes' schemas say about a file. */
function validated(file) {
  const { status, stdout, stderr } = spawnSync(python, ["-m", "kubernetes_validate", "--strict", "-k", "1.37", file], { encoding: "utf8" });
  return { status, said: stdout + stderr };
}

test("Deployment, Service, budget, autoscaler, policy and sidecar are what Kubernetes 1.37 takes", () => {
  for (const [name, kinds] of [
    ["portcullis.yaml", ["configmap", "deployment", "service", "poddisruptionbudget", "horizontalpodautoscaler", "networkpolicy"]],
    ["sidecar.yaml", ["configmap", "deployment", "service"]],
  ]) {
    const { status, said } = validated(join(folder, name));
    assert.equal(status, 0, said);
    for (const kind of kinds) assert.match(said, new RegExp(`passed for resource ${kind}/`), name);
  }
});

test("a wrong manifest is told from a right one", () => {
  const place = mkdtempSync(join(tmpdir(), "portcullis-k8s-"));
  try {
    const text = readFileSync(join(folder, "portcullis.yaml"), "utf8");
    for (const [right, wrong] of [
      ["minReplicas: 2", "minReplicas: two"],
      ["readinessProbe:", "readynessProbe:"],
      ["policyTypes: [Ingress, Egress]", "policyTypes: Ingress"],
    ]) {
      assert.ok(text.includes(right), right);
      const file = join(place, "wrong.yaml");
      writeFileSync(file, text.replace(right, wrong));
      assert.notEqual(validated(file).status, 0, wrong);
    }
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
});

test("the route is what the Gateway API takes, but for the filter that is still experimental", async () => {
  const { HTTPRoute } = await models("HTTPRoute");
  const { HTTPExternalAuthFilter } = await models("HTTPExternalAuthFilter");
  const [route] = documents(join(folder, "httproute.yaml"));
  const filters = route.spec.rules.flatMap((rule) => rule.filters ?? []);
  const asks = filters.filter(({ type }) => type === "ExternalAuth");
  assert.equal(asks.length, 1);
  new HTTPExternalAuthFilter(asks[0].externalAuth).validate();
  assert.throws(() => new HTTPExternalAuthFilter({ ...asks[0].externalAuth, protocol: "SMTP" }).validate(), /allowed values/);
  // The standard channel does not list the filter among its types.
  for (const rule of route.spec.rules) rule.filters = rule.filters?.filter(({ type }) => type !== "ExternalAuth");
  new HTTPRoute(route).validate();
  route.spec.rules[0].matches[0].path.type = "Exactly";
  assert.throws(() => new HTTPRoute(route).validate(), /allowed values/);
});

test("the gateway sees whatever the app would: all that changes the page or names a user, and each way to send a session", () => {
  const [route] = documents(join(folder, "httproute.yaml"));
  const rule = route.spec.rules.find(({ filters }) => filters?.some(({ type }) => type === "ExternalAuth"));
  const removed = rule.filters.flatMap(({ requestHeaderModifier }) => requestHeaderModifier?.remove ?? []).map((name) => name.toLowerCase());
  const { protocol, http, grpc } = rule.filters.find(({ type }) => type === "ExternalAuth").externalAuth;
  // An empty list means all headers over gRPC, and none over HTTP.
  const listed = (protocol === "GRPC" ? grpc : http)?.allowedHeaders ?? [];
  const seen = (name) => removed.includes(name) || (protocol === "GRPC" && listed.length === 0) || listed.includes(name);
  const names = foreign.map((start) => `${start}${start.endsWith("-") ? "x" : ""}`);
  assert.deepEqual([...names, "authorization", "cookie", "x_auth_user", "x.auth.user"].filter((name) => !seen(name)), []);
  const service = documents(join(folder, "portcullis.yaml")).find(({ kind }) => kind === "Service");
  const { name, port } = rule.filters.find(({ type }) => type === "ExternalAuth").externalAuth.backendRef;
  assert.equal(service.metadata.name, name);
  assert.equal(service.spec.ports.find((it) => it.port === port).appProtocol, "kubernetes.io/h2c");
});

test("where there are several replicas, they share a store that they may reach", () => {
  for (const name of ["portcullis.yaml", "sidecar.yaml"]) {
    const all = documents(join(folder, name));
    const { spec } = all.find(({ kind }) => kind === "Deployment");
    assert.ok(spec.replicas > 1, name);
    const shared = settings(name).split("[shared]")[1]?.split("\n    [")[0] ?? "";
    const secrets = [...settings(name).matchAll(/"file:\/run\/secrets\/portcullis\/([\w-]+)"/g)].map(([, secret]) => secret);
    assert.match(shared, /^redis = "file:\/run\/secrets\/portcullis\/redis-url"$/m, name);
    assert.match(shared, /^key = "file:\/run\/secrets\/portcullis\/shared-key"/m, name);
    const created = readFileSync(join(folder, "portcullis.yaml"), "utf8");
    for (const secret of secrets) assert.ok(created.includes(`--from-file=${secret}`), `${name}: ${secret}`);
  }
  const policy = documents(join(folder, "portcullis.yaml")).find(({ kind }) => kind === "NetworkPolicy");
  const ports = policy.spec.egress.flatMap((rule) => rule.ports.map(({ port }) => port));
  assert.ok(ports.includes(6379), `${ports}`);
});

/** The gateway.toml of a manifest. */
function settings(name) {
  return documents(join(folder, name)).find(({ kind }) => kind === "ConfigMap").data["gateway.toml"];
}

test("the gateway takes the settings in the manifests", () => {
  const place = mkdtempSync(join(tmpdir(), "portcullis-k8s-"));
  try {
    const secrets = {
      "admin-token": "only-for-this-test-0123456789abcdef",
      "nextauth-secret": "only-for-this-test-0123456789abcdef",
      "portive-key": "PRTV_onlyForTest_0123456789abcdef",
      "redis-url": "rediss://portcullis:only-for-this-test@redis:6379",
      "shared-key": `base64:${randomBytes(32).toString("base64")}`,
    };
    for (const [name, value] of Object.entries(secrets)) writeFileSync(join(place, name), value, { mode: 0o600 });
    for (const [name, form] of [["portcullis.yaml", /^form: forward auth/], ["sidecar.yaml", /^ok/]]) {
      const text = settings(name).replaceAll("/run/secrets/portcullis", place).replaceAll("/var/lib/portcullis", place);
      const file = join(place, "gateway.toml");
      writeFileSync(file, text);
      const { status, stdout, stderr } = spawnSync(binary(), ["check", "--config", file], { encoding: "utf8" });
      assert.equal(status, 0, stderr);
      assert.match(stdout, form);
      assert.doesNotMatch(stdout + stderr, /warning: shared/);
    }
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
});
