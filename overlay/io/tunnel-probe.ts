/**
 * The probe network on this host: made, kept in step with the peers, asked, taken away; and the
 * offloads of vxlan devices.
 *
 * Law: its namespace has no name, only this process's descriptor keeps it, so it goes with the
 * daemon, however that ends; whatever fails here costs knowledge, never traffic.
 */
import { type FileHandle, open, stat } from "node:fs/promises";
import { isIP } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { type Log, TsweaveError } from "../../mesh/index.ts";
import {
  type ProbePeer,
  type ProbeSelf,
  probeDeviceLines,
  probePeerLines,
} from "../paths/probe-network.ts";
import type { Errand, ProbeResult } from "../paths/proofs.ts";
import { commandFailed, DIES_WITH_US, run, runBeside } from "./exec.ts";
import { OFFLOAD_PROGRAM, PROBE_PROGRAM, PROBE_TRIES } from "./probe-program.ts";

/** A tunnel that carries nothing takes a second, one that cuts some seconds. */
const DEADLINE_MS = 40_000;
const PERL = "/usr/bin/perl";
/** Until a process that was started is in a namespace of its own. */
const UNSHARE_MS = 2000;
const LOOK_MS = 10;

export class TunnelProbe {
  #self: ProbeSelf;
  readonly #hostNetns: string;
  readonly #log: Log;
  /** What was programmed, by peer. BOUNDED: LIMITS.peersMax. */
  #known = new Map<string, string>();
  #namespace: FileHandle | undefined;
  #isStale = false;

  constructor(self: ProbeSelf, log: Log, hostNetns = `/proc/${process.pid}/ns/net`) {
    this.#self = { ...self, hosts: self.hosts.filter((host) => isIP(host) === self.underlay) };
    this.#hostNetns = hostNetns;
    this.#log = log;
  }

  /** This host has other addresses; the network is made anew before the next probes. */
  relocate(hosts: readonly string[]): void {
    const { underlay } = this.#self;
    this.#self = { ...this.#self, hosts: hosts.filter((host) => isIP(host) === underlay) };
    this.#isStale = true;
  }

  /** Probes tunnels one after the other. @throws TsweaveError COMMAND_FAILED, TOOL_MISSING. */
  async probe(
    errands: readonly Errand[],
    peers: readonly ProbePeer[],
  ): Promise<ReadonlyMap<string, ProbeResult>> {
    await this.#ensure(peers);
    const words = errands.map(({ vtep, fullBytes }) => `${vtep}=${fullBytes}`);
    // It is not to outlive the daemon, nor to keep the namespace.
    const enter = [...DIES_WITH_US, "nsenter"];
    const argv = [...enter, `--net=${this.#path()}`, PERL, "-e", PROBE_PROGRAM, ...words];
    const { stdout, exitCode, stderr } = await run(argv, {
      timeoutMs: DEADLINE_MS,
      tolerant: true,
    });
    if (exitCode !== 0) {
      this.#isStale = true;
      throw commandFailed(["probe"], { stdout, stderr, exitCode });
    }
    const lines = stdout.split("\n").filter((line) => line !== "");
    return new Map(lines.map((line) => readResult(line)));
  }

  /** Whether the probe network's own device leaves checksums to the underlay's. */
  async offload(isOn: boolean): Promise<boolean> {
    return await setOffload(this.#path(), isOn);
  }

  /** Takes the network away. Idempotent. */
  async remove(): Promise<void> {
    const namespace = this.#namespace;
    this.#namespace = undefined;
    this.#isStale = false;
    this.#known = new Map();
    await namespace?.close();
  }

  /** The namespace as other programs open it. */
  #path(): string {
    if (this.#namespace === undefined) throw new TsweaveError("INTERNAL", "no probe network");
    return `/proc/${process.pid}/fd/${this.#namespace.fd}`;
  }

  async #ensure(peers: readonly ProbePeer[]): Promise<void> {
    if (this.#namespace === undefined || this.#isStale) await this.#make();
    const { underlay } = this.#self;
    const wanted = new Map(peers.map((peer) => [peer.peer, JSON.stringify(peer)]));
    const fresh = peers.filter(({ peer }) => this.#known.get(peer) !== wanted.get(peer));
    if (fresh.length === 0) return;
    const lines = fresh.map((peer) => probePeerLines(peer, underlay));
    await this.#batch(
      "ip",
      lines.flatMap(({ ip }) => ip),
    );
    await this.#batch(
      "bridge",
      lines.flatMap(({ bridge }) => bridge),
    );
    this.#known = wanted;
  }

  async #make(): Promise<void> {
    await this.remove();
    this.#namespace = await newNamespace();
    await this.#batch("ip", probeDeviceLines(this.#self, this.#hostNetns));
    // Answers to probes are ICMP errors, which a host gives out sparingly.
    const path = "/proc/sys/net/ipv4/icmp_ratelimit";
    const script = `test ! -e ${path} || echo 0 > ${path}`;
    await run(["nsenter", `--net=${this.#path()}`, "sh", "-c", script], { tolerant: true });
    this.#log.debug({}, "probe network made");
  }

  async #batch(tool: "ip" | "bridge", lines: readonly string[]): Promise<void> {
    const argv = ["nsenter", `--net=${this.#path()}`, tool, "-force", "-batch", "-"];
    const result = await run(argv, { input: `${lines.join("\n")}\n`, tolerant: true });
    if (result.exitCode !== 0) throw commandFailed(argv, result);
  }
}

/** A namespace that lives as long as its descriptor. @throws TsweaveError KERNEL_LACKS */
async function newNamespace(): Promise<FileHandle> {
  const argv = [...DIES_WITH_US, "unshare", "--net", "sleep", "10"];
  const child = runBeside(argv, () => undefined);
  try {
    const { ino: own } = await stat("/proc/self/ns/net");
    for (let waitedMs = 0; waitedMs < UNSHARE_MS; waitedMs += LOOK_MS) {
      const file = await open(`/proc/${child.pid}/ns/net`).catch(() => undefined);
      if (file !== undefined && (await file.stat()).ino !== own) return file;
      await file?.close();
      await sleep(LOOK_MS);
    }
    throw new TsweaveError("KERNEL_LACKS", "no network namespace could be made for probes");
  } finally {
    child.kill();
    await child.ended;
  }
}

/**
 * Turns the checksum offload of the vxlan0 in a namespace on or off, by the namespace's path; true
 * when that worked.
 */
export async function setOffload(path: string, isOn: boolean): Promise<boolean> {
  const enter = ["nsenter", `--net=${path}`];
  const argv = [...enter, PERL, "-e", OFFLOAD_PROGRAM, "vxlan0", isOn ? "on" : "off"];
  return (await run(argv, { tolerant: true })).exitCode === 0;
}

function readResult(line: string): [string, ProbeResult] {
  try {
    const { vtep, small, isFull, largestBytes, isChecked } = JSON.parse(line);
    return [String(vtep), { small, tries: PROBE_TRIES, isFull, largestBytes, isChecked }];
  } catch (cause) {
    throw new TsweaveError("COMMAND_FAILED", "a probe printed no JSON", { cause });
  }
}
