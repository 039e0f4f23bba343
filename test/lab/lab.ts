/**
 * The door of the lab: N hosts on one machine, each with its own real Docker Engine, on one LAN
 * with a gateway to "the outside", for the demo and for tests. Everything made is in the record
 * (record.ts) first, so `Lab.down(name)` removes a lab whose maker crashed.
 *
 *     const lab = await Lab.up({ name: "t1", hosts: ["h1", "h2"] });
 *     await lab.host("h1").docker("run", "-d", "--name", "web", "busybox", "httpd", "-f");
 *     await lab.partition([["h1"], ["h2"]]);  await lab.heal();  await lab.down();
 */
import { createHash } from "node:crypto";
import { existsSync, readdirSync } from "node:fs";
import { removeCgroups } from "./cgroups.ts";
import { applyDelay } from "./delay.ts";
import { run } from "./exec.ts";
import { applyCable, applyDrops, noFaults } from "./faults.ts";
import { GATEWAY, startGateway } from "./gateway.ts";
import { DISK_DIRS, Host } from "./host.ts";
import { buildImage } from "./image.ts";
import { BRIDGE, startLan } from "./lan.ts";
import { processStart, stopHolder } from "./processes.ts";
import {
  createLabDir,
  type FaultRecord,
  type HostRecord,
  isAbandoned,
  type LabRecord,
  labPaths,
  listLabs,
  loadRecord,
  makeMountPoints,
  removeLabDir,
  saveRecord,
} from "./record.ts";

export interface LabOptions {
  /** a-z, 0-9 and "-", at most 20 characters. */
  readonly name: string;
  /** Host names, at most 15 characters each. Default h1, h2, h3. */
  readonly hosts?: readonly string[];
  /** false: no dockerd is started at boot. Default true. */
  readonly engines?: boolean;
  /** The LAN, a /24. Default one of 10.200.0.0/16, by the lab's name. */
  readonly subnet?: string;
  /** Further arguments of dockerd, per host name. */
  readonly dockerdArgs?: Readonly<Record<string, readonly string[]>>;
  /** Extracted engines (newer-engine.ts), per host name. Default the machine's own. */
  readonly engineDirs?: Readonly<Record<string, string>>;
  /** true: stays until `down`. Default false: swept by the next lab once this process is dead. */
  readonly keep?: boolean;
  /** true: a lab of this name that is in the way is removed first. Default false. */
  readonly replace?: boolean;
}

export class Lab {
  readonly name: string;

  private constructor(name: string) {
    this.name = name;
  }

  /** Builds a lab and resolves when every engine answers. On failure nothing is left. */
  static async up(options: LabOptions): Promise<Lab> {
    checkName(options.name, 20);
    const hosts = options.hosts ?? ["h1", "h2", "h3"];
    for (const host of hosts) checkHostName(host);
    await Lab.sweep();
    if (options.replace === true) await Lab.down(options.name);
    createLabDir(options.name);
    try {
      saveRecord(await newRecord(options, hosts));
      makeMountPoints(DISK_DIRS);
      const lab = new Lab(options.name);
      const { prefix } = lab.#record;
      await startLan(lab.name);
      await Promise.all([
        buildImage(labPaths(lab.name).image),
        startGateway(lab.name, prefix, macOf(lab.name, 254)),
      ]);
      await Promise.all(lab.hosts.map((host) => host.boot()));
      return lab;
    } catch (error) {
      await Lab.down(options.name);
      throw error;
    }
  }

  /** A lab that is up, made by this or another process. Throws if there is none. */
  static load(name: string): Lab {
    if (loadRecord(name) === undefined) {
      throw new Error(`no lab named ${name}; npm run lab -- up --name ${name}`);
    }
    return new Lab(name);
  }

  /** Names of all labs of this machine. */
  static list(): string[] {
    return listLabs();
  }

  /** Removes everything a lab made, from its files alone. A lab that is not there is fine. */
  static async down(name: string): Promise<void> {
    checkName(name, 20);
    const paths = labPaths(name);
    if (!existsSync(paths.dir)) return;
    const record = loadRecord(name);
    const holders = existsSync(paths.holders) ? readdirSync(paths.holders) : [];
    const stop = (holder: string) => stopHolder(paths.holder(holder));
    // First each host's process 1, because it ends only after all other processes of the host.
    await Promise.all(holders.filter((holder) => holder.endsWith(".init")).map(stop));
    await Promise.all(holders.filter((holder) => !holder.endsWith(".init")).map(stop));
    const booted = [...(record?.hosts.map((host) => host.name) ?? []), ...(record?.machines ?? [])];
    await Promise.all(booted.map((host) => removeCgroups(name, host)));
    removeLabDir(name);
  }

  /** Removes the labs whose makers died without removing them. */
  static async sweep(): Promise<void> {
    for (const name of listLabs()) {
      const record = loadRecord(name);
      if (record !== undefined && isAbandoned(record)) await Lab.down(name);
    }
  }

  get #record(): LabRecord {
    const record = loadRecord(this.name);
    if (record === undefined) throw new Error(`lab ${this.name} is down`);
    return record;
  }

  get hosts(): Host[] {
    return this.#record.hosts.map((spec) => new Host(spec, () => this.#record));
  }

  /** One host by name. Throws for an unknown name. */
  host(name: string): Host {
    const host = this.hosts.find((each) => each.name === name);
    if (host === undefined) throw new Error(`lab ${this.name} has no host ${name}`);
    return host;
  }

  /** Adds a host and boots it. */
  async addHost(name: string, dockerdArgs: readonly string[] = []): Promise<Host> {
    checkHostName(name);
    const record = this.#record;
    if (record.hosts.some((host) => host.name === name)) throw new Error(`host ${name} exists`);
    const index = Math.max(0, ...record.hosts.map((host) => host.index)) + 1;
    record.hosts.push(hostRecord(record, name, index, { dockerdArgs, engineDir: null }));
    saveRecord(record);
    const host = this.host(name);
    await host.boot();
    for (const other of this.hosts) other.writeHostsFile();
    return host;
  }

  /** Removes the lab with everything in it. */
  down(): Promise<void> {
    return Lab.down(this.name);
  }

  /**
   * Drops all frames between hosts of different groups ("gateway" may be in a group; who is in none
   * is not cut off). `oneWay`: only frames from the first group to the others are dropped.
   */
  async partition(groups: readonly (readonly string[])[], { oneWay = false } = {}): Promise<void> {
    for (const name of groups.flat()) if (name !== GATEWAY) this.host(name);
    await this.#fault((faults) => {
      groups.forEach((from, index) => {
        const to = groups.filter((_, other) => other !== index).flat();
        if ((oneWay && index > 0) || from.length === 0 || to.length === 0) return;
        faults.partitions.push({ from, to });
      });
    });
  }

  /** Ends every partition. Loss, rates, MTUs and pulled cables stay. */
  async heal(): Promise<void> {
    await this.#fault((faults) => {
      faults.partitions = [];
    });
  }

  /** Drops this share of the frames to and of those from a host; 0 ends it. */
  async loss(host: string, percent: number): Promise<void> {
    this.host(host);
    await this.#fault((faults) => {
      delete faults.loss[host];
      if (percent > 0) faults.loss[host] = percent;
    });
  }

  /** Limits a host's cable in both directions, in Mbit/s; 0 ends it. */
  rate(host: string, mbit: number): Promise<void> {
    return this.#cable(host, (faults) => {
      delete faults.rateMbit[host];
      if (mbit > 0) faults.rateMbit[host] = mbit;
    });
  }

  /** Holds each frame to and from a host for so long, until its next boot; 0: no more. */
  async delay(host: string, delayMs: number): Promise<void> {
    this.host(host);
    await applyDelay(this.name, host, delayMs);
  }

  /** MTU of a host's cable, at both ends. */
  mtu(host: string, bytes: number): Promise<void> {
    return this.#cable(host, (faults) => {
      faults.mtuBytes[host] = bytes;
    });
  }

  /** Pulls a host's cable at the switch (the host sees no carrier), or plugs it in. */
  link(host: string, state: "up" | "down"): Promise<void> {
    return this.#cable(host, (faults) => {
      faults.unplugged = faults.unplugged.filter((name) => name !== host);
      if (state === "down") faults.unplugged.push(host);
    });
  }

  async #fault(change: (faults: FaultRecord) => void): Promise<FaultRecord> {
    const record = this.#record;
    change(record.faults);
    saveRecord(record);
    await applyDrops(this.name, record.faults);
    return record.faults;
  }

  async #cable(name: string, change: (faults: FaultRecord) => void): Promise<void> {
    const host = this.host(name);
    const faults = await this.#fault(change);
    if (host.isOn) await applyCable(this.name, faults, name, host.pid);
  }
}

function checkName(name: string, longest: number): void {
  if (!/^[a-z0-9][a-z0-9-]*$/.test(name) || name.length > longest) {
    throw new Error(`bad name "${name}": a-z, 0-9 and "-", at most ${longest} characters`);
  }
}

function checkHostName(name: string): void {
  checkName(name, 15);
  if ([GATEWAY, BRIDGE, "lan", "lo"].includes(name)) throw new Error(`${name} is not free`);
}

async function newRecord(options: LabOptions, hosts: readonly string[]): Promise<LabRecord> {
  const record: LabRecord = {
    name: options.name,
    prefix: prefixOf(options),
    engines: options.engines ?? true,
    storageDriver: await storageDriver(labPaths(options.name).dir),
    owner:
      options.keep === true
        ? null
        : { pid: process.pid, start: processStart(process.pid) ?? "unknown" },
    hosts: [],
    faults: noFaults(),
  };
  hosts.forEach((name, index) => {
    const dockerdArgs = options.dockerdArgs?.[name] ?? [];
    const engineDir = options.engineDirs?.[name] ?? null;
    record.hosts.push(hostRecord(record, name, index + 1, { dockerdArgs, engineDir }));
  });
  return record;
}

/** The first three bytes of the lab's /24. Labs share no wire, so a clash would do no harm. */
function prefixOf({ name, subnet }: LabOptions): string {
  if (subnet === undefined) return `10.200.${createHash("sha256").update(name).digest()[0]}`;
  const prefix = /^(\d+\.\d+\.\d+)\.0\/24$/.exec(subnet)?.[1];
  if (prefix === undefined) throw new Error(`bad subnet ${subnet}: A.B.C.0/24`);
  return prefix;
}

function hostRecord(
  record: LabRecord,
  name: string,
  index: number,
  engine: Pick<HostRecord, "dockerdArgs" | "engineDir">,
): HostRecord {
  const address = `${record.prefix}.${index}`;
  return { name, index, address, mac: macOf(record.name, index), ...engine };
}

/** A locally administered MAC that a host keeps over its boots. */
function macOf(lab: string, index: number): string {
  const hash = createHash("sha256").update(lab).digest("hex");
  const last = index.toString(16).padStart(2, "0");
  return `02:1a:b0:${hash.slice(0, 2)}:${hash.slice(2, 4)}:${last}`;
}

/** overlay2 where the file system of the labs can carry it, else vfs. */
async function storageDriver(dir: string): Promise<string> {
  const probe = `set -e; d=$1/probe
    trap 'umount "$d/merged" 2> /dev/null || true; rm -rf "$d"' EXIT
    mkdir "$d" "$d/lower" "$d/upper" "$d/work" "$d/merged"
    mount -t overlay overlay -o "lowerdir=$d/lower,upperdir=$d/upper,workdir=$d/work" "$d/merged"`;
  const argv = ["unshare", "--mount", "sh", "-c", probe, "sh", dir];
  const result = await run(argv, { allowFailure: true });
  return result.code === 0 ? "overlay2" : "vfs";
}
