/** What each word of a command line is completed with, whatever the shell. */
import type { Command, Option, Words } from "../command.ts";

/** What a shell needs to know of a command. */
export type Completed = Pick<Command, "options" | "words" | "positionalsMax"> & {
  readonly name: string;
  readonly summary: string;
};

/** How a word is completed. */
export type Source =
  | { readonly kind: "words"; readonly words: readonly string[] }
  | { readonly kind: "peers" | "files" | "directories" | "nothing" };

/** The first column below the header of `status peers`. */
export const PEER_NAMES = `tsweave status peers 2>/dev/null | awk 'NR > 1 { print $1 }'`;

/** `--help` is every command's. */
export function optionsOf({ options }: Completed): readonly Option[] {
  return [...options, { name: "help", summary: "show the command's help" }];
}

/** What an option's value is completed with; undefined for a switch. */
export function valueSource(
  { value, words }: Option,
  all: readonly Completed[],
): Source | undefined {
  if (value === undefined) return undefined;
  if (words !== undefined) return wordSource(words, all);
  if (value === "FILE" || value === "PATH") return { kind: "files" };
  return { kind: value === "DIR" ? "directories" : "nothing" };
}

/** What a command's arguments are completed with. */
export function argumentSource({ words }: Completed, all: readonly Completed[]): Source {
  return words === undefined ? { kind: "nothing" } : wordSource(words, all);
}

function wordSource(words: Words, all: readonly Completed[]): Source {
  if (words === "peers") return { kind: "peers" };
  return { kind: "words", words: words === "commands" ? all.map(({ name }) => name) : words };
}

/** A text between single quotes; fish alone reads backslashes in them. */
export function quoted(text: string, shell: "zsh" | "fish"): string {
  const kept = shell === "fish" ? text.replaceAll("\\", "\\\\") : text;
  return `'${kept.replaceAll("'", "'\\''")}'`;
}
