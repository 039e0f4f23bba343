/** `tsweave attach`: an endpoint for something that Docker does not connect. */
import { EXIT, TsweaveError } from "../../mesh/index.ts";
import type { Command, CommandInput } from "../command.ts";
import { attachedNotes } from "../render/attach-text.ts";
import { JSON_OPTION, ON_NETWORK_OPTION, textOption } from "./attach-options.ts";
import { clientFor, RUN_DIR_OPTION } from "./client-options.ts";

export const attach: Command = {
  usage: "TARGET [IP[/PREFIX]] [options]",
  positionalsMax: 2,
  options: [
    ON_NETWORK_OPTION,
    {
      name: "name",
      value: "NAME",
      repeats: true,
      summary: "a name it has on the network; may be repeated",
    },
    {
      name: "interface",
      value: "DEVICE",
      summary: "name of its interface, instead of the first free of eth0, eth1, ...",
    },
    { name: "mac", value: "MAC", summary: "its MAC, instead of 02:42 and its address" },
    { name: "gateway", summary: "give it a default route, fail where it has one" },
    { name: "no-gateway", summary: "give it no default route" },
    { name: "no-dns", summary: "leave name resolution inside as it is" },
    JSON_OPTION,
    RUN_DIR_OPTION,
  ],
  notes: [
    "TARGET is a container (name or id), a process id, or a network namespace (a path, or its name",
    "under /run/netns). It gets an interface on the network, with any free address or the one",
    "given; every host reaches it and resolves its names: those given, else the container's or the",
    "namespace's own. Without a default route of its own it gets one to the outside, through the",
    "bridge tsweave_gw of this host, unless the network is internal. Prints the address.",
    "",
    "Inside, names are answered on 127.0.0.11; the target's resolv.conf is yours to write. It is",
    "attached until 'tsweave detach', or until its namespace is gone; not over a restart of its",
    "container or a boot.",
  ],
  examples: [
    "tsweave attach /run/netns/blue",
    "tsweave attach 4711 10.32.0.77 --name db --name postgres",
    "tsweave attach web --network back --interface eth7 --no-gateway",
  ],
  run: async (input) => {
    const [target, ip] = input.positionals;
    if (target === undefined) {
      const hint = "such as 'tsweave attach /run/netns/blue'";
      throw new TsweaveError("USAGE", "attach needs a TARGET", { hint });
    }
    const gateway = gatewayOf(input);
    const reply = await clientFor(input).attach({
      target,
      ip,
      network: textOption(input, "network"),
      names: textOption(input, "name")?.split(",") ?? [],
      device: textOption(input, "interface"),
      mac: textOption(input, "mac"),
      gateway,
      dns: input.options["no-dns"] !== true,
    });
    if (input.options.json === true) input.write(`${JSON.stringify(reply)}\n`);
    else {
      input.write(`${reply.ip}\n`);
      input.note(attachedNotes(reply));
    }
    return EXIT.ok;
  },
};

function gatewayOf({ options }: CommandInput): boolean | undefined {
  const [yes, no] = [options.gateway === true, options["no-gateway"] === true];
  if (yes && no) {
    throw new TsweaveError("USAGE", "--gateway and --no-gateway exclude one another", {
      hint: "see 'tsweave help attach'",
    });
  }
  return yes ? true : no ? false : undefined;
}
