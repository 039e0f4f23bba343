import { execFileSync } from "node:child_process";
import { appendFileSync } from "node:fs";
import { isSandbox } from "./dns/index.ts";
import { FileStore } from "./mesh/io/file-store.ts";
import { processClock } from "./mesh/io/clock.ts";
import { cryptoRandom } from "./mesh/io/random.ts";
import { createEngine, Docker, Ledger, servePlugin, containerEnd, overlayEnd } from "./overlay/index.ts";
import { FakeAddresses } from "./test/unit/overlay/docker-world.ts";
import { writeFileSync } from "node:fs";
writeFileSync("/run/smoke.pid", String(process.pid));
const t0 = Date.now();
const say = (...a: unknown[]) => appendFileSync("/var/log/smoke.log", `${Date.now() - t0} ${a.map((x) => typeof x === "string" ? x : JSON.stringify(x)).join(" ")}\n`);
const log: any = { debug: (f: object, m: string) => say("DEBUG", m, f), info: (f: object, m: string) => say("INFO", m, f), warn: (f: object, m: string) => say("WARN", m, f), error: (f: object, m: string) => say("ERROR", m, f), child: () => log };
const clock = processClock();
const store = await FileStore.open("/var/lib/tsweave", log);
const ledger = await Ledger.open(store, log);
const engine = createEngine("/var/run/docker.sock", clock, log);
const ip = (...args: string[]) => { try { execFileSync("ip", args, { stdio: "pipe" }); } catch (e: any) { say("ip", args.join(" "), e.stderr?.toString()); } };
const docker = new Docker({
  ledger, engine, addresses: new FakeAddresses(), clock, random: cryptoRandom(), log,
  datapath: {
    plug: async (e) => { ip("link", "add", containerEnd(e.id), "address", e.mac, "type", "veth", "peer", "name", overlayEnd(e.id)); },
    unplug: async (id) => { ip("link", "del", containerEnd(id)); ip("link", "del", overlayEnd(id)); },
    removeNetwork: async (n) => say("removeNetwork", n.id),
    request: () => undefined,
  },
  publisher: {
    network: (n) => say("P network", n), networkGone: (n) => say("P network gone", n),
    endpoint: (e) => say("P endpoint", e), endpointGone: (id) => say("P gone", id),
    names: (id, n, i, names) => say("P names", id.slice(0, 6), n, i, names), announce: async () => ({ late: [] }),
  },
  dns: {
    attach: async (s) => { say("DNS attach", s); }, detach: async (id) => say("DNS detach", id.slice(0, 6)), refresh: async () => say("DNS refresh"),
  },
  sandboxes: { exists: isSandbox },
  plan: { place: ({ name }) => ({ vni: name === "tsweave" ? 256 : 0x800001, mtuBytes: 1450 }) },
}, { defaultNetwork: { name: "tsweave", subnet: "10.32.0.0/12" } });
await docker.start();
const served = await servePlugin("/run/docker/plugins", docker, log);
say("SERVING", served.path);
if (process.argv[2] === "create") engine.createNetwork({ name: "tsweave", driver: "tsweave", subnet: "10.32.0.0/12", internal: false, options: {} }).then((id) => say("CREATED", id), (e) => say("CREATE FAILED", e.message));
process.on("SIGTERM", async () => { await served.close(); await docker.stop(); await store.close(); say("STATUS", docker.status()); process.exit(0); });
