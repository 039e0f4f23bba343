/**
 * The SandboxHook of real containers: a short-lived helper opens the sockets inside, this side
 * keeps them.
 */
import { type Log, TIMES } from "../../mesh/index.ts";
import type { SandboxHook, SandboxSockets, Upstream } from "../sandbox.ts";
import { type Doors, type HandedSockets, HelperRun } from "./helper-run.ts";
import { hasRedirect, isSandbox, noSandbox, restoreSandbox } from "./netns.ts";
import { acceptFrom, datagramDoor } from "./socket-doors.ts";

export class HelperSandboxHook implements SandboxHook {
  readonly #helperCommand: readonly string[];
  readonly #log: Log;
  readonly #timeoutMs: number;

  /**
   * `helperCommand` runs `runSandboxHelper`, e.g. node, the bundle's path, `__sandbox`.
   * `timeoutMs` bounds one opening from start to redirect.
   */
  constructor(options: {
    readonly helperCommand: readonly string[];
    readonly log: Log;
    readonly timeoutMs?: number;
  }) {
    this.#helperCommand = options.helperCommand;
    this.#log = options.log;
    this.#timeoutMs = options.timeoutMs ?? TIMES.dnsHookMs;
  }

  async open(key: string): Promise<SandboxSockets> {
    const run = await this.#run(key);
    return this.#wrap(key, run, await run.sockets);
  }

  async restore(key: string): Promise<void> {
    await restoreSandbox(key);
  }

  async isInPlace(key: string): Promise<boolean> {
    return await hasRedirect(key);
  }

  async #run(key: string, doors?: Doors): Promise<HelperRun> {
    if (!(await isSandbox(key))) throw noSandbox(key);
    return new HelperRun(key, this.#helperCommand, this.#timeoutMs, doors);
  }

  #wrap(key: string, run: HelperRun, sockets: HandedSockets): SandboxSockets {
    const { udp, tcp } = sockets;
    let { upstream } = sockets;
    tcp.on("error", (error) => this.#log.warn({ err: error.message }, "dns listener failed"));
    let closed: Promise<void> | undefined;
    const reopen = async (): Promise<Upstream> => {
      const again = await this.#run(key, { udp, tcp });
      const fresh = (await again.sockets).upstream;
      const install = async () => {
        try {
          await again.install();
        } catch (error) {
          fresh.close();
          throw error;
        }
        upstream.close();
        upstream = fresh;
      };
      return { upstream: datagramDoor(fresh, this.#log), install };
    };
    return {
      udp: datagramDoor(udp, this.#log),
      upstream: datagramDoor(upstream, this.#log),
      onConnection: (accept) => acceptFrom(tcp, accept, this.#log),
      install: () => run.install(),
      reopen,
      close: () => {
        run.stop();
        closed ??= closeAll({ udp, tcp, upstream });
        return closed;
      },
    };
  }
}

/** Resolves once the descriptors are gone and no longer hold the namespace. */
async function closeAll({ udp, tcp, upstream }: HandedSockets): Promise<void> {
  await Promise.all([
    new Promise<void>((resolve) => udp.close(resolve)),
    new Promise<void>((resolve) => upstream.close(resolve)),
    new Promise<void>((resolve) => {
      tcp.close(() => resolve());
    }),
  ]);
}
