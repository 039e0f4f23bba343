/** What `tsweave test` found: a matrix while it fits, then a line a fault. */
import type { MeshTest } from "../control/probe-api.ts";
import { count, milliseconds } from "./human.ts";
import { plain, type Style } from "./style.ts";
import { type Cell, table } from "./table.ts";

const MATRIX_MAX = 16;
const FAULTS_SHOWN_MAX = 40;

export function testText(test: MeshTest, style: Style = plain): string {
  const { peers, absent, pairs, pairsAll, pairsTried, tunnelsTried, tookMs } = test;
  const ill = pairs.filter(({ faults }) => faults.length > 0);
  const rest = pairsTried < pairsAll ? ` of ${pairsAll} (the others with --all)` : "";
  const head = [
    count(peers.length, "peer"),
    `${count(pairsTried, "pair")} tried${rest}`,
    `tunnels of ${tunnelsTried}`,
    verdict(ill.length, absent.length, style),
    milliseconds(tookMs),
  ];
  const isMatrix = peers.length > 1 && peers.length <= MATRIX_MAX;
  const lines = [
    ...ill.map(({ text, next }) => `${text} -> ${next}`),
    ...absent.map(({ name }) => `${name} does not answer -> tsweave status`),
  ].map((line) => `  - ${line.replace(/\p{Cc}+/gu, " ")}\n`);
  const more = lines.length - FAULTS_SHOWN_MAX;
  return [
    `${head.join(", ")}\n`,
    isMatrix ? `\n${matrix(test, style)}` : "",
    lines.length === 0 ? "" : "Health:\n",
    ...lines.slice(0, FAULTS_SHOWN_MAX),
    more > 0 ? `  and ${more} more, see --json\n` : "",
  ].join("");
}

function verdict(ill: number, absent: number, style: Style): string {
  const parts = [
    ...(ill > 0 ? [`${count(ill, "pair")} not well`] : []),
    ...(absent > 0 ? [`${count(absent, "peer")} without an answer`] : []),
  ];
  return parts.length === 0 ? "all well" : style("bad", parts.join(", "));
}

/** A row a host that measured, a column a host it measured. */
function matrix({ peers, pairs }: MeshTest, style: Style): string {
  const cells = new Map(
    pairs.map(({ from, to, faults: [worst] }): [string, Cell] => [
      `${from} ${to}`,
      worst === undefined ? { text: "ok", tone: "good" } : { text: worst, tone: "bad" },
    ]),
  );
  const rows = peers.map(({ id, name }) => [
    name,
    ...peers.map((other) => (other.id === id ? "." : (cells.get(`${id} ${other.id}`) ?? ""))),
  ]);
  return table(["FROM / TO", ...peers.map(({ name }) => name)], rows, style);
}
