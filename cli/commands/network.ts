/** `tsweave network`: the networks of the mesh, on every host at once. */
import { EXIT, TsweaveError } from "../../mesh/index.ts";
import type { Command, CommandInput } from "../command.ts";
import type { ControlClient } from "../control/client.ts";
import type { NetworkChange, NetworkWish } from "../control/network-api.ts";
import { renderRead } from "../render/tables.ts";
import { suggest } from "../suggestion.ts";
import { clientFor, RUN_DIR_OPTION } from "./client-options.ts";

const ACTIONS = ["ls", "create", "rm"] as const;
type Action = (typeof ACTIONS)[number];

/** Options that belong to one action only. */
const OF_CREATE = ["internal", "mtu", "gateway", "ip-range"] as const;

export const network: Command = {
  usage: "[ls|create NAME|rm NAME] [options]",
  positionalsMax: 2,
  words: ACTIONS,
  options: [
    { name: "subnet", value: "CIDR", summary: "create: its addresses; rm: which of two" },
    { name: "internal", summary: "create: containers reach one another and nothing else" },
    { name: "mtu", value: "BYTES", summary: "create: MTU of its containers" },
    { name: "gateway", value: "IP", summary: "create: address of the gateway" },
    { name: "ip-range", value: "CIDR", summary: "create: part of the subnet that is given out" },
    { name: "json", summary: "print a JSON object" },
    RUN_DIR_OPTION,
  ],
  notes: [
    "'ls' shows every network of the mesh: HERE says whether this host has it, and why it has not.",
    "A network that is made on any host appears on the engine of every host, with one VNI, and one",
    "that is removed goes from all. 'docker network create -d tsweave --ipam-driver tsweave",
    "--subnet CIDR NAME' and 'docker network rm NAME' do the same, but Docker cannot be made to",
    "refuse the removal while other hosts use the network: it is then put back. Without --subnet a",
    "free one is chosen by the name. Networks may have the same subnet; they share its addresses",
    "and do not reach one another. A network made on both sides of a cut is one when they meet;",
    "with different subnets one counts, and the other is named here with what to do.",
  ],
  examples: [
    "tsweave network ls",
    "tsweave network create blue",
    "tsweave network create red --subnet 10.50.0.0/16 --internal",
    "tsweave network rm blue",
  ],
  run: async (input) => {
    const [word = "ls", name, ...rest] = input.positionals;
    const action = actionOf(word);
    checkOptions(input, action, name, rest);
    const client = clientFor(input);
    if (action === "ls") {
      const reply = await client.read("networks");
      const asJson = input.options.json === true;
      input.write(
        asJson ? `${JSON.stringify(reply)}\n` : renderRead("networks", reply, input.style),
      );
      return EXIT.ok;
    }
    return tell(input, action, await change(input, client, action, name ?? ""));
  },
};

function actionOf(word: string): Action {
  const action = ACTIONS.find((candidate) => candidate === word);
  if (action !== undefined) return action;
  throw new TsweaveError("USAGE", `network has no action '${word.slice(0, 64)}'`, {
    hint: suggest(word, ACTIONS, "see 'tsweave help network'"),
  });
}

/** What does not belong to an action is refused, never ignored. */
function checkOptions(
  { options }: CommandInput,
  action: Action,
  name: string | undefined,
  rest: readonly string[],
): void {
  const hint = "see 'tsweave help network'";
  const refuse = (text: string) => {
    throw new TsweaveError("USAGE", `network ${action} ${text}`, { hint });
  };
  if (action !== "ls" && name === undefined) refuse("needs a NAME");
  if ((action === "ls" && name !== undefined) || rest.length > 0) refuse("takes no such argument");
  const odd = OF_CREATE.find((option) => options[option] !== undefined);
  if (odd !== undefined && action !== "create") refuse(`takes no --${odd}`);
  if (options.subnet !== undefined && action === "ls") refuse("takes no --subnet");
}

async function change(
  { options }: CommandInput,
  client: ControlClient,
  action: "create" | "rm",
  name: string,
): Promise<NetworkChange> {
  const subnet = textOf(options.subnet);
  if (action === "rm") return await client.removeNetwork({ name, subnet });
  const wish: NetworkWish = {
    name,
    subnet,
    internal: options.internal === true,
    mtu: bytesOf(options.mtu),
    gateway: textOf(options.gateway),
    ipRange: textOf(options["ip-range"]),
  };
  return await client.createNetwork(wish);
}

function tell(input: CommandInput, action: "create" | "rm", done: NetworkChange): number {
  const { name, subnet, vni, missing } = done;
  const at = vni === null ? subnet : `${subnet}, VNI ${vni}`;
  const verb = action === "create" ? "made" : "removed";
  if (input.options.json === true) input.write(`${JSON.stringify(done)}\n`);
  else input.write(`${verb} network ${name} (${at})${where(done)}\n`);
  if (missing.length > 0) input.note(`not yet followed: ${missing.join(", ")}; they will\n`);
  if (done.engines === 0 && action === "create") {
    input.note(
      "no host of the mesh runs Docker: it is there where something is attached to it\n" +
        `('tsweave attach TARGET --network ${name}'), and on hosts that join with Docker\n`,
    );
  }
  return EXIT.ok;
}

/** On which hosts it is done; nothing while some of them have not followed. */
function where({ hosts, engines, missing }: NetworkChange): string {
  if (engines === 0 || missing.length > 0) return "";
  return engines === hosts
    ? " on every host"
    : ` on every host with Docker, ${engines} of ${hosts}`;
}

function textOf(option: string | true | undefined): string | undefined {
  return typeof option === "string" ? option : undefined;
}

function bytesOf(option: string | true | undefined): number | undefined {
  if (option === undefined) return undefined;
  if (typeof option === "string" && /^[1-9][0-9]{2,4}$/.test(option)) return Number(option);
  throw new TsweaveError("USAGE", `--mtu ${String(option).slice(0, 20)} is not a number of bytes`, {
    hint: "such as --mtu 1400",
  });
}
