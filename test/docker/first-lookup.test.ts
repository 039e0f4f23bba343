/**
 * The first instruction of a container resolves a name of another host, on the machine's engine
 * and on Debian's newest, while two busy loops take the processors. 20 starts on each;
 * FIRST_LOOKUPS=100 tries more.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { after, before, describe, it, type TestContext } from "node:test";
import { newerEngine } from "../lab/newer-engine.ts";
import { MeshHosts } from "../lib/mesh-hosts.ts";

const STARTS = Number(process.env.FIRST_LOOKUPS ?? "20");
const BUSY_LOOPS = 2;

const newer = await newerEngine("sid");

let mesh: MeshHosts;
const loops: ChildProcess[] = [];

/** Each container's only act is the lookup. */
async function lookups(context: TestContext, host: string, remote: string): Promise<void> {
  const ip = await mesh.ip(remote, `web-${remote}`);
  const failures: string[] = [];
  const startMs = performance.now();
  for (let at = 0; at < STARTS; at += 1) {
    const run = ["docker", "run", "--rm", "--net", "tsweave", "busybox"];
    const { stdout, stderr, code } = await mesh.exec(host, [...run, "nslookup", `web-${remote}`]);
    if (code !== 0 || !stdout.includes(ip)) failures.push(`${at}: ${code} ${stdout}${stderr}`);
  }
  const eachMs = ((performance.now() - startMs) / STARTS).toFixed(0);
  const version = await mesh.docker(host, "version", "-f", "{{.Server.Version}}");
  const told = `engine ${version}: ${failures.length} of ${STARTS} failed, ${eachMs} ms a start`;
  context.diagnostic(told);
  assert.deepEqual(failures, []);
}

describe("the first instruction", () => {
  before(async () => {
    const engineDirs = "engineDir" in newer ? { new1: newer.engineDir } : {};
    const hosts = ["old1", "new1"];
    mesh = await MeshHosts.hostsOnly("first", { hosts, engineDirs });
    await Promise.all(hosts.map((host) => mesh.launch(host, mesh.addresses(host))));
    for (const host of hosts) await mesh.web(host, `web-${host}`);
    for (let at = 0; at < BUSY_LOOPS; at += 1) {
      const argv = ["--pdeathsig", "KILL", process.execPath, "-e", "for (;;);"];
      loops.push(spawn("setpriv", argv, { stdio: "ignore" }));
    }
  });
  after(async () => {
    for (const loop of loops) loop.kill("SIGKILL");
    await mesh?.lab.down();
  });

  it("resolves on the machine's engine", (context) => lookups(context, "old1", "new1"));

  it(
    "resolves on the newest engine",
    {
      skip: "reason" in newer ? newer.reason : false,
    },
    (context) => lookups(context, "new1", "old1"),
  );
});
