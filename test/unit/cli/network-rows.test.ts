/** Every network of the mesh is listed on every host, with the reason where it is not here. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { renderRead } from "../../../cli/render/tables.ts";
import { networkPlan } from "../../../cli/wiring/network-plan.ts";
import { type NetworkRowsPorts, networkRows } from "../../../cli/wiring/network-rows.ts";
import { SharedRows } from "../../../cli/wiring/shared-rows.ts";
import {
  type Charter,
  dissolved,
  founded,
  type NetworkSpec,
  NO_CHARTER,
} from "../../../overlay/charter/charter.ts";
import { HOST_KEY, type NetworkNote, networkToWire } from "../../../overlay/index.ts";
import { QuietLog } from "../../lib/quiet-log.ts";
import { TablesInHand, type Written } from "./fixture-tables.ts";

const [SELF, FRIEND] = ["a".repeat(32), "b".repeat(32)];
/** What the friend was before its disk was lost. */
const FORMER = "f".repeat(32);
const OPTIONS = { network: "tsweave", ipallocRange: "10.32.0.0/12" };
const [RED, GREEN] = ["10.50.0.0/16", "10.60.0.0/16"];

function spec(subnet: string, internal = false): NetworkSpec {
  const none = { gateway: "", ipRange: "", auxiliary: [], labels: [] };
  return { subnet, internal, underlayMtuBytes: 0, ...none };
}

function has(origin: string, name: string, subnet: string): Written {
  const gateway = subnet.replace(/0\/\d+$/, "1");
  const row = { vni: 9_000_001, subnet, gateway, mtuBytes: 1450, internal: false };
  return ["networks", origin, name, networkToWire(row)];
}

interface Scene {
  readonly written?: readonly Written[];
  readonly charters?: Readonly<Record<string, Charter>>;
  /** Undefined: no Docker at all. */
  readonly docker?: { readonly connected: boolean; readonly notes?: readonly NetworkNote[] };
}

function listed({ written = [], charters = {}, docker }: Scene) {
  const tables = new TablesInHand();
  for (const one of written) tables.write([one]);
  const members = [SELF, FRIEND].map((id, at) => {
    const advertise = { host: `10.9.0.${at + 1}`, port: 6783 };
    return { id, name: `h${at + 1}`, state: "alive", advertise };
  });
  members.push({ ...members[1], id: FORMER, state: "dead" } as (typeof members)[number]);
  const presence = { entriesCount: () => true };
  const log = new QuietLog();
  const rows = new SharedRows({ tables: tables.port, presence, members: () => [], log }, SELF);
  const book = new Map(Object.entries(charters));
  const side =
    docker === undefined
      ? undefined
      : {
          docker: { status: () => ({ connected: docker.connected }) },
          maker: { notes: () => docker.notes ?? [] },
        };
  const host = { overlayMtuBytes: 1450, underlayMtuBytes: 1500, cause: "device", about: "eth0" };
  const ports = {
    mesh: { node: { membership: { members: () => members } }, self: SELF },
    ...{ rows, docker: side },
    charters: { charters: () => book, charter: (name: string) => book.get(name) ?? NO_CHARTER },
    plan: networkPlan(() => rows, {
      ...{ defaultNetwork: "tsweave", leastMtuBytes: () => 1450, underlay: 4 },
    }),
    underlay: { least: () => ({ origin: SELF, key: HOST_KEY, row: host }) },
  } as unknown as NetworkRowsPorts;
  return networkRows(ports, OPTIONS);
}

function places(scene: Scene): (string | null)[][] {
  return listed(scene).map(({ name, subnet, here, why }) => [
    name,
    subnet,
    here ? "yes" : "no",
    why,
  ]);
}

const everywhere = [has(SELF, "tsweave", "10.32.0.0/12"), has(FRIEND, "tsweave", "10.32.0.0/12")];
const DEFAULT = ["tsweave", "10.32.0.0/12", "yes", null];

describe("the list of networks", () => {
  it("has the default network also where nothing could be made", () => {
    const [row, ...more] = listed({ docker: { connected: false } });
    assert.deepEqual(more, []);
    assert.deepEqual(row, {
      ...{ name: "tsweave", vni: 256, subnet: "10.32.0.0/12", internal: false },
      ...{ mtu: 1450, mtuReason: "eth0 of h1 has 1500", endpoints: 0, local: 0 },
      ...{ here: false, why: "Docker does not answer", present: [], conflicts: [] },
    });
    const there = [has(FRIEND, "tsweave", "10.32.0.0/12")];
    assert.deepEqual(places({ written: there, docker: { connected: false } }), [
      ["tsweave", "10.32.0.0/12", "no", "Docker does not answer"],
    ]);
  });

  it("has what only the records know, with the number that it will have", () => {
    const charters = {
      pink: founded(NO_CHARTER, FRIEND, 0, spec(RED, true)),
      blue: founded(NO_CHARTER, FRIEND, 0, spec(GREEN)),
      gone: dissolved(founded(NO_CHARTER, FRIEND, 0, spec(RED)), RED),
    };
    const alone = listed({ written: everywhere, charters });
    assert.deepEqual(
      alone.map(({ name, internal, why }) => [name, internal, why]),
      [
        ["tsweave", false, null],
        ["blue", false, "no Docker, and nothing is attached to it here"],
        ["pink", true, "no Docker, and nothing is attached to it here"],
      ],
    );
    const [, blue] = alone;
    assert.ok(blue !== undefined && blue.vni >= 0x800000 && blue.mtu === 1450);
    const soon = places({ written: everywhere, charters, docker: { connected: true } });
    assert.deepEqual(soon[1], ["blue", GREEN, "no", "not made yet; see 'tsweave status'"]);
  });

  it("leaves out what only a host had that another has replaced", () => {
    const written = [
      ...everywhere,
      has(FORMER, "old", RED),
      has(FORMER, "tsweave", "10.32.0.0/12"),
    ];
    const rows = listed({ written });
    assert.deepEqual(
      rows.map(({ name, present }) => [name, present]),
      [["tsweave", ["h1", "h2"]]],
    );
  });

  it("says why this engine cannot have one, once", () => {
    const charters = { blue: founded(NO_CHARTER, FRIEND, 0, spec(GREEN)) };
    const text = "network blue is missing here: another network (bridge) has its name";
    const code = "NETWORK_NOT_MADE";
    const notes = [{ code, network: "blue", subnet: GREEN, text, next: "" }] as const;
    const written = [...everywhere, has(FRIEND, "blue", GREEN)];
    const networks = listed({ written, charters, docker: { connected: true, notes } });
    const blue = networks.find(({ name }) => name === "blue");
    assert.deepEqual([blue?.here, blue?.why, blue?.present], [false, text, ["h2"]]);
    const shown = renderRead("networks", { networks });
    assert.match(shown, /blue .*no: network blue is missing here: .* has its name +h2 +-\n$/);
    assert.equal(shown.split(text).length, 2);
  });

  it("has both of two networks of one name", () => {
    const charter = founded(founded(NO_CHARTER, SELF, 0, spec(RED)), FRIEND, 1, spec(GREEN));
    const charters = { blue: charter };
    const winner = { written: [...everywhere, has(SELF, "blue", RED)], charters };
    assert.deepEqual(places(winner), [DEFAULT, ["blue", RED, "yes", null]]);
    const loser = [...everywhere, has(SELF, "blue", GREEN)];
    assert.deepEqual(places({ written: loser, charters }), [
      DEFAULT,
      ["blue", GREEN, "yes", null],
      ["blue", RED, "no", `this host's blue has ${GREEN}`],
    ]);
    const other = [...everywhere, has(FRIEND, "blue", GREEN)];
    const docker = { connected: true };
    assert.deepEqual(places({ written: other, charters, docker }), [
      DEFAULT,
      ["blue", GREEN, "no", `the mesh's has ${RED}`],
      ["blue", RED, "no", "not made yet; see 'tsweave status'"],
    ]);
  });

  it("knows what was removed, and what its host keeps for itself", () => {
    const gone = dissolved(founded(NO_CHARTER, FRIEND, 0, spec(RED)), RED);
    const written = [...everywhere, has(FRIEND, "old", RED), has(FRIEND, "own", GREEN)];
    const docker = { connected: true };
    assert.deepEqual(places({ written, charters: { old: gone }, docker }), [
      DEFAULT,
      ["old", RED, "no", "removed from the mesh"],
      ["own", GREEN, "no", "its host does not share it"],
    ]);
  });
});
