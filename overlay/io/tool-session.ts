/**
 * One `ip` or `bridge` that stays: it reads commands from its input for as long as there are some.
 * A process costs a hundred times what the kernel needs for an entry.
 *
 * Law: the end of an answer is known, not guessed. After the commands comes a word that the tool
 * does not know; both tools complain with the number of its line, print nothing after it, and write
 * all that they have said before. Outputs share one pipe, so that their order is kept.
 */
import { execa } from "execa";
import { TsweaveError } from "../../mesh/index.ts";
import { COMMON, toolMissing } from "./exec.ts";

/** What the tool does not know. */
const END = "tsweave-end";
/** A complaint for every entry of the largest mesh. */
const OUTPUT_BYTES_MAX = 100_000_000;

/** What failed of a batch. */
export interface Complaints {
  /** As of a process of its own: text, then "Command failed -:N" with the batch's own line. */
  readonly stderr: string;
  readonly hasFailed: boolean;
}

interface Question {
  /** The last line of the answer. */
  readonly end: string;
  readonly chunks: Buffer[];
  bytes: number;
  readonly finish: (failure?: TsweaveError) => void;
}

export class ToolSession {
  readonly #tool: string;
  readonly #argv: readonly string[];
  readonly #child;
  readonly #ended: Promise<void>;
  #lines = 0;
  /** Questions wait for the one before. */
  #last: Promise<unknown> = Promise.resolve();
  #asked: Question | undefined;
  #exit: { readonly code: number; readonly missing: boolean } | undefined;

  /** Starts `argv`, which runs `tool` with `-force -batch -`. */
  constructor(tool: string, argv: readonly string[]) {
    this.#tool = tool;
    this.#argv = argv;
    this.#child = execa("sh", ["-c", 'exec "$@" 2>&1', "sh", ...argv], {
      ...COMMON,
      stdin: "pipe",
      stderr: "ignore",
      buffer: false,
    });
    // What cannot be written is told by the end of the process.
    this.#child.stdin.on("error", () => undefined);
    this.#child.stdout.on("data", (chunk: Buffer) => this.#take(chunk));
    this.#ended = this.#child.then(({ exitCode }) => this.#exited(exitCode ?? -1));
  }

  get isOpen(): boolean {
    return this.#exit === undefined;
  }

  /**
   * Runs commands that print nothing. Throws `TOOL_MISSING`, and `TIMED_OUT` after `timeoutMs`: it
   * is ended then.
   */
  async run(lines: readonly string[], timeoutMs: number): Promise<Complaints> {
    const turn = this.#last.then(() => this.#run(lines, timeoutMs));
    this.#last = turn.catch(() => undefined);
    return await turn;
  }

  /** Ends it and waits until it is gone. Idempotent. */
  async close(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#ended;
  }

  async #run(lines: readonly string[], timeoutMs: number): Promise<Complaints> {
    const skipped = this.#lines;
    this.#lines += lines.length + 1;
    const chunks: Buffer[] = [];
    const answered = new Promise<void>((resolve, reject) => {
      const deadline = setTimeout(() => {
        const late = `${this.#argv.join(" ")} did not answer within ${timeoutMs} ms`;
        finish(new TsweaveError("TIMED_OUT", late));
      }, timeoutMs);
      const finish = (failure?: TsweaveError) => {
        clearTimeout(deadline);
        this.#asked = undefined;
        if (failure === undefined) return resolve();
        this.#child.kill("SIGKILL");
        reject(failure);
      };
      const end = `Command failed -:${this.#lines}\n`;
      this.#asked = { end, chunks, bytes: 0, finish };
      if (this.#exit !== undefined) finish();
      else this.#child.stdin.write(`${lines.join("\n")}\n${END}\n`);
    });
    await answered;
    return this.#answer(Buffer.concat(chunks).toString("utf8"), skipped);
  }

  #answer(text: string, skipped: number): Complaints {
    if (this.#exit?.missing === true) throw toolMissing(this.#tool);
    const isComplaint = (line: string) => line !== "" && !line.startsWith(`Object "${END}"`);
    const lines = text.split("\n").filter(isComplaint);
    if (this.isOpen) lines.pop();
    const stderr = lines.map((line) => renumbered(line, skipped)).join("\n");
    return { stderr, hasFailed: !this.isOpen || lines.length > 0 };
  }

  #take(chunk: Buffer): void {
    const asked = this.#asked;
    if (asked === undefined) return;
    asked.chunks.push(chunk);
    asked.bytes += chunk.length;
    if (asked.bytes > OUTPUT_BYTES_MAX) {
      const text = `${this.#argv.join(" ")} prints more than ${OUTPUT_BYTES_MAX} bytes`;
      asked.finish(new TsweaveError("COMMAND_FAILED", text));
    } else if (endsWith(asked.chunks, asked.end)) asked.finish();
  }

  #exited(code: number): void {
    // The shell's own: it found no such program.
    this.#exit = { code, missing: code === 127 };
    this.#asked?.finish();
  }
}

function renumbered(line: string, skipped: number): string {
  const number = /^Command failed -:(\d+)$/.exec(line)?.[1];
  return number === undefined ? line : `Command failed -:${Number(number) - skipped}`;
}

/** Looks at the last pieces only. */
function endsWith(chunks: readonly Buffer[], end: string): boolean {
  let tail = Buffer.alloc(0);
  for (let at = chunks.length - 1; at >= 0 && tail.length < end.length; at--) {
    tail = Buffer.concat([chunks[at] as Buffer, tail]);
  }
  return tail.subarray(-end.length).toString("latin1") === end;
}
