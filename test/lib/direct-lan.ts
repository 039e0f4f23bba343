/** What passes the LAN of a NetnsLab, bare or in tunnels, and pings between containers. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { run } from "../../overlay/io/exec.ts";
import { exitCode, realClock, sh } from "./netns-hosts.ts";

export const inNetns = (netns: string, line: string) => `ip netns exec ${netns} ${line}`;

export async function nft(netns: string, script: string): Promise<void> {
  await run(["ip", "netns", "exec", netns, "nft", "-f", "-"], { input: script });
}

/** Waits until `check` holds. */
export async function until(what: string, deadlineMs: number, check: () => Promise<boolean>) {
  const endMs = realClock.nowMs() + deadlineMs;
  while (!(await check())) {
    assert.ok(realClock.nowMs() < endMs, `${what}: not within ${deadlineMs} ms`);
    await sleep(100);
  }
}

/** Pings from one container to another, and the way they take over the LAN's bridge. */
export class DirectLan {
  readonly #lan: string;
  readonly #from: string;
  readonly #to: string;
  readonly #everyMs: number;

  constructor(lan: string, from: string, to: string, everyMs = 5) {
    this.#lan = lan;
    this.#from = from;
    this.#to = to;
    this.#everyMs = everyMs;
  }

  /** Counts, in the LAN's namespace, what passes between containers of a subnet. */
  static async watch(lan: string, subnet: string): Promise<void> {
    const rules = [
      `ip saddr ${subnet} ip daddr ${subnet} ip protocol icmp counter`,
      "udp dport 4789 counter",
    ];
    const hook = "type filter hook forward priority -10; policy accept;";
    await nft(lan, `table bridge watch { chain pass { ${hook}\n${rules.join("\n")}\n}\n}\n`);
  }

  /** True when pings go bare, and none in tunnels. */
  readonly isDirect = async (): Promise<boolean> => {
    const before = await this.#passed();
    await sh(inNetns(this.#from, `busybox ping -c 4 -i 0.05 -W 2 ${this.#to}`));
    const { bare, tunnel } = await this.#passed();
    return bare - before.bare >= 8 && tunnel === before.tunnel;
  };

  /** True when pings get answers, none of them bare. */
  readonly isTunnelled = async (): Promise<boolean> => {
    const before = await this.#passed();
    const ping = inNetns(this.#from, `busybox ping -c 4 -i 0.05 -W 1 ${this.#to}`);
    if ((await exitCode(ping)) !== 0) return false;
    return (await this.#passed()).bare === before.bare;
  };

  /** How many of the pings get no answer while `during` runs. */
  async lostWhile(during: () => Promise<void>): Promise<{ sent: number; lost: number }> {
    const ping = `busybox ping -q -i ${this.#everyMs / 1000} -W 1 ${this.#to}`;
    const [file = "", ...args] = inNetns(this.#from, ping).split(" ");
    const child = spawn(file, args, { stdio: ["ignore", "pipe", "inherit"] });
    let text = "";
    child.stdout.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
    try {
      await sleep(300);
      await during();
      await sleep(300);
    } finally {
      child.kill("SIGINT");
      await once(child, "exit");
    }
    const [, sent, received] = /(\d+) packets transmitted, (\d+) packets received/.exec(text) ?? [];
    assert.ok(sent !== undefined && received !== undefined, text);
    // The last one was not waited for.
    return { sent: Number(sent), lost: Math.max(0, Number(sent) - Number(received) - 1) };
  }

  async #passed(): Promise<{ bare: number; tunnel: number }> {
    const text = await sh(inNetns(this.#lan, "nft list table bridge watch"));
    const [bare = 0, tunnel = 0] = [...text.matchAll(/packets (\d+)/g)].map(([, n]) => Number(n));
    return { bare, tunnel };
  }
}
