/** What cli/REFERENCE.md must be now; for its writer and for the test that compares. */
import { describedCommands } from "../../cli/commands/described.ts";
import { COMMANDS } from "../../cli/commands/table.ts";
import { reference } from "../../cli/reference/reference.ts";
import { metricFamilies } from "../../cli/web/metrics.ts";
import { type ErrorCode, TsweaveError } from "../../mesh/index.ts";
import { FakeBackend } from "../unit/cli/fixture-facts.ts";

export async function referenceText(): Promise<string> {
  const stats = { rssBytes: 1, cpuSeconds: 1, stallSeconds: 0 };
  return reference({
    commands: await describedCommands(COMMANDS),
    metrics: metricFamilies(new FakeBackend(), stats),
    exitCodeOf: (code) => new TsweaveError(code as ErrorCode, "").exitCode,
  });
}
