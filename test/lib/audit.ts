/**
 * `npm run audit`: known faults of the packages we build with, as far as the registry tells them.
 * A registry without that service, or none in reach, is said and is no failure.
 */
import { spawnSync } from "node:child_process";
import { auditVerdict } from "./audit-verdict.ts";

const { stdout } = spawnSync("npm", ["audit", "--json"], { encoding: "utf8", timeout: 60_000 });
const verdict = auditVerdict(stdout ?? "");
if (verdict.kind === "found") {
  console.error(`npm audit: ${verdict.packages.join(", ")}; see 'npm audit'`);
  process.exitCode = 1;
} else if (verdict.kind === "skipped") console.error(`npm audit: skipped: ${verdict.reason}`);
else console.error(`npm audit: nothing known of ${verdict.packages} packages`);
