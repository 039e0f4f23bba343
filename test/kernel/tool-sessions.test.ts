/** Tools that stay open: what they say, which namespace they are in, and when they end. */
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { runBatch } from "../../overlay/io/batch.ts";
import { run } from "../../overlay/io/exec.ts";
import { ToolSession } from "../../overlay/io/tool-session.ts";
import { ToolSessions } from "../../overlay/io/tool-sessions.ts";
import { realClock, sh } from "../lib/netns-hosts.ts";

const NETNS = `twts${process.pid}`;
const IP = { tool: "ip", netns: NETNS } as const;
const DEADLINE_MS = 5000;
const opened: ToolSessions[] = [];

function newSessions(): ToolSessions {
  const tools = new ToolSessions({ clock: realClock, hostNetns: "twhost" });
  opened.push(tools);
  return tools;
}

before(() => sh(`ip netns add ${NETNS}`));
after(async () => {
  for (const tools of opened) await tools.close();
  await run(["ip", "netns", "del", NETNS], { tolerant: true });
});

/** Processes of this test that are tools reading batches. */
async function toolPids(): Promise<string[]> {
  const pids: string[] = [];
  for (const pid of await readdir("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
    const isOurs = stat.split(") ").at(-1)?.split(" ")[1] === String(process.pid);
    if (isOurs && /\((ip|bridge|nsenter|sh)\)/.test(stat)) pids.push(pid);
  }
  return pids;
}

test("one process takes many batches and numbers complaints by the batch's own lines", async () => {
  const tools = newSessions();
  const good = await tools.run(IP, ["link add d0 type bridge", "link set d0 up"], DEADLINE_MS);
  assert.deepEqual(good, { stderr: "", hasFailed: false });
  const [pid] = await toolPids();
  await tools.run(IP, ["link set d0 down"], DEADLINE_MS);
  assert.deepEqual(await toolPids(), [pid]);
  const bad = await tools.run(IP, ["link set d0 up", "link del d9"], DEADLINE_MS);
  assert.match(bad?.stderr ?? "", /Cannot find device "d9"\nCommand failed -:2$/);
  assert.deepEqual(await toolPids(), [], "one that complained is ended");
  assert.match(await sh(`ip -n ${NETNS} link show d0`), /,UP/);
  await sh(`ip -n ${NETNS} link del d0`);
});

test("questions asked at once are answered each with its own", async () => {
  const tools = newSessions();
  const lines = Array.from({ length: 20 }, (_, n) => [`addr add 10.9.${n}.1/24 dev lo`]);
  const all = await Promise.all(lines.map((line) => tools.run(IP, line, DEADLINE_MS)));
  assert.ok(all.every((answer) => answer?.hasFailed === false));
  const many = Array.from(
    { length: 5000 },
    (_, n) => `addr del 10.9.${n % 256}.${n % 7}/24 dev lo`,
  );
  const { stderr = "" } = (await tools.run(IP, many, DEADLINE_MS)) ?? {};
  const failed = stderr.match(/^Command failed -:\d+$/gm) ?? [];
  const worked = many.length - failed.length;
  assert.ok(worked > 0 && worked <= 20, `${worked} worked`);
  assert.equal(failed.at(-1), "Command failed -:5000");
});

test("a namespace is released before it goes, and another of its name is another", async () => {
  const tools = newSessions();
  await tools.run(IP, ["link add d1 type bridge"], DEADLINE_MS);
  await sh(`ip netns del ${NETNS}`);
  assert.equal(await tools.run(IP, ["link set d1 up"], DEADLINE_MS), undefined);
  await sh(`ip netns add ${NETNS}`);
  const answer = await tools.run(IP, ["link set d1 up"], DEADLINE_MS);
  assert.match(answer?.stderr ?? "", /Cannot find device/, "it is asked of the new namespace");
  await tools.run(IP, ["link set lo up"], DEADLINE_MS);
  await tools.release(NETNS);
  assert.deepEqual(await toolPids(), []);
});

test("no namespace is kept but the host's, and of that not many descriptors", async () => {
  const tools = newSessions();
  const other = `${NETNS}o`;
  await sh(`ip netns add ${other}`);
  const move = `link set dev d0 netns ${other}`;
  assert.equal(await tools.run(IP, [move], DEADLINE_MS), undefined);
  assert.equal(await tools.run(IP, [`netns del ${other}`], DEADLINE_MS), undefined);
  await sh(`ip netns del ${other}`);
  const own = new ToolSessions({ clock: realClock, hostNetns: `/proc/${process.pid}/ns/net` });
  opened.push(own);
  const add = `link add p0 type veth peer name p1 netns /proc/${process.pid}/ns/net`;
  for (let n = 0; n < 101; n++) await own.run(IP, [add, "link del p0"], DEADLINE_MS);
  const [pid = ""] = await toolPids();
  const before = (await readdir(`/proc/${pid}/fd`)).length;
  assert.ok(before > 50 && before < 150, `${before} descriptors`);
  for (let n = 0; n < 100; n++) await own.run(IP, [add, "link del p0"], DEADLINE_MS);
  assert.deepEqual(await toolPids(), [], "it was ended");
  await own.close();
});

test("a batch whose device was made anew meanwhile is applied all the same", async () => {
  const tools = newSessions();
  const put = (mac: string) =>
    ({
      tool: "ip",
      netns: NETNS,
      lines: [`neigh replace 10.9.0.2 lladdr ${mac} dev d2 nud permanent`],
      steps: [mac],
      entriesOnly: true,
    }) as const;
  const make = `ip -n ${NETNS} link add d2 type vxlan id 7 dstport 4799`;
  await sh(make);
  assert.deepEqual(await runBatch(run, [], put("02:00:00:00:00:01"), tools), []);
  await sh(`ip -n ${NETNS} link del d2`);
  await sh(make);
  assert.deepEqual(await runBatch(run, [], put("02:00:00:00:00:02"), tools), []);
  assert.match(await sh(`ip -n ${NETNS} neigh show dev d2`), /02:00:00:00:00:02 PERMANENT/);
  await sh(`ip -n ${NETNS} link del d2`);
  const [failure] = await runBatch(run, [], put("02:00:00:00:00:03"), tools);
  assert.match(failure?.error ?? "", /Cannot find device "d2"/);
});

test("a tool that gives up, is killed, hangs or is not there is told", async () => {
  const tools = newSessions();
  const gaveUp = await tools.run(IP, ["link set lo up", "addr add nonsense dev lo"], DEADLINE_MS);
  assert.match(gaveUp?.stderr ?? "", /nonsense/);
  assert.equal(gaveUp?.hasFailed, true);
  assert.equal((await tools.run(IP, ["link set lo up"], DEADLINE_MS))?.hasFailed, false);
  for (const pid of await toolPids()) process.kill(Number(pid), "SIGKILL");
  const after = await tools.run(IP, ["link set lo up"], DEADLINE_MS);
  const again = await tools.run(IP, ["link set lo up"], DEADLINE_MS);
  assert.equal(again?.hasFailed, false, `after it was killed: ${after?.stderr}`);
  const hanging = new ToolSession("ip", ["sleep", "5"]);
  await assert.rejects(hanging.run(["link"], 50), { code: "TIMED_OUT" });
  const missing = new ToolSession("ip", ["tsweave-no-such-tool"]);
  await assert.rejects(missing.run(["link"], DEADLINE_MS), { code: "TOOL_MISSING" });
  await tools.close();
  assert.equal(await tools.run(IP, ["link"], DEADLINE_MS), undefined);
  assert.deepEqual(await toolPids(), []);
});
