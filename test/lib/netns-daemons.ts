/** Real daemons without engines, one in each host of a NetnsLab. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ConnectionRow } from "../../cli/control/api.ts";
import { ControlClient } from "../../cli/control/client.ts";
import { builtProgram } from "./bundle.ts";
import { exitCode, type NetnsHost } from "./netns-hosts.ts";
import { ROOT } from "./sources.ts";

export interface NetnsDaemon {
  readonly name: string;
  readonly client: ControlClient;
  readonly child: ChildProcess;
  /** Folder of its state; another daemon may go on with it. */
  readonly home: string;
}

export class NetnsDaemons {
  readonly #dir = mkdtempSync(join(tmpdir(), "tw-paths-"));
  readonly #program: string;
  readonly #made = new Set<string>();
  readonly running: NetnsDaemon[] = [];

  /** `program`: the executable, if it is not the one that was built last. */
  constructor(program: string = builtProgram()) {
    this.#program = program;
  }

  /**
   * Starts a daemon on a host, without Docker unless options name a socket; it may not serve yet
   * when this returns.
   */
  start(
    host: NetnsHost,
    name: string,
    options: readonly string[],
    home = join(this.#dir, `${name}-${this.running.length}`),
  ): NetnsDaemon {
    const docker = options.includes("--docker-socket") ? [] : ["--no-docker"];
    const argv = [
      ...[`--net=/run/netns/${host.netns}`, process.execPath, this.#program],
      ...["launch", "--foreground", ...docker, "--name", name],
      ...["--state-dir", join(home, "state"), "--run-dir", join(home, "run")],
      ...["--log-level", "error", ...options],
    ];
    const child = spawn("nsenter", argv, { cwd: ROOT, stdio: ["ignore", "ignore", "inherit"] });
    const daemon = { name, child, home, client: new ControlClient(join(home, "run")) };
    this.running.push(daemon);
    return daemon;
  }

  /** Ends all and waits for that. */
  async stop(): Promise<void> {
    for (const { child } of this.running.splice(0)) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGTERM");
      await ended;
    }
  }

  /** Takes note of the networks' namespaces, which a daemon that ends leaves to its containers. */
  async note(): Promise<void> {
    for (const { client } of this.running) {
      // One that was killed does not answer; what it had was noted before.
      const found = await client.namespaces().catch(() => undefined);
      for (const { namespace } of found?.namespaces ?? []) this.#made.add(namespace);
    }
  }

  /** Ends all, and removes what they made. */
  async close(): Promise<void> {
    await this.note();
    await this.stop();
    for (const netns of this.#made) await exitCode(`ip netns del ${netns}`);
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

/** What one daemon says of its link to another, by name. */
export async function connection(of: NetnsDaemon, to: NetnsDaemon): Promise<ConnectionRow> {
  const { connections } = await of.client.read("connections");
  const found = connections.find(({ peer }) => peer === to.name);
  if (found === undefined) throw new Error(`${of.name} does not know ${to.name}`);
  return found;
}
