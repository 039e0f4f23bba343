/** `tsweave connect`: more addresses to try, without a restart. */
import { EXIT } from "../../mesh/index.ts";
import type { Command } from "../command.ts";
import { formatHostPort } from "../peer-address.ts";
import { clientFor, RUN_DIR_OPTION } from "./client-options.ts";
import { namedPeers } from "./named-peers.ts";

export const connect: Command = {
  usage: "PEER... [options]",
  positionalsMax: Number.POSITIVE_INFINITY,
  options: [RUN_DIR_OPTION],
  notes: [
    "PEER is host[:port], IPv6 in brackets; the port is this peer's own unless given. The daemon",
    "tries the address until it answers, and again whenever the peer is lost. A restart keeps it.",
  ],
  examples: ["tsweave connect 192.168.48.12", "tsweave connect host3.example:6783"],
  run: async (input) => {
    const client = clientFor(input);
    const peers = await namedPeers(input, "connect", client);
    await client.connect(peers);
    const list = peers.map(formatHostPort).join(", ");
    input.write(`trying ${list}; 'tsweave status targets' shows whether they answer\n`);
    return EXIT.ok;
  },
};
