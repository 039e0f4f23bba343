/** `tsweave reconcile`: what the kernel lacks of the tables, shown or put right at once. */
import { EXIT } from "../../mesh/index.ts";
import type { Command } from "../command.ts";
import { JSON_OPTION } from "./attach-options.ts";
import { clientFor, RUN_DIR_OPTION } from "./client-options.ts";

export const reconcile: Command = {
  usage: "[options]",
  positionalsMax: 0,
  options: [
    { name: "dry-run", summary: "print what would be done, and do nothing" },
    JSON_OPTION,
    RUN_DIR_OPTION,
  ],
  notes: [
    "Compares the networks' namespaces with the tables and prints the lines for ip, bridge and",
    "sysctl that make them equal, then applies them. The daemon does so by itself: soon after a",
    "change that the kernel tells of, and each 30 s. Exit code 4 when something is still wrong",
    "afterwards.",
  ],
  examples: ["tsweave reconcile --dry-run", "tsweave reconcile", "tsweave reconcile --json"],
  run: async (input) => {
    const reply = await clientFor(input).reconcile({ dryRun: input.options["dry-run"] === true });
    const asJson = input.options.json === true;
    input.write(asJson ? `${JSON.stringify(reply)}\n` : reconciledText(reply));
    return reply.dryRun || reply.inSync ? EXIT.ok : EXIT.degraded;
  },
};

type Reply = Awaited<ReturnType<ReturnType<typeof clientFor>["reconcile"]>>;

function reconciledText({ dryRun, batch, inSync, error }: Reply): string {
  const lines = batch.length === 0 && inSync ? ["nothing to do"] : [...batch];
  if (!dryRun && batch.length > 0 && inSync) lines.push("done: the kernel is as the tables say");
  if (!dryRun && !inSync) {
    lines.push(`the kernel still differs: ${error ?? "another pass follows"} -> tsweave doctor`);
  }
  return lines.map((line) => `${line}\n`).join("");
}
