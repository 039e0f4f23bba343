/** The map's stream: what is said when, who may listen, and what a reader that is slow costs. */
import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { get, type IncomingMessage, type ServerResponse } from "node:http";
import { connect } from "node:net";
import { describe, it, type TestContext } from "node:test";
import { MapStream, READERS_MAX } from "../../../cli/web/map-stream.ts";
import { applied } from "../../../cli/web/page/changes.ts";
import { serveWeb } from "../../../cli/web/web-server.ts";
import { QuietLog } from "../../lib/quiet-log.ts";
import { VirtualClock } from "../../lib/virtual-clock.ts";
import { MeshFacts } from "./fixture-map.ts";

interface Said {
  readonly event: string;
  readonly data: Record<string, unknown>;
}

function eventsOf(text: string): Said[] {
  return text
    .split("\n\n")
    .filter(Boolean)
    .map((block) => {
      const [, event = "", data = ""] = /^event: (\w+)\ndata: (.*)$/.exec(block) ?? [];
      return { event, data: JSON.parse(data) };
    });
}

/** What a ServerResponse is to the stream; its reader may stop reading. */
class FakeResponse extends EventEmitter {
  text = "";
  writableNeedDrain = false;
  destroyed = false;
  status = 0;

  writeHead(status: number): this {
    this.status = status;
    return this;
  }
  write(text: string): boolean {
    this.text += text;
    return !this.writableNeedDrain;
  }
  destroy(): void {
    this.destroyed = true;
    this.emit("close");
  }
  /** What was said since the last call. */
  take(): Said[] {
    const said = eventsOf(this.text);
    this.text = "";
    return said;
  }
  get asResponse(): ServerResponse {
    return this as unknown as ServerResponse;
  }
}

function fixture() {
  const facts = new MeshFacts({ hosts: 3, containers: 12, networks: 2 });
  const clock = new VirtualClock();
  const log = new QuietLog();
  const stream = new MapStream({ facts, clock, log });
  const reader = (): FakeResponse => {
    const response = new FakeResponse();
    assert.ok(stream.add(response.asResponse));
    return response;
  };
  const rename = (name: string): void => {
    const [row] = facts.endpointRows;
    assert.ok(row);
    row.name = name;
  };
  return { facts, clock, log, stream, reader, rename };
}

const kinds = (said: readonly Said[]): string[] => said.map(({ event }) => event);

describe("the map's stream", () => {
  it("says a snapshot, then at most once a second what changed, and only then", () => {
    const { clock, reader, rename } = fixture();
    const response = reader();
    const [first] = response.take();
    assert.equal(first?.event, "snapshot");
    for (let at = 0; at < 50; at += 1) {
      rename(`name-${at}`);
      clock.advance(10);
    }
    clock.advance(500);
    const said = response.take();
    assert.deepEqual(kinds(said), ["changes"]);
    const model = applied(first?.data as never, said[0]?.data as never);
    assert.ok(model.endpoints.some(({ name }) => name === "name-49"));
    clock.advance(8000);
    assert.deepEqual(response.take(), []);
    clock.advance(2000);
    assert.deepEqual(kinds(response.take()), ["beat"]);
  });

  it("brings whoever comes later to the same state", () => {
    const { clock, reader, rename } = fixture();
    const [early] = [reader()];
    rename("changed");
    const late = reader();
    clock.advance(1000);
    const states = [early, late].map((response) => {
      const said = response.take();
      assert.deepEqual(kinds(said), ["snapshot", "changes"]);
      return applied(said[0]?.data as never, said[1]?.data as never);
    });
    assert.deepEqual(states[0], states[1]);
  });

  it("looks at nothing while nobody reads", () => {
    const { clock, facts, reader } = fixture();
    clock.advance(60_000);
    assert.deepEqual([facts.reads, clock.armed()], [0, []]);
    const response = reader();
    clock.advance(3000);
    response.destroy();
    clock.advance(1000);
    const { reads } = facts;
    clock.advance(60_000);
    assert.deepEqual([facts.reads, clock.armed()], [reads, []]);
    // What comes after that is new, not what was held.
    facts.endpointRows = [];
    const [snapshot] = reader().take();
    assert.deepEqual(snapshot?.data.endpoints, []);
  });

  it("looks at most a fiftieth of the time", () => {
    const { clock, facts, reader } = fixture();
    const { status } = facts;
    Object.assign(facts, {
      status: () => {
        clock.advance(100);
        return status();
      },
    });
    reader();
    const before = facts.reads;
    clock.advance(60_000);
    assert.ok(facts.reads - before <= 13, `${facts.reads - before} looks in a minute`);
  });

  it("owes a slow reader one message, then one snapshot instead of all it missed", () => {
    const { clock, reader, rename } = fixture();
    const [slow, quick] = [reader(), reader()];
    slow.take();
    slow.writableNeedDrain = true;
    for (let at = 0; at < 10; at += 1) {
      rename(`name-${at}`);
      clock.advance(1000);
    }
    assert.equal(slow.text, "");
    assert.equal(quick.take().length, 11);
    slow.writableNeedDrain = false;
    clock.advance(1000);
    const said = slow.take();
    assert.deepEqual(kinds(said), ["snapshot"]);
    assert.match(JSON.stringify(said[0]?.data), /name-9/);
    clock.advance(1000);
    assert.deepEqual(slow.take(), []);
  });

  it("drops a reader that does not read at all", () => {
    const { clock, stream, reader } = fixture();
    const stuck = reader();
    stuck.writableNeedDrain = true;
    clock.advance(15_000);
    assert.equal(stuck.destroyed, false);
    clock.advance(2000);
    assert.deepEqual([stuck.destroyed, stream.readers], [true, 0]);
  });

  it("goes on after a look that fails", () => {
    const { clock, facts, log, reader } = fixture();
    const response = reader();
    response.take();
    const { endpoints } = facts;
    const broken = () => {
      throw new Error("broken");
    };
    Object.assign(facts, { endpoints: broken });
    clock.advance(1000);
    assert.deepEqual(
      log.lines.map(({ level }) => level),
      ["warn"],
    );
    Object.assign(facts, { endpoints });
    facts.endpointRows.pop();
    clock.advance(1000);
    assert.deepEqual(kinds(response.take()), ["changes"]);
  });
});

describe("the listener", () => {
  const tick = async (): Promise<void> => {
    await new Promise((resolve) => setTimeout(resolve, 5));
  };

  async function served(t: TestContext, size = { hosts: 2, containers: 4, networks: 1 }) {
    const facts = new MeshFacts(size);
    const stats = () => ({ rssBytes: 1, cpuSeconds: 1, stallSeconds: 0 });
    const clock = new VirtualClock();
    const ports = { facts, stats, clock, log: new QuietLog() };
    const web = await serveWeb(ports, { host: "127.0.0.1", port: 0 });
    t.after(() => web.close());
    const ask = async (headers = {}, method = "GET"): Promise<IncomingMessage> =>
      await new Promise((resolve, reject) => {
        const { port } = web.address;
        get({ host: "127.0.0.1", port, path: "/v1/stream", headers, method, agent: false }, resolve)
          .once("error", reject)
          .end();
      });
    return { web, facts, clock, ask };
  }

  it("streams to so many pages, refuses the next, and takes it once one has gone", async (t) => {
    const { ask } = await served(t);
    const open: IncomingMessage[] = [];
    for (let at = 0; at < READERS_MAX; at += 1) open.push(await ask());
    for (const { statusCode, headers } of open) {
      assert.deepEqual([statusCode, headers["content-type"]], [200, "text/event-stream"]);
    }
    const refused = await ask();
    assert.deepEqual([refused.statusCode, refused.headers["retry-after"]], [503, "10"]);
    refused.resume();
    open[0]?.destroy();
    for (let tries = 0; ; tries += 1) {
      const again = await ask();
      if (again.statusCode === 200) break;
      again.resume();
      assert.ok(tries < 200);
      await tick();
    }
  });

  it("forgets a page whose socket is never read", async (t) => {
    const { web, facts, clock } = await served(t, { hosts: 50, containers: 5000, networks: 6 });
    const socket = connect(web.address.port, "127.0.0.1").pause();
    t.after(() => socket.destroy());
    socket.write("GET /v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    while (facts.reads === 0) await tick();
    for (let at = 0, reads = 0; reads !== facts.reads; at += 1) {
      assert.ok(at < 100, "still served");
      reads = facts.reads;
      for (const row of facts.endpointRows) row.name = `name-${at}`;
      clock.advance(1000);
      await tick();
    }
    assert.deepEqual(clock.armed(), []);
  });

  it("ends all streams when it closes", async (t) => {
    const { web, ask } = await served(t);
    const response = await ask();
    const ended = new Promise((resolve) => response.once("close", resolve).on("error", () => 0));
    response.resume();
    await web.close();
    await ended;
  });

  it("streams to no other site's page, to no other name and to no other method", async (t) => {
    const { ask } = await served(t);
    const code = async (headers = {}, method = "GET"): Promise<number | undefined> => {
      const response = await ask(headers, method);
      response.destroy();
      return response.statusCode;
    };
    assert.equal(await code({ "sec-fetch-site": "cross-site" }), 403);
    assert.equal(await code({ "sec-fetch-site": "same-site" }), 403);
    assert.equal(await code({ origin: "http://evil.example" }), 403);
    assert.equal(await code({ origin: "http://127.0.0.1:1", host: "127.0.0.1:1" }), 200);
    assert.equal(await code({ host: "evil.example" }), 421);
    assert.equal(await code({}, "HEAD"), 405);
    assert.equal(await code({ "sec-fetch-site": "same-origin" }), 200);
  });
});
