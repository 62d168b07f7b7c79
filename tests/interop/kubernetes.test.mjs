// The manifests of deploy/kubernetes against the schemas that registries carry: Kubernetes' own, and the Gateway API's.
// The gateway.toml in them is checked by the gateway.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "node:test";
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

test("the headers that the route lets through are those that the settings name", () => {
  const [route] = documents(join(folder, "httproute.yaml"));
  const { http } = route.spec.rules.flatMap((rule) => rule.filters ?? []).find(({ type }) => type === "ExternalAuth").externalAuth;
  assert.deepEqual(http.allowedResponseHeaders, ["x-auth-user", "cookie"]);
  assert.equal(http.path, "/auth/envoy");
  assert.ok(settings("portcullis.yaml").includes('"X-Auth-User"'));
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
    };
    for (const [name, value] of Object.entries(secrets)) writeFileSync(join(place, name), value, { mode: 0o600 });
    for (const [name, form] of [["portcullis.yaml", /^form: forward auth/], ["sidecar.yaml", /^ok/]]) {
      const text = settings(name).replaceAll("/run/secrets/portcullis", place).replaceAll("/var/lib/portcullis", place);
      const file = join(place, "gateway.toml");
      writeFileSync(file, text);
      const { status, stdout, stderr } = spawnSync(binary(), ["check", "--config", file], { encoding: "utf8" });
      assert.equal(status, 0, stderr);
      assert.match(stdout, form);
    }
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
});
