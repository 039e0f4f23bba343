/** Metrics and the web listener: what Prometheus reads, and who is answered. */
import assert from "node:assert/strict";
import { request } from "node:http";
import { after, before, test } from "node:test";
import { readAt } from "../../../cli/control/reads.ts";
import { exposition } from "../../../cli/web/exposition.ts";
import { metricFamilies } from "../../../cli/web/metrics.ts";
import { processStats } from "../../../cli/web/process-stats.ts";
import { serveWeb, type WebServer } from "../../../cli/web/web-server.ts";
import { TsweaveError } from "../../../mesh/index.ts";
import { processClock } from "../../../mesh/io/clock.ts";
import { QuietLog } from "../../lib/quiet-log.ts";
import { FakeBackend } from "./fixture-facts.ts";

const facts = new FakeBackend();
const stats = () => ({ rssBytes: 80_000_000, cpuSeconds: 1.5, stallSeconds: 0.004 });
const ports = { facts, stats, clock: processClock(), log: new QuietLog() };
let web: WebServer;

before(async () => {
  web = await serveWeb(ports, { host: "127.0.0.1", port: 0 });
});

after(() => web.close());

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly headers: NodeJS.Dict<string | string[]>;
}

async function ask(path: string, host?: string, method = "GET"): Promise<Answer> {
  const { port } = web.address;
  return await new Promise((resolve, reject) => {
    const headers = host === undefined ? {} : { host };
    request({ host: "127.0.0.1", port, path, method, headers }, (response) => {
      let body = "";
      response.on("data", (chunk) => {
        body += chunk;
      });
      response.on("end", () => {
        resolve({ status: response.statusCode ?? 0, body, headers: response.headers });
      });
    })
      .once("error", reject)
      .end();
  });
}

test("metrics are what the tables say, in Prometheus' text format", async () => {
  const { status, body, headers } = await ask("/metrics");
  assert.equal(status, 200);
  assert.equal(headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
  for (const line of [
    'tsweave_build_info{version="0.1.0",engine="swim"} 1',
    'tsweave_peers{state="suspect"} 1',
    'tsweave_peer_up{peer="host2"} 0',
    'tsweave_peer_direct{peer="host2"} 0',
    'tsweave_peer_rtt_seconds{peer="host2"} 0.00082',
    'tsweave_health_problems{code="PEER_SUSPECT"} 1',
    'tsweave_endpoints{network="tsweave",place="local"} 1',
    "tsweave_kernel_pass_seconds 0.0124",
    "process_resident_memory_bytes 80000000",
  ]) {
    assert.ok(body.split("\n").includes(line), `${line} in\n${body}`);
  }
  // Each line is a comment or a sample, each family has its help and type before its samples.
  const sample = /^[a-z_]+(\{([a-z]+="(\\.|[^"\\])*",?)+\})? [0-9.e+-]+$/;
  for (const line of body.trimEnd().split("\n")) {
    if (!/^# (HELP|TYPE) [a-z_]+ \S/.test(line)) assert.match(line, sample);
  }
});

test("every family keeps the naming rules and has its own name", () => {
  const families = metricFamilies(facts, stats());
  assert.equal(new Set(families.map(({ name }) => name)).size, families.length);
  for (const { name, type } of families) {
    assert.match(name, /^(tsweave|process)_[a-z_]+$/);
    assert.equal(name.endsWith("_total"), type === "counter", name);
  }
});

test("label values are escaped, unknown values have no sample", () => {
  const text = exposition([
    {
      name: "x",
      type: "gauge",
      help: "X.",
      samples: [{ labels: { peer: 'a"b\\c\nd' }, value: 1 }],
    },
  ]);
  assert.equal(text, '# HELP x X.\n# TYPE x gauge\nx{peer="a\\"b\\\\c\\nd"} 1\n');
  const own = { ...facts, connections: () => [] } as unknown as FakeBackend;
  const rtt = metricFamilies(Object.setPrototypeOf(own, facts), stats()).find(({ name }) => {
    return name === "tsweave_peer_rtt_seconds";
  });
  assert.deepEqual(rtt?.samples, []);
});

test("the read side of the control API, and nothing else", async () => {
  const status = await ask("/v1/status/peers?x=1");
  assert.deepEqual(JSON.parse(status.body), { schema: 1, ...readAt(facts, "/v1/status/peers") });
  for (const path of ["/v1/stop", "/v1/keys", "/v1/leave", "/v1/status/__proto__", "/nothing"]) {
    assert.equal((await ask(path)).status, 404, path);
  }
  const post = await ask("/v1/stop", undefined, "POST");
  assert.deepEqual([post.status, post.headers.allow], [405, "GET, HEAD"]);
  assert.equal(facts.stops, 0);
});

test("a name that another site may have chosen for this address is refused", async () => {
  for (const host of ["evil.example", "evil.example:6784", "127.0.0.1.evil.example"]) {
    assert.equal((await ask("/metrics", host)).status, 421, host);
  }
  for (const host of ["localhost:6784", "127.0.0.1", "[::1]:6784", "192.168.1.4:6784"]) {
    assert.equal((await ask("/metrics", host)).status, 200, host);
  }
});

test("a port in use is an error with the cure", async () => {
  await assert.rejects(serveWeb(ports, web.address), (error) => {
    return (
      error instanceof TsweaveError && error.code === "PORT_IN_USE" && /--http/.test(error.line)
    );
  });
});

test("the process's own figures are positive and grow", () => {
  const read = processStats();
  const first = read();
  let sum = 0;
  for (let at = 0; at < 5e6; at += 1) sum += at;
  const second = read();
  assert.ok(sum > 0 && first.rssBytes > 1e6);
  assert.ok(second.cpuSeconds > first.cpuSeconds);
  assert.ok(second.stallSeconds >= 0);
});
