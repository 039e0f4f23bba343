/** Operating real engines: drift in the events, doctor, ping through the tunnel, a dead daemon. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { PingReport } from "../../cli/commands/ping.ts";
import { READS, type Replies } from "../../cli/control/api.ts";
import type { NetworkChange } from "../../cli/control/network-api.ts";
import type { MeshTest } from "../../cli/control/probe-api.ts";
import type { Examined } from "../../cli/doctor/examine.ts";
import type { MeshEvent } from "../../cli/events/event.ts";
import type { Explanation } from "../../cli/explain/decide.ts";
import { REPLIES } from "../../cli/schema/replies.ts";
import { misfits } from "../lib/json-schema.ts";
import { eventually, MeshHosts } from "../lib/mesh-hosts.ts";

const [A, B] = ["o1", "o2"];
let mesh: MeshHosts;

/** An object that a command printed, as its schema says. */
function published<T>(schema: string, text: string): T {
  const printed: unknown = JSON.parse(text);
  const known = REPLIES[schema];
  assert.ok(known !== undefined, schema);
  assert.deepEqual(misfits(known, printed), [], schema);
  return printed as T;
}

async function findings(host: string, ...words: string[]): Promise<readonly Examined[]> {
  const { stdout, stderr, code } = await mesh.cli(host, "doctor", "--json", ...words);
  assert.ok(code === 0 || code === 4, stderr);
  return published<{ findings: Examined[] }>("doctor", stdout).findings;
}

interface Told extends Explanation {
  readonly code: number | null;
}

/** `tsweave explain` on the first host. */
async function explain(...words: string[]): Promise<Told> {
  const { stdout, stderr, code } = await mesh.cli(A, "explain", ...words, "--json");
  assert.notEqual(stdout, "", stderr);
  return { ...published<Explanation>("explain", stdout), code };
}

describe("operating two hosts with engines", () => {
  before(async () => {
    mesh = await MeshHosts.up("ops", [A, B]);
    await mesh.web(A, "weba");
    await mesh.web(B, "webb");
  });
  after(async () => {
    await mesh?.lab.down();
  });

  it("waits, and finds nothing wrong", async () => {
    assert.equal((await mesh.cli(A, "wait", "--for", "ready,peers=2,in-sync")).code, 0);
    await eventually("a healthy host", 20_000, async () => {
      const ill = (await findings(A)).filter(({ state }) => state === "fail");
      assert.deepEqual(ill, []);
    });
  });

  it("measures the tunnel from container to container", async () => {
    const { stdout, stderr } = await mesh.cli(A, "ping", B, "-c", "1", "--json");
    const { tunnel, underlay, ok } = published<PingReport>("ping", stdout);
    assert.equal(tunnel?.error, null, stdout + stderr);
    assert.equal(tunnel?.largestBytes, tunnel?.mtu, stdout);
    assert.ok(ok && (underlay.largestBytes ?? 0) >= 1500, stdout);
  });

  it("explains the way from container to container, by name and by id", async () => {
    const id = (await mesh.docker(A, "inspect", "-f", "{{.Id}}", "weba")).slice(0, 12);
    for (const from of ["weba", id]) {
      const told = await explain(from, "webb", "tcp/80");
      assert.deepEqual([told.code, told.cause, told.notes], [0, null, []], JSON.stringify(told));
      const states = told.steps.map(({ step, state }) => `${step} ${state}`);
      assert.equal(states.length, 12);
      assert.deepEqual(
        states.filter((one) => !one.endsWith(" ok")),
        [],
      );
    }
    const back = await explain("weba", await mesh.ip(B, "webb"));
    assert.deepEqual([back.code, back.cause], [0, null]);
  });

  it("names what is wrong at a container's end", async () => {
    assert.equal((await explain("weba", "webb", "tcp/81")).cause?.code, "PORT_CLOSED");
    const pid = await mesh.docker(B, "inspect", "-f", "{{.State.Pid}}", "webb");
    const inWebb = ["nsenter", "-t", pid, "-n", "ip", "link", "set", "eth0"];
    await mesh.ok(B, [...inWebb, "down"]);
    const down = await explain("weba", "webb");
    await mesh.ok(B, [...inWebb, "up"]);
    assert.deepEqual([down.code, down.cause?.code], [4, "TARGET_DOWN"], JSON.stringify(down));
    await eventually("well again", 20_000, async () => {
      assert.equal((await explain("weba", "webb")).cause, null);
    });
    await mesh.docker(B, "run", "-d", "--net", "tsweave", "--name", "brief", "busybox", "true");
    await mesh.docker(B, "wait", "brief");
    await eventually("its end is known", 10_000, async () => {
      const gone = await explain("weba", "brief");
      assert.deepEqual([gone.code, gone.cause?.code], [5, "NAME_UNKNOWN"]);
    });
    const elsewhere = await explain("webb", "weba");
    assert.deepEqual([elsewhere.code, elsewhere.cause?.code], [5, "SOURCE_ELSEWHERE"]);
  });

  it("measures all pairs, and counts what the tunnel carried", async () => {
    const test = await mesh.json<MeshTest>(A, "test");
    assert.deepEqual([test.ok, test.pairsTried, test.tunnelsTried], [true, 2, 2]);
    await mesh.inside(A, "weba", "wget", "-q", "-O", "/dev/null", "http://webb/");
    await eventually("traffic", 40_000, async () => {
      for (const host of [A, B]) {
        const { connections } = await mesh.json<Replies["connections"]>(
          host,
          "status",
          "connections",
        );
        const { inBytes = 0, outBytes = 0 } = connections[0]?.traffic ?? {};
        assert.ok(inBytes > 3000 && outBytes > 3000, JSON.stringify(connections));
      }
    });
  });

  it("prints what its schemas say, on a host with an engine", async () => {
    const lines = ["status", ...READS.map((name) => `status ${name}`), "ps", "netns", "links"];
    for (const line of [...lines, "network ls", "keys", "log-level", "dns-lookup webb"]) {
      const { stdout, stderr } = await mesh.cli(A, ...line.split(" "), "--json");
      assert.notEqual(stdout, "", `${line}: ${stderr}`);
      published(line.startsWith("dns-lookup") ? "dns-lookup" : line, stdout);
    }
  });

  it("prints what the schemas say of networks and attachments, too", async () => {
    const ask = async <T>(schema: string, line: string): Promise<T> => {
      const { stdout, stderr, code } = await mesh.cli(A, ...line.split(" "), "--json");
      assert.equal(code, 0, `${line}: ${stderr}`);
      return published<T>(schema, stdout);
    };
    const made = await ask<NetworkChange>("network create", "network create blue");
    assert.deepEqual([made.hosts, made.engines, made.missing], [2, 2, []]);
    assert.notEqual(made.vni, null);
    await mesh.lone(A, "lone");
    await ask("attach", "attach lone --network blue");
    await ask("detach", "detach lone");
    await ask("expose", "expose");
    await ask("hide", "hide");
    await ask("network rm", "network rm blue");
  });

  it("tells of an entry that somebody deleted, with before and after", async () => {
    const ip = await mesh.ip(B, "webb");
    const netns =
      (await mesh.ok(A, ["ip", "netns", "list"])).match(/tsweave-[0-9a-f]{10}/)?.[0] ?? "";
    await mesh.ok(A, ["ip", "-n", netns, "neigh", "del", ip, "dev", "vxlan0"]);
    await eventually("the event", 40_000, async () => {
      const { stdout } = await mesh.cli(A, "events", "--json", "--since", "1m");
      const events = stdout.split("\n").filter(Boolean);
      const healed = events
        .map((line) => published<MeshEvent>("events", line))
        .find(({ kind }) => kind === "drift-healed");
      const [entry] = (healed?.details.entries ?? []) as { what: string; before: string }[];
      assert.deepEqual([entry?.what, entry?.before], [`neighbour ${ip}`, "absent"], stdout);
    });
    const { stdout } = await mesh.cli(A, "events");
    assert.match(stdout, /endpoint-added .* of tsweave is on o2/);
  });

  it("gives containers of a dead daemon back Docker's resolver", async () => {
    const pid = await mesh.daemonPid(A);
    await mesh.ok(A, ["kill", "-9", String(pid)]);
    const deaf = (await findings(A)).filter(
      ({ check, state }) => check === "dns" && state !== "ok",
    );
    assert.match(deaf[0]?.text ?? "", /^1 containers ask a daemon that is gone/);
    const fixed = (await findings(A, "--fix")).filter((one) => one.fixed);
    assert.ok(fixed.some(({ text }) => text.includes("back on Docker's resolver")));
    assert.ok(fixed.some(({ text }) => /removed .*tsweave\.sock/.test(text)));
    const left = (await findings(A)).filter(({ check }) => check === "dns");
    assert.deepEqual(left, []);
    await mesh.launch(A, mesh.addresses(A));
    await eventually("names again", 10_000, async () => {
      const { stdout, stderr } = await mesh.tryInside(A, "weba", "nslookup", "webb");
      assert.ok(stdout.includes(await mesh.ip(B, "webb")), stdout + stderr);
    });
  });
});
