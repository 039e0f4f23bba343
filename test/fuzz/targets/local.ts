/** What arrives at this host's own doors: Docker, the control socket, helpers, kernel tools. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { launchConfig } from "../../../cli/config.ts";
import {
  attachOf,
  detachOf,
  exposeOf,
  keyChangeOf,
  leaveOf,
  lookupOf,
  peersOf,
  readBody,
  removalOf,
  serviceOf,
} from "../../../cli/control/bodies.ts";
import { errorFromBody } from "../../../cli/control/error-body.ts";
import { MessageReader } from "../../../cli/ready-pipe.ts";
import type { ErrorCode } from "../../../mesh/index.ts";
import * as schema from "../../../overlay/docker/schema.ts";
import { readEntryLine } from "../../../overlay/echo.ts";
import { readBatchErrors } from "../../../overlay/failures.ts";
import { lineSplitter } from "../../../overlay/io/engine-events.ts";
import {
  readContainer,
  readEvent,
  readIds,
  readNetwork,
} from "../../../overlay/io/engine-shapes.ts";
import { isHint } from "../../../overlay/io/monitor.ts";
import { parseObservation } from "../../../overlay/observe.ts";
import { mutated } from "../mutate.ts";
import type { Json } from "../mutate-tree.ts";
import { reading, refusalOf } from "../refusal.ts";
import { jsonCases } from "../samples.ts";
import type { Subject, Target } from "../target.ts";
import { CONFIG, CONTROL, ENGINE, OBSERVED, PLUGIN } from "./local-samples.ts";

const REFUSED: readonly ErrorCode[] = ["BAD_REQUEST", "CONFIG"];

/** All readers get every body: what is meant for one must not hurt another. */
function bodies(name: string, samples: readonly Json[], readers: ((body: unknown) => void)[]) {
  const run = (bytes: Uint8Array): string | undefined => {
    let body: unknown;
    try {
      body = JSON.parse(Buffer.from(bytes).toString("utf8"));
    } catch {
      return "not JSON";
    }
    const whys = readers.map((read) => reading(() => read(body), REFUSED));
    return whys.includes(undefined) ? undefined : whys[0];
  };
  return { name, weight: 1, make: jsonCases(samples), open: (): Subject => ({ run }) };
}

/** The reader of a request's body, with the bytes in pieces. */
async function readRequest(bytes: Uint8Array): Promise<string | undefined> {
  const half = bytes.length >> 1;
  const request = Readable.from([bytes.subarray(0, half), bytes.subarray(half)]);
  try {
    await readBody(request as unknown as IncomingMessage);
    return undefined;
  } catch (error) {
    return refusalOf(error, REFUSED);
  }
}

function configFile(): Subject {
  const dir = mkdtempSync(join(tmpdir(), "tsweave-fuzz-"));
  const path = join(dir, "config.json");
  process.once("exit", () => rmSync(dir, { recursive: true, force: true }));
  const given = { options: { config: path }, positionals: [], env: {} };
  return {
    run: (bytes) => {
      writeFileSync(path, bytes);
      return reading(() => void launchConfig(given), ["CONFIG", "BAD_REQUEST"]);
    },
  };
}

/** Lines of a child process or of a stream, in pieces as they come. */
function lines(bytes: Uint8Array): undefined {
  const text = Buffer.from(bytes).toString("utf8");
  const reader = new MessageReader();
  const split = lineSplitter((line) => {
    isHint(line);
    readEntryLine(line);
    reader.push(`${line}\n`);
  });
  for (let at = 0; at < bytes.length; at += 61) split(Buffer.from(bytes.subarray(at, at + 61)));
  reader.push(text);
  readBatchErrors(text);
  return undefined;
}

const SAID = [
  '{"progress":"waiting"}\n{"ready":true,"summary":{"name":"h1"}}\n{"error":{"code":"CONFIG"}}\n',
  "RTNETLINK answers: No such process\nCommand failed -:3\nError: argument is wrong\n",
  "Deleted 10.32.0.5 dev vxlan0 lladdr 02:42:0a:20:00:05 PERMANENT\n12: vxlan0: <UP>\n",
].map((text) => Buffer.from(text));

export const localTargets: readonly Target[] = [
  bodies("control-body", CONTROL, [
    (body) => void peersOf(body),
    (body) => void keyChangeOf(body),
    (body) => void removalOf(body),
    (body) => void leaveOf(body),
    (body) => void serviceOf(body),
    (body) => void lookupOf(body),
    (body) => void attachOf(body),
    (body) => void detachOf(body),
    (body) => void exposeOf(body),
    (body) => void errorFromBody(body),
  ]),
  {
    name: "control-request",
    weight: 0.2,
    make: jsonCases(CONTROL),
    open: () => ({ run: readRequest }),
  },
  bodies("plugin-body", PLUGIN, [
    schema.readCreateNetwork,
    schema.readNetworkRef,
    schema.readEndpointRef,
    schema.readCreateEndpoint,
    schema.readJoin,
    schema.readRequestPool,
    schema.readRequestAddress,
    schema.readReleaseAddress,
    schema.readReleasePool,
  ]),
  bodies("engine-answer", ENGINE, [readNetwork, readContainer, readIds, readEvent]),
  { name: "config-file", weight: 0.2, make: jsonCases(CONFIG), open: configFile },
  {
    name: "helper-lines",
    weight: 0.5,
    make: (random) => mutated(random, SAID),
    open: () => ({ run: lines }),
  },
  {
    name: "kernel-output",
    weight: 0.5,
    make: jsonCases(OBSERVED),
    open: () => ({
      run: (bytes) =>
        reading(() => {
          const text = Buffer.from(bytes).toString("utf8");
          parseObservation("ns", { ip: `${text}\n${text}`, fdb: text, filters: text });
        }, ["COMMAND_FAILED"]),
    }),
  },
];
