/** `tsweave dns-lookup`: what the daemon's zone answers, as a container would see it. */
import { EXIT, TsweaveError } from "../../mesh/index.ts";
import type { Command } from "../command.ts";
import { table } from "../render/table.ts";
import { clientFor, RUN_DIR_OPTION } from "./client-options.ts";
import { NETWORK_OPTION, networkOf } from "./dns-network.ts";

const TYPES = ["A", "AAAA", "PTR", "SRV", "TXT", "SOA", "NS", "MX", "ANY"] as const;

export const dnsLookup: Command = {
  usage: "NAME [options]",
  positionalsMax: 1,
  options: [
    { ...NETWORK_OPTION, summary: "as seen from this network only" },
    {
      name: "type",
      value: "TYPE",
      summary: TYPES.join(", "),
      words: TYPES,
      default: "A, PTR for an address",
    },
    { name: "json", summary: "print a JSON object" },
    RUN_DIR_OPTION,
  ],
  notes: [
    "Only names of the mesh are known here; a container's other questions go on to Docker. Without",
    "--network the answer is what a container on all networks sees. Exit code 5: nothing found.",
  ],
  examples: [
    "tsweave dns-lookup web",
    "tsweave dns-lookup 10.32.0.5",
    "tsweave dns-lookup _80._tcp.web --type SRV",
  ],
  run: async (input) => {
    const [name] = input.positionals;
    if (name === undefined) {
      const hint = "such as 'tsweave dns-lookup web'";
      throw new TsweaveError("USAGE", "dns-lookup needs a NAME", { hint });
    }
    const { type } = input.options;
    const question = {
      name,
      type: typeof type === "string" ? type : undefined,
      network: networkOf(input),
    };
    const reply = await clientFor(input).dnsLookup(question);
    if (input.options.json === true) {
      input.write(`${JSON.stringify(reply)}\n`);
      return EXIT.ok;
    }
    const rows = reply.answers.map((answer) => [
      answer.name,
      answer.type,
      `${answer.ttlSeconds}s`,
      answer.data,
    ]);
    input.write(table(["NAME", "TYPE", "TTL", "DATA"], rows, input.style));
    return EXIT.ok;
  },
};
