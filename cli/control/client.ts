/**
 * The control API's client: one call, one deadline, one clear error.
 *
 * Law: a daemon that is absent, busy or dying is told apart, each with its exit code.
 */
import { type IncomingMessage, request } from "node:http";
import type { ForgetResult, LeaveResult } from "../../ipalloc/index.ts";
import { type HostPort, messageOf, TsweaveError } from "../../mesh/index.ts";
import {
  type KeyChange,
  type KeysReply,
  type LeaveMesh,
  type Read,
  type RemovePeers,
  type Replies,
  SCHEMA,
  type Status,
} from "./api.ts";
import { controlPath } from "./control-socket.ts";
import { errorFromBody, isRecord } from "./error-body.ts";

const CALL_DEADLINE_MS = 5000;
const STOP_DEADLINE_MS = 30_000;
/** The daemon says after a shorter while what it waits for; Docker may take its time. */
const DEPARTURE_DEADLINE_MS = 60_000;
/** A reply with the endpoints of the largest mesh has some ten megabytes. */
const REPLY_BYTES_MAX = 256 * 1024 * 1024;

type Schema = { readonly schema: typeof SCHEMA };

export class ControlClient {
  readonly #runDir: string;
  readonly #deadlineMs: number;

  constructor(runDir: string, deadlineMs = CALL_DEADLINE_MS) {
    this.#runDir = runDir;
    this.#deadlineMs = deadlineMs;
  }

  /** @throws TsweaveError NOT_RUNNING, TIMED_OUT, NOT_ROOT, BAD_MESSAGE or what the daemon says. */
  async status(): Promise<Status & Schema> {
    return (await this.#json("GET", "/v1/status")) as unknown as Status & Schema;
  }

  /** One of the tables below status. @throws as `status`. */
  async read<Name extends Read>(name: Name): Promise<Replies[Name] & Schema> {
    const reply = await this.#json("GET", `/v1/status/${name}`);
    return reply as unknown as Replies[Name] & Schema;
  }

  /** The key ring. @throws as `status`. */
  async keys(): Promise<KeysReply & Schema> {
    return (await this.#json("GET", "/v1/keys")) as unknown as KeysReply & Schema;
  }

  /** Resolves once the change counts. @throws as `status`, NOT_FOUND, CONFIG. */
  async changeKeys(change: KeyChange): Promise<KeysReply & Schema> {
    return (await this.#json("POST", "/v1/keys", change)) as unknown as KeysReply & Schema;
  }

  /** Adds reconnect targets. @throws as `status`. */
  async connect(peers: readonly HostPort[]): Promise<void> {
    await this.#json("POST", "/v1/connect", { peers });
  }

  /** Drops reconnect targets; resolves with those that launch was given. @throws as `status`. */
  async forget(peers: readonly HostPort[]): Promise<readonly HostPort[]> {
    const reply = await this.#json("POST", "/v1/forget", { peers });
    return reply.namedAtLaunch as readonly HostPort[];
  }

  /** Removes peers for good. @throws as `status`, NOT_FOUND, BAD_REQUEST, NO_MAJORITY. */
  async rmpeer(wish: RemovePeers): Promise<ForgetResult & Schema> {
    const reply = await this.#json("POST", "/v1/rmpeer", wish, DEPARTURE_DEADLINE_MS);
    return reply as unknown as ForgetResult & Schema;
  }

  /** Hands ranges on and leaves the roster. @throws as `status`, BAD_REQUEST, PEER_UNREACHABLE. */
  async leave(wish: LeaveMesh): Promise<LeaveResult & Schema> {
    const reply = await this.#json("POST", "/v1/leave", wish, DEPARTURE_DEADLINE_MS);
    return reply as unknown as LeaveResult & Schema;
  }

  /** Resolves when the daemon's process has ended. @throws as `status`. */
  async stop(deadlineMs = STOP_DEADLINE_MS): Promise<void> {
    const { status, text } = await this.#call("POST", "/v1/stop", {}, deadlineMs);
    if (status !== 200) throw errorFromReply(parse(text));
  }

  async #json(
    method: string,
    path: string,
    body?: object,
    deadlineMs = this.#deadlineMs,
  ): Promise<Readonly<Record<string, unknown>>> {
    const { status, text } = await this.#call(method, path, body, deadlineMs);
    const parsed = parse(text);
    if (!isRecord(parsed) || parsed.schema !== SCHEMA) {
      throw new TsweaveError("BAD_MESSAGE", "the daemon's answer is not understood", {
        hint: "use the same version as the running daemon, or restart it",
      });
    }
    if (status !== 200) throw errorFromReply(parsed);
    return parsed;
  }

  async #call(
    method: string,
    path: string,
    body: object | undefined,
    deadlineMs: number,
  ): Promise<{ status: number; text: string }> {
    const abort = AbortSignal.timeout(deadlineMs);
    try {
      const response = await new Promise<IncomingMessage>((resolve, reject) => {
        const call = request(
          { socketPath: controlPath(this.#runDir), method, path, signal: abort, agent: false },
          resolve,
        );
        call.once("error", reject);
        call.end(body === undefined ? undefined : JSON.stringify(body));
      });
      const text = await textOf(response, path === "/v1/stop");
      abort.throwIfAborted();
      return { status: response.statusCode ?? 0, text };
    } catch (error) {
      if (abort.aborted) throw this.#late(path, deadlineMs, error);
      throw this.#explain(error);
    }
  }

  #late(path: string, deadlineMs: number, cause: unknown): TsweaveError {
    const seconds = deadlineMs / 1000;
    const what = path === "/v1/stop" ? "end" : "answer";
    return new TsweaveError("TIMED_OUT", `the daemon did not ${what} within ${seconds} s`, {
      hint: "look into its log, by default /var/lib/tsweave/tsweave.log",
      cause,
    });
  }

  #explain(error: unknown): TsweaveError {
    if (error instanceof TsweaveError) return error;
    const code = (error as NodeJS.ErrnoException).code ?? "";
    const path = controlPath(this.#runDir);
    if (["ENOENT", "ENOTDIR", "ECONNREFUSED", "ENOTSOCK"].includes(code)) {
      return new TsweaveError("NOT_RUNNING", `no tsweave daemon answers on ${path}`, {
        hint: "start one with 'tsweave launch'",
        cause: error,
      });
    }
    if (code === "EACCES" || code === "EPERM") {
      const hint = "run the command as root";
      return new TsweaveError("NOT_ROOT", `${path} may not be opened`, { hint, cause: error });
    }
    if (code === "ECONNRESET" || code === "EPIPE" || code === "ECONNABORTED") {
      return new TsweaveError("NOT_RUNNING", "the daemon ended before it answered", {
        hint: "see 'tsweave launch'",
        cause: error,
      });
    }
    return new TsweaveError("INTERNAL", `${path}: ${messageOf(error)}`, { cause: error });
  }
}

/** The whole body; with `untilClosed` a connection that breaks off is its end. */
async function textOf(response: IncomingMessage, untilClosed: boolean): Promise<string> {
  const pieces: Buffer[] = [];
  let length = 0;
  try {
    for await (const piece of response) {
      length += piece.length;
      if (length > REPLY_BYTES_MAX) throw new TsweaveError("BAD_MESSAGE", "the answer is too long");
      pieces.push(piece);
    }
  } catch (error) {
    const broken = (error as NodeJS.ErrnoException).code === "ECONNRESET";
    if (!untilClosed || !broken) throw error;
  }
  return Buffer.concat(pieces).toString("utf8");
}

function errorFromReply(reply: unknown): TsweaveError {
  return errorFromBody(isRecord(reply) ? reply.error : undefined);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
