/** A real daemon serves the map: its status says where, and the stream names its peers. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { statusScreen } from "../../cli/render/status-screen.ts";
import { eventually } from "../lib/mesh-hosts.ts";
import { connection, type NetnsDaemon, NetnsDaemons } from "../lib/netns-daemons.ts";
import { type NetnsHost, NetnsLab } from "../lib/netns-hosts.ts";

const run = promisify(execFile);
const lab = new NetnsLab(`w${(process.pid % 0xffff).toString(16)}`);
const daemons = new NetnsDaemons();

before(() => lab.open(2));

after(async () => {
  await daemons.close();
  await lab.close();
});

/** What a client on the host gets, cut after so many seconds. */
async function get({ netns }: NetnsHost, url: string, forSeconds = 3): Promise<string> {
  const script = `
    const response = await fetch("${url}");
    let text = response.status + " " + response.headers.get("content-security-policy");
    setTimeout(() => { console.log(text); process.exit(); }, ${forSeconds * 1000});
    for await (const part of response.body) text += "\\n" + Buffer.from(part).toString();
    console.log(text);
    process.exit();`;
  const command = [process.execPath, "--input-type=module", "-e", script];
  const { stdout } = await run("nsenter", [`--net=/run/netns/${netns}`, ...command]);
  return stdout;
}

test("the daemon of a host serves its map, and follows what happens to others", async () => {
  const [first, second] = lab.hosts;
  assert.ok(first && second);
  const one = daemons.start(first, "first", ["--advertise", first.vtep]);
  const other = daemons.start(second, "second", ["--advertise", second.vtep, first.vtep]);
  await eventually("both joined", 60_000, async () => {
    assert.equal((await connection(one, other)).state, "established");
  });
  const url = await shownUrl(one);
  assert.equal(url, "http://127.0.0.1:6784/");
  const page = await get(first, url);
  assert.match(page, /^200 default-src 'none'; script-src 'sha256-/);
  assert.match(page, /<title>tsweave map<\/title>/);
  const watching = get(first, `${url}v1/stream`, 12);
  await new Promise((resolve) => setTimeout(resolve, 2000));
  other.child.kill("SIGKILL");
  const said = await watching;
  assert.match(said, /event: snapshot\ndata: .*"name":"second".*"state":"alive"/);
  assert.match(said, /event: changes\ndata: .*"name":"second".*"state":"(suspect|dead)"/);
});

/** Where the status screen says the map is. */
async function shownUrl({ client }: NetnsDaemon): Promise<string> {
  const status = await client.status();
  const { peers } = await client.read("peers");
  const [, url = ""] = /^web {6}(.*)$/m.exec(statusScreen(status, peers)) ?? [];
  return url;
}
