/** Operating real engines: drift in the events, doctor, ping through the tunnel, a dead daemon. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { PingReport } from "../../cli/commands/ping.ts";
import type { Examined } from "../../cli/doctor/examine.ts";
import type { MeshEvent } from "../../cli/events/event.ts";
import { eventually, MeshHosts } from "../lib/mesh-hosts.ts";

const [A, B] = ["o1", "o2"];
let mesh: MeshHosts;

async function findings(host: string, ...words: string[]): Promise<readonly Examined[]> {
  const { stdout, stderr, code } = await mesh.cli(host, "doctor", "--json", ...words);
  assert.ok(code === 0 || code === 4, stderr);
  return (JSON.parse(stdout) as { findings: Examined[] }).findings;
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
    const { tunnel, underlay, ok } = JSON.parse(stdout) as PingReport;
    assert.equal(tunnel?.error, null, stdout + stderr);
    assert.equal(tunnel?.largestBytes, tunnel?.mtu, stdout);
    assert.ok(ok && (underlay.largestBytes ?? 0) >= 1500, stdout);
  });

  it("tells of an entry that somebody deleted, with before and after", async () => {
    const ip = await mesh.ip(B, "webb");
    const netns = (await mesh.ok(A, ["ip", "netns", "list"])).match(/tsweave-\w+/)?.[0] ?? "";
    await mesh.ok(A, ["ip", "-n", netns, "neigh", "del", ip, "dev", "vxlan0"]);
    await eventually("the event", 40_000, async () => {
      const { stdout } = await mesh.cli(A, "events", "--json", "--since", "1m");
      const events = stdout.split("\n").filter(Boolean);
      const healed = events
        .map((line) => JSON.parse(line) as MeshEvent)
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
