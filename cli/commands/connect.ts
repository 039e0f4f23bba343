/** `tsweave connect`: more addresses to try, without a restart. */
import { EXIT, TsweaveError } from "../../mesh/index.ts";
import type { Command } from "../command.ts";
import { formatHostPort, parsePeer } from "../peer-address.ts";
import { clientFor, RUN_DIR_OPTION } from "./client-options.ts";

export const connect: Command = {
  usage: "PEER... [options]",
  positionalsMax: Number.POSITIVE_INFINITY,
  options: [RUN_DIR_OPTION],
  notes: [
    "PEER is host[:port], IPv6 in brackets; the port is this peer's own unless given. The daemon",
    "tries the address until it answers, and again whenever the peer is lost.",
  ],
  examples: ["tsweave connect 192.168.48.12", "tsweave connect host3.example:6783"],
  run: async (input) => {
    if (input.positionals.length === 0) {
      const hint = "such as 'tsweave connect 192.168.48.12'";
      throw new TsweaveError("USAGE", "connect needs at least one PEER", { hint });
    }
    // A wrong word is the caller's mistake whether or not a daemon runs.
    for (const text of input.positionals) parsePeer(text, 1, "USAGE");
    const client = clientFor(input);
    const own = (await client.status()).peer.advertise;
    const port = Number(own.slice(own.lastIndexOf(":") + 1));
    const peers = input.positionals.map((text) => parsePeer(text, port, "USAGE"));
    const { resolvePeers } = await import("../advertise.ts");
    const resolved = await resolvePeers(peers);
    await client.connect(resolved);
    const list = resolved.map(formatHostPort).join(", ");
    input.write(`trying ${list}; 'tsweave status targets' shows whether they answer\n`);
    return EXIT.ok;
  },
};
