/**
 * The table of plugin calls: bytes in, one JSON answer out, counted.
 *
 * Laws: nothing that Docker sends throws past this file; a call that needs arguments and comes
 * without is the engine's retry after a broken connection and must change nothing; every call is
 * answered in bounded time, because Docker waits for ever.
 */
import {
  asTsweaveError,
  type Clock,
  LIMITS,
  type Log,
  messageOf,
  TIMES,
  TsweaveError,
} from "../../mesh/index.ts";
import { within } from "./deadline.ts";
import { GLOBAL_SPACE, type IpamDriver, LOCAL_SPACE } from "./ipam-driver.ts";
import type { NetworkDriver } from "./network-driver.ts";
import {
  readCreateEndpoint,
  readCreateNetwork,
  readEndpointRef,
  readJoin,
  readNetworkRef,
  readReleaseAddress,
  readReleasePool,
  readRequestAddress,
  readRequestPool,
} from "./schema.ts";

/** Runs one call on its decoded body; `undefined` only where the call takes no arguments. */
type Call = (body: unknown) => Promise<object>;

/** What one method has seen since the daemon's start. */
export interface CallCounters {
  readonly calls: number;
  readonly errors: number;
  /** The last error as Docker's user saw it, and when (Clock.wallMs()). */
  readonly lastError: { readonly line: string; readonly wallMs: number } | null;
  readonly slowestMs: number;
}

/** Without arguments, or without a use for them. */
const NO_ARGUMENTS = new Set([
  "Plugin.Activate",
  "NetworkDriver.GetCapabilities",
  "IpamDriver.GetCapabilities",
  "IpamDriver.GetDefaultAddressSpaces",
  // Tells nothing; but an error here fails the start of a container, on engines before 28.
  "NetworkDriver.EndpointOperInfo",
]);

export class PluginCalls {
  readonly #clock: Clock;
  readonly #log: Log;
  /** The state directory did not take a call, which Docker may never repeat. */
  readonly #unwritten: () => void;
  readonly #calls: ReadonlyMap<string, Call>;
  /** BOUNDED: one entry per method of #calls. */
  readonly #counters = new Map<string, CallCounters>();

  constructor(
    drivers: { readonly network: NetworkDriver; readonly ipam: IpamDriver },
    ports: { readonly clock: Clock; readonly log: Log; readonly unwritten: () => void },
  ) {
    this.#clock = ports.clock;
    this.#log = ports.log;
    this.#unwritten = ports.unwritten;
    this.#calls = new Map(
      Object.entries({ ...networkCalls(drivers.network), ...ipamCalls(drivers.ipam) }),
    );
  }

  /**
   * Answers one call, `method` like `NetworkDriver.Join`. Never rejects: an error is an answer
   * with both `Err` (network driver) and `Error` (IPAM). Undefined: there is no such method.
   */
  async handle(method: string, body: Uint8Array): Promise<object | undefined> {
    const call = this.#calls.get(method);
    if (call === undefined) return undefined;
    const startMs = this.#clock.nowMs();
    let line: string | undefined;
    let answer: object;
    try {
      const work = this.#run(method, call, body);
      answer = await within(this.#clock, method, TIMES.pluginCallMs, work);
    } catch (error) {
      const known = asTsweaveError(error);
      line = known.line;
      if (known.code === "STATE_UNWRITABLE") this.#unwritten();
      this.#log.warn({ method, reason: line, stack: stackOf(error) }, "refused a call of Docker");
      answer = { Err: line, Error: line };
    }
    this.#count(method, startMs, line);
    return answer;
  }

  counters(): Readonly<Record<string, CallCounters>> {
    return Object.fromEntries(this.#counters);
  }

  async #run(method: string, call: Call, body: Uint8Array): Promise<object> {
    if (NO_ARGUMENTS.has(method)) return await call(undefined);
    if (body.length === 0) {
      throw new TsweaveError("BAD_REQUEST", `${method} came without its arguments`, {
        hint: "Docker repeated a call after a broken connection; run the command again",
      });
    }
    return await call(parseBody(method, body));
  }

  #count(method: string, startMs: number, line: string | undefined): void {
    const before = this.#counters.get(method);
    const tookMs = Math.round(this.#clock.nowMs() - startMs);
    this.#counters.set(method, {
      calls: (before?.calls ?? 0) + 1,
      errors: (before?.errors ?? 0) + (line === undefined ? 0 : 1),
      lastError:
        line === undefined ? (before?.lastError ?? null) : { line, wallMs: this.#clock.wallMs() },
      slowestMs: Math.max(before?.slowestMs ?? 0, tookMs),
    });
    this.#log.debug({ method, tookMs }, "call of Docker");
  }
}

function parseBody(method: string, body: Uint8Array): unknown {
  if (body.length > LIMITS.requestBytesMax) {
    throw new TsweaveError("BAD_REQUEST", `${method}: more than ${LIMITS.requestBytesMax} bytes`);
  }
  try {
    return JSON.parse(Buffer.from(body).toString("utf8"));
  } catch (error) {
    throw new TsweaveError("BAD_REQUEST", `${method}: not JSON: ${messageOf(error)}`);
  }
}

function stackOf(error: unknown): string | undefined {
  return error instanceof TsweaveError || !(error instanceof Error) ? undefined : error.stack;
}

function networkCalls(driver: NetworkDriver): Record<string, Call> {
  const nothing: Call = async () => ({});
  return {
    "Plugin.Activate": async () => ({ Implements: ["NetworkDriver", "IpamDriver"] }),
    "NetworkDriver.GetCapabilities": async () => ({ Scope: "local", ConnectivityScope: "local" }),
    "NetworkDriver.GwAllocCheck": async () => ({ SkipIPv4: false, SkipIPv6: false }),
    "NetworkDriver.AllocateNetwork": async () => ({ Options: {} }),
    "NetworkDriver.FreeNetwork": nothing,
    "NetworkDriver.CreateNetwork": (body) => driver.createNetwork(readCreateNetwork(body)),
    "NetworkDriver.DeleteNetwork": (body) => driver.deleteNetwork(readNetworkRef(body).networkId),
    "NetworkDriver.CreateEndpoint": (body) => driver.createEndpoint(readCreateEndpoint(body)),
    "NetworkDriver.DeleteEndpoint": (body) => driver.deleteEndpoint(readEndpointRef(body)),
    "NetworkDriver.EndpointOperInfo": async () => ({ Value: {} }),
    "NetworkDriver.Join": (body) => driver.join(readJoin(body)),
    "NetworkDriver.Leave": (body) => driver.leave(readEndpointRef(body)),
    "NetworkDriver.ProgramExternalConnectivity": nothing,
    "NetworkDriver.RevokeExternalConnectivity": nothing,
    "NetworkDriver.DiscoverNew": nothing,
    "NetworkDriver.DiscoverDelete": nothing,
  };
}

function ipamCalls(driver: IpamDriver): Record<string, Call> {
  return {
    "IpamDriver.GetCapabilities": async () => ({
      RequiresMACAddress: false,
      RequiresRequestReplay: false,
    }),
    "IpamDriver.GetDefaultAddressSpaces": async () => ({
      LocalDefaultAddressSpace: LOCAL_SPACE,
      GlobalDefaultAddressSpace: GLOBAL_SPACE,
    }),
    "IpamDriver.RequestPool": (body) => driver.requestPool(readRequestPool(body)),
    "IpamDriver.ReleasePool": (body) => driver.releasePool(readReleasePool(body).poolId),
    "IpamDriver.RequestAddress": (body) => driver.requestAddress(readRequestAddress(body)),
    "IpamDriver.ReleaseAddress": (body) => driver.releaseAddress(readReleaseAddress(body)),
  };
}
