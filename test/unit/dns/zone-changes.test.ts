/** A zone that followed changes answers as one built anew from what is there. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseIpv4 } from "../../../dns/ipv4.ts";
import type { Instance } from "../../../dns/name-index.ts";
import { EVERY_NETWORK, type NameRecord, type NetworkSubnet } from "../../../dns/record.ts";
import { Zone } from "../../../dns/zone.ts";
import { SeededRandom } from "../../lib/seeded-random.ts";

const DOMAIN = "tsweave.local";
const NETWORKS = ["tsweave", "Back", "a.b", "b", EVERY_NETWORK];
const NAMES = ["web", "WEB", "db.corp", "0123456789ab", "bad name", "x.a", "db", ""];
const IPS = ["10.32.0.2", "10.32.0.3", "10.99.0.2", "fd00::1", "10.1"];
const SUBNETS: NetworkSubnet[] = [
  { network: "tsweave", cidr: "10.32.0.0/12" },
  { network: "quiet", cidr: "10.99.0.0/16" },
];
const ASKED = NAMES.map((name) => name.toLowerCase()).flatMap((name) =>
  ["", `.${DOMAIN}`, ...NETWORKS.map((network) => `.${network.toLowerCase()}`)].map(
    (suffix) => `${name}${suffix}`,
  ),
);
const ASKERS = [[], ["tsweave"], ["Back", "tsweave"], ["a.b", "b"], ["quiet"]].map(
  (networks) => new Set(networks),
);

/** All that a zone answers, instances in one order. */
function answers(zone: Zone): unknown {
  const spelled = ({ address, target, ports, isDoubtful }: Instance) =>
    JSON.stringify([address, target, ports, isDoubtful]);
  const askers = [...ASKERS, zone.networks];
  return {
    names: zone.names,
    networks: [...zone.networks],
    records: [...zone.records()].map((one) => JSON.stringify(one)).sort(),
    found: askers.map((networks) =>
      ASKED.map((name) => {
        const found = zone.find(name, networks);
        return found && [found.depth, ...found.instances.map(spelled).sort()];
      }),
    ),
    pointers: askers.map((networks) =>
      IPS.map((ip) =>
        zone
          .pointers(parseIpv4(ip) ?? -1, networks)
          .map(String)
          .sort(),
      ),
    ),
    covers: IPS.map((ip) => zone.covers(parseIpv4(ip) ?? -1)),
  };
}

for (let seed = 1; seed <= 20; seed += 1) {
  test(`changes one by one are as good as a zone built anew, seed ${seed}`, () => {
    const random = new SeededRandom(seed);
    const one = <T>(of: readonly T[]): T => of[random.below(of.length)] as T;
    const some = <T>(of: readonly T[]): T[] => of.filter(() => random.chance(0.4));
    const record = (): NameRecord => ({
      network: one(NETWORKS),
      names: some(NAMES),
      ip: one(IPS),
      peer: one(["p1", "p2"]),
      endpointId: `e${random.below(6)}`,
      ports: random.chance(0.5) ? [{ protocol: "tcp", port: 80 }] : [],
      isDoubtful: random.chance(0.3),
    });
    const held = new Map<string, NameRecord>();
    const keyOf = ({ peer, endpointId }: Pick<NameRecord, "peer" | "endpointId">) =>
      `${peer} ${endpointId}`;
    let subnets: NetworkSubnet[] = [];
    const zone = new Zone([], subnets, DOMAIN);
    for (let step = 0; step < 60; step += 1) {
      const { serial } = zone.apex;
      if (random.chance(0.1)) {
        subnets = some(SUBNETS);
        zone.setSubnets(subnets);
      } else {
        const gone = Array.from({ length: random.below(6) }, record);
        const come = Array.from({ length: random.below(4) }, record);
        for (const id of gone) held.delete(keyOf(id));
        for (const each of come) held.set(keyOf(each), each);
        zone.change(gone, come);
      }
      assert.ok(zone.apex.serial > serial);
      // A record whose address DNS cannot carry is not in a zone.
      const anew = new Zone([...held.values()], subnets, DOMAIN);
      assert.deepEqual(answers(zone), answers(anew), `step ${step}`);
    }
    zone.change([...held.values()], []);
    zone.setSubnets([]);
    assert.deepEqual(answers(zone), answers(new Zone([], [], DOMAIN)), "nothing is left behind");
  });
}
