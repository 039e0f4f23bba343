/** `tsweave report`: one archive for whoever helps. */
import { writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join, resolve } from "node:path";
import { EXIT, messageOf, TsweaveError } from "../../mesh/index.ts";
import type { Command } from "../command.ts";
import { clientFor, RUN_DIR_OPTION } from "./client-options.ts";
import { requireRoot } from "./root.ts";

export const report: Command = {
  usage: "[options]",
  positionalsMax: 0,
  options: [
    {
      name: "output",
      short: "o",
      value: "FILE",
      summary: "the archive",
      default: "tsweave-report-HOST-TIME.tar.gz in this directory",
    },
    { name: "config", value: "FILE", summary: "what launch reads, where it is not the default" },
    RUN_DIR_OPTION,
  ],
  notes: [
    "Writes status and its tables, events, the end of the log, doctor's findings, versions, sizes",
    "of the state files, and the network of this host and of tsweave's namespaces. Passwords and",
    "what is named like one are blackened; keys and journals are not in it. Addresses, host names",
    "and container names are: look before you hand it on. Works without a daemon too.",
  ],
  examples: ["tsweave report", "tsweave report -o /tmp/report.tar.gz"],
  run: async (input) => {
    const { options, env } = input;
    requireRoot("report", "reads the kernel and the log");
    const { launchConfig } = await import("../config.ts");
    const { collect } = await import("../report/collect.ts");
    const { tarOf } = await import("../report/tar.ts");
    const { gzipSync } = await import("node:zlib");
    const given = typeof options.config === "string" ? { config: options.config } : {};
    const config = launchConfig({ options: given, positionals: [], env });
    const time = new Date().toISOString().slice(0, 19).replaceAll(/[:-]/g, "").replace("T", "-");
    const folder = `tsweave-report-${hostname()
      .slice(0, 40)
      .replaceAll(/[^\w.-]/g, "_")}-${time}`;
    const logFile = config.logFile ?? join(config.stateDir, "tsweave.log");
    const secrets = [config.password?.reveal() ?? "", env.TSWEAVE_PASSWORD ?? ""];
    input.note("collecting ...\n");
    const files = await collect({ client: clientFor(input), config, logFile, secrets }, folder);
    const path = write(
      options.output,
      `${folder}.tar.gz`,
      gzipSync(tarOf(files, Date.now() / 1000)),
    );
    input.write(`${path}\n`);
    input.note("it names hosts, addresses and containers: look before you hand it on\n");
    return EXIT.ok;
  },
};

function write(given: string | true | undefined, preset: string, bytes: Buffer): string {
  const path = resolve(typeof given === "string" ? given : preset);
  try {
    writeFileSync(path, bytes, { mode: 0o600, flag: "wx" });
    return path;
  } catch (error) {
    throw new TsweaveError("STATE_UNWRITABLE", `no report written: ${messageOf(error)}`, {
      hint: "name another file with --output",
      cause: error,
    });
  }
}
