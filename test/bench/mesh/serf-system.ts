/**
 * Agents of Debian's serf. They are told to do things over their RPC port (a command line would
 * cost a process), and what they see is read from their logs as it comes: their event stream holds
 * member events back for a second to coalesce them.
 */
import { connect, type Socket } from "node:net";
import msgpack from "msgpack-lite";
import { onLines, startChild } from "./children.ts";
import { isKeyed } from "./engine-name.ts";
import { monotonicMs, type Peer, type PeerEvent, type PeerSystem, peerName } from "./peer.ts";

const GOSSIP_PORT = 7946;
export const RPC_PORT = 7373;

const LOGGED: readonly (readonly [RegExp, PeerEvent["type"]])[] = [
  [/serf: EventMemberJoin: (\S+)/, "alive"],
  [/serf: EventMemberFailed: (\S+)/, "dead"],
  [/serf: EventMemberLeave: (\S+)/, "left"],
  [/agent: Received event: user-event: (\S+)/, "row"],
];

/** Of a mesh that ends with the bench: 32 bytes, for AES-256 as ours. */
const KEY = Buffer.alloc(32, "bench").toString("base64");

/** `name`: serf, or with `+key` encrypted. */
export function serfSystem(systemName: string, prefix: string): PeerSystem {
  return {
    name: systemName,
    prefix,
    onTheWayMs: [],
    start: async (index, _round, receive) => {
      const name = peerName(index);
      const address = `${prefix}.${index}`;
      const { child, gone } = startChild(agentArgv(name, address, isKeyed(systemName)), {
        ipc: false,
      });
      const listening = new Promise<void>((resolve, reject) => {
        const read = (line: string): void => {
          if (line.includes("agent: Serf agent starting")) resolve();
          readLine(line, name, receive);
        };
        onLines(child.stdout, read);
        onLines(child.stderr, read);
        gone.then(() => reject(new Error(`serf ${name} ended`)), reject);
      });
      await listening;
      const rpc = await connectRpc(address);
      let sequence = 0;
      const call = (command: string, body: object): void => {
        rpc.write(msgpack.encode({ Command: command, Seq: sequence++ }));
        rpc.write(msgpack.encode(body));
      };
      call("handshake", { Version: 1 });
      const peer: Peer = {
        name,
        address,
        pid: child.pid ?? 0,
        join: (to) => {
          receive({ type: "began", about: "join", atMs: monotonicMs() });
          call("join", { Existing: [`${to}:${GOSSIP_PORT}`], Replay: false });
        },
        tell: (text) => {
          receive({ type: "began", about: text, atMs: monotonicMs() });
          call("event", {
            Name: text,
            Payload: Buffer.from("20 bytes of payload."),
            Coalesce: false,
          });
        },
        signal: (signal) => child.kill(signal),
        gone,
      };
      return peer;
    },
  };
}

function agentArgv(name: string, address: string, keyed: boolean): string[] {
  return [
    ...["serf", "agent", `-node=${name}`, `-bind=${address}:${GOSSIP_PORT}`],
    ...[`-rpc-addr=${address}:${RPC_PORT}`, "-profile=lan", "-log-level=info"],
    ...(keyed ? [`-encrypt=${KEY}`] : []),
  ];
}

function readLine(line: string, self: string, receive: (event: PeerEvent) => void): void {
  const atMs = monotonicMs();
  for (const [pattern, type] of LOGGED) {
    const about = pattern.exec(line)?.[1];
    if (about !== undefined && about !== self) receive({ type, about, atMs });
  }
}

/** The RPC listener comes just after the agent's first line. */
async function connectRpc(host: string): Promise<Socket> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await new Promise<Socket>((resolve, reject) => {
        const socket = connect({ host, port: RPC_PORT }, () => resolve(socket));
        socket.on("error", reject);
        socket.resume();
      });
    } catch (error) {
      if (attempt === 50) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
