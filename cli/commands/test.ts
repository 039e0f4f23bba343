/** `tsweave test`: whether every host reaches every other one, measured by the hosts themselves. */
import { EXIT } from "../../mesh/index.ts";
import type { Command } from "../command.ts";
import { SCHEMA } from "../control/api.ts";
import { testText } from "../render/test-text.ts";
import { JSON_OPTION } from "./attach-options.ts";
import { clientFor, RUN_DIR_OPTION } from "./client-options.ts";

/** A test that is done sooner says nothing of its progress. */
const PROGRESS_MS = 2000;

export const test: Command = {
  usage: "[options]",
  positionalsMax: 0,
  options: [
    { name: "all", summary: "every pair, also of more than 16 peers" },
    JSON_OPTION,
    RUN_DIR_OPTION,
  ],
  notes: [
    "Every live peer measures its ways to the others: gossip as its failure detector sees it, a",
    "question over the stream port, the underlay's largest packet, and the tunnel from a container",
    "there to one here, where both have one on a network. Of more than 16 peers each measures some",
    "that are chosen so that every part of the mesh is tried against every other one. Exit code 4",
    "when a pair fails or a peer does not answer.",
  ],
  examples: ["tsweave test", "tsweave test --all --json | jq '.pairs[] | select(.faults != [])'"],
  run: async (input) => {
    const { options, write, note, style } = input;
    const { testMesh } = await import("../doctor/mesh-test.ts");
    let nextMs = performance.now() + PROGRESS_MS;
    const told = (done: number, total: number): void => {
      if (performance.now() < nextMs) return;
      nextMs = performance.now() + PROGRESS_MS;
      note(`tried ${done} of ${total} pairs ...\n`);
    };
    const found = await testMesh(clientFor(input), options.all === true, told);
    const json = { schema: SCHEMA, ...found };
    write(options.json === true ? `${JSON.stringify(json)}\n` : testText(found, style));
    return found.ok ? EXIT.ok : EXIT.degraded;
  },
};
