/**
 * The envelope of every datagram: two magic bytes, the protocol version, the kind. One socket
 * carries membership and tables; each sees only its own packets.
 *
 * Law: packets of another version or kind are counted and dropped, never guessed at.
 */
import type { Cancel, Datagrams, HostPort, Log } from "../ports.ts";

/** Changes only when old peers could not even ignore what new ones send. */
export const PROTOCOL_VERSION = 1;

const MAGIC = [0x74, 0x77] as const;
const HEADER_BYTES = 4;
const KINDS = { membership: 1, tables: 2 } as const;

export type ChannelKind = keyof typeof KINDS;

/** Sorts arriving packets by kind; each channel is a Datagrams port of its own. */
export class PacketChannels {
  readonly #datagrams: Datagrams;
  readonly #log: Log;
  /** BOUNDED: one receiver a kind. */
  readonly #receivers = new Map<number, (from: HostPort, packet: Uint8Array) => void>();
  readonly #cancel: Cancel;
  /** Packets dropped for a wrong header; the version of the last one, for status. */
  readonly dropped = { count: 0, lastVersion: PROTOCOL_VERSION as number };

  constructor(datagrams: Datagrams, log: Log) {
    this.#datagrams = datagrams;
    this.#log = log;
    this.#cancel = datagrams.onPacket((from, packet) => this.#receive(from, packet));
  }

  channel(kind: ChannelKind): Datagrams {
    const code = KINDS[kind];
    return {
      local: this.#datagrams.local,
      send: (to, payload) => {
        const packet = new Uint8Array(HEADER_BYTES + payload.length);
        packet.set([...MAGIC, PROTOCOL_VERSION, code]);
        packet.set(payload, HEADER_BYTES);
        this.#datagrams.send(to, packet);
      },
      onPacket: (receive) => {
        this.#receivers.set(code, receive);
        return () => this.#receivers.delete(code);
      },
      close: async () => {
        this.#receivers.delete(code);
      },
    };
  }

  close(): void {
    this.#cancel();
  }

  #receive(from: HostPort, packet: Uint8Array): void {
    const [magic0, magic1, version, code] = packet;
    if (magic0 === MAGIC[0] && magic1 === MAGIC[1] && version === PROTOCOL_VERSION) {
      const receive = this.#receivers.get(code ?? 0);
      if (receive !== undefined) {
        receive(from, packet.subarray(HEADER_BYTES));
        return;
      }
    }
    if (this.dropped.count === 0 || version !== this.dropped.lastVersion) {
      this.#log.warn({ from, version: version ?? null }, "dropping packets of another protocol");
    }
    this.dropped.count += 1;
    this.dropped.lastVersion = version ?? 0;
  }
}
