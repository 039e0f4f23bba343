/** `tsweave wait`: what each condition asks, and that waiting ends either way. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { Status } from "../../../cli/control/api.ts";
import { startControl } from "../../../cli/control/server.ts";
import { parseDuration } from "../../../cli/duration.ts";
import { parseConditions } from "../../../cli/wait-conditions.ts";
import { QuietLog } from "../../lib/quiet-log.ts";
import { FakeBackend, statusWith } from "./fixture-facts.ts";
import { run, temporary } from "./fixture-run.ts";

const well = statusWith([]);

function missing(what: string, change: Partial<Status>): (string | undefined)[] {
  return parseConditions(what).map((condition) => condition({ ...well, ...change }));
}

describe("what is waited for", () => {
  it("holds on a healthy peer", () => {
    assert.deepEqual(missing("ready,founded,in-sync,peers=1", {}), [
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });

  it("names what is missing", () => {
    const ipam = { ...well.ipam, founded: false, text: "waits for host2" };
    assert.deepEqual(missing("ready,founded", { ipam }), [
      "no addresses yet: waits for host2",
      "no addresses yet: waits for host2",
    ]);
    const kernel = { ...well.kernel, inSync: false, drift: 2 };
    assert.deepEqual(missing("ready,in-sync", { kernel }), [
      undefined,
      "the kernel differs in 2 steps",
    ]);
    const [text] = missing("ready", { kernel: { ...kernel, lastReconcileMs: null } });
    assert.equal(text, "the kernel was not compared yet");
    assert.deepEqual(missing("peers=3", {}), ["1 of 3 peers alive"]);
    const docker = { ...well.docker, networks: 0 };
    assert.deepEqual(missing("ready", { docker }), ["Docker has no tsweave network yet"]);
    const booting = { ...docker, connected: false };
    assert.deepEqual(missing("ready", { docker: booting }), [
      "the Docker engine is not followed yet",
    ]);
    const silent = { code: "DOCKER_UNREACHABLE", text: "Docker does not answer", next: null };
    const health = { ok: false, problems: [silent] };
    assert.deepEqual(missing("ready,founded", { health }), ["Docker does not answer", undefined]);
    const off = { ...booting, enabled: false, plugin: false };
    assert.deepEqual(missing("ready", { docker: off, health }), [undefined]);
  });

  it("refuses what it does not know", () => {
    for (const word of ["", "redy", "peers=", "peers=0", "peers=x", "ready,"]) {
      assert.throws(() => parseConditions(word), /wait knows no condition/, word);
    }
  });
});

describe("a duration", () => {
  it("is read with its unit, or refused", () => {
    const read = (text: string) => parseDuration(text, "--timeout");
    assert.deepEqual(["0", "1.5", "90s", "10m", "2h", "1d"].map(read), [
      ...[0, 1500, 90_000, 600_000, 7_200_000, 86_400_000],
    ]);
    for (const text of ["", "-1", "1w", "s", "1e3", "10 m", "999999999d"]) {
      assert.throws(() => read(text), /--timeout: '.*' is not a duration/, text);
    }
  });
});

describe("tsweave wait", () => {
  it("times out with exit code 6 and says what is missing", async (context) => {
    const runDir = await temporary(context);
    const absent = await run(["wait", "--timeout", "0.2", "--run-dir", runDir]);
    assert.equal(absent.code, 6);
    assert.match(absent.err, /^tsweave: not ready within 0.2: no tsweave daemon answers/);
    assert.equal((await run(["wait", "--for", "nothing"])).code, 2);
  });

  it("waits for a daemon that is started, and for peers", async (context) => {
    const runDir = await temporary(context);
    const backend = new FakeBackend();
    const waiting = run(["wait", "--for", "ready,peers=3", "--json", "--run-dir", runDir]);
    const server = await startControl({ runDir, backend, log: new QuietLog() });
    context.after(() => server.close());
    await new Promise((resolve) => setTimeout(resolve, 300));
    Object.assign(backend, {
      status: () => ({ ...well, mesh: { ...well.mesh, alive: 3, peers: 3 } }),
    });
    const { code, out } = await waiting;
    assert.equal(code, 0);
    const { schema, for: what, waitedMs } = JSON.parse(out);
    assert.deepEqual([schema, what], [1, ["ready", "peers=3"]]);
    assert.ok(waitedMs >= 290, `it returned after ${waitedMs} ms`);
    const { out: text } = await run(["wait", "--run-dir", runDir]);
    assert.match(text, /^ready after 0\.\d s\n$/);
  });

  it("is not ready while Docker takes connections and never answers", async (context) => {
    const runDir = await temporary(context);
    const dockerSocket = join(runDir, "docker.sock");
    let isDeaf = true;
    const engine = createServer((_request, response) => {
      if (!isDeaf) response.end('{"Version":"28.2.2"}');
    });
    await new Promise<void>((resolve) => engine.listen(dockerSocket, resolve));
    context.after(() => {
      engine.close();
      engine.closeAllConnections();
    });
    const backend = new FakeBackend();
    const { config, ...facts } = backend.host();
    // What the daemon remembers is well: the engine has begun to hang just now.
    Object.assign(backend, {
      status: () => well,
      host: () => ({ ...facts, config: { ...config, docker: true, dockerSocket } }),
    });
    const server = await startControl({ runDir, backend, log: new QuietLog() });
    context.after(() => server.close());
    const at = ["--run-dir", runDir];
    const hung = await run(["wait", "--timeout", "1", ...at]);
    assert.deepEqual([hung.code, hung.out], [6, ""]);
    assert.match(
      hung.err,
      /not ready within 1: Docker at \S+docker\.sock does not answer: no answer/,
    );
    const other = await run(["wait", "--for", "founded,in-sync", "--timeout", "1", ...at]);
    assert.equal(other.code, 0, "nobody asked for Docker");
    isDeaf = false;
    assert.equal((await run(["wait", "--timeout", "5", ...at])).code, 0);
  });
});
