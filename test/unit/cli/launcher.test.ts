/** Launching in the background: ready, refused, crashed, hung, interrupted, already there. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { ControlClient } from "../../../cli/control/client.ts";
import { type BackgroundLaunch, launchInBackground } from "../../../cli/launcher.ts";
import { MessageReader } from "../../../cli/ready-pipe.ts";
import { TsweaveError } from "../../../mesh/index.ts";
import { temporary } from "./fixture-run.ts";

const FIXTURE = fileURLToPath(import.meta.resolve("./fixture-daemon.ts"));

async function prepared(context: TestContext, behaviour: string) {
  const directory = await temporary(context);
  const progress: string[] = [];
  const launch: BackgroundLaunch = {
    command: [process.execPath, "--import", "tsx", FIXTURE, behaviour, join(directory, "run")],
    env: process.env,
    stateDir: join(directory, "a", "state"),
    runDir: join(directory, "run"),
    logFile: join(directory, "a", "state", "tsweave.log"),
    readyDeadlineMs: 20_000,
    endDeadlineMs: 300,
    interrupted: new AbortController().signal,
    progress: (text) => progress.push(text),
  };
  return { directory, launch, progress };
}

async function failure(promise: Promise<unknown>): Promise<TsweaveError> {
  const error = await promise.then(
    () => assert.fail("it succeeded"),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof TsweaveError, String(error));
  return error;
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe("launch in the background", () => {
  it("returns the summary once the daemon serves, and refuses a second", async (context) => {
    const { launch, progress } = await prepared(context, "serve");
    const client = new ControlClient(launch.runDir);
    const summary = await launchInBackground(launch);
    context.after(() => client.stop().catch(() => undefined));
    assert.equal(summary.peer.name, "host1");
    assert.deepEqual(progress, ["warming up"]);
    assert.equal(statSync(launch.logFile).mode & 0o777, 0o600);
    assert.equal(statSync(launch.stateDir).mode & 0o777, 0o700);
    const error = await failure(launchInBackground(launch));
    assert.equal(error.code, "ALREADY_RUNNING");
    assert.match(error.line, /already runs on .*'tsweave status', or 'tsweave stop' it first$/);
    assert.equal((await client.status()).schema, 1);
    await client.stop();
  });

  it("hands on the daemon's own error and leaves nothing behind", async (context) => {
    const { launch, directory } = await prepared(context, "refuse");
    const error = await failure(launchInBackground(launch));
    assert.deepEqual([error.code, error.exitCode], ["PORT_IN_USE", 1]);
    assert.equal(error.line, "UDP port 6783 is in use; choose a --port");
    assert.deepEqual(readdirSync(directory), []);
  });

  it("keeps a log and a directory that were there before", async (context) => {
    const { launch, directory } = await prepared(context, "refuse");
    const logFile = join(directory, "old.log");
    writeFileSync(logFile, "old\n");
    await failure(launchInBackground({ ...launch, stateDir: directory, logFile }));
    assert.equal(readFileSync(logFile, "utf8"), "old\n");
  });

  it("quotes the last words of a daemon that crashed, and keeps its log", async (context) => {
    const { launch } = await prepared(context, "crash");
    const error = await failure(launchInBackground(launch));
    assert.equal(error.exitCode, 1);
    assert.match(error.line, /before it served \(exit code 7\): Error: the sky fell; see .*\.log$/);
    assert.match(readFileSync(launch.logFile, "utf8"), /the sky fell/);
  });

  it("says so when the program cannot be started", async (context) => {
    const { launch } = await prepared(context, "crash");
    const error = await failure(launchInBackground({ ...launch, command: ["/nonexistent"] }));
    assert.match(error.message, /ended before it served \(spawn \/nonexistent ENOENT\)/);
  });

  it("ends a daemon that hangs, by force if it must", async (context) => {
    const { launch } = await prepared(context, "hang");
    const error = await failure(launchInBackground({ ...launch, readyDeadlineMs: 5500 }));
    assert.deepEqual([error.code, error.exitCode], ["TIMED_OUT", 6]);
    assert.match(error.line, /did not serve within 5\.5 s and was ended; see .*tsweave\.log$/);
    const pid = Number(readFileSync(`${launch.runDir}.pid`, "utf8"));
    assert.equal(isRunning(pid), false);
  });

  it("ends the daemon when the wait is interrupted", async (context) => {
    const { launch } = await prepared(context, "hang");
    const interruption = new AbortController();
    const waiting = launchInBackground({ ...launch, interrupted: interruption.signal });
    const pidFile = `${launch.runDir}.pid`;
    while (!existsSync(pidFile)) await new Promise((resolve) => setTimeout(resolve, 20));
    interruption.abort();
    const error = await failure(waiting);
    assert.match(error.message, /^interrupted/);
    assert.equal(isRunning(Number(readFileSync(pidFile, "utf8"))), false);
    assert.equal(existsSync(launch.logFile), false);
  });

  it("refuses a state directory that cannot be made", async (context) => {
    const { launch, directory } = await prepared(context, "serve");
    writeFileSync(join(directory, "a"), "");
    const error = await failure(launchInBackground(launch));
    assert.equal(error.code, "STATE_UNWRITABLE");
    assert.match(error.line, /cannot make .*; choose another --state-dir$/);
  });
});

describe("the readiness pipe", () => {
  it("is read whatever way its bytes are cut, and skips what is no message", () => {
    const lines = '{"progress":"a"}\nnoise\n{"x":1}\n[]\n{"error":{"code":"USAGE"}}\n';
    for (const size of [1, 7, 1000]) {
      const reader = new MessageReader();
      const found = [];
      for (let at = 0; at < lines.length; at += size) {
        found.push(...reader.push(lines.slice(at, at + size)));
      }
      assert.deepEqual(found, [{ progress: "a" }, { error: { code: "USAGE" } }]);
    }
  });
});
