/**
 * The last word of a store that has left: the roster without it, said to those who remain.
 *
 * Law: who leaves may delete its state at once, so a roster that only the leaver has seen decided
 * must be on another disk first. Two members decide together, and one of them is about to go.
 */
import { type Cancel, messageOf, readArray, TIMES, type WireValue } from "../mesh/index.ts";
import type { FounderPorts } from "./founder.ts";
import type { Ledger } from "./ledger.ts";
import { othersInReach } from "./reach.ts";
import type { Registrar } from "./registrar.ts";
import { decodeRoster, encodeRoster } from "./roster-codec.ts";

const ROSTER = "ipalloc.roster";
/** Members told, electors among them: rows carry it on to the others. */
const TOLD_MAX = 16;

/** Takes such words until cancelled. */
export function hearRosters(ports: FounderPorts, ledger: Ledger, registrar: Registrar): Cancel {
  return ports.rpc.serve(ROSTER, async (_, body) => {
    const [mesh, roster] = readArray(body, "roster", 2, 8);
    ledger.state.requireMesh(mesh);
    await registrar.learn(decodeRoster(roster, "roster"));
    return null;
  });
}

/** Says the newest roster to members in reach; how many have it on disk now. */
export async function tellRoster(ports: FounderPorts, { state }: Ledger): Promise<number> {
  const { roster, founding } = state;
  if (roster === undefined) return 0;
  const live = othersInReach(ports.members());
  const peers = roster.members.filter(({ peer }) => live.has(peer)).slice(0, TOLD_MAX);
  const body: WireValue = [founding?.meshId ?? "", encodeRoster(roster)];
  const heard = await Promise.all(
    peers.map(async ({ peer }) => {
      try {
        await ports.rpc.call(peer, ROSTER, body, TIMES.rosterCallMs);
        return true;
      } catch (error) {
        ports.log.warn({ peer, err: messageOf(error) }, "a member did not hear of the new roster");
        return false;
      }
    }),
  );
  return heard.filter(Boolean).length;
}
