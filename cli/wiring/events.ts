/** The daemon's parts as sources of events. */
import type { IpAlloc } from "../../ipalloc/index.ts";
import type { Member, MemberEvent } from "../../mesh/index.ts";
import type { HealedNetwork } from "../../overlay/index.ts";
import { EventLog } from "../events/event-log.ts";
import { ProblemWatch } from "../events/problem-watch.ts";
import { endpointEvents, type Naming, networkEvents } from "../events/row-events.ts";
import { formatHostPort } from "../peer-address.ts";
import { VERSION } from "../version.ts";
import type { Base } from "./base.ts";
import type { ControlFacts } from "./control-facts.ts";
import type { OpenMesh } from "./mesh.ts";
import type { SharedRows } from "./shared-rows.ts";

const VERDICTS = {
  alive: { kind: "peer-alive", text: "is alive" },
  suspect: { kind: "peer-suspect", text: "does not answer" },
  dead: { kind: "peer-dead", text: "is given up" },
  left: { kind: "peer-left", text: "left" },
} as const;

export function openEvents({ clock, log }: Base): EventLog {
  return new EventLog(clock, log.child({ part: "events" }));
}

/** Membership and tables; to be called before the mesh starts. */
export function followEvents(
  events: EventLog,
  { node, incarnation }: Pick<OpenMesh, "node" | "incarnation">,
  rows: SharedRows,
): void {
  const started = { version: VERSION, incarnation };
  events.add("daemon-started", `tsweave ${VERSION} started (start ${incarnation})`, started);
  const naming: Naming = {
    peer: (id) => node.member(id)?.name ?? id.slice(0, 8),
    container: (origin, key) => rows.names.get(origin, key)?.names[0] ?? "",
  };
  node.membership.onEvent((event) => memberEvent(events, event));
  rows.networks.onChange((changes) => networkEvents(events, changes, naming));
  rows.endpoints.onChange((changes) => endpointEvents(events, changes, naming));
}

/** Problems and the roster, looked at from now on. */
export function watchProblems(
  events: EventLog,
  { clock, log, stops }: Base,
  facts: Pick<ControlFacts, "problems">,
  alloc: Pick<IpAlloc, "roster">,
): void {
  const watch = new ProblemWatch(
    { clock, log: log.child({ part: "health" }), events },
    {
      problems: () => facts.problems(),
      roster: () => {
        const { number, members } = alloc.roster();
        return { number, members: members.map(({ name }) => name) };
      },
    },
  );
  watch.start();
  stops.add("problem watch", () => watch.stop());
}

/** What the reconciler put right, for people and for scripts. */
export function healedEvent(events: EventLog, healed: HealedNetwork): void {
  const [first] = healed.entries;
  const more = healed.total - 1;
  const shown = first === undefined ? "" : `: ${first.what} ${first.before} -> ${first.after}`;
  const rest = more > 0 ? ` and ${more} more` : "";
  const text = `network ${healed.network} was changed in the kernel and put right${shown}${rest}`;
  events.add("drift-healed", text, { ...healed });
}

function memberEvent(events: EventLog, { type, member }: MemberEvent): void {
  if (type === "updated" || member.self) return;
  const { kind, text } = VERDICTS[type];
  events.add(kind, `peer ${member.name} (${member.advertise.host}) ${text}`, detailsOf(member));
}

function detailsOf({ id, name, advertise, incarnation, evidence }: Member) {
  const address = formatHostPort(advertise);
  return { peer: name, id, address, incarnation, ...(evidence === undefined ? {} : { evidence }) };
}
