/** The engine's API over a real unix socket: shapes, deadlines, bounds, events and reconnection. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { EngineEvent } from "../../../mesh/index.ts";
import { processClock } from "../../../mesh/io/clock.ts";
import { createEngine, type DockerEngine } from "../../../overlay/index.ts";
import { QuietLog } from "../../lib/quiet-log.ts";

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

describe("the engine's API", () => {
  let directory: string;
  let path: string;
  let server: Server | undefined;
  let handler: Handler;
  let engine: DockerEngine;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "tsweave-engine-"));
    path = join(directory, "docker.sock");
    await listen();
    engine = createEngine(path, processClock(), new QuietLog());
  });

  afterEach(async () => {
    await close();
    await rm(directory, { recursive: true, force: true });
  });

  async function listen(): Promise<void> {
    const fresh = createServer((request, response) => handler(request, response));
    await new Promise<void>((resolve) => fresh.listen(path, resolve));
    server = fresh;
  }

  async function close(): Promise<void> {
    const old = server;
    server = undefined;
    old?.closeAllConnections();
    await new Promise<void>((resolve) =>
      old === undefined ? resolve() : old.close(() => resolve()),
    );
  }

  it("reads a network with its containers", async () => {
    handler = (request, response) => {
      assert.equal(request.url, "/v1.41/networks/abc");
      response.end(JSON.stringify(NETWORK));
    };
    assert.deepEqual(await engine.network("abc"), {
      id: "abc",
      name: "tsweave",
      driver: "tsweave",
      ipamDriver: "tsweave",
      internal: false,
      subnets: ["10.32.0.0/12"],
      options: { "com.docker.network.driver.mtu": "9000" },
      labels: {},
      ipRange: "10.40.0.0/16",
      gateway: "10.32.0.1",
      auxiliary: ["10.32.0.9"],
      endpoints: [
        {
          containerKey: "ep-e1",
          endpointId: "e1",
          containerName: "web",
          ip: "10.32.0.2",
          mac: "02:42:0a:20:00:02",
        },
      ],
    });
  });

  it("reads a container of engine 20.10 and of 28", async () => {
    handler = (_request, response) => response.end(JSON.stringify(CONTAINER));
    const container = await engine.container("web", 1000);
    assert.equal(container?.name, "web");
    assert.equal(container?.sandboxKey, "/var/run/docker/netns/1");
    assert.deepEqual([container?.ports, container?.isUnhealthy], [["80/tcp", "53/udp"], true]);
    assert.deepEqual(container?.networks, [
      {
        networkId: "abc",
        networkName: "tsweave",
        endpointId: "e1",
        names: ["www", "web", "c0ffee"],
        links: ["database", "cache"],
      },
    ]);
  });

  it("creates a network with an explicit subnet and both drivers", async () => {
    let body = "";
    handler = (request, response) => {
      request.on("data", (chunk: Buffer) => {
        body += chunk.toString();
      });
      request.on("end", () => response.writeHead(201).end('{"Id":"abc","Warning":""}'));
    };
    const spec = { name: "tsweave", driver: "tsweave", subnet: "10.32.0.0/12" };
    assert.equal(await engine.createNetwork({ ...spec, internal: false, options: {} }), "abc");
    assert.deepEqual(JSON.parse(body), {
      Name: "tsweave",
      CheckDuplicate: true,
      Driver: "tsweave",
      Internal: false,
      Options: {},
      Labels: {},
      IPAM: { Driver: "tsweave", Config: [{ Subnet: "10.32.0.0/12" }] },
    });
    const all = {
      gateway: "10.32.0.9",
      ipRange: "10.33.0.0/16",
      auxiliary: ["10.32.0.7"],
      labels: { "com.docker.compose.network": "default" },
    };
    await engine.createNetwork({ ...spec, ...all, internal: true, options: {} });
    const { IPAM, Labels } = JSON.parse(body.slice(body.lastIndexOf('{"Name"')));
    assert.deepEqual(Labels, all.labels);
    assert.deepEqual(IPAM.Config, [
      {
        Subnet: "10.32.0.0/12",
        Gateway: "10.32.0.9",
        IPRange: "10.33.0.0/16",
        AuxiliaryAddresses: { reserved0: "10.32.0.7" },
      },
    ]);
  });

  it("tells absence, refusal, garbage and silence apart", async () => {
    handler = (_request, response) => response.writeHead(404).end('{"message":"no such"}');
    assert.equal(await engine.network("abc"), undefined);
    assert.equal(await engine.container("abc", 1000), undefined);
    handler = (_request, response) => response.writeHead(500).end('{"message":"it broke"}');
    await assert.rejects(engine.networks(), { code: "DOCKER_REFUSED", message: /it broke/ });
    handler = (_request, response) => response.end("not json");
    await assert.rejects(engine.networks(), { code: "DOCKER_REFUSED" });
    handler = () => undefined;
    await assert.rejects(engine.container("abc", 50), {
      code: "DOCKER_UNREACHABLE",
      message: /no answer within 50 ms/,
    });
    handler = (_request, response) => {
      response.write("[");
      response.destroy();
    };
    await assert.rejects(engine.networks(), { code: "DOCKER_UNREACHABLE" });
    await close();
    await assert.rejects(engine.version(), {
      code: "DOCKER_UNREACHABLE",
      hint: /start docker, or launch with --no-docker/,
    });
  });

  it("follows events, says so after each connection, and skips what it cannot read", async () => {
    const event = {
      Type: "container",
      Action: "rename",
      Actor: { ID: "c1", Attributes: { a: "b" } },
    };
    const line = `${JSON.stringify(event)}\n`;
    handler = (request, response) => {
      assert.match(request.url ?? "", /^\/v1\.41\/events\?filters=/);
      response.write(`garbage\n{"Type":"volume"}\n${line.slice(0, 20)}`);
      setTimeout(() => response.write(line.slice(20)), 10);
    };
    const seen: EngineEvent[] = [];
    const cancel = engine.onEvent((one) => seen.push(one));
    await until(() => seen.length === 2);
    assert.equal(seen[0]?.type, "connected");
    assert.deepEqual(seen[1], {
      type: "container",
      action: "rename",
      id: "c1",
      attributes: { a: "b" },
    });
    await close();
    await until(() => seen.at(-1)?.type === "disconnected");
    await listen();
    await until(() => seen.at(-1)?.type === "container");
    assert.equal(seen.filter(({ type }) => type === "connected").length, 2);
    cancel();
    await close();
    await new Promise<void>((resolve) => setTimeout(resolve, 20));
    assert.equal(seen.at(-1)?.type, "container");
  });
});

const NETWORK = {
  Id: "abc",
  Name: "tsweave",
  Driver: "tsweave",
  Internal: false,
  IPAM: {
    Driver: "tsweave",
    Options: null,
    Config: [
      {
        Subnet: "10.32.0.0/12",
        IPRange: "10.40.0.0/16",
        Gateway: "10.32.0.1/12",
        AuxiliaryAddresses: { printer: "10.32.0.9" },
      },
    ],
  },
  Options: { "com.docker.network.driver.mtu": "9000" },
  Containers: {
    "ep-e1": {
      Name: "web",
      EndpointID: "e1",
      MacAddress: "02:42:0A:20:00:02",
      IPv4Address: "10.32.0.2/12",
      IPv6Address: "",
    },
  },
};

const CONTAINER = {
  Id: "c0ffee",
  Name: "/web",
  State: { Running: true, Health: { Status: "unhealthy" } },
  Config: { Hostname: "c0ffee", ExposedPorts: { "80/tcp": {}, "53/udp": {} } },
  NetworkSettings: {
    SandboxKey: "/var/run/docker/netns/1",
    Networks: {
      tsweave: {
        NetworkID: "abc",
        EndpointID: "e1",
        Aliases: ["www"],
        DNSNames: ["web", "www", "c0ffee"],
        Links: ["db:database", "cache"],
      },
    },
  },
};

async function until(holds: () => boolean): Promise<void> {
  for (let turn = 0; turn < 500; turn++) {
    if (holds()) return;
    await new Promise<void>((resolve) => setTimeout(resolve, 10));
  }
  assert.fail("did not happen");
}
