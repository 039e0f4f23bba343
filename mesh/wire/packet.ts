/**
 * One socket carries membership and tables; each sees only its own packets, in an encrypted mesh
 * after the seal was opened.
 *
 * Law: packets of another version or kind are counted and dropped, never guessed at. A sealed
 * packet in a plain mesh, or the reverse, is told to both sides.
 */
import type { Cancel, Clock, Datagrams, HostPort, Log, Random } from "../ports.ts";
import {
  ENVELOPE_BYTES,
  envelope,
  KINDS,
  kindOf,
  PROTOCOL_VERSION,
  SEALED_BIT,
} from "./envelope.ts";
import type { Seal } from "./seal.ts";
import { SealGate } from "./seal-gate.ts";
import { noticeFor, readNotice, type Strangers } from "./seal-strangers.ts";

export type ChannelKind = "membership" | "tables";

interface ChannelPorts {
  readonly datagrams: Datagrams;
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
  readonly strangers: Strangers;
  /** Undefined in a plain mesh. */
  readonly seal: Seal | undefined;
}

/** The packets of one kind. */
export interface Channel extends Datagrams {
  /**
   * The same payload to each once: sealed once, since a session's key is the sender's and each
   * receiver counts for itself. To say it again is another call.
   */
  sendAll(to: readonly HostPort[], payload: Uint8Array): void;
}

/** Sorts arriving packets by kind; each channel is a Datagrams port of its own. */
export class PacketChannels {
  readonly #ports: ChannelPorts;
  /** BOUNDED: one receiver a kind. */
  readonly #receivers = new Map<number, (from: HostPort, packet: Uint8Array) => void>();
  readonly #cancel: Cancel;
  /** Packets dropped for a wrong header; the version of the last one, for status. */
  readonly dropped = { count: 0, lastVersion: PROTOCOL_VERSION as number };

  constructor(ports: ChannelPorts) {
    this.#ports = ports;
    const { datagrams, seal } = ports;
    const gate =
      seal === undefined
        ? undefined
        : new SealGate({
            ...ports,
            seal,
            send: (to, packet) => datagrams.send(to, packet),
            deliver: (from, kind, payload) => this.#receivers.get(kind)?.(from, payload),
          });
    this.#cancel = datagrams.onPacket((from, packet) => {
      if (kindOf(packet) === undefined) this.#dropForeign(from, packet);
      else if (gate !== undefined) gate.receive(from, packet);
      else this.#receivePlain(from, packet);
    });
  }

  channel(kind: ChannelKind): Channel {
    const code = KINDS[kind];
    const { datagrams, seal } = this.#ports;
    const packed = (payload: Uint8Array): Uint8Array =>
      seal === undefined
        ? Buffer.concat([envelope(code), payload])
        : seal.seal("datagram", code, payload);
    return {
      local: datagrams.local,
      send: (to, payload) => datagrams.send(to, packed(payload)),
      sendAll: (all, payload) => {
        if (all.length === 0) return;
        const packet = packed(payload);
        for (const to of all) datagrams.send(to, packet);
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

  #receivePlain(from: HostPort, packet: Uint8Array): void {
    const kind = kindOf(packet) ?? 0;
    const receive = this.#receivers.get(kind);
    if (receive !== undefined) receive(from, packet.subarray(ENVELOPE_BYTES));
    else if (kind === KINDS.notice) this.#takeNotice(from, packet);
    else if ((kind & SEALED_BIT) !== 0) this.#refuseSealed(from, packet);
    else this.dropped.count += 1;
  }

  #refuseSealed(from: HostPort, packet: Uint8Array): void {
    const { strangers, datagrams } = this.#ports;
    this.dropped.count += 1;
    if (!strangers.meet(from, "sealed")) return;
    const notice = noticeFor(packet, "plain");
    if (notice !== undefined) datagrams.send(from, notice);
  }

  #takeNotice(from: HostPort, packet: Uint8Array): void {
    if (readNotice(packet)?.why === "sealed") this.#ports.strangers.meet(from, "sealed");
  }

  #dropForeign(from: HostPort, packet: Uint8Array): void {
    const version = packet[2];
    if (this.dropped.count === 0 || version !== this.dropped.lastVersion) {
      this.#ports.log.warn(
        { from, version: version ?? null },
        "dropping packets of another protocol",
      );
    }
    this.dropped.count += 1;
    this.dropped.lastVersion = version ?? 0;
  }
}
