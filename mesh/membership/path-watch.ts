/**
 * The chores of paths.ts: pings beside the failure detector's own, to peers whose address in use or
 * direct path is open, and the question why a host does not answer.
 *
 * Law: a mesh whose peers all answer at their first address sends nothing here and has no timer.
 */
import { messageOf } from "../errors.ts";
import type { HostPort, Log, PeerId, Streams } from "../ports.ts";
import type { Loops } from "./loops.ts";
import type { PathFault } from "./membership.ts";
import type { Paths } from "./paths.ts";
import type { HealTiming } from "./timing.ts";

interface Parts {
  readonly paths: Paths;
  readonly loops: Loops;
  readonly timing: HealTiming;
  readonly log: Log;
  readonly streams: Pick<Streams, "probe">;
  /** Pings a live member at one of its addresses; the answer is told to `paths`. */
  ping(id: PeerId, at: HostPort): void;
}

const FAULTS = { silent: "silent", refused: "refused", open: "tcp-only" } as const;

export class PathWatch {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
    parts.paths.onOpen = () => this.#arm();
  }

  #arm(): void {
    const { paths, loops, timing } = this.#parts;
    if (paths.pace === "soon") {
      loops.whileDue("paths", timing.healMs / 4, () => {
        this.#look();
        if (paths.pace === "late") this.#arm();
        return paths.pace === "soon" ? timing.healMs / 4 : undefined;
      });
    } else if (paths.pace === "late") {
      loops.whileDue("paths-retry", timing.healMaxMs, () => {
        this.#look();
        return paths.pace === undefined ? undefined : timing.healMaxMs;
      });
    }
  }

  #look(): void {
    for (const { id, addresses, isLost } of this.#parts.paths.due()) {
      for (const address of addresses) this.#parts.ping(id, address);
      if (isLost) this.#ask(id, addresses);
    }
  }

  /** The most telling answer of its addresses: a connection taken, then one refused. */
  #ask(id: PeerId, addresses: readonly HostPort[]): void {
    const { streams, timing, paths, log } = this.#parts;
    const deadlineMs = timing.healMaxMs / 2;
    Promise.all(addresses.map(async (address) => await streams.probe(address, deadlineMs)))
      .then((found) => {
        const best = (["open", "refused"] as const).find((one) => found.includes(one));
        const why: PathFault = FAULTS[best ?? "silent"];
        paths.explained(id, why);
      })
      .catch((error: unknown) => {
        log.debug({ peer: id, error: messageOf(error) }, "cannot ask a host");
      });
  }
}
