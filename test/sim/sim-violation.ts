/** What a checker found: which law, where, and about which hosts, so that a picture can be cut. */

/** The laws of a simulated mesh; a failing life is shrunk as long as it breaks the same one. */
export const LAWS = {
  address: "no address runs or is leased at two hosts",
  announced: "whom an announcement counts has the row",
  told: "watchers are told each net change once",
  gone: "a value that went does not come back",
  kept: "what a daemon held when it was told to stop, it holds when it starts",
  alive: "nobody living is declared dead",
  packets: "a datagram fits, sealed as well",
  bounds: "what a process holds and has under way is bounded",
  refused: "no peer refuses what another one sent, and none fails inside",
  agreed: "all agree soon after everything is healed",
  equal: "equal digests mean tables that are equal byte for byte",
  truth: "the tables say what runs",
  thrown: "nothing throws",
} as const;
export type Law = keyof typeof LAWS;

export class Violation extends Error {
  readonly law: Law;
  /** Names of the hosts that it is about; none when it is about all. */
  readonly hosts: readonly string[];

  constructor(law: Law, text: string, hosts: readonly string[] = []) {
    super(text);
    this.name = "Violation";
    this.law = law;
    this.hosts = hosts;
  }
}

/** Whatever was thrown, as a violation. */
export function asViolation(error: unknown): Violation {
  if (error instanceof Violation) return error;
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return new Violation("thrown", text);
}

/** Throws unless `holds`. */
export function lawful(holds: boolean, law: Law, text: string, hosts?: readonly string[]): void {
  if (!holds) throw new Violation(law, text, hosts);
}
