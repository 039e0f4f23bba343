/**
 * Lives in a container's network namespace and measures for how long anything is missing there: a
 * TCP stream with a line every 5 ms that must come back in order, and a name that must be answered
 * by 127.0.0.11. Ends at SIGINT with one line of JSON. Driven by flows.ts.
 */
import { Resolver } from "node:dns/promises";
import { readFileSync } from "node:fs";
import { connect } from "node:net";

const [ip = "", port = "", name = ""] = process.argv.slice(2);
const LINE_MS = 5;
const NAME_MS = 50;

/** The longest time between two successes, up to now. */
function gauge() {
  let lastMs = performance.now();
  let longestGapMs = 0;
  const seen = () => {
    const nowMs = performance.now();
    longestGapMs = Math.max(longestGapMs, nowMs - lastMs);
    lastMs = nowMs;
    return Math.round(longestGapMs);
  };
  return { success: seen, end: seen };
}

/** Segments that TCP in this namespace sent a second time. */
function resent() {
  const [names, values] = readFileSync("/proc/self/net/snmp", "utf8")
    .split("\n")
    .filter((line) => line.startsWith("Tcp:"))
    .map((line) => line.split(" "));
  return Number(values[names.indexOf("RetransSegs")]);
}

const stream = { sent: 0, echoed: 0, error: null };
const streamGauge = gauge();
const resentBefore = resent();
const socket = connect({ host: ip, port: Number(port), noDelay: true });
socket.on("error", (error) => {
  stream.error ??= error.message;
});
socket.on("end", () => {
  stream.error ??= "the other end closed it";
});
let rest = "";
socket.on("data", (bytes) => {
  const lines = (rest + bytes.toString("latin1")).split("\n");
  rest = lines.pop();
  for (const line of lines) {
    if (Number(line) !== stream.echoed) stream.error ??= `${line} came after ${stream.echoed - 1}`;
    stream.echoed += 1;
  }
  streamGauge.success();
});
socket.once("connect", () => {
  streamGauge.success();
  console.log("connected");
  setInterval(() => {
    socket.write(`${stream.sent}\n`);
    stream.sent += 1;
  }, LINE_MS);
});

const names = { asked: 0, answered: 0, wrong: 0 };
const nameGauge = gauge();
const resolver = new Resolver({ timeout: 1000, tries: 1 });
resolver.setServers(["127.0.0.11"]);
setInterval(() => {
  names.asked += 1;
  resolver.resolve4(name).then(
    (ips) => {
      if (!ips.includes(ip)) {
        names.wrong += 1;
        return;
      }
      names.answered += 1;
      nameGauge.success();
    },
    // What is missing shows as the gap.
    () => undefined,
  );
}, NAME_MS);

process.once("SIGINT", () => {
  const report = {
    stream: {
      ...stream,
      resent: resent() - resentBefore,
      longestGapMs: streamGauge.end(),
    },
    names: { ...names, longestGapMs: nameGauge.end() },
  };
  process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0));
});
