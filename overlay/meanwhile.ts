/**
 * What other jobs of the queue decided while a pass works, which gives way to them between its
 * batches: it read its rows and the kernel before.
 *
 * Law: no update is lost. What somebody decided later, from rows read later, stands: the pass
 * leaves all steps about it out. Whoever built, moved or removed the namespace itself makes the
 * pass look at it again.
 */
import type { Touched } from "./diff-remote.ts";
import type { Step } from "./state.ts";

/** The decisions of others on one namespace since a pass of it began. */
export class Others {
  /** BOUNDED: as #macs, IPs of rows of the mesh that changed during one pass. */
  #ips = new Set<string>();
  /** BOUNDED: MACs of rows of the mesh that changed during one pass. */
  #macs = new Set<string>();
  /** BOUNDED: local endpoints that came or went during one pass. */
  #devices = new Set<string>();
  #hasCopies = false;
  #isRemade = false;

  /** MACs that others decided on. */
  get macs(): ReadonlySet<string> {
    return this.#macs;
  }

  /** The namespace is not the one that was looked at any more. */
  get isRemade(): boolean {
    return this.#isRemade;
  }

  /** The pass looks at the kernel from now on. */
  beginLook(): void {
    this.beginRows();
    this.#devices = new Set();
    this.#isRemade = false;
  }

  /** The pass reads the rows, in a turn of the queue. */
  beginRows(): void {
    this.#ips = new Set();
    this.#macs = new Set();
    this.beginCopies();
  }

  /** The pass decides on the copies, in a turn of the queue. */
  beginCopies(): void {
    this.#hasCopies = false;
  }

  entries({ ips, macs }: Touched): void {
    for (const ip of ips) this.#ips.add(ip);
    for (const mac of macs) this.#macs.add(mac);
  }

  copies(): void {
    this.#hasCopies = true;
  }

  device(device: string): void {
    this.#devices.add(device);
  }

  remade(): void {
    this.#isRemade = true;
  }

  hasDevice(device: string): boolean {
    return this.#devices.has(device);
  }

  /** Whether a step, decided before, is about what others decided on later. */
  has(step: Step): boolean {
    switch (step.kind) {
      case "neigh-put":
        return this.#ips.has(step.ip) || this.#macs.has(step.mac);
      case "neigh-del":
        return this.#ips.has(step.ip);
      case "forward-put":
      case "forward-del":
      case "steer-put":
      case "steer-del":
        return this.#macs.has(step.mac);
      case "copy-put":
      case "copy-del":
        return this.#hasCopies;
      case "port-set":
      case "link-del":
        return this.#devices.has(step.device);
      default:
        return false;
    }
  }

  /** The steps that nobody else has decided on. */
  left(steps: readonly Step[]): Step[] {
    return steps.filter((step) => !this.has(step));
  }
}

/** The passes at work. */
export class Meanwhile {
  /** By namespace. BOUNDED: one a network with a pass at work. */
  readonly #open = new Map<string, Others>();

  open(netns: string): Others {
    const others = new Others();
    this.#open.set(netns, others);
    return others;
  }

  close(netns: string): void {
    this.#open.delete(netns);
  }

  /** Where a job says what it decides; undefined where no pass works. */
  of(netns: string): Others | undefined {
    return this.#open.get(netns);
  }
}
