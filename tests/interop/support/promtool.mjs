// What Prometheus makes of scrapes and rules, told by its own promtool.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const PROMTOOL = "promtool";
/** Labels that a server adds to every series it scrapes. */
const SCRAPED = 'instance="gateway:9090",job="portcullis"';
const MINUTES = 150;

/** Fails with what promtool prints, unless it is content. */
export function promtool(args, input) {
  const done = spawnSync(PROMTOOL, args, { input, encoding: "utf8" });
  assert.equal(done.error, undefined, `${PROMTOOL} runs; Debian's package \`prometheus\` has it`);
  assert.equal(done.status, 0, `${PROMTOOL} ${args.join(" ")}\n${done.stdout}${done.stderr}`);
  return done.stdout;
}

/** The series of a scrape by name and labels, and the types of the metrics; `null` where nothing answered. */
export function parse(text) {
  const series = new Map([[`up{${SCRAPED}}`, text === null ? 0 : 1]]);
  const types = new Map();
  for (const line of (text ?? "").split("\n")) {
    const type = line.match(/^# TYPE (\S+) (\S+)$/);
    if (type) types.set(type[1], type[2]);
    const found = line.match(/^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/);
    if (!found) continue;
    const [, name, labels, value] = found;
    series.set(`${name}{${labels ? `${labels},` : ""}${SCRAPED}}`, Number(value));
  }
  return { series, types };
}

/** The metrics of a scrape, those of a histogram under the names of its parts. */
export const namesOf = (text) => new Set([...parse(text).series.keys()].map((series) => series.split("{")[0]));

/**
 * Which alerts fire, by name, where a server scrapes these texts one after the other, a minute apart, and what is
 * counted then goes on at the pace of the last two.
 */
export function firing(rules, alerts, scrapes) {
  const input_series = seriesOf(scrapes.map(parse));
  const folder = mkdtempSync(join(tmpdir(), "portcullis-promtool-"));
  const file = join(folder, "test.yaml");
  const holds = (alerts, exp_samples) => {
    const promql_expr_test = alerts.map((alert) => ({
      expr: `count(count(ALERTS{alertname="${alert}",alertstate="firing"}))`,
      eval_time: `${MINUTES}m`,
      exp_samples,
    }));
    const tests = [{ interval: "1m", input_series, promql_expr_test }];
    // JSON is YAML.
    writeFileSync(file, JSON.stringify({ rule_files: [rules], evaluation_interval: "1m", tests }));
    return spawnSync(PROMTOOL, ["test", "rules", file], { encoding: "utf8" });
  };
  try {
    if (holds(alerts, []).status === 0) return new Set();
    const fires = alerts.filter((alert) => holds([alert], [{ labels: "{}", value: 1 }]).status === 0);
    const quiet = holds(alerts.filter((alert) => !fires.includes(alert)), []);
    assert.equal(quiet.status, 0, `each alert fires or does not\n${quiet.stdout}${quiet.stderr}`);
    return new Set(fires);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function seriesOf(parsed) {
  const types = new Map(parsed.flatMap(({ types }) => [...types]));
  const isCounted = (series) => {
    const name = series.split("{")[0];
    return types.get(name) === "counter" || types.get(name.replace(/_(bucket|count|sum)$/, "")) === "histogram";
  };
  const names = new Set(parsed.flatMap(({ series }) => [...series.keys()]));
  return [...names].map((series) => {
    const values = parsed.map(({ series: known }) => known.get(series));
    const [previous, last] = values.slice(-2);
    const pace = isCounted(series) ? Math.max(0, last - (previous ?? last)) : 0;
    const rest = last === undefined ? `_x${MINUTES}` : `${plain(last)}+${plain(pace)}x${MINUTES}`;
    return { series, values: [...values.slice(0, -1).map(plain), rest].join(" ") };
  });
}

const plain = (value) => value === undefined ? "_" : Number.isInteger(value) ? String(value) : value.toFixed(6);
