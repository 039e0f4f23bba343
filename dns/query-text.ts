/**
 * Questions and answers as people write them, for `tsweave dns-lookup`: the same rules as on the
 * wire.
 */
import { TIMES, TsweaveError } from "../mesh/index.ts";
import { RCODE, TYPE } from "./codec.ts";
import { formatIpv4, parseIpv4, reverseName } from "./ipv4.ts";
import { lookUp } from "./lookup.ts";
import { foldCase, labelsOf } from "./name.ts";
import type { Answer } from "./reply.ts";
import type { Zone } from "./zone.ts";

export interface TextQuestion {
  /** A name, or an address whose names are asked for. */
  readonly name: string;
  /** Such as `SRV`; undefined: A, PTR of an address. */
  readonly type: string | undefined;
  /** Undefined: every network. */
  readonly network: string | undefined;
}

export interface TextAnswer {
  /** Folded. */
  readonly name: string;
  readonly type: string;
  readonly ttlSeconds: number;
  /** As in a master file, without dots at the end. */
  readonly data: string;
}

/** What `answersTo` can be asked for. */
const TYPE_NAMES = ["A", "AAAA", "PTR", "SRV", "TXT", "SOA", "NS", "MX", "ANY"] as const;

/**
 * The zone's answers, in its own order. @throws TsweaveError USAGE, NOT_FOUND.
 */
export function answersTo(question: TextQuestion, zone: Zone): readonly TextAnswer[] {
  const { network, name: text } = question;
  const address = parseIpv4(text);
  const name = address === undefined ? foldCase(text).replace(/\.$/, "") : reverseName(address);
  if (labelsOf(name) === undefined) {
    throw new TsweaveError("USAGE", `'${text.slice(0, 100)}' is not a name that DNS can carry`);
  }
  const typeName = typeOf(question.type ?? (address === undefined ? "A" : "PTR"));
  const networks = network === undefined ? zone.networks : networkNamed(network, zone);
  const type = TYPE[typeName.toLowerCase() as Lowercase<typeof typeName>];
  const reply = lookUp(name, type, { networks, links: new Set() }, zone);
  const where = network === undefined ? "" : ` on network ${network}`;
  if (reply === undefined || reply.rcode === RCODE.nxDomain) {
    throw new TsweaveError("NOT_FOUND", `no name ${text.slice(0, 255)}${where}`, {
      hint: "see 'tsweave status dns'",
    });
  }
  if (reply.answers.length === 0) {
    throw new TsweaveError("NOT_FOUND", `${text} has no ${typeName} record${where}`);
  }
  return reply.answers.map((answer) => ({
    name,
    type: answer.type,
    ttlSeconds: TIMES.dnsTtlSeconds,
    data: dataText(answer, zone),
  }));
}

function typeOf(text: string): (typeof TYPE_NAMES)[number] {
  const found = TYPE_NAMES.find((known) => known === text.toUpperCase());
  if (found !== undefined) return found;
  throw new TsweaveError("USAGE", `'${text.slice(0, 20)}' is not a type of record`, {
    hint: `use one of ${TYPE_NAMES.join(", ")}`,
  });
}

function networkNamed(name: string, zone: Zone): ReadonlySet<string> {
  if (zone.networks.has(name)) return new Set([name]);
  throw new TsweaveError("NOT_FOUND", `the mesh has no network ${name.slice(0, 255)}`, {
    hint: "see 'tsweave status networks'",
  });
}

function dataText(answer: Answer, zone: Zone): string {
  if (answer.type === "A") return formatIpv4(answer.address);
  if (answer.type === "PTR") return answer.target.join(".");
  if (answer.type === "SRV") return `0 1 ${answer.port} ${answer.target.join(".")}`;
  const { server, mailbox, serial } = zone.apex;
  return `${server.join(".")} ${mailbox.join(".")} ${serial}`;
}
