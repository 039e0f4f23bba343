/**
 * The control API's server: HTTP on a unix socket that only root can open.
 *
 * Law: reads answer from memory while anything else hangs. A request is bounded before it is kept,
 * and a broken one costs its sender alone.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { asTsweaveError, type Log, messageOf, TsweaveError } from "../../mesh/index.ts";
import { type ControlBackend, SCHEMA } from "./api.ts";
import {
  adoptionOf,
  attachOf,
  detachOf,
  exposeOf,
  keyChangeOf,
  leaveOf,
  logChangeOf,
  lookOf,
  lookupOf,
  peerOf,
  peersOf,
  probeOf,
  readBody,
  reconcileOf,
  removalOf,
  serviceOf,
} from "./bodies.ts";
import { listenOn } from "./control-socket.ts";
import { errorToBody } from "./error-body.ts";
import { streamEvents } from "./event-stream.ts";
import { networkOf, networkRemovalOf } from "./network-bodies.ts";
import { readAt } from "./reads.ts";

const REQUEST_DEADLINE_MS = 5000;
const CONNECTIONS_MAX = 128;

export interface ControlServer {
  /** Removes the socket and ends all calls except those that wait for this process to end. */
  readonly close: () => Promise<void>;
}

/** Serves `backend` in `runDir`. @throws TsweaveError ALREADY_RUNNING, STATE_UNWRITABLE. */
export async function startControl(ports: {
  readonly runDir: string;
  readonly backend: ControlBackend;
  readonly log: Log;
}): Promise<ControlServer> {
  /** Calls of `stop`: held open, so that the end of this process is their answer's end. */
  const farewells = new Set<Socket>();
  const sockets = new Set<Socket>();
  const server = createServer(
    { requestTimeout: REQUEST_DEADLINE_MS, headersTimeout: REQUEST_DEADLINE_MS },
    (request, response) => {
      void answer(ports.backend, request, response, farewells).catch((error: unknown) => {
        const expected = asTsweaveError(error);
        if (expected.code === "INTERNAL") {
          ports.log.error({ url: request.url, error: messageOf(error) }, "control call failed");
        }
        refuse(response, expected);
      });
    },
  );
  server.maxConnections = CONNECTIONS_MAX;
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => {
      sockets.delete(socket);
      farewells.delete(socket);
    });
  });
  server.on("clientError", (_error, socket) => socket.destroy());
  const remove = await listenOn(server, ports.runDir);
  return {
    close: async () => {
      await remove();
      server.close();
      for (const socket of sockets) {
        if (farewells.has(socket)) socket.unref();
        else socket.destroy();
      }
    },
  };
}

async function answer(
  backend: ControlBackend,
  request: IncomingMessage,
  response: ServerResponse,
  farewells: Set<Socket>,
): Promise<void> {
  const path = (request.url ?? "").split("?", 1)[0] ?? "";
  if (request.method === "GET" && path === "/v1/events") {
    return streamEvents(backend.events(), request, response);
  }
  if (request.method === "GET") return reply(response, read(backend, path));
  if (request.method !== "POST") throw notFound(path);
  const body = await readBody(request);
  const change = CHANGES[path];
  if (change !== undefined) return reply(response, await change(backend, body));
  if (path === "/v1/stop") {
    farewells.add(request.socket);
    response.writeHead(200, { "content-type": "application/json" });
    response.write(`${JSON.stringify({ schema: SCHEMA, stopping: true })}\n`);
    backend.stop();
    return;
  }
  throw notFound(path);
}

/** What a POST does, by path; `null` as prototype, for the path comes from outside. */
const CHANGES: Readonly<
  Record<string, (backend: ControlBackend, body: unknown) => Promise<object>>
> = Object.assign(Object.create(null), {
  "/v1/connect": async (backend: ControlBackend, body: unknown) => {
    const peers = peersOf(body);
    await backend.connect(peers);
    return { peers };
  },
  "/v1/forget": async (backend: ControlBackend, body: unknown) => ({
    namedAtLaunch: await backend.forget(peersOf(body)),
  }),
  "/v1/rmpeer": (backend: ControlBackend, body: unknown) => backend.rmpeer(removalOf(body)),
  "/v1/adopt": (backend: ControlBackend, body: unknown) => backend.adopt(adoptionOf(body)),
  "/v1/leave": (backend: ControlBackend, body: unknown) => backend.leave(leaveOf(body)),
  "/v1/dns/lookup": async (backend: ControlBackend, body: unknown) =>
    backend.dnsLookup(lookupOf(body)),
  "/v1/dns/add": (backend: ControlBackend, body: unknown) => backend.dnsAdd(serviceOf(body)),
  "/v1/dns/remove": (backend: ControlBackend, body: unknown) => backend.dnsRemove(serviceOf(body)),
  "/v1/attach": (backend: ControlBackend, body: unknown) => backend.attach(attachOf(body)),
  "/v1/detach": async (backend: ControlBackend, body: unknown) => ({
    detached: await backend.detach(detachOf(body)),
  }),
  "/v1/locate": async (backend: ControlBackend, body: unknown) => ({
    path: await backend.locate(detachOf(body).target),
  }),
  "/v1/expose": (backend: ControlBackend, body: unknown) => backend.expose(exposeOf(body)),
  "/v1/hide": async (backend: ControlBackend, body: unknown) => ({
    detached: await backend.hide(exposeOf(body).network),
  }),
  "/v1/reconcile": (backend: ControlBackend, body: unknown) => backend.reconcile(reconcileOf(body)),
  "/v1/networks/create": (backend: ControlBackend, body: unknown) =>
    backend.createNetwork(networkOf(body)),
  "/v1/networks/remove": (backend: ControlBackend, body: unknown) =>
    backend.removeNetwork(networkRemovalOf(body)),
  "/v1/ask": async (backend: ControlBackend, body: unknown) => ({
    answers: await backend.ask(peerOf(body)),
  }),
  "/v1/probe": async (backend: ControlBackend, body: unknown) => ({
    rows: await backend.probe(probeOf(body)),
  }),
  "/v1/look": (backend: ControlBackend, body: unknown) => backend.look(lookOf(body)),
  "/v1/log": async (backend: ControlBackend, body: unknown) =>
    backend.setLogLevel(logChangeOf(body)),
  "/v1/keys": (backend: ControlBackend, body: unknown) => backend.changeKeys(keyChangeOf(body)),
});

function read(backend: ControlBackend, path: string): object {
  if (path === "/v1/namespaces") return { namespaces: backend.namespaces() };
  if (path === "/v1/log") return backend.log();
  if (path === "/v1/host") return backend.host();
  if (path === "/v1/ps") return { endpoints: backend.ps() };
  const fields = path === "/v1/keys" ? backend.keys() : readAt(backend, path);
  if (fields === undefined) throw notFound(path);
  return fields;
}

function reply(response: ServerResponse, fields: object): void {
  const body = `${JSON.stringify({ schema: SCHEMA, ...fields })}\n`;
  response.writeHead(200, { "content-type": "application/json" }).end(body);
}

function refuse(response: ServerResponse, error: TsweaveError): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const status = { NOT_FOUND: 404, BAD_REQUEST: 400, CONFIG: 409 }[error.code as string] ?? 500;
  const body = `${JSON.stringify({ schema: SCHEMA, error: errorToBody(error) })}\n`;
  response.writeHead(status, { "content-type": "application/json", connection: "close" }).end(body);
}

function notFound(path: string): TsweaveError {
  const shown = path.slice(0, 100);
  return new TsweaveError("NOT_FOUND", `the daemon does not know ${shown}`, {
    hint: "the command and the running daemon may differ in version, see 'tsweave version'",
  });
}
