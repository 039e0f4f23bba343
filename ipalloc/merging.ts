/**
 * The command that gives a mesh up, as an operator sees it: what will happen, and how far it is.
 *
 * Law: nothing is given up whose addresses could not be kept: the pools must be the same on both
 * sides, and the mesh that adopts must not be given up itself.
 */
import { type Member, type PeerId, TIMES, TsweaveError } from "../mesh/index.ts";
import { overlaps } from "./cidr.ts";
import type { AdoptionPlan, AdoptionResult } from "./departures.ts";
import type { FounderPorts } from "./founder.ts";
import type { Founding } from "./founding.ts";
import { foundingsShown, surrendersShown } from "./founding-rows.ts";
import type { Life } from "./life.ts";
import { inReach, isLive } from "./reach.ts";
import { nameIn } from "./roster-status.ts";
import { readRangesRow, tryRead } from "./rows.ts";

/** How often a waiting command looks again. */
const LOOK_AGAIN_MS = 100;

export interface MergingPorts extends FounderPorts {
  readonly self: PeerId;
  /** The present life: another one once this host has gone. */
  readonly life: () => Life;
}

/** What giving this host's mesh up to that of `peer` means. @throws as IpAlloc.planAdoption. */
export function planAdoption(ports: MergingPorts, peer: PeerId): AdoptionPlan {
  const into = adopterOf(ports, peer);
  refuseOtherPools(ports, into);
  const { founding, roster, pools } = ports.life().ledger.state;
  const seen = ports.members();
  const live = inReach(seen);
  const name = (id: PeerId) => nameIn(seen, id, founding);
  const peers = (roster?.members ?? []).map((one) => one.peer);
  const ofMesh = new Set([ports.self, ...peers]);
  let addresses = 0;
  for (const pool of pools.values()) {
    addresses += pool.leases.count;
    for (const [, runner] of pool.running()) {
      if (runner !== ports.self && ofMesh.has(runner)) addresses++;
    }
  }
  return {
    mesh: founding?.meshId ?? "",
    into: into.meshId,
    adopters: ofMeshInReach(ports, into.meshId).map((one) => one.name),
    peers: [...ofMesh].filter((id) => live.has(id)).map(name),
    absent: [...ofMesh].filter((id) => !live.has(id)).map(name),
    addresses,
  };
}

/** Gives the mesh up and waits for what is in reach to follow. @throws as IpAlloc.planAdoption. */
export async function giveUp(
  ports: MergingPorts,
  peer: PeerId,
  deadlineMs: number,
): Promise<AdoptionResult> {
  const plan = planAdoption(ports, peer);
  const into = adopterOf(ports, peer);
  const { roster } = ports.life().ledger.state;
  const peers = [ports.self, ...(roster?.members ?? []).map((one) => one.peer)];
  await ports.life().adoption.giveUp(into);
  const endMs = ports.clock.nowMs() + deadlineMs;
  let rest = staying(ports, peers, into.meshId);
  while (rest.length > 0 && ports.clock.nowMs() < endMs) {
    await new Promise<void>((resolve) => {
      ports.clock.timer("ipalloc-adoption-wait", LOOK_AGAIN_MS, resolve);
    });
    rest = staying(ports, peers, into.meshId);
  }
  const { adoption } = ports.life();
  const why = adoption.outcome === undefined ? "" : ` (${adoption.outcome})`;
  const text =
    rest.length === 0
      ? `${plan.peers.join(", ")} belong to mesh ${into.meshId} now`
      : `${rest.join(", ")} will go to mesh ${into.meshId} when it has admitted them${why}`;
  return { ...plan, state: rest.length === 0 ? "done" : "pending", waitingFor: rest, text };
}

/** Names of those in reach that do not show the mesh yet. */
function staying(ports: MergingPorts, peers: readonly PeerId[], meshId: string): string[] {
  const seen = ports.members();
  const live = inReach(seen);
  const there = new Set(ofMesh(ports, meshId));
  if (ports.life().ledger.state.founding?.meshId === meshId) there.add(ports.self);
  const rest = [...new Set(peers)].filter((peer) => live.has(peer) && !there.has(peer));
  return rest.map((peer) => nameIn(seen, peer));
}

/** The founding of the mesh that is to adopt this host's. */
function adopterOf(ports: MergingPorts, peer: PeerId): Founding {
  const { founding: own } = ports.life().ledger.state;
  const name = nameIn(ports.members(), peer);
  const member = ports.members().find(({ id }) => id === peer);
  if (member === undefined || !isLive(member.state)) {
    throw new TsweaveError("PEER_UNREACHABLE", `${name} cannot be reached`, {
      hint: "name a live peer of the mesh that is to adopt this one; see 'tsweave status peers'",
    });
  }
  const hint = "see 'tsweave status ipam' there and here";
  if (own === undefined) {
    throw new TsweaveError("NOT_FOUNDED", "this peer belongs to no mesh that could be adopted", {
      hint: "it joins the first mesh that it meets by itself",
    });
  }
  const shown = foundingsShown(ports, ports.self).find(({ origin }) => origin === peer);
  if (member.self || shown?.founding.meshId === own.meshId) {
    throw new TsweaveError("BAD_REQUEST", `${name} belongs to the same mesh ${own.meshId}`, {
      hint: "name a peer of the mesh that is to adopt this one; see 'tsweave status'",
    });
  }
  if (shown === undefined) {
    throw new TsweaveError("NOT_FOUNDED", `${name} belongs to no mesh yet`, { hint });
  }
  const words = surrendersShown(ports);
  const onward = words.find(({ mesh }) => mesh === shown.founding.meshId)?.into;
  if (onward === undefined) return shown.founding;
  throw new TsweaveError(
    "BAD_REQUEST",
    `the mesh of ${name} is itself given up, to mesh ${onward.meshId}`,
    { hint: `wait until ${name} belongs to that mesh, then retry` },
  );
}

/** A lease can only go along into a pool of the same subnet. */
function refuseOtherPools(ports: MergingPorts, { meshId }: Founding): void {
  const open = [...ports.life().ledger.state.pools.values()].filter((pool) => pool.open);
  for (const row of ports.tables.rows("ranges")) {
    const read = tryRead(row, ports.log, readRangesRow);
    if (read === undefined || read.meshId !== meshId) continue;
    const other = open.find(
      ({ cidr }) => cidr.text !== read.cidr.text && overlaps(cidr, read.cidr),
    );
    if (other === undefined) continue;
    throw new TsweaveError(
      "POOL_CONFLICT",
      `the subnet ${other.cidr.text} here overlaps ${read.cidr.text} of that mesh`,
      { hint: "remove the network of one of them; both sides must use the same subnets" },
    );
  }
}

function ofMesh(ports: MergingPorts, meshId: string): PeerId[] {
  return foundingsShown(ports, ports.self)
    .filter(({ founding }) => founding.meshId === meshId)
    .map(({ origin }) => origin);
}

function ofMeshInReach(ports: MergingPorts, meshId: string): readonly Member[] {
  const there = new Set(ofMesh(ports, meshId));
  return ports.members().filter(({ id, state }) => there.has(id) && isLive(state));
}

/** The deadline that a command without another waits. */
export const ADOPTION_DEADLINE_MS = 2 * TIMES.departureDeadlineMs;
