/**
 * Removing other peers and leaving, as the commands mean it: words become peers, ranges move, and
 * what was only kept for the departed is dropped.
 *
 * Law: a word that names two peers removes none; what Docker still uses is named before anything
 * is given up.
 */
import type { ForgetResult, IpAlloc, LeaveResult, RosterMember } from "../../ipalloc/index.ts";
import {
  asTsweaveError,
  formatHostPort,
  type HostPort,
  messageOf,
  TsweaveError,
} from "../../mesh/index.ts";
import type { Attach } from "../../overlay/index.ts";
import type { LeaveMesh, RemovePeers } from "../control/api.ts";
import { count } from "../render/human.ts";
import type { DockerSide } from "./docker.ts";
import type { OpenMesh } from "./mesh.ts";

export interface DeparturePorts {
  readonly mesh: OpenMesh;
  readonly alloc: IpAlloc;
  readonly docker: DockerSide | undefined;
  readonly attach: Attach;
}

/** Removes peers for good, and stops trying their addresses once they are out. */
export async function removePeers(
  { mesh, alloc }: DeparturePorts,
  { peers: words, assertion }: RemovePeers,
): Promise<ForgetResult> {
  const places = new Map(
    mesh.node.membership.members().map(({ id, advertise }) => [id, advertise]),
  );
  const { members } = alloc.roster();
  const peers = words.map((word) => peerNamed(word, members, places));
  const result = await alloc.forget(peers, assertion);
  if (result.state === "pending") return result;
  const addresses = peers.flatMap((peer) => places.get(peer) ?? []);
  mesh.engine.forget(addresses);
  await mesh.contacts.forget(addresses);
  return result;
}

/** Hands ranges on and leaves; with `networks` Docker forgets its tsweave networks first. */
export async function leaveMesh(
  { alloc, docker, attach }: DeparturePorts,
  { force, networks }: LeaveMesh,
): Promise<LeaveResult> {
  const running = docker?.docker.joinedCount() ?? 0;
  if (running > 0 && !force) {
    const text = `${count(running, "container")} here on tsweave networks`;
    throw new TsweaveError("BAD_REQUEST", text, {
      hint: "remove them (see 'tsweave status endpoints'), or use --force",
    });
  }
  const attached = attach.list();
  if (attached.length > 0 && !force) {
    const [first] = attached;
    const text = `${count(attached.length, "endpoint")} attached here, such as ${first?.target}`;
    throw new TsweaveError("BAD_REQUEST", text, {
      hint: "detach them (see 'tsweave ps'), or use --force",
    });
  }
  for (const { kind, target } of attached) {
    await (kind === "host" ? attach.hide() : attach.detach(target)).catch((error: unknown) => {
      if (asTsweaveError(error).code !== "NOT_FOUND") throw error;
    });
  }
  if (networks === true && docker !== undefined)
    return await leaveWithNetworks(docker, alloc, force);
  return await alloc.leave({ force });
}

/** The mesh keeps its networks; a host that could not leave has them again. */
async function leaveWithNetworks(
  docker: DockerSide,
  alloc: IpAlloc,
  force: boolean,
): Promise<LeaveResult> {
  docker.maker.pause(true);
  try {
    await removeNetworks(docker, force);
    return await alloc.leave({ force });
  } catch (error) {
    docker.maker.pause(false);
    throw error;
  }
}

async function removeNetworks({ docker, engine }: DockerSide, force: boolean): Promise<void> {
  for (const { id, name } of docker.networks()) {
    try {
      await engine.removeNetwork(id);
    } catch (error) {
      if (force) continue;
      throw new TsweaveError("DOCKER_REFUSED", `network ${name}: ${messageOf(error)}`, {
        hint: `docker network rm ${name}, or use --force`,
        cause: error,
      });
    }
  }
}

/**
 * The one peer that a name, the beginning of an id or an address stands for.
 * @throws TsweaveError NOT_FOUND
 */
export function peerNamed(
  word: string,
  members: readonly Pick<RosterMember, "peer" | "name">[],
  places: ReadonlyMap<string, HostPort>,
): string {
  const isMeant = ({ peer, name }: Pick<RosterMember, "peer" | "name">): boolean => {
    const place = places.get(peer);
    const isPlace = place !== undefined && [place.host, formatHostPort(place)].includes(word);
    return name === word || isPlace || (/^[0-9a-f]{4,32}$/.test(word) && peer.startsWith(word));
  };
  const found = [...new Set(members.filter(isMeant).map(({ peer }) => peer))];
  const [peer] = found;
  if (peer !== undefined && found.length === 1) return peer;
  const what = peer === undefined ? "is no member of the mesh" : `may be ${found.join(" or ")}`;
  throw new TsweaveError("NOT_FOUND", `peer '${word.slice(0, 100)}' ${what}`, {
    hint: "name it as 'tsweave status ipam' does, or by the beginning of its id",
  });
}
