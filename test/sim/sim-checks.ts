/**
 * What must hold in a simulated mesh: at each step, and once everything is healed.
 *
 * Law: truth is what runs on the hosts, never what a daemon believes.
 */
import assert from "node:assert/strict";
import { LIMITS, TABLES } from "../../mesh/index.ts";
import { rowKey, type SimPeer } from "./sim-peer.ts";
import type { SimWorld } from "./sim-world.ts";

/**
 * After everything is healed and running, all must agree within this. The native engine's longest
 * suspicion, of a host that lost its disk just before, takes 15 s.
 */
export function convergeMs(world: SimWorld): number {
  return world.native ? 20_000 : 6000;
}

/** At each step. */
export function checkStep(world: SimWorld): void {
  if (world.failure !== undefined) throw world.failure;
  const users = new Map<string, string>();
  for (const { name, running, peer } of world.hosts) {
    for (const ip of running.keys()) {
      assert.equal(users.get(ip), undefined, `${ip} runs at ${name} too`);
      users.set(ip, name);
    }
    if (peer?.ready !== true) continue;
    peer.assertTold();
    const rows = TABLES.reduce((sum, table) => sum + peer.node.tables.rows(table).length, 0);
    assert.ok(rows <= LIMITS.rowsPerOriginMax * world.hosts.length, "more rows than may be");
  }
  const leases = new Map<string, string>();
  for (const { name, peer } of world.hosts) {
    for (const { ip } of peer?.ready === true ? peer.ipalloc.leases() : []) {
      assert.equal(leases.get(ip), undefined, `${ip} leased at ${name} and ${leases.get(ip)}`);
      leases.set(ip, name);
    }
  }
  const refused = world.lines.lines.find(
    ({ level, message }) => level === "error" || message === "dropped a tables message",
  );
  assert.equal(refused, undefined, `a peer logged ${JSON.stringify(refused)}`);
}

/** Why the mesh has not settled yet, undefined when it has. */
export function unsettled(world: SimWorld): string | undefined {
  const peers = world.hosts.flatMap(({ peer }) => (peer?.ready === true ? [peer] : []));
  if (peers.length < world.hosts.length) return "not every daemon runs";
  const digests = new Set(peers.map(({ node }) => node.tables.digest()));
  if (digests.size > 1) return `${digests.size} digests among ${peers.length} peers`;
  for (const peer of peers) {
    const states = peer.membership.members().map(({ state }) => state);
    const alive = states.filter((state) => state === "alive").length;
    if (alive !== peers.length) return `${peer.meta.name} sees ${alive} of ${peers.length} alive`;
    if (states.includes("suspect")) return `${peer.meta.name} has a suspicion`;
  }
  return undefined;
}

/** Once settled: equal digests mean equal rows, and rows say what runs. */
export function checkSettled(world: SimWorld): void {
  const peers = world.hosts.flatMap(({ peer }) => (peer === undefined ? [] : [peer]));
  const [first] = peers;
  if (first === undefined) return;
  const expected = image(first);
  for (const peer of peers) {
    assert.deepEqual(image(peer), expected, `${peer.meta.name} and ${first.meta.name} differ`);
    for (const host of world.hosts) {
      assert.deepEqual(rowsOf(peer, host.peer, "endpoints"), truth(host.running), host.name);
      const names = new Map([...host.names].map(([key, value]) => [key, String(value)]));
      assert.deepEqual(rowsOf(peer, host.peer, "names"), truth(names), `names of ${host.name}`);
    }
    const here = new Set(peers.map(({ meta }) => meta.id));
    for (const origin of new Set(peer.node.tables.rows("endpoints").map((row) => row.origin))) {
      const counts = peer.presence.namesCount(origin);
      assert.equal(counts, here.has(origin), `names of ${origin} at ${peer.meta.name}`);
    }
  }
}

function image(peer: SimPeer): string[] {
  const rows = TABLES.flatMap((table) => peer.node.tables.rows(table));
  return rows.map((row) => `${rowKey(row)} ${JSON.stringify(row.value)}`).sort();
}

function rowsOf(peer: SimPeer, origin: SimPeer | undefined, table: "endpoints" | "names") {
  const rows = peer.node.tables.rows(table).filter((row) => row.origin === origin?.meta.id);
  return rows
    .map(({ key, value }) => [key, String((value as unknown[])[table === "names" ? 0 : 1])])
    .sort();
}

function truth(rows: ReadonlyMap<string, string>): string[][] {
  return [...rows].map(([key, value]) => [key, value]).sort();
}
