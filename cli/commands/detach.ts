/** `tsweave detach`: the end of what `attach` began. */
import { EXIT, TsweaveError } from "../../mesh/index.ts";
import type { Command } from "../command.ts";
import { detachedText } from "../render/attach-text.ts";
import { JSON_OPTION, ON_NETWORK_OPTION, textOption } from "./attach-options.ts";
import { clientFor, RUN_DIR_OPTION } from "./client-options.ts";

export const detach: Command = {
  usage: "TARGET [options]",
  positionalsMax: 1,
  options: [
    { ...ON_NETWORK_OPTION, summary: "only from this network, instead of from all" },
    JSON_OPTION,
    RUN_DIR_OPTION,
  ],
  notes: [
    "TARGET as 'tsweave ps' shows it, or as attach was given it. Its interfaces, names and address",
    "are gone when the command returns.",
  ],
  examples: ["tsweave detach /run/netns/blue", "tsweave detach web --network back"],
  run: async (input) => {
    const [target] = input.positionals;
    if (target === undefined) {
      const hint = "such as 'tsweave detach /run/netns/blue', see 'tsweave ps'";
      throw new TsweaveError("USAGE", "detach needs a TARGET", { hint });
    }
    const reply = await clientFor(input).detach({ target, network: textOption(input, "network") });
    const asJson = input.options.json === true;
    input.write(asJson ? `${JSON.stringify(reply)}\n` : detachedText(reply.detached));
    return EXIT.ok;
  },
};
