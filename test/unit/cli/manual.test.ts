/** The manual and the code say the same, and read commands stay light. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, it } from "node:test";
import { COMMANDS } from "../../../cli/commands/table.ts";
import { READS } from "../../../cli/control/api.ts";
import { VERSION } from "../../../cli/version.ts";
import { metricFamilies } from "../../../cli/web/metrics.ts";
import { ERROR_CODES } from "../../../mesh/index.ts";
import { ROOT } from "../../lib/sources.ts";
import { FakeBackend, statusWith } from "./fixture-facts.ts";

const manual = readFileSync(join(ROOT, "cli/README.md"), "utf8");

describe("cli/README.md", () => {
  it("lists every error code, and no other", () => {
    const listed = [...manual.matchAll(/^\| `([A-Z_]+)` \| [0-9] \|/gm)].map(([, code]) => code);
    assert.deepEqual(listed.toSorted(), ERROR_CODES.toSorted());
  });

  it("lists every command and every option", async () => {
    for (const { name, load } of COMMANDS) {
      assert.ok(manual.includes(`\`tsweave ${name}`), name);
      for (const option of (await load()).options) {
        assert.ok(manual.includes(`\`--${option.name}`), `${name} --${option.name}`);
      }
    }
  });

  it("lists every table and every field of the JSON objects", () => {
    for (const name of READS) assert.ok(manual.includes(`\`status ${name}\``), name);
    const backend = new FakeBackend();
    const rows = READS.map((name) => backend[name]());
    const fields = new Set([...fieldsOf(statusWith([])), ...rows.flatMap((row) => fieldsOf(row))]);
    for (const field of fields) assert.match(manual, new RegExp(`\\b${field}\\b`), field);
  });
});

describe("the metrics", () => {
  it("are listed, each with its labels", () => {
    const stats = { rssBytes: 1, cpuSeconds: 1, stallSeconds: 0 };
    for (const { name, samples } of metricFamilies(new FakeBackend(), stats)) {
      const line = manual.split("\n").find((text) => text.includes(`\`${name}\``));
      assert.ok(line, name);
      for (const label of Object.keys(samples[0]?.labels ?? {})) {
        assert.ok(line.includes(`\`${label}\``), `${name} ${label}`);
      }
    }
  });
});

describe("alerts and dashboard", () => {
  it("ask only for metrics that exist, and every alert says what it means", () => {
    const stats = { rssBytes: 1, cpuSeconds: 1, stallSeconds: 0 };
    const known = new Set(metricFamilies(new FakeBackend(), stats).map(({ name }) => name));
    const read = (name: string) => readFileSync(join(ROOT, "cli/packaging", name), "utf8");
    const rules = read("prometheus-rules.yml");
    const dashboard: { panels: { targets: { expr: string }[] }[] } = JSON.parse(
      read("grafana-dashboard.json"),
    );
    const ruled = [...rules.matchAll(/^ +expr: (.*)$/gm)].map(([, expr = ""]) => expr);
    const drawn = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
    assert.ok(ruled.length >= 8 && drawn.length >= 12);
    for (const expr of [...ruled, ...drawn]) {
      const names = expr.match(/\b(tsweave|process)_[a-z_]+\b/g) ?? [];
      assert.ok(names.length > 0, expr);
      for (const name of names) assert.ok(known.has(name), `${name} in ${expr}`);
    }
    const alerts = rules.split(/^ +- alert: /m).slice(1);
    for (const alert of alerts) assert.match(alert, /summary: ".+"/, alert);
    assert.equal(alerts.length, ruled.length);
  });
});

describe("the version", () => {
  it("is the package's", () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
    assert.equal(VERSION, version);
  });
});

describe("a read command", () => {
  it("loads none of the heavy packages and none of the daemon", () => {
    const loaded = new Set<string>();
    for (const entry of ["cli/dispatch.ts", "cli/commands/status.ts", "cli/commands/stop.ts"]) {
      follow(entry, loaded);
    }
    assert.ok(loaded.has("cli/control/client.ts") && loaded.has("mesh/errors.ts"));
    const heavy = [...loaded].filter((name) => {
      return /^(execa|pino|swim|ipaddr\.js)$|\/io\/|^(overlay|ipalloc|dns)\//.test(name);
    });
    assert.deepEqual(heavy, []);
  });
});

/** Every module that is evaluated when `path` is, types and lazy imports left out. */
function follow(path: string, loaded: Set<string>): void {
  if (loaded.has(path)) return;
  loaded.add(path);
  if (!existsSync(join(ROOT, path))) return;
  const text = readFileSync(join(ROOT, path), "utf8");
  const imports = text.matchAll(/^(?:import|export)\s+(?!type\b)[^;]*?from "([^"]+)";/gm);
  for (const [, name = ""] of imports) {
    follow(name.startsWith(".") ? normalize(join(dirname(path), name)) : name, loaded);
  }
}

function fieldsOf(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(fieldsOf);
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([field, inner]) => [field, ...fieldsOf(inner)]);
}
