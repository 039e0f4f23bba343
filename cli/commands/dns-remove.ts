/** `tsweave dns-remove`: takes back what `dns-add` gave on this host. */
import { EXIT, TsweaveError } from "../../mesh/index.ts";
import type { Command } from "../command.ts";
import { clientFor, RUN_DIR_OPTION } from "./client-options.ts";
import { NETWORK_OPTION, networkOf, whereText } from "./dns-network.ts";

export const dnsRemove: Command = {
  usage: "NAME [IP...] [options]",
  positionalsMax: Number.POSITIVE_INFINITY,
  options: [NETWORK_OPTION, RUN_DIR_OPTION],
  notes: [
    "Without IP all addresses that this host added go. Without --network it concerns what was",
    "added without it. What another host added is removed there; names of containers stay.",
  ],
  examples: ["tsweave dns-remove db", "tsweave dns-remove db 192.168.48.21 --network back"],
  run: async (input) => {
    const [name, ...ips] = input.positionals;
    if (name === undefined) {
      const hint = "such as 'tsweave dns-remove db'";
      throw new TsweaveError("USAGE", "dns-remove needs a NAME", { hint });
    }
    const network = networkOf(input);
    const removed = await clientFor(input).dnsRemove({ name, ips, network });
    input.write(`${name} ${whereText(network)} has ${removed.join(", ")} no more\n`);
    return EXIT.ok;
  },
};
