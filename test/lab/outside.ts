/**
 * "The outside" of a lab: a web server and a DNS server in the gateway's namespace, reachable only
 * through the hosts' default route. The gateway has no route to container networks, so an answer
 * proves that the asking host translated addresses. Run by gateway.ts, not imported.
 *
 *     http://outside.example/        a known page        /client   the address the server sees
 *     DNS: outside.example, *.outside.example → 198.51.100.1 and back, mail exchanger 10 of itself;
 *          anything else NXDOMAIN
 */
import { createSocket } from "node:dgram";
import { createServer } from "node:http";
import { OUTSIDE_ADDRESS, OUTSIDE_NAME, OUTSIDE_PAGE } from "./gateway.ts";

const TYPE = { a: 1, ptr: 12, mx: 15 } as const;
const NXDOMAIN = 3;
/** Where the name asked for stands in every reply. */
const SAME_NAME = [0xc0, 12];

const web = createServer((request, response) => {
  const client = request.socket.remoteAddress?.replace("::ffff:", "") ?? "";
  response.setHeader("Content-Type", "text/plain");
  if (request.url === "/") response.end(OUTSIDE_PAGE);
  else if (request.url === "/client") response.end(`${client}\n`);
  else response.writeHead(404).end("not found\n");
});

/** The name and type a query asks for, and where its question ends; undefined if malformed. */
function readQuestion(query: Buffer): { name: string; type: number; end: number } | undefined {
  const labels: string[] = [];
  let at = 12;
  for (;;) {
    const length = query[at];
    if (length === undefined || length > 63 || at + 1 + length > query.length) return undefined;
    at += 1;
    if (length === 0) break;
    labels.push(query.toString("latin1", at, at + length));
    at += length;
  }
  if (at + 4 > query.length) return undefined;
  return { name: labels.join(".").toLowerCase(), type: query.readUInt16BE(at), end: at + 4 };
}

const address = OUTSIDE_ADDRESS.split(".").map(Number);
const reversed = `${address.toReversed().join(".")}.in-addr.arpa`;
const labels = OUTSIDE_NAME.split(".").flatMap((label) => [label.length, ...Buffer.from(label)]);

/** What is on record for a question: undefined where there is no such name. */
function dataOf(name: string, type: number): readonly number[] | "none" | undefined {
  if (name === reversed) return type === TYPE.ptr ? [...labels, 0] : "none";
  if (!`.${name}`.endsWith(`.${OUTSIDE_NAME}`)) return undefined;
  if (type === TYPE.mx) return [0, 10, ...SAME_NAME];
  return type === TYPE.a ? address : "none";
}

/** The answer to one query (RFC 1035 §4.1), or undefined for what is no query. */
function answer(query: Buffer): Buffer | undefined {
  const isQuery = query.length >= 12 && (query.readUInt8(2) & 0x80) === 0;
  const question = isQuery ? readQuestion(query) : undefined;
  if (question === undefined) return undefined;
  const data = dataOf(question.name, question.type);
  const withRecord = data !== undefined && data !== "none";
  const header = Buffer.from(query.subarray(0, 12));
  header.writeUInt8(0x84 | (query.readUInt8(2) & 0x01), 2);
  header.writeUInt8(0x80 | (data === undefined ? NXDOMAIN : 0), 3);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(withRecord ? 1 : 0, 6);
  header.writeUInt32BE(0, 8);
  const asked = query.subarray(12, question.end);
  if (!withRecord) return Buffer.concat([header, asked]);
  const head = [...SAME_NAME, 0, question.type, 0, 1, 0, 0, 0, 5, 0, data.length];
  return Buffer.concat([header, asked, Buffer.from([...head, ...data])]);
}

const names = createSocket("udp4");
names.on("message", (query, client) => {
  const reply = answer(query);
  if (reply !== undefined) names.send(reply, client.port, client.address);
});
names.on("error", (error) => console.error(error));

web.listen(80, () => names.bind(53, () => console.log("ready")));
