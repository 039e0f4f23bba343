/** The manual and the code say the same, and read commands stay light. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, it } from "node:test";
import { COMMANDS } from "../../../cli/commands/table.ts";
import { READS } from "../../../cli/control/api.ts";
import { PROBLEM_REFERENCE } from "../../../cli/reference/problems.ts";
import { VERSION } from "../../../cli/version.ts";
import { metricFamilies } from "../../../cli/web/metrics.ts";
import { ERROR_CODES, isErrorCode } from "../../../mesh/index.ts";
import { referenceText } from "../../lib/reference-text.ts";
import { LAYERS, ROOT, sourcesIn } from "../../lib/sources.ts";
import { FakeBackend, statusWith } from "./fixture-facts.ts";

const manual = readFileSync(join(ROOT, "cli/README.md"), "utf8");

/** The product's sources without the reference itself. */
const sources = LAYERS.flatMap((layer) => sourcesIn(layer)).filter(
  ({ path }) => !path.startsWith("cli/reference/"),
);

describe("cli/REFERENCE.md", () => {
  it("is what `npm run docs` writes now", async () => {
    const written = readFileSync(join(ROOT, "cli/REFERENCE.md"), "utf8");
    assert.ok(written === (await referenceText()), "run: npm run docs");
  });

  it("has every option of every command, by the parser's own table", async () => {
    const written = readFileSync(join(ROOT, "cli/REFERENCE.md"), "utf8");
    const parts = new Map(
      written.split("\n### `tsweave ").map((text) => [text.split(/[ `]/)[0] ?? "", text]),
    );
    for (const { name, load } of COMMANDS) {
      for (const option of (await load()).options) {
        assert.ok(parts.get(name)?.includes(`| \`--${option.name}`), `${name} --${option.name}`);
      }
    }
  });

  it("has every code of an error that is thrown, and none that never is", () => {
    const used = codesIn(
      /new TsweaveError\(\s*"([A-Z_]+)"|\bfail(?:ed)?\("([A-Z_]+)"|"([A-Z_]+)"/g,
    );
    const dead = ERROR_CODES.filter((code) => !used.has(code));
    assert.deepEqual(dead, []);
    const thrown = codesIn(/new TsweaveError\(\s*"([A-Z_]+)"/g);
    assert.ok(thrown.size > 20);
    for (const code of thrown) assert.ok(isErrorCode(code), code);
  });

  it("has every code of a health problem, and none that never is", () => {
    const told = codesIn(/\bcode: "([A-Z_]+)"|\b(?:several|more)\("([A-Z_]+)"/g);
    const all = codesIn(/"([A-Z_]+)"/g);
    assert.ok(told.size > 25);
    for (const code of told) {
      assert.ok(code in PROBLEM_REFERENCE || isErrorCode(code) || code === "ENOTFOUND", code);
    }
    for (const code of Object.keys(PROBLEM_REFERENCE)) assert.ok(all.has(code), `${code} is dead`);
  });
});

describe("the manuals", () => {
  it("name no command and no option that does not exist", async () => {
    const commands = new Map<string, Set<string>>();
    for (const { name, load } of COMMANDS) {
      commands.set(name, new Set((await load()).options.map((option) => option.name)));
    }
    const folders = ["", "mesh/", "ipalloc/", "overlay/", "dns/", "cli/"];
    let seen = 0;
    const pages = [...folders.map((folder) => `${folder}README.md`), "cli/MIGRATION.md"];
    for (const path of pages) {
      const text = readFileSync(join(ROOT, path), "utf8");
      const calls = text.matchAll(/(?<=[`'(]|^ *|\| )tsweave ([a-z][a-z-]+)([^`'\n|;#)]*)/gm);
      for (const [call, name = "", rest = ""] of calls) {
        const options = commands.get(name);
        if (options === undefined) continue;
        seen += 1;
        for (const [, option = ""] of rest.matchAll(/--([a-z-]+)/g)) {
          assert.ok(options.has(option) || option === "help", `${path}: ${call}`);
        }
      }
      for (const [call, name = ""] of text.matchAll(/`tsweave ([a-z][a-z-]+)/g)) {
        assert.ok(commands.has(name), `${path}: ${call}`);
      }
    }
    assert.ok(seen > 80, `only ${seen} calls found`);
  });
});

describe("cli/README.md", () => {
  it("names every command", () => {
    for (const { name } of COMMANDS) assert.ok(manual.includes(`\`tsweave ${name}`), name);
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
      return /^(pino|swim|ipaddr\.js)$|\/io\/|^(overlay|ipalloc|dns)\//.test(name);
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

/** What the groups of a pattern find in the sources. */
function codesIn(pattern: RegExp): Set<string> {
  const found = sources.flatMap(({ text }) => [...text.matchAll(pattern)]);
  return new Set(found.flatMap(([, ...groups]) => groups.filter((group) => group !== undefined)));
}

function fieldsOf(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(fieldsOf);
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([field, inner]) => [field, ...fieldsOf(inner)]);
}
