/** `tsweave dns-add`: a name for something that is no container of the mesh. */
import { EXIT, TsweaveError } from "../../mesh/index.ts";
import type { Command } from "../command.ts";
import { clientFor, RUN_DIR_OPTION } from "./client-options.ts";
import { NETWORK_OPTION, networkOf, whereText } from "./dns-network.ts";

export const dnsAdd: Command = {
  usage: "NAME IP... [options]",
  positionalsMax: Number.POSITIVE_INFINITY,
  options: [NETWORK_OPTION, RUN_DIR_OPTION],
  notes: [
    "Containers on every host then resolve NAME, and NAME below the mesh's domain, to these",
    "addresses, together with those of containers of that name; and each address to NAME. What is",
    "added belongs to this host: a restart keeps it; while the host is down it is not answered. To",
    "have a name as long as any of several hosts is up, add it on each.",
  ],
  examples: [
    "tsweave dns-add db 192.168.48.20 192.168.48.21",
    "tsweave dns-add ldap.corp.example 192.168.48.30 --network back",
  ],
  run: async (input) => {
    const [name, ...ips] = input.positionals;
    if (name === undefined || ips.length === 0) {
      const hint = "such as 'tsweave dns-add db 192.168.48.20'";
      throw new TsweaveError("USAGE", "dns-add needs a NAME and at least one IP", { hint });
    }
    const network = networkOf(input);
    const added = await clientFor(input).dnsAdd({ name, ips, network });
    const where = whereText(network);
    if (added.length === 0) input.write(`${name} ${where} has ${ips.join(", ")} already\n`);
    else input.write(`${name} ${where} has ${added.join(", ")} now\n`);
    return EXIT.ok;
  },
};
