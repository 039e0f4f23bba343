/** Completion scripts and the manual page: what the table holds, as shells and man read it. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { describedCommands } from "../../../cli/commands/described.ts";
import { COMMANDS } from "../../../cli/commands/table.ts";
import { manPage } from "../../../cli/packaging/man-page.ts";
import { run, temporary } from "./fixture-run.ts";

const has = (program: string): boolean => existsSync(`/usr/bin/${program}`);

/** What bash offers for the last of these words, with a `tsweave` that knows two peers. */
async function offered(context: TestContext, ...words: string[]): Promise<string[]> {
  const dir = await temporary(context);
  const fake = join(dir, "tsweave");
  writeFileSync(fake, "#!/bin/sh\necho 'PEER ID'\necho 'host1 7f'\necho 'host2 0b'\n");
  chmodSync(fake, 0o755);
  const { out } = await run(["completion", "bash"]);
  const list = words.map((word) => `'${word}'`).join(" ");
  const ask = `COMP_WORDS=(${list}); COMP_CWORD=${words.length - 1}; _tsweave`;
  const script = `${out}\n${ask}\nprintf '%s\\n' "\${COMPREPLY[@]}"`;
  const env = { ...process.env, PATH: `${dir}:${process.env.PATH}` };
  const shown = execFileSync("bash", ["--norc", "-c", script], { encoding: "utf8", cwd: dir, env });
  return shown.split("\n").filter((line) => line !== "");
}

describe("completion", () => {
  it("offers commands, options, and what an option's value may be", async (context) => {
    assert.deepEqual(await offered(context, "tsweave", "stat"), ["status"]);
    const all = await offered(context, "tsweave", "");
    for (const { name } of COMMANDS) assert.ok(all.includes(name), name);
    for (const { name, options } of await describedCommands(COMMANDS)) {
      const flags = await offered(context, "tsweave", name, "--");
      assert.deepEqual(flags, [...options.map((option) => `--${option.name}`), "--help"], name);
    }
    const levels = ["debug", "info", "warn", "error", "silent"];
    assert.deepEqual(await offered(context, "tsweave", "launch", "--log-level", ""), levels);
    assert.deepEqual(await offered(context, "tsweave", "launch", "--log-level", "=", "w"), [
      "warn",
    ]);
    assert.deepEqual(await offered(context, "tsweave", "launch", "--log-level", "="), levels);
    assert.deepEqual(await offered(context, "tsweave", "launch", "--name", ""), []);
    assert.deepEqual(await offered(context, "tsweave", "launch", "--config", "tsw"), ["tsweave"]);
  });

  it("offers a first argument once, and peers by name", async (context) => {
    assert.deepEqual(await offered(context, "tsweave", "status", "end"), ["endpoints"]);
    assert.deepEqual(await offered(context, "tsweave", "status", "--json", "end"), ["endpoints"]);
    assert.deepEqual(await offered(context, "tsweave", "status", "endpoints", ""), []);
    assert.deepEqual(await offered(context, "tsweave", "rmpeer", ""), ["host1", "host2"]);
    assert.deepEqual(await offered(context, "tsweave", "rmpeer", "host1", "h"), ["host1", "host2"]);
    assert.ok((await offered(context, "tsweave", "help", "")).includes("launch"));
  });

  it("names every command and option to zsh and fish", async () => {
    for (const shell of ["zsh", "fish"]) {
      const { code, out } = await run(["completion", shell]);
      assert.equal(code, 0);
      for (const { name, options } of await describedCommands(COMMANDS)) {
        assert.ok(out.includes(name), `${shell}: ${name}`);
        for (const option of options) {
          const flag = shell === "zsh" ? `--${option.name}` : `-l ${option.name}`;
          assert.ok(out.includes(flag), `${shell}: ${name} ${flag}`);
        }
      }
    }
  });

  for (const shell of ["zsh", "fish"]) {
    it(`is a script that ${shell} reads`, { skip: !has(shell) }, async () => {
      const { out } = await run(["completion", shell]);
      const { status, stderr } = spawnSync(shell, ["-n"], { input: out, encoding: "utf8" });
      assert.deepEqual([status, stderr], [0, ""]);
    });
  }

  it("refuses other shells by name", async () => {
    const { code, err } = await run(["completion", "bsh"]);
    assert.equal(code, 2);
    assert.match(err, /no completion for 'bsh'; did you mean 'bash'\?/);
    assert.equal((await run(["completion"])).code, 2);
  });
});

describe("the manual page", () => {
  it("has every command, option and example, and is printed by help --man", async () => {
    const commands = await describedCommands(COMMANDS);
    const page = manPage(commands);
    assert.equal((await run(["help", "--man"])).out, page);
    const text = page.replaceAll("\\-", "-");
    for (const { name, options, examples } of commands) {
      assert.ok(text.includes(`.SS "tsweave ${name}`), name);
      for (const option of options) assert.ok(text.includes(`\n.B --${option.name}`), option.name);
      assert.ok(text.includes(examples[0]?.replaceAll('"', "\\(dq") ?? "?"), name);
    }
    assert.equal((await run(["help", "launch", "--man"])).code, 2);
  });

  it("is formatted without a warning", { skip: !has("groff") }, async () => {
    const { out } = await run(["help", "--man"]);
    const argv = ["-man", "-Tascii", "-ww", "-P-cbou"];
    const { status, stdout, stderr } = spawnSync("groff", argv, { input: out, encoding: "utf8" });
    assert.deepEqual([status, stderr], [0, ""]);
    assert.match(stdout, /EXIT STATUS/);
  });
});
