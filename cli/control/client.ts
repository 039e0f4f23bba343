/**
 * The control API's client: one call, one deadline, one clear error.
 *
 * Law: a daemon that is absent, busy or dying is told apart, each with its exit code.
 */
import { type IncomingMessage, request } from "node:http";
import type { ForgetResult, LeaveResult } from "../../ipalloc/index.ts";
import { type HostPort, messageOf, TsweaveError } from "../../mesh/index.ts";
import type { AttachedEndpoint, AttachWish, ExposeWish } from "../../overlay/index.ts";
import {
  type AdoptionReply,
  type AdoptionWish,
  type AttachmentRow,
  type DetachWish,
  type HostFacts,
  type KeyChange,
  type KeysReply,
  type LeaveMesh,
  type LogChange,
  type LogReply,
  type LookupQuestion,
  type LookupReply,
  type NamespaceRow,
  type PeerAnswer,
  type Read,
  type RemovePeers,
  type Replies,
  SCHEMA,
  type ServiceChange,
  type Status,
} from "./api.ts";
import { controlPath } from "./control-socket.ts";
import { errorFromBody, isRecord } from "./error-body.ts";
import { readLines } from "./event-lines.ts";
import type { FarLook, LookWish } from "./look-api.ts";
import type { NetworkChange, NetworkWish, RemoveNetwork } from "./network-api.ts";
import type { ProbeRow, ProbeWish } from "./probe-api.ts";
import type { ReconcileReply, ReconcileWish } from "./reconcile-api.ts";

const CALL_DEADLINE_MS = 5000;
const STOP_DEADLINE_MS = 30_000;
/** The engine asks the plugin, which may wait for the mesh; then the other hosts have 3 s. */
const NETWORK_DEADLINE_MS = 50_000;
/** The daemon says after a shorter while what it waits for; Docker may take its time. */
const DEPARTURE_DEADLINE_MS = 60_000;
/** An address may have to be asked of its owner, and a target waits for the one before it. */
const ATTACH_DEADLINE_MS = 30_000;
/** The largest mesh from nothing takes some ten seconds, and a pass may be under way. */
const RECONCILE_DEADLINE_MS = 60_000;
/** A host measures up to sixteen ways, four at a time. */
const PROBE_DEADLINE_MS = 40_000;
/** A reply with the endpoints of the largest mesh has some ten megabytes. */
const REPLY_BYTES_MAX = 256 * 1024 * 1024;

type Schema = { readonly schema: typeof SCHEMA };
type Detached = { readonly detached: readonly AttachedEndpoint[] };

export class ControlClient {
  readonly #runDir: string;
  readonly #deadlineMs: number;

  constructor(runDir: string, deadlineMs = CALL_DEADLINE_MS) {
    this.#runDir = runDir;
    this.#deadlineMs = deadlineMs;
  }

  /** @throws TsweaveError NOT_RUNNING, TIMED_OUT, NOT_ROOT, BAD_MESSAGE or what the daemon says. */
  async status(): Promise<Status & Schema> {
    return await this.#ask<Status>("GET", "/v1/status");
  }

  /** One of the tables below status. @throws as `status`. */
  async read<Name extends Read>(name: Name): Promise<Replies[Name] & Schema> {
    return await this.#ask<Replies[Name]>("GET", `/v1/status/${name}`);
  }

  /** Makes a network. @throws as `status`, CONFIG, SUBNET_OVERLAP, DOCKER_REFUSED. */
  async createNetwork(wish: NetworkWish): Promise<NetworkChange & Schema> {
    return await this.#ask<NetworkChange>("POST", "/v1/networks/create", wish, NETWORK_DEADLINE_MS);
  }

  /** Removes a network. @throws as `status`, NOT_FOUND, BAD_REQUEST while it is in use. */
  async removeNetwork(wish: RemoveNetwork): Promise<NetworkChange & Schema> {
    return await this.#ask<NetworkChange>("POST", "/v1/networks/remove", wish, NETWORK_DEADLINE_MS);
  }

  /** This host as its daemon was launched. @throws as `status`. */
  async host(): Promise<HostFacts & Schema> {
    return await this.#ask<HostFacts>("GET", "/v1/host");
  }

  /** What peers answer: all, or those that a word names. @throws as `status`, NOT_FOUND. */
  async ask(peer?: string): Promise<readonly PeerAnswer[]> {
    const reply = await this.#json("POST", "/v1/ask", peer === undefined ? {} : { peer });
    return reply.answers as readonly PeerAnswer[];
  }

  /** Has a peer measure its ways to others. @throws as `status`, PEER_UNREACHABLE, BAD_REQUEST. */
  async probe(wish: ProbeWish): Promise<readonly ProbeRow[]> {
    const reply = await this.#json("POST", "/v1/probe", wish, PROBE_DEADLINE_MS);
    return reply.rows as readonly ProbeRow[];
  }

  /** Has an endpoint's host look at it. @throws as `status`, NOT_FOUND, PEER_UNREACHABLE. */
  async look(wish: LookWish): Promise<FarLook & Schema> {
    return await this.#ask<FarLook>("POST", "/v1/look", wish);
  }

  /** What is logged, and where. @throws as `status`. */
  async log(): Promise<LogReply & Schema> {
    return await this.#ask<LogReply>("GET", "/v1/log");
  }

  /** Resolves once the level counts. @throws as `status`, NOT_FOUND. */
  async setLogLevel(change: LogChange): Promise<LogReply & Schema> {
    return await this.#ask<LogReply>("POST", "/v1/log", change);
  }

  /** The key ring. @throws as `status`. */
  async keys(): Promise<KeysReply & Schema> {
    return await this.#ask<KeysReply>("GET", "/v1/keys");
  }

  /** Resolves once the change counts. @throws as `status`, NOT_FOUND, CONFIG. */
  async changeKeys(change: KeyChange): Promise<KeysReply & Schema> {
    return await this.#ask<KeysReply>("POST", "/v1/keys", change);
  }

  /** What the daemon's zone answers. @throws as `status`, NOT_FOUND, USAGE. */
  async dnsLookup(question: LookupQuestion): Promise<LookupReply & Schema> {
    return await this.#ask<LookupReply>("POST", "/v1/dns/lookup", question);
  }

  /** Adds addresses to a name; resolves with the new ones. @throws as `status`, USAGE. */
  async dnsAdd(change: ServiceChange): Promise<readonly string[]> {
    const reply = await this.#json("POST", "/v1/dns/add", change);
    return reply.added as readonly string[];
  }

  /** Removes addresses of a name; resolves with them. @throws as `status`, NOT_FOUND. */
  async dnsRemove(change: ServiceChange): Promise<readonly string[]> {
    const reply = await this.#json("POST", "/v1/dns/remove", change);
    return reply.removed as readonly string[];
  }

  /** Endpoints of this host. @throws as `status`. */
  async ps(): Promise<{ readonly endpoints: readonly AttachmentRow[] } & Schema> {
    return await this.#ask<{ readonly endpoints: readonly AttachmentRow[] }>("GET", "/v1/ps");
  }

  /** Networks of this host with their namespaces. @throws as `status`. */
  async namespaces(): Promise<{ readonly namespaces: readonly NamespaceRow[] } & Schema> {
    return await this.#ask<{ readonly namespaces: readonly NamespaceRow[] }>(
      "GET",
      "/v1/namespaces",
    );
  }

  /** Path of the namespace that a word names. @throws as `status`, NOT_FOUND. */
  async locate(target: string): Promise<string> {
    return (await this.#json("POST", "/v1/locate", { target })).path as string;
  }

  /** @throws as `status`, or what keeps the target from being attached. */
  async attach(wish: AttachWish): Promise<AttachedEndpoint & Schema> {
    return await this.#ask<AttachedEndpoint>("POST", "/v1/attach", wish, ATTACH_DEADLINE_MS);
  }

  /** @throws as `status`, NOT_FOUND. */
  async detach(wish: DetachWish): Promise<Detached & Schema> {
    return await this.#ask<Detached>("POST", "/v1/detach", wish, ATTACH_DEADLINE_MS);
  }

  /** Gives the host an address. @throws as `attach`. */
  async expose(wish: ExposeWish): Promise<AttachedEndpoint & Schema> {
    return await this.#ask<AttachedEndpoint>("POST", "/v1/expose", wish, ATTACH_DEADLINE_MS);
  }

  /** Takes the host's address back. @throws as `status`, NOT_FOUND. */
  async hide(wish: Pick<ExposeWish, "network">): Promise<Detached & Schema> {
    return await this.#ask<Detached>("POST", "/v1/hide", wish, ATTACH_DEADLINE_MS);
  }

  /** Makes the kernel equal to the tables, or only says how. @throws as `status`. */
  async reconcile(wish: ReconcileWish): Promise<ReconcileReply & Schema> {
    return await this.#ask<ReconcileReply>("POST", "/v1/reconcile", wish, RECONCILE_DEADLINE_MS);
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
    return await this.#ask<ForgetResult>("POST", "/v1/rmpeer", wish, DEPARTURE_DEADLINE_MS);
  }

  /** Gives this mesh up, or plans it. @throws as `rmpeer`, POOL_CONFLICT, PEER_UNREACHABLE. */
  async adopt(wish: AdoptionWish): Promise<AdoptionReply & Schema> {
    return await this.#ask<AdoptionReply>("POST", "/v1/adopt", wish, DEPARTURE_DEADLINE_MS);
  }

  /** Hands ranges on and leaves the roster. @throws as `status`, BAD_REQUEST, PEER_UNREACHABLE. */
  async leave(wish: LeaveMesh): Promise<LeaveResult & Schema> {
    return await this.#ask<LeaveResult>("POST", "/v1/leave", wish, DEPARTURE_DEADLINE_MS);
  }

  /**
   * Calls `receive` with each event as a line of JSON: those of the last `ageMs`, then, with
   * `follow`, each new one. Resolves at the end or when aborted.
   * @throws as `status`; TIMED_OUT when this reader was too slow.
   */
  async events(
    { ageMs, follow }: { readonly ageMs: number; readonly follow: boolean },
    receive: (line: string) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const path = `/v1/events?age-ms=${Math.round(ageMs)}&follow=${follow ? 1 : 0}`;
    const opening = new AbortController();
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      opening.abort();
    }, this.#deadlineMs);
    try {
      const response = await this.#open("GET", path, undefined, opening.signal);
      clearTimeout(timer);
      if (signal.aborted) return;
      signal.addEventListener("abort", () => response.destroy(), { once: true });
      await readLines(response, receive);
    } catch (error) {
      if (signal.aborted) return;
      if (late) throw this.#late(path, this.#deadlineMs, error);
      throw this.#explain(error);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Resolves when the daemon's process has ended. @throws as `status`. */
  async stop(deadlineMs = STOP_DEADLINE_MS): Promise<void> {
    const { status, text } = await this.#call("POST", "/v1/stop", {}, deadlineMs);
    if (status !== 200) throw errorFromReply(parse(text));
  }

  /** The answer to one call, taken at its word: daemon and client are one program. */
  async #ask<Reply extends object>(
    ...call: readonly [method: string, path: string, body?: object, deadlineMs?: number]
  ): Promise<Reply & Schema> {
    return (await this.#json(...call)) as unknown as Reply & Schema;
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
      const response = await this.#open(method, path, body, abort);
      const text = await textOf(response, path === "/v1/stop");
      abort.throwIfAborted();
      return { status: response.statusCode ?? 0, text };
    } catch (error) {
      if (abort.aborted) throw this.#late(path, deadlineMs, error);
      throw this.#explain(error);
    }
  }

  async #open(
    method: string,
    path: string,
    body: object | undefined,
    signal: AbortSignal,
  ): Promise<IncomingMessage> {
    return await new Promise<IncomingMessage>((resolve, reject) => {
      const call = request(
        { socketPath: controlPath(this.#runDir), method, path, signal, agent: false },
        resolve,
      );
      call.once("error", reject);
      call.end(body === undefined ? undefined : JSON.stringify(body));
    });
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
