/** `tsweave expose`: the host itself as a member of the subnet. */
import { EXIT } from "../../mesh/index.ts";
import type { Command } from "../command.ts";
import { JSON_OPTION, ON_NETWORK_OPTION, textOption } from "./attach-options.ts";
import { clientFor, RUN_DIR_OPTION } from "./client-options.ts";

export const expose: Command = {
  usage: "[IP[/PREFIX]] [options]",
  positionalsMax: 1,
  options: [ON_NETWORK_OPTION, JSON_OPTION, RUN_DIR_OPTION],
  notes: [
    "Gives this host an address in the subnet, any free one or the one given, on an interface",
    "tsweaveN with a route to the subnet: the host then reaches every container of every host, and",
    "they reach the host. It stays over restarts and boots, until 'tsweave hide'. Prints the",
    "address.",
  ],
  examples: ["tsweave expose", "tsweave expose 10.32.0.200 --network tsweave"],
  run: async (input) => {
    const [ip] = input.positionals;
    const reply = await clientFor(input).expose({ ip, network: textOption(input, "network") });
    if (input.options.json === true) input.write(`${JSON.stringify(reply)}\n`);
    else {
      input.write(`${reply.ip}\n`);
      input.note(`${reply.device} of this host is ${reply.cidr} on network ${reply.network}\n`);
    }
    return EXIT.ok;
  },
};
