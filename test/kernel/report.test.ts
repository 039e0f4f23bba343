/** `tsweave report` on this host: what is in it, and that no planted secret is. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { startControl } from "../../cli/control/server.ts";
import { QuietLog } from "../lib/quiet-log.ts";
import { FakeBackend } from "../unit/cli/fixture-facts.ts";
import { run, temporary } from "../unit/cli/fixture-run.ts";

const SECRET = 'correct "horse" battery';
const OTHER = "Zx9-another-word";

describe("tsweave report", () => {
  it("holds status, log and kernel, and no secret", async (context) => {
    const dir = await temporary(context);
    const [runDir, stateDir] = [join(dir, "run"), join(dir, "state")];
    mkdirSync(stateDir);
    const backend = new FakeBackend();
    backend.logFile = join(stateDir, "tsweave.log");
    const line = { level: 30, msg: `told ${SECRET}`, password: OTHER, argv: `password=${OTHER}` };
    writeFileSync(backend.logFile, `${JSON.stringify(line)}\n{"level":30,"msg":"marker"}\n`);
    writeFileSync(join(stateDir, "keyring.snapshot"), `${SECRET} ${OTHER}`);
    backend.eventLog.add("problem-raised", `password ${SECRET}`);
    const server = await startControl({ runDir, backend, log: new QuietLog() });
    context.after(() => server.close());
    const env = { TSWEAVE_PASSWORD: SECRET, TSWEAVE_STATE_DIR: stateDir };
    const argv = ["report", "-o", join(dir, "r.tar.gz"), "--run-dir", runDir];
    const { code, out, err } = await run(argv, env);
    assert.equal(code, 0, err);
    assert.equal(out, `${join(dir, "r.tar.gz")}\n`);
    assert.equal(statSync(join(dir, "r.tar.gz")).mode & 0o777, 0o600);
    execFileSync("tar", ["-xzf", "r.tar.gz"], { cwd: dir });
    const text = execFileSync("sh", ["-c", "cat tsweave-report-*/*"], {
      cwd: dir,
      encoding: "utf8",
      maxBuffer: 2 ** 28,
    });
    for (const part of ["doctor.json", "status-endpoints.json", "host-network.txt", "log.jsonl"]) {
      assert.ok(text.includes(`/${part} `), `the manifest names ${part}`);
    }
    assert.match(text, /"marker"/);
    assert.match(text, /keyring\.snapshot \d+ bytes/);
    assert.match(text, /problem-raised/);
    for (const word of ["battery", OTHER]) assert.ok(!text.includes(word), word);
    assert.equal((await run(argv, env)).code, 1, "an existing file is not overwritten");
  });

  it("is written without a daemon too", async (context) => {
    const dir = await temporary(context);
    const argv = ["report", "-o", join(dir, "r.tar.gz"), "--run-dir", dir];
    assert.equal((await run(argv, { TSWEAVE_STATE_DIR: join(dir, "state") })).code, 0);
    const list = execFileSync("tar", ["-tzf", "r.tar.gz"], { cwd: dir, encoding: "utf8" });
    assert.match(list, /\/doctor\.json\n/);
  });
});
