/** `tsweave adopt`: gives this host's mesh up and lets another one adopt it. */
import { EXIT, TsweaveError } from "../../mesh/index.ts";
import type { Command, CommandInput } from "../command.ts";
import type { AdoptionReply, TwiceRow } from "../control/api.ts";
import { clientFor, RUN_DIR_OPTION } from "./client-options.ts";
import { consent, YES_OPTION } from "./consent.ts";

export const adopt: Command = {
  usage: "PEER [options]",
  positionalsMax: 1,
  words: "peers",
  options: [YES_OPTION, { name: "json", summary: "print a JSON object" }, RUN_DIR_OPTION],
  notes: [
    "For two meshes that have met, which 'tsweave status' says on both sides: PEER's mesh adopts",
    "this host's. All hosts of this host's mesh become members of the other one, those that are",
    "away when they are back. Run it once, on any of them; PEER is a name, the beginning of an id,",
    "or an address. Containers keep running and keep their addresses. Where both meshes have given",
    "one address, the container in PEER's mesh keeps it; the other is named, to be restarted.",
    "Both sides must use the same subnets. It asks first and says what it will do.",
  ],
  examples: ["tsweave adopt host3", "tsweave adopt 192.168.48.13 --yes"],
  run: async (input) => {
    const [peer] = input.positionals;
    if (peer === undefined) {
      const hint = "such as 'tsweave adopt host3', a peer of the mesh that is to adopt this one";
      throw new TsweaveError("USAGE", "adopt needs a PEER", { hint });
    }
    const client = clientFor(input);
    const plan = await client.adopt({ peer, isPlan: true });
    input.note(planText(plan));
    await consent(input, `This gives mesh ${plan.mesh} up for good.`);
    const result = await client.adopt({ peer, isPlan: false });
    write(input, result);
    if (result.state === "done") return EXIT.ok;
    input.note("it goes on by itself; 'tsweave status ipam' shows what it waits for\n");
    return EXIT.timedOut;
  },
};

function planText({
  mesh,
  into,
  peers,
  absent,
  adopters,
  addresses,
  twice,
}: AdoptionReply): string {
  const later = absent.length === 0 ? "" : `, later ${list(absent)}`;
  const lines = [
    `mesh ${mesh} is given up: ${list(peers)}${later}`,
    `mesh ${into} adopts it:  ${list(adopters)}`,
    `${addresses} addresses in use there go along`,
    ...twice.map((row) => `to be restarted: ${restartText(row)}`),
  ];
  return `${lines.join("\n")}\n`;
}

function list(hosts: readonly string[]): string {
  return hosts.toSorted().join(", ");
}

function write(input: CommandInput, result: AdoptionReply): void {
  if (input.options.json === true) {
    input.write(`${JSON.stringify(result)}\n`);
    return;
  }
  const lines = [
    result.text,
    ...result.twice.map((row) => `restart ${restartText(row)}: docker restart ${row.container}`),
  ];
  input.write(`${lines.join("\n")}\n`);
}

function restartText({ container, peer, ip, keeper }: TwiceRow): string {
  return `${container} on ${peer}, whose address ${ip} is ${keeper.container}'s on ${keeper.peer}`;
}
