/** Commands, help and usage errors: one line on stderr, the documented exit code, nothing else. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { COMMANDS } from "../../../cli/commands/table.ts";
import { nearest } from "../../../cli/suggestion.ts";
import { run, runProcess } from "./fixture-run.ts";

/** Arguments, exit code, and what the one line on stderr must say. */
const REFUSED: readonly [string, number, RegExp][] = [
  ["lunch", 2, /no command 'lunch'; did you mean 'launch'\? see 'tsweave help'/],
  ["--verison", 2, /no option '--verison'/],
  ["xyzzy", 2, /no command 'xyzzy'; see 'tsweave help'/],
  ["__proto__", 2, /no command '__proto__'/],
  ["help nothing", 2, /no command 'nothing'/],
  ["help launch stop", 2, /does not take the argument 'stop'/],
  ["launch --nmae x", 2, /launch has no option '--nmae'; did you mean '--name'\?/],
  ["launch --port", 2, /option '--port' needs a value \(PORT\); see 'tsweave help launch'/],
  ["launch --name --port 1", 2, /option '--name' needs a value/],
  ["launch --name=", 2, /option '--name' needs a value/],
  ["launch --port 1 --port 2", 2, /option '--port' is given twice/],
  ["launch --no-dns=no", 2, /option '--no-dns' takes no value/],
  ["launch -p 1", 2, /launch has no option '-p'/],
  ["launch --__proto__ 1", 2, /launch has no option '--__proto__'/],
  ["launch --ipalloc-range 10.32.0.0/99", 2, /--ipalloc-range: '10.32.0.0\/99' is not a subnet/],
  ["status peer", 2, /status has no table 'peer'; did you mean 'peers'\?/],
  ["status peers dns", 2, /status does not take the argument 'dns'/],
  ["status --check --watch", 2, /--check and --watch exclude one another/],
  ["status --run-dir /nonexistent", 3, /no tsweave daemon answers .*'tsweave launch'/],
  ["stop --run-dir /nonexistent", 3, /no tsweave daemon answers/],
  ["connect", 2, /connect needs at least one PEER/],
  ["connect 10.0.0.300", 2, /peer '10.0.0.300' is neither an address nor a host name/],
  ["connect 10.0.0.3 --run-dir /nonexistent", 3, /no tsweave daemon answers/],
  ["reset --yes --keep-state --force", 2, /--force does not go with --keep-state/],
  ["launch --plugin-name Tsweave!", 2, /'Tsweave!' is not a plugin's name; .*tsweave:latest/],
  ["version now", 2, /version does not take the argument 'now'/],
];

describe("dispatch", () => {
  for (const [line, code, expected] of REFUSED) {
    it(`refuses '${line}'`, async () => {
      const ran = await run(line.split(" "));
      assert.equal(ran.code, code);
      assert.equal(ran.out, "");
      assert.match(ran.err, expected);
      assert.match(ran.err, /^tsweave: [^\n]+\n$/);
    });
  }

  it("shows every command, and each command's every option, in help", async () => {
    const { out } = await run([]);
    assert.equal((await run(["--help"])).out, out);
    for (const entry of COMMANDS) {
      assert.match(out, new RegExp(`^ {2}${entry.name} +\\S`, "m"));
      if (entry.name === "help") continue;
      const command = await entry.load();
      const text = (await run([entry.name, "--help"])).out;
      assert.equal((await run(["help", entry.name])).out, text);
      for (const { name } of command.options) {
        assert.match(text, new RegExp(`^ {2}--${name}\\b`, "m"), `${entry.name} --${name}`);
      }
      assert.ok(command.examples.length > 0 && text.includes(command.examples[0] ?? "?"));
      assert.match(text, /Exit codes:\n {2}0 ok/);
    }
  });

  it("takes --help as a value's word only after --", async () => {
    assert.equal((await run(["connect", "--", "--help"])).code, 2);
  });

  it("suggests only what is near", () => {
    assert.equal(nearest("statsu", ["status", "stop"]), "status");
    assert.equal(nearest("conn", ["connect"]), "connect");
    assert.equal(nearest("zzz", ["status", "stop"]), undefined);
  });
});

describe("the executable", () => {
  it("prints its version", async () => {
    const { code, out, err } = await runProcess(["version", "--json"]);
    assert.deepEqual([code, err], [0, ""]);
    const { schema, version } = JSON.parse(out);
    assert.deepEqual([schema, typeof version], [1, "string"]);
  });

  it("exits with the error's code and one line", async () => {
    const { code, out, err } = await runProcess(["launch", "--mtu", "12"]);
    assert.deepEqual([code, out], [2, ""]);
    assert.equal(
      err,
      "tsweave: --mtu: '12' is not an MTU; write a number of bytes from 576 to 65535\n",
    );
  });

  it("refuses to launch without root", { skip: process.geteuid?.() !== 0 }, async () => {
    const { code, err } = await runProcess(["launch"], { uid: 65_534 });
    assert.equal(code, 1);
    assert.match(err, /^tsweave: launch .*needs root; use 'sudo tsweave launch'\n$/);
  });

  it("starts the sandbox helper apart from the command table", async () => {
    const { code, err } = await runProcess(["__sandbox"]);
    assert.equal(code, 2);
    assert.match(err, /^tsweave: __sandbox is started by the daemon only\n$/);
  });
});
