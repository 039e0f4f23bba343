/** The password: where it comes from, what is refused, and that it is never shown or inherited. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { inspect } from "node:util";
import { launchConfig } from "../../../cli/config.ts";
import { startControl } from "../../../cli/control/server.ts";
import { forgetPassword, withoutPassword } from "../../../cli/password.ts";
import { keyFromPassword } from "../../../mesh/index.ts";
import { QuietLog } from "../../lib/quiet-log.ts";
import { FakeBackend } from "./fixture-facts.ts";
import { run, temporary } from "./fixture-run.ts";

const WORD = "correct horse battery";

async function file(context: TestContext, text: string | Uint8Array, mode = 0o600) {
  const path = join(await temporary(context), "password");
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

const config = (options: Record<string, string>, env: Record<string, string> = {}) =>
  launchConfig({ options, positionals: [], env });

describe("the password", () => {
  it("comes from a flag, before the environment, before a configuration file", async (context) => {
    const path = await file(context, `${WORD}\n`);
    const other = { TSWEAVE_PASSWORD: "another long password" };
    assert.equal(config({}).password, undefined);
    assert.equal(config({ "password-file": path }).password?.reveal(), WORD);
    assert.equal(config({ "password-file": path }, other).password?.reveal(), WORD);
    assert.equal(config({}, { TSWEAVE_PASSWORD: WORD }).password?.reveal(), WORD);
    assert.equal(config({}, { TSWEAVE_PASSWORD_FILE: path }).password?.reveal(), WORD);
    const both = { ...other, TSWEAVE_PASSWORD_FILE: path };
    assert.throws(() => config({}, both), { code: "CONFIG", message: /both set/ });
    const settings = await file(context, JSON.stringify({ "password-file": path }));
    assert.equal(config({ config: settings }).password?.reveal(), WORD);
    assert.equal(config({ config: settings }, other).password?.reveal(), other.TSWEAVE_PASSWORD);
  });

  it("is refused where others can read it, naming the mode", async (context) => {
    for (const [mode, name] of [
      [0o644, "0644"],
      [0o640, "0640"],
      [0o602, "0602"],
    ] as const) {
      const path = await file(context, WORD, mode);
      assert.throws(() => config({ "password-file": path }), {
        code: "CONFIG",
        message: new RegExp(`mode ${name}`),
        hint: /chmod 600/,
      });
    }
    const path = await file(context, WORD, 0o400);
    assert.equal(config({ "password-file": path }).password?.reveal(), WORD);
  });

  it("is refused when it is short, long, several lines, no text, no file", async (context) => {
    const bad: [string | Uint8Array, RegExp][] = [
      ["", /too short/],
      ["elevenchars\n", /too short/],
      ["x".repeat(1025), /too long/],
      ["x".repeat(100_000), /too long/],
      [`${WORD}\nsecond line\n`, /more than one line/],
      [Buffer.from("ff".repeat(20), "hex"), /not text/],
    ];
    for (const [text, message] of bad) {
      const path = await file(context, text);
      assert.throws(() => config({ "password-file": path }), { code: "CONFIG", message });
    }
    const directory = join(await temporary(context), "d");
    mkdirSync(directory, { mode: 0o700 });
    assert.throws(() => config({ "password-file": directory }), { code: "CONFIG" });
    assert.throws(() => config({ "password-file": "/nowhere/at/all" }), { code: "CONFIG" });
    assert.throws(() => config({}, { TSWEAVE_PASSWORD: "short" }), { code: "CONFIG" });
  });

  it("is shown by no printing of the configuration", () => {
    const whole = config({}, { TSWEAVE_PASSWORD: WORD });
    const prints = [JSON.stringify(whole), inspect(whole, { depth: 9, showHidden: true })];
    for (const text of [...prints, String(whole.password), `${whole.password}`]) {
      assert.ok(!text.includes("correct"), text);
    }
    assert.throws(
      () => config({}, { TSWEAVE_PASSWORD: "tooshort" }),
      (error: Error) => {
        return !inspect(error).includes("tooshort");
      },
    );
  });

  it("reaches the daemon on its standard input and leaves every environment", () => {
    const env = { TSWEAVE_PASSWORD: WORD, TSWEAVE_PASSWORD_HANDED: "1", PATH: "/bin" };
    assert.deepEqual(withoutPassword(env), { PATH: "/bin" });
    forgetPassword(env as Record<string, string | undefined>);
    assert.deepEqual(env, { PATH: "/bin" });
    const script = `import { launchConfig } from "./cli/config.ts";
      const { password } = launchConfig({ options: {}, positionals: [], env: process.env });
      process.stdout.write(String(password.reveal().length));`;
    const { stdout, stderr } = spawnSync(
      process.execPath,
      ["--import", "tsx", "--input-type=module", "-e", script],
      { input: WORD, env: { ...process.env, TSWEAVE_PASSWORD_HANDED: "1" } },
    );
    assert.equal(stdout.toString(), String(WORD.length), stderr.toString());
  });
});

describe("tsweave keys", () => {
  it("shows ids, adds the key of a password, uses and removes", async (context) => {
    const runDir = join(await temporary(context), "run");
    const backend = new FakeBackend();
    const control = await startControl({ runDir, backend, log: new QuietLog() });
    context.after(() => control.close());
    const keys = async (...argv: string[]) => await run(["keys", ...argv, "--run-dir", runDir]);
    const shown = await keys();
    assert.match(shown.out, /^KEY +USE +PEERS THAT SEND WITH IT\n9be41d77 +send, accept +1\n/);
    assert.equal(JSON.parse((await keys("list", "--json")).out).keys.length, 2);
    const path = await file(context, WORD);
    assert.equal((await keys("add", "--password-file", path)).code, 0);
    assert.equal((await keys("use", "1f0c")).code, 0);
    assert.equal((await keys("remove", "9be41d77", "--force")).code, 0);
    const key = Buffer.from((await keyFromPassword(WORD)).secret).toString("hex");
    assert.deepEqual(backend.keyChanges, [
      { action: "add", key },
      { action: "use", id: "1f0c" },
      { action: "remove", id: "9be41d77", force: true },
    ]);
    const wrong: [string[], number][] = [
      [["ad"], 2],
      [["use"], 2],
      [["list", "1f0c"], 2],
      [["add"], 2],
      [["add", "--force"], 2],
      [["use", "1f0c", "--password-file", path], 2],
      [["use", "not-hex"], 1],
      [["use", "1f0c22ab99"], 1],
      [["use", "1f0c", "more"], 2],
    ];
    for (const [argv, code] of wrong) {
      const { code: got, err, out } = await keys(...argv);
      assert.deepEqual([got, out, err.trim().split("\n").length], [code, "", 1], argv.join(" "));
    }
    assert.equal(backend.keyChanges.length, 3);
    assert.equal((await run(["keys", "--run-dir", `${runDir}-none`])).code, 3);
  });
});
