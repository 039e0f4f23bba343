/** Reading the log: lines for people, the last ones, new ones; levels changed while it runs. */
import assert from "node:assert/strict";
import {
  appendFileSync,
  openSync,
  readFileSync,
  renameSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { startControl } from "../../../cli/control/server.ts";
import { followLines, lastLines } from "../../../cli/log-reader.ts";
import { logLine } from "../../../cli/render/log-line.ts";
import { openLog } from "../../../mesh/io/log.ts";
import { QuietLog } from "../../lib/quiet-log.ts";
import { LAYERS, ROOT, sourcesIn } from "../../lib/sources.ts";
import { FakeBackend } from "./fixture-facts.ts";
import { run, temporary } from "./fixture-run.ts";

const line = (level: number, msg: string, more: object = {}) =>
  JSON.stringify({ level, time: "2026-11-21T10:00:00.123Z", part: "kernel", ...more, msg });
const all = () => true;

async function logFile(context: TestContext, text: string): Promise<string> {
  const path = join(await temporary(context), "tsweave.log");
  writeFileSync(path, text);
  return path;
}

describe("a log line", () => {
  it("has time, level, part, message, and the other fields", () => {
    const more = { drift: 2, from: { host: "fd00::1", port: 6783 }, error: "no such\ndevice" };
    const shown = logLine(line(40, "kernel\u001b differs", more));
    assert.match(
      shown,
      /^2026-11-\d\d \d\d:\d\d:00\.123 warn {2}kernel {2}kernel {2}differs drift=2 /,
    );
    assert.match(shown, /from=\[fd00::1\]:6783 error="no such\\ndevice"\n$/);
  });

  it("that is no JSON is shown as it is, without control characters", () => {
    assert.equal(logLine("    at foo (\u001b[2J)"), "    at foo ( [2J)\n");
    assert.equal(logLine('{"level":30,"time":'), '{"level":30,"time":\n');
    assert.equal(logLine("{}"), "{}\n");
  });
});

describe("the lines of a file", () => {
  it("are the last so many that are wanted, however long the file", async (context) => {
    const many = Array.from({ length: 30_000 }, (_, at) => `line ${at} ${"ä".repeat(at % 50)}`);
    const path = await logFile(context, `${many.join("\n")}\n`);
    const found: string[] = [];
    await lastLines(path, 3, all, (one) => found.push(one));
    assert.deepEqual(found, many.slice(-3));
    found.length = 0;
    await lastLines(
      path,
      5,
      (one) => one.startsWith("line 1234 "),
      (one) => found.push(one),
    );
    assert.deepEqual(found, [many[1234]]);
    found.length = 0;
    await lastLines(path, 100_000, all, (one) => found.push(one));
    assert.deepEqual(found, many);
    await assert.rejects(
      lastLines(`${path}x`, 1, all, () => undefined),
      { code: "NOT_FOUND" },
    );
  });

  it("are followed through growth, truncation and rotation", async (context) => {
    const path = await logFile(context, "old\n");
    const found: string[] = [];
    const stop = new AbortController();
    const following = followLines(path, 4, (one) => found.push(one), stop.signal);
    const until = async (count: number) => {
      for (let tries = 0; found.length < count; tries++) {
        assert.ok(tries < 200, `only ${found.join()}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    appendFileSync(path, "one\ntw");
    await until(1);
    appendFileSync(path, "o\n");
    await until(2);
    truncateSync(path);
    await new Promise((resolve) => setTimeout(resolve, 300));
    appendFileSync(path, "3\n");
    await until(3);
    renameSync(path, `${path}.1`);
    writeFileSync(path, "four\n");
    await until(4);
    stop.abort();
    await following;
    assert.deepEqual(found, ["one", "two", "3", "four"]);
  });
});

describe("levels", () => {
  it("change while it runs, for all parts or for one", async (context) => {
    const path = await logFile(context, "");
    const log = openLog("info", openSync(path, "a"));
    const mesh = log.child({ part: "mesh" });
    const peer = mesh.child({ peer: "host2" });
    const written = (): string[] => {
      const lines = readFileSync(path, "utf8").split("\n").filter(Boolean);
      truncateSync(path);
      return lines.map((text) => JSON.parse(text).msg);
    };
    const say = () => {
      for (const one of [log, mesh, peer]) one.debug({}, "debug");
      peer.warn({}, "warn");
    };
    say();
    assert.deepEqual(written(), ["warn"]);
    assert.equal(log.levels.set("debug", "mesh"), true);
    say();
    assert.deepEqual(written(), ["debug", "debug", "warn"]);
    log.levels.set("error");
    say();
    assert.deepEqual(written(), []);
    assert.equal(log.levels.set("debug", "nothing"), false);
    assert.deepEqual(log.levels.parts(), [{ part: "mesh", level: "error" }]);
  });

  it("are shown and changed by tsweave log-level", async (context) => {
    const runDir = join(await temporary(context), "run");
    const server = await startControl({ runDir, backend: new FakeBackend(), log: new QuietLog() });
    context.after(() => server.close());
    const ask = (...words: string[]) => run(["log-level", ...words, "--run-dir", runDir]);
    assert.match((await ask()).out, /^log on standard output\n\nPART +LEVEL\nall others +info\n/);
    assert.match((await ask("mesh", "debug")).out, /\nmesh +debug\n/);
    const { schema, level, parts } = JSON.parse((await ask("warn", "--json")).out);
    assert.deepEqual([schema, level, parts[1]], [1, "warn", { part: "mesh", level: "warn" }]);
    assert.equal((await ask("mesh", "loud")).code, 2);
    assert.equal((await ask("moon", "debug")).code, 5);
  });
});

describe("tsweave logs", () => {
  it("shows what is asked for, without a daemon too", async (context) => {
    const lines = [line(20, "one"), line(30, "two"), "crash", line(40, "three"), line(50, "four")];
    const path = await logFile(context, `${lines.join("\n")}\n`);
    const runDir = await temporary(context);
    const ask = (...words: string[]) => run(["logs", ...words, "--run-dir", runDir]);
    const messages = (text: string) => [...text.matchAll(/(one|two|three|four|crash)\n/g)].length;
    assert.equal(messages((await ask("--log-file", path)).out), 5);
    assert.equal(messages((await ask("--log-file", path, "--level", "warn")).out), 3);
    const { out } = await ask("--log-file", path, "--json", "-n", "1");
    assert.equal(out, `${lines[4]}\n`);
    assert.equal((await ask("--log-file", `${path}x`)).code, 5);
    assert.equal((await ask("--level", "loud")).code, 2);
    assert.equal((await ask("-n", "many")).code, 2);
  });

  it("asks the running daemon where its log is", async (context) => {
    const path = await logFile(context, `${line(30, "found")}\n`);
    const runDir = join(await temporary(context), "run");
    const backend = new FakeBackend();
    const server = await startControl({ runDir, backend, log: new QuietLog() });
    context.after(() => server.close());
    const none = await run(["logs", "--run-dir", runDir]);
    assert.equal(none.code, 5);
    assert.match(none.err, /journalctl -u tsweave -o cat \| tsweave logs --log-file -/);
    backend.logFile = path;
    assert.match((await run(["logs", "--run-dir", runDir])).out, /found\n$/);
  });
});

describe("the dictionary of log fields", () => {
  it("lists every field that the code logs", () => {
    const manual = readFileSync(join(ROOT, "cli/README.md"), "utf8");
    const listed = new Set(
      [...manual.matchAll(/^\| `([A-Za-z]+)` \| field \|/gm)].map(([, f]) => f),
    );
    const logged = new Map<string, string>();
    for (const { path, text } of LAYERS.flatMap((layer) => sourcesIn(layer))) {
      const calls = text.matchAll(/\blog\s*\.(?:debug|info|warn|error)\(\s*\{([^{}]*)\}/g);
      for (const [, body = ""] of calls) {
        for (const part of body.split(",")) {
          const [, name] = /^\s*(?:\.\.\.)?([A-Za-z]+)\s*(?::|$)/.exec(part) ?? [];
          if (name !== undefined && !part.includes("...")) logged.set(name, path);
        }
      }
    }
    assert.ok(logged.size > 20, `only ${logged.size} fields found`);
    assert.deepEqual([...logged.keys()].filter((name) => !listed.has(name)).toSorted(), []);
  });
});
