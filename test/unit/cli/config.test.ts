/** Settings: who wins, what is refused, and that the refusal names the line to change. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { type LaunchConfig, launchConfig } from "../../../cli/config.ts";
import { DEFAULTS, LOG_LEVELS } from "../../../cli/launch-options.ts";
import { formatHostPort, parsePeer } from "../../../cli/peer-address.ts";
import { asTsweaveError, TsweaveError } from "../../../mesh/index.ts";

let directory = "";
before(() => {
  directory = mkdtempSync(join(tmpdir(), "tsweave-config-"));
});
after(() => rmSync(directory, { recursive: true, force: true }));

function read(
  options: Record<string, string | true>,
  env: Record<string, string> = {},
  positionals: string[] = [],
): LaunchConfig {
  return launchConfig({ options, env, positionals });
}

function file(content: unknown): string {
  const path = join(directory, "config.json");
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

function refusal(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof TsweaveError, String(error));
    assert.equal(error.exitCode, 2);
    return error.line;
  }
  return assert.fail("it was accepted");
}

describe("launch configuration", () => {
  it("takes one address and port for the web, or none", () => {
    const { http } = read({ http: "[::1]:9000" });
    assert.deepEqual(http, { at: { host: "::1", port: 9000 }, isWished: true });
    for (const bad of ["localhost:9000", "127.0.0.1", "127.0.0.1:0", ":9000"]) {
      assert.match(
        refusal(() => read({ http: bad })),
        /--http/,
        bad,
      );
    }
    assert.match(
      refusal(() => read({ http: "[::1]:9000", "no-http": true })),
      /exclude/,
    );
  });

  it("has the documented defaults", () => {
    const config = read({});
    const { http, ...plain } = DEFAULTS;
    assert.equal(config.http && formatHostPort(config.http.at), http);
    for (const [name, value] of Object.entries(plain)) {
      assert.equal(config[name as keyof LaunchConfig], value, name);
    }
    assert.deepEqual(config.peers, []);
    assert.equal(read({ "no-http": true }).http, undefined);
    assert.ok(config.name.length > 0);
    assert.deepEqual([config.dns, config.docker, config.foreground], [true, true, false]);
    assert.deepEqual([config.direct, read({ direct: true }).direct], [false, true]);
    assert.deepEqual([config.mtuBytes, config.advertise, config.logFile], Array(3).fill(undefined));
  });

  it("lets flags beat the environment, and the environment the file", () => {
    const config = file({ name: "f", network: "f", "dns-domain": "f", port: 1001, "no-dns": true });
    const env = { TSWEAVE_NAME: "e", TSWEAVE_NETWORK: "e", TSWEAVE_CONFIG: config };
    const read1 = read({ name: "flag" }, env);
    assert.deepEqual(
      [read1.name, read1.network, read1.dnsDomain, read1.port, read1.dns],
      ["flag", "e", "f", 1001, false],
    );
    assert.equal(read({}, { ...env, TSWEAVE_NO_DNS: "0" }).dns, true);
    assert.equal(read({}, { TSWEAVE_NAME: "", TSWEAVE_NO_DOCKER: "yes" }).docker, false);
  });

  it("takes peers from the highest layer that names some", () => {
    const config = file({ peers: ["a", "b:9"] });
    const hosts = (found: LaunchConfig) => found.peers.map(formatHostPort);
    assert.deepEqual(hosts(read({ config })), ["a:6783", "b:9"]);
    const env = { TSWEAVE_PEERS: "c, d" };
    assert.deepEqual(hosts(read({ config }, env)), ["c:6783", "d:6783"]);
    const flags = read({ config, port: "7000" }, env, ["e", "[fd00::1]:8", "e"]);
    assert.deepEqual(hosts(flags), ["e:7000", "[fd00::1]:8"]);
  });

  it("makes paths absolute and names canonical", () => {
    const config = read({ "state-dir": "x/../y", "dns-domain": "Corp.Example." });
    assert.equal(config.stateDir, join(process.cwd(), "y"));
    assert.equal(config.dnsDomain, "corp.example");
    assert.equal(read({ "ipalloc-range": "172.24.0.0/16" }).ipallocRange, "172.24.0.0/16");
    assert.deepEqual(read({}).ipallocInit, { kind: "consensus" });
    const { ipallocInit } = read({}, { TSWEAVE_IPALLOC_INIT: "seed=b,a" });
    assert.deepEqual(ipallocInit, { kind: "seed", names: ["b", "a"] });
  });

  it("takes several addresses in their order, each in one spelling", () => {
    const { advertise, latency } = read({ advertise: "FD00:0::11, 10.0.0.1", latency: "wan" });
    assert.deepEqual([advertise, latency], [["fd00::11", "10.0.0.1"], "wan"]);
  });

  const refused: readonly [string, string, RegExp][] = [
    ["ipalloc-range", "10.32.0.5/12", /the subnet is 10\.32\.0\.0\/12/],
    ["ipalloc-range", "10.32.0.0", /not a subnet; write it as NETWORK\/PREFIX/],
    ["ipalloc-range", "010.32.0.0/12", /not a subnet/],
    ["ipalloc-range", "10.32.0.0/30", /usable size; use a prefix from \/8 to \/28/],
    ["ipalloc-range", "0.0.0.0/0", /a subnet that hosts can use/],
    ["ipalloc-range", "127.0.0.0/16", /a subnet that hosts can use/],
    ["ipalloc-range", "fd00::/64", /an IPv4 subnet/],
    [
      "ipalloc-init",
      "paxos",
      /--ipalloc-init: 'paxos' is not a way to found a mesh; use consensus/,
    ],
    ["ipalloc-init", "consensus=0", /not a number of peers; write how many peers found the mesh/],
    ["ipalloc-init", "seed=a,a", /seed= names a twice; write the names of the founding peers/],
    ["ipalloc-init", "observer=yes", /not a way to found a mesh/],
    ["port", "0", /'0' is not a port; write a number from 1 to 65535/],
    ["port", "65536", /not a port/],
    ["port", "0x1f", /not a port/],
    ["port", "4789", /--port and --vxlan-port are both 4789/],
    ["mtu", "575", /not an MTU/],
    ["mtu", "65536", /not an MTU/],
    ["name", "a b", /not a peer name/],
    ["name", "x".repeat(64), /not a peer name/],
    ["network", "host", /Docker keeps this name for itself/],
    ["network", "-x", /not a network name/],
    ["dns-domain", "a..b", /not a domain/],
    ["dns-listen", "0.0.0.0:53", /not where to listen/],
    ["dns-listen", "[::]:53", /not where to listen/],
    ["dns-listen", "host1:53", /not where to listen/],
    ["dns-listen", "127.0.0.1", /not where to listen/],
    ["dns-listen", "127.0.0.1:0", /not where to listen/],
    ["dns-domain", "-a.b", /not a domain/],
    ["advertise", "host1", /not an address that peers can reach/],
    ["advertise", "127.0.0.1", /not an address that peers can reach/],
    ["advertise", "fe80::1", /not an address that peers can reach/],
    ["advertise", "10.0.0.1,", /'' is not an address that peers can reach/],
    ["advertise", "10.0.0.1,10.0.0.1", /write each once, at most 4/],
    ["advertise", "10.0.0.1,10.0.0.2,10.0.0.3,10.0.0.4,10.0.0.5", /write each once, at most 4/],
    ["latency", "fast", /'fast' is not a latency class; use lan or wan/],
    ["latency", "LAN", /not a latency class/],
    ["bind", "eth0", /not an IP address/],
    ["log-level", "loud", /not a log level; use one of debug/],
    ["docker-socket", "tcp://host:2375", /not a path/],
    ["run-dir", `/${"d".repeat(90)}`, /not short enough for a socket/],
    ["config", "/nonexistent.json", /cannot be read: ENOENT.*; check --config/],
  ];
  for (const [option, value, expected] of refused) {
    it(`refuses --${option} ${value.slice(0, 20)}`, () => {
      assert.match(
        refusal(() => read({ [option]: value })),
        expected,
      );
    });
  }

  it("names the source of what it refuses", () => {
    assert.match(
      refusal(() => read({}, { TSWEAVE_PORT: "x" })),
      /^TSWEAVE_PORT: 'x'/,
    );
    assert.match(
      refusal(() => read({}, { TSWEAVE_NO_DNS: "x" })),
      /^TSWEAVE_NO_DNS: 'x'/,
    );
    assert.match(
      refusal(() => read({ port: "x" })),
      /^--port: 'x'/,
    );
    const config = file({ port: 70_000 });
    assert.match(
      refusal(() => read({ config })),
      /config\.json: port: '70000' is not a port/,
    );
    assert.match(
      refusal(() => read({}, {}, ["a:b"])),
      /^PEER: peer 'a:b' has no valid port/,
    );
  });

  const files: readonly [unknown, RegExp][] = [
    [{ "ipalloc-rang": "x" }, /unknown field 'ipalloc-rang'; did you mean 'ipalloc-range'/],
    [{ foreground: true }, /unknown field 'foreground'/],
    [{ __proto__x: 1 }, /unknown field/],
    ['{"__proto__": 1}', /unknown field '__proto__'/],
    [{ port: true }, /'port' has the wrong type; write a string or a number/],
    [{ "no-dns": "yes" }, /'no-dns' has the wrong type; write true or false/],
    [{ peers: "a" }, /peers is not a list of strings/],
    [{ peers: [1] }, /peers is not a list of strings/],
    [[], /does not hold a JSON object/],
    ["{", /is not JSON/],
    ["null", /does not hold a JSON object/],
  ];
  for (const [content, expected] of files) {
    it(`refuses a file with ${JSON.stringify(content)}`, () => {
      const config = file(content);
      assert.match(
        refusal(() => read({ config })),
        expected,
      );
    });
  }

  it("accepts every log level", () => {
    for (const level of LOG_LEVELS) assert.equal(read({ "log-level": level }).logLevel, level);
  });
});

describe("peers", () => {
  it("reads back what it writes", () => {
    const host = fc.oneof(fc.ipV4(), fc.ipV6(), fc.constantFrom("host2", "a.b-c.example"));
    fc.assert(
      fc.property(host, fc.integer({ min: 1, max: 65_535 }), (host, port) => {
        assert.deepEqual(parsePeer(formatHostPort({ host, port }), 1), { host, port });
      }),
    );
  });

  it("either reads a text or refuses it with a TsweaveError", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          assert.ok(parsePeer(text, 6783).host.length > 0);
        } catch (error) {
          assert.equal(asTsweaveError(error).code, "CONFIG");
        }
      }),
    );
  });

  for (const text of [
    "",
    ":1",
    "fd00::1",
    "[fd00::1",
    "[host]:1",
    "a:",
    "a:0",
    "1.2.3",
    "a_b",
    "-a",
  ])
    it(`refuses '${text}'`, () => {
      assert.match(
        refusal(() => parsePeer(text, 6783)),
        /^peer '.*' (is|has) /,
      );
    });
});
