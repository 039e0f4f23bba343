/** The commands about attached endpoints, namespaces and links: what they ask and say. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { attachOf, detachOf, exposeOf } from "../../../cli/control/bodies.ts";
import { startControl } from "../../../cli/control/server.ts";
import { linksTable, readLinks, withPeers } from "../../../cli/render/links.ts";
import type { TsweaveError } from "../../../mesh/index.ts";
import { QuietLog } from "../../lib/quiet-log.ts";
import { FakeBackend } from "./fixture-facts.ts";
import { run, temporary } from "./fixture-run.ts";

async function serving(context: TestContext) {
  const runDir = join(await temporary(context), "run");
  const backend = new FakeBackend();
  const server = await startControl({ runDir, backend, log: new QuietLog() });
  context.after(() => server.close());
  return { runDir, backend };
}

describe("attach and its companions", () => {
  it("asks for exactly what was said", async (context) => {
    const { runDir, backend } = await serving(context);
    const line = "attach blue 10.32.0.7/12 --name web --name www,old --interface eth3 --no-dns";
    const ran = await run([...line.split(" "), "--no-gateway", "--run-dir", runDir]);
    assert.equal(ran.code, 0, ran.err);
    assert.equal(ran.out, "10.32.0.7\n");
    assert.match(ran.err, /eth0 in \/run\/netns\/blue is 10.32.0.7\/12 on network tsweave\n/);
    assert.match(ran.err, /nameserver 127.0.0.11' into \/etc\/netns\/blue\/resolv.conf\n$/);
    assert.deepEqual(backend.wishes, [
      {
        target: "blue",
        ip: "10.32.0.7/12",
        network: undefined,
        names: ["web", "www", "old"],
        device: "eth3",
        mac: undefined,
        gateway: false,
        dns: false,
      },
    ]);
  });

  it("prints objects for machines", async (context) => {
    const { runDir, backend } = await serving(context);
    for (const line of ["attach blue", "detach blue", "ps", "expose", "hide", "netns"]) {
      const { out, code } = await run([...line.split(" "), "--json", "--run-dir", runDir]);
      assert.equal(code, 0, line);
      assert.equal(JSON.parse(out).schema, 1, line);
    }
    assert.equal(backend.wishes.length, 4);
  });

  it("prints lines for people", async (context) => {
    const { runDir } = await serving(context);
    const text = async (line: string) => (await run([...line.split(" "), "--run-dir", runDir])).out;
    assert.equal(
      await text("detach blue"),
      "10.32.0.7 on network tsweave taken from /run/netns/blue\n",
    );
    assert.match(await text("ps"), /^NETWORK +IP +KIND +TARGET .*\ntsweave +10.32.0.7 +netns /);
    assert.equal(await text("expose"), "10.32.0.7\n");
    assert.match(await text("netns"), /^NAMESPACE +NETWORK\ntsweave-0123456789 +tsweave\n$/);
  });

  const refused: readonly [string, number, RegExp][] = [
    ["attach", 2, /attach needs a TARGET; such as 'tsweave attach/],
    ["attach a 10.0.0.1 b", 2, /does not take the argument 'b'/],
    ["attach a --gateway --no-gateway", 2, /exclude one another/],
    ["attach a --interface x --interface y", 2, /'--interface' is given twice/],
    ["detach", 2, /detach needs a TARGET/],
    ["attach a --run-dir /nonexistent", 3, /no tsweave daemon answers/],
    ["netns blue", 2, /no command specified; such as 'tsweave netns blue -- ip addr'/],
    ["netns blue ip addr", 2, /write the command after --, as in 'tsweave netns blue -- ip'/],
    ["netns blue --json -- ip", 2, /--json goes with the list/],
    ["netns nosuch --run-dir /nonexistent -- true", 5, /cannot open network namespace 'nosuch'/],
    ["links eth0", 2, /'eth0' is not the number of a device/],
    ["links 2147480000", 5, /no device has the number 2147480000/],
  ];
  for (const [line, code, expected] of refused) {
    it(`refuses '${line}'`, async () => {
      const ran = await run(line.split(" "));
      assert.equal(ran.code, code, ran.err);
      assert.match(ran.err, expected);
    });
  }

  it("ends with the code of the command in the namespace", async () => {
    const line = ["netns", `/proc/${process.pid}/ns/net`, "--run-dir", "/nonexistent", "--"];
    assert.equal((await run([...line, "true"])).code, 0);
    assert.equal((await run([...line, "sh", "-c", "exit 7"])).code, 7);
    assert.equal((await run([...line, "sh", "-c", "kill -9 $$"])).code, 137);
  });
});

describe("bodies", () => {
  const refuses = (read: () => unknown) =>
    assert.throws(read, (error) => (error as TsweaveError).code === "BAD_REQUEST");

  it("are wishes or refused", () => {
    assert.deepEqual(attachOf({ target: "a" }).names, []);
    for (const body of [null, {}, { target: "" }, { target: 7 }, { target: "x".repeat(5000) }]) {
      refuses(() => attachOf(body));
      refuses(() => detachOf(body));
    }
    for (const more of [
      { names: "x" },
      { names: [7] },
      { dns: "yes" },
      { gateway: 1 },
      { ip: 1 },
    ]) {
      refuses(() => attachOf({ target: "a", ...more }));
    }
    refuses(() => exposeOf({ ip: {} }));
    refuses(() => detachOf({ target: "a", network: [] }));
  });
});

describe("links", () => {
  const veth = (ifindex: number, ifname: string, peer: number, master?: string) => ({
    ...{
      ifindex,
      ifname,
      link_index: peer,
      flags: ["UP"],
      mtu: 1450,
      address: "02:00:00:00:00:01",
    },
    ...{ linkinfo: { info_kind: "veth" }, ...(master === undefined ? {} : { master }) },
  });

  it("finds the other end of a pair, and says nothing where two could be it", () => {
    const inside = readLinks("blue", JSON.stringify([veth(2, "eth0", 76)]));
    const outside = readLinks("tsweave-01", JSON.stringify([veth(76, "veth1", 2, "br0")]));
    const [end, port] = withPeers([...inside, ...outside]);
    assert.equal(end?.peer, "tsweave-01 veth1");
    assert.equal(port?.peer, "blue eth0");
    assert.match(
      linksTable([port as never]),
      /tsweave-01 +76 +veth1 +veth +br0 +up +1450 +blue eth0/,
    );
    const twin = readLinks("red", JSON.stringify([veth(2, "eth0", 76)]));
    const doubtful = withPeers([...inside, ...outside, ...twin]);
    assert.deepEqual(
      doubtful.map(({ peer }) => peer),
      [null, null, null],
    );
    assert.match(linksTable(doubtful), /@if76/);
  });

  it("refuses what is no JSON", () => {
    assert.throws(
      () => readLinks("x", "{"),
      (error) => (error as TsweaveError).code === "COMMAND_FAILED",
    );
    assert.deepEqual(readLinks("x", ""), []);
  });
});
