/**
 * Lives inside a test's namespace: a stand-in for Docker's resolver on 127.0.0.11 and a client that
 * asks 127.0.0.11:53, both driven over IPC by dns-sandbox.test.ts.
 */
import { createSocket } from "node:dgram";
import { connect } from "node:net";
import packet from "dns-packet";

const CLIENT_TIMEOUT_MS = 3000;
const seen = [];
let resolver;

/** What the stand-in answers: every name gets its marker address, some names misbehave. */
function reply(bytes, viaUdp) {
  const query = packet.decode(bytes);
  const question = query.questions[0];
  seen.push(question.name);
  if (question.name.endsWith("silent.test")) return undefined;
  const count = question.name === "big.test" ? 120 : 1;
  const answers = Array.from({ length: count }, (_, index) => ({
    type: "A",
    name: question.name,
    ttl: 600,
    data: `192.0.2.${index + 1}`,
  }));
  const edns = query.additionals.find((record) => record.type === "OPT");
  const base = { type: "response", id: query.id, questions: query.questions };
  const additionals = edns === undefined ? [] : [{ type: "OPT", name: ".", udpPayloadSize: 4096 }];
  const full = packet.encode({ ...base, flags: packet.RECURSION_AVAILABLE, answers, additionals });
  if (!viaUdp || full.length <= (edns?.udpPayloadSize ?? 512)) return full;
  return packet.encode({ ...base, flags: packet.TRUNCATED_RESPONSE, additionals });
}

/** Opens the stand-in on a port of its own, closing an earlier one. */
function listen() {
  resolver?.close();
  return new Promise((resolve) => {
    const socket = createSocket("udp4");
    socket.on("message", (bytes, from) => {
      const answer = reply(bytes, true);
      if (answer !== undefined) socket.send(answer, from.port, from.address);
    });
    socket.bind(0, "127.0.0.11", () => {
      resolver = socket;
      resolve(socket.address().port);
    });
  });
}

function queryBytes({ name, type = "A", udpBytes }) {
  const additionals = udpBytes ? [{ type: "OPT", name: ".", udpPayloadSize: udpBytes }] : [];
  const id = Math.floor(Math.random() * 65536);
  const flags = packet.RECURSION_DESIRED;
  return packet.encode({ type: "query", id, flags, questions: [{ name, type }], additionals });
}

/** Rcode, answers and size of the reply, or how asking failed. */
function view(bytes, query) {
  const message = packet.decode(bytes);
  return {
    rcode: message.rcode,
    idMatches: message.id === packet.decode(query).id,
    truncated: message.flag_tc,
    bytes: bytes.length,
    hasOpt: message.additionals.some((record) => record.type === "OPT"),
    answers: message.answers.map((answer) => answer.data),
    ttl: message.answers[0]?.ttl,
  };
}

/** Asks over one and the same socket each time, as nginx and HAProxy do. */
let kept;
async function askKept(options) {
  const query = queryBytes(options);
  if (kept === undefined) {
    kept = createSocket("udp4").on("error", () => undefined);
    await new Promise((resolve) => kept.connect(53, "127.0.0.11", resolve));
  }
  return new Promise((resolve) => {
    const end = (result) => {
      clearTimeout(timer);
      kept.removeAllListeners("message");
      resolve(result);
    };
    const timer = setTimeout(() => end({ failed: "timeout" }), options.timeoutMs);
    kept.on("message", (bytes) => end(view(bytes, query)));
    kept.send(query, () => undefined);
  });
}

function askUdp(options) {
  const query = queryBytes(options);
  return new Promise((resolve) => {
    const socket = createSocket("udp4");
    const end = (result) => {
      clearTimeout(timer);
      socket.close();
      resolve(result);
    };
    const timeoutMs = options.timeoutMs ?? CLIENT_TIMEOUT_MS;
    const timer = setTimeout(() => end({ failed: "timeout" }), timeoutMs);
    socket.on("error", (error) => end({ failed: error.code }));
    socket.on("message", (bytes) => end(view(bytes, query)));
    // A connected socket hears of a closed port, as resolvers of libc do.
    socket.connect(53, "127.0.0.11", () => socket.send(query));
  });
}

/** Sends `count` different questions at once over twenty sockets; replies by rcode, and how long. */
async function flood({ count, suffix, timeoutMs }) {
  const rcodes = {};
  const startMs = performance.now();
  const burst = (from) =>
    new Promise((resolve) => {
      const socket = createSocket({ type: "udp4" });
      let left = count / 20;
      const end = () => {
        clearTimeout(timer);
        socket.close();
        resolve();
      };
      const timer = setTimeout(end, timeoutMs);
      socket.on("message", (bytes) => {
        const { rcode } = packet.decode(bytes);
        rcodes[rcode] = (rcodes[rcode] ?? 0) + 1;
        left -= 1;
        if (left === 0) end();
      });
      socket.connect(53, "127.0.0.11", () => {
        for (let at = 0; at < count / 20; at += 1) {
          socket.send(queryBytes({ name: `x${from}-${at}.${suffix}` }));
        }
      });
    });
  await Promise.all(Array.from({ length: 20 }, (_, from) => burst(from)));
  return { rcodes, ms: performance.now() - startMs };
}

/** Sends all names of `names` in one write and collects the replies by order of arrival. */
function askTcp({ names, ...options }) {
  const queries = names.map((name) => queryBytes({ name, ...options }));
  return new Promise((resolve) => {
    const replies = [];
    let rest = Buffer.alloc(0);
    const socket = connect(53, "127.0.0.11");
    const end = (result) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(result);
    };
    const timer = setTimeout(() => end({ failed: "timeout" }), CLIENT_TIMEOUT_MS);
    socket.on("error", (error) => end({ failed: error.code }));
    socket.on("close", () => end({ failed: "closed" }));
    socket.on("data", (chunk) => {
      rest = Buffer.concat([rest, chunk]);
      while (rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE(0)) {
        const bytes = rest.subarray(2, 2 + rest.readUInt16BE(0));
        rest = rest.subarray(2 + bytes.length);
        const id = bytes.readUInt16BE(0);
        const query = queries.find((candidate) => candidate.readUInt16BE(0) === id);
        replies.push({ name: packet.decode(bytes).questions[0].name, ...view(bytes, query) });
      }
      if (replies.length === queries.length) end({ replies });
    });
    const framed = queries.map((query) => {
      const length = Buffer.alloc(2);
      length.writeUInt16BE(query.length);
      return Buffer.concat([length, query]);
    });
    socket.write(Buffer.concat(framed));
  });
}

/** Whether a connection that sends a cut-off message is still open after `ms`. */
function garbage() {
  return new Promise((resolve) => {
    const socket = connect(53, "127.0.0.11", () => socket.write(Buffer.from([0xff, 0xff, 1, 2])));
    socket.on("error", () => resolve("error"));
    socket.on("close", () => resolve("closed"));
  });
}

const operations = { listen, askUdp, askKept, askTcp, flood, garbage, seen: () => seen.splice(0) };

process.on("message", async ({ id, operation, options }) => {
  process.send({ id, result: await operations[operation](options) });
});
process.on("disconnect", () => process.exit());
