/** What chaos calls a violation: each law is broken once and kept once. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { FaultKind } from "../../chaos/action.ts";
import type { FaultSpan, Sighting } from "../../chaos/facts.ts";
import {
  doubles,
  killedEngines,
  replacedHosts,
  staleAnswers,
  unexplainedLosses,
  unexplainedRefusals,
} from "../../chaos/judge.ts";
import { addressesIn } from "../../chaos/observe.ts";

const seen = (atMs: number, id: string, host: string, ip = "10.32.0.9"): Sighting => ({
  ...{ atMs, id, host, ip },
  ...{ name: id, network: "tsweave" },
});
const fault = (kind: FaultKind, host: string | null, fromMs: number, toMs: number): FaultSpan => ({
  ...{ kind, host, fromMs, toMs },
  step: 1,
});
const lost = (atMs: number) => ({ atMs, from: "h1", to: "h2", seq: 7 });

describe("an address twice", () => {
  it("is found when one container had it before and after the other", () => {
    const found = doubles([seen(1000, "a", "h1"), seen(1500, "b", "h2"), seen(2000, "a", "h1")]);
    assert.deepEqual(found, ["address 10.32.0.9 twice: a on h1 and b on h2, at 1.5 s"]);
  });

  it("is not found when the address went from one to the other", () => {
    assert.deepEqual(doubles([seen(1000, "a", "h1"), seen(2000, "b", "h2")]), []);
    const again = [seen(1000, "a", "h1"), seen(5000, "b", "h2"), seen(9000, "a", "h1")];
    assert.deepEqual(doubles(again), [], "a gap is no proof");
  });
});

describe("a lost ping", () => {
  it("is excused by a fault of its path, and for a while after", () => {
    assert.deepEqual(unexplainedLosses([lost(5000)], [fault("loss", "h2", 4000, 6000)]), []);
    assert.deepEqual(unexplainedLosses([lost(8000)], [fault("partition", null, 1, 6000)]), []);
    assert.deepEqual(unexplainedLosses([lost(90_000)], [fault("power", "h1", 1, 6000)]), []);
  });

  it("is not excused by a daemon's fault, another host's, or one long over", () => {
    const killed = fault("daemon-kill", "h2", 4000, 6000);
    const text = "1 pings lost from h1 to h2, 5.0 s to 5.0 s, during: daemon-kill h2";
    assert.deepEqual(unexplainedLosses([lost(5000)], [killed]), [text]);
    assert.equal(unexplainedLosses([lost(5000)], [fault("loss", "h3", 4000, 6000)]).length, 1);
    assert.equal(unexplainedLosses([lost(9000)], [fault("loss", "h2", 1, 6000)]).length, 1);
  });
});

describe("a refused command", () => {
  const refusal = {
    ...{ step: 3, host: "h1", needsOthers: false },
    ...{ fromMs: 5000, toMs: 6000, text: "no" },
  };

  it("is excused by a fault of that host's daemon or engine alone", () => {
    assert.deepEqual(unexplainedRefusals([refusal], [fault("daemon-kill", "h1", 5500, 9000)]), []);
    for (const other of [fault("daemon-kill", "h2", 1, 9000), fault("partition", null, 1, 9000)]) {
      assert.equal(unexplainedRefusals([refusal], [other]).length, 1);
    }
  });

  it("may be for an address whose owner is cut off", () => {
    const asked = { ...refusal, needsOthers: true };
    assert.deepEqual(unexplainedRefusals([asked], [fault("partition", null, 1, 9000)]), []);
    assert.deepEqual(unexplainedRefusals([asked], [fault("daemon-stop", "h3", 1, 9000)]), []);
    assert.equal(unexplainedRefusals([asked], [fault("mtu", "h3", 1, 9000)]).length, 1);
  });
});

describe("a stale answer", () => {
  const answer = { atMs: 50_000, host: "h1", name: "a", ips: ["10.32.0.9"] };

  it("is one with an address that nobody had for the bound", () => {
    const past = [seen(10_000, "a", "h2")];
    assert.equal(staleAnswers([answer], past, [], 20_000).length, 1);
    assert.deepEqual(staleAnswers([answer], [seen(31_000, "a", "h2")], [], 20_000), []);
    assert.deepEqual(staleAnswers([answer], past, [fault("loss", "h2", 1, 35_000)], 20_000), []);
  });
});

describe("a replaced host", () => {
  it("is one for as long as entries of the former peer may stay, and no longer", () => {
    const faults = [fault("rmpeer", "h2", 1000, 20_000), fault("power", "h1", 1000, 20_000)];
    assert.deepEqual(replacedHosts(faults, 100_000), ["h2"]);
    assert.deepEqual(replacedHosts(faults, 116_000), []);
  });
});

describe("an engine that was killed", () => {
  it("leaves its containers' namespaces behind for a while", () => {
    const faults = [fault("engine-kill", "h2", 1000, 20_000), fault("power", "h1", 1000, 20_000)];
    assert.deepEqual(killedEngines(faults, 100_000), ["h2"]);
    assert.deepEqual(killedEngines(faults, 111_000), []);
  });
});

describe("nslookup", () => {
  it("is read without the server's own address", () => {
    const text =
      "Server:\t\t127.0.0.11\nAddress:\t127.0.0.11:53\n\nName:\tc1\nAddress: 10.32.0.9\n\n";
    assert.deepEqual(addressesIn(text), ["10.32.0.9"]);
    assert.deepEqual(addressesIn("Server:\t\tx\nAddress:\tx\n\n** can't find c1: NXDOMAIN\n"), []);
  });
});
