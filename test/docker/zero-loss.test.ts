/**
 * What is done to a host while its containers run: to the daemon, and to an engine with
 * live-restore (without: restarts.test.ts). Pings every 5 ms, a TCP stream and lookups go on all
 * the while, both ways; what is missing is measured. One table; LONG_RUN=1 adds to it and goes
 * through it five times, OLDER_BUNDLE names the bundle of an older version to upgrade from.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { VERSION } from "../../cli/version.ts";
import { copyProgram } from "../lib/bundle.ts";
import { echo, Flow, type FlowReport, flowText } from "../lib/flows.ts";
import { LONG, UNLESS_LONG } from "../lib/long-run.ts";
import { BUNDLE, MeshHosts } from "../lib/mesh-hosts.ts";
import { allWell } from "../lib/well.ts";

/** `kept` has an engine with live-restore; `far` and `bare` are left alone. */
const HOSTS = ["far", "kept", "bare"] as const;
const ROUNDS = LONG ? 5 : 1;
/** A stream that lost nothing waits for the machine at most; a lost segment costs 200 ms more. */
const STREAM_GAP_MS = 1000;
/** On a host without a daemon only its own names are known: as long as a start takes under load. */
const DOWN_MS = 15_000;

const builds = mkdtempSync(join(tmpdir(), "tsweave-builds-"));
const OTHER = process.env.OLDER_BUNDLE ?? join(builds, "tsweave.js");
let mesh: MeshHosts;

interface Row {
  readonly what: string;
  readonly act: () => Promise<void>;
  readonly skip?: string | false;
  /** For how long names of this host may be missing on another, and all names on this host. */
  readonly nameGapMs: { readonly elsewhere: number; readonly here: number };
}

async function launchWith(bundle: string, host: string): Promise<void> {
  const argv = [process.execPath, bundle, "launch", ...mesh.addresses(host)];
  await mesh.ok(host, argv, 60_000);
}

async function stop(host: string): Promise<void> {
  const { code, stderr } = await mesh.cli(host, "stop");
  assert.equal(code, 0, stderr);
}

async function replaceBuild(host: string, bundle: string): Promise<void> {
  await stop(host);
  await launchWith(bundle, host);
}

async function killDaemon(host: string): Promise<void> {
  await mesh.ok(host, ["kill", "-9", String(await mesh.daemonPid(host))]);
}

async function restartEngine(host: string, how: "stop" | "kill"): Promise<void> {
  const engine = mesh.lab.host(host);
  if (how === "stop") await engine.stopEngine();
  else await engine.killEngine();
  await engine.startEngine();
}

const runningVersion = async (host: string) =>
  (await mesh.json<{ version: string }>(host, "status")).version;

/** Nothing that runs may notice, but for names while nobody is there to answer. */
const ROWS: readonly Row[] = [
  {
    what: "tsweave stop and launch",
    act: () => replaceBuild("kept", BUNDLE),
    nameGapMs: { elsewhere: 1000, here: DOWN_MS },
  },
  {
    what: "kill -9 of the daemon and launch",
    act: async () => {
      await killDaemon("kept");
      await launchWith(BUNDLE, "kept");
    },
    nameGapMs: { elsewhere: 1000, here: DOWN_MS },
  },
  {
    what: "an upgrade to another build, and back",
    act: async () => {
      await replaceBuild("kept", OTHER);
      assert.notEqual(await runningVersion("kept"), VERSION);
      await replaceBuild("kept", BUNDLE);
      assert.equal(await runningVersion("kept"), VERSION);
    },
    nameGapMs: { elsewhere: 1000, here: DOWN_MS },
  },
  {
    what: "kill -9 of the daemon, another build launched in its place",
    skip: UNLESS_LONG,
    act: async () => {
      await killDaemon("kept");
      await launchWith(OTHER, "kept");
      await killDaemon("kept");
      await launchWith(BUNDLE, "kept");
    },
    nameGapMs: { elsewhere: 1000, here: DOWN_MS },
  },
  {
    what: "a restart of the engine with live-restore",
    act: () => restartEngine("kept", "stop"),
    nameGapMs: { elsewhere: 1000, here: 1000 },
  },
  {
    what: "kill -9 of the engine with live-restore",
    act: () => restartEngine("kept", "kill"),
    nameGapMs: { elsewhere: 1000, here: 1000 },
  },
];

describe("while containers run", () => {
  before(async () => {
    const dockerdArgs = { kept: ["--live-restore"] };
    otherBuild();
    mesh = await MeshHosts.hostsOnly("zero", { hosts: HOSTS, dockerdArgs });
    await Promise.all(HOSTS.map((host) => mesh.launch(host, mesh.addresses(host))));
    for (const host of HOSTS) await echo(mesh, { host, container: `on-${host}` });
  });
  after(async () => {
    rmSync(builds, { recursive: true, force: true });
    await mesh?.lab.down();
  });

  for (let round = 1; round <= ROUNDS; round += 1) {
    for (const row of ROWS) {
      const name = `${row.what}: no packet is lost${ROUNDS > 1 ? `, round ${round}` : ""}`;
      it(name, { skip: row.skip ?? false }, async (t) => {
        const ip = await mesh.ip("kept", "on-kept");
        const [elsewhere, here] = await watched(["far", "kept"], row.act);
        t.diagnostic(`from far: ${flowText(elsewhere)}`);
        t.diagnostic(`from kept: ${flowText(here)}`);
        unbroken(elsewhere, row.nameGapMs.elsewhere);
        unbroken(here, row.nameGapMs.here);
        assert.equal(await mesh.ip("kept", "on-kept"), ip);
        await allWell(mesh, HOSTS);
      });
    }
  }
});

/** Both ways between two hosts, until it is done and a moment more. */
async function watched(
  [first, second]: readonly [string, string],
  act: () => Promise<void>,
): Promise<[FlowReport, FlowReport]> {
  const at = (host: string) => ({ host, container: `on-${host}` });
  const flows = [await Flow.start(mesh, at(first), at(second))];
  try {
    flows.push(await Flow.start(mesh, at(second), at(first)));
    await act();
    await new Promise((resolve) => setTimeout(resolve, 700));
    const [there, back] = await Promise.all(flows.map((flow) => flow.stop()));
    assert.ok(there !== undefined && back !== undefined);
    return [there, back];
  } finally {
    for (const flow of flows) await flow.end();
  }
}

function unbroken({ pings, stream, names }: FlowReport, nameGapMs: number): void {
  assert.equal(pings.lost, 0, `${pings.lost} of ${pings.sent} pings lost`);
  assert.equal(stream.error, null);
  assert.ok(stream.longestGapMs < STREAM_GAP_MS, `the stream waited ${stream.longestGapMs} ms`);
  assert.equal(names.wrong, 0);
  assert.ok(names.longestGapMs <= nameGapMs, `the name was missing ${names.longestGapMs} ms`);
}

/** Another build: an older one where it is named, else this one with another version. */
function otherBuild(): void {
  if (process.env.OLDER_BUNDLE !== undefined) return;
  copyProgram(BUNDLE, builds, (text) => {
    const other = text.replace(new RegExp(`\\bVERSION ?= ?"${VERSION}"`), 'VERSION = "0.0.9"');
    assert.notEqual(other, text, "the bundle tells its version otherwise than was thought");
    return other;
  });
}
