/** Removing peers, leaving and resetting, as far as no host is needed. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it } from "node:test";
import { daemon, run, serving, temporary } from "./fixture-run.ts";

describe("rmpeer", () => {
  it("removes what was asserted, and only that", async (context) => {
    const { backend, at } = await serving(context);
    const done = await run(["rmpeer", "host3", "0b77", "--yes", ...at]);
    assert.deepEqual([done.code, done.out], [0, "removed host3\n"]);
    const lost = await run(["rmpeer", "host3", "--majority-lost", "--yes", "--json", ...at]);
    assert.equal(JSON.parse(lost.out).heir, "host2");
    assert.deepEqual(backend.removals, [
      { peers: ["host3", "0b77"], assertion: "gone-for-good" },
      { peers: ["host3"], assertion: "gone-for-good-with-majority" },
    ]);
  });

  it("asks a person, and takes only a clear yes", async (context) => {
    const { backend, at } = await serving(context);
    const questions: string[] = [];
    const answering = (answer: boolean) => async (question: string) => {
      questions.push(question);
      return answer;
    };
    const no = await run(["rmpeer", "host3", ...at], {}, answering(false));
    assert.deepEqual([no.code, backend.removals.length], [1, 0]);
    assert.match(no.err, /nothing was changed/);
    assert.equal((await run(["rmpeer", "host3", ...at], {}, answering(true))).code, 0);
    assert.match(questions[0] ?? "", /host3 will never come back/);
  });

  it("is refused where nobody can be asked", async (context) => {
    const { backend, at } = await serving(context);
    const refused = await run(["rmpeer", "host3", ...at]);
    assert.equal(refused.code, 2);
    assert.match(refused.err, /add --yes/);
    assert.equal((await run(["rmpeer", "--yes", ...at])).code, 2);
    assert.equal(backend.removals.length, 0);
  });

  it("says that it goes on, with the exit code of a timeout", async (context) => {
    const { backend, at } = await serving(context);
    backend.removal = "pending";
    const { code, err } = await run(["rmpeer", "host3", "--yes", ...at]);
    assert.equal(code, 6);
    assert.match(err, /goes on by itself; 'tsweave status ipam'/);
  });
});

describe("adopt", () => {
  it("says what will happen, asks, and names what is to be restarted", async (context) => {
    const { backend, at } = await serving(context);
    const no = await run(["adopt", "host3", ...at], {}, async () => false);
    assert.equal(no.code, 1);
    assert.match(no.err, /00000000000000aa is given up: host1, host2, later host4/);
    assert.match(no.err, /to be restarted: web on host2, whose address 10\.32\.0\.9 is db's/);
    assert.deepEqual(backend.adoptions, [{ peer: "host3", isPlan: true }]);
    const yes = await run(["adopt", "host3", "--yes", ...at]);
    assert.equal(yes.code, 0);
    assert.match(yes.out, /^host1, host2 belong to mesh .*\nrestart web on host2.*restart web\n$/);
    assert.deepEqual(backend.adoptions.at(-1), { peer: "host3", isPlan: false });
  });

  it("needs a peer and a yes, and says that it goes on", async (context) => {
    const { backend, at } = await serving(context);
    assert.equal((await run(["adopt", "--yes", ...at])).code, 2);
    assert.equal((await run(["adopt", "host3", ...at])).code, 2);
    backend.adoption = "pending";
    const { code, out, err } = await run(["adopt", "host3", "--yes", "--json", ...at]);
    assert.deepEqual([code, JSON.parse(out).state], [6, "pending"]);
    assert.match(err, /goes on by itself/);
  });
});

describe("leave and reset", () => {
  it("leave hands over, then waits until the process has ended", async (context) => {
    const { runDir, child } = await daemon(context);
    const { code, out } = await run(["leave", "--run-dir", runDir]);
    assert.equal(code, 0);
    assert.equal(out, "12 addresses are host2's; stopped\n");
    if (child.exitCode === null) await once(child, "exit");
    assert.equal((await run(["leave", "--run-dir", runDir])).code, 3);
  });

  it("reset asks first, and needs no daemon", async (context) => {
    const state = await temporary(context);
    const at = ["--run-dir", state, "--state-dir", `${state}/none`];
    const refused = await run(["reset", ...at]);
    assert.equal(refused.code, 2);
  });
});
