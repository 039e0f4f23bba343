/** Streams on loopback: bounded frames, deadlines on both sides, and what a probe tells. */
import assert from "node:assert/strict";
import { connect, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { type HostPort, LIMITS } from "../../../mesh/index.ts";
import { FrameReader, framed } from "../../../mesh/io/frame.ts";
import { openTcp, type TcpStreams } from "../../../mesh/io/tcp.ts";
import { sleep, until } from "../../contract/membership.ts";
import { QuietLog } from "../../lib/quiet-log.ts";

const at = (host: string, port = 0): HostPort => ({ host, port });

async function withPair(
  run: (a: TcpStreams, b: TcpStreams, log: QuietLog) => Promise<void>,
): Promise<void> {
  const log = new QuietLog();
  const a = await openTcp(at("127.0.0.31"), log);
  const b = await openTcp(at("127.0.0.32"), log);
  try {
    await run(a, b, log);
  } finally {
    await a.close();
    await b.close();
  }
}

test("a question is answered, empty and large frames too", async () => {
  await withPair(async (a, b) => {
    b.onRequest(async (from, frame) => Buffer.concat([Buffer.from(`${from.host} `), frame]));
    for (const bytes of [0, 1, 3_000_000]) {
      const answer = await a.request(b.local, Buffer.alloc(bytes, 1), 5000);
      assert.equal(answer.length, bytes + "127.0.0.31 ".length);
      assert.equal(Buffer.from(answer.subarray(0, 11)).toString(), "127.0.0.31 ");
    }
    const many = await Promise.all(
      Array.from({ length: 40 }, async (_, at) => await a.request(b.local, Buffer.of(at), 5000)),
    );
    assert.deepEqual(
      many.map((answer) => answer.at(-1)),
      Array.from({ length: 40 }, (_, at) => at),
    );
  });
});

test("each failure has its code and leaves the server up", async () => {
  await withPair(async (a, b, log) => {
    const question = Buffer.from("?");
    await assert.rejects(a.request(b.local, question, 500), { code: "PEER_UNREACHABLE" });
    b.onRequest(async () => await Promise.reject(new Error("handler failed")));
    await assert.rejects(a.request(b.local, question, 500), { code: "PEER_UNREACHABLE" });
    assert.ok(log.lines.some((line) => line.message === "a stream request failed"));
    b.onRequest(async () => await new Promise<never>(() => {}));
    await assert.rejects(a.request(b.local, question, 100), { code: "TIMED_OUT" });
    b.onRequest(async () => new Uint8Array(LIMITS.streamFrameBytesMax + 1));
    await assert.rejects(a.request(b.local, question, 5000), { code: "PEER_UNREACHABLE" });
    const tooLong = new Uint8Array(LIMITS.streamFrameBytesMax + 1);
    await assert.rejects(a.request(b.local, tooLong, 500), { code: "BAD_MESSAGE" });
    for (const to of [at("127.0.0.1", 1), at("peer.example", 1), at("127.0.0.1", 99_999)]) {
      await assert.rejects(a.request(to, question, 500), { code: "PEER_UNREACHABLE" });
    }
    b.onRequest(async (_from, frame) => frame);
    assert.deepEqual(Buffer.from(await a.request(b.local, question, 500)), question);
  });
});

test("garbage, endless lengths and half-open peers hold nothing", async () => {
  await withPair(async (a, b) => {
    b.onRequest(async (_from, frame) => frame);
    const closed = async (bytes: Uint8Array, end: boolean): Promise<void> => {
      const socket: Socket = connect(b.local.port, b.local.host);
      socket.on("error", () => {});
      const gone = new Promise((resolve) => socket.on("close", resolve));
      if (end) socket.end(bytes);
      else socket.write(bytes);
      socket.resume();
      await gone;
    };
    await closed(Buffer.from("ffffffff00", "hex"), false);
    await closed(Buffer.from("0000"), true);
    await closed(Buffer.concat([framed(Buffer.from("a")), Buffer.from("more")]), false);
    const startMs = performance.now();
    await closed(Buffer.from("00", "hex"), false);
    assert.ok(performance.now() - startMs > 4000, "only the deadline ends an idle one");
    assert.deepEqual(Buffer.from(await a.request(b.local, Buffer.from("x"), 500)).toString(), "x");
  });
});

test("more streams than the limit are refused at accept", async () => {
  await withPair(async (a, b) => {
    b.onRequest(async (_from, frame) => frame);
    const idle = Array.from({ length: LIMITS.streamsMax }, () =>
      connect(b.local.port, b.local.host),
    );
    try {
      let connected = 0;
      for (const socket of idle) {
        socket.on("error", () => {});
        socket.on("connect", () => {
          connected += 1;
        });
      }
      await until("connected", 2000, () => connected === idle.length);
      await sleep(50);
      await assert.rejects(a.request(b.local, Buffer.from("x"), 1000), {
        code: "PEER_UNREACHABLE",
      });
    } finally {
      for (const socket of idle) socket.destroy();
    }
    await sleep(50);
    assert.equal((await a.request(b.local, Buffer.from("x"), 1000)).length, 1);
  });
});

test("probe tells open, refused and silent apart", async () => {
  await withPair(async (a, b) => {
    assert.equal(await a.probe(b.local, 500), "open");
    const server = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address() as { port: number };
    await new Promise((resolve) => server.close(resolve));
    assert.equal(await a.probe(at("127.0.0.1", port), 500), "refused");
    assert.equal(await a.probe(at("0.0.0.1", 9), 100), "silent");
  });
});

test("binding failures say what to do", async () => {
  const log = new QuietLog();
  const taken = await openTcp(at("127.0.0.1"), log);
  try {
    await assert.rejects(openTcp(taken.local, log), { code: "PORT_IN_USE", hint: /--port/ });
    await assert.rejects(openTcp(at("192.0.2.1"), log), { code: "CONFIG", hint: /--bind/ });
  } finally {
    await taken.close();
  }
});

test("a frame is read from chunks of any size and refused by its length alone", () => {
  const frame = framed(Buffer.from("some bytes"));
  for (let size = 1; size <= frame.length; size += 1) {
    const reader = new FrameReader();
    let whole: Uint8Array | undefined;
    for (let start = 0; start < frame.length; start += size) {
      assert.equal(whole, undefined);
      whole = reader.push(frame.subarray(start, start + size));
    }
    assert.equal(Buffer.from(whole ?? []).toString(), "some bytes");
  }
  const head = Buffer.alloc(4);
  head.writeUInt32BE(LIMITS.streamFrameBytesMax + 1);
  assert.throws(() => new FrameReader().push(head), { code: "BAD_MESSAGE" });
});
