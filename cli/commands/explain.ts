/** `tsweave explain`: every step of the way from A to B, and the one cause when it fails. */
import { isIP } from "node:net";
import { EXIT, TsweaveError } from "../../mesh/index.ts";
import type { Command, CommandInput } from "../command.ts";
import { SCHEMA } from "../control/api.ts";
import { parsePort } from "../peer-address.ts";
import { explainText } from "../render/explain-text.ts";
import { JSON_OPTION } from "./attach-options.ts";
import { clientFor, RUN_DIR_OPTION } from "./client-options.ts";
import { requireRoot } from "./root.ts";

const WORD_LENGTH_MAX = 255;

export const explain: Command = {
  usage: "A B [tcp/PORT] [options]",
  positionalsMax: 3,
  options: [
    { name: "network", value: "NAME", summary: "of several networks that A is on" },
    JSON_OPTION,
    RUN_DIR_OPTION,
  ],
  notes: [
    "A is a container or attached namespace of this host (name or id), or 'host' once it is",
    "exposed; B a name, a container or an address. Goes through name, address, owner and its",
    "state, the devices and table entries of this host, the path between the hosts and B's end,",
    "then sends packets from A to B, and names the one cause where they do not come back. It",
    "changes nothing. Needs root. Exit code 0 reachable, 4 not, 5 when A or B does not exist.",
  ],
  examples: [
    "tsweave explain web db",
    "tsweave explain web db tcp/5432",
    "tsweave explain host 10.32.0.7 --json | jq .cause",
  ],
  run: async (input) => {
    const wish = wishOf(input);
    requireRoot("explain", "enters namespaces");
    const { collect } = await import("../explain/collect.ts");
    const decide = await import("../explain/decide.ts");
    const facts = await collect(clientFor(input), wish);
    const explained = decide.explain(facts, wish.network);
    const { from, to } = wish;
    const tcp = wish.tcpPort;
    const asJson = input.options.json === true;
    const json = { schema: SCHEMA, from, to, tcp, ...explained };
    input.write(asJson ? `${JSON.stringify(json)}\n` : explainText(wish, explained, input.style));
    if (!explained.found) return EXIT.notFound;
    return explained.reachable ? EXIT.ok : EXIT.degraded;
  },
};

function wishOf({ positionals, options }: CommandInput) {
  const [from, to, probe] = positionals;
  if (from === undefined || to === undefined) {
    const hint = "such as 'tsweave explain web db', see 'tsweave ps'";
    throw new TsweaveError("USAGE", "explain needs A, of this host, and B", { hint });
  }
  for (const word of [from, to]) {
    if (word !== "" && word.length <= WORD_LENGTH_MAX && !(isIP(word) > 0 && word.includes("%"))) {
      continue;
    }
    const hint = "see 'tsweave status endpoints'";
    const text = `'${word.slice(0, 64)}' is neither a name nor an address`;
    throw new TsweaveError("USAGE", text, { hint });
  }
  const { network } = options;
  const name = typeof network === "string" ? network : undefined;
  return { from, to, tcpPort: portOf(probe), network: name };
}

function portOf(word: string | undefined): number | null {
  if (word === undefined) return null;
  const port = word.startsWith("tcp/") ? parsePort(word.slice(4)) : undefined;
  if (port !== undefined) return port;
  throw new TsweaveError("USAGE", `'${word.slice(0, 64)}' is not tcp/ and a port`, {
    hint: "such as tcp/80",
  });
}
