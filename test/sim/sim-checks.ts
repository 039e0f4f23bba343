/**
 * What must hold in a simulated mesh: at each step, and once everything is healed.
 *
 * Law: truth is what runs on the hosts, never what a daemon believes.
 */
import { isDeepStrictEqual } from "node:util";
import { encodeWire, LIMITS, TABLES, type WireValue } from "../../mesh/index.ts";
import { rowKey, type SimPeer } from "./sim-peer.ts";
import { lawful, Violation } from "./sim-violation.ts";
import type { SimWorld } from "./sim-world.ts";

/** What a seal adds to a datagram. */
const SEAL_BYTES = 35;
/** Timers that one process has armed, whatever the size of the mesh; and for each other peer. */
const TIMERS_MAX = { own: 64, each: 16 };

/**
 * After everything is healed and running, all must agree within this. The native engine's longest
 * suspicion, of a host that lost its disk just before, takes 15 s.
 */
export function convergeMs(world: SimWorld): number {
  return world.judged ? 6000 : 20_000;
}

/** At each step. */
export function checkStep(world: SimWorld): void {
  if (world.failure !== undefined) throw world.failure.violation;
  checkAddresses(world);
  for (const { peer } of world.hosts) if (peer?.ready === true) checkPeer(world, peer);
  const { largestDatagram, largestFrame } = world.network;
  const room = LIMITS.datagramBytesMax - SEAL_BYTES;
  lawful(largestDatagram <= room, "packets", `a datagram of ${largestDatagram} bytes`);
  lawful(largestFrame <= LIMITS.streamFrameBytesMax, "packets", `a frame of ${largestFrame} bytes`);
  const refused = world.lines.lines.find(
    ({ level, message }) => level === "error" || message === "refused a tables message",
  );
  lawful(refused === undefined, "refused", `a peer logged ${JSON.stringify(refused)}`);
}

function checkAddresses(world: SimWorld): void {
  const users = new Map<string, string>();
  const leases = new Map<string, string>();
  for (const { name, running, peer } of world.hosts) {
    for (const ip of running.keys()) {
      lawful(!users.has(ip), "address", `${ip} runs at ${name} and at ${users.get(ip)}`);
      users.set(ip, name);
    }
    for (const { ip } of peer?.ready === true ? peer.ipalloc.leases() : []) {
      lawful(!leases.has(ip), "address", `${ip} leased at ${name} and at ${leases.get(ip)}`);
      leases.set(ip, name);
    }
  }
}

function checkPeer(world: SimWorld, peer: SimPeer): void {
  peer.assertTold();
  const { name } = peer.meta;
  const peers = world.hosts.length;
  const lives = peer.membership.members().length;
  const rows = TABLES.reduce((sum, table) => sum + peer.node.tables.rows(table).length, 0);
  const rowsMax = LIMITS.rowsPerOriginMax * Math.max(peers, lives);
  lawful(rows <= rowsMax, "bounds", `${name} holds ${rows} rows`, [name]);
  lawful(lives <= LIMITS.peersMax, "bounds", `${name} knows ${lives} peers`, [name]);
  const timersMax = TIMERS_MAX.own + TIMERS_MAX.each * peers;
  const { armed } = peer.clock;
  lawful(armed <= timersMax, "bounds", `${name} has ${armed} timers armed`, [name]);
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
    const { name } = peer.meta;
    const isEqual = Buffer.compare(image(peer), expected) === 0;
    lawful(isEqual, "equal", `${name} and ${first.meta.name} differ`, [name, first.meta.name]);
    for (const host of world.hosts) {
      const names = new Map([...host.names].map(([key, value]) => [key, String(value)]));
      checkRows(peer, host.peer, "endpoints", host.running);
      checkRows(peer, host.peer, "names", names);
    }
    const here = new Set(peers.map(({ meta }) => meta.id));
    for (const origin of new Set(peer.node.tables.rows("endpoints").map((row) => row.origin))) {
      const counts = peer.presence.namesCount(origin);
      lawful(counts === here.has(origin), "truth", `names of ${origin} at ${name}: ${counts}`);
    }
  }
}

function image(peer: SimPeer): Uint8Array {
  const rows = TABLES.flatMap((table) => peer.node.tables.rows(table));
  const items = rows.map((row): [string, WireValue] => [rowKey(row), row.value]);
  return encodeWire(items.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** What `peer` holds of what `origin` wrote is what runs there. */
function checkRows(
  peer: SimPeer,
  origin: SimPeer | undefined,
  table: "endpoints" | "names",
  runs: ReadonlyMap<string, string>,
): void {
  const rows = peer.node.tables.rows(table).filter((row) => row.origin === origin?.meta.id);
  const held = rows
    .map(({ key, value }) => [key, String((value as unknown[])[table === "names" ? 0 : 1])])
    .sort();
  const hosts = [peer.meta.name, origin?.meta.name ?? "nobody"];
  if (isDeepStrictEqual(held, [...runs].sort())) return;
  const [is, should] = [JSON.stringify(held), JSON.stringify([...runs].sort())];
  throw new Violation(
    "truth",
    `${table} of ${hosts[1]} at ${hosts[0]}: ${is} not ${should}`,
    hosts,
  );
}
