/** The host's own listener on real sockets of loopback. */
import assert from "node:assert/strict";
import { Resolver } from "node:dns/promises";
import { connect } from "node:net";
import { type TestContext, test } from "node:test";
import oracle from "dns-packet";
import { frame } from "../../../dns/framing.ts";
import { DnsService, openHostSockets } from "../../../dns/index.ts";
import { TsweaveError } from "../../../mesh/index.ts";
import { processClock } from "../../../mesh/io/clock.ts";
import { QuietLog } from "../../lib/quiet-log.ts";
import { SeededRandom } from "../../lib/seeded-random.ts";
import { FakeHook } from "./fake-sandbox.ts";

const log = new QuietLog();

/** A service that listens on a free port of `host`. */
async function listening(t: TestContext, host: string): Promise<number> {
  const ports = { clock: processClock(), random: new SeededRandom(1), log, hook: new FakeHook() };
  const dns = new DnsService(ports, { domain: "tsweave.local" });
  const web = { network: "tsweave", names: ["web"], ip: "10.32.0.2", peer: "p", endpointId: "e" };
  dns.changeRecords([], [web]);
  t.after(() => dns.close({ restore: false }));
  for (let port = 20_000 + (process.pid % 10_000); ; port += 1) {
    try {
      dns.serveHost(await openHostSockets({ host, port }, log));
      return port;
    } catch (error) {
      if (!(error instanceof TsweaveError) || error.code !== "PORT_IN_USE") throw error;
    }
  }
}

for (const host of ["127.0.0.1", "::1"]) {
  test(`answers at ${host} over UDP and TCP`, async (t) => {
    const port = await listening(t, host);
    const resolver = new Resolver({ timeout: 2000, tries: 1 });
    resolver.setServers([host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`]);
    assert.deepEqual(await resolver.resolve4("web.tsweave.local"), ["10.32.0.2"]);
    await assert.rejects(resolver.resolve4("nobody.tsweave.local"), { code: "ENOTFOUND" });
    await assert.rejects(resolver.resolve4("example.org"), { code: "EREFUSED" });
    const reply = await new Promise<Buffer>((resolve, reject) => {
      const questions = [{ name: "web", type: "A" as const }];
      const socket = connect(port, host, () => {
        socket.write(frame(oracle.encode({ type: "query", id: 1, questions })));
      });
      socket.once("data", (bytes) => {
        socket.destroy();
        resolve(bytes);
      });
      socket.once("error", reject);
    });
    assert.equal(oracle.decode(reply.subarray(2)).answers?.length, 1);
  });
}

test("says that a port is taken, or an address is not this host's", async (t) => {
  const port = await listening(t, "127.0.0.1");
  await assert.rejects(openHostSockets({ host: "127.0.0.1", port }, log), { code: "PORT_IN_USE" });
  await assert.rejects(openHostSockets({ host: "192.0.2.1", port }, log), { code: "CONFIG" });
});
