/** The version of a built program, as it says itself, so that package and program cannot differ. */
import { execFileSync } from "node:child_process";

export function bundleVersion(bundle: string): string {
  const said = execFileSync(process.execPath, [bundle, "version", "--json"], { encoding: "utf8" });
  return (JSON.parse(said) as { version: string }).version;
}
