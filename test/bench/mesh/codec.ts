/** What the tables' codec does in a second, and the size of a digest, in this process alone. */
import { decodeWire, encodeWire } from "../../../mesh/index.ts";
import { deltaFromWire, deltaToWire } from "../../../mesh/tables/messages.ts";
import { encodeTablesMessage } from "../../../mesh/tables/push.ts";
import { Replica } from "../../../mesh/tables/replica.ts";
import { ENVELOPE_BYTES } from "../../../mesh/wire/envelope.ts";
import { endpointToWire } from "../../../overlay/rows.ts";

const ROWS = 10_000;
const WARM = 3;

export interface CodecRates {
  readonly writtenPerSecond: number[];
  readonly readPerSecond: number[];
  readonly deltaBytes: number;
  /** Of the datagram that two peers compare, without IP and UDP headers. */
  readonly digestBytes: number;
  readonly digestMicros: number[];
}

export function measureCodec(rounds: number): CodecRates {
  const replica = new Replica("a".repeat(32), 1_790_000_000);
  const [mac, vtep] = ["02:42:0a:20:00:05", "192.168.48.11"];
  for (let nth = 0; nth < ROWS; nth++) {
    const row = { network: "tsweave", ip: `10.32.${nth >> 8}.${nth & 255}`, mac, vtep };
    replica.put("endpoints", nth.toString(16).padStart(64, "0"), endpointToWire(row));
  }
  const delta = replica.ownDelta(0);
  const bytes = encodeWire(deltaToWire(delta));
  const digest = (): Uint8Array =>
    encodeTablesMessage({
      type: "digest",
      sender: replica.self,
      hash: replica.digest(),
      ask: false,
    });
  const perSecond = (work: () => void): number[] => {
    const samples = Array.from({ length: rounds + WARM }, () => {
      const startMs = performance.now();
      work();
      return (ROWS * 1000) / (performance.now() - startMs);
    });
    return samples.slice(WARM);
  };
  return {
    writtenPerSecond: perSecond(() => void encodeWire(deltaToWire(delta))),
    readPerSecond: perSecond(() => void deltaFromWire(decodeWire(bytes))),
    deltaBytes: bytes.length,
    digestBytes: ENVELOPE_BYTES + digest().length,
    digestMicros: perSecond(() => {
      for (let nth = 0; nth < ROWS; nth++) digest();
    }).map((rate) => 1_000_000 / rate),
  };
}
