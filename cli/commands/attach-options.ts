/** What the commands about attached endpoints have in common. */
import type { CommandInput, Option } from "../command.ts";

export const JSON_OPTION: Option = { name: "json", summary: "print a JSON object" };

export const ON_NETWORK_OPTION: Option = {
  name: "network",
  value: "NAME",
  summary: "the network, instead of the one that launch made",
};

/** The value of an option that has one. */
export function textOption({ options }: CommandInput, name: string): string | undefined {
  const value = options[name];
  return typeof value === "string" ? value : undefined;
}
