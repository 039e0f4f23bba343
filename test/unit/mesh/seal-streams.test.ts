/** Sealed questions and answers: bound to one another, to the peer meant, and to its life. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { HostPort } from "../../../mesh/index.ts";
import { Keyring } from "../../../mesh/wire/keyring.ts";
import { Seal } from "../../../mesh/wire/seal.ts";
import { sealedStreams } from "../../../mesh/wire/seal-streams.ts";
import { MemoryNetwork } from "../../lib/memory-network.ts";
import { key, SealedWorld, type TestPeer } from "./seal-fixture.ts";

async function settled<T>(world: SealedWorld, answer: Promise<T>): Promise<T> {
  const caught = answer.catch((error: unknown) => error as Error);
  await world.clock.run(2000);
  const result = await caught;
  if (result instanceof Error) throw result;
  return result as T;
}

function serveEcho(peer: TestPeer): string[] {
  const served: string[] = [];
  peer.streams.onRequest(async (_from, frame) => {
    served.push(Buffer.from(frame).toString());
    return Buffer.concat([Buffer.from("echo "), frame]);
  });
  return served;
}

async function ask(world: SealedWorld, a: TestPeer, b: HostPort, text: string): Promise<string> {
  const answer = await settled(world, a.streams.request(b, Buffer.from(text), 1000));
  return Buffer.from(answer).toString();
}

test("questions are answered, served once each, empty and large ones too", async () => {
  const world = new SealedWorld();
  const a = world.sealed(1);
  const b = world.sealed(1);
  const served = serveEcho(b);
  assert.equal(await ask(world, a, b.at, "one"), "echo one");
  assert.equal(await ask(world, a, b.at, ""), "echo ");
  const many = Array.from({ length: 200 }, (_, at) => `n${at}`);
  const answers = await settled(
    world,
    Promise.all(many.map(async (text) => await a.streams.request(b.at, Buffer.from(text), 1000))),
  );
  assert.deepEqual(
    answers.map((answer) => Buffer.from(answer).toString()),
    many.map((text) => `echo ${text}`),
  );
  const large = "x".repeat(5_000_000);
  assert.equal((await ask(world, a, b.at, large)).length, large.length + 5);
  assert.equal(served.length, 203);
});

test("a peer that restarted is asked again by itself", async () => {
  const world = new SealedWorld();
  const a = world.sealed(1);
  const b = world.sealed(1);
  serveEcho(b);
  assert.equal(await ask(world, a, b.at, "one"), "echo one");
  const next = world.peer(b.seal?.ring, b.at);
  const served = serveEcho(next);
  assert.equal(await ask(world, a, b.at, "two"), "echo two");
  assert.deepEqual(served, ["two"]);
});

test("another password, plain to sealed and sealed to plain fail with the reason", async () => {
  const world = new SealedWorld();
  const a = world.sealed(1);
  const other = world.sealed(2);
  const plain = world.peer(undefined);
  const served = [serveEcho(a), serveEcho(other), serveEcho(plain)];
  const question = "a question that is long enough to be answered";
  await assert.rejects(ask(world, other, a.at, question), {
    code: "PEER_UNREACHABLE",
    message: /uses another password/,
    hint: /same password/,
  });
  await assert.rejects(ask(world, a, plain.at, question), /does not encrypt/);
  await assert.rejects(ask(world, plain, a.at, question), /encrypts, this peer does not/);
  assert.deepEqual(served.map(({ length }) => length).slice(0, 2), [0, 0]);
  assert.equal(a.seal?.counts.refused, 3);
});

/** Frames as they cross the network, recorded and replaceable. */
function tappedPair() {
  const world = new SealedWorld();
  const network = new MemoryNetwork(world.clock, world.random);
  const frames: { question: Uint8Array; answer: Uint8Array }[] = [];
  let swap: ((answer: Uint8Array) => Uint8Array) | undefined;
  const open = (at: HostPort, ring = Keyring.of(key(1))) => {
    const raw = network.streams(at);
    const seal = new Seal(world, ring);
    const streams = sealedStreams({
      clock: world.clock,
      random: world.random,
      seal,
      streams: {
        ...raw,
        request: async (to, question, deadlineMs) => {
          const answer = await raw.request(to, question, deadlineMs);
          frames.push({ question, answer });
          return swap?.(answer) ?? answer;
        },
      },
    });
    return { streams, seal, raw };
  };
  const onAnswer = (change: typeof swap): void => {
    swap = change;
  };
  return { world, frames, open, onAnswer };
}

const A = { host: "10.0.0.1", port: 6783 };
const B = { host: "10.0.0.2", port: 6783 };
const C = { host: "10.0.0.3", port: 6783 };

test("a recorded question is served neither again nor elsewhere nor in a later life", async () => {
  const { world, frames, open } = tappedPair();
  const a = open(A);
  const served: string[] = [];
  const serve = (name: string) => async (_from: HostPort, frame: Uint8Array) => {
    served.push(`${name} ${Buffer.from(frame)}`);
    return frame;
  };
  open(B).streams.onRequest(serve("b"));
  const c = open(C);
  c.streams.onRequest(serve("c"));
  await settled(world, a.streams.request(B, Buffer.from("give"), 1000));
  await settled(world, a.streams.request(C, Buffer.from("other"), 1000));
  assert.deepEqual(served, ["b give", "c other"]);
  const evil = open({ host: "10.6.6.6", port: 1 });
  for (const { question } of [...frames]) {
    for (const to of [B, C]) await settled(world, evil.raw.request(to, question, 1000));
  }
  assert.deepEqual(served, ["b give", "c other"]);
  const laterB = open(B);
  laterB.streams.onRequest(serve("later b"));
  for (const { question } of [...frames]) {
    await settled(world, evil.raw.request(B, question, 1000));
  }
  assert.deepEqual(served, ["b give", "c other"]);
  for (let at = 0; at < 9000; at += 1) laterB.seal.senders.entry(`made up ${at}`, "", at);
  await settled(world, a.streams.request(B, Buffer.from("third"), 1000));
  const last = frames.at(-1)?.question ?? new Uint8Array();
  for (let at = 0; at < 9000; at += 1) laterB.seal.senders.entry(`more ${at}`, "", 1e6 + at);
  await settled(world, evil.raw.request(B, last, 1000));
  assert.deepEqual(served, ["b give", "c other", "later b third"], "forgetting lets nothing in");
});

test("an answer is good for its own question only", async () => {
  const { world, frames, open, onAnswer } = tappedPair();
  const a = open(A);
  open(B).streams.onRequest(async (_from, frame) => frame);
  await settled(world, a.streams.request(B, Buffer.from("one"), 1000));
  const recorded = frames.at(-1)?.answer ?? new Uint8Array();
  onAnswer(() => recorded);
  await assert.rejects(settled(world, a.streams.request(B, Buffer.from("two"), 1000)));
  // The question itself, sent back as its answer.
  onAnswer(() => frames.at(-1)?.question ?? new Uint8Array());
  await assert.rejects(settled(world, a.streams.request(B, Buffer.from("three"), 1000)));
  for (let at = 0; at < recorded.length; at += 1) {
    onAnswer((answer) => {
      const copy = Uint8Array.from(answer);
      copy[at] = (copy[at] ?? 0) ^ 1;
      return copy;
    });
    await assert.rejects(settled(world, a.streams.request(B, Buffer.from("one"), 1000)));
  }
  for (const length of [0, 1, 4, 22, 23, 38, 39]) {
    onAnswer((answer) => answer.subarray(0, length));
    await assert.rejects(settled(world, a.streams.request(B, Buffer.from("one"), 1000)));
  }
  onAnswer(undefined);
  const answer = await settled(world, a.streams.request(B, Buffer.from("four"), 1000));
  assert.equal(Buffer.from(answer).toString(), "four");
});

test("garbage and datagrams as questions are refused in a few bytes", async () => {
  const { world, open } = tappedPair();
  const a = open(A);
  const b = open(B);
  let served = 0;
  b.streams.onRequest(async (_from, frame) => {
    served += 1;
    return frame;
  });
  const datagram = a.seal.seal("datagram", 2, Buffer.alloc(100), { clear: Buffer.alloc(8) });
  const asRequest = a.seal.seal("datagram", 16, Buffer.alloc(100), { clear: Buffer.alloc(8) });
  const hostile: Uint8Array[] = [datagram, asRequest, Buffer.alloc(1_000_000)];
  for (let length = 0; length < 120; length += 1) hostile.push(world.random.bytes(length));
  for (let at = 0; at < 200; at += 1) {
    const bytes = Buffer.from(world.random.bytes(60));
    bytes.set([0x74, 0x77, 1, 0x80 | 16, key(1).hint]);
    hostile.push(bytes);
  }
  for (const frame of hostile) {
    const answer = await settled(world, a.raw.request(B, frame, 1000));
    assert.ok(answer.length <= Math.min(frame.length, 23));
  }
  assert.equal(served, 0);
  assert.equal(b.seal.senders.size, 0);
  assert.equal(b.seal.counts.refused, hostile.length);
});
