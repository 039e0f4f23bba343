/** The peers that a command's arguments name, as literal addresses. */
import { type HostPort, TsweaveError } from "../../mesh/index.ts";
import type { CommandInput } from "../command.ts";
import type { ControlClient } from "../control/client.ts";
import { parsePeer } from "../peer-address.ts";

/**
 * Reads `PEER...`; a port that is not given is the daemon's own.
 * @throws TsweaveError USAGE without a peer or with a wrong one, whether or not a daemon runs
 */
export async function namedPeers(
  { positionals }: CommandInput,
  command: string,
  client: ControlClient,
): Promise<HostPort[]> {
  if (positionals.length === 0) {
    const hint = `such as 'tsweave ${command} 192.168.48.12'`;
    throw new TsweaveError("USAGE", `${command} needs at least one PEER`, { hint });
  }
  for (const text of positionals) parsePeer(text, 1, "USAGE");
  const own = (await client.status()).peer.advertise;
  const port = Number(own.slice(own.lastIndexOf(":") + 1));
  const { resolvePeers } = await import("../advertise.ts");
  return await resolvePeers(positionals.map((text) => parsePeer(text, port, "USAGE")));
}
