/**
 * Containers that ask for names on the hosts of a lab: single questions, exact answer sets within
 * a time, and what a name answered over time, to the millisecond.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { Background } from "../lab/background.ts";
import { eventually, type MeshHosts } from "./mesh-hosts.ts";
import { ROOT } from "./sources.ts";

export interface Question {
  readonly name: string;
  readonly type?: string;
  readonly server?: string;
  readonly port?: number;
  readonly udpBytes?: number;
  readonly tcp?: boolean;
}

export interface Reply {
  readonly rcode: string;
  readonly answers: readonly string[];
  /** Name of the SOA in the authority section, or empty. */
  readonly soa: string;
  readonly truncated: boolean;
  readonly bytes: number;
  readonly tookMs: number;
}

/** What a name answered from `ms` (Date.now) on: `NOERROR 10.32.0.2 10.40.0.2`, or `silence`. */
export interface Sight {
  readonly ms: number;
  readonly text: string;
}

export const ASKER = join(ROOT, "test/lib/dns-asker.mjs");

/** The line that a name with exactly these addresses answers. */
export function lineOf(addresses: Iterable<string>): string {
  const all = [...addresses].sort();
  return all.length === 0 ? "NXDOMAIN" : ["NOERROR", ...all].join(" ");
}

export class NameAskers {
  readonly #mesh: MeshHosts;
  /** Namespace of each host's asking container. */
  readonly #sandboxes = new Map<string, string>();

  constructor(mesh: MeshHosts) {
    this.#mesh = mesh;
  }

  get hosts(): string[] {
    return [...this.#sandboxes.keys()];
  }

  /** Starts a host's asking container, `asker-HOST`. */
  async start(host: string, ...flags: string[]): Promise<void> {
    const net = flags.includes("--net") ? [] : ["--net", "tsweave"];
    const run = ["run", "-d", ...net, "--name", `asker-${host}`, "--stop-timeout", "1"];
    await this.#mesh.docker(host, ...run, ...flags, "busybox", "sleep", "100000");
    await this.use(host, `asker-${host}`);
  }

  /** Asks from another container of the host from now on. */
  async use(host: string, container: string): Promise<void> {
    const format = "{{.NetworkSettings.SandboxKey}}";
    this.#sandboxes.set(host, await this.#mesh.docker(host, "inspect", "-f", format, container));
  }

  /** Asks inside a host's asking container, as its first network's resolver is seen there. */
  async ask(host: string, ...questions: readonly Question[]): Promise<Reply[]> {
    const argv = [...this.#enter(host), process.execPath, ASKER, JSON.stringify(questions)];
    return JSON.parse(await this.#mesh.ok(host, argv)) as Reply[];
  }

  /** `NOERROR 10.32.0.2 10.40.0.2`, one line a question. */
  async lines(host: string, ...questions: readonly Question[]): Promise<string[]> {
    const replies = await this.ask(host, ...questions);
    return replies.map(({ rcode, answers }) => [rcode, ...answers].join(" "));
  }

  /** All hosts give exactly these addresses for a name, within `withinMs`. */
  async exactly(
    name: string,
    wanted: ReadonlyMap<string, string>,
    withinMs: number,
    hosts: readonly string[] = this.hosts,
  ): Promise<void> {
    const expected = lineOf(wanted.values());
    await Promise.all(
      hosts.map((host) =>
        eventually(`${host}: ${name} is ${expected}`, withinMs, async () => {
          assert.deepEqual(await this.lines(host, { name }), [expected]);
        }),
      ),
    );
  }

  /** Asks for a name all the time, on these hosts. */
  async watch(name: string, hosts: readonly string[] = this.hosts): Promise<NameWatch> {
    const entries = await Promise.all(
      hosts.map(async (host): Promise<[string, Background]> => {
        const argv = [...this.#enter(host), process.execPath, ASKER, "--watch", name];
        const watch = await this.#mesh.lab.host(host).spawn(argv);
        await watch.waitForOutput(/\n/);
        return [host, watch];
      }),
    );
    return new NameWatch(name, new Map(entries));
  }

  #enter(host: string): string[] {
    return ["nsenter", `--net=${this.#sandboxes.get(host)}`];
  }
}

/** What one name answers on several hosts, every 20 ms, until `stop`. */
export class NameWatch {
  readonly #name: string;
  /** BOUNDED: the hosts of a lab. */
  readonly #watches: ReadonlyMap<string, Background>;

  constructor(name: string, watches: ReadonlyMap<string, Background>) {
    this.#name = name;
    this.#watches = watches;
  }

  /** What a host was told, oldest first, each change once. */
  sights(host: string): Sight[] {
    return (this.#watches.get(host)?.lines ?? []).map((line) => {
      const [ms = "", ...rest] = line.split(" ");
      return { ms: Number(ms), text: rest.join(" ") };
    });
  }

  /**
   * How long after `sinceMs` each host gave these addresses, and gave nothing else any more.
   * Throws where a host does not by now.
   */
  settledMs(wanted: ReadonlyMap<string, string>, sinceMs: number): Map<string, number> {
    const expected = lineOf(wanted.values());
    const found = [...this.#watches.keys()].map((host): [string, number] => {
      const sights = this.sights(host);
      const last = sights.at(-1);
      const told = sights.slice(-8).map(({ ms, text }) => `${ms - sinceMs} ms: ${text}`);
      assert.equal(last?.text, expected, `${host}: ${this.#name}\n${told.join("\n")}`);
      return [host, Math.max(0, (last?.ms ?? sinceMs) - sinceMs)];
    });
    return new Map(found);
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#watches.values()].map((watch) => watch.stop("SIGKILL")));
  }
}
