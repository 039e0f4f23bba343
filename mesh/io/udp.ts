/**
 * The Datagrams port on a UDP socket bound to exactly the given address.
 *
 * Law: nothing thrown by a socket, a receiver or an unreachable peer leaves this file once the
 * socket is open; oversized packets are dropped at both ends.
 */
import { createSocket, type RemoteInfo, type Socket, type SocketOptions } from "node:dgram";
import { isIP, isIPv4 } from "node:net";
import { messageOf } from "../errors.ts";
import { LIMITS } from "../limits.ts";
import type { Datagrams, HostPort, Log } from "../ports.ts";
import { bindError } from "./bind-error.ts";

/** A burst of member lists from hundreds of peers fits; the kernel may grant less. */
const RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024;
const MAPPED = "::ffff:";

/**
 * Opens and binds; port 0 takes any free port.
 * @throws TsweaveError PORT_IN_USE, CONFIG when the address is not this host's, NOT_ROOT
 */
export async function openUdp(bind: HostPort, log: Log): Promise<Datagrams> {
  const isV6 = isIP(bind.host) === 6;
  if (isIP(bind.host) === 0) throw bindError({ code: "ENOTFOUND" }, "UDP", bind);
  const socket = createSocket({ type: isV6 ? "udp6" : "udp4", lookup: noLookup });
  await bound(socket, bind);
  socket.on("error", (error) => log.warn({ error: messageOf(error) }, "UDP socket error"));
  enlargeBuffer(socket, log);
  const { address, port } = socket.address();
  return new UdpDatagrams(socket, { host: address, port }, log);
}

/** Hosts are literal addresses: node's own lookup costs each datagram a turn and its checks. */
const noLookup = ((host: string, family: number, found: Found) =>
  found(null, host, family)) as unknown as SocketOptions["lookup"];
type Found = (error: null, address: string, family: number) => void;

async function bound(socket: Socket, bind: HostPort): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    socket.once("error", (error) => {
      socket.close();
      reject(bindError(error, "UDP", bind));
    });
    socket.bind({ address: bind.host, port: bind.port, exclusive: true }, () => {
      socket.removeAllListeners("error");
      resolve();
    });
  });
}

function enlargeBuffer(socket: Socket, log: Log): void {
  try {
    socket.setRecvBufferSize(RECEIVE_BUFFER_BYTES);
  } catch (error) {
    log.debug({ error: messageOf(error) }, "keeping the default receive buffer");
  }
}

class UdpDatagrams implements Datagrams {
  readonly local: HostPort;
  readonly #socket: Socket;
  readonly #log: Log;
  /** BOUNDED: subscribers within this process. */
  readonly #receivers = new Set<(from: HostPort, packet: Uint8Array) => void>();
  readonly #isV6: boolean;
  #isOpen = true;

  constructor(socket: Socket, local: HostPort, log: Log) {
    this.#socket = socket;
    this.local = local;
    this.#isV6 = isIP(local.host) === 6;
    this.#log = log;
    socket.on("message", (packet, from) => this.#receive(packet, from));
  }

  send(to: HostPort, packet: Uint8Array): void {
    if (!this.#isOpen) return;
    if (packet.length > LIMITS.datagramBytesMax) {
      this.#log.error({ to, bytes: packet.length }, "not sending an oversized datagram");
      return;
    }
    const host = this.#reachableForm(to.host);
    if (host === undefined || to.port < 1 || to.port > 65_535) {
      this.#log.debug({ to }, "not sending to an address of another kind");
      return;
    }
    try {
      this.#socket.send(packet, to.port, host, (error) => this.#sent(to, error));
    } catch (error) {
      this.#sent(to, error);
    }
  }

  onPacket(receive: (from: HostPort, packet: Uint8Array) => void): () => void {
    this.#receivers.add(receive);
    return () => this.#receivers.delete(receive);
  }

  async close(): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    await new Promise<void>((resolve) => this.#socket.close(() => resolve()));
  }

  /** A dual-stack socket needs IPv4 peers in mapped form; names are never looked up. */
  #reachableForm(host: string): string | undefined {
    if (isIPv4(host)) return this.#isV6 ? `${MAPPED}${host}` : host;
    return this.#isV6 && isIP(host) === 6 ? host : undefined;
  }

  #sent(to: HostPort, error: unknown): void {
    if (error !== null && error !== undefined) {
      this.#log.debug({ to, error: messageOf(error) }, "datagram not sent");
    }
  }

  #receive(packet: Buffer, remote: RemoteInfo): void {
    const from = { host: plainHost(remote.address), port: remote.port };
    if (packet.length > LIMITS.datagramBytesMax) {
      this.#log.debug({ from, bytes: packet.length }, "dropping an oversized datagram");
      return;
    }
    for (const receive of [...this.#receivers]) {
      try {
        receive(from, packet);
      } catch (error) {
        this.#log.error({ from, error: messageOf(error) }, "a datagram could not be handled");
      }
    }
  }
}

/** IPv4 peers of a dual-stack socket under their IPv4 address. */
export function plainHost(address: string): string {
  if (!address.startsWith(MAPPED)) return address;
  const mapped = address.slice(MAPPED.length);
  return isIPv4(mapped) ? mapped : address;
}
