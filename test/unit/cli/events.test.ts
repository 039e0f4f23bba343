/** The event log: what is told of changes, its bounds, and its readers, slow ones too. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { request } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import type { HealthProblem } from "../../../cli/control/api.ts";
import { ControlClient } from "../../../cli/control/client.ts";
import { startControl } from "../../../cli/control/server.ts";
import { EVENTS_MAX, EventLog } from "../../../cli/events/event-log.ts";
import { identity, ProblemWatch } from "../../../cli/events/problem-watch.ts";
import { endpointEvents, networkEvents } from "../../../cli/events/row-events.ts";
import { eventLine } from "../../../cli/render/event-line.ts";
import { healedEvent } from "../../../cli/wiring/events.ts";
import { QuietLog } from "../../lib/quiet-log.ts";
import { VirtualClock } from "../../lib/virtual-clock.ts";
import { FakeBackend, HOST1 } from "./fixture-facts.ts";
import { run, temporary } from "./fixture-run.ts";

const clock = () => new VirtualClock(Date.parse("2026-11-21T10:00:00Z"));
const ALL = Number.POSITIVE_INFINITY;
const naming = { peer: () => "host2", container: () => "web" };

const endpoint = (ip: string) => ({
  origin: HOST1,
  key: "e".repeat(64),
  row: { network: "tsweave", ip, mac: "02:42:0a:20:00:02", vtep: "192.168.48.12" },
});

describe("the event log", () => {
  it("numbers, dates and remembers, by age and no more than its bound", async () => {
    const time = clock();
    const log = new EventLog(time, new QuietLog());
    log.add("peer-dead", "peer host2 is given up", { peer: "host2" });
    await time.run(60_000);
    log.add("peer-alive", "peer host2 is alive", { peer: "host2" });
    const [first, second] = log.since(ALL);
    assert.deepEqual(first, {
      seq: 1,
      time: "2026-11-21T10:00:00.000Z",
      kind: "peer-dead",
      text: "peer host2 is given up",
      details: { peer: "host2" },
    });
    assert.equal(second?.time, "2026-11-21T10:01:00.000Z");
    assert.deepEqual(log.since(30_000), [second]);
    for (let at = 0; at < 3 * EVENTS_MAX; at++) log.add("peer-alive", String(at));
    const held = log.since(ALL);
    assert.equal(held.length, EVENTS_MAX);
    assert.equal(held.at(-1)?.seq, 2 + 3 * EVENTS_MAX);
  });

  it("drops a follower that throws, and nobody else", () => {
    const quiet = new QuietLog();
    const log = new EventLog(clock(), quiet);
    const heard: string[] = [];
    log.follow(() => {
      throw new Error("broken reader");
    });
    log.follow(({ text }) => heard.push(text));
    log.add("peer-left", "one");
    log.add("peer-left", "two");
    assert.deepEqual(heard, ["one", "two"]);
    assert.equal(quiet.lines.length, 1);
  });
});

describe("what is told", () => {
  const told = (act: (log: EventLog) => void): string[] => {
    const log = new EventLog(clock(), new QuietLog());
    act(log);
    return log.since(ALL).map(({ kind, text }) => `${kind} ${text}`);
  };

  it("of endpoints: what came, went and moved, and not what was written anew", () => {
    const [one, two] = [endpoint("10.32.0.2"), endpoint("10.32.0.3")];
    const lines = told((log) =>
      endpointEvents(
        log,
        [
          { before: undefined, after: one },
          { before: one, after: one },
          { before: one, after: two },
          { before: two, after: undefined },
          { before: undefined, after: undefined },
        ],
        naming,
      ),
    );
    const on = "endpoint-added endpoint web 10.32.0";
    const off = "endpoint-removed endpoint web 10.32.0";
    assert.deepEqual(lines, [
      `${on}.2 of tsweave is on host2`,
      `${off}.2 of tsweave is gone from host2`,
      `${on}.3 of tsweave is on host2`,
      `${off}.3 of tsweave is gone from host2`,
    ]);
  });

  it("of a thousand endpoints at once: one line", () => {
    const many = Array.from({ length: 1000 }, (_, at) => ({
      before: undefined,
      after: endpoint(`10.33.${at >> 8}.${at & 255}`),
    }));
    const lines = told((log) => endpointEvents(log, many, naming));
    assert.deepEqual(lines, ["endpoints-changed endpoints: 1000 added and 0 removed at once"]);
  });

  it("of networks", () => {
    const row = { vni: 256, subnet: "10.32.0.0/12", mtuBytes: 1450, internal: false };
    const typed = { origin: HOST1, key: "blue", row } as never;
    const lines = told((log) => {
      networkEvents(log, [{ before: undefined, after: typed }], naming);
      networkEvents(log, [{ before: typed, after: typed }], naming);
      networkEvents(log, [{ before: typed, after: undefined }], naming);
    });
    assert.deepEqual(lines, [
      "network-added network blue 10.32.0.0/12 is on host2",
      "network-removed network blue is gone from host2",
    ]);
  });

  it("of drift: the entry before and after, and how many more", () => {
    const entries = [{ what: "neighbour 10.32.0.9", before: "absent", after: "02:42:0a:20:00:09" }];
    const [line] = told((log) => healedEvent(log, { network: "blue", entries, total: 3 }));
    assert.match(
      line ?? "",
      /^drift-healed network blue .*: neighbour 10\.32\.0\.9 absent -> 02:42:\S+ and 2 more$/,
    );
  });
});

describe("problems", () => {
  it("are told when they begin and end, once, whatever their text counts", async () => {
    const time = clock();
    const log = new QuietLog();
    const events = new EventLog(time, log);
    let problems: HealthProblem[] = [];
    let roster = { number: 1 as number | null, members: ["host1"] };
    const watched = { problems: () => problems, roster: () => roster };
    const watch = new ProblemWatch({ clock: time, log, events }, watched);
    watch.start();
    for (const age of ["5s", "2m 5s", "1h 2m"]) {
      const text = `no direct path to h2 (192.0.2.2) since ${age}: silent`;
      problems = [{ code: "NO_DIRECT_PATH", text, next: "ping 192.0.2.2" }];
      await time.run(2000);
    }
    problems = [];
    roster = { number: 2, members: ["host1", "host2"] };
    await time.run(2000);
    watch.stop();
    assert.deepEqual(
      events.since(ALL).map(({ kind }) => kind),
      ["problem-raised", "problem-cleared", "roster-changed"],
    );
    assert.equal(events.since(ALL).at(-1)?.text, "roster 2: host1, host2 may own addresses");
    assert.deepEqual(
      log.lines.map(({ level }) => level),
      ["warn", "info"],
    );
  });

  it("of two hosts are two", () => {
    const at = (host: string) => identity({ code: "PEER_DEAD", text: `peer ${host}`, next: null });
    assert.notEqual(at("192.0.2.1"), at("192.0.2.2"));
    assert.notEqual(at("host-1"), at("host-2"));
  });

  it("that cannot be looked at end nothing", async () => {
    const time = clock();
    const log = new QuietLog();
    const events = new EventLog(time, log);
    let looks = 0;
    const problems = () => {
      looks += 1;
      throw new Error("broken facts");
    };
    const roster = () => ({ number: null, members: [] });
    const watch = new ProblemWatch({ clock: time, log, events }, { problems, roster });
    watch.start();
    await time.run(7000);
    watch.stop();
    assert.equal(looks, 4);
  });
});

async function serving(context: TestContext) {
  const runDir = join(await temporary(context), "run");
  const backend = new FakeBackend();
  const server = await startControl({ runDir, backend, log: new QuietLog() });
  context.after(() => server.close());
  return { runDir, backend, server };
}

describe("tsweave events", () => {
  it("shows what is remembered, for people and for programs", async (context) => {
    const { runDir, backend } = await serving(context);
    backend.eventLog.add("peer-dead", "peer host2 is given up\u001b[2J", { peer: "host2" });
    const plain = await run(["events", "--run-dir", runDir]);
    assert.match(plain.out, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {2}peer-dead +peer host2 .* \[2J\n$/);
    const { out } = await run(["events", "--json", "--since", "1h", "--run-dir", runDir]);
    const { schema, seq, kind, details } = JSON.parse(out);
    assert.deepEqual([schema, seq, kind, details], [1, 1, "peer-dead", { peer: "host2" }]);
    assert.equal((await run(["events", "--since", "0", "--run-dir", runDir])).out, "");
    assert.equal((await run(["events", "--since", "soon"])).code, 2);
    assert.equal((await run(["events", "--run-dir", "/nonexistent"])).code, 3);
  });

  it("follows until the daemon ends", async (context) => {
    const { runDir, backend, server } = await serving(context);
    backend.eventLog.add("peer-dead", "before");
    const following = run(["events", "-f", "--json", "--run-dir", runDir]);
    const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
    await wait(200);
    for (const text of ["one", "two"]) {
      backend.eventLog.add("peer-alive", text);
      await wait(50);
    }
    await server.close();
    const { code, out } = await following;
    assert.equal(code, 3);
    assert.deepEqual(
      out
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line).text),
      ["one", "two"],
    );
  });

  it("refuses what it does not know, and more readers than it serves", async (context) => {
    const { runDir } = await serving(context);
    const ask = (query: string) =>
      new Promise<number>((resolve, reject) => {
        const socketPath = join(runDir, "control.sock");
        const call = request({ socketPath, path: `/v1/events?${query}`, agent: false }, (reply) => {
          context.after(() => reply.destroy());
          resolve(reply.statusCode ?? 0);
        });
        call.once("error", reject).end();
      });
    for (const query of ["age-ms=x", "age-ms=-1", "follow=2", "kind=a"]) {
      assert.equal(await ask(query), 400, query);
    }
    const all = await Promise.all(Array.from({ length: 33 }, () => ask("follow=1")));
    assert.deepEqual(all.toSorted(), [...Array(32).fill(200), 400]);
  });

  it("cuts off a reader that does not read, with a note, and goes on", async (context) => {
    const { runDir, backend } = await serving(context);
    const socket = connect(join(runDir, "control.sock"));
    context.after(() => socket.destroy());
    socket.write("GET /v1/events?follow=1 HTTP/1.1\r\nhost: x\r\n\r\n");
    await once(socket, "readable");
    socket.pause();
    const text = "x".repeat(10_000);
    const before = process.memoryUsage().rss;
    for (let at = 0; at < 10_000; at++) {
      backend.eventLog.add("peer-alive", text);
      if (at % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    const grown = (process.memoryUsage().rss - before) / 2 ** 20;
    assert.ok(grown < 300, `${grown} MiB`);
    let tail = "";
    await new Promise<void>((resolve) => {
      socket.setEncoding("utf8").on("data", (piece: string) => {
        tail = (tail + piece).slice(-2000);
        if (tail.includes("TIMED_OUT")) resolve();
      });
      socket.resume();
    });
    assert.match(tail, /"code":"TIMED_OUT","message":"too slow a reader: events from \d+ on/);
    const { peers } = await new ControlClient(runDir).read("peers");
    assert.equal(peers.length, 2);
  });
});

describe("an event's line", () => {
  it("survives a time that is none", () => {
    const event = { seq: 1, time: "when", kind: "peer-left" as const, text: "t", details: {} };
    assert.match(eventLine(event), /^when {2}peer-left +t\n$/);
  });
});
