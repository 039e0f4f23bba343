/** `tsweave explain`: its words, and what hosts tell one another of their endpoints. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { ControlClient } from "../../../cli/control/client.ts";
import { startControl } from "../../../cli/control/server.ts";
import { askEndpoint, serveEndpointLooks } from "../../../cli/wiring/endpoint-look.ts";
import { type Rpc, TsweaveError, type WireValue } from "../../../mesh/index.ts";
import { QuietLog } from "../../lib/quiet-log.ts";
import { FakeBackend } from "./fixture-facts.ts";
import { run, temporary } from "./fixture-run.ts";

const PEER = "0b77aa01".padEnd(32, "1");
const WISH = { peer: PEER, network: "tsweave", id: "b".repeat(64) };

/** Two ends in one process; `answer` in place of the host's own. */
function wired(answer?: WireValue): Rpc {
  const handlers = new Map<string, (from: string, body: WireValue) => Promise<WireValue>>();
  return {
    serve: (service, handle) => {
      handlers.set(service, handle);
      return () => handlers.delete(service);
    },
    call: async (peer, service, body) => {
      if (answer !== undefined) return answer;
      const handle = handlers.get(service);
      if (handle === undefined) throw new TsweaveError("PEER_UNREACHABLE", "no service");
      return await handle(peer, body);
    },
  };
}

async function serving(context: TestContext): Promise<string> {
  const runDir = join(await temporary(context), "run");
  const server = await startControl({ runDir, backend: new FakeBackend(), log: new QuietLog() });
  context.after(() => server.close());
  return runDir;
}

const code = (wanted: string) => (error: unknown) => (error as TsweaveError).code === wanted;

describe("a look at an endpoint of another host", () => {
  it("says that there is nothing where the network is not", async () => {
    const rpc = wired();
    const stop = serveEndpointLooks(rpc, () => []);
    assert.deepEqual(await askEndpoint(rpc, WISH), {
      ...{ port: "missing", vxlan: "missing", vni: null, vxlanPort: null },
      ...{ toPackets: 0, fromPackets: 0 },
    });
    stop();
    await assert.rejects(askEndpoint(rpc, WISH), code("PEER_UNREACHABLE"));
  });

  it("reads an answer strictly, and what a newer version appends is no harm", async () => {
    const look = await askEndpoint(wired([1, 0, 256, 4789, 7, 6, "new"]), WISH);
    assert.deepEqual(look, {
      ...{ port: "down", vxlan: "up", vni: 256, vxlanPort: 4789, toPackets: 7, fromPackets: 6 },
    });
    const hostile: WireValue[] = [
      null,
      "text",
      [],
      [3, 0, 256, 4789, 7, 6],
      [0, -1, 256, 4789, 7, 6],
      [0, 0, 0x1000000, 4789, 7, 6],
      [0, 0, 256, 65_536, 7, 6],
      [0, 0, 256, 4789, -1, 6],
      [0, 0, 256, 4789, 7, 0.5],
      Array.from({ length: 33 }, () => 0),
    ];
    for (const answer of hostile) {
      await assert.rejects(askEndpoint(wired(answer), WISH), code("BAD_MESSAGE"));
    }
  });

  it("refuses a question that is none", async () => {
    const rpc = wired();
    serveEndpointLooks(rpc, () => [{ network: "tsweave", namespace: "tsweave-none" }]);
    const bodies: WireValue[] = [null, ["tsweave"], [1, 2], ["x".repeat(256), "b".repeat(64)]];
    for (const body of bodies) {
      await assert.rejects(rpc.call(PEER, "endpoint", body, 1000), code("BAD_MESSAGE"));
    }
    for (const id of ["", "../../etc", "b0 type dummy", "B".repeat(64), "bbbbbbb"]) {
      await assert.rejects(rpc.call(PEER, "endpoint", ["tsweave", id], 1000), code("BAD_REQUEST"));
    }
  });

  it("looks at few at once", async () => {
    const rpc = wired();
    serveEndpointLooks(rpc, () => [{ network: "tsweave", namespace: "tsweave-none" }]);
    const all = Array.from({ length: 6 }, () => askEndpoint(rpc, WISH));
    const codes = (await Promise.allSettled(all)).map((one) =>
      one.status === "rejected" ? (one.reason as TsweaveError).code : "fulfilled",
    );
    // Of six questions four came as far as to find out that the namespace is not there.
    assert.deepEqual(codes.toSorted(), [
      ...["BAD_REQUEST", "BAD_REQUEST"],
      ...Array.from({ length: 4 }, () => "fulfilled"),
    ]);
  });

  it("is asked for over the control socket", async (context) => {
    const client = new ControlClient(await serving(context));
    assert.equal((await client.look(WISH)).toPackets, 7);
    await assert.rejects(client.look({ ...WISH, peer: "other" }), code("PEER_UNREACHABLE"));
    await assert.rejects(client.look({ ...WISH, id: "; reboot" }), code("BAD_REQUEST"));
  });
});

describe("tsweave explain", () => {
  it("refuses words that mean nothing, and says what would", async () => {
    const cases = [
      ["explain web", /explain needs A, of this host, and B/],
      ["explain web db udp/53", /'udp\/53' is not tcp\/ and a port.*tcp\/80/],
      ["explain web db tcp/0", /is not tcp\/ and a port/],
      ["explain web fe80::1%eth0", /neither a name nor an address/],
    ] as const;
    for (const [line, text] of cases) {
      const ran = await run(line.split(" "));
      assert.deepEqual([ran.code, ran.out], [2, ""], line);
      assert.match(ran.err, text);
    }
  });

  it("ends with 3 without a daemon", async (context) => {
    const ran = await run(["explain", "web", "db", "--run-dir", await temporary(context)]);
    assert.equal(ran.code, process.geteuid?.() === 0 ? 3 : 1, ran.err);
  });

  it("ends with 5 and an object where nobody is A", async (context) => {
    if (process.geteuid?.() !== 0) return context.skip("needs root");
    const words = ["explain", "nobody", "db", "--json", "--run-dir", await serving(context)];
    const { code: exit, out } = await run(words);
    assert.equal(exit, 5);
    const { schema, cause, found, reachable, tcp } = JSON.parse(out);
    assert.deepEqual(
      [schema, cause.code, found, reachable, tcp],
      [1, "SOURCE_UNKNOWN", false, false, null],
    );
  });
});
