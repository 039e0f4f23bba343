/**
 * A machine of a lab that is installed as people install theirs: a clean Debian root
 * (debian-root.ts) under a disk of its own, booted by systemd, with Docker as Debian packages it.
 *
 * Law: as for a host of the lab: off means everything volatile is gone and the disk is not, and all
 * of it is under the lab's record, so that `Lab.down` removes it.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Background, startBackground } from "./background.ts";
import { cgroupParent, removeCgroups } from "./cgroups.ts";
import { type ExecOptions, type ExecResult, run, until } from "./exec.ts";
import { gatewayAddress } from "./gateway.ts";
import { IMAGE, IMAGE_CHANGES } from "./image.ts";
import type { Lab } from "./lab.ts";
import { MTU_BYTES, plugIn, pullOut } from "./lan.ts";
import { holderPid, startHolder, stopHolder } from "./processes.ts";
import { labPaths, loadRecord, saveRecord } from "./record.ts";

const ENVIRONMENT = {
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  HOME: "/root",
  LANG: "C.UTF-8",
  TERM: "dumb",
};
/** Units that a machine without hardware and people does not need. */
const MASKED = [
  ...["systemd-firstboot", "systemd-logind", "systemd-udevd", "systemd-udev-trigger", "getty@"],
  ...["systemd-networkd", "systemd-networkd-wait-online", "systemd-resolved", "console-getty"],
  ...["systemd-timesyncd", "e2scrub_reap"],
].map((name) => `${name}.service`);

export class Machine {
  readonly lab: string;
  readonly name: string;
  readonly address: string;
  readonly #root: string;
  readonly #mac: string;
  readonly #gateway: string;

  /** `index` is the last byte of its address, `root` a Debian root that is never written to. */
  constructor(lab: Lab, name: string, index: number, root: string) {
    const prefix = loadRecord(lab.name)?.prefix ?? "";
    this.lab = lab.name;
    this.name = name;
    this.address = `${prefix}.${index}`;
    this.#root = root;
    this.#mac = `02:1a:b1:00:00:${index.toString(16).padStart(2, "0")}`;
    this.#gateway = gatewayAddress(prefix);
  }

  get #disk(): string {
    return labPaths(this.lab).host(this.name);
  }

  get #initFile(): string {
    return labPaths(this.lab).init(this.name);
  }

  /** The command line prefix that enters all namespaces of the machine. */
  get enter(): string[] {
    const pid = holderPid(this.#initFile);
    if (pid === undefined) throw new Error(`machine ${this.name} is off`);
    const ns = (name: string) => `--${name}=/proc/${pid}/ns/${name}`;
    return ["nsenter", ...["net", "mnt", "uts", "ipc", "pid", "cgroup"].map(ns), "--"].map((word) =>
      word.replace(/^--mnt=/, "--mount="),
    );
  }

  /** Runs a command in the machine. Throws ExecError unless `allowFailure`. */
  exec(argv: readonly string[], options: Omit<ExecOptions, "env"> = {}): Promise<ExecResult> {
    return run([...this.enter, ...argv], { ...options, env: ENVIRONMENT });
  }

  /** Trimmed standard output of a command that must succeed. */
  async ok(...argv: string[]): Promise<string> {
    return (await this.exec(argv)).stdout.trim();
  }

  /** Starts a command in the machine that keeps running. */
  spawn(argv: readonly string[]): Promise<Background> {
    return startBackground(this.enter, argv, ENVIRONMENT);
  }

  /** Path of a file of the machine as seen from outside, while the power is on. */
  path(file: string): string {
    return join(`/proc/${holderPid(this.#initFile)}/root`, file);
  }

  /** Power on: resolves when systemd has started everything. */
  async boot(): Promise<void> {
    const paths = labPaths(this.lab);
    this.#register();
    this.#writeDisk();
    const script = fileURLToPath(new URL("./machine-init.sh", import.meta.url));
    const group = cgroupParent(this.lab, this.name);
    await startHolder(paths.holder(this.name), paths.log(this.name), [
      ...["sh", script, "enter", group, this.name, this.#root, this.#disk, this.#initFile],
    ]);
    const pid = holderPid(this.#initFile);
    if (pid === undefined) throw new Error(readFileSync(paths.log(this.name), "utf8"));
    await plugIn(this.lab, {
      port: this.name,
      pid,
      address: this.address,
      mac: this.#mac,
      gateway: this.#gateway,
      mtuBytes: MTU_BYTES,
    });
    const look = ["systemctl", "is-system-running"];
    await until(
      `systemd of ${this.name}`,
      async () => /running|degraded/.test((await this.exec(look, { allowFailure: true })).stdout),
      { timeoutMs: 60_000, everyMs: 100 },
    );
  }

  /** Power failure: every process dies at once. */
  async crash(): Promise<void> {
    await stopHolder(this.#initFile);
    await stopHolder(labPaths(this.lab).holder(this.name));
    await pullOut(this.lab, this.name);
    await removeCgroups(this.lab, this.name);
  }

  /** Puts a file of this machine into that one. */
  put(from: string, to: string): void {
    const target = this.path(to);
    mkdirSync(dirname(target), { recursive: true });
    cpSync(from, target, { recursive: true, verbatimSymlinks: true });
  }

  /** Gives its engine the lab's image. */
  async importImage(): Promise<void> {
    this.put(labPaths(this.lab).image, "/root/busybox.tar");
    const changes = IMAGE_CHANGES.flatMap((change) => ["-c", change]);
    await this.ok("docker", "import", ...changes, "/root/busybox.tar", IMAGE);
  }

  /** What must be removed is on record before it is made. */
  #register(): void {
    const record = loadRecord(this.lab);
    if (record === undefined) throw new Error(`lab ${this.lab} is down`);
    record.machines = [...new Set([...(record.machines ?? []), this.name])];
    saveRecord(record);
  }

  /** What a person sets up before the first boot. */
  #writeDisk(): void {
    const etc = join(this.#disk, "upper/etc");
    if (existsSync(etc)) return;
    const units = join(etc, "systemd/system");
    mkdirSync(units, { recursive: true });
    writeFileSync(join(etc, "hostname"), `${this.name}\n`);
    writeFileSync(join(etc, "hosts"), `127.0.0.1\tlocalhost\n${this.address}\t${this.name}\n`);
    writeFileSync(join(etc, "resolv.conf"), `nameserver ${this.#gateway}\n`);
    for (const unit of MASKED) writeFileSync(join(units, unit), "");
  }
}
