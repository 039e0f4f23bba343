/**
 * Every network of the mesh, as `status networks` and `network ls` tell it.
 *
 * Law: what the mesh's records have is listed on every host, whether or not this host could make
 * it, with the reason where it could not. A pure read of memory.
 */
import type { PeerId } from "../../mesh/index.ts";
import {
  type CharterBook,
  losersOf,
  type NetworkNote,
  type NetworkPlan,
  networkLabel,
  wantedOf,
} from "../../overlay/index.ts";
import type { NetworkRow } from "../control/api.ts";
import type { DockerSide } from "./docker.ts";
import { replacedIds } from "./heirs.ts";
import type { OpenMesh } from "./mesh.ts";
import type { SharedRows } from "./shared-rows.ts";
import type { Underlay } from "./underlay.ts";
import { mtuReason } from "./underlay-problems.ts";

export interface NetworkRowsPorts {
  readonly mesh: Pick<OpenMesh, "node" | "self">;
  readonly rows: SharedRows;
  readonly charters: CharterBook;
  /** What the mesh gives a network that no host has made yet. */
  readonly plan: NetworkPlan;
  readonly docker: Pick<DockerSide, "docker" | "maker"> | undefined;
  readonly underlay: Pick<Underlay, "least">;
}

/** The network that launch makes on every host. */
export interface DefaultNetwork {
  readonly network: string;
  readonly ipallocRange: string;
}

/** A network, and what the tables or, where nobody has made it, the plan say of it. */
interface Known {
  readonly name: string;
  readonly subnet: string;
  readonly vni: number;
  readonly mtuBytes: number;
  readonly internal: boolean;
  readonly origins: readonly PeerId[];
}

/**
 * Every network that some host has or that the mesh's records name, by name and subnet; first those
 * that some host has.
 */
export function networkRows(ports: NetworkRowsPorts, options: DefaultNetwork): NetworkRow[] {
  const { rows, docker, mesh } = ports;
  const notes = docker?.maker.notes() ?? [];
  const nameOf = peerNaming(mesh);
  const members = mesh.node.membership.members();
  const least = ports.underlay.least();
  return knownNetworks(ports, options).map((known) => {
    const { name, subnet, vni, mtuBytes: mtu, internal, origins } = known;
    const present = origins.filter((origin) => rows.presence.entriesCount(origin));
    const own = notes.filter((note) => note.network === name && note.subnet === subnet);
    const conflicts = name === options.network ? [] : conflictsOf(ports.charters, name, subnet);
    const here = origins.includes(mesh.self);
    return {
      name,
      vni,
      subnet,
      mtu,
      mtuReason: mtuReason(mtu, least, members),
      internal,
      endpoints: rows.countOn(name, subnet),
      local: rows.countOn(name, subnet, mesh.self),
      here,
      why: here ? null : whyNotHere(ports, options, known, own, conflicts),
      present: present.map(nameOf).sort(),
      conflicts: [...conflicts, ...own.map(({ text }) => text)],
    };
  });
}

function knownNetworks(ports: NetworkRowsPorts, options: DefaultNetwork): Known[] {
  const { charters } = ports;
  const made = madeNetworks(ports);
  const labels = new Set(made.map(({ name, subnet }) => networkLabel(name, subnet)));
  const planned: Known[] = [];
  const plan = (name: string, subnet: string, internal: boolean, underlayMtuBytes: number) => {
    const place = ports.plan.place({ name, subnet, underlayMtuBytes });
    planned.push({ name, subnet, internal, ...place, origins: [] });
  };
  if (made.every(({ name }) => name !== options.network)) {
    plan(options.network, options.ipallocRange, false, 0);
  }
  for (const [name, charter] of [...charters.charters()].sort(byName)) {
    const spec = wantedOf(charter);
    if (spec === undefined || name === options.network) continue;
    if (labels.has(networkLabel(name, spec.subnet))) continue;
    plan(name, spec.subnet, spec.internal, spec.underlayMtuBytes);
  }
  return [...made, ...planned];
}

/** Networks that some host has; what a replaced host had its heir will tell. */
function madeNetworks({ rows, mesh }: Pick<NetworkRowsPorts, "rows" | "mesh">): Known[] {
  const former = replacedIds(mesh.node.membership.members());
  return rows.networkList().flatMap(({ name, row, origins }) => {
    const here = origins.filter((origin) => !former.has(origin));
    return here.length === 0 ? [] : [{ name, ...row, origins: here }];
  });
}

/** In a few words; what a note or a conflict says already is said with the same words. */
function whyNotHere(
  { rows, charters, docker, mesh }: NetworkRowsPorts,
  options: DefaultNetwork,
  { name, subnet }: Known,
  [note]: readonly NetworkNote[],
  [conflict]: readonly string[],
): string {
  if (note !== undefined) return note.text;
  const own = rows.networks.get(mesh.self, name)?.subnet;
  if (own !== undefined) return `this host's ${name} has ${own}`;
  const wanted = wantedOf(charters.charter(name));
  if (conflict !== undefined && wanted?.subnet !== subnet) return conflict;
  if (name !== options.network && wanted === undefined) return "its host does not share it";
  if (docker === undefined) return "no Docker, and nothing is attached to it here";
  if (!docker.docker.status().connected) return "Docker does not answer";
  return "not made yet; see 'tsweave status'";
}

/** What is not as it should be with a network other than the default one, on any host. */
function conflictsOf(charters: CharterBook, name: string, subnet: string): string[] {
  const charter = charters.charter(name);
  const wanted = wantedOf(charter)?.subnet;
  if (wanted === subnet) return losersOf(charter).map((other) => `also made with ${other}`);
  if (losersOf(charter).includes(subnet)) return [`the mesh's has ${wanted}`];
  return charter.gone.includes(subnet) ? ["removed from the mesh"] : [];
}

/** Names of peers, the beginning of the id where a name is not known. */
export function peerNaming({ node }: Pick<OpenMesh, "node">): (origin: PeerId) => string {
  const names = new Map(node.membership.members().map(({ id, name }) => [id, name]));
  return (origin) => names.get(origin) ?? origin.slice(0, 8);
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}
