/**
 * What the lab has made, in files, so that any later process can remove it. Keeps the law of the
 * lab: the record exists before the thing it names, and goes only after it.
 *
 *     /var/lib/tsweave-lab/.mount-points      directories made for all labs
 *     /var/lib/tsweave-lab/NAME/lab.json      subnet, hosts, faults
 *                               holders/ROLE  "pid starttime boot-id" of each namespace's keeper
 *                               hosts/HOST/   the host's disk (survives a power failure)
 *                               log/          output of the keepers
 */
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { processStart } from "./processes.ts";

const LABS_DIR = "/var/lib/tsweave-lab";
/** Mount points made by any lab, one a line. */
const MADE_DIRS = join(LABS_DIR, ".mount-points");

export interface HostRecord {
  readonly name: string;
  /** 1-based position; the last byte of the address. */
  readonly index: number;
  readonly address: string;
  readonly mac: string;
  readonly dockerdArgs: readonly string[];
  /** Root of an extracted engine that the host uses instead of the machine's; null: none. */
  readonly engineDir: string | null;
}

/** Faults of the LAN as they should be, so that they survive a boot and add up across commands. */
export interface FaultRecord {
  /** Frames from any host of `from` to any host of `to` are dropped. */
  partitions: { from: readonly string[]; to: readonly string[] }[];
  /** Percent of the frames dropped in each direction, per host. */
  loss: Record<string, number>;
  rateMbit: Record<string, number>;
  mtuBytes: Record<string, number>;
  /** Hosts whose cable is out. */
  unplugged: string[];
}

export interface LabRecord {
  readonly name: string;
  /** First three bytes of the /24, as "10.200.7". */
  readonly prefix: string;
  readonly engines: boolean;
  readonly storageDriver: string;
  /** Who made it. A lab whose owner is dead is swept; null: stays until `down`. */
  readonly owner: { pid: number; start: string } | null;
  hosts: HostRecord[];
  /** Names of machines (machine.ts), whose cgroups go with the lab. */
  machines?: string[];
  faults: FaultRecord;
}

/** The paths of one lab's files. */
export function labPaths(name: string) {
  const dir = join(LABS_DIR, name);
  return {
    dir,
    json: join(dir, "lab.json"),
    holders: join(dir, "holders"),
    holder: (role: string) => join(dir, "holders", role),
    /** Process 1 of a host. */
    init: (host: string) => join(dir, "holders", `${host}.init`),
    host: (host: string) => join(dir, "hosts", host),
    log: (role: string) => join(dir, "log", `${role}.log`),
    image: join(dir, "busybox.tar"),
  };
}

/** Makes the directories of a new lab; their existence is its lock. Throws if it exists. */
export function createLabDir(name: string): void {
  const paths = labPaths(name);
  mkdirSync(LABS_DIR, { recursive: true, mode: 0o700 });
  try {
    mkdirSync(paths.dir, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    throw new Error(`lab ${name} is already up; npm run lab -- down --name ${name}`);
  }
  mkdirSync(paths.holders);
  mkdirSync(join(paths.dir, "hosts"));
  mkdirSync(join(paths.dir, "log"));
}

/** Writes the record whole or not at all. */
export function saveRecord(record: LabRecord): void {
  const { json } = labPaths(record.name);
  writeFileSync(`${json}.new`, `${JSON.stringify(record, null, 2)}\n`);
  renameSync(`${json}.new`, json);
}

/** The record of a lab, or undefined if there is none. */
export function loadRecord(name: string): LabRecord | undefined {
  const { json } = labPaths(name);
  return existsSync(json) ? (JSON.parse(readFileSync(json, "utf8")) as LabRecord) : undefined;
}

/** Names of every lab on this machine, also of half-made ones. */
export function listLabs(): string[] {
  if (!existsSync(LABS_DIR)) return [];
  return readdirSync(LABS_DIR)
    .filter((name) => !name.startsWith("."))
    .sort();
}

/** Whether the process that made the lab is gone without having removed it. */
export function isAbandoned(record: LabRecord): boolean {
  return record.owner !== null && processStart(record.owner.pid) !== record.owner.start;
}

/**
 * Makes empty directories of the machine that hosts mount their disks over. Those it lacks are
 * noted first, in one file for all labs, and removed with the last lab.
 */
export function makeMountPoints(dirs: readonly string[]): void {
  const lacking = dirs.filter((dir) => !existsSync(dir));
  if (lacking.length > 0) appendFileSync(MADE_DIRS, lacking.map((dir) => `${dir}\n`).join(""));
  for (const dir of lacking) mkdirSync(dir, { recursive: true });
}

/** Removes a lab's files, then what only labs needed, when this was the last one. */
export function removeLabDir(name: string): void {
  rmSync(labPaths(name).dir, { recursive: true, force: true });
  if (listLabs().length > 0) return;
  const made = existsSync(MADE_DIRS) ? readFileSync(MADE_DIRS, "utf8").split("\n") : [];
  for (const dir of new Set(made)) if (dir !== "") removeIfEmpty(dir);
  rmSync(MADE_DIRS, { force: true });
  removeIfEmpty(LABS_DIR);
}

function removeIfEmpty(dir: string): void {
  try {
    rmdirSync(dir);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== "ENOTEMPTY" && code !== "ENOENT" && code !== "EBUSY") throw error;
  }
}
