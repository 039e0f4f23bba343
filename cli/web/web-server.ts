/**
 * The one listener for browsers and Prometheus: the map, metrics and the read side of the control
 * API over plain HTTP, on loopback unless asked otherwise.
 *
 * Law: it only reads. A page of another site that a browser has open on this host must learn
 * nothing: requests whose Host is not an address of this listener or `localhost` are refused (DNS
 * rebinding), and no answer allows another origin.
 */
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import { isIP } from "node:net";
import { type Clock, type HostPort, type Log, messageOf, TsweaveError } from "../../mesh/index.ts";
import { SCHEMA } from "../control/api.ts";
import { READ_PATHS, type ReadBackend, readAt } from "../control/reads.ts";
import { formatHostPort } from "../peer-address.ts";
import { CONTENT_TYPE, exposition } from "./exposition.ts";
import { MapStream } from "./map-stream.ts";
import { metricFamilies } from "./metrics.ts";
import { mapPage } from "./page.ts";
import type { ProcessStats } from "./process-stats.ts";

const REQUEST_DEADLINE_MS = 5000;
const CONNECTIONS_MAX = 64;

export interface WebServer {
  /** What was bound; the port is the kernel's choice where 0 was asked for. */
  readonly address: HostPort;
  readonly close: () => Promise<void>;
}

export interface WebPorts {
  readonly facts: ReadBackend;
  readonly stats: () => ProcessStats;
  readonly clock: Clock;
  readonly log: Log;
}

/** Serves on `at`. @throws TsweaveError PORT_IN_USE, CONFIG where the address is no own one. */
export async function serveWeb(ports: WebPorts, at: HostPort): Promise<WebServer> {
  const stream = new MapStream(ports);
  const server = createServer(
    { requestTimeout: REQUEST_DEADLINE_MS, headersTimeout: REQUEST_DEADLINE_MS },
    (request, response) => {
      try {
        const reply = answer(ports, stream, request, response);
        if (reply !== "streaming") send(response, reply);
      } catch (error) {
        const url = request.url?.slice(0, 200);
        ports.log.error({ url, error: messageOf(error) }, "a web request failed");
        send(response, text(500, "see the daemon's log"));
      }
    },
  );
  server.maxConnections = CONNECTIONS_MAX;
  server.on("clientError", (_error, socket) => socket.destroy());
  const port = await listen(server, at);
  return {
    address: { ...at, port },
    close: async () => {
      stream.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function listen(server: Server, at: HostPort): Promise<number> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host: at.host, port: at.port, exclusive: true }, resolve);
    });
  } catch (error) {
    const isTaken = (error as NodeJS.ErrnoException).code === "EADDRINUSE";
    const code = isTaken ? "PORT_IN_USE" : "CONFIG";
    throw new TsweaveError(code, `cannot listen on ${formatHostPort(at)}: ${messageOf(error)}`, {
      hint: "choose another --http, or --no-http",
      cause: error,
    });
  }
  const bound = server.address();
  return typeof bound === "object" && bound !== null ? bound.port : at.port;
}

interface Reply {
  readonly code: number;
  readonly type: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

function answer(
  ports: WebPorts,
  stream: MapStream,
  request: IncomingMessage,
  response: ServerResponse,
): Reply | "streaming" {
  if (!isMeant(request)) return text(421, "ask for this host by address");
  if (request.method !== "GET" && request.method !== "HEAD") {
    return { ...text(405, "this listener only reads"), headers: { allow: "GET, HEAD" } };
  }
  const path = (request.url ?? "").split("?", 1)[0] ?? "";
  if (path === "/metrics") {
    const families = metricFamilies(ports.facts, ports.stats());
    return { code: 200, type: CONTENT_TYPE, body: exposition(families) };
  }
  if (path === "/") return { code: 200, type: "text/html; charset=utf-8", ...mapPage() };
  if (path === STREAM_PATH) return streamed(stream, request, response);
  const fields = readAt(ports.facts, path);
  if (fields === undefined) return text(404, `see ${PATHS.join(", ")}`);
  const body = `${JSON.stringify({ schema: SCHEMA, ...fields })}\n`;
  return { code: 200, type: "application/json", body };
}

function streamed(
  stream: MapStream,
  { method, headers }: IncomingMessage,
  response: ServerResponse,
): Reply | "streaming" {
  if (method !== "GET") return { ...text(405, "streams are read with GET"), headers: GET_ONLY };
  if (!isOwnPage(headers)) return text(403, "not for other sites");
  if (stream.add(response)) return "streaming";
  return { ...text(503, "too many pages are open"), headers: { "retry-after": "10" } };
}

function text(code: number, line: string): Reply {
  return { code, type: "text/plain; charset=utf-8", body: `${line}\n` };
}

const STREAM_PATH = "/v1/stream";
const PATHS = ["/", "/metrics", STREAM_PATH, ...READ_PATHS];
const GET_ONLY = { allow: "GET" };

/** Another site's page could read nothing of a stream, but it could hold places. */
function isOwnPage({ host = "", origin, ...headers }: IncomingHttpHeaders): boolean {
  const site = headers["sec-fetch-site"] ?? "none";
  const isOwn = origin === undefined || [`http://${host}`, `https://${host}`].includes(origin);
  return isOwn && (site === "same-origin" || site === "none");
}

/** The Host names an address, which no other site's page can, or localhost. */
function isMeant({ headers }: IncomingMessage): boolean {
  const host = (headers.host ?? "").replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
  return isIP(host) !== 0 || host === "localhost";
}

function send(response: ServerResponse, { code, type, body, headers }: Reply): void {
  response
    .writeHead(code, {
      "content-type": type,
      "content-length": Buffer.byteLength(body),
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
      ...headers,
    })
    .end(body);
}
