/**
 * Agents of Debian's serf. They are told to do things over their RPC port (a command line would
 * cost a process), and what they see is read from their logs as it comes: their event stream holds
 * member events back for a second to coalesce them.
 */
import { connect, type Socket } from "node:net";
import msgpack from "msgpack-lite";
import { onLines, startChild } from "./children.ts";
import { type Peer, type PeerEvent, type PeerSystem, peerName } from "./peer.ts";

const GOSSIP_PORT = 7946;
export const RPC_PORT = 7373;

const LOGGED: readonly (readonly [RegExp, PeerEvent["type"]])[] = [
  [/serf: EventMemberJoin: (\S+)/, "alive"],
  [/serf: EventMemberFailed: (\S+)/, "dead"],
  [/serf: EventMemberLeave: (\S+)/, "left"],
  [/agent: Received event: user-event: (\S+)/, "row"],
];

export function serfSystem(prefix: string): PeerSystem {
  return {
    name: "serf",
    prefix,
    start: async (index, _round, receive) => {
      const name = peerName(index);
      const address = `${prefix}.${index}`;
      const { child, gone } = startChild(agentArgv(name, address), { ipc: false });
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
        join: (to) => call("join", { Existing: [`${to}:${GOSSIP_PORT}`], Replay: false }),
        tell: (text) => {
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

function agentArgv(name: string, address: string): string[] {
  return [
    ...["serf", "agent", `-node=${name}`, `-bind=${address}:${GOSSIP_PORT}`],
    ...[`-rpc-addr=${address}:${RPC_PORT}`, "-profile=lan", "-log-level=info"],
  ];
}

function readLine(line: string, self: string, receive: (event: PeerEvent) => void): void {
  for (const [pattern, type] of LOGGED) {
    const about = pattern.exec(line)?.[1];
    if (about !== undefined && about !== self) receive({ type, about });
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
