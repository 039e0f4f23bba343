/**
 * traffic.ts's table in the host's namespace: made, kept up to the peers, read.
 *
 * Law: one short process a look, two where peers came or went; a kernel or nft that cannot count is
 * said once and lived with.
 */
import { type Log, messageOf } from "../../mesh/index.ts";
import {
  type Counted,
  elementsText,
  readTraffic,
  type Tally,
  TRAFFIC_GONE,
  TRAFFIC_TABLE,
  trafficText,
} from "../traffic.ts";
import { run } from "./exec.ts";

const LIST = ["nft", "-j", "list", "table", ...TRAFFIC_TABLE.split(" ")];

export class HostTraffic {
  readonly #vxlanPort: number;
  readonly #log: Log;
  readonly #prefix: readonly string[];
  #isLacking = false;

  /** `prefix`: words before commands, to work in another namespace than this process's. */
  constructor(vxlanPort: number, log: Log, prefix: readonly string[] = []) {
    this.#vxlanPort = vxlanPort;
    this.#log = log;
    this.#prefix = prefix;
  }

  /**
   * Counts from now on for these addresses, literal and canonical, and tells what was counted for
   * each so far; undefined where nothing can be counted. Never rejects.
   */
  async look(addresses: ReadonlySet<string>): Promise<Counted | undefined> {
    try {
      const { stdout } = await run([...this.#prefix, ...LIST], { tolerant: true });
      const counted = readTraffic(stdout, this.#vxlanPort);
      const table = counted.isWhole ? "" : trafficText(this.#vxlanPort);
      const nothing = { ...counted, in: new Map<string, number>() };
      const elements = elementsText(counted.isWhole ? counted : nothing, addresses);
      if (table + elements !== "") {
        await run([...this.#prefix, "nft", "-f", "-"], { input: table + elements });
      }
      this.#isLacking = false;
      return {
        isWhole: true,
        in: asked(counted.in, addresses),
        out: asked(counted.out, addresses),
      };
    } catch (error) {
      if (!this.#isLacking) {
        const fields = { table: TRAFFIC_TABLE, error: messageOf(error) };
        this.#log.warn(fields, "traffic between hosts is not counted");
      }
      this.#isLacking = true;
      return undefined;
    }
  }
}

/** What begins to be counted now is nothing so far. */
function asked(tally: Tally, addresses: ReadonlySet<string>): Tally {
  return new Map([...addresses].map((address) => [address, tally.get(address) ?? 0]));
}

/** Removes the table; true when there was one. @throws TsweaveError COMMAND_FAILED */
export async function removeTraffic(): Promise<boolean> {
  const { exitCode } = await run(LIST, { tolerant: true });
  if (exitCode !== 0) return false;
  await run(["nft", "-f", "-"], { input: TRAFFIC_GONE });
  return true;
}
