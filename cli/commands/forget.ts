/** `tsweave forget`: addresses that are no longer tried. */
import { EXIT } from "../../mesh/index.ts";
import type { Command } from "../command.ts";
import { formatHostPort } from "../peer-address.ts";
import { clientFor, RUN_DIR_OPTION } from "./client-options.ts";
import { namedPeers } from "./named-peers.ts";

export const forget: Command = {
  usage: "PEER... [options]",
  positionalsMax: Number.POSITIVE_INFINITY,
  options: [RUN_DIR_OPTION],
  notes: [
    "The daemon stops trying these addresses, whether launch, connect or another peer named them.",
    "A peer that is up stays a member, and may still call here. Its address ranges stay its own:",
    "they are taken back with 'tsweave rmpeer', when its host is gone for good.",
  ],
  examples: ["tsweave forget 192.168.48.12", "tsweave forget host3.example:6783"],
  run: async (input) => {
    const client = clientFor(input);
    const peers = await namedPeers(input, "forget", client);
    const named = await client.forget(peers);
    input.write(`no longer trying ${peers.map(formatHostPort).join(", ")}\n`);
    if (named.length > 0) {
      const list = named.map(formatHostPort).join(", ");
      input.note(
        `launch was given ${list}: leave it out there, or the next launch tries it again\n`,
      );
    }
    return EXIT.ok;
  },
};
