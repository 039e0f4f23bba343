/** What every engine does where a peer has several addresses, or cannot be reached by some. */
import assert from "node:assert/strict";
import { multihomed } from "../lib/multihomed.ts";
import {
  type Check,
  checker,
  type EngineUnderTest,
  idOf,
  type Mesh,
  type Peer,
  sleep,
  until,
} from "./membership.ts";

const FIRST = "10.9.0";
const SECOND = "10.8.0";

/** Starts a peer with an address on each of the given networks. */
async function start(
  mesh: Mesh,
  index: number,
  networks: readonly string[],
  target?: string,
  announced: readonly string[] = networks,
): Promise<Peer> {
  const hosts = networks.map((network) => `${network}.${index}`);
  const told = announced.map((network) => `${network}.${index}`);
  const [host = ""] = told;
  const advertise = { host, port: 6783 };
  const meta = { id: idOf(index), name: `peer-${index}`, incarnation: 1, advertise, hosts: told };
  const sockets = hosts.map((one) => mesh.network.datagrams({ host: one, port: 6783 }));
  const targets = target === undefined ? [] : [{ host: target, port: 6783 }];
  return await mesh.startAs(meta, multihomed(sockets), targets);
}

function inUse(peer: Peer, other: Peer): string | undefined {
  return peer.engine.members().find(({ id }) => id === other.meta.id)?.advertise.host;
}

function isDirect(peer: Peer, other: Peer): boolean | undefined {
  return peer.engine.members().find(({ id }) => id === other.meta.id)?.path?.isDirect;
}

/** Who was buried. That nobody is even suspected holds in virtual time: a busy machine suspects. */
function deaths(peers: readonly Peer[]): string[] {
  return peers.flatMap(({ events }) =>
    events.filter(({ type }) => type === "dead").map(({ member }) => member.name),
  );
}

export function pathsContract(engine: EngineUnderTest): void {
  const check = checker(engine);
  checkAddresses(check, engine);
  checkIndirect(check, engine);
}

function checkAddresses(check: Check, { intervalMs, healMaxMs }: EngineUnderTest): void {
  check("each peer uses the address of another that it reaches", async (mesh) => {
    const a = await start(mesh, 1, [FIRST, SECOND]);
    const b = await start(mesh, 2, [FIRST, SECOND], `${FIRST}.1`);
    const c = await start(mesh, 3, [SECOND], `${SECOND}.1`);
    const peers = [a, b, c];
    await until("all joined", 40 * intervalMs, () => mesh.allSee(peers, "alive"));
    const wanted = () =>
      inUse(a, b) === `${FIRST}.2` &&
      inUse(b, a) === `${FIRST}.1` &&
      inUse(c, a) === `${SECOND}.1` &&
      inUse(c, b) === `${SECOND}.2` &&
      inUse(b, c) === `${SECOND}.3`;
    await until("addresses in use", 40 * intervalMs, wanted);
    await sleep(2 * healMaxMs + 20 * intervalMs);
    assert.ok(wanted(), "they stay");
    assert.deepEqual(deaths(peers), []);
    assert.deepEqual(
      b.engine.members().map(({ hosts }) => hosts?.length ?? 1),
      [2, 2, 1],
    );
  });

  check("a failing address is left for another one, and returned to", async (mesh) => {
    const a = await start(mesh, 1, [FIRST, SECOND]);
    const b = await start(mesh, 2, [FIRST, SECOND], `${FIRST}.1`);
    await until("joined", 40 * intervalMs, () => mesh.allSee([a, b], "alive"));
    await until("measured", 20 * intervalMs, () => isDirect(a, b) === true);
    mesh.network.cut(`${FIRST}.1`, `${FIRST}.2`);
    const uses = (network: string) =>
      inUse(a, b) === `${network}.2` && inUse(b, a) === `${network}.1`;
    await until("the other one", 10 * intervalMs, () => uses(SECOND));
    await sleep(healMaxMs);
    assert.ok(uses(SECOND));
    mesh.network.heal();
    await until("returned", 8 * healMaxMs, () => uses(FIRST));
    assert.deepEqual(deaths([a, b]), []);
  });

  check("a host whose address changes is followed by all", async (mesh) => {
    const a = await start(mesh, 1, [FIRST, SECOND]);
    const b = await start(mesh, 2, [FIRST, SECOND], `${FIRST}.1`, [FIRST]);
    const c = await start(mesh, 3, [FIRST, SECOND], `${FIRST}.1`);
    const peers = [a, b, c];
    await until("joined", 40 * intervalMs, () => mesh.allSee(peers, "alive"));
    for (const index of [1, 3]) mesh.network.cut(`${FIRST}.${index}`, `${FIRST}.2`);
    b.engine.relocate([`${SECOND}.2`]);
    assert.equal(b.engine.members()[0]?.advertise.host, `${SECOND}.2`);
    await until("followed", 20 * intervalMs, () =>
      [a, c].every((peer) => inUse(peer, b) === `${SECOND}.2`),
    );
    await until("direct", 40 * intervalMs, () => isDirect(a, b) === true);
    await sleep(20 * intervalMs);
    assert.ok(mesh.allSee(peers, "alive"));
    assert.deepEqual(deaths(peers), []);
    assert.throws(() => b.engine.relocate(["0.0.0.0"]), { code: "CONFIG" });
  });
}

function checkIndirect(check: Check, { intervalMs, healMaxMs }: EngineUnderTest): void {
  check("two that only others reach stay alive to one another, and say so", async (mesh) => {
    const peers: Peer[] = [];
    for (const index of [1, 2, 3]) peers.push(await start(mesh, index, [FIRST], `${FIRST}.3`));
    const [a, b, c] = peers;
    assert.ok(a && b && c);
    await until("joined", 40 * intervalMs, () => mesh.allSee(peers, "alive"));
    await until("measured", 40 * intervalMs, () => isDirect(a, b) === true);
    mesh.network.cut(`${FIRST}.1`, `${FIRST}.2`);
    const isLost = () => isDirect(a, b) === false && isDirect(b, a) === false;
    await until("named", 40 * intervalMs, isLost);
    await sleep(20 * intervalMs);
    assert.ok(isLost());
    assert.deepEqual([isDirect(a, c), isDirect(b, c), isDirect(c, a)], [true, true, true]);
    const path = a.engine.members().find(({ id }) => id === b.meta.id)?.path;
    assert.equal(path?.why, "silent");
    mesh.network.heal();
    await until("direct again", 12 * healMaxMs, () => isDirect(a, b) === true);
    assert.deepEqual(deaths(peers), []);
  });
}
