/**
 * Engines without live-restore and hosts that restart: who comes back by its restart policy, with
 * which address, how soon by name elsewhere, and that nothing of the others stays. LONG_RUN=1: also
 * over a power failure, over kill -9 of both, on a newer engine, and twice.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { newerEngine } from "../lab/newer-engine.ts";
import { LONG, UNLESS_LONG } from "../lib/long-run.ts";
import { BUNDLE, eventually, MeshHosts } from "../lib/mesh-hosts.ts";
import { allWell } from "../lib/well.ts";

const newer = LONG ? await newerEngine("sid") : { reason: "" };
const VICTIMS = "engineDir" in newer ? ["old", "new"] : ["old"];
const HOSTS = ["far", ...VICTIMS];
const FIXED: Readonly<Record<string, string>> = { old: "10.47.255.9", new: "10.47.255.10" };

let mesh: MeshHosts;

interface Row {
  readonly what: string;
  readonly skip?: string | false;
  readonly act: (host: string) => Promise<void>;
}

/** What is done to a host; the daemon is there before the engine starts, as its unit says. */
const ROWS: readonly Row[] = [
  {
    what: "a restart of the engine",
    async act(host) {
      await mesh.lab.host(host).stopEngine();
      await mesh.lab.host(host).startEngine();
    },
  },
  {
    what: "kill -9 of the engine",
    async act(host) {
      await mesh.lab.host(host).killEngine();
      await mesh.lab.host(host).startEngine();
    },
  },
  {
    what: "a power failure",
    skip: UNLESS_LONG,
    async act(host) {
      await mesh.lab.host(host).crash();
      await mesh.lab.host(host).boot({ startEngine: false });
      const peers = mesh.addresses(host);
      await mesh.lab
        .host(host)
        .spawn([process.execPath, BUNDLE, "launch", "--foreground", ...peers]);
      await eventually("the daemon serves", 10_000, () => mesh.daemonPid(host));
      await mesh.lab.host(host).startEngine();
    },
  },
];

async function run(host: string, name: string, ...flags: string[]): Promise<void> {
  await mesh.web(host, `${name}-${host}`, ...flags);
}

async function states(host: string): Promise<Record<string, string>> {
  const format = ["ps", "-a", "--format", "{{.Names}} {{.State}}"];
  const lines = (await mesh.docker(host, ...format)).split("\n");
  return Object.fromEntries(lines.map((line) => line.split(" ") as [string, string]));
}

async function answersFrom(host: string, name: string): Promise<string> {
  const url = `http://${name}/`;
  return await mesh.inside(host, `always-${host}`, "timeout", "2", "wget", "-qO-", url);
}

describe("restart policies", () => {
  before(async () => {
    const engineDirs = "engineDir" in newer ? { new: newer.engineDir } : {};
    mesh = await MeshHosts.hostsOnly("policies", { hosts: HOSTS, engineDirs });
    await Promise.all(HOSTS.map((host) => mesh.launch(host, mesh.addresses(host))));
    const made = await mesh.cli("far", "network", "create", "side", "--subnet", "10.75.0.0/16");
    assert.equal(made.code, 0, made.stderr);
    await run("far", "always");
    for (const host of VICTIMS) {
      await eventually("the network is there", 10_000, () =>
        mesh.docker(host, "network", "inspect", "side"),
      );
      await run(host, "always", "--restart", "always", "--network-alias", "any");
      await run(host, "fixed", "--restart", "always", "--ip", FIXED[host] ?? "");
      await run(host, "until", "--restart", "unless-stopped");
      await mesh.docker(host, "network", "connect", "side", `until-${host}`);
      const control = ["-d", "--name", "control", "--restart", "unless-stopped"];
      await mesh.docker(host, "run", ...control, "--stop-timeout", "1", "busybox", "sleep", "9999");
      await run(host, "halted", "--restart", "unless-stopped");
      await mesh.docker(host, "stop", `halted-${host}`);
      await run(host, "failing", "--restart", "on-failure:3");
      await run(host, "no");
    }
  });
  after(async () => {
    await mesh?.lab.down();
  });

  for (let round = 0; round < (LONG ? 2 : 1); round += 1) {
    for (const host of VICTIMS) {
      for (const { what, act, skip = false } of ROWS) {
        it(`over ${what} (${host} engine)`, { skip }, async (t) => {
          await mesh.exec(host, ["docker", "start", `no-${host}`, `failing-${host}`]);
          await mesh.exec(host, ["docker", "start", `halted-${host}`]);
          await mesh.exec(host, ["docker", "stop", `halted-${host}`]);
          const former = await mesh.ip(host, `always-${host}`);
          const startMs = Date.now();
          await act(host);
          await eventually("who shall be back is", 30_000, async () => {
            for (const name of ["always", "fixed"]) {
              const own = `${name}-${host}`;
              const state = ["inspect", "-f", "{{.State.Status}} {{.State.Error}}", own];
              assert.equal(await mesh.docker(host, ...state), "running", own);
              assert.equal(await answersFrom("far", own), own);
            }
          });
          t.diagnostic(`back for far ${Date.now() - startMs} ms after the beginning`);
          const now = await states(host);
          // After kill -9 engine 20.10 takes unless-stopped for stopped, on any network.
          assert.equal(now[`until-${host}`], now.control, "unless-stopped");
          if (now.control !== "running")
            await mesh.docker(host, "start", `until-${host}`, "control");
          assert.equal(now[`no-${host}`], "exited");
          assert.equal(now[`halted-${host}`], "exited");
          for (const name of ["no", "halted"]) {
            const lookup = ["nslookup", `${name}-${host}`];
            assert.notEqual((await mesh.tryInside("far", "always-far", ...lookup)).code, 0, name);
          }
          assert.match(await mesh.ip(host, `fixed-${host}`), new RegExp(`^${FIXED[host]}$`));
          const own = await mesh.ip(host, `always-${host}`);
          t.diagnostic(`${former} became ${own}; on-failure is ${now[`failing-${host}`]}`);
          const both = (await mesh.ip(host, `until-${host}`)).split(" ");
          assert.equal(both.filter((ip) => /^10\./.test(ip)).length, 2, both.join());
          assert.equal(await answersFrom("far", `until-${host}`), `until-${host}`);
          assert.equal(await answersFrom(host, "always-far"), "always-far");
          await allWell(mesh, HOSTS, 40_000);
        });
      }
    }
  }

  for (const host of VICTIMS) {
    const name = `over kill -9 of daemon and engine, the engine back first (${host} engine)`;
    it(name, { skip: UNLESS_LONG }, async (t) => {
      // The engine tries each call for 15 s, one after the other: one container, one network.
      for (const one of VICTIMS) await mesh.exec(one, ["docker", "rm", "-f", `until-${one}`]);
      const others = ["always", "no", "halted", "failing"].map((other) => `${other}-${host}`);
      await mesh.ok(host, ["docker", "rm", "-f", ...others]);
      await eventually("nobody is on side", 5000, async () => {
        const removed = await mesh.cli("far", "network", "rm", "side");
        assert.ok(removed.code === 0 || removed.code === 5, removed.stderr);
      });
      await eventually("side is gone", 10_000, async () => {
        const found = await mesh.exec(host, ["docker", "network", "inspect", "side"]);
        assert.notEqual(found.code, 0);
      });
      await mesh.ok(host, ["kill", "-9", String(await mesh.daemonPid(host))]);
      await mesh.lab.host(host).killEngine();
      const startMs = Date.now();
      await mesh.lab.host(host).startEngine();
      t.diagnostic(`the engine answered after ${Date.now() - startMs} ms`);
      await mesh.launch(host, mesh.addresses(host));
      // Docker does not try again what it could not start without the plugin.
      const own = `fixed-${host}`;
      await mesh.docker(host, "start", own);
      const page = () => mesh.inside("far", "always-far", "wget", "-qO-", `http://${own}/`);
      await eventually(`${own} is back`, 5000, async () => assert.equal(await page(), own));
      assert.equal(await mesh.ip(host, own), FIXED[host]);
      await allWell(mesh, HOSTS, 40_000);
    });
  }
});
