/** Datagrams on loopback: the bound address, sizes, and errors a person can act on. */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { test } from "node:test";
import { type HostPort, LIMITS } from "../../../mesh/index.ts";
import { openUdp } from "../../../mesh/io/udp.ts";
import { until } from "../../contract/membership.ts";
import { QuietLog } from "../../lib/quiet-log.ts";

const log = new QuietLog();
const at = (host: string, port = 0): HostPort => ({ host, port });

test("packets arrive whole with their source, from exactly the bound address", async () => {
  const a = await openUdp(at("127.0.0.21"), log);
  const b = await openUdp(at("127.0.0.22"), log);
  try {
    const got: [HostPort, string][] = [];
    b.onPacket((from, packet) => got.push([from, Buffer.from(packet).toString()]));
    a.send(b.local, Buffer.from("hello"));
    await until("arrival", 1000, () => got.length === 1);
    assert.deepEqual(got, [[a.local, "hello"]]);
    a.send(at("127.0.0.1", b.local.port), Buffer.from("elsewhere"));
    a.send(b.local, Buffer.alloc(LIMITS.datagramBytesMax));
    await until("arrival", 1000, () => got.length === 2);
    assert.equal(got[1]?.[1].length, LIMITS.datagramBytesMax);
  } finally {
    await a.close();
    await b.close();
  }
});

test("a dual-stack socket speaks to IPv4 peers under their IPv4 address", async () => {
  const a = await openUdp(at("::"), log);
  const b = await openUdp(at("127.0.0.1"), log);
  try {
    const got: HostPort[] = [];
    a.onPacket((from) => a.send(from, Buffer.from("back")));
    b.onPacket((from) => got.push(from));
    b.send(at("127.0.0.1", a.local.port), Buffer.from("there"));
    await until("answer", 1000, () => got.length === 1);
    assert.deepEqual(got, [at("127.0.0.1", a.local.port)]);
  } finally {
    await a.close();
    await b.close();
  }
});

test("binding failures say what to do", async () => {
  const taken = await openUdp(at("127.0.0.1"), log);
  try {
    await assert.rejects(openUdp(taken.local, log), { code: "PORT_IN_USE", hint: /--port/ });
    await assert.rejects(openUdp(at("192.0.2.1"), log), { code: "CONFIG", hint: /--bind/ });
    await assert.rejects(openUdp(at("host.example"), log), { code: "CONFIG" });
  } finally {
    await taken.close();
  }
});

test("no packet and no receiver makes it throw", async () => {
  const quiet = new QuietLog();
  const a = await openUdp(at("127.0.0.1"), quiet);
  const raw = createSocket("udp4");
  try {
    let received = 0;
    a.onPacket(() => {
      received += 1;
      throw new Error("receiver failed");
    });
    a.send(at("::1", 9), Buffer.from("other family"));
    a.send(at("peer.example", 9), Buffer.from("a name"));
    a.send(at("127.0.0.1", 0), Buffer.from("no port"));
    a.send(at("127.0.0.1", 70_000), Buffer.from("no port"));
    a.send(a.local, Buffer.alloc(LIMITS.datagramBytesMax + 1));
    a.send(at("255.255.255.255", 9), Buffer.from("not allowed"));
    raw.send(Buffer.alloc(LIMITS.datagramBytesMax + 1), a.local.port, "127.0.0.1");
    raw.send(Buffer.from("fine"), a.local.port, "127.0.0.1");
    await until("arrival", 1000, () => received === 1);
    const messages = quiet.lines.map((line) => `${line.level}: ${line.message}`);
    assert.ok(messages.includes("error: not sending an oversized datagram"));
    assert.ok(messages.includes("debug: dropping an oversized datagram"));
    assert.ok(messages.includes("error: a datagram could not be handled"));
    await until("send error", 1000, () =>
      quiet.lines.some((line) => line.message === "datagram not sent" && line.level === "debug"),
    );
  } finally {
    raw.close();
    await a.close();
    await a.close();
    a.send(at("127.0.0.1", 9), Buffer.from("closed"));
  }
});
