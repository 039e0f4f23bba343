/**
 * What this engine's networks should be, from what the mesh has decided and what the engine lists.
 * Pure.
 *
 * Laws: a network is removed only when its removal is known, by name and subnet, and nobody here
 * uses it; one that a user has just made is made known; everything else that differs is said, with
 * the command that helps, and left as it is.
 */
import { asTsweaveError } from "../../mesh/index.ts";
import type { DockerNetwork } from "../docker/ports.ts";
import type { Charter, NetworkSpec } from "./charter.ts";
import { differences, losersOf, specOf, subnetOf, wantedOf } from "./spec.ts";
import { namedNetworks } from "./twins.ts";

export interface Situation {
  readonly charters: ReadonlyMap<string, Charter>;
  /** Every network of the engine. */
  readonly listed: readonly DockerNetwork[];
  /** The driver whose networks are ours. */
  readonly driver: string;
  /** The network that every daemon makes for itself. */
  readonly defaultName: string;
  /** Whether a user made it just now, with no charter for it yet. */
  readonly isUserMade: (network: DockerNetwork) => boolean;
  /** Whether this daemon asked the engine for it. */
  readonly isOwn: (network: DockerNetwork) => boolean;
  /** Whether the engine made it and has not told of its removal, or is making it. */
  readonly isHeld: (name: string, subnet: string) => boolean;
  /** What uses a network of this engine, by id: names for people. */
  readonly usersOf: (id: string) => readonly string[];
}

/** What a person should know of one network, and the command that helps. */
export interface NetworkNote {
  readonly code:
    | "NETWORK_CONFLICT"
    | "NETWORK_DIFFERS"
    | "NETWORK_KEPT"
    | "NETWORK_LOCAL"
    | "NETWORK_NOT_MADE";
  readonly network: string;
  readonly subnet: string;
  readonly text: string;
  readonly next: string;
}

export interface Decision {
  readonly create: readonly { readonly name: string; readonly spec: NetworkSpec }[];
  readonly remove: readonly { readonly name: string; readonly id: string }[];
  /** Networks that a user made here, to be made known. */
  readonly found: readonly {
    readonly name: string;
    readonly id: string;
    readonly spec: NetworkSpec;
  }[];
  readonly notes: readonly NetworkNote[];
  /** Networks that the engine does not list and may be removing: to be looked at again soon. */
  readonly vanished: number;
}

interface Work {
  readonly create: { name: string; spec: NetworkSpec }[];
  readonly remove: { name: string; id: string }[];
  readonly found: { name: string; id: string; spec: NetworkSpec }[];
  readonly notes: NetworkNote[];
  vanished: number;
}

/** The next steps for this engine; none when all is as the mesh has it. */
export function decide(situation: Situation): Decision {
  const { charters, defaultName } = situation;
  const work: Work = { create: [], remove: [], found: [], notes: [], vanished: 0 };
  const { byName, spare } = namedNetworks(situation);
  for (const { network, kept, isFree } of spare) {
    if (!isOurs(network, situation) || !isOurs(kept, situation)) continue;
    if (isFree) work.remove.push({ name: network.name, id: network.id });
    else work.notes.push(isTwin(network, kept));
  }
  for (const network of byName.values()) {
    if (!isOurs(network, situation) || network.name === defaultName) continue;
    try {
      judge(network, situation, work);
    } catch (error) {
      work.notes.push(isOdd(network, error));
    }
  }
  for (const [name, charter] of charters) {
    const spec = wantedOf(charter);
    if (spec === undefined || name === defaultName) continue;
    const holder = byName.get(name);
    // An engine hides a network before it tells that it is removed, and until it is made whole: no
    // reason to make it again.
    if (holder === undefined && situation.isHeld(name, spec.subnet)) work.vanished += 1;
    else if (holder === undefined) work.create.push({ name, spec });
    else if (!isOurs(holder, situation)) work.notes.push(nameTaken(name, spec, holder.driver));
  }
  return work;
}

function isOurs(network: DockerNetwork, { driver }: Situation): boolean {
  return network.driver === driver && network.ipamDriver === driver && network.subnets.length > 0;
}

function judge(network: DockerNetwork, situation: Situation, work: Work): void {
  const { id, name } = network;
  const subnet = subnetOf(network);
  const charter = situation.charters.get(name);
  const wanted = wantedOf(charter);
  if (wanted?.subnet === subnet) {
    compare(network, wanted, situation, work);
    return;
  }
  if (losersOf(charter).includes(subnet)) {
    if (wanted !== undefined) work.notes.push(loses(network, wanted, situation));
    return;
  }
  if (situation.isUserMade(network)) {
    work.found.push({ name, id, spec: specOf(network) });
    return;
  }
  if (charter?.gone.includes(subnet) !== true) {
    work.notes.push(isLocal(network, subnet, wanted));
    return;
  }
  const users = situation.usersOf(id);
  if (users.length === 0) work.remove.push({ name, id });
  else work.notes.push(isKept(network, subnet, users));
}

/** What cannot be read or told to others stays on this host. */
function isOdd(network: DockerNetwork, error: unknown): NetworkNote {
  const { message: text, hint: next = "" } = asTsweaveError(error);
  const [subnet = ""] = network.subnets;
  return { code: "NETWORK_LOCAL", network: network.name, subnet, text, next };
}

/**
 * Docker cannot change a network, and containers that are stopped would not find one that was made
 * anew: that is left to people.
 */
function compare(
  network: DockerNetwork,
  wanted: NetworkSpec,
  situation: Situation,
  work: Work,
): void {
  const { id, name } = network;
  const differing = differences(specOf(network), wanted);
  if (differing.length === 0) return;
  const users = situation.usersOf(id);
  const end = users.length === 0 ? "" : `end ${listed(users)}, then `;
  work.notes.push({
    code: "NETWORK_DIFFERS",
    network: name,
    subnet: wanted.subnet,
    text: `network ${name} has other options here than in the mesh: ${differing.join(", ")}`,
    next: `on this host: ${end}docker network rm ${name}; it is then made anew`,
  });
}

function loses(network: DockerNetwork, wanted: NetworkSpec, situation: Situation): NetworkNote {
  const { id, name } = network;
  const users = situation.usersOf(id);
  const kept = users.length === 0 ? "" : `; ${listed(users)} keep it`;
  const end = users.length === 0 ? "" : `end ${listed(users)}, then `;
  return {
    code: "NETWORK_CONFLICT",
    network: name,
    subnet: subnetOf(network),
    text: `network ${name} has ${subnetOf(network)} here and ${wanted.subnet} in the mesh${kept}`,
    next: `on this host: ${end}docker network rm ${name}; the mesh's is then made here`,
  };
}

function isKept({ name }: DockerNetwork, subnet: string, users: readonly string[]): NetworkNote {
  return {
    code: "NETWORK_KEPT",
    network: name,
    subnet,
    text: `network ${name} was removed from the mesh, but ${listed(users)} here use it`,
    next: `end them, then it goes; or keep it: tsweave network create ${name} --subnet ${subnet}`,
  };
}

function isLocal(
  { name }: DockerNetwork,
  subnet: string,
  wanted: NetworkSpec | undefined,
): NetworkNote {
  const text = `network ${name} (${subnet}) is on this host's engine only`;
  if (wanted === undefined) {
    const share = `tsweave network create ${name} --subnet ${subnet}`;
    const next = `share it: ${share}, or docker network rm ${name}`;
    return { code: "NETWORK_LOCAL", network: name, subnet, text, next };
  }
  return {
    code: "NETWORK_CONFLICT",
    network: name,
    subnet,
    text: `${text}; the mesh's has ${wanted.subnet}`,
    next: `docker network rm ${name} on this host; the mesh's is then made here`,
  };
}

function isTwin(network: DockerNetwork, kept: DockerNetwork): NetworkNote {
  const { name, id } = network;
  return {
    code: "NETWORK_CONFLICT",
    network: name,
    subnet: subnetOf(network),
    text: `Docker has networks ${kept.id.slice(0, 12)} and ${id.slice(0, 12)}, both named ${name}`,
    next: `on this host: docker network rm ${id.slice(0, 12)}`,
  };
}

function nameTaken(name: string, { subnet }: NetworkSpec, driver: string): NetworkNote {
  return {
    code: "NETWORK_NOT_MADE",
    network: name,
    subnet,
    text: `network ${name} is missing here: another network (${driver}) has its name`,
    next: `docker network rm ${name} on this host`,
  };
}

/** The first few of many. */
function listed(users: readonly string[]): string {
  const more = users.length - 3;
  return users.slice(0, 3).join(", ") + (more > 0 ? ` and ${more} more` : "");
}
