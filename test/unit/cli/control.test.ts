/** The control API over its real socket: replies, refusals, files, every way of not answering. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { READS } from "../../../cli/control/api.ts";
import { ControlClient } from "../../../cli/control/client.ts";
import { startControl } from "../../../cli/control/server.ts";
import { LIMITS, TsweaveError } from "../../../mesh/index.ts";
import { QuietLog } from "../../lib/quiet-log.ts";
import { FakeBackend } from "./fixture-facts.ts";
import { daemon, run, temporary } from "./fixture-run.ts";

async function serving(context: TestContext) {
  const runDir = join(await temporary(context), "run");
  const backend = new FakeBackend();
  const log = new QuietLog();
  const server = await startControl({ runDir, backend, log });
  context.after(() => server.close());
  return { runDir, backend, log, server, client: new ControlClient(runDir) };
}

/** One raw request: its status and parsed reply. */
async function raw(runDir: string, method: string, path: string, body?: string) {
  return await new Promise<{ status: number; reply: Record<string, unknown> }>(
    (resolve, reject) => {
      const socketPath = join(runDir, "control.sock");
      const call = request({ socketPath, method, path, agent: false }, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (piece: string) => {
          text += piece;
        });
        response.once("end", () => {
          resolve({ status: response.statusCode ?? 0, reply: JSON.parse(text) });
        });
      });
      call.once("error", reject);
      call.end(body);
    },
  );
}

const failsWith = (code: string, exitCode: number) => (error: unknown) => {
  assert.ok(error instanceof TsweaveError, String(error));
  assert.deepEqual([error.code, error.exitCode], [code, exitCode]);
  return true;
};

describe("control API", () => {
  it("answers every read with its schema", async (context) => {
    const { client, backend } = await serving(context);
    assert.deepEqual(await client.status(), { schema: 1, ...backend.status() });
    assert.deepEqual(await client.read("peers"), { schema: 1, peers: backend.peers() });
    assert.deepEqual(await client.read("dns"), { schema: 1, ...backend.dns() });
    assert.deepEqual(await client.read("ipam"), { schema: 1, ...backend.ipam() });
    for (const name of READS) assert.equal((await client.read(name)).schema, 1);
  });

  it("connects to literal addresses only", async (context) => {
    const { client, backend, runDir } = await serving(context);
    const peers = [{ host: "192.168.48.13", port: 6783 }];
    await client.connect(peers);
    assert.deepEqual(backend.connected, peers);
    const wrong = [
      "{}",
      "[]",
      "null",
      "{",
      '{"peers":[]}',
      '{"peers":[{"host":"host3","port":1}]}',
      '{"peers":[{"host":"10.0.0.1","port":0}]}',
      '{"peers":[{"host":"10.0.0.1","port":"1"}]}',
      '{"peers":[null]}',
    ];
    for (const body of wrong) {
      const { status, reply } = await raw(runDir, "POST", "/v1/connect", body);
      assert.equal(status, 400, body);
      assert.equal(reply.schema, 1);
    }
    assert.deepEqual(backend.connected, peers);
  });

  it("refuses unknown paths and methods, and bodies without end", async (context) => {
    const { runDir } = await serving(context);
    assert.equal((await raw(runDir, "GET", "/v1/secrets")).status, 404);
    assert.equal((await raw(runDir, "GET", "/v1/status/__proto__")).status, 404);
    assert.equal((await raw(runDir, "POST", "/v1/status", "{}")).status, 404);
    const long = "x".repeat(LIMITS.requestBytesMax + 1);
    const outcome = await raw(runDir, "POST", "/v1/connect", long).catch(
      (error: NodeJS.ErrnoException) => error.code,
    );
    if (typeof outcome === "object") assert.equal(outcome.status, 400);
    else assert.match(outcome ?? "", /EPIPE|ECONNRESET/);
    assert.equal((await raw(runDir, "GET", "/v1/status")).status, 200);
  });

  it("hands on the daemon's error, and logs one nobody expected", async (context) => {
    const { client, backend, log } = await serving(context);
    Object.assign(backend, {
      peers: () => {
        throw new Error("broken facts");
      },
    });
    await assert.rejects(client.read("peers"), failsWith("INTERNAL", 1));
    assert.equal(log.lines.length, 1);
    assert.equal((await client.status()).schema, 1);
  });
});

describe("the control socket", () => {
  it("is root's alone and goes with the server", async (context) => {
    const { runDir, server } = await serving(context);
    assert.equal(statSync(runDir).mode & 0o777, 0o700);
    assert.equal(statSync(join(runDir, "control.sock")).mode & 0o777, 0o600);
    assert.deepEqual(readdirSync(runDir), ["control.sock"]);
    await server.close();
    assert.equal(existsSync(runDir), false);
  });

  it("leaves a directory alone that it did not make", async (context) => {
    const directory = await temporary(context);
    chmodSync(directory, 0o755);
    const ports = { runDir: directory, backend: new FakeBackend(), log: new QuietLog() };
    const server = await startControl(ports);
    assert.equal(statSync(directory).mode & 0o777, 0o755);
    await server.close();
    assert.deepEqual(readdirSync(directory), []);
  });

  it("refuses a second daemon and does not harm the first", async (context) => {
    const { runDir, client } = await serving(context);
    const second = { runDir, backend: new FakeBackend(), log: new QuietLog() };
    await assert.rejects(startControl(second), failsWith("ALREADY_RUNNING", 1));
    assert.deepEqual(readdirSync(runDir), ["control.sock"]);
    assert.equal((await client.status()).schema, 1);
  });

  it("replaces a socket that nobody listens on", async (context) => {
    const { runDir, child } = await daemon(context);
    child.kill("SIGKILL");
    await once(child, "exit");
    assert.equal(existsSync(join(runDir, "control.sock")), true);
    await assert.rejects(new ControlClient(runDir).status(), failsWith("NOT_RUNNING", 3));
    const ports = { runDir, backend: new FakeBackend(), log: new QuietLog() };
    const server = await startControl(ports);
    assert.equal((await new ControlClient(runDir).status()).schema, 1);
    await server.close();
  });

  it("says what cannot be made", async (context) => {
    const directory = await temporary(context);
    writeFileSync(join(directory, "file"), "");
    const ports = { backend: new FakeBackend(), log: new QuietLog() };
    const runDir = join(directory, "file", "run");
    await assert.rejects(startControl({ ...ports, runDir }), failsWith("STATE_UNWRITABLE", 1));
  });
});

describe("control client", () => {
  it("tells absent, deaf and foreign daemons apart", async (context) => {
    const runDir = await temporary(context);
    await assert.rejects(new ControlClient(runDir).status(), failsWith("NOT_RUNNING", 3));
    const replies: ((socket: import("node:net").Socket) => void)[] = [
      () => undefined,
      (socket) => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"),
      (socket) => socket.end(),
    ];
    const expected: readonly [string, number][] = [
      ["TIMED_OUT", 6],
      ["BAD_MESSAGE", 1],
      ["NOT_RUNNING", 3],
    ];
    let reply = replies[0];
    const server = createServer((socket) => {
      context.after(() => socket.destroy());
      socket.once("data", () => reply?.(socket));
    });
    context.after(() => server.close());
    await new Promise<void>((resolve) => server.listen(join(runDir, "control.sock"), resolve));
    for (const [at, [code, exitCode]] of expected.entries()) {
      reply = replies[at];
      await assert.rejects(new ControlClient(runDir, 200).status(), failsWith(code, exitCode));
    }
  });

  it("waits in stop until the process has ended", async (context) => {
    const { runDir, child } = await daemon(context);
    let ended = false;
    child.once("exit", () => {
      ended = true;
    });
    const startMs = performance.now();
    const { code, out } = await run(["stop", "--run-dir", runDir]);
    assert.equal(code, 0);
    assert.match(out, /^stopped; running containers keep their network/);
    assert.ok(performance.now() - startMs >= 190, "it returned before the process ended");
    if (!ended) await once(child, "exit");
    assert.equal(existsSync(join(runDir, "control.sock")), false);
    assert.equal((await run(["stop", "--run-dir", runDir])).code, 3);
  });

  it("gives up on a daemon that never stops", async (context) => {
    const { client, backend } = await serving(context);
    await assert.rejects(client.stop(100), failsWith("TIMED_OUT", 6));
    assert.equal(backend.stops, 1);
  });
});

describe("commands", () => {
  it("print tables for people and objects for programs", async (context) => {
    const { runDir, backend } = await serving(context);
    const env = { TSWEAVE_RUN_DIR: runDir };
    assert.match((await run(["status"], env)).out, /^tsweave 0\.1\.0 {2}peer host1/);
    assert.match((await run(["status", "networks"], env)).out, /^NETWORK .*\ntsweave /);
    const whole = JSON.parse((await run(["status", "--json"], env)).out);
    assert.deepEqual(whole, { schema: 1, ...backend.status() });
    for (const name of READS) {
      const { code, out, err } = await run(["status", name, "--json"], env);
      assert.deepEqual([code, err, JSON.parse(out).schema], [0, "", 1]);
      assert.equal(out.split("\n").length, 2);
    }
  });

  it("check the health when asked", async (context) => {
    const { runDir, backend } = await serving(context);
    const env = { TSWEAVE_RUN_DIR: runDir };
    assert.equal((await run(["status"], env)).code, 0);
    assert.equal((await run(["status", "--check"], env)).code, 4);
    assert.equal((await run(["status", "peers", "--check", "--json"], env)).code, 4);
    backend.problems = [];
    assert.equal((await run(["status", "--check"], env)).code, 0);
  });

  it("connect on the daemon's own port unless told", async (context) => {
    const { runDir, backend } = await serving(context);
    const peers = ["192.168.48.13", "192.168.48.14:7000", "[fd00::5]"];
    const { code, out } = await run(["connect", ...peers, "--run-dir", runDir]);
    assert.equal(code, 0);
    assert.match(out, /^trying 192\.168\.48\.13:6783, 192\.168\.48\.14:7000, \[fd00::5\]:6783;/);
    assert.deepEqual(
      backend.connected.map(({ port }) => port),
      [6783, 7000, 6783],
    );
  });

  it("forget, and say what the next launch tries again", async (context) => {
    const { runDir, backend } = await serving(context);
    const { code, out, err } = await run([
      ...["forget", "192.168.48.12", "192.168.48.14:7000"],
      ...["--run-dir", runDir],
    ]);
    assert.equal(code, 0);
    assert.equal(out, "no longer trying 192.168.48.12:6783, 192.168.48.14:7000\n");
    assert.match(err, /launch was given 192\.168\.48\.12:6783/);
    assert.equal(backend.forgotten.length, 2);
    assert.equal((await run(["forget", "--run-dir", runDir])).code, 2);
  });

  it("watch until interrupted, a JSON object a line", async (context) => {
    const { runDir } = await serving(context);
    const argv = ["status", "peers", "--watch", "--json", "--run-dir", runDir];
    const child = spawn(process.execPath, ["--import", "tsx", "cli/main.ts", ...argv], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    context.after(() => child.kill("SIGKILL"));
    let out = "";
    await new Promise<void>((resolve) => {
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        out += text;
        if (out.split("\n").length > 2) resolve();
      });
    });
    child.kill("SIGINT");
    const [code] = await once(child, "exit");
    assert.equal(code, 0);
    for (const line of out.trim().split("\n")) assert.equal(JSON.parse(line).schema, 1);
  });
});

/** A daemon in a process of its own that serves the control API. */
