/**
 * What a bench found, as Markdown. Law: what is worse than the peer, or misses its target, comes
 * first and says so; a better figure needs no advertising.
 */
import { median, short, spread } from "./stats.ts";

/** One measured thing: ours against a peer or the floor in the same run, and against a target. */
export interface Figure {
  readonly what: string;
  readonly unit: string;
  readonly ours: readonly number[];
  readonly peer?: { readonly name: string; readonly values: readonly number[] };
  /** Ours over the peer's where it is not the ratio of the medians. */
  readonly ratio?: number;
  readonly better: "lower" | "higher";
  /** Ours must be at most (better: lower) or at least (better: higher) this. */
  readonly target?: number;
  /** The same for the ratio to the peer. Default: 1. `null`: the peer is only for information. */
  readonly ratioTarget?: number | null;
}

export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** A picture beside RESULTS.md, which a note refers to. */
export interface Drawing {
  readonly file: string;
  readonly svg: string;
}

export interface Section {
  readonly name: string;
  readonly title: string;
  readonly figures: readonly Figure[];
  readonly tables: readonly Table[];
  /** How it was measured, and what the figures do not say. */
  readonly notes: readonly string[];
  readonly drawings?: readonly Drawing[];
}

/** Noise between rounds is larger than this; where no ratio is asked for, less is no loss. */
const TOLERANCE = 0.03;

interface Judged {
  readonly figure: Figure;
  readonly ratio: number | undefined;
  /** Why it is bad; empty when it is not. */
  readonly faults: readonly string[];
}

function judge(figure: Figure): Judged {
  const { ours, peer, better, target, ratioTarget = 1 } = figure;
  const value = median(ours);
  const misses = (is: number, wanted: number, slack: number): boolean =>
    Number.isNaN(is) ||
    (better === "lower" ? is > wanted * (1 + slack) : is < wanted * (1 - slack));
  const faults: string[] = [];
  if (target !== undefined && misses(value, target, 0)) faults.push("misses its target");
  const ratio = figure.ratio ?? (peer === undefined ? undefined : value / median(peer.values));
  const slack = figure.ratioTarget === undefined ? TOLERANCE : 0;
  if (ratio !== undefined && ratioTarget !== null && misses(ratio, ratioTarget, slack)) {
    faults.push(ratioTarget === 1 ? `worse than ${peer?.name ?? "it"}` : "misses its ratio");
  }
  return { figure, ratio, faults };
}

/** The sentences of all that is worse or missed; empty when nothing is. */
export function faultLines(section: Section): string[] {
  return section.figures.map(judge).flatMap(({ figure, ratio, faults }) => {
    if (faults.length === 0) return [];
    const { what, unit, ours, peer, target, ratioTarget } = figure;
    const parts = [`${what}: ${short(median(ours))} ${unit}`];
    if (peer !== undefined) parts.push(`${peer.name} ${short(median(peer.values))}`);
    if (ratio !== undefined) parts.push(`ratio ${short(ratio)}`);
    if (target !== undefined) parts.push(`target ${limit(figure, target)}`);
    if (typeof ratioTarget === "number") parts.push(`wanted ratio ${limit(figure, ratioTarget)}`);
    return [`${parts.join(", ")} (${faults.join(", ")})`];
  });
}

export function renderSection(section: Section, about: string): string {
  const lines = [`## ${section.title}`, "", about, ""];
  const faults = faultLines(section);
  if (faults.length > 0)
    lines.push("Worse or missed:", "", ...faults.map((line) => `- ${line}`), "");
  if (section.figures.length > 0) lines.push(...renderTable(figureTable(section.figures)), "");
  for (const table of section.tables) {
    lines.push(`**${table.title}**`, "", ...renderTable(table), "");
  }
  lines.push(...section.notes.map((note) => `- ${note}`));
  return `${lines.join("\n").trimEnd()}\n`;
}

function figureTable(figures: readonly Figure[]): Omit<Table, "title"> {
  const judged = figures.map(judge);
  const bad = judged.filter(({ faults }) => faults.length > 0);
  const good = judged.filter(({ faults }) => faults.length === 0);
  return {
    columns: ["what", "unit", "tsweave", "against", "ratio", "target", ""],
    rows: [...bad, ...good].map(({ figure, ratio, faults }) => [
      figure.what,
      figure.unit,
      spread(figure.ours),
      figure.peer === undefined ? "" : `${figure.peer.name} ${spread(figure.peer.values)}`,
      ratio === undefined ? "" : short(ratio),
      targetText(figure),
      faults.join(", ") || "ok",
    ]),
  };
}

function targetText(figure: Figure): string {
  const parts: string[] = [];
  if (figure.target !== undefined) parts.push(limit(figure, figure.target));
  if (typeof figure.ratioTarget === "number") {
    parts.push(`ratio ${limit(figure, figure.ratioTarget)}`);
  }
  return parts.join(", ");
}

function limit(figure: Figure, value: number): string {
  return `${figure.better === "lower" ? "≤" : "≥"}${value}`;
}

function renderTable({ columns, rows }: Omit<Table, "title">): string[] {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(columns), line(columns.map(() => "---")), ...rows.map(line)];
}
