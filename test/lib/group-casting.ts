/** Listeners and senders of groups in namespaces, and what they cause on a wire. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { run } from "../../overlay/io/exec.ts";
import { ROOT } from "./sources.ts";

export const CASTER = join(ROOT, "test/lib/group-caster.mjs");
/** Frames that are still on their way. */
const LATE_MS = 300;

/** A program of group-caster.mjs in a namespace, ready. */
export class Caster {
  readonly #child: ChildProcess;
  #text = "";

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.stdout?.on("data", (chunk: Buffer) => {
      this.#text = (this.#text + chunk.toString()).slice(-200);
    });
  }

  static async start(netns: string, ...words: readonly string[]): Promise<Caster> {
    const argv = [`--net=/run/netns/${netns}`, process.execPath, CASTER, ...words];
    const child = spawn("nsenter", argv, { stdio: ["pipe", "pipe", "inherit"] });
    const caster = new Caster(child);
    const end = Date.now() + 30_000;
    while (!/ready|joined/.test(caster.#text)) {
      if (Date.now() > end || child.exitCode !== null) throw new Error(`no ${words.join(" ")}`);
      await sleep(20);
    }
    return caster;
  }

  /** Datagrams until now, up to 50 ms late. */
  get count(): number {
    return Number(this.#text.trimEnd().split("\n").at(-1)) || 0;
  }

  leave(): void {
    this.#child.stdin?.write("leave\n");
  }

  async stop(): Promise<void> {
    const ended = once(this.#child, "exit");
    this.#child.stdin?.end();
    await ended;
  }
}

/** Sends from a namespace; resolves when all is sent. */
export async function cast(netns: string, address: string, count: number, pauseMs = 5) {
  const argv = ["nsenter", `--net=/run/netns/${netns}`, process.execPath, CASTER];
  const words = ["send", address, "5000", String(count), String(pauseMs)];
  await run([...argv, ...words], { timeoutMs: 60_000 });
}

/** Lines of tcpdump for what passes a device of a namespace during some work. */
export async function onWire(
  netns: string,
  filter: string,
  during: () => Promise<void>,
): Promise<string[]> {
  const dump = `tcpdump --immediate-mode -l -nn -i eth0 ${filter}`;
  const argv = [`--net=/run/netns/${netns}`, ...dump.split(" ")];
  const child = spawn("nsenter", argv, { stdio: ["ignore", "pipe", "pipe"] });
  const ended = once(child, "close");
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  try {
    await new Promise<void>((resolve, reject) => {
      child.stderr.on("data", (chunk: Buffer) => {
        if (chunk.toString().includes("listening on")) resolve();
      });
      child.once("exit", () => reject(new Error("no tcpdump")));
    });
    await during();
    await sleep(LATE_MS);
  } finally {
    child.kill("SIGINT");
    await ended;
  }
  return text.split("\n").filter((line) => line !== "");
}
