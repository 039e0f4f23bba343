/** The network that a dns command is about. */
import type { CommandInput, Option } from "../command.ts";

export const NETWORK_OPTION: Option = {
  name: "network",
  value: "NAME",
  summary: "for containers on this network only",
  default: "all networks",
};

/** The network given, undefined for all. */
export function networkOf({ options }: Pick<CommandInput, "options">): string | undefined {
  return typeof options.network === "string" ? options.network : undefined;
}

/** `on network back` or `on all networks`. */
export function whereText(network: string | undefined): string {
  return network === undefined ? "on all networks" : `on network ${network}`;
}
