/** What the daemon tells of its own host, of its log and of other peers, for a person who asks. */
import { TsweaveError } from "../../mesh/index.ts";
import type { HostFacts, LogChange, LogReply, NamespaceRow, PeerAnswer } from "../control/api.ts";
import type { FactsOptions, FactsPorts } from "./control-facts.ts";
import { askPeer, membersNamed } from "./peer-facts.ts";

/** This host as it was launched; no secret is in it. */
export function hostFacts(
  { mesh, dns: service, underlay }: Pick<FactsPorts, "mesh" | "dns" | "underlay">,
  { config }: FactsOptions,
  namespaces: readonly NamespaceRow[],
): HostFacts {
  const { port, vxlanPort, ipallocRange, network, dns, docker } = config;
  const { stateDir, runDir, dockerSocket, pluginDir } = config;
  const encrypted = mesh.keys.seal !== undefined;
  const dirs = { stateDir, runDir, dockerSocket, pluginDir };
  return {
    config: { port, vxlanPort, ipallocRange, network, encrypted, dns, docker, ...dirs },
    address: mesh.address().host,
    underlayMtuBytes: underlay.own.underlayMtuBytes,
    namespaces,
    sandboxes: service.status().sandboxes.map(({ key, networks }) => ({ key, networks })),
  };
}

/** All peers that may be there, or those that a word names. @throws TsweaveError NOT_FOUND */
export async function askPeers(
  { clock, mesh }: Pick<FactsPorts, "clock" | "mesh">,
  word: string | undefined,
): Promise<readonly PeerAnswer[]> {
  const members = () => mesh.node.membership.members();
  const found = membersNamed(members(), word);
  if (found.length === 0 && word !== undefined) {
    const hint = "see 'tsweave status peers'";
    throw new TsweaveError("NOT_FOUND", `no other peer is known as '${word}'`, { hint });
  }
  const ports = { rpc: mesh.node.rpc, clock, members };
  return await Promise.all(found.map(({ id }) => askPeer(ports, id, word === undefined)));
}

export function logReply({ levels, file }: FactsPorts["logging"]): LogReply {
  return { level: levels.base, parts: levels.parts(), file };
}

/** @throws TsweaveError NOT_FOUND */
export function changeLevel(logging: FactsPorts["logging"], { level, part }: LogChange): LogReply {
  if (logging.levels.set(level, part)) return logReply(logging);
  const known = logging.levels.parts().map((row) => row.part);
  throw new TsweaveError("NOT_FOUND", `no part of the daemon is named '${part}'`, {
    hint: `one of ${known.join(", ")}`,
  });
}
