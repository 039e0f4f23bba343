/** Sandboxes coming, going and failing under the service, with a hook in memory. */
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import oracle from "dns-packet";
import { frame } from "../../../dns/framing.ts";
import { DnsService } from "../../../dns/index.ts";
import { TIMES, TsweaveError } from "../../../mesh/index.ts";
import { QuietLog } from "../../lib/quiet-log.ts";
import { SeededRandom } from "../../lib/seeded-random.ts";
import { settle, VirtualClock } from "../../lib/virtual-clock.ts";
import { FakeHook, FakePeer, FakeSockets } from "./fake-sandbox.ts";

let clock: VirtualClock;
let hook: FakeHook;
let log: QuietLog;
let dns: DnsService;

beforeEach(() => {
  clock = new VirtualClock();
  hook = new FakeHook();
  log = new QuietLog();
  const ports = { clock, random: new SeededRandom(5), log, hook };
  dns = new DnsService(ports, { domain: "tsweave.local" });
  dns.changeRecords([], [record("web", "10.32.0.2"), record("db", "10.99.0.2", "back")]);
});

const record = (name: string, ip: string, network = "tsweave") => ({
  network,
  names: [name.toUpperCase(), "bad name", name],
  ip,
  peer: "p1",
  endpointId: `${name}${ip}`,
});

const endpoint = (id: string, key = "/ns/1", network = "tsweave", links: string[] = []) => ({
  key,
  endpointId: id,
  network,
  links,
  internal: false,
});

/** Address answered over these sockets, or `forwarded`. */
function ask(sockets: FakeSockets, name: string): string {
  const before = sockets.udp.sent.length;
  sockets.udp.deliver(oracle.encode({ type: "query", id: 1, questions: [{ name, type: "A" }] }));
  const reply = sockets.udp.sent[before];
  if (reply === undefined) return "forwarded";
  const [answer] = oracle.decode(Buffer.from(reply.packet)).answers ?? [];
  return answer?.type === "A" ? answer.data : "empty";
}

const failed = (code: TsweaveError["code"]) => new TsweaveError(code, "no luck");
const states = () => dns.status().sandboxes.map(({ state }) => state);

test("answers from the newest records", async () => {
  await dns.attach(endpoint("e1"));
  assert.equal(ask(hook.last, "web"), "10.32.0.2");
  dns.changeRecords([record("web", "10.32.0.2")], [record("web", "10.32.0.7")]);
  assert.equal(ask(hook.last, "web"), "10.32.0.7");
  dns.changeRecords([record("web", "10.32.0.7")], []);
  assert.equal(ask(hook.last, "web"), "forwarded");
  assert.deepEqual(dns.status().counters, {
    ...{ answered: 2, forwarded: 0, cached: 0 },
    ...{ rejected: 0, failed: 0, limited: 0 },
  });
});

test("one hook a sandbox; networks and links follow its endpoints", async () => {
  await Promise.all([dns.attach(endpoint("e1")), dns.attach(endpoint("e2", "/ns/1", "back"))]);
  assert.equal(hook.opened.length, 1);
  assert.equal(ask(hook.last, "db"), "10.99.0.2");
  await dns.attach(endpoint("e2", "/ns/1", "back", ["DB"]));
  assert.equal(hook.opened.length, 1);
  assert.equal(ask(hook.last, "db"), "forwarded", "a link alias is Docker's");
  await dns.detach("e2");
  assert.equal(ask(hook.last, "web"), "10.32.0.2");
  assert.deepEqual(hook.restored, []);
  await dns.detach("e1");
  assert.deepEqual(hook.restored, ["/ns/1"]);
  assert.equal(hook.last.closed, true);
  assert.deepEqual(dns.status().sandboxes, []);
  await dns.detach("e1");
});

test("an endpoint that turns up in another sandbox leaves the first", async () => {
  await dns.attach(endpoint("e1"));
  await dns.attach(endpoint("e1", "/ns/2"));
  assert.deepEqual(
    dns.status().sandboxes.map(({ key }) => key),
    ["/ns/2"],
  );
  assert.equal(hook.opened[0]?.sockets.closed, true);
});

test("detach and attach while a hook is opened leave what was asked last", async () => {
  let open = () => {};
  hook.slow = new Promise<void>((resolve) => {
    open = resolve;
  });
  const first = dns.attach(endpoint("e1"));
  const gone = dns.detach("e1");
  const second = dns.attach(endpoint("e2"));
  open();
  await Promise.all([first, gone, second]);
  assert.deepEqual(states(), ["hooked"]);
  assert.equal(hook.opened.length, 1);
  const last = dns.detach("e2");
  const again = dns.attach(endpoint("e3"));
  await Promise.all([last, again]);
  assert.deepEqual(states(), ["hooked"]);
  assert.equal(hook.opened.filter(({ sockets }) => !sockets.closed).length, 1);
});

test("at most two sandboxes are opened at once", async () => {
  hook.slow = settle();
  await Promise.all(Array.from({ length: 9 }, (_, n) => dns.attach(endpoint(`e${n}`, `/ns/${n}`))));
  assert.equal(hook.busyMax, 2);
  assert.equal(hook.opened.length, 9);
});

test("a failure is tried once more", async () => {
  hook.failures.push(failed("TIMED_OUT"));
  await dns.attach(endpoint("e1"));
  assert.deepEqual(states(), ["hooked"]);
  assert.deepEqual(
    log.lines.map(({ level }) => level),
    ["warn"],
  );
});

test("a lasting failure is reported and undone; the next attach tries again", async () => {
  hook.failures.push(failed("TIMED_OUT"), failed("TIMED_OUT"));
  await assert.rejects(dns.attach(endpoint("e1")), { code: "TIMED_OUT" });
  assert.deepEqual(hook.restored, ["/ns/1"]);
  assert.equal(dns.status().sandboxes[0]?.problem?.code, "TIMED_OUT");
  await dns.attach(endpoint("e1"));
  assert.deepEqual(states(), ["hooked"]);
  assert.equal(dns.status().sandboxes[0]?.problem, undefined);
});

test("a missing tool is not tried twice", async () => {
  hook.failures.push(failed("TOOL_MISSING"));
  await assert.rejects(dns.attach(endpoint("e1")), { code: "TOOL_MISSING" });
  assert.deepEqual(states(), ["failed"]);
  assert.equal(hook.opened.length, 0);
});

test("a redirect that fails closes the sockets it was for", async () => {
  hook.installError = failed("KERNEL_LACKS");
  await assert.rejects(dns.attach(endpoint("e1")), { code: "KERNEL_LACKS" });
  assert.equal(hook.last.closed, true);
});

test("a sandbox that is gone is forgotten", async () => {
  hook.failures.push(failed("NOT_FOUND"));
  await assert.rejects(dns.attach(endpoint("e1")), { code: "NOT_FOUND" });
  assert.deepEqual(dns.status().sandboxes, []);
});

test("refresh opens another upstream behind the sockets that clients know", async () => {
  await dns.attach(endpoint("e1"));
  await dns.attach(endpoint("e2", "/ns/2"));
  const before = hook.last.upstream;
  await dns.refresh();
  assert.deepEqual(
    hook.opened.map(({ sockets }) => [sockets.reopened, sockets.closed]),
    [
      [1, false],
      [1, false],
    ],
  );
  assert.equal(ask(hook.last, "web"), "10.32.0.2");
  assert.equal(ask(hook.last, "foreign"), "forwarded");
  assert.deepEqual(before.sent, [], "by the new upstream");
});

test("a refresh that fails leaves Docker's resolver; the next one hooks the sandbox", async () => {
  await dns.attach(endpoint("e1"));
  hook.last.installError = failed("KERNEL_LACKS");
  await dns.refresh();
  assert.deepEqual(hook.restored, ["/ns/1"]);
  assert.equal(hook.last.closed, true);
  assert.deepEqual(states(), ["failed"]);
  await dns.refresh();
  assert.equal(hook.opened.length, 2);
  assert.deepEqual(states(), ["hooked"]);
});

test("a deaf sandbox is opened anew, with growing pauses", async () => {
  await dns.attach(endpoint("e1"));
  const silence = async () => {
    for (let count = 0; count < 3; count += 1) ask(hook.last, "foreign");
    await clock.run(TIMES.dnsForwardMs);
  };
  await silence();
  assert.equal(hook.last.reopened, 1);
  await silence();
  assert.equal(hook.last.reopened, 1, "not again within the pause");
  await clock.run(TIMES.dnsDeafPauseMs);
  await silence();
  assert.equal(hook.last.reopened, 2);
  await clock.run(TIMES.dnsDeafPauseMs);
  await silence();
  assert.equal(hook.last.reopened, 2, "the pause has doubled");
});

test("close restores when asked, leaves redirects otherwise, and ends the service", async () => {
  await dns.attach(endpoint("e1"));
  await dns.attach(endpoint("e2", "/ns/2"));
  await dns.close({ restore: true });
  assert.deepEqual(hook.restored, ["/ns/1", "/ns/2"]);
  assert.ok(hook.opened.every(({ sockets }) => sockets.closed));
  await assert.rejects(dns.attach(endpoint("e3")), { code: "NOT_RUNNING" });

  const ports = { clock, random: new SeededRandom(5), log, hook };
  const other = new DnsService(ports, { domain: "tsweave.local" });
  await other.attach(endpoint("e1"));
  await other.close({ restore: false });
  assert.deepEqual(hook.restored, ["/ns/1", "/ns/2"]);
  assert.equal(hook.last.closed, true);
});

test("records are listed once, folded and sorted", () => {
  const row = { type: "A", peer: "p1", ttlSeconds: TIMES.dnsTtlSeconds };
  assert.deepEqual(dns.records(), [
    { name: "db", network: "back", address: "10.99.0.2", ...row },
    { name: "web", network: "tsweave", address: "10.32.0.2", ...row },
  ]);
  assert.equal(dns.status().names, 2);
});

test("a person's questions: the same rules as in a container, errors that say which", () => {
  const ask = (name: string, type?: string, network?: string) =>
    dns.lookup({ name, type, network }).map((answer) => `${answer.type} ${answer.data}`);
  assert.deepEqual(ask("WEB."), ["A 10.32.0.2"]);
  assert.deepEqual(ask("web.tsweave.local", "a"), ["A 10.32.0.2"]);
  assert.deepEqual(ask("10.32.0.2"), ["PTR web.tsweave"]);
  assert.deepEqual(ask("db", undefined, "back"), ["A 10.99.0.2"]);
  assert.match(ask("tsweave.local", "SOA")[0] ?? "", /^SOA ns\.tsweave\.local hostmaster/);
  assert.throws(() => ask("db", undefined, "tsweave"), { code: "NOT_FOUND" });
  assert.throws(() => ask("web", "AAAA"), { code: "NOT_FOUND", message: /no AAAA/ });
  assert.throws(() => ask("nobody"), { code: "NOT_FOUND" });
  assert.throws(() => ask("web", undefined, "no-net"), {
    code: "NOT_FOUND",
    message: /no network/,
  });
  assert.throws(() => ask("web", "HINFO"), { code: "USAGE" });
  assert.throws(() => ask("a b"), { code: "USAGE" });
});

test("the host's own listener: the whole zone and nothing else, over UDP and TCP", async () => {
  const sockets = new FakeSockets();
  dns.serveHost(sockets);
  const rcode = (name: string, type: oracle.StringRecordType = "A") => {
    sockets.udp.deliver(oracle.encode({ type: "query", id: 1, questions: [{ name, type }] }));
    const packet = Buffer.from(sockets.udp.sent.at(-1)?.packet ?? []);
    const read = oracle.decode(packet) as oracle.DecodedPacket & { rcode: string };
    const authorities = read.authorities ?? [];
    return [read.rcode, ...(read.answers ?? []), ...authorities].length === 1
      ? read.rcode
      : `${read.rcode} ${(read.answers?.[0] ?? authorities[0])?.name}`;
  };
  assert.equal(ask(sockets, "web"), "10.32.0.2");
  assert.equal(ask(sockets, "db"), "10.99.0.2", "every network");
  assert.equal(ask(sockets, "db.back.tsweave.local"), "empty");
  assert.equal(rcode("nobody.tsweave.local"), "NXDOMAIN tsweave.local");
  assert.equal(rcode("tsweave.local"), "NOERROR tsweave.local");
  assert.equal(rcode("2.0.32.10.in-addr.arpa", "PTR"), "NOERROR 2.0.32.10.in-addr.arpa");
  assert.equal(rcode("9.0.32.10.in-addr.arpa", "PTR"), "REFUSED", "no subnet of ours is known");
  assert.equal(rcode("example.org"), "REFUSED");
  assert.deepEqual(sockets.upstream.sent, [], "nobody is asked");
  const peer = new FakePeer();
  sockets.accept(peer);
  const packet = oracle.encode({ type: "query", id: 1, questions: [{ name: "web", type: "A" }] });
  peer.deliver(frame(packet));
  assert.equal(peer.written.length, 1);
  await dns.close({ restore: true });
  assert.equal(sockets.closed, true);
});

test("puts a redirect back that somebody removed, within a round", async () => {
  await dns.attach(endpoint("e1"));
  await dns.attach(endpoint("e2", "/ns/2"));
  await clock.run(31_000);
  const reopened = () => hook.opened.map(({ sockets }) => sockets.reopened);
  assert.deepEqual(reopened(), [0, 0], "what is in place is left alone");
  hook.flushed.add("/ns/1");
  await clock.run(31_000);
  assert.deepEqual(reopened(), [1, 0]);
  await dns.detach("e1");
  hook.flushed.add("/ns/1");
  await clock.run(31_000);
  assert.deepEqual(reopened(), [1, 0], "who left is not looked at");
  assert.equal(hook.opened.length, 2);
});
