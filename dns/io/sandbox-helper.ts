/**
 * The helper process: started inside a container's network namespace, it opens three sockets
 * there (or one, where the other two are open already), hands them to the daemon, puts the redirect
 * in place and exits. Node cannot enter a namespace by itself, and a socket stays in the namespace
 * it was opened in.
 *
 * Law: no lookup is redirected before the daemon serves the sockets. Imports next to nothing: its
 * start is part of every container's start.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createSocket, type Socket } from "node:dgram";
import { createServer, type Server } from "node:net";
import { type HelperFailure, type HelperMessage, ROLES, UDP_BUFFER_BYTES } from "./protocol.ts";
import { type HookPorts, hookRules, portOf, toolEnvironment } from "./rules.ts";

const RESOLVER = "127.0.0.11";
const LOOPBACK = "127.0.0.1";
const STDERR_CHARACTERS_MAX = 2000;

/**
 * Runs the helper to its end; the caller does nothing before or after. Needs the IPC channel of
 * HelperSandboxHook, without one it says so and exits with 2.
 */
export async function runSandboxHelper(): Promise<void> {
  if (process.send === undefined) {
    process.stderr.write("tsweave: __sandbox is started by the daemon only\n");
    process.exitCode = 2;
    return;
  }
  const orphaned = () => process.exit(1);
  process.once("disconnect", orphaned);
  try {
    // nft loads while the sockets are opened; without input it changes nothing.
    const nft = spawn("nft", ["-f", "-"], {
      stdio: ["pipe", "ignore", "pipe"],
      env: toolEnvironment(),
    });
    const loaded = finished(nft);
    const kept = keptPorts();
    const sockets = kept === undefined ? await openSockets() : { upstream: await openUpstream() };
    const ports = portsOf(sockets, kept);
    const asked = new Promise<void>((resolve) => process.once("message", () => resolve()));
    for (const role of ROLES) {
      const socket = sockets[role];
      if (socket !== undefined) await send({ type: "socket", role }, socket);
    }
    await asked;
    for (const role of ROLES) sockets[role]?.close();
    nft.stdin?.end(hookRules(ports));
    await send(await loaded);
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    await send({ type: "failed", code: "COMMAND_FAILED", text });
  }
  process.off("disconnect", orphaned);
  process.exit();
}

interface Sockets {
  readonly udp?: Socket;
  readonly tcp?: Server;
  readonly upstream: Socket;
}

/** The doors' ports, if the daemon has them open already. */
function keptPorts(): Omit<HookPorts, "upstream"> | undefined {
  const [udp, tcp] = process.env.TSWEAVE_KEPT_PORTS?.split(" ") ?? [];
  return udp === undefined || tcp === undefined ? undefined : { udp, tcp };
}

async function openSockets(): Promise<Sockets> {
  const wanted = Number(process.env.TSWEAVE_UDP_PORT);
  const [udp, upstream, tcp] = await Promise.all([
    bound(RESOLVER, wanted).catch(() => bound(RESOLVER, 0)), // Somebody else has that port.
    openUpstream(),
    listening(),
  ]);
  return { udp, tcp, upstream };
}

function openUpstream(): Promise<Socket> {
  return bound(LOOPBACK, 0);
}

function bound(address: string, port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    // As much of it as the host's net.core.rmem_max lets a program without system calls have.
    const socket = createSocket({ type: "udp4", recvBufferSize: UDP_BUFFER_BYTES });
    socket.once("error", (error) => {
      socket.close();
      reject(error);
    });
    socket.bind({ address, port, exclusive: true }, () => resolve(socket));
  });
}

function listening(): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen({ host: RESOLVER, port: 0, exclusive: true }, () => resolve(server));
  });
}

function portsOf(sockets: Sockets, kept: Omit<HookPorts, "upstream"> | undefined): HookPorts {
  return {
    udp: kept?.udp ?? sockets.udp?.address().port ?? 0,
    upstream: sockets.upstream.address().port,
    tcp: kept?.tcp ?? (sockets.tcp === undefined ? 0 : portOf(sockets.tcp)),
  };
}

/** How nft ended, in the words of the protocol. Never rejects. */
function finished(nft: ChildProcess): Promise<HelperMessage> {
  return new Promise((resolve) => {
    let stderr = "";
    nft.stderr?.on("data", (chunk: Buffer) => {
      stderr = (stderr + chunk.toString()).slice(0, STDERR_CHARACTERS_MAX);
    });
    nft.stdin?.on("error", () => {}); // A dead nft shows in its exit code.
    nft.once("error", (error: NodeJS.ErrnoException) => {
      const code: HelperFailure = error.code === "ENOENT" ? "TOOL_MISSING" : "COMMAND_FAILED";
      resolve({ type: "failed", code, text: `cannot run nft: ${error.message}` });
    });
    nft.once("close", (exitCode) => {
      if (exitCode === 0) resolve({ type: "installed" });
      else resolve({ type: "failed", code: failureOf(stderr), text: `nft: ${stderr.trim()}` });
    });
  });
}

/** A kernel without nf_tables or its NAT answers these to a valid batch. */
function failureOf(stderr: string): HelperFailure {
  return /not supported|No such file or directory|Protocol error/i.test(stderr)
    ? "KERNEL_LACKS"
    : "COMMAND_FAILED";
}

function send(message: HelperMessage, handle?: Socket | Server): Promise<void> {
  return new Promise((resolve, reject) => {
    process.send?.(message, handle, {}, (error: Error | null) => {
      if (error === null) resolve();
      else reject(error);
    });
  });
}
