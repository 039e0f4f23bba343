/** What the daemons were over the run: memory, descriptors, state on disk and stalls. */
import type { AttachMesh } from "../lib/attach-mesh.ts";
import type { Panel } from "../lib/panels.ts";
import { median } from "../lib/stats.ts";
import type { Churn } from "./churn.ts";

interface Sample {
  readonly minute: number;
  readonly host: string;
  readonly rssMib: number;
  readonly fds: number;
  readonly stateKib: number;
  readonly cpuShare: number;
  readonly stallMs: number;
}

type Quantity = "rssMib" | "fds" | "stateKib" | "cpuShare" | "stallMs";

const PANELS: readonly (readonly [quantity: Quantity, title: string, unit: string])[] = [
  ["rssMib", "resident memory of a daemon", "MiB"],
  ["fds", "open descriptors", ""],
  ["stateKib", "state on disk", "KiB"],
  ["stallMs", "longest stall since the last reading", "ms"],
  ["cpuShare", "processor time, its tools included", "% of one"],
];
/** Lines of progress. */
const SAY_EVERY = 12;

export class Samples {
  readonly #mesh: AttachMesh;
  readonly #churn: Churn;
  readonly #startMs = performance.now();
  readonly #all: Sample[] = [];
  /** BOUNDED: one a host; processor time at the last reading. */
  readonly #cpu = new Map<string, { readonly cpuMs: number; readonly atMs: number }>();

  constructor(mesh: AttachMesh, churn: Churn) {
    this.#mesh = mesh;
    this.#churn = churn;
  }

  /** Measures until the returned function was called, which waits for the last reading. */
  every(periodMs: number, say: (text: string) => void): () => Promise<void> {
    let isOver = false;
    const loop = async (): Promise<void> => {
      for (let nth = 1; !isOver; nth++) {
        await new Promise((resolve) => setTimeout(resolve, periodMs));
        const line = await this.#measure();
        if (nth % SAY_EVERY === 0) say(line);
      }
    };
    const running = loop();
    return async () => {
      isOver = true;
      await running;
    };
  }

  /** End over beginning, all hosts taken together, and every stall. */
  growth() {
    const ratio = (quantity: Quantity): number => {
      const values = this.#all.map((sample) => sample[quantity]);
      const fifth = Math.floor(values.length / 5);
      return median(values.slice(-fifth)) / median(values.slice(fifth, 2 * fifth));
    };
    return {
      rss: ratio("rssMib"),
      fds: ratio("fds"),
      state: ratio("stateKib"),
      stallMs: this.#all.map(({ stallMs }) => stallMs),
    };
  }

  panels(): Panel[] {
    const hosts = this.#mesh.hosts.map(({ name }) => name);
    return PANELS.map(([quantity, title, unit]) => ({
      title,
      unit,
      series: hosts.map((name) => ({
        name,
        points: this.#all
          .filter(({ host }) => host === name)
          .map((sample) => [sample.minute, sample[quantity]] as const),
      })),
    }));
  }

  async #measure(): Promise<string> {
    const atMs = performance.now();
    const parts: string[] = [];
    for (const host of this.#mesh.hosts) {
      const { rssMib, fds, stateKib, cpuMs } = this.#mesh.size(host);
      const stallMs = 1000 * (await this.#mesh.metric(host, "tsweave_event_loop_stall_seconds"));
      const before = this.#cpu.get(host.name) ?? { cpuMs, atMs: atMs - 1 };
      this.#cpu.set(host.name, { cpuMs, atMs });
      const cpuShare = (100 * (cpuMs - before.cpuMs)) / (atMs - before.atMs);
      const minute = (atMs - this.#startMs) / 60_000;
      this.#all.push({ minute, host: host.name, rssMib, fds, stateKib, cpuShare, stallMs });
      parts.push(`${host.name} ${rssMib.toFixed(0)} MiB ${fds} fds ${stateKib.toFixed(0)} KiB`);
    }
    const { born, failed, lost, alive } = this.#churn;
    return `${born} born, ${alive} alive, ${failed} failed, ${lost} lost; ${parts.join("; ")}`;
  }
}
