/**
 * The unix socket on which Docker calls the plugin: HTTP/1.1, POST `/<Interface>.<Method>`.
 *
 * Laws: the socket's name appears only when it is served (bound beside and renamed), and goes with
 * the daemon: a stale one costs every `docker volume ls` and engine start 15 s. Connections are
 * never closed while idle: Docker's retry after a broken one comes without its body.
 */
import { chmod, lstat, mkdir, rename, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { LIMITS, type Log, messageOf, TsweaveError } from "../../mesh/index.ts";

/** What answers the calls. */
export interface Plugin {
  /** The answer to `<Interface>.<Method>`; undefined when there is no such method. */
  handle(method: string, body: Uint8Array): Promise<object | undefined>;
}

/** A socket that is being served. */
export interface ServedPlugin {
  readonly path: string;
  /** Removes the socket, lets calls under way end for a bounded time, closes. Idempotent. */
  close(): Promise<void>;
}

/** The socket's name is the name of both drivers. */
const NAME = "tsweave";
const CONTENT_TYPE = "application/vnd.docker.plugins.v1.2+json";
/** How long stop waits for calls under way. */
const DRAIN_MS = 2000;

/**
 * Serves a plugin in `directory` (usually /run/docker/plugins), made when missing. A socket that
 * nobody answers is replaced.
 * @throws TsweaveError ALREADY_RUNNING when somebody does, STATE_UNWRITABLE.
 */
export async function servePlugin(
  directory: string,
  plugin: Plugin,
  log: Log,
): Promise<ServedPlugin> {
  const server = new PluginServer(directory, plugin, log);
  await server.open();
  return server;
}

class PluginServer implements ServedPlugin {
  readonly path: string;
  readonly #directory: string;
  readonly #plugin: Plugin;
  readonly #log: Log;
  readonly #server: Server;
  /** Inode of the socket, to remove no one else's. */
  #inode: bigint | undefined;

  constructor(directory: string, plugin: Plugin, log: Log) {
    this.path = join(directory, `${NAME}.sock`);
    this.#directory = directory;
    this.#plugin = plugin;
    this.#log = log;
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch((error: unknown) => {
        log.info({ reason: messageOf(error) }, "a call of Docker broke off");
        response.destroy();
      });
    });
    this.#server.keepAliveTimeout = 0;
  }

  async close(): Promise<void> {
    await this.#unlink();
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    const drain = setTimeout(() => this.#server.closeAllConnections(), DRAIN_MS);
    await closed;
    clearTimeout(drain);
  }

  async open(): Promise<void> {
    const beside = join(this.#directory, `.${NAME}.${process.pid}`);
    try {
      await mkdir(this.#directory, { recursive: true, mode: 0o755 });
      if (await answers(this.path)) {
        throw new TsweaveError("ALREADY_RUNNING", `${this.path} is served by another process`, {
          hint: "stop it first: tsweave stop",
        });
      }
      await rm(beside, { force: true });
      await listen(this.#server, beside);
      await chmod(beside, 0o600);
      this.#inode = (await lstat(beside, { bigint: true })).ino;
      await rename(beside, this.path);
    } catch (error) {
      if (this.#server.listening) {
        this.#server.close();
        await rm(beside, { force: true });
      }
      if (error instanceof TsweaveError) throw error;
      const reason = `cannot serve ${this.path}: ${messageOf(error)}`;
      throw new TsweaveError("STATE_UNWRITABLE", reason, {
        hint: "run as root, or give another directory with --plugin-dir",
        cause: error,
      });
    }
  }

  async #unlink(): Promise<void> {
    try {
      const { ino } = await lstat(this.path, { bigint: true });
      if (ino === this.#inode) await rm(this.path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
      this.#log.warn({ path: this.path, reason: messageOf(error) }, "socket not removed");
    }
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const method = (request.url ?? "").slice(1, 200);
    if (request.method !== "POST") return reply(response, 405, failure("only POST is served"));
    const body = await readBody(request);
    if (body === undefined) {
      return reply(response, 413, failure(`more than ${LIMITS.requestBytesMax} bytes`), true);
    }
    const answer = await this.#plugin.handle(method, body);
    if (answer !== undefined) return reply(response, 200, answer);
    // Docker forgives 404 where a driver may leave a method out.
    this.#log.info({ method }, "Docker called a method that tsweave does not have");
    reply(response, 404, failure(`tsweave has no method ${method}`));
  }
}

/** The whole body, or undefined when it is too long. */
async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request) {
    const bytes = chunk as Buffer;
    length += bytes.length;
    if (length > LIMITS.requestBytesMax) return undefined;
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}

function failure(line: string): object {
  return { Err: line, Error: line };
}

function reply(response: ServerResponse, status: number, answer: object, close = false): void {
  const body = JSON.stringify(answer);
  response.writeHead(status, {
    "content-type": CONTENT_TYPE,
    "content-length": Buffer.byteLength(body),
    ...(close ? { connection: "close" } : {}),
  });
  response.end(body);
}

/** Whether a process accepts connections on a socket; a full queue counts as one. */
async function answers(path: string): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect({ path });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", (error: NodeJS.ErrnoException) => {
      resolve(error.code === "EAGAIN");
    });
  });
}

async function listen(server: Server, path: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, () => {
      server.off("error", reject);
      resolve();
    });
  });
}
