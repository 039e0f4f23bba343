/** `tsweave status` and its tables: reads, once or each second. */
import { setTimeout as sleep } from "node:timers/promises";
import { asTsweaveError, EXIT, TsweaveError } from "../../mesh/index.ts";
import type { Command, CommandInput } from "../command.ts";
import { READS, type Read } from "../control/api.ts";
import type { ControlClient } from "../control/client.ts";
import { statusScreen } from "../render/status-screen.ts";
import { renderRead } from "../render/tables.ts";
import { suggest } from "../suggestion.ts";
import { clientFor, RUN_DIR_OPTION } from "./client-options.ts";

const WATCH_INTERVAL_MS = 1000;
const HOME = "\x1b[H";
const CLEAR_LINE = "\x1b[K";
const CLEAR_BELOW = "\x1b[J";

/** A reply as text, and whether it shows a healthy daemon. */
interface View {
  readonly text: string;
  readonly ok: boolean;
}

export const status: Command = {
  usage: `[${READS.join("|")}] [options]`,
  positionalsMax: 1,
  words: READS,
  options: [
    { name: "json", summary: "print a JSON object; with --watch one object a line" },
    { name: "watch", summary: "show it anew each second until interrupted" },
    { name: "check", summary: "exit with 4 when the health shows a problem" },
    RUN_DIR_OPTION,
  ],
  notes: [
    "Without a table: one line for each part, one for each peer, and what is wrong with the",
    "command that helps. It is answered from memory, also while Docker or the mesh hangs.",
  ],
  examples: [
    "tsweave status",
    "tsweave status endpoints",
    "tsweave status peers --json",
    "tsweave status --watch",
    "tsweave status --check >/dev/null || echo degraded",
  ],
  run: async (input) => {
    const name = tableName(input.positionals[0]);
    const check = input.options.check === true;
    if (check && input.options.watch === true) {
      const hint = "see 'tsweave help status'";
      throw new TsweaveError("USAGE", "--check and --watch exclude one another", { hint });
    }
    const client = clientFor(input);
    if (input.options.watch === true) return await watch(input, client, name);
    const view = await viewOf(input, client, name, check);
    input.write(view.text);
    return check && !view.ok ? EXIT.degraded : EXIT.ok;
  },
};

function tableName(word: string | undefined): Read | undefined {
  if (word === undefined) return undefined;
  const found = READS.find((name) => name === word);
  if (found !== undefined) return found;
  throw new TsweaveError("USAGE", `status has no table '${word}'`, {
    hint: suggest(word, READS, "see 'tsweave help status'"),
  });
}

async function viewOf(
  { options, style }: CommandInput,
  client: ControlClient,
  name: Read | undefined,
  check: boolean,
): Promise<View> {
  const asJson = options.json === true;
  const whole = name === undefined || check ? await client.status() : undefined;
  const ok = whole?.health.ok ?? true;
  if (name !== undefined) {
    const reply = await client.read(name);
    return { ok, text: asJson ? `${JSON.stringify(reply)}\n` : renderRead(name, reply, style) };
  }
  if (whole === undefined || asJson) return { ok, text: `${JSON.stringify(whole)}\n` };
  const [{ peers }, { connections }] = await Promise.all([
    client.read("peers"),
    client.read("connections"),
  ]);
  return { ok, text: statusScreen(whole, peers, style, connections) };
}

/** Redraws until interrupted. A daemon that goes away is waited for, unless a script reads. */
async function watch(
  input: CommandInput,
  client: ControlClient,
  name: Read | undefined,
): Promise<number> {
  const asJson = input.options.json === true;
  const interrupted = new AbortController();
  const interrupt = () => interrupted.abort();
  process.once("SIGINT", interrupt);
  process.once("SIGTERM", interrupt);
  let first = true;
  while (!interrupted.signal.aborted) {
    const text = await viewOf(input, client, name, false).then(
      (view) => view.text,
      (error: unknown) => {
        if (first || asJson) throw error;
        return `tsweave: ${asTsweaveError(error).line}\n`;
      },
    );
    draw(input, text, first, asJson);
    first = false;
    await sleep(WATCH_INTERVAL_MS, undefined, { signal: interrupted.signal }).catch(
      () => undefined,
    );
  }
  return EXIT.ok;
}

function draw(input: CommandInput, text: string, first: boolean, asJson: boolean): void {
  if (asJson) input.write(text);
  else if (!input.interactive) input.write(first ? text : `\n${text}`);
  else {
    const lines = text.replace(/\n/g, `${CLEAR_LINE}\n`);
    input.write(`${first ? HOME + CLEAR_BELOW : HOME}${lines}${CLEAR_BELOW}`);
  }
}
