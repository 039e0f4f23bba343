/** `tsweave logs`: the daemon's log as people read it. */
import { EXIT, TsweaveError } from "../../mesh/index.ts";
import type { Command, CommandInput } from "../command.ts";
import { LOG_LEVELS } from "../launch-options.ts";
import { followLines, LineCutter, lastLines } from "../log-reader.ts";
import { levelOf, logLine } from "../render/log-line.ts";
import { suggest } from "../suggestion.ts";
import { clientFor, RUN_DIR_OPTION } from "./client-options.ts";

const DEFAULT_FILE = "/var/lib/tsweave/tsweave.log";
const LINES = 100;
const LEVELS = LOG_LEVELS.filter((level) => level !== "silent");

export const logs: Command = {
  usage: "[options]",
  positionalsMax: 0,
  options: [
    { name: "follow", short: "f", summary: "stay and show new lines, until interrupted" },
    {
      name: "level",
      value: "LEVEL",
      summary: `${LEVELS.join(", ")}: only lines of it and above`,
      default: "debug",
      words: LEVELS,
    },
    { name: "lines", short: "n", value: "COUNT", summary: "how many", default: String(LINES) },
    { name: "json", summary: "print the lines as they are, JSON" },
    {
      name: "log-file",
      value: "FILE",
      summary: "which log, - for standard input",
      default: `the running daemon's, else ${DEFAULT_FILE}`,
    },
    RUN_DIR_OPTION,
  ],
  notes: [
    "Also works while no daemon runs. What a daemon under a service manager logs is in the",
    "manager's journal; pipe it in to read it the same way.",
  ],
  examples: [
    "tsweave logs -f",
    "tsweave logs --level warn -n 1000",
    "journalctl -u tsweave -o cat | tsweave logs --log-file -",
  ],
  run: async (input) => {
    const { options, write, style } = input;
    const least = leastLevel(options.level);
    const count = countOf(options.lines);
    const wanted = (line: string): boolean => (levelOf(line) ?? Number.MAX_VALUE) >= least;
    const show = (line: string): void => {
      write(options.json === true ? `${line}\n` : logLine(line, style));
    };
    if (options["log-file"] === "-") return await fromInput(wanted, show);
    const path = await logPath(input);
    const { end } = await lastLines(path, count, wanted, show);
    if (options.follow !== true) return EXIT.ok;
    const interrupted = new AbortController();
    const interrupt = (): void => interrupted.abort();
    process.once("SIGINT", interrupt).once("SIGTERM", interrupt);
    const showWanted = (line: string): void => {
      if (wanted(line)) show(line);
    };
    await followLines(path, end, showWanted, interrupted.signal);
    return EXIT.ok;
  },
};

/** Lines as they come: whoever pipes them decides how many and until when. */
async function fromInput(
  wanted: (line: string) => boolean,
  show: (line: string) => void,
): Promise<number> {
  const cutter = new LineCutter();
  for await (const piece of process.stdin) {
    for (const line of cutter.push(Buffer.from(piece))) if (wanted(line)) show(line);
  }
  const last = cutter.end();
  if (last !== "" && wanted(last)) show(last);
  return EXIT.ok;
}

/** @throws TsweaveError NOT_FOUND when the daemon logs to no file. */
async function logPath(input: CommandInput): Promise<string> {
  const given = input.options["log-file"];
  if (typeof given === "string") return given;
  const reply = await clientFor(input)
    .log()
    .catch((error: unknown) => {
      const isAbsent = error instanceof TsweaveError && error.code === "NOT_RUNNING";
      if (isAbsent) return undefined;
      throw error;
    });
  if (reply === undefined) return input.env.TSWEAVE_LOG_FILE || DEFAULT_FILE;
  if (reply.file !== null) return reply.file;
  throw new TsweaveError("NOT_FOUND", "the daemon logs to its service manager, not to a file", {
    hint: "journalctl -u tsweave -o cat | tsweave logs --log-file -",
  });
}

function leastLevel(word: string | true | undefined): number {
  if (typeof word !== "string") return 0;
  const at = (LEVELS as readonly string[]).indexOf(word);
  if (at >= 0) return 20 + 10 * at;
  throw new TsweaveError("USAGE", `'${word.slice(0, 64)}' is not a log level`, {
    hint: suggest(word, LEVELS, `use one of ${LEVELS.join(", ")}`),
  });
}

function countOf(word: string | true | undefined): number {
  if (typeof word !== "string") return LINES;
  if (/^[0-9]{1,6}$/.test(word)) return Number(word);
  throw new TsweaveError("USAGE", `--lines: '${word.slice(0, 64)}' is not a number of lines`, {
    hint: "write a number from 0 to 999999",
  });
}
