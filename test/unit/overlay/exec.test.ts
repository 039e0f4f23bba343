/** Starting programs: missing, failing and hanging ones become typed errors. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { TsweaveError } from "../../../mesh/index.ts";
import { runBatch } from "../../../overlay/io/batch.ts";
import { type RunOptions, run, runBeside } from "../../../overlay/io/exec.ts";
import { render } from "../../../overlay/render.ts";
import type { Step } from "../../../overlay/state.ts";

const failsWith = (code: string, text: RegExp) => (error: unknown) =>
  error instanceof TsweaveError && error.code === code && text.test(error.line);

test("a missing tool is named with its package", async () => {
  await assert.rejects(run(["tsweave-no-such-tool"]), failsWith("TOOL_MISSING", /apt-get install/));
});

test("a failing command is told with its exit code and first complaint", async () => {
  const argv = ["sh", "-c", "echo; echo why >&2; echo more >&2; exit 3"];
  await assert.rejects(run(argv), failsWith("COMMAND_FAILED", /exit 3: why$/));
  const result = await run(argv, { tolerant: true });
  assert.deepEqual([result.exitCode, result.stderr], [3, "why\nmore\n"]);
});

test("a hanging command is ended", async () => {
  await assert.rejects(run(["sleep", "5"], { timeoutMs: 50 }), failsWith("TIMED_OUT", /sleep 5/));
});

test("what a hanging command has started is not waited for", async () => {
  const startMs = performance.now();
  const argv = ["sh", "-c", "sleep 3 & sleep 5"];
  await assert.rejects(run(argv, { timeoutMs: 50 }), failsWith("TIMED_OUT", /sleep 5/));
  assert.ok(performance.now() - startMs < 2500);
});

test("a program that was killed, or ends before it has read its input, has failed", async () => {
  assert.equal((await run(["sh", "-c", "kill -9 $$"], { tolerant: true })).exitCode, -1);
  const input = "x".repeat(4_000_000);
  await assert.rejects(run(["false"], { input }), failsWith("COMMAND_FAILED", /exit 1/));
  await assert.rejects(run(["echo", "a\0b"]), failsWith("COMMAND_FAILED", /NUL/));
});

test("letters of several bytes survive the pieces that output comes in", async () => {
  const text = "ü€".repeat(200_000);
  assert.equal((await run(["cat"], { input: text })).stdout, text);
});

test("a program beside tells what it prints, and how it ended", async () => {
  const pieces: Buffer[] = [];
  const good = runBeside(["sh", "-c", "echo a; echo b; exit 4"], (piece) => pieces.push(piece));
  assert.match(await good.ended, /exit code 4/);
  assert.equal(Buffer.concat(pieces).toString(), "a\nb\n");
  const killed = runBeside(["sleep", "5"], () => undefined);
  killed.kill();
  assert.match(await killed.ended, /SIGKILL/);
  const missing = runBeside(["tsweave-no-such-tool"], () => undefined);
  assert.match(await missing.ended, /ENOENT/);
  assert.equal(missing.pid, undefined);
});

test("input arrives on stdin", async () => {
  assert.equal((await run(["cat"], { input: "a\nb\n" })).stdout, "a\nb\n");
});

test("one line a tool gives up on hurts only its own step", async () => {
  const steps = [1, 2, 3, 4, 5].map(
    (n): Step => ({ kind: "port-set", netns: "ns", device: `d${n}`, mtuBytes: 1450 }),
  );
  const done: string[] = [];
  const fake = async (_argv: readonly string[], options: RunOptions = {}) => {
    for (const line of (options.input ?? "").trim().split("\n")) {
      const device = line.split(" ")[3] ?? "";
      if (device === "d3") {
        return { stdout: "", stderr: 'Error: argument "br0" is wrong\n', exitCode: 255 };
      }
      done.push(device);
    }
    return { stdout: "", stderr: "", exitCode: 0 };
  };
  const [batch] = render(steps, "HOST");
  assert.ok(batch);
  const failures = await runBatch(fake, [], batch);
  assert.deepEqual(
    failures.map(({ step }) => step),
    [steps[2]],
  );
  assert.deepEqual([...new Set(done)].sort(), ["d1", "d2", "d4", "d5"]);
});
