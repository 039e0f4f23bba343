/**
 * One `ip` or `bridge` that stays: it reads commands from its input for as long as there are some.
 * A process costs a hundred times what the kernel needs for an entry.
 *
 * Law: the end of an answer is known, not guessed. After the commands comes a word that the tool
 * does not know; both tools complain with the number of its line, print nothing after it, and write
 * all that they have said before. Outputs share one pipe, so that their order is kept.
 */
import { TsweaveError } from "../../mesh/index.ts";
import { runOpen, toolMissing } from "./exec.ts";

/** What the tool does not know. */
const END = "tsweave-end";
/** A complaint for every entry of the largest mesh. */
const OUTPUT_CHARS_MAX = 100_000_000;
/** The shell found no such program. */
const MISSING = 127;

/** What failed of a batch. */
export interface Complaints {
  /** As of a process of its own: text, then "Command failed -:N" with the batch's own line. */
  readonly stderr: string;
  readonly hasFailed: boolean;
}

interface Question {
  /** The last line of the answer. */
  readonly end: string;
  text: string;
  readonly finish: (failure?: TsweaveError) => void;
}

export class ToolSession {
  readonly #tool: string;
  readonly #argv: readonly string[];
  readonly #program;
  readonly #ended: Promise<void>;
  #lines = 0;
  /** Questions wait for the one before. */
  #last: Promise<unknown> = Promise.resolve();
  #asked: Question | undefined;
  #exitCode: number | undefined;

  /** Starts `argv`, which runs `tool` with `-force -batch -`. */
  constructor(tool: string, argv: readonly string[]) {
    this.#tool = tool;
    this.#argv = argv;
    this.#program = runOpen(argv, (chunk) => this.#take(chunk.toString("latin1")));
    this.#ended = this.#program.ended.then((exitCode) => {
      this.#exitCode = exitCode;
      this.#asked?.finish();
    });
  }

  get isOpen(): boolean {
    return this.#exitCode === undefined;
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
    this.#program.kill();
    await this.#ended;
  }

  async #run(lines: readonly string[], timeoutMs: number): Promise<Complaints> {
    const skipped = this.#lines;
    this.#lines += lines.length + 1;
    const answer = await new Promise<string>((resolve, reject) => {
      const deadline = setTimeout(() => {
        const late = `${this.#argv.join(" ")} did not answer within ${timeoutMs} ms`;
        finish(new TsweaveError("TIMED_OUT", late));
      }, timeoutMs);
      const finish = (failure?: TsweaveError) => {
        clearTimeout(deadline);
        this.#asked = undefined;
        if (failure === undefined) return resolve(asked.text);
        this.#program.kill();
        reject(failure);
      };
      const asked: Question = { end: `Command failed -:${this.#lines}\n`, text: "", finish };
      this.#asked = asked;
      if (this.isOpen) this.#program.write(`${lines.join("\n")}\n${END}\n`);
      else finish();
    });
    return this.#answer(answer, skipped);
  }

  #answer(text: string, skipped: number): Complaints {
    if (this.#exitCode === MISSING) throw toolMissing(this.#tool);
    const isComplaint = (line: string) => line !== "" && !line.startsWith(`Object "${END}"`);
    const lines = text.split("\n").filter(isComplaint);
    if (this.isOpen) lines.pop();
    const stderr = lines.map((line) => renumbered(line, skipped)).join("\n");
    return { stderr, hasFailed: !this.isOpen || lines.length > 0 };
  }

  #take(text: string): void {
    const asked = this.#asked;
    if (asked === undefined) return;
    asked.text += text;
    if (asked.text.length > OUTPUT_CHARS_MAX) {
      const much = `${this.#argv.join(" ")} prints more than ${OUTPUT_CHARS_MAX} characters`;
      asked.finish(new TsweaveError("COMMAND_FAILED", much));
    } else if (asked.text.endsWith(asked.end)) asked.finish();
  }
}

function renumbered(line: string, skipped: number): string {
  const number = /^Command failed -:(\d+)$/.exec(line)?.[1];
  return number === undefined ? line : `Command failed -:${Number(number) - skipped}`;
}
