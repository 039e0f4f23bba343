/**
 * The manual page tsweave(1). Pure: the command table in, roff out, so that the page cannot say
 * other than what is parsed.
 */
import type { Described } from "../commands/described.ts";
import { EXIT_CODES, optionUsage } from "../help.ts";
import { VERSION } from "../version.ts";

const FILES: readonly (readonly [string, string])[] = [
  ["/run/tsweave/control.sock", "the control API of the running daemon, root only"],
  ["/var/lib/tsweave", "state that outlives a restart, and the log"],
  ["/run/docker/plugins/tsweave.sock", "where Docker calls the plugin"],
];

/** The page as roff with the man macros. */
export function manPage(commands: readonly Described[]): string {
  const parts = [
    `.TH TSWEAVE 1 "" "tsweave ${VERSION}" "User Commands"`,
    ".SH NAME",
    "tsweave \\- one flat network and names for the containers of many Docker hosts",
    ".SH SYNOPSIS",
    ".B tsweave\n.I COMMAND\n[options]",
    ".SH DESCRIPTION",
    line("On each host 'tsweave launch PEER...' starts a peer that finds the others by gossip."),
    line("Containers started with 'docker run --net tsweave' share one subnet and find one"),
    line("another by name. There is no store and no manager."),
    ".SH COMMANDS",
    ...commands.map(commandPart),
    ".SH EXIT STATUS",
    literal(EXIT_CODES),
    ".SH ENVIRONMENT",
    line("Every option of launch is also a variable: --ipalloc-range is TSWEAVE_IPALLOC_RANGE."),
    line("TSWEAVE_RUN_DIR points every command to a daemon. TSWEAVE_PASSWORD is the password of"),
    line("the mesh. TSWEAVE_DEBUG=1 adds the stack to an error. NO_COLOR switches colours off."),
    ".SH FILES",
    ...FILES.map(([path, what]) => `.TP\n.I ${escaped(path)}\n${line(what)}`),
  ];
  return `${parts.join("\n")}\n`;
}

function commandPart({ name, usage, summary, notes, options, examples }: Described): string {
  return [
    `.SS "tsweave ${escaped(`${name} ${usage}`.trimEnd())}"`,
    line(`${summary}.`),
    ...(notes.length === 0
      ? []
      : [".PP", ...notes.map((note) => (note === "" ? ".PP" : line(note)))]),
    ...options.map(
      (option) =>
        `.TP\n.B ${escaped(optionUsage(option))}\n${line(
          option.default === undefined
            ? option.summary
            : `${option.summary} (default ${option.default})`,
        )}`,
    ),
    ".PP\nExamples:",
    literal(examples.map((example) => `  ${example}`).join("\n")),
  ].join("\n");
}

/** Text as it is, line by line. */
function literal(text: string): string {
  return `.nf\n${text.split("\n").map(line).join("\n")}\n.fi`;
}

/** One line of text: what roff would take for a request or an escape is text here. */
function line(text: string): string {
  return escaped(text).replace(/^(?=[.'])/, "\\&");
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\e").replaceAll("-", "\\-").replaceAll('"', "\\(dq");
}
