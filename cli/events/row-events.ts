/** Changes of the tables as events: networks and endpoints that came and went. */
import type { TypedChange } from "../../mesh/index.ts";
import type { EndpointRow, NetworkRow } from "../../overlay/index.ts";
import type { EventLog } from "./event-log.ts";

/** Names that the rows themselves do not carry. */
export interface Naming {
  readonly peer: (id: string) => string;
  /** Empty while it is not known. */
  readonly container: (origin: string, key: string) => string;
}

/** Of endpoints that come or go together so many are told one by one. */
const TOLD_MAX = 16;

export function networkEvents(
  events: EventLog,
  changes: readonly TypedChange<NetworkRow>[],
  naming: Naming,
): void {
  for (const { before, after } of changes) {
    const typed = after ?? before;
    if (typed === undefined || (before !== undefined && after !== undefined)) continue;
    const peer = naming.peer(typed.origin);
    const { subnet, vni } = typed.row;
    const details = { network: typed.key, subnet, vni, peer };
    if (after === undefined) {
      events.add("network-removed", `network ${typed.key} is gone from ${peer}`, details);
    } else {
      events.add("network-added", `network ${typed.key} ${subnet} is on ${peer}`, details);
    }
  }
}

export function endpointEvents(
  events: EventLog,
  changes: readonly TypedChange<EndpointRow>[],
  naming: Naming,
): void {
  const telling = changes.filter(({ before, after }) => isTelling(before?.row, after?.row));
  if (telling.length > TOLD_MAX) summary(events, telling);
  else for (const change of telling) endpointEvent(events, change, naming);
}

function endpointEvent(
  events: EventLog,
  { before, after }: TypedChange<EndpointRow>,
  naming: Naming,
): void {
  for (const [typed, kind] of [
    [before, "endpoint-removed"],
    [after, "endpoint-added"],
  ] as const) {
    if (typed === undefined) continue;
    const { network, ip, mac, vtep } = typed.row;
    const peer = naming.peer(typed.origin);
    const name = naming.container(typed.origin, typed.key);
    const who = name === "" ? typed.key.slice(0, 12) : name;
    const verb = kind === "endpoint-added" ? "is on" : "is gone from";
    const details = { network, id: typed.key, name, ip, mac, vtep, peer };
    events.add(kind, `endpoint ${who} ${ip} of ${network} ${verb} ${peer}`, details);
  }
}

/** A row written anew with the same content is no news. */
function isTelling(before: EndpointRow | undefined, after: EndpointRow | undefined): boolean {
  if (before === undefined || after === undefined) return before !== after;
  const { network, ip, mac, vtep } = before;
  const same = network === after.network && ip === after.ip && mac === after.mac;
  return !same || vtep !== after.vtep;
}

function summary(events: EventLog, changes: readonly TypedChange<EndpointRow>[]): void {
  const added = changes.filter(({ after }) => after !== undefined).length;
  const removed = changes.filter(({ before }) => before !== undefined).length;
  const text = `endpoints: ${added} added and ${removed} removed at once`;
  events.add("endpoints-changed", text, { added, removed });
}
