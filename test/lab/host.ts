/**
 * One host of a lab: network, mount, UTS, IPC and PID namespace, whose process 1 is the host's
 * power. Keeps the law: off means everything volatile is gone (processes, network state, /run,
 * cgroups) and the disk (DISK_DIRS) is not.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Background, startBackground } from "./background.ts";
import { removeCgroups } from "./cgroups.ts";
import * as engine from "./engine.ts";
import { type ExecOptions, type ExecResult, run } from "./exec.ts";
import { applyCable } from "./faults.ts";
import { gatewayAddress } from "./gateway.ts";
import { MTU_BYTES, plugIn, pullOut } from "./lan.ts";
import { holderPid, startHolder, stopHolder } from "./processes.ts";
import { type HostRecord, type LabRecord, labPaths } from "./record.ts";

/**
 * Directories that live on a host's own disk, under the same path there. dockerd keeps its identity
 * in /etc/docker, and containerd makes /opt/containerd wherever it runs.
 */
export const DISK_DIRS = [
  ...["/var/lib/docker", "/var/lib/tsweave", "/var/log", "/etc/docker", "/opt/containerd"],
];

export interface HostExecOptions extends Omit<ExecOptions, "env"> {
  /** Variables added to the host's small standard environment. */
  readonly env?: Readonly<Record<string, string>>;
}

export class Host implements engine.EngineHost {
  readonly lab: string;
  readonly name: string;
  readonly address: string;
  readonly storageDriver: string;
  readonly dockerdArgs: readonly string[];
  readonly #record: () => LabRecord;
  readonly #spec: HostRecord;

  /** `record` gives the lab's present record. */
  constructor(spec: HostRecord, record: () => LabRecord) {
    this.#spec = spec;
    this.#record = record;
    this.lab = record().name;
    this.name = spec.name;
    this.address = spec.address;
    this.storageDriver = record().storageDriver;
    this.dockerdArgs = spec.dockerdArgs;
  }

  /** The process that keeps the host's namespaces, while the power is on. */
  get #holder(): number | undefined {
    return holderPid(labPaths(this.lab).holder(this.name));
  }

  /** Whether the power is on. */
  get isOn(): boolean {
    return this.#holder !== undefined;
  }

  /** A process in the host's network and mount namespace. Throws while the power is off. */
  get pid(): number {
    const pid = this.#holder;
    if (pid === undefined) throw new Error(`host ${this.name} of lab ${this.lab} is off`);
    return pid;
  }

  /** The command line prefix that enters all namespaces of the host. */
  get enter(): string[] {
    const ns = (name: string) => `/proc/${this.pid}/ns/${name}`;
    return [
      ...["nsenter", `--net=${ns("net")}`, `--mount=${ns("mnt")}`, `--uts=${ns("uts")}`],
      ...[`--ipc=${ns("ipc")}`, `--pid=${ns("pid_for_children")}`, "--"],
    ];
  }

  /** The environment of commands in the host: nothing of the caller's Docker or test runner. */
  environment(added: Readonly<Record<string, string>> = {}): Record<string, string> {
    const { engineDir } = this.#spec;
    const engineBins = engineDir === null ? "" : `${engineDir}/usr/sbin:${engineDir}/usr/bin:`;
    // /run is the host's own: what is put into /run/bin is a command there and nowhere else.
    const system = "/run/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    return {
      PATH: `${engineBins}${dirname(process.execPath)}:${system}`,
      HOME: "/root",
      LANG: "C.UTF-8",
      TERM: process.env.TERM ?? "dumb",
      DOCKER_CONFIG: "/run/docker-cli",
      ...added,
    };
  }

  /** Runs a command in the host. Throws ExecError unless `allowFailure`. */
  exec(argv: readonly string[], options: HostExecOptions = {}): Promise<ExecResult> {
    const env = this.environment(options.env);
    return run([...this.enter, ...argv], { ...options, env });
  }

  /**
   * Whether a ping of `address` is answered within a second, or, asked again and again, `withinMs`.
   * After a fault ends, the kernel may take a second to ask for a lost MAC address again.
   */
  async canPing(address: string, withinMs = 0): Promise<boolean> {
    const ping = ["busybox", "ping", "-c", "1", "-W", "1", address];
    const deadline = performance.now() + withinMs;
    for (;;) {
      if ((await this.exec(ping, { allowFailure: true })).code === 0) return true;
      if (performance.now() > deadline) return false;
    }
  }

  /** `docker ARGS…` against the host's engine; resolves to trimmed stdout. Throws ExecError. */
  async docker(...args: string[]): Promise<string> {
    return (await this.exec(this.dockerArgv(...args))).stdout.trim();
  }

  /** The command line of `docker ARGS…`, for exec with options or for spawn. */
  dockerArgv(...args: string[]): string[] {
    return ["docker", "-H", `unix://${engine.SOCKET}`, ...args];
  }

  /** Starts a command in the host that keeps running. */
  spawn(argv: readonly string[], options: { env?: Record<string, string> } = {}) {
    const env = this.environment(options.env);
    return startBackground(this.enter, argv, env);
  }

  /**
   * Path of a file of the host as seen from outside; of a host that is off only its disk. An
   * absolute link on the way would lead out of the host, so the usual one, /var/run, is followed.
   */
  path(file: string): string {
    const inHost = file.replace(/^\/var\/run\//, "/run/");
    if (this.isOn) return join(`/proc/${this.pid}/root`, inHost);
    if (DISK_DIRS.some((dir) => `${file}/`.startsWith(`${dir}/`))) return join(this.#disk, file);
    throw new Error(`host ${this.name} is off and ${file} is not on its disk`);
  }

  /** Prints frames at the host's eth0 that match a pcap filter; `stop()` gives the lines. */
  async tcpdump(filter: string, device = "eth0"): Promise<Background> {
    const flags = ["-i", device, "-nn", "-e", "-l", "--immediate-mode", "-Z", "root"];
    const dump = await this.spawn(["tcpdump", ...flags, filter]);
    await dump.waitForOutput(/listening on/);
    return dump;
  }

  /** Power on: fresh namespaces, the old disk; then the cable, with its faults, and the engine. */
  async boot({ startEngine = this.#record().engines } = {}): Promise<void> {
    if (this.isOn) throw new Error(`host ${this.name} is on`);
    const paths = labPaths(this.lab);
    this.#writeDisk();
    const script = fileURLToPath(new URL("./host-init.sh", import.meta.url));
    await startHolder(paths.holder(this.name), paths.log(this.name), [
      ...["unshare", "--net", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child"],
      ...["sh", script, this.name, this.#disk, paths.init(this.name), ...DISK_DIRS],
    ]);
    await plugIn(this.lab, {
      port: this.name,
      pid: this.pid,
      address: this.address,
      mac: this.#spec.mac,
      gateway: gatewayAddress(this.#record().prefix),
      mtuBytes: MTU_BYTES,
    });
    await applyCable(this.lab, this.#record().faults, this.name, this.pid);
    if (startEngine) await this.startEngine();
  }

  /** Power failure: every process dies at once, all kernel state of the host goes with them. */
  async crash(): Promise<void> {
    const paths = labPaths(this.lab);
    await stopHolder(paths.init(this.name));
    await stopHolder(paths.holder(this.name));
    await pullOut(this.lab, this.name);
    await removeCgroups(this.lab, this.name);
  }

  /** Starts dockerd and waits until it answers and has the image `busybox`. */
  async startEngine(): Promise<void> {
    await engine.startEngine(this);
    await engine.importImage(this, labPaths(this.lab).image);
  }

  /** Orderly end of dockerd (SIGTERM): containers are stopped first, unless --live-restore. */
  stopEngine(): Promise<void> {
    return engine.signalEngine(this, "TERM");
  }

  /** kill -9 of dockerd: its containerd and containers go on. */
  killEngine(): Promise<void> {
    return engine.signalEngine(this, "KILL");
  }

  /** One request to the engine's API. */
  api(method: string, path: string, json?: unknown): Promise<engine.EngineReply> {
    return engine.engineRequest(this, method, path, json === undefined ? {} : { json });
  }

  /** Writes /etc/hosts anew, in place, because the file is a mount. */
  writeHostsFile(): void {
    const names = this.#record().hosts.map((host) => `${host.address}\t${host.name}`);
    const text = ["127.0.0.1\tlocalhost", "::1\tlocalhost", ...names, ""].join("\n");
    writeFileSync(join(this.#disk, "etc/hosts"), text);
  }

  get #disk(): string {
    return labPaths(this.lab).host(this.name);
  }

  #writeDisk(): void {
    for (const dir of ["/etc", ...DISK_DIRS]) mkdirSync(join(this.#disk, dir), { recursive: true });
    writeFileSync(join(this.#disk, "etc/hostname"), `${this.name}\n`);
    const nameserver = `nameserver ${gatewayAddress(this.#record().prefix)}\n`;
    writeFileSync(join(this.#disk, "etc/resolv.conf"), nameserver);
    this.writeHostsFile();
  }
}
