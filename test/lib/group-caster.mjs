/**
 * Speaks and listens to groups inside a network namespace, with nothing but node:
 * `listen GROUP PORT` joins GROUP (`-`: none), prints `ready`, then how many datagrams came in all,
 * every 50 ms; the word `leave` on standard input leaves the group, the end of it ends the program.
 * `send ADDRESS PORT COUNT PAUSE_MS` sends, then prints `sent`.
 * `crowd COUNT` joins COUNT groups from 239.32.0.0 on, prints `joined`, and stays until input ends.
 */
import { createSocket } from "node:dgram";
import { fstatSync } from "node:fs";
import { createInterface } from "node:readline";

const SOCKET_GROUPS_MAX = 1000;
const [, , verb, ...words] = process.argv;
const say = (text) => process.stdout.write(`${text}\n`);
const bound = (socket, port) => new Promise((resolve) => socket.bind(port, resolve));
/** Without a pipe for input it stays until a signal. */
const ended = (onLine) => {
  if (fstatSync(0).isCharacterDevice()) return;
  const lines = createInterface({ input: process.stdin });
  lines.on("line", onLine);
  lines.on("close", () => process.exit(0));
};

async function listen(group, port) {
  const socket = createSocket({ type: "udp4", reuseAddr: true });
  let count = 0;
  socket.on("message", () => {
    count += 1;
  });
  await bound(socket, Number(port));
  if (group !== "-") socket.addMembership(group);
  say("ready");
  setInterval(() => say(count), 50);
  ended((line) => {
    if (line === "leave") socket.dropMembership(group);
  });
}

async function send(address, port, count, pauseMs) {
  const socket = createSocket("udp4");
  await bound(socket, 0);
  socket.setBroadcast(true);
  socket.setMulticastTTL(4);
  socket.setMulticastLoopback(false);
  for (let index = 0; index < Number(count); index++) {
    await new Promise((resolve, reject) => {
      socket.send(`${index}`, Number(port), address, (error) =>
        error === null ? resolve() : reject(error),
      );
    });
    await new Promise((resolve) => setTimeout(resolve, Number(pauseMs)));
  }
  say("sent");
  socket.close();
}

async function crowd(count) {
  let socket;
  for (let index = 0; index < Number(count); index++) {
    if (index % SOCKET_GROUPS_MAX === 0) {
      socket = createSocket({ type: "udp4", reuseAddr: true });
      await bound(socket, 0);
    }
    socket.addMembership(`239.32.${index >> 8}.${index & 255}`);
  }
  say("joined");
  ended(() => undefined);
}

await { listen, send, crowd }[verb](...words);
