/** `tsweave hide`: the end of `expose`. */
import { EXIT } from "../../mesh/index.ts";
import type { Command } from "../command.ts";
import { detachedText } from "../render/attach-text.ts";
import { JSON_OPTION, ON_NETWORK_OPTION, textOption } from "./attach-options.ts";
import { clientFor, RUN_DIR_OPTION } from "./client-options.ts";

export const hide: Command = {
  usage: "[options]",
  positionalsMax: 0,
  options: [
    { ...ON_NETWORK_OPTION, summary: "only from this network, instead of from all" },
    JSON_OPTION,
    RUN_DIR_OPTION,
  ],
  notes: ["Takes the addresses back that 'tsweave expose' gave this host."],
  examples: ["tsweave hide"],
  run: async (input) => {
    const reply = await clientFor(input).hide({ network: textOption(input, "network") });
    const asJson = input.options.json === true;
    input.write(asJson ? `${JSON.stringify(reply)}\n` : detachedText(reply.detached));
    return EXIT.ok;
  },
};
