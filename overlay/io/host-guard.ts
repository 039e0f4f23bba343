/**
 * guard.ts's table in the host's namespace: put there, looked after, taken away.
 *
 * Law: a firewall that is loaded anew may flush it, so it is looked for again and again; a kernel
 * without nf_tables is said once and lived with, since nothing works less for it.
 */
import { type Log, messageOf } from "../../mesh/index.ts";
import { GUARD_GONE, GUARD_TABLE, type GuardedPorts, guardText, isGuarded } from "../guard.ts";
import { run } from "./exec.ts";

export class HostGuard {
  readonly #ports: GuardedPorts;
  readonly #log: Log;
  readonly #prefix: readonly string[];
  #isLacking = false;

  /** `prefix`: words before commands, to work in another namespace than this process's. */
  constructor(ports: GuardedPorts, log: Log, prefix: readonly string[] = []) {
    this.#ports = ports;
    this.#log = log;
    this.#prefix = prefix;
  }

  /** Makes the table when it is missing or changed. Never rejects: what fails is in the log. */
  async ensure(): Promise<void> {
    try {
      const list = [...this.#prefix, "nft", "list", "table", ...GUARD_TABLE.split(" ")];
      const { stdout } = await run(list, { tolerant: true });
      if (isGuarded(stdout, this.#ports)) return;
      await run([...this.#prefix, "nft", "-f", "-"], { input: guardText(this.#ports) });
      this.#isLacking = false;
    } catch (error) {
      if (!this.#isLacking) {
        const fields = { table: GUARD_TABLE, error: messageOf(error) };
        this.#log.warn(fields, "containers could send VXLAN and gossip of their own");
      }
      this.#isLacking = true;
    }
  }
}

/** Removes the table; true when there was one. @throws TsweaveError COMMAND_FAILED */
export async function removeGuard(): Promise<boolean> {
  const list = ["nft", "list", "table", ...GUARD_TABLE.split(" ")];
  const { exitCode } = await run(list, { tolerant: true });
  if (exitCode !== 0) return false;
  await run(["nft", "-f", "-"], { input: GUARD_GONE });
  return true;
}
