/**
 * Asks DNS questions, one after the other, and prints the replies as JSON; or one question for
 * ever, printing what changes. Run by name-askers.ts in the network namespace of a container, or
 * of a host.
 *
 *     node dns-asker.mjs '[{"name": "web", "type": "A", "server": "127.0.0.11", "port": 53,
 *                           "udpBytes": 1232, "tcp": true}]'          all but the name may be absent
 *     node dns-asker.mjs --watch web          1763755200000 NOERROR 10.32.0.2 10.40.0.2   each change
 */
import { createSocket } from "node:dgram";
import { connect } from "node:net";
import packet from "dns-packet";

const TIMEOUT_MS = 4000;

function viaUdp(query, server, port) {
  return new Promise((resolve) => {
    const socket = createSocket("udp4");
    const end = (result) => {
      clearTimeout(timer);
      socket.close();
      resolve(result);
    };
    const timer = setTimeout(() => end("timeout"), TIMEOUT_MS);
    socket.on("error", (error) => end(error.code));
    socket.on("message", (bytes) => end(bytes));
    socket.connect(port, server, () => socket.send(query));
  });
}

function viaTcp(query, server, port) {
  return new Promise((resolve) => {
    const socket = connect(port, server, () => {
      const length = Buffer.alloc(2);
      length.writeUInt16BE(query.length);
      socket.write(Buffer.concat([length, query]));
    });
    let got = Buffer.alloc(0);
    const end = (result) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(result);
    };
    const timer = setTimeout(() => end("timeout"), TIMEOUT_MS);
    socket.on("error", (error) => end(error.code));
    socket.on("data", (chunk) => {
      got = Buffer.concat([got, chunk]);
      if (got.length >= 2 && got.length >= 2 + got.readUInt16BE(0)) end(got.subarray(2));
    });
  });
}

function text(record) {
  if (record.type === "SRV") return `${record.data.target}:${record.data.port}`;
  if (record.type === "MX") return `${record.data.preference} ${record.data.exchange}`;
  return String(record.data);
}

async function ask({ name, type = "A", server = "127.0.0.11", port = 53, udpBytes, tcp = false }) {
  const additionals = udpBytes ? [{ type: "OPT", name: ".", udpPayloadSize: udpBytes }] : [];
  const questions = [{ name, type }];
  const query = packet.encode({ type: "query", id: 1, flags: 0x100, questions, additionals });
  const startMs = performance.now();
  const bytes = await (tcp ? viaTcp : viaUdp)(query, server, port);
  const tookMs = performance.now() - startMs;
  const nothing = { answers: [], soa: "", truncated: false, bytes: 0, tookMs };
  if (typeof bytes === "string") return { rcode: bytes, ...nothing };
  const reply = packet.decode(bytes);
  return {
    rcode: reply.rcode,
    answers: reply.answers.map(text).sort(),
    soa: reply.authorities.find((record) => record.type === "SOA")?.name ?? "",
    truncated: reply.flag_tc,
    bytes: bytes.length,
    tookMs,
  };
}

const WATCH_PERIOD_MS = 20;
const SILENCE_MS = 500;

/** Of replies that come late, because somebody else was asked, those to later questions count. */
function watch(name) {
  const socket = createSocket("udp4");
  let [id, answered, heardMs, told] = [0, 0, Date.now(), ""];
  const tell = (now) => {
    if (now === told) return;
    told = now;
    console.log(`${Date.now()} ${now}`);
  };
  socket.on("error", () => undefined); // Refused while a daemon is down: that is silence.
  socket.on("message", (bytes) => {
    const reply = packet.decode(bytes);
    if (reply.id < answered) return;
    [answered, heardMs] = [reply.id, Date.now()];
    tell([reply.rcode, ...reply.answers.map(text).sort()].join(" "));
  });
  socket.connect(53, "127.0.0.11", () => {
    setInterval(() => {
      id = Math.min(id + 1, 65_535);
      const questions = [{ name, type: "A" }];
      socket.send(packet.encode({ type: "query", id, flags: 0x100, questions }), () => undefined);
      if (Date.now() - heardMs > SILENCE_MS) tell("silence");
    }, WATCH_PERIOD_MS);
  });
}

if (process.argv[2] === "--watch") watch(process.argv[3] ?? "");
else {
  const replies = [];
  for (const question of JSON.parse(process.argv[2] ?? "[]")) replies.push(await ask(question));
  console.log(JSON.stringify(replies));
}
