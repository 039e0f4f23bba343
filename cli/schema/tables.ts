/** The JSON of `status` and of its tables; see shape.ts. */
import { READS, type Replies, type Status } from "../control/api.ts";
import {
  exactly,
  fieldsOf,
  flag,
  integer,
  list,
  number,
  orNull,
  record,
  text,
  word,
} from "./shape.ts";

const memberState = word("alive", "suspect", "dead", "left");
const problem = record({ code: text, text, next: orNull(text) });

export const status = exactly<Status>()(
  record({
    version: text,
    pid: integer,
    peer: record({ id: text, name: text, incarnation: integer, advertise: text }),
    uptimeSeconds: integer,
    health: record({ ok: flag, problems: list(problem) }),
    mesh: record({
      ...{ engine: text, encrypted: flag, peers: integer, alive: integer, suspect: integer },
      ...{ dead: integer, left: integer, trying: integer },
    }),
    ipam: record({
      ...{ subnet: text, founded: flag, text, addresses: integer, owned: integer, used: integer },
      ...{ unreachable: integer, conflicts: integer },
    }),
    dns: record({ enabled: flag, domain: text, names: integer, sandboxes: integer }),
    docker: record({
      ...{ enabled: flag, connected: flag, version: orNull(text), plugin: flag },
      ...{ networks: integer, endpoints: integer },
    }),
    web: record({ url: orNull(text) }),
    kernel: record({
      ...{ inSync: flag, lastReconcileMs: orNull(number) },
      ...{ lastReconcileAgeSeconds: orNull(integer), drift: integer },
    }),
  }),
);

const peerRow = record({
  ...{ id: text, name: text, address: text, state: memberState, incarnation: integer },
  ...{ rttMs: orNull(number), self: flag },
  path: orNull(
    record({
      kind: word("vxlan", "direct", "mixed"),
      networks: list(
        record({
          ...{ network: text, direct: flag },
          ...{ sinceSeconds: orNull(integer), why: orNull(text) },
        }),
      ),
    }),
  ),
});

const traffic = record({
  ...{ inBytes: integer, outBytes: integer },
  ...{ inBytesPerSecond: orNull(integer), outBytesPerSecond: orNull(integer) },
});

export const connectionRow = record({
  ...{ peer: text, id: text, address: text },
  state: word("established", "doubtful", "lost", "closed"),
  ...{ rttMs: orNull(number), sinceSeconds: integer, addresses: list(text) },
  ...{ direct: orNull(flag), directSinceSeconds: orNull(integer) },
  fault: orNull(word("silent", "refused", "tcp-only")),
  ...{ seenSeconds: orNull(integer), mtuBytes: orNull(integer) },
  traffic: orNull(traffic),
});

const networkRow = record({
  ...{ name: text, vni: integer, subnet: text, mtu: integer, mtuReason: text, internal: flag },
  ...{ endpoints: integer, local: integer, here: flag, why: orNull(text) },
  ...{ present: list(text), conflicts: list(text) },
});

const endpointRow = record({
  ...{ network: text, id: text, name: text, aliases: list(text), ip: text, mac: text },
  ...{ peer: text, vtep: text, local: flag },
  state: word("alive", "suspect", "dead", "left", "unplugged"),
});

const groupRow = record({
  ...{ network: text, group: text, containers: list(text), peers: list(text) },
});

const owner = record({
  ...{ peer: text, ranges: list(text), addresses: integer, used: integer, reachable: flag },
});
const conflict = record({ ip: text, key: text, owner: text });
const poolRow = record({
  ...{ subnet: text, owned: list(owner), used: integer, free: integer },
  conflicts: list(conflict),
});

const recordRow = record({
  ...{ name: text, network: text, type: text, address: text, peer: text, ttlSeconds: integer },
});

const rosterMember = record({
  ...{ peer: text, name: text, store: text, elector: flag, reachable: flag, self: flag },
});
const formerMember = record({
  ...{ peer: text, name: text, store: text },
  how: word("forgotten", "left", "replaced"),
  number: integer,
});
const pending = record({
  what: word("found", "admit", "forget", "reclaim", "leave", "adopt"),
  ...{ about: list(text), waitingFor: list(text), ageMs: number, text },
});
const roster = record({
  number: orNull(integer),
  self: word("unfounded", "joining", "member", "returned", "leaving"),
  members: list(rosterMember),
  former: list(formerMember),
  heir: orNull(text),
  waits: list(pending),
});

const TABLES = {
  peers: exactly<Replies["peers"]>()(record({ peers: list(peerRow) })),
  connections: exactly<Replies["connections"]>()(record({ connections: list(connectionRow) })),
  targets: exactly<Replies["targets"]>()(
    record({
      targets: list(
        record({ address: text, state: word("connected", "trying"), attempts: integer }),
      ),
    }),
  ),
  networks: exactly<Replies["networks"]>()(record({ networks: list(networkRow) })),
  endpoints: exactly<Replies["endpoints"]>()(record({ endpoints: list(endpointRow) })),
  groups: exactly<Replies["groups"]>()(record({ groups: list(groupRow), notTold: integer })),
  ipam: exactly<Replies["ipam"]>()(record({ pools: list(poolRow), roster })),
  dns: exactly<Replies["dns"]>()(record({ domain: text, records: list(recordRow) })),
};

/** What `status NAME --json` prints beside `schema`, by name. */
export const tables = READS.map((name) => [name, fieldsOf<object>(TABLES[name])] as const);
