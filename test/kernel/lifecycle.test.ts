/**
 * The life of hosts in one mesh, played for real at the default places: launch, stop, adopt, leave
 * and reset, as a person types them. What people read is held against a stored text, what programs
 * read against its schema, and the exit code; after a reset nothing is left.
 *
 * Hosts of the lab, without engines: `reset` removes all of tsweave on a host, so each host has
 * mounts of its own.
 */
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { AdoptionReply, Replies, Status } from "../../cli/control/api.ts";
import { VERSION } from "../../cli/version.ts";
import { freshBundle } from "../lib/bundle.ts";
import { eventually, MeshHosts } from "../lib/mesh-hosts.ts";
import { asPublished, sameTranscript, scene } from "../lib/transcripts.ts";
import type { Ran } from "../unit/cli/fixture-run.ts";

const [H1, H2, H3] = ["h1", "h2", "h3"] as const;
const AT = { [H1]: "10.200.7.1", [H2]: "10.200.7.2", [H3]: "10.200.7.3" } as const;
type HostName = keyof typeof AT;

const NOBODY = ["setpriv", "--reuid=65534", "--clear-groups", "--"];
const dir = mkdtempSync(join(tmpdir(), "tw-life-"));
const bundle = freshBundle(dir);
const deaf: Server = createServer(() => undefined);
const names: [string, string][] = [];
const written: string[] = [];
let mesh: MeshHosts;

before(async () => {
  chmodSync(dir, 0o755);
  names.push([dir, "DIR"], [VERSION, "VERSION"]);
  await new Promise<void>((resolve) => deaf.listen(join(dir, "deaf.sock"), resolve));
  mesh = await MeshHosts.hostsOnly("life", {
    ...{ hosts: [H1, H2, H3], engines: false, subnet: "10.200.7.0/24" },
  });
});

after(async () => {
  deaf.close();
  await mesh?.lab.down();
  rmSync(dir, { recursive: true, force: true });
});

async function ask(host: HostName, words: string, whose: readonly string[] = []): Promise<Ran> {
  const argv = [...whose, process.execPath, bundle, ...words.split(" ")];
  const { code, stdout: out, stderr: err } = await mesh.exec(host, argv, 90_000);
  return { code, out, err };
}

/** As a person types it: into the transcript, with the exit code that is expected. */
async function types(host: HostName, words: string, code = 0): Promise<string> {
  return told(host, words, await ask(host, words), code);
}

function told(host: string, words: string, ran: Ran, code: number): string {
  assert.equal(ran.code, code, `${host}: tsweave ${words}: ${ran.out}${ran.err}`);
  // What is waited for is said once a second has passed.
  const err = ran.err.replace(/^tsweave: .* \.\.\.\n/gm, "");
  written.push(scene(`${host}: tsweave ${words}`, { ...ran, err, out: steady(ran.out) }, names));
  return ran.out;
}

/** What differs from run to run: ids, and how much is known of others at the end of a launch. */
function steady(text: string): string {
  return text
    .replace(/(?<=\bpeer \S+ )\([0-9a-f]{8}\)/g, "(ID)")
    .replace(/^( {2}peers .* reached).*$/m, "$1 ...")
    .replace(/\bh\d(?= has its)/, "HEIR")
    .replace(/^ {2}note .*\n/gm, "")
    .replace(/\b\d+ (?=files in|addresses)/g, "N ")
    .replace(/\btsweave-[0-9a-f]{10}\b/g, "NAMESPACE");
}

/** As a script asks it, held against the schema. */
async function asksJson<T>(host: HostName, schema: string, words: string, code = 0): Promise<T> {
  const ran = await ask(host, `${words} --json`);
  told(host, `${words} --json`, asPublished(ran, schema, words), code);
  return JSON.parse(ran.out) as T;
}

async function peersOf(host: HostName): Promise<Map<string, string>> {
  const ran = await ask(host, "status peers --json");
  const { peers } = JSON.parse(ran.out) as Replies["peers"];
  return new Map(peers.map(({ name, state }) => [name, state]));
}

async function sees(host: HostName, other: HostName, state: string): Promise<void> {
  await eventually(`${host} sees ${other} ${state}`, 30_000, async () => {
    assert.equal((await peersOf(host)).get(other), state);
  });
}

/** Whatever of tsweave is on a host, a line each. */
async function leftOn(host: HostName): Promise<string> {
  const look = `ip netns list; ip -o link | grep -E 'tsw|vxlan'; nft list tables | grep tsweave
    find /var/lib/tsweave /run -mindepth 1 -path '*tsweave*' ! -path '/run/netns*'`;
  return (await mesh.exec(host, ["sh", "-c", look])).stdout;
}

test("launch is refused where it cannot be, and leaves nothing", async () => {
  told(H1, "launch", await ask(H1, "launch --no-docker", NOBODY), 1);
  await types(H1, "launch --no-such-option", 2);
  await types(H1, "launch --no-docker 10.0.0.300", 2);
  await types(H1, "launch --no-docker --ipalloc-range 10.32.0.0/33", 2);
  await types(H1, "launch", 1);
  assert.equal(await leftOn(H1), "");
});

test("launch does not wait for a Docker that may be waiting for it", async () => {
  await types(H1, `launch --docker-socket ${dir}/deaf.sock`);
  await types(H1, "stop");
  await types(H1, "reset --yes");
  assert.equal(await leftOn(H1), "");
});

test("launch says what it did; a second one is refused", async () => {
  await types(H1, "launch --no-docker");
  await types(H1, "launch --no-docker", 1);
  await types(H1, "launch --no-docker --run-dir /run/other", 1);
  await types(H2, `launch --no-docker ${AT[H1]}`);
  await types(H2, "wait --for ready,peers=2 --timeout 30s").then((out) => assert.ok(out));
});

test("stop and the next launch: the same member, whose containers were never without", async () => {
  for (const host of [H1, H2]) await mesh.ok(host, ["ip", "netns", "add", "c"]);
  await types(H2, "attach c 10.32.0.77");
  const device = async () => await mesh.ok(H2, ["ip", "-n", "c", "-o", "-4", "addr"]);
  assert.match(await device(), /10\.32\.0\.77/);
  await types(H2, "stop");
  await types(H2, "stop", 3);
  assert.match(await device(), /10\.32\.0\.77/);
  await types(H2, "launch --no-docker");
  await sees(H1, H2, "alive");
});

test("a network that no engine has is there for attachments", async () => {
  await types(H1, "network create blue");
  await types(H2, "attach c 10.72.0.9 --network blue --no-gateway");
  await eventually("it is told", 10_000, async () => {
    assert.match((await ask(H1, "network")).out, /^blue .* no: .* here +h2 /m);
  });
  await types(H1, "network rm blue", 1);
  await types(H2, "detach c --network blue");
  await eventually("nobody uses it", 10_000, async () => {
    assert.match((await ask(H1, "network")).out, /^blue .* no: .* here +- /m);
  });
  await types(H1, "network rm blue");
});

test("another mesh is given up for this one", async () => {
  await types(H3, "launch --no-docker");
  await types(H3, `connect ${AT[H1]}`);
  await eventually("they have met", 30_000, async () => {
    const { health } = JSON.parse((await ask(H3, "status --json")).out) as Status;
    assert.ok(
      health.problems.some(({ code }) => code === "MESH_CONFLICT"),
      JSON.stringify(health),
    );
  });
  const done = await asksJson<AdoptionReply>(H3, "adopt", "adopt h1 --yes");
  assert.deepEqual([done.state, done.peers], ["done", [H3]]);
  await sees(H1, H3, "alive");
});

test("leave hands over, and refuses what would be lost", async () => {
  await types(H2, "leave", 1);
  await types(H2, "detach c");
  await types(H2, "leave");
  await types(H2, "leave", 3);
  await sees(H1, H2, "left");
});

test("leave with nobody in reach needs --force, and rmpeer elsewhere", async () => {
  await mesh.lab.partition([[H3], [H1, H2]]);
  await sees(H3, H1, "dead");
  await types(H3, "leave", 1);
  await types(H3, "leave --force");
  await mesh.lab.heal();
  await sees(H1, H3, "dead");
  await asksJson(H1, "rmpeer", "rmpeer h3 --yes");
});

test("reset asks first, leaves, and leaves nothing", async () => {
  told(H2, "reset --yes", await ask(H2, "reset --yes", NOBODY), 1);
  await types(H2, `launch --no-docker ${AT[H1]}`);
  await types(H2, "attach c 10.32.0.78");
  told(H2, "reset --yes", await ask(H2, "reset --yes", NOBODY), 1);
  await types(H2, "reset", 2);
  await types(H2, "reset --keep-state --force", 2);
  await types(H2, "reset --keep-state");
  await types(H2, `launch --no-docker ${AT[H1]}`);
  await types(H2, "reset --yes", 1);
  await types(H2, "reset --yes --force");
  assert.match(await leftOn(H2), /^c( \(id: \d+\))?\n$/, "the container's own namespace only");
  await types(H2, "reset --yes");
  await sees(H1, H2, "left");
});

test("transcript of the hosts' lives", () => sameTranscript("lifecycle", written));
