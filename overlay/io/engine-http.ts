/**
 * One HTTP exchange with the Docker Engine over its unix socket: bounded in time and size.
 *
 * Law: a hung or vanished engine costs one deadline, never a hung caller; a fresh connection each
 * time, so that a restarted engine is met without an error.
 */
import { type IncomingMessage, request } from "node:http";
import { type Clock, LIMITS, messageOf, TsweaveError } from "../../mesh/index.ts";

/** 1.41 is spoken from engine 20.10; engine 29 still accepts it (its least is 1.40). */
const API = "/v1.41";

export interface Exchange {
  readonly method: "GET" | "POST" | "DELETE";
  /** Path below the API version, with query. */
  readonly path: string;
  readonly body?: unknown;
  readonly deadlineMs: number;
}

export class EngineHttp {
  readonly #socketPath: string;
  readonly #clock: Clock;

  constructor(socketPath: string, clock: Clock) {
    this.#socketPath = socketPath;
    this.#clock = clock;
  }

  /**
   * The decoded JSON answer, or undefined for 404 and for an empty body.
   * @throws TsweaveError DOCKER_UNREACHABLE, DOCKER_REFUSED with the engine's message.
   */
  async exchange(exchange: Exchange): Promise<unknown> {
    const body = exchange.body === undefined ? "" : JSON.stringify(exchange.body);
    return await new Promise((resolve, reject) => {
      const what = `${exchange.method} ${exchange.path}`;
      const call = request({
        socketPath: this.#socketPath,
        path: API + exchange.path,
        method: exchange.method,
        agent: false,
        headers: {
          host: "docker",
          ...(body === "" ? {} : { "content-type": "application/json" }),
          "content-length": Buffer.byteLength(body),
        },
      });
      const cancel = this.#clock.timer("engine call", exchange.deadlineMs, () => {
        call.destroy(new Error(`no answer within ${exchange.deadlineMs} ms`));
      });
      const fail = (error: unknown) => {
        cancel();
        call.destroy();
        reject(error instanceof TsweaveError ? error : this.#unreachable(what, error));
      };
      call.on("error", fail);
      call.on("response", (response) => {
        readBody(response, LIMITS.engineReplyBytesMax)
          .then((bytes) => {
            cancel();
            resolve(answerOf(what, response.statusCode ?? 0, bytes));
          })
          .catch(fail);
      });
      call.end(body);
    });
  }

  /** Opens a stream; resolves with the response once its headers are there. */
  async open(path: string, deadlineMs: number): Promise<IncomingMessage> {
    return await new Promise((resolve, reject) => {
      const call = request({
        socketPath: this.#socketPath,
        path: API + path,
        agent: false,
        headers: { host: "docker" },
      });
      const cancel = this.#clock.timer("engine stream", deadlineMs, () => {
        call.destroy(new Error(`no answer within ${deadlineMs} ms`));
      });
      call.on("error", (error) => {
        cancel();
        reject(this.#unreachable(`GET ${path}`, error));
      });
      call.on("response", (response) => {
        cancel();
        const status = response.statusCode ?? 0;
        if (status === 200) return resolve(response);
        response.destroy();
        reject(new TsweaveError("DOCKER_REFUSED", `Docker answered ${status} to GET ${path}`));
      });
      call.end();
    });
  }

  #unreachable(what: string, cause: unknown): TsweaveError {
    const where = this.#socketPath;
    const text = `Docker at ${where} does not answer ${what}: ${messageOf(cause)}`;
    return new TsweaveError("DOCKER_UNREACHABLE", text, {
      hint: "start docker, or launch with --no-docker",
      cause,
    });
  }
}

async function readBody(response: IncomingMessage, most: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response) {
    const bytes = chunk as Buffer;
    length += bytes.length;
    if (length > most) throw new Error(`more than ${most} bytes`);
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}

function answerOf(what: string, status: number, bytes: Buffer): unknown {
  const value = parse(bytes);
  if (status === 404) return undefined;
  if (status >= 200 && status < 300) {
    if (bytes.length === 0) return undefined;
    if (value !== undefined) return value;
    throw new TsweaveError("DOCKER_REFUSED", `Docker's answer to ${what} is not JSON`);
  }
  const said = (value as { message?: unknown } | undefined)?.message;
  const reason = typeof said === "string" ? said.slice(0, 500) : `status ${status}`;
  throw new TsweaveError("DOCKER_REFUSED", `Docker refused ${what}: ${reason}`);
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString("utf8")) ?? undefined;
  } catch {
    return undefined;
  }
}
