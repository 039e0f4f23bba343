/** `tsweave ping`: gossip, stream, largest packet and tunnel to one peer, each by itself. */
import { EXIT, TsweaveError } from "../../mesh/index.ts";
import type { Command } from "../command.ts";
import type { ConnectionRow, PeerAnswer } from "../control/api.ts";
import type { PathProbe } from "../doctor/path-probe.ts";
import { pingText } from "../render/ping-text.ts";
import { clientFor, RUN_DIR_OPTION } from "./client-options.ts";

const COUNT = 3;
const COUNT_MAX = 1000;

/** What the command found; the object that `--json` prints. */
export interface PingReport {
  readonly peer: string;
  readonly id: string;
  readonly gossip: ConnectionRow;
  /** Questions over the stream port, one an entry. */
  readonly answers: readonly PeerAnswer[];
  /** From this host's namespace to the peer's underlay address. */
  readonly underlay: PathProbe & { readonly address: string };
  /** From a container here to a container there; null when there is no such pair. */
  readonly tunnel:
    | (PathProbe & { readonly network: string; readonly address: string; readonly mtu: number })
    | null;
  readonly ok: boolean;
}

export const ping: Command = {
  usage: "PEER [options]",
  positionalsMax: 1,
  words: "peers",
  options: [
    { name: "count", short: "c", value: "N", summary: "questions to ask", default: String(COUNT) },
    { name: "json", summary: "print a JSON object" },
    RUN_DIR_OPTION,
  ],
  notes: [
    "PEER is a name, the beginning of an id, or an address. Tells apart: gossip (UDP, as the",
    "failure detector measures it), the stream port (a question over TCP), the underlay (ICMP",
    "echoes that must not be cut, up to the largest that passes), and the tunnel (the same from a",
    "container here to one there, over VXLAN). Exit code 6 when the peer does not answer, 4 when",
    "a part fails.",
  ],
  examples: ["tsweave ping host2", "tsweave ping 192.168.48.12 -c 10 --json"],
  run: async (input) => {
    const { positionals, options } = input;
    const [word] = positionals;
    if (word === undefined) {
      const hint = "such as 'tsweave ping host2', see 'tsweave status peers'";
      throw new TsweaveError("USAGE", "ping needs a PEER", { hint });
    }
    const count = countOf(options.count);
    const { pingPeer } = await import("../doctor/ping.ts");
    const report = await pingPeer(clientFor(input), word, count);
    const asJson = options.json === true;
    const text = asJson
      ? `${JSON.stringify({ schema: 1, ...report })}\n`
      : pingText(report, input.style);
    input.write(text);
    if (report.answers.every(({ error }) => error !== null)) return EXIT.timedOut;
    return report.ok ? EXIT.ok : EXIT.degraded;
  },
};

function countOf(word: string | true | undefined): number {
  if (typeof word !== "string") return COUNT;
  const count = /^[0-9]{1,4}$/.test(word) ? Number(word) : 0;
  if (count >= 1 && count <= COUNT_MAX) return count;
  throw new TsweaveError("USAGE", `--count: '${word.slice(0, 64)}' is not from 1 to ${COUNT_MAX}`, {
    hint: "see 'tsweave help ping'",
  });
}
