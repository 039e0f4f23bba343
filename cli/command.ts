/**
 * What a command is: data that help and argument parsing are made from, and a function to run.
 *
 * Law: data goes to `write` (stdout), everything else to `note` (stderr); a command never prints
 * an error itself, it throws a TsweaveError.
 */
import type { Style } from "./render/style.ts";

export interface Option {
  /** Long name without dashes. */
  readonly name: string;
  /** One letter that stands for it: `f` for `-f`. */
  readonly short?: string;
  /** What its value is called in help, e.g. `ADDR`; absent: a switch. */
  readonly value?: string;
  readonly summary: string;
  /** It may be given several times; its values are then joined by commas. */
  readonly repeats?: true;
  /** The default as help shows it. */
  readonly default?: string;
  /** What its value may be, for completion. */
  readonly words?: Words;
}

/** What a word may be: one of a list, a command, or a name that the running mesh knows. */
export type Words = readonly string[] | "commands" | "peers";

export interface CommandInput {
  /** Given options by name; a switch is `true`. */
  readonly options: Readonly<Record<string, string | true>>;
  readonly positionals: readonly string[];
  /** The arguments after the command's name, as given. */
  readonly argv: readonly string[];
  /** The whole command table. */
  readonly commands: readonly CommandEntry[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly style: Style;
  /** True when stdout is a terminal that can be redrawn. */
  readonly interactive: boolean;
  readonly write: (text: string) => void;
  readonly note: (text: string) => void;
  /** Asks a person; undefined where nobody can be asked. */
  readonly confirm: ((question: string) => Promise<boolean>) | undefined;
}

export interface Command {
  /** Arguments after the name, e.g. `[PEER...] [options]`. */
  readonly usage: string;
  readonly positionalsMax: number;
  /** What its first argument may be, for completion; of every one where it is "peers". */
  readonly words?: Words;
  readonly options: readonly Option[];
  /** Sentences that help shows below the usage. */
  readonly notes: readonly string[];
  readonly examples: readonly string[];
  /** Resolves with the exit code. */
  readonly run: (input: CommandInput) => Promise<number>;
}

/** A row of the command table; the command itself is imported when it is needed. */
export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  readonly load: () => Promise<Command>;
}
