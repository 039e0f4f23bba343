/** `tsweave rmpeer`: the operator's word that hosts are gone for good. */
import { EXIT, TsweaveError } from "../../mesh/index.ts";
import type { Command } from "../command.ts";
import { clientFor, RUN_DIR_OPTION } from "./client-options.ts";
import { consent, YES_OPTION } from "./consent.ts";

const STRONG = "majority-lost";

export const rmpeer: Command = {
  usage: "PEER... [options]",
  positionalsMax: Number.POSITIVE_INFINITY,
  words: "peers",
  options: [
    YES_OPTION,
    { name: STRONG, summary: "most of the peers that decide are among them (see below)" },
    { name: "json", summary: "print a JSON object" },
    RUN_DIR_OPTION,
  ],
  notes: [
    "PEER is a name, the beginning of an id, or an address. You assert that these hosts run no",
    "container of the mesh any more and do not come back with their present state. Their address",
    "ranges then go to one of the others, the same one whoever runs this command and however",
    "often. Every remaining peer must answer first; who cannot is named, and the removal goes on",
    "by itself when it does. A peer that is up leaves by 'tsweave leave' on its host.",
    "",
    `With --${STRONG} you assert more: that nobody joined or was removed through the lost peers`,
    "unseen by the remaining ones, and that nobody removes this side elsewhere. It is needed only",
    "where the lost are so many that the rest cannot decide, and the error then says so.",
    "A peer that was removed and comes back keeps its running containers' addresses where nobody",
    "else has them, and joins anew.",
  ],
  examples: ["tsweave rmpeer host3", "tsweave rmpeer 192.168.48.13 --yes"],
  run: async (input) => {
    const { positionals, options } = input;
    if (positionals.length === 0) {
      const hint = "such as 'tsweave rmpeer host3', see 'tsweave status peers'";
      throw new TsweaveError("USAGE", "rmpeer needs at least one PEER", { hint });
    }
    const client = clientFor(input);
    await client.status();
    const named = positionals.join(", ");
    await consent(
      input,
      `This asserts that ${named} will never come back and runs no container of the mesh.`,
    );
    const assertion = options[STRONG] === true ? "gone-for-good-with-majority" : "gone-for-good";
    input.note(`removing ${named} ...\n`);
    const result = await client.rmpeer({ peers: positionals, assertion });
    input.write(options.json === true ? `${JSON.stringify(result)}\n` : `${result.text}\n`);
    if (result.state === "done") return EXIT.ok;
    input.note("it goes on by itself; 'tsweave status ipam' shows what it waits for\n");
    return EXIT.timedOut;
  },
};
