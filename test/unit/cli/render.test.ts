/** What people see, line by line. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { stripVTControlCharacters } from "node:util";
import { bytes, duration, milliseconds, percent } from "../../../cli/render/human.ts";
import { launchText } from "../../../cli/render/launch-text.ts";
import { statusScreen } from "../../../cli/render/status-screen.ts";
import { chooseStyle, plain } from "../../../cli/render/style.ts";
import { table } from "../../../cli/render/table.ts";
import { renderRead } from "../../../cli/render/tables.ts";
import { FakeBackend, HOST1, PROBLEM, statusWith } from "./fixture-facts.ts";

const backend = new FakeBackend();

describe("the status screen", () => {
  it("shows a line a part, a line a peer, a line a problem", () => {
    assert.equal(
      statusScreen(statusWith([PROBLEM]), backend.peers(), plain, backend.connections()),
      [
        "tsweave 0.1.0  peer host1 (7f3a12bc) 192.168.48.11:6783  up 3d 4h  health 1 problem",
        "mesh     2 peers (1 alive, 1 suspect)  trying 1 target  engine swim  not encrypted",
        "ipam     10.32.0.0/12  owns 524288 (50 %)  used 3",
        "dns      tsweave.local  4 names  1 container served",
        "docker   engine 20.10.24  1 network  3 endpoints  plugin socket ok",
        "kernel   in sync  last pass 4s ago, took 12ms",
        "web      http://127.0.0.1:6784/",
        "",
        "PEER          ADDRESS             STATE    RTT    PATH                      " +
          "MTU  IN     OUT   SEEN",
        "host1 (self)  192.168.48.11:6783  alive    -      -                         " +
          "-    -      -     -",
        "host2         192.168.48.12:6783  suspect  0.8ms  gossip relayed (refused)  " +
          "-    1.2MB  980B  14s",
        "Health:",
        "  - host2 does not answer -> check host2 and the network to it",
        "",
      ].join("\n"),
    );
  });

  it("says how containers' packets go to each peer, whichever way gossip goes", () => {
    const paths = (direct: boolean | null) => {
      const links = backend.connections().map((link) => ({ ...link, direct }));
      const text = statusScreen(statusWith([]), backend.peers(), plain, links);
      return /^host2 +\S+ +\S+ +\S+ +(.*?) {2}/m.exec(text)?.[1];
    };
    assert.deepEqual([true, false, null].map(paths), ["mixed", "gossip relayed (refused)", "-"]);
  });

  it("says what is off, waited for or broken", () => {
    const whole = statusWith([]);
    const text = statusScreen(
      {
        ...whole,
        ipam: { ...whole.ipam, founded: false, text: "waiting for host2", unreachable: 9 },
        dns: { ...whole.dns, enabled: false },
        docker: { ...whole.docker, connected: false, plugin: false },
        kernel: { inSync: false, drift: 2, lastReconcileMs: null, lastReconcileAgeSeconds: null },
        web: { url: null },
      },
      [],
    );
    assert.match(text, /health OK/);
    assert.match(text, /^ipam {5}10\.32\.0\.0\/12 {2}waiting for host2 .*unreachable 9$/m);
    assert.match(text, /^dns {6}off \(--no-dns\)$/m);
    assert.match(text, /^docker {3}engine not reachable .*plugin socket not served$/m);
    assert.match(text, /^kernel {3}out of sync \(2 steps to go\) {2}no pass yet$/m);
    assert.match(text, /^web {6}not served$/m);
    assert.doesNotMatch(text, /Health:/);
  });

  it("shows no control characters of other hosts", () => {
    const [self, other] = backend.peers();
    assert.ok(self !== undefined && other !== undefined);
    const text = statusScreen(statusWith([{ ...PROBLEM, text: "a\nb\x1b[2J" }]), [
      self,
      { ...other, name: "evil\x1b[2J\nx" },
    ]);
    assert.equal(text.includes("\x1b"), false);
    assert.match(text, /^evil\?\[2J\?x /m);
  });
});

describe("tables", () => {
  it("aligns columns and always has a header", () => {
    assert.equal(
      table(
        ["A", "LONG"],
        [
          ["wide cell", "x"],
          ["", "y"],
        ],
      ).split("\n")[0],
      "A          LONG",
    );
    assert.equal(table(["A", "B"], []), "A  B\n");
    assert.equal(table(["A", "B"], [["", "y"]]), "A  B\n-  y\n");
  });

  it("shows each reply", () => {
    assert.equal(
      renderRead("endpoints", { endpoints: backend.endpoints() }),
      [
        "NETWORK  IP         NAME  PEER          VTEP           MAC                STATE  ALIASES",
        "tsweave  10.32.0.2  web   host1 (self)  192.168.48.11  02:42:0a:20:00:02  alive" +
          "  www,a1b2c3d4e5f6",
        "",
      ].join("\n"),
    );
    assert.equal(
      renderRead("ipam", backend.ipam()),
      [
        "SUBNET        PEER   ADDRESSES      USED  STATE  RANGES",
        "10.32.0.0/12  host1  524288 (50 %)  3     alive  10.32.0.0-10.39.255.255",
        "10.32.0.0/12  host2  524288 (50 %)  1     dead   10.40.0.0-10.40.0.9" +
          " 10.40.0.20-10.40.0.29 and 1 more",
        "",
        "roster 3: 2 members, decided by host1, host2",
        "",
        "PENDING  ABOUT  WAITS FOR  SINCE  WHY",
        "reclaim  host3  host2      12s    host3's space waits for host2",
        "",
        "CONFLICT   USED BY  OWNER",
        "10.32.0.9  web      host2",
        "",
      ].join("\n"),
    );
    assert.match(renderRead("dns", backend.dns()), /^domain tsweave\.local\n\nNAME .*\nweb {3}/);
    assert.match(renderRead("peers", { peers: backend.peers() }), /7f3a12bc/);
    assert.match(renderRead("networks", { networks: backend.networks() }), /256 {2}1450 .* no /);
    assert.equal(
      renderRead("groups", backend.groups()),
      [
        "NETWORK  GROUP      MEMBERS HERE  PEERS WITH MEMBERS",
        "tsweave  239.1.1.1  web           host2,host3",
        "tsweave  239.1.1.2  -             host3",
        "",
        "3 joined here stay on this host: too many",
        "",
      ].join("\n"),
    );
    const { connections, targets } = backend;
    assert.match(
      renderRead("connections", { connections: connections() }),
      / 0.8ms {2}14s +14s +yes, refused 1m 1s +- +1\.2MB +980B +1\.2kB +0B +10\.1\S+:6783\n$/,
    );
    assert.match(
      renderRead("targets", { targets: targets() }),
      /192\.168\.48\.13:6783 {2}trying {2}9/,
    );
  });

  it("colours only where it is seen, without moving a column", () => {
    const colours = chooseStyle(true, {});
    const peers = { peers: backend.peers() };
    const coloured = renderRead("peers", peers, colours);
    assert.ok(coloured.includes("\x1b[32malive\x1b[39m"));
    assert.equal(stripVTControlCharacters(coloured), renderRead("peers", peers));
    for (const style of [chooseStyle(false, {}), chooseStyle(true, { NO_COLOR: "1" })]) {
      assert.equal(style("bad", "x"), "x");
    }
  });
});

describe("quantities", () => {
  it("are short", () => {
    const seconds = [0, 59.9, 60, 725, 3600, 90_061, 86_400 * 30];
    assert.deepEqual(seconds.map(duration), ["0s", "59s", "1m", "12m 5s", "1h", "1d 1h", "30d"]);
    assert.deepEqual([null, 0.82, 12.4].map(milliseconds), ["-", "0.8ms", "12ms"]);
    const sizes = [0, 999, 1000, 9949, 9950, 999_499, 999_500, 1.24e6, 3.8e7, 5e12];
    assert.deepEqual(sizes.map(bytes), [
      "0B",
      "999B",
      "1.0kB",
      "9.9kB",
      "10kB",
      "999kB",
      "1.0MB",
      "1.2MB",
      "38MB",
      "5.0TB",
    ]);
    assert.deepEqual([percent(0, 0), percent(1, 1000), percent(1, 3)], ["0 %", "<1 %", "33 %"]);
  });
});

describe("what launch did", () => {
  const summary = {
    version: "0.1.0",
    peer: { id: HOST1, name: "host1" },
    advertise: "192.168.48.11:6783",
    network: { name: "tsweave", subnet: "10.32.0.0/12", onEngine: true },
    peersNamed: 2,
    peersReached: 1,
    peersAlive: 1,
    docker: {
      ...{ enabled: true, socket: "/var/run/docker.sock", version: "20.10.24", silence: null },
    },
    problems: [PROBLEM],
  };

  it("ends with the next command", () => {
    assert.equal(
      launchText(summary, { logFile: "/var/lib/tsweave/tsweave.log" }),
      [
        "tsweave 0.1.0: peer host1 (7f3a12bc) serves",
        "  address  192.168.48.11:6783",
        "  network  tsweave 10.32.0.0/12",
        "  docker   engine 20.10.24",
        "  peers    1 of 2 named peers reached, the rest is tried until it answers",
        "  log      /var/lib/tsweave/tsweave.log",
        "  note     host2 does not answer -> check host2 and the network to it",
        "next: docker run -d --net tsweave --name web IMAGE   (and: tsweave status)",
        "",
      ].join("\n"),
    );
  });

  it("tells those named from all that are alive", () => {
    const cases = [
      [0, 0, 0, "none named; on the other hosts, name this one"],
      [0, 0, 2, "none named; 2 other peers alive"],
      [1, 1, 1, "1 of 1 named peer reached"],
      [1, 1, 2, "1 of 1 named peer reached; 2 other peers alive"],
      [
        2,
        1,
        3,
        "1 of 2 named peers reached, the rest is tried until it answers; 3 other peers alive",
      ],
    ] as const;
    for (const [peersNamed, peersReached, peersAlive, expected] of cases) {
      const text = launchText(
        { ...summary, peersNamed, peersReached, peersAlive },
        { logFile: undefined },
      );
      assert.equal(/^ {2}peers {4}(.*)$/m.exec(text)?.[1], expected);
    }
  });

  it("promises no Docker network that is not there", () => {
    const docker = { ...summary.docker, version: null };
    const network = { ...summary.network, onEngine: false };
    const text = launchText({ ...summary, docker, network, peersNamed: 0 }, { logFile: undefined });
    assert.match(text, /10\.32\.0\.0\/12, made as soon as Docker answers\n/);
    assert.match(text, /docker {3}not reachable yet/);
    assert.match(text, /none named/);
    assert.match(text, /next: tsweave status\n$/);
  });

  it("says once that Docker is silent, where, how long, and what to type", () => {
    const docker = { ...summary.docker, version: null, silence: { waitedMs: 5004 } };
    const network = { ...summary.network, onEngine: false };
    const problems = [{ code: "DOCKER_UNREACHABLE", text: "Docker does not answer", next: null }];
    const silent = { ...summary, docker, network, problems };
    const text = launchText(silent, { logFile: undefined });
    const line =
      "  docker   no answer on /var/run/docker.sock within 5s -> systemctl status docker";
    assert.ok(text.includes(`${line}\n`), text);
    assert.doesNotMatch(text, / note /);
    // It answered before the daemon was ready.
    const awake = { ...silent, docker: { ...docker, version: "28.5.2" }, problems: [] };
    assert.match(launchText(awake, { logFile: undefined }), /docker {3}engine 28\.5\.2\n/);
  });
});
