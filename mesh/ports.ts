/**
 * The whole contract between the pure core and the outside world, types only.
 *
 * Law: nothing outside `io/` and `cli/` touches a timer, date, random number, socket, file or
 * process except through one of these ports, so that a whole mesh runs in virtual time from a seed.
 */

/** Undo of a subscription or a timer; calling it twice is harmless. */
export type Cancel = () => void;

/** A UDP/TCP address: `host` is a literal IP, never a name. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** A peer's identity: 128 random bits as 32 lower-case hex digits. */
export type PeerId = string;

/** What msgpack carries: positional arrays of these, no maps (see wire/msgpack.ts). */
export type WireValue = null | boolean | number | string | Uint8Array | readonly WireValue[];

export interface Clock {
  /** Monotonic milliseconds from an arbitrary origin. */
  nowMs(): number;
  /** Milliseconds since the Unix epoch; may jump. */
  wallMs(): number;
  /** Calls `fire` once after `delayMs`. The name appears in diagnostics. */
  timer(name: string, delayMs: number, fire: () => void): Cancel;
}

export interface Random {
  /** A uniform unsigned 32-bit integer. */
  u32(): number;
  bytes(count: number): Uint8Array;
}

/** Unreliable datagrams of at most `limits.datagramBytesMax` bytes. */
export interface Datagrams {
  readonly local: HostPort;
  /** Never throws; an undeliverable packet is a lost packet. */
  send(to: HostPort, packet: Uint8Array): void;
  /** The same to each once, where that costs less than as many calls of `send`. */
  sendAll?(to: readonly HostPort[], packet: Uint8Array): void;
  onPacket(receive: (from: HostPort, packet: Uint8Array) => void): Cancel;
  close(): Promise<void>;
}

/** What a TCP connect to a peer's port tells of its host. */
export type Reachability = "open" | "refused" | "silent";

/** One bounded request frame for one bounded reply frame, over a stream transport. */
export interface Streams {
  request(to: HostPort, frame: Uint8Array, deadlineMs: number): Promise<Uint8Array>;
  /** `refused`: the host answers but no daemon listens; `silent`: no answer at all. */
  probe(to: HostPort, deadlineMs: number): Promise<Reachability>;
  onRequest(handle: (from: HostPort, frame: Uint8Array) => Promise<Uint8Array>): Cancel;
  close(): Promise<void>;
}

/** A journal whose records may be lost, though their writes were acknowledged. */
export interface JournalDamage {
  /** Bytes from the first unreadable record on. */
  readonly lostBytes: number;
  /** Where the damaged file is kept for people once the journal was written again. */
  readonly keptAt: string;
}

/** Durable bytes under short keys (`[a-z0-9-]+`). Every promise resolves after fdatasync. */
export interface Store {
  /** The last saved snapshot, or undefined when there is none. */
  load(key: string): Promise<Uint8Array | undefined>;
  /** Replaces the snapshot atomically. */
  save(key: string, bytes: Uint8Array): Promise<void>;
  /** The journal's records in order; a torn last record is dropped, and all behind damage. */
  records(key: string): Promise<Uint8Array[]>;
  /**
   * What `records` found damaged and could not give; undefined when the journal was whole. The next
   * write keeps the damaged file aside and goes on without it.
   */
  damage(key: string): JournalDamage | undefined;
  /** Appends one checksummed record to the journal. */
  append(key: string, record: Uint8Array): Promise<void>;
  /** Replaces the whole journal atomically (compaction). */
  rewrite(key: string, records: readonly Uint8Array[]): Promise<void>;
}

/** Programs one scope of kernel state. Shapes are overlay/model.ts's. */
export interface Kernel<Scope, Observed, Step> {
  observe(scope: Scope): Promise<Observed>;
  /** Applies in order; resolves with the steps that failed and why (empty: all applied). */
  apply(steps: readonly Step[]): Promise<readonly { step: Step; error: string }[]>;
  /**
   * Hints that kernel state may have changed, with the line that says so where there is one; truth
   * is what `observe` returns.
   */
  onDirty(notify: (hint?: { readonly scope: Scope; readonly line: string }) => void): Cancel;
}

/** A container endpoint as `GET /networks/{id}` shows it. */
export interface EngineEndpoint {
  readonly endpointId: string;
  /** Container id, or `ep-…` while the sandbox is not yet known. */
  readonly containerKey: string;
  readonly containerName: string;
  readonly ip: string;
}

export interface EngineNetwork {
  readonly id: string;
  readonly name: string;
  readonly driver: string;
  readonly ipamDriver: string;
  readonly internal: boolean;
  readonly subnets: readonly string[];
  /** The `-o` options. */
  readonly options: Readonly<Record<string, string>>;
  /** Present only when read by id. */
  readonly endpoints: readonly EngineEndpoint[];
}

export interface EngineContainer {
  readonly id: string;
  readonly name: string;
  readonly running: boolean;
  readonly hostname: string;
  /** Path of the network namespace, empty when not running. */
  readonly sandboxKey: string;
  /** Ports it exposes, such as `80/tcp`; absent: none. */
  readonly ports?: readonly string[];
  /** True when its health check fails. */
  readonly isUnhealthy?: boolean;
  readonly networks: readonly {
    readonly networkId: string;
    readonly networkName: string;
    readonly endpointId: string;
    /** Aliases and, from engine 25, DNSNames, deduplicated. */
    readonly names: readonly string[];
    /** Aliases that `--link` defined in this container. */
    readonly links: readonly string[];
  }[];
}

export interface EngineEvent {
  readonly type: "container" | "network" | "connected" | "disconnected";
  /** `start`, `die`, `rename`, `destroy`, `connect`, …; empty for connection events. */
  readonly action: string;
  readonly id: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** The part of the Docker Engine API the product uses; every call has a deadline. */
export interface Engine {
  /** Engine version, or an error of code `DOCKER_UNREACHABLE`. */
  version(): Promise<string>;
  networks(): Promise<EngineNetwork[]>;
  network(id: string): Promise<EngineNetwork | undefined>;
  createNetwork(spec: {
    readonly name: string;
    readonly driver: string;
    readonly subnet: string;
    readonly internal: boolean;
    readonly options: Readonly<Record<string, string>>;
    /** These are left to the engine where they are empty or absent. */
    readonly gateway?: string;
    readonly ipRange?: string;
    readonly auxiliary?: readonly string[];
    readonly labels?: Readonly<Record<string, string>>;
  }): Promise<string>;
  removeNetwork(id: string): Promise<void>;
  /**
   * Blocks on a container that is being started until its start finishes, so it takes its own
   * deadline: never await it inside a driver call for that same container.
   */
  container(idOrName: string, deadlineMs: number): Promise<EngineContainer | undefined>;
  /** Ids of running containers. */
  running(): Promise<string[]>;
  /** Reconnects for ever with backoff; `connected` is delivered after each (re)connection. */
  onEvent(receive: (event: EngineEvent) => void): Cancel;
}

/** Structured logging in pino's argument order. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  child(fields: object): Log;
}
