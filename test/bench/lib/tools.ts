/** The peers a bench compares with come from Debian; what is missing is installed when root. */
import { run } from "../../lab/exec.ts";

/** Makes sure that a command exists. Throws with the cure when it cannot be had. */
export async function needTool(command: string, debianPackage = command): Promise<void> {
  if (await isThere(command)) return;
  process.stderr.write(`bench: installing ${debianPackage}\n`);
  const options = { allowFailure: true, timeoutMs: 300_000 };
  const install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", debianPackage];
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" } as Record<string, string>;
  if ((await run(install, { ...options, env })).code !== 0) {
    await run(["apt-get", "update", "-q"], options);
    await run(install, { ...options, env });
  }
  if (!(await isThere(command))) {
    throw new Error(`${command} is missing; apt-get install ${debianPackage}`);
  }
}

async function isThere(command: string): Promise<boolean> {
  const argv = ["sh", "-c", 'command -v "$1" > /dev/null', "sh", command];
  return (await run(argv, { allowFailure: true })).code === 0;
}
