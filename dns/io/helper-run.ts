/**
 * One run of the helper process, seen from the daemon: started, its sockets received, the redirect
 * asked for, its end.
 *
 * Law: whatever the helper does or fails to do, this ends within its time, with the process dead
 * and no socket left open.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { Socket } from "node:dgram";
import { Server } from "node:net";
import { messageOf, TsweaveError } from "../../mesh/index.ts";
import { type HelperMessage, INSTALL, type Role } from "./protocol.ts";
import { hookRules, PORT_MARKS, portOf, toolEnvironment } from "./rules.ts";
import { steadyPort } from "./steady-port.ts";

/** Where lookups arrive. */
export interface Doors {
  readonly udp: Socket;
  readonly tcp: Server;
}

export interface HandedSockets extends Doors {
  readonly upstream: Socket;
}

const STDERR_CHARACTERS_MAX = 2000;

const HINTS: Readonly<Record<string, string>> = {
  TOOL_MISSING: "install nftables and util-linux (apt-get install nftables util-linux)",
  KERNEL_LACKS: "the kernel needs nf_tables with NAT (modprobe nft_chain_nat)",
};

export class HelperRun {
  /** The three sockets, once all are here; the doors are those that were there, if they were. */
  readonly sockets: Promise<HandedSockets>;
  readonly #key: string;
  readonly #child: ChildProcess;
  readonly #handed = deferred<HandedSockets>();
  readonly #installed = deferred<void>();
  readonly #timer: NodeJS.Timeout;
  readonly #doors: Doors | undefined;
  /** What this run opened. */
  #parts: Partial<HandedSockets> = {};
  #stderr = "";
  #over = false;

  /**
   * Starts `command` inside the namespace `key`; the whole run may take `timeoutMs`. With `doors`
   * of an earlier run it opens an upstream only.
   */
  constructor(key: string, command: readonly string[], timeoutMs: number, doors?: Doors) {
    this.#key = key;
    this.#doors = doors;
    this.sockets = this.#handed.promise;
    this.#timer = setTimeout(
      () => this.#fail("TIMED_OUT", `no DNS hook within ${timeoutMs} ms`),
      timeoutMs,
    );
    this.#child = spawn("nsenter", [`--net=${key}`, ...command], {
      // A group of its own, so that it ends together with the nft it started.
      detached: true,
      stdio: ["ignore", "ignore", "pipe", "ipc"],
      env: { ...toolEnvironment(), ...instructions(key, doors) },
    });
    this.#child.on("message", (message, handle) => this.#receive(message as HelperMessage, handle));
    this.#child.stderr?.on("data", (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk.toString()).slice(0, STDERR_CHARACTERS_MAX);
    });
    this.#child.once("error", (error: NodeJS.ErrnoException) => {
      const code = error.code === "ENOENT" ? "TOOL_MISSING" : "COMMAND_FAILED";
      this.#fail(code, `cannot run nsenter: ${error.message}`);
    });
    this.#child.once("close", (exitCode) => {
      this.#fail("COMMAND_FAILED", `helper ended with ${exitCode}: ${this.#stderr.trim()}`);
    });
  }

  /** Asks for the redirect; resolves when it is in place. The sockets are then the caller's. */
  async install(): Promise<void> {
    if (!this.#over) {
      this.#child.send(INSTALL, (error) => {
        if (error !== null) this.#fail("COMMAND_FAILED", `helper is gone: ${messageOf(error)}`);
      });
    }
    await this.#installed.promise;
  }

  /** Ends the run if it has not ended; closes nothing that was handed over. */
  stop(): void {
    this.#fail("COMMAND_FAILED", "DNS hook given up");
  }

  /** The helper is our own program; what it sends is trusted in shape. */
  #receive(message: HelperMessage, handle: unknown): void {
    if (message.type === "failed") this.#fail(message.code, message.text);
    else if (message.type === "installed") {
      this.#finish();
      this.#installed.resolve();
    } else this.#take(message.role, handle);
  }

  #take(role: Role, handle: unknown): void {
    if (this.#over) {
      if (handle instanceof Socket || handle instanceof Server) handle.close();
      return;
    }
    if (role === "tcp" && handle instanceof Server) this.#parts = { ...this.#parts, tcp: handle };
    if (role !== "tcp" && handle instanceof Socket)
      this.#parts = { ...this.#parts, [role]: handle };
    const { udp, tcp, upstream } = { ...this.#doors, ...this.#parts };
    if (udp === undefined || tcp === undefined || upstream === undefined) return;
    this.#parts = {};
    this.#handed.resolve({ udp, tcp, upstream });
  }

  #fail(code: TsweaveError["code"], text: string): void {
    if (this.#over) return;
    this.#finish();
    this.#kill();
    for (const part of Object.values(this.#parts)) part.close();
    const hint = HINTS[code];
    const error = new TsweaveError(
      code,
      `${this.#key}: ${text}`,
      hint === undefined ? {} : { hint },
    );
    this.#handed.reject(error);
    this.#installed.reject(error);
  }

  #kill(): void {
    const { pid, exitCode, signalCode } = this.#child;
    if (pid === undefined || exitCode !== null || signalCode !== null) return;
    try {
      process.kill(-pid, "SIGKILL");
    } catch {
      this.#child.kill("SIGKILL"); // Not yet a group leader, or already gone.
    }
  }

  #finish(): void {
    this.#over = true;
    clearTimeout(this.#timer);
  }
}

/** What the helper is told by its environment. */
function instructions(key: string, doors: Doors | undefined): NodeJS.ProcessEnv {
  if (doors === undefined) {
    return {
      TSWEAVE_RULES: hookRules(PORT_MARKS),
      TSWEAVE_UDP_PORT: String(steadyPort(key)),
    };
  }
  const udp = doors.udp.address().port;
  const tcp = portOf(doors.tcp);
  return {
    TSWEAVE_RULES: hookRules({ ...PORT_MARKS, udp, tcp }),
    TSWEAVE_KEPT_PORTS: `${udp} ${tcp}`,
  };
}

interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
}

function deferred<T>(): Deferred<T> {
  let resolve: Deferred<T>["resolve"] = () => {};
  let reject: Deferred<T>["reject"] = () => {};
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  promise.catch(() => {}); // It may fail before anyone waits; who waits still gets the failure.
  return { promise, resolve, reject };
}
