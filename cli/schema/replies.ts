/**
 * The JSON that each command prints with `--json`, by the words of the command.
 *
 * Law: the compiler holds every shape against the type that the command prints, and a test holds
 * it against what real commands printed.
 */
import type { ForgetResult } from "../../ipalloc/index.ts";
import type { AttachedEndpoint } from "../../overlay/index.ts";
import type { PingReport } from "../commands/ping.ts";
import type {
  AdoptionReply,
  AttachmentRow,
  KeysReply,
  LogReply,
  LookupReply,
  NamespaceRow,
} from "../control/api.ts";
import type { NetworkChange } from "../control/network-api.ts";
import { type MeshTest, PAIR_FAULTS } from "../control/probe-api.ts";
import type { ReconcileReply } from "../control/reconcile-api.ts";
import type { Examined } from "../doctor/examine.ts";
import { EVENT_KINDS, type MeshEvent } from "../events/event.ts";
import type { Explanation } from "../explain/decide.ts";
import { CAUSES, type CauseCode, STEPS } from "../explain/step.ts";
import { LOG_LEVELS } from "../launch-options.ts";
import type { LinkRow } from "../render/links.ts";
import {
  exactly,
  fieldsOf,
  flag,
  integer,
  type JsonSchema,
  list,
  number,
  open,
  orNull,
  record,
  type Shape,
  text,
  word,
} from "./shape.ts";
import { connectionRow, status, tables } from "./tables.ts";

const kind = word("container", "netns", "process", "host");
const resolver = word("none", "docker", "own");
const attached = exactly<AttachedEndpoint>()(
  record({
    ...{ id: text, kind, target: text, network: text, ip: text, cidr: text, mac: text },
    ...{ device: text, names: list(text), gateway: orNull(text), resolver },
  }),
);
const detached = record({ detached: list(attached) });

const attachment = exactly<AttachmentRow>()(
  record({
    id: text,
    kind: word("docker", "container", "netns", "process", "host"),
    ...{ target: text, network: text, ip: text, mac: text, names: list(text) },
    ...{ interface: orNull(text), gateway: orNull(text), resolver: orNull(resolver) },
  }),
);
const namespace = exactly<NamespaceRow>()(record({ network: text, namespace: text }));

const link = exactly<LinkRow>()(
  record({
    ...{ namespace: text, index: integer, device: text, kind: text, master: text, up: flag },
    ...{ mtu: integer, mac: text, peerIndex: orNull(integer), peer: orNull(text) },
  }),
);

const answer = record({ name: text, type: text, ttlSeconds: integer, data: text });

const keys = exactly<KeysReply>()(
  record({
    encrypted: flag,
    keys: list(record({ id: text, sends: flag, peers: integer })),
    ...{ refused: integer, replayed: integer },
  }),
);

const forgotten = exactly<ForgetResult>()(
  record({
    state: word("done", "reclaiming", "pending"),
    ...{ peers: list(text), heir: orNull(text), waitingFor: list(text), text },
  }),
);

const keeper = record({ container: text, peer: text });
const twice = record({ network: text, ip: text, container: text, peer: text, keeper });
const adoption = exactly<AdoptionReply>()(
  record({
    ...{ mesh: text, into: text, adopters: list(text), peers: list(text), absent: list(text) },
    ...{ addresses: integer, waitingFor: list(text), text },
    ...{ state: word("planned", "done", "pending"), twice: list(twice) },
  }),
);

const reconciled = exactly<ReconcileReply>()(
  record({ dryRun: flag, batch: list(text), inSync: flag, error: orNull(text) }),
);

const networkChange = exactly<NetworkChange>()(
  record({
    ...{ name: text, subnet: text, vni: orNull(integer) },
    ...{ hosts: integer, engines: integer, missing: list(text) },
  }),
);

const finding = exactly<Examined>()(
  record({
    ...{ check: text, state: word("ok", "warn", "fail"), text, next: orNull(text), fixed: flag },
  }),
);

const probe = { rttMs: orNull(number), largestBytes: orNull(integer), error: orNull(text) };
const peerAnswer = record({
  ...{ peer: text, id: text, tookMs: orNull(number), version: orNull(text) },
  ...{ vxlanPort: orNull(integer), underlayMtuBytes: orNull(integer) },
  ...{ clockAheadMs: orNull(integer), overlaps: orNull(list(text)), error: orNull(text) },
});
const ping = exactly<PingReport>()(
  record({
    ...{ peer: text, id: text, gossip: connectionRow, answers: list(peerAnswer) },
    underlay: record({ ...probe, address: text }),
    tunnel: orNull(record({ ...probe, network: text, address: text, mtu: integer })),
    ok: flag,
  }),
);

const code = word(...(Object.keys(CAUSES) as CauseCode[]));
const step = record({
  ...{ step: word(...STEPS), state: word("ok", "failed", "unknown"), text },
  ...{ code: orNull(code), next: orNull(text), facts: orNull(open) },
});
const explanation = exactly<Explanation>()(
  record({
    ...{ steps: list(step), reachable: flag, found: flag },
    ...{ cause: orNull(record({ code, text, next: orNull(text) })), notes: list(code) },
  }),
);

const path = { ...probe, neededBytes: integer };
const pair = record({
  ...{ from: text, to: text },
  gossip: orNull(word("established", "doubtful", "lost", "closed")),
  ...{ direct: orNull(flag), rttMs: orNull(number), streamMs: orNull(number) },
  ...{ underlay: orNull(record(path)), tunnelBytes: orNull(integer) },
  tunnel: orNull(record({ ...path, network: text })),
  error: orNull(text),
  ...{ faults: list(word(...PAIR_FAULTS)), text: orNull(text), next: orNull(text) },
});
const named = list(record({ id: text, name: text }));
const meshTest = exactly<MeshTest>()(
  record({
    ...{ ok: flag, peers: named, absent: named, pairsAll: integer, pairsTried: integer },
    ...{ tunnelsTried: integer, pairs: list(pair), tookMs: integer },
  }),
);

const level = word(...LOG_LEVELS);
const logReply = exactly<LogReply>()(
  record({
    ...{ level, parts: list(record({ part: text, level })), file: orNull(text) },
  }),
);

/** A line each. */
const event = exactly<MeshEvent>()(
  record({ seq: integer, time: text, kind: word(...EVENT_KINDS), text, details: openDetails() }),
);
const logLine = record({ level: integer, time: text, msg: text });
/** What a line has besides follows from its message. */
const logLines: JsonSchema = { ...logLine.json, additionalProperties: true };

function openDetails(): Shape<Readonly<Record<string, unknown>>> {
  return { json: open.json };
}

type Fields = Readonly<Record<string, Shape<unknown>>>;
const reply = (fields: Fields): JsonSchema =>
  record({ schema: { json: { const: 1 } }, ...fields }).json;
const of = <T extends object>(shape: Shape<T>): JsonSchema => reply(fieldsOf(shape) as Fields);

/** By the command's words; `events` and `logs` print one such object a line. */
export const REPLIES: Readonly<Record<string, JsonSchema>> = {
  status: of(status),
  ...Object.fromEntries(
    tables.map(([name, fields]) => [`status ${name}`, reply(fields as Fields)]),
  ),
  wait: reply({ for: list(text), waitedMs: integer }),
  rmpeer: of(forgotten),
  adopt: of(adoption),
  attach: of(attached),
  detach: of(detached),
  ps: reply({ endpoints: list(attachment) }),
  expose: of(attached),
  hide: of(detached),
  reconcile: of(reconciled),
  netns: reply({ namespaces: list(namespace) }),
  links: reply({ links: list(link) }),
  "dns-lookup": of(exactly<LookupReply>()(record({ answers: list(answer) }))),
  "network ls": reply((tables.find(([name]) => name === "networks")?.[1] ?? {}) as Fields),
  "network create": of(networkChange),
  "network rm": of(networkChange),
  keys: of(keys),
  ping: of(ping),
  test: of(meshTest),
  explain: reply({ from: text, to: text, tcp: orNull(integer), ...fieldsOf(explanation) }),
  doctor: reply({ ok: flag, daemon: flag, findings: list(finding) }),
  events: of(event),
  logs: logLines,
  "log-level": of(logReply),
  version: reply({ version: text, node: text }),
};

/** One document with all of them, or the schema of one. */
export function schemaDocument(name?: string): JsonSchema {
  const head = { $schema: "https://json-schema.org/draft/2020-12/schema" };
  if (name === undefined) return { ...head, title: "tsweave", $defs: REPLIES };
  return { ...head, title: `tsweave ${name} --json`, ...REPLIES[name] };
}
