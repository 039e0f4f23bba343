/**
 * The networks of the mesh for people: making one, removing one, and what is wrong with them.
 *
 * Law: a network that anybody uses is not removed by command, wherever its containers run. A
 * command ends when this host has done it, and names the hosts that have not yet.
 */
import { parseCidr } from "../../ipalloc/index.ts";
import { type Clock, type PeerId, TsweaveError } from "../../mesh/index.ts";
import {
  type CharterBook,
  freeSubnet,
  HOST_KEY,
  inUse,
  specOf as listedSpec,
  losersOf,
  type NetworkNote,
  type NetworkSpec,
  subnetOverlaps,
  underlayMtu,
  wantedOf,
} from "../../overlay/index.ts";
import type { LaunchConfig } from "../config.ts";
import type { HealthProblem } from "../control/api.ts";
import type { NetworkChange, NetworkWish, RemoveNetwork } from "../control/network-api.ts";
import type { DockerSide, NetworkUsers } from "./docker.ts";
import { replacedIds } from "./heirs.ts";
import type { OpenMesh } from "./mesh.ts";
import { peerNaming } from "./network-rows.ts";
import type { SharedRows } from "./shared-rows.ts";

export interface NetworksPorts {
  readonly mesh: Pick<OpenMesh, "node" | "self">;
  readonly rows: SharedRows;
  readonly charters: CharterBook;
  readonly docker: Pick<DockerSide, "engine" | "maker"> | undefined;
  readonly clock: Clock;
}

export type NetworksOptions = Pick<LaunchConfig, "network" | "ipallocRange"> & {
  /** IP version of the underlay. */
  readonly underlay: 4 | 6;
};

/** How long a command waits for the other hosts. */
const OTHERS_MS = 3000;
const LOOK_MS = 50;

/** What a person should know of the networks; this host's own differences first. */
export function networkProblems(ports: NetworksPorts): HealthProblem[] {
  const notes: readonly NetworkNote[] = ports.docker?.maker.notes() ?? [];
  const own = notes.map(({ code, text, next }) => ({ code, text, next }));
  const told = new Set(notes.map(({ network }) => network));
  return [...own, ...ports.rows.networkList().flatMap((one) => elsewhere(ports, told, one))];
}

/** A network on other hosts that only shares its name with the one that counts. */
function elsewhere(
  ports: NetworksPorts,
  told: ReadonlySet<string>,
  { name, row, origins }: ReturnType<SharedRows["networkList"]>[number],
): HealthProblem[] {
  const charter = ports.charters.charter(name);
  const wanted = wantedOf(charter);
  const isLoser = wanted !== undefined && losersOf(charter).includes(row.subnet);
  const here = origins.filter((origin) => ports.rows.presence.entriesCount(origin));
  if (!isLoser || told.has(name) || here.length === 0) return [];
  const hosts = here.map(peerNaming(ports.mesh)).sort();
  return [
    {
      code: "NETWORK_CONFLICT",
      text: `network ${name} has ${wanted.subnet} in the mesh and ${row.subnet} on ${hosts}`,
      next: `on ${hosts[0]}: end its containers, then docker network rm ${name}`,
    },
  ];
}

/**
 * Makes a network on this host's engine, or keeps one that the mesh does not have, and waits for
 * the others. @throws TsweaveError CONFIG, SUBNET_OVERLAP, DOCKER_REFUSED.
 */
export async function createNetwork(
  ports: NetworksPorts,
  options: NetworksOptions,
  wish: NetworkWish,
): Promise<NetworkChange> {
  const { charters, docker } = ports;
  const { name } = wish;
  refuseDefault(name, options.network, "made by launch");
  const known = wantedOf(charters.charter(name));
  if (known !== undefined) {
    throw new TsweaveError("BAD_REQUEST", `network ${name} exists with ${known.subnet}`, {
      hint: "choose another name, or see tsweave network ls",
    });
  }
  const listed = (await docker?.engine.networks()) ?? [];
  const held = listed.find((network) => network.name === name);
  const subnet = wish.subnet ?? held?.subnets[0] ?? (await chooseSubnet(ports, options, name));
  const asked = specOf(wish, parseCidr(subnet).text, options.underlay);
  const isOurs = held?.driver === "tsweave" && held.subnets.includes(asked.subnet);
  const spec = held !== undefined && isOurs ? listedSpec(held) : asked;
  if (held === undefined) await refuseOverlap(spec.subnet);
  if (docker === undefined || isOurs) await charters.found(name, spec);
  else await docker.maker.createHere(name, spec);
  await docker?.maker.flush();
  const isDone = (origin: PeerId) => rowOf(ports, origin, name)?.subnet === spec.subnet;
  const followers = await waitForOthers(ports, isDone);
  const vni = rowOf(ports, ports.mesh.self, name)?.vni ?? null;
  return { name, subnet: spec.subnet, vni, ...followers };
}

/**
 * Removes a network from the mesh, and waits for the others.
 * @throws TsweaveError NOT_FOUND, BAD_REQUEST while anybody uses it, or it is not clear which.
 */
export async function removeNetwork(
  ports: NetworksPorts,
  options: NetworksOptions,
  { name, subnet: asked }: RemoveNetwork,
): Promise<NetworkChange> {
  const { charters, docker, rows } = ports;
  refuseDefault(name, options.network, "every host's; 'tsweave leave' ends it here");
  await charters.settled();
  const subnet = meant(charters, name, asked);
  const users = usersOn(ports, name, subnet, () => true);
  if (users.length > 0) throw inUse(name, users);
  await charters.dissolve(name, subnet);
  await docker?.maker.flush();
  const isDone = (origin: PeerId) => rowOf(ports, origin, name)?.subnet !== subnet;
  const followers = await waitForOthers(ports, isDone);
  const vni = rows.networkList().find((one) => one.name === name && one.row.subnet === subnet);
  return { name, subnet, vni: vni?.row.vni ?? null, ...followers };
}

/**
 * What uses a network: `web on host2`. Endpoints of hosts that are surely gone do not count, nor of
 * a host's former self: what runs there is its heir's.
 */
function usersOn(
  ports: Pick<NetworksPorts, "rows" | "mesh">,
  name: string,
  subnet: string,
  counts: (origin: PeerId) => boolean,
): string[] {
  const { rows, mesh } = ports;
  const nameOf = peerNaming(ports.mesh);
  const former = replacedIds(mesh.node.membership.members());
  return rows
    .endpointsOn(name, subnet)
    .filter(({ origin }) => counts(origin) && !former.has(origin))
    .filter(({ origin }) => origin === mesh.self || rows.presence.entriesCount(origin))
    .map(({ origin, key }) => {
      const container = rows.names.get(origin, key)?.names[0] ?? key.slice(0, 12);
      return origin === mesh.self ? container : `${container} on ${nameOf(origin)}`;
    })
    .sort();
}

/** What uses a network of this engine, and of others. */
export function networkUsers(ports: Pick<NetworksPorts, "rows" | "mesh">): NetworkUsers {
  const { self } = ports.mesh;
  return {
    here: (name, subnet) => usersOn(ports, name, subnet, (origin) => origin === self),
    elsewhere: (name, subnet) => usersOn(ports, name, subnet, (origin) => origin !== self),
  };
}

function meant(charters: CharterBook, name: string, asked: string | undefined): string {
  const charter = charters.charter(name);
  const subnets = [...new Set(charter.live.map(({ spec }) => spec.subnet))];
  const [first, second] = subnets;
  if (first === undefined || (asked !== undefined && !subnets.includes(asked))) {
    const what = asked === undefined ? name : `${name} with ${asked}`;
    throw new TsweaveError("NOT_FOUND", `the mesh has no network ${what}`, {
      hint: "see tsweave network ls",
    });
  }
  if (asked !== undefined) return asked;
  if (second === undefined) return first;
  throw new TsweaveError("BAD_REQUEST", `network ${name} was made with ${subnets.join(" and ")}`, {
    hint: `say which with --subnet, such as --subnet ${second}`,
  });
}

function refuseDefault(name: string, defaultName: string, why: string): void {
  if (name !== defaultName) return;
  throw new TsweaveError("BAD_REQUEST", `${name} is the default network, ${why}`);
}

function specOf(wish: NetworkWish, subnet: string, underlay: 4 | 6): NetworkSpec {
  const { gateway = "", internal, mtu, ipRange = "" } = wish;
  const underlayMtuBytes = mtu === undefined ? 0 : underlayMtu(mtu, underlay);
  return { subnet, gateway, internal, underlayMtuBytes, ipRange, auxiliary: [], labels: [] };
}

async function chooseSubnet(
  { rows, charters, docker }: NetworksPorts,
  { ipallocRange }: NetworksOptions,
  name: string,
): Promise<string> {
  const listed = (await docker?.engine.networks()) ?? [];
  const taken = [
    ipallocRange,
    ...rows.networkList().map(({ row }) => row.subnet),
    ...[...charters.charters().values()].flatMap(({ live }) => live.map(({ spec }) => spec.subnet)),
    ...listed.flatMap(({ subnets }) => subnets),
  ];
  for (;;) {
    const subnet = freeSubnet(name, taken);
    if ((await subnetOverlaps(subnet)).length === 0) return subnet;
    taken.push(subnet);
  }
}

async function refuseOverlap(subnet: string): Promise<void> {
  const [problem] = await subnetOverlaps(subnet);
  if (problem !== undefined) throw problem;
}

/** Waits a while for the live peers with Docker; how many these are, and who has not done it. */
async function waitForOthers(
  ports: NetworksPorts,
  isDone: (origin: PeerId) => boolean,
): Promise<Pick<NetworkChange, "hosts" | "engines" | "missing">> {
  const { mesh, clock } = ports;
  const alive = () => mesh.node.membership.members().filter(({ state }) => state === "alive");
  const engines = () => alive().filter(({ id }) => runsDocker(ports, id));
  const late = () => engines().filter(({ id }) => !isDone(id));
  const endMs = clock.nowMs() + OTHERS_MS;
  while (late().length > 0 && clock.nowMs() < endMs) {
    await new Promise<void>((resolve) => {
      clock.timer("networks of others", LOOK_MS, resolve);
    });
  }
  const missing = late().map(({ name }) => name);
  return { hosts: alive().length, engines: engines().length, missing: missing.sort() };
}

/** A peer that has said nothing yet is taken to run it, as nearly all do. */
function runsDocker({ mesh, rows, docker }: NetworksPorts, peer: PeerId): boolean {
  if (peer === mesh.self) return docker !== undefined;
  return rows.hosts.get(peer, HOST_KEY)?.docker ?? true;
}

function rowOf({ rows }: Pick<NetworksPorts, "rows">, origin: PeerId, name: string) {
  return rows.networks.get(origin, name);
}
