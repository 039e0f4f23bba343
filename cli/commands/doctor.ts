/** `tsweave doctor`: what is wrong with this host, and what helps. */
import { EXIT } from "../../mesh/index.ts";
import type { Command } from "../command.ts";
import type { Examined } from "../doctor/examine.ts";
import { plain, type Style } from "../render/style.ts";
import { table } from "../render/table.ts";
import { clientFor, RUN_DIR_OPTION } from "./client-options.ts";
import { requireRoot } from "./root.ts";

const TONES = { ok: "good", warn: "doubtful", fail: "bad" } as const;

export const doctor: Command = {
  usage: "[options]",
  positionalsMax: 0,
  options: [
    { name: "fix", summary: "repair what is safe: leftovers of a daemon that is gone" },
    { name: "json", summary: "print a JSON object" },
    { name: "config", value: "FILE", summary: "without a daemon: what launch would read" },
    RUN_DIR_OPTION,
  ],
  notes: [
    "Looks at the kernel, tools, ports, firewall, sysctls, disk, the containers' range, Docker,",
    "the plugin's socket, peers (versions, ports, MTU, clocks), drift between tables and kernel,",
    "and at what a dead daemon left. Works without a daemon too: then with the settings that",
    "launch would have. Exit code 4 when something fails; a warning alone is 0.",
    "",
    "--fix removes stale sockets, gives containers back Docker's resolver, and switches",
    "br_netfilter off in tsweave's own namespaces. It touches nothing of a running daemon, and",
    "nothing else.",
  ],
  examples: ["tsweave doctor", "tsweave doctor --fix", "tsweave doctor --json | jq .findings"],
  run: async (input) => {
    const { options, env, style } = input;
    requireRoot("doctor", "looks into the kernel");
    const { daemonOf, examine } = await import("../doctor/examine.ts");
    const { launchConfig } = await import("../config.ts");
    const given = typeof options.config === "string" ? { config: options.config } : {};
    const runDir = options["run-dir"];
    const dirs = typeof runDir === "string" ? { "run-dir": runDir } : {};
    const daemon = await daemonOf(clientFor(input));
    const next = launchConfig({ options: { ...given, ...dirs }, positionals: [], env });
    const findings = await examine(daemon, next, options.fix === true);
    const ok = findings.every(({ state }) => state !== "fail");
    const facts = { schema: 1, ok, daemon: daemon !== undefined, findings };
    const asJson = options.json === true;
    input.write(asJson ? `${JSON.stringify(facts)}\n` : findingsText(findings, style));
    return ok ? EXIT.ok : EXIT.degraded;
  },
};

function findingsText(findings: readonly Examined[], style: Style = plain): string {
  const rows = findings.map(({ check, state, text, next, fixed }) => [
    check,
    fixed ? { text: "fixed", tone: "good" as const } : { text: state, tone: TONES[state] },
    next === null ? text : `${text} -> ${next}`,
  ]);
  return table(["CHECK", "STATE", "WHAT"], rows, style);
}
