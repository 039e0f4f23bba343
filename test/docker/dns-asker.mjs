/**
 * Asks DNS questions, one after the other, and prints the replies as JSON: run by dns.test.ts in
 * the network namespace of a container, or of a host.
 *
 *     node dns-asker.mjs '[{"name": "web", "type": "A", "server": "127.0.0.11", "port": 53,
 *                           "udpBytes": 1232, "tcp": true}]'          all but the name may be absent
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
  const bytes = await (tcp ? viaTcp : viaUdp)(query, server, port);
  if (typeof bytes === "string") return { rcode: bytes, answers: [], soa: "", truncated: false };
  const reply = packet.decode(bytes);
  return {
    rcode: reply.rcode,
    answers: reply.answers.map(text).sort(),
    soa: reply.authorities.find((record) => record.type === "SOA")?.name ?? "",
    truncated: reply.flag_tc,
    bytes: bytes.length,
  };
}

const replies = [];
for (const question of JSON.parse(process.argv[2] ?? "[]")) replies.push(await ask(question));
console.log(JSON.stringify(replies));
