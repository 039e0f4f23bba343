/** Sandboxes in memory: a hook that opens them, and the wires to talk through. */

import type { SandboxHook, SandboxSockets, StreamPeer, Upstream } from "../../../dns/sandbox.ts";
import type { Cancel, HostPort } from "../../../mesh/index.ts";

/** A UDP socket whose outgoing packets are kept. */
export class FakeDoor {
  readonly sent: { readonly to: HostPort; readonly packet: Uint8Array }[] = [];
  #receive: ((from: HostPort, packet: Uint8Array) => void) | undefined;

  send(to: HostPort, packet: Uint8Array): void {
    this.sent.push({ to, packet });
  }

  onPacket(receive: (from: HostPort, packet: Uint8Array) => void): Cancel {
    this.#receive = receive;
    return () => {
      this.#receive = undefined;
    };
  }

  deliver(packet: Uint8Array, from: HostPort = { host: "127.0.0.1", port: 40_000 }): void {
    this.#receive?.(from, packet);
  }
}

/** A TCP client as the service sees it. */
export class FakePeer implements StreamPeer {
  readonly written: Uint8Array[] = [];
  closed = false;
  #data: (bytes: Uint8Array) => void = () => {};
  #close: () => void = () => {};

  write(bytes: Uint8Array): void {
    this.written.push(bytes);
  }
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.#close();
  }
  onData(receive: (bytes: Uint8Array) => void): void {
    this.#data = receive;
  }
  onClose(notify: () => void): void {
    this.#close = notify;
  }
  deliver(bytes: Uint8Array): void {
    this.#data(bytes);
  }
}

export class FakeSockets implements SandboxSockets {
  readonly udp = new FakeDoor();
  upstream = new FakeDoor();
  /** How often another upstream was put in place. */
  reopened = 0;
  installed = false;
  closed = false;
  installError: Error | undefined;
  accept: (peer: StreamPeer) => void = () => {};

  onConnection(accept: (peer: StreamPeer) => void): Cancel {
    this.accept = accept;
    return () => {};
  }
  async install(): Promise<void> {
    if (this.installError !== undefined) throw this.installError;
    this.installed = true;
  }
  async reopen(): Promise<Upstream> {
    const upstream = new FakeDoor();
    const install = async () => {
      await this.install();
      this.upstream = upstream;
      this.reopened += 1;
    };
    return { upstream, install };
  }
  async close(): Promise<void> {
    this.closed = true;
  }
}

/** Opens fakes, keeps them in order, and fails as told. */
export class FakeHook implements SandboxHook {
  readonly opened: { readonly key: string; readonly sockets: FakeSockets }[] = [];
  readonly restored: string[] = [];
  /** Sandboxes whose redirect somebody removed. */
  readonly flushed = new Set<string>();
  /** Errors for the next calls of `open`, in order. */
  readonly failures: Error[] = [];
  installError: Error | undefined;
  /** When set, `open` waits for it: a slow host. */
  slow: Promise<void> | undefined;
  busy = 0;
  busyMax = 0;

  async open(key: string): Promise<SandboxSockets> {
    this.busy += 1;
    this.busyMax = Math.max(this.busyMax, this.busy);
    try {
      await this.slow;
      const failure = this.failures.shift();
      if (failure !== undefined) throw failure;
    } finally {
      this.busy -= 1;
    }
    const sockets = new FakeSockets();
    sockets.installError = this.installError;
    this.opened.push({ key, sockets });
    return sockets;
  }

  async restore(key: string): Promise<void> {
    this.restored.push(key);
  }

  async isInPlace(key: string): Promise<boolean> {
    return !this.flushed.delete(key);
  }

  /** The sockets opened last. */
  get last(): FakeSockets {
    const last = this.opened.at(-1);
    if (last === undefined) throw new Error("nothing was opened");
    return last.sockets;
  }
}
