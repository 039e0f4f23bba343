/** The pure parts of attaching: what is chosen, where the bridge lies, steps, verdicts, records. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LIMITS, type TsweaveError } from "../../../mesh/index.ts";
import {
  addressOn,
  choose,
  macFor,
  type NamespaceView,
  namesFor,
} from "../../../overlay/attach/choice.ts";
import { endSteps, gatewaySteps, renderEnds } from "../../../overlay/attach/end-steps.ts";
import { gatewayOf, nextGatewayCidr } from "../../../overlay/attach/gateway.ts";
import type { Attachment, AttachWish, Target } from "../../../overlay/attach/model.ts";
import { attachmentFromRecord, attachmentRecord } from "../../../overlay/attach/records.ts";
import { judge, type Sighting } from "../../../overlay/attach/verdict.ts";
import { batchText } from "../../../overlay/render.ts";
import { link } from "./attach-world.ts";
import { NET } from "./samples.ts";

const TARGET: Target = {
  kind: "netns",
  label: "/run/netns/blue",
  path: "/run/netns/blue",
  inode: 4_026_532_676,
  cookie: "45276",
  bootId: "boot",
  containerId: "",
};

const ATTACHMENT: Attachment = {
  id: "0123456789abcdef".repeat(4),
  network: "tsweave",
  ip: "10.32.0.7",
  mac: "02:42:0a:20:00:07",
  device: "eth0",
  names: ["web", "www"],
  target: TARGET,
  resolver: "own",
  gatewayCidr: "172.31.0.2/16",
  gatewayDevice: "eth1",
  joined: true,
};

const wish = (more: Partial<AttachWish> = {}): AttachWish => ({
  target: "blue",
  names: [],
  dns: true,
  ...more,
});

function view(devices: readonly string[], more: Partial<NamespaceView> = {}): NamespaceView {
  const links = new Map(devices.map((name) => [name, link(name)]));
  return { links, routes: [], hasDefaultRoute: false, hasResolver: false, ...more };
}

const refused = (code: string) => (error: unknown) => (error as TsweaveError).code === code;

describe("choose", () => {
  it("takes the first free name, a default route where there is none, our resolver", () => {
    const bare = choose(wish(), NET, TARGET, view(["lo"]));
    assert.deepEqual(bare, { device: "eth0", gatewayDevice: "eth1", resolver: "own" });
    const full = view(["lo", "eth0", "eth1"], { hasDefaultRoute: true, hasResolver: true });
    const chosen = choose(wish(), NET, TARGET, full);
    assert.deepEqual(chosen, { device: "eth2", gatewayDevice: "", resolver: "docker" });
    const odd = choose(wish({ device: "eth1", dns: false }), NET, TARGET, view(["lo"]));
    assert.deepEqual(odd, { device: "eth1", gatewayDevice: "eth0", resolver: "none" });
  });

  it("gives the host neither route nor resolver", () => {
    const host = { kind: "host", label: "host" } as const;
    const chosen = choose(wish(), NET, host, view(["lo", "eth0", "tsweave0"]));
    assert.deepEqual(chosen, { device: "tsweave1", gatewayDevice: "", resolver: "none" });
  });

  it("gives an internal network no way outside, also when asked", () => {
    const inside = { ...NET, internal: true };
    assert.equal(choose(wish(), inside, TARGET, view([])).gatewayDevice, "");
    const asked = () => choose(wish({ gateway: true }), inside, TARGET, view([]));
    assert.throws(asked, refused("CONFIG"));
  });

  it("refuses names that no device can have", () => {
    for (const device of ["", "a b", "lo", "..", "x".repeat(16), "a/b", "eth0;"]) {
      assert.throws(
        () => choose(wish({ device }), NET, TARGET, view([])),
        refused("CONFIG"),
        device,
      );
    }
  });
});

describe("the words of a wish", () => {
  it("reads an address with or without the subnet's prefix", () => {
    assert.equal(addressOn(NET, "10.33.1.2"), "10.33.1.2");
    assert.equal(addressOn(NET, "10.33.1.2/12"), "10.33.1.2");
    for (const text of ["", "10.33.1", "10.33.1.2/", "10.33.1.2/x", "10.33.1.2/24", "11.0.0.1"]) {
      assert.throws(() => addressOn(NET, text), refused("CONFIG"), text);
    }
    assert.throws(() => addressOn(NET, "fd00::1"), refused("CONFIG"));
  });

  it("derives the MAC, and takes another", () => {
    assert.equal(macFor(undefined, "10.32.0.7"), "02:42:0a:20:00:07");
    assert.equal(macFor("02:42:0A:00:00:01", "10.32.0.7"), "02:42:0a:00:00:01");
    assert.throws(() => macFor("01:00:5e:00:00:01", "10.32.0.7"), refused("CONFIG"));
  });

  it("falls back on the names of the target", () => {
    assert.deepEqual(namesFor(["Web", "web", "www"], TARGET), ["web", "www"]);
    assert.deepEqual(namesFor([], TARGET), ["blue"]);
    assert.deepEqual(namesFor([], { ...TARGET, kind: "process", path: "/proc/7/ns/net" }), []);
    assert.deepEqual(namesFor([], { ...TARGET, kind: "container", label: "db" }), ["db"]);
    assert.throws(() => namesFor(["a b"], TARGET), refused("CONFIG"));
    const many = Array.from({ length: LIMITS.namesPerEndpointMax + 1 }, (_, at) => `n${at}`);
    assert.throws(() => namesFor(many, TARGET), refused("CONFIG"));
  });
});

describe("the gateway's subnet", () => {
  it("avoids routes and networks, and stays while it is used", () => {
    const route = (destination: string) => ({ destination, device: "eth0" });
    assert.equal(nextGatewayCidr([], [], []), "172.31.0.2/16");
    assert.equal(nextGatewayCidr([], [route("172.31.4.0/24")], ["172.30.0.0/16"]), "172.29.0.2/16");
    assert.equal(nextGatewayCidr([], [route("0.0.0.0/1")], []), "172.31.0.2/16");
    const used = [{ gatewayCidr: "172.20.0.2/16" }, { gatewayCidr: "" }];
    assert.equal(nextGatewayCidr(used, [route("172.20.0.0/16")], []), "172.20.0.3/16");
    assert.deepEqual(gatewayOf(used), {
      subnet: "172.20.0.0/16",
      cidr: "172.20.0.1/16",
      ip: "172.20.0.1",
    });
    assert.equal(gatewayOf([{ gatewayCidr: "" }]), undefined);
    const all = ["172.16.0.0/12", "192.168.0.0/16"];
    assert.throws(() => nextGatewayCidr([], [], all), refused("NO_ADDRESS"));
  });
});

describe("end steps", () => {
  it("render to one line each", () => {
    assert.equal(
      batchText(renderEnds(endSteps(ATTACHMENT, 12))),
      [
        "# ip -batch -",
        "link set dev tswc0123456 netns /run/netns/blue name eth0",
        "# ip -n /run/netns/blue -batch -",
        "addr replace 10.32.0.7/12 dev eth0",
        "link set dev eth0 up",
        "route replace 224.0.0.0/4 dev eth0 metric 1000",
        "link set dev lo up",
      ].join("\n"),
    );
  });

  it("never let a word into a batch that is not plain", () => {
    const target = { ...TARGET, path: "/run/netns/x\nlink del eth0" };
    assert.throws(() => renderEnds(endSteps({ ...ATTACHMENT, target }, 12)), refused("INTERNAL"));
  });

  it("build the bridge, leave what is right, and take it away unused", () => {
    const bare = gatewaySteps([ATTACHMENT], view(["lo"]));
    const kinds = (steps: readonly { kind: string }[]) => steps.map(({ kind }) => kind).join(" ");
    assert.equal(kinds(bare.bridge), "gateway-bridge-add end-address end-up nat-put forwarding-on");
    assert.equal(
      kinds(bare.pairs.get(ATTACHMENT.id) ?? []),
      "gateway-pair gateway-port gateway-isolate end-address end-up default-route",
    );
    const links = new Map([
      ["tsweave_gw", link("tsweave_gw", { kind: "bridge", cidrs: ["172.31.0.1/16"] })],
      ["tswg0123456", link("tswg0123456", { master: "tsweave_gw" })],
      ["tswgfffffff", link("tswgfffffff", { master: "tsweave_gw" })],
      ["tswgateway", link("tswgateway")],
    ]);
    const there = gatewaySteps([ATTACHMENT], { links });
    assert.equal(kinds(there.bridge), "host-end-del nat-put forwarding-on");
    assert.equal(there.pairs.size, 0);
    const unused = gatewaySteps([{ ...ATTACHMENT, gatewayCidr: "" }], { links });
    assert.equal(kinds(unused.bridge), "host-end-del host-end-del host-end-del nat-del");
    assert.equal(kinds(gatewaySteps([], view(["lo"])).bridge), "");
    const nat = batchText(renderEnds([{ kind: "nat-put", subnet: "172.31.0.0/16" }]));
    assert.match(nat, /ip saddr 172.31.0.0\/16 oifname != "tsweave_gw" masquerade/);
  });
});

describe("judge", () => {
  const there = { inode: TARGET.inode, cookie: "" };
  const seen: Sighting = {
    bootId: "boot",
    there,
    elsewhere: undefined,
    plugged: true,
    hooked: false,
  };
  const path = "/proc/9/ns/net";
  const lost = { plugged: false };
  const cases: [string, Partial<Sighting>, object][] = [
    ["as it was", {}, { what: "fine" }],
    ["another boot", { bootId: "other" }, { what: "gone" }],
    ["pair lost, same cookie", { ...lost, there: TARGET }, { what: "replug" }],
    ["pair lost, no cookie known", lost, { what: "replug" }],
    ["made anew", { ...lost, there: { ...there, cookie: "9" } }, { what: "gone" }],
    ["path to another", { there: { inode: 7, cookie: "" } }, { what: "unseen" }],
    ["path to another, pair lost", { ...lost, there: { inode: 7, cookie: "" } }, { what: "gone" }],
    ["moved", { there: undefined, elsewhere: { path, cookie: "45276" } }, { what: "moved", path }],
    [
      "inode used again",
      { there: undefined, elsewhere: { path, cookie: "9" } },
      { what: "unseen" },
    ],
    [
      "inode used again, pair lost, no cookie",
      { ...lost, there: undefined, elsewhere: { path, cookie: "" } },
      { what: "gone" },
    ],
    ["nobody but us", { there: undefined, hooked: true }, { what: "unhook" }],
    ["somebody unseen", { there: undefined }, { what: "unseen" }],
    ["gone", { ...lost, there: undefined, hooked: true }, { what: "gone" }],
  ];
  for (const [name, more, verdict] of cases) {
    it(name, () => assert.deepEqual(judge(TARGET, { ...seen, ...more }), verdict));
  }

  it("never gives the host up", () => {
    const host: Target = { ...TARGET, kind: "host" };
    assert.deepEqual(judge(host, { ...seen, bootId: "other" }), { what: "fine" });
    assert.deepEqual(judge(host, { ...seen, ...lost, there: undefined }), { what: "replug" });
  });
});

describe("records", () => {
  it("come back as they were, and refuse what is none", () => {
    assert.deepEqual(attachmentFromRecord(attachmentRecord(ATTACHMENT)), ATTACHMENT);
    const record = attachmentRecord(ATTACHMENT) as unknown[];
    record.forEach((_field, at) => {
      if (at === 0) return;
      const broken = record.with(at, { not: "a field" }) as never;
      assert.throws(() => attachmentFromRecord(broken), refused("BAD_MESSAGE"), String(at));
    });
    assert.throws(() => attachmentFromRecord(record.slice(0, 5) as never), refused("BAD_MESSAGE"));
    assert.deepEqual(attachmentFromRecord([...record, "later"] as never), ATTACHMENT);
  });
});
