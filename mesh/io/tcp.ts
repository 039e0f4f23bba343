/**
 * The Streams port on TCP: one connection a question, one frame each way.
 *
 * Law: both sides give a connection a deadline, so a half-open or silent peer holds nothing; at
 * most `LIMITS.streamsMax` questions are served at once; a handler's failure closes only its own
 * connection.
 */
import { createConnection, createServer, isIP, type Server, type Socket } from "node:net";
import { messageOf, TsweaveError } from "../errors.ts";
import { LIMITS, TIMES } from "../limits.ts";
import type { HostPort, Log, Reachability, Streams } from "../ports.ts";
import { bindError } from "./bind-error.ts";
import { FrameReader, framed } from "./frame.ts";
import { plainHost } from "./udp.ts";

type Handle = (from: HostPort, frame: Uint8Array) => Promise<Uint8Array>;

/**
 * Listens on exactly the given address; port 0 takes any free port.
 * @throws TsweaveError PORT_IN_USE, CONFIG when the address is not this host's, NOT_ROOT
 */
export async function openTcp(bind: HostPort, log: Log): Promise<TcpStreams> {
  if (isIP(bind.host) === 0) throw bindError({ code: "ENOTFOUND" }, "TCP", bind);
  const server = createServer({ allowHalfOpen: true });
  server.maxConnections = LIMITS.streamsMax;
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => reject(bindError(error, "TCP", bind)));
    server.listen({ host: bind.host, port: bind.port, exclusive: true }, () => {
      server.removeAllListeners("error");
      resolve();
    });
  });
  server.on("error", (error) => log.warn({ error: messageOf(error) }, "TCP listener error"));
  return new TcpStreams(server, bind, log);
}

export class TcpStreams implements Streams {
  readonly local: HostPort;
  readonly #server: Server;
  readonly #log: Log;
  /** Questions leave from the bound address, so that the peer sees the one it knows. */
  readonly #source: { readonly localAddress: string } | object;
  /** BOUNDED: LIMITS.streamsMax inbound; outbound as many as this process asks. */
  readonly #sockets = new Set<Socket>();
  #handle: Handle | undefined;

  constructor(server: Server, bind: HostPort, log: Log) {
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : bind.port;
    this.local = { host: bind.host, port };
    this.#server = server;
    this.#log = log;
    this.#source = /^[0.:]+$/.test(bind.host) ? {} : { localAddress: bind.host };
    server.on("connection", (socket) => this.#serve(socket));
  }

  async request(to: HostPort, frame: Uint8Array, deadlineMs: number): Promise<Uint8Array> {
    const question = framed(frame);
    const where = `${to.host}:${to.port}`;
    return await new Promise<Uint8Array>((resolve, reject) => {
      const socket = this.#connect(to);
      const fail = (
        code: "PEER_UNREACHABLE" | "TIMED_OUT",
        text: string,
        cause?: unknown,
      ): void => {
        reject(new TsweaveError(code, `${where} ${text}`, { cause }));
        socket.destroy();
      };
      const timer = setTimeout(() => {
        fail("TIMED_OUT", `did not answer within ${deadlineMs} ms`);
      }, deadlineMs);
      socket.on("connect", () => socket.end(question));
      readFrame(
        socket,
        (answer) => {
          resolve(answer);
          socket.destroy();
        },
        (error) => fail("PEER_UNREACHABLE", `sent no answer: ${messageOf(error)}`, error),
      );
      socket.on("error", (error) => fail("PEER_UNREACHABLE", messageOf(error), error));
      socket.on("close", () => {
        clearTimeout(timer);
        fail("PEER_UNREACHABLE", "closed the connection without an answer");
      });
    });
  }

  async probe(to: HostPort, deadlineMs: number): Promise<Reachability> {
    return await new Promise<Reachability>((resolve) => {
      const socket = this.#connect(to);
      const timer = setTimeout(() => conclude("silent"), deadlineMs);
      const conclude = (verdict: Reachability): void => {
        clearTimeout(timer);
        resolve(verdict);
        socket.destroy();
      };
      socket.on("connect", () => conclude("open"));
      socket.on("error", (error: NodeJS.ErrnoException) => {
        conclude(error.code === "ECONNREFUSED" ? "refused" : "silent");
      });
      socket.on("close", () => conclude("silent"));
    });
  }

  /** One handler; a later one replaces it. */
  onRequest(handle: Handle): () => void {
    this.#handle = handle;
    return () => {
      if (this.#handle === handle) this.#handle = undefined;
    };
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #connect(to: HostPort): Socket {
    if (isIP(to.host) === 0 || !Number.isInteger(to.port) || to.port < 1 || to.port > 65_535) {
      throw new TsweaveError("PEER_UNREACHABLE", `${to.host}:${to.port} is not an IP and port`);
    }
    const socket = createConnection({ host: to.host, port: to.port, ...this.#source });
    this.#track(socket);
    return socket;
  }

  #track(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
  }

  #serve(socket: Socket): void {
    this.#track(socket);
    const from = { host: plainHost(socket.remoteAddress ?? ""), port: socket.remotePort ?? 0 };
    const drop = (error: unknown): void => {
      this.#log.debug({ from, error: messageOf(error) }, "dropping a connection");
      socket.destroy();
    };
    const stopReading = deadline(socket, drop, "the question did not come in time");
    socket.on("error", drop);
    readFrame(
      socket,
      (frame) => {
        stopReading();
        void this.#reply(socket, from, frame, drop);
      },
      drop,
    );
  }

  async #reply(
    socket: Socket,
    from: HostPort,
    frame: Uint8Array,
    drop: (error: unknown) => void,
  ): Promise<void> {
    try {
      if (this.#handle === undefined) throw new TsweaveError("NOT_FOUND", "no handler");
      const answer = framed(await this.#handle(from, frame));
      deadline(socket, drop, "the answer was not read in time");
      socket.end(answer);
    } catch (error) {
      this.#log.warn({ from, error: messageOf(error) }, "a stream request failed");
      socket.destroy();
    }
  }
}

/** Runs out once unless cancelled or the socket closes first. */
function deadline(socket: Socket, late: (error: unknown) => void, text: string): () => void {
  const timer = setTimeout(() => late(new TsweaveError("TIMED_OUT", text)), TIMES.streamDeadlineMs);
  const cancel = (): void => clearTimeout(timer);
  socket.on("close", cancel);
  return cancel;
}

/** Calls exactly one of the two, once; an end before the frame is complete is a failure. */
function readFrame(
  socket: Socket,
  done: (frame: Uint8Array) => void,
  failed: (error: unknown) => void,
): void {
  const reader = new FrameReader();
  let isOver = false;
  socket.on("data", (chunk: Buffer) => {
    if (isOver) return;
    try {
      const frame = reader.push(chunk);
      if (frame === undefined) return;
      isOver = true;
      done(frame);
    } catch (error) {
      isOver = true;
      failed(error);
    }
  });
  socket.on("end", () => {
    if (isOver) return;
    isOver = true;
    failed(new TsweaveError("BAD_MESSAGE", "the frame ended early"));
  });
}
