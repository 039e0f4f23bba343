/** A host: its disk, its containers and its clock stay whatever becomes of the daemon. */
import type { HostPort } from "../../mesh/index.ts";
import type { HostClock } from "./host-clock.ts";
import { SimDisk } from "./sim-disk.ts";
import type { SimPeer } from "./sim-peer.ts";

export class SimHost {
  readonly index: number;
  readonly name: string;
  readonly advertise: HostPort;
  readonly disk = new SimDisk();
  /** Containers by address: what runs, and so what the rows must say. */
  readonly running = new Map<string, string>();
  /** Rows that change in place, and what they must say. */
  readonly names = new Map<string, number>();
  /** What the daemon held of others when it was told to stop, until the next one starts. */
  kept: readonly string[] = [];
  wallOffsetMs = 0;
  clock: HostClock | undefined;
  peer: SimPeer | undefined;
  /** A start or stop is under way. */
  busy = false;

  constructor(index: number) {
    this.index = index;
    this.name = `h${index}`;
    this.advertise = { host: `10.9.${index >> 8}.${index & 255}`, port: 6783 };
  }

  get ready(): boolean {
    return this.peer?.ready === true && !this.busy;
  }
}
