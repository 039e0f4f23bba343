/**
 * The daemon dies in the middle of each call of Docker's: what the user sees is one line, the same
 * command works again, and nothing is leaked. LONG_RUN=1: also before each call, on a newer engine
 * too, and with the plugin down for as long as Docker tries.
 */
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { after, before, describe, it } from "node:test";
import type { ExecResult } from "../lab/exec.ts";
import { newerEngine } from "../lab/newer-engine.ts";
import { LONG, UNLESS_LONG } from "../lib/long-run.ts";
import { eventually, MeshHosts } from "../lib/mesh-hosts.ts";
import { type Cut, PluginProxy } from "../lib/plugin-proxy.ts";
import { allWell } from "../lib/well.ts";

const newer = LONG ? await newerEngine("sid") : { reason: "" };
const HOSTS = "engineDir" in newer ? ["old", "new"] : ["old"];
const CUTS: readonly Cut[] = LONG ? ["before", "after"] : ["after"];
const SOCKET = "/run/docker/plugins/tsweave.sock";
const PLUGIN_DIR = "/run/tsweave-plugin";
const NET = ["--net", "dark", "--stop-timeout", "0"];
const CREATE = ["network", "create", "-d", "tsweave", "--ipam-driver", "tsweave"];

interface Case {
  readonly method: string;
  /** The command in which the call comes. */
  readonly words: readonly string[];
  /** What comes before it, and after it. */
  readonly first?: readonly string[];
  readonly last?: readonly string[];
  /** What the user is told; absent: nothing, the command succeeds. */
  readonly told?: RegExp;
}

const RUN = ["run", "-d", ...NET, "--name", "box", "busybox", "sleep", "999"];
const REMOVE = ["rm", "-f", "box"];
const MAKE = [...CREATE, "--subnet", "10.79.0.0/16", "brief"];
const NETWORK_RM = ["network", "rm", "brief"];
const NO_ARGUMENTS = /came without its arguments; Docker repeated a call .* run the command again/;

const CASES: readonly Case[] = [
  // First, because an address whose answer got lost is taken back after a minute.
  { method: "IpamDriver.RequestAddress", words: RUN, last: REMOVE, told: NO_ARGUMENTS },
  { method: "NetworkDriver.CreateEndpoint", words: RUN, last: REMOVE, told: NO_ARGUMENTS },
  { method: "NetworkDriver.Join", words: RUN, last: REMOVE, told: NO_ARGUMENTS },
  { method: "NetworkDriver.EndpointOperInfo", words: RUN, last: REMOVE },
  { method: "NetworkDriver.Leave", first: RUN, words: REMOVE },
  { method: "NetworkDriver.DeleteEndpoint", first: RUN, words: REMOVE },
  { method: "IpamDriver.ReleaseAddress", first: RUN, words: REMOVE },
  { method: "IpamDriver.RequestPool", words: MAKE, last: NETWORK_RM, told: NO_ARGUMENTS },
  { method: "NetworkDriver.CreateNetwork", words: MAKE, last: NETWORK_RM, told: NO_ARGUMENTS },
  { method: "IpamDriver.ReleasePool", first: MAKE, words: NETWORK_RM },
  { method: "NetworkDriver.DeleteNetwork", first: MAKE, words: NETWORK_RM },
];

let mesh: MeshHosts;
const proxies = new Map<string, PluginProxy>();

function proxyOf(host: string): PluginProxy {
  const proxy = proxies.get(host);
  assert.ok(proxy);
  return proxy;
}

async function docker(host: string, words: readonly string[]): Promise<ExecResult> {
  return await mesh.exec(host, ["docker", ...words], 120_000);
}

async function succeeds(host: string, words: readonly string[]): Promise<void> {
  const { code, stderr } = await docker(host, words);
  assert.equal(code, 0, `docker ${words.join(" ")}: ${stderr}`);
}

async function namespaces(host: string): Promise<number> {
  return (await mesh.ok(host, ["ip", "netns", "list"])).trim().split("\n").length;
}

describe("the plugin dies in a call", () => {
  before(async () => {
    const engineDirs = "engineDir" in newer ? { new: newer.engineDir } : {};
    mesh = await MeshHosts.hostsOnly("cut", { hosts: HOSTS, engineDirs });
    for (const host of HOSTS) {
      const path = (file: string) => mesh.lab.host(host).path(file);
      mkdirSync(dirname(path(SOCKET)), { recursive: true });
      const plugin = path(`${PLUGIN_DIR}/tsweave.sock`);
      proxies.set(host, await PluginProxy.listen(path(SOCKET), plugin));
    }
    const launch = (host: string) =>
      mesh.launch(host, mesh.addresses(host), "--plugin-dir", PLUGIN_DIR);
    await Promise.all(HOSTS.map(launch));
    // Without a gateway bridge engines before 28 ask for EndpointOperInfo, too.
    const dark = ["network", "create", "dark", "--internal", "--subnet", "10.78.0.0/16"];
    assert.equal((await mesh.cli("old", ...dark)).code, 0);
    for (const host of HOSTS) {
      await eventually("the network is there", 10_000, () =>
        mesh.docker(host, "network", "inspect", "dark"),
      );
    }
  });
  after(async () => {
    for (const proxy of proxies.values()) await proxy.close();
    await mesh?.lab.down();
  });

  for (const host of HOSTS) {
    for (const cut of CUTS) {
      for (const { method, first, words, last, told } of CASES) {
        it(`${cut} ${method} (${host} engine)`, async (t) => {
          if (first !== undefined) await succeeds(host, first);
          const proxy = proxyOf(host);
          proxy.arm(method, cut);
          const startMs = Date.now();
          const { code, stderr } = await docker(host, words);
          t.diagnostic(`${Date.now() - startMs} ms: ${stderr.trim() || "nothing is said"}`);
          assert.ok(proxy.isSpent, `no such call among ${proxy.calls.join()}`);
          if (told === undefined) assert.equal(code, 0, stderr);
          else {
            assert.notEqual(code, 0);
            assert.match(stderr, told);
            if (last === REMOVE) await docker(host, REMOVE);
            await succeeds(host, words);
          }
          if (last !== undefined) await succeeds(host, last);
          assert.equal((await docker(host, ["ps", "-aq"])).stdout, "");
        });
      }
    }
  }

  it("nothing is leaked", async (t) => {
    const startMs = Date.now();
    for (const host of HOSTS) {
      await eventually("namespaces of two networks", 40_000, async () => {
        assert.equal(await namespaces(host), 2);
      });
    }
    if (LONG) await allWell(mesh, HOSTS, 100_000);
    t.diagnostic(`after ${Date.now() - startMs} ms`);
  });

  it("and stays down as long as Docker tries", { skip: UNLESS_LONG }, async (t) => {
    await succeeds("old", ["run", "-d", ...NET, "--name", "ends", "busybox", "sleep", "999"]);
    await succeeds("old", ["run", "-d", ...NET, "--name", "leaves", "busybox", "sleep", "999"]);
    await succeeds("old", ["run", "-d", "--net", "none", "--name", "comes", "busybox", "true"]);
    await succeeds("old", MAKE);
    await proxyOf("old").close();
    await mesh.ok("old", ["kill", "-9", String(await mesh.daemonPid("old"))]);
    const commands = [
      { words: ["run", "--name", "new", ...NET, "busybox", "true"], fails: true },
      { words: [...CREATE, "--subnet", "10.80.0.0/16", "never"], fails: true },
      { words: ["rm", "-f", "ends"], fails: false },
      { words: ["network", "disconnect", "dark", "leaves"], fails: false },
      { words: NETWORK_RM, fails: false },
    ];
    await Promise.all(
      commands.map(async ({ words, fails }) => {
        const startMs = Date.now();
        const { code, stderr } = await docker("old", words);
        const said = stderr.trim() || "nothing is said";
        t.diagnostic(`docker ${words.join(" ")}: ${Date.now() - startMs} ms: ${said}`);
        assert.equal(code !== 0, fails, said);
      }),
    );
    await mesh.launch("old", mesh.addresses("old"));
    await mesh.exec("old", ["docker", "rm", "-f", "leaves", "comes", "new"]);
    await allWell(mesh, HOSTS, 100_000);
    await succeeds("old", RUN);
    await succeeds("old", REMOVE);
  });
});
