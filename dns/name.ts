/**
 * Domain names: labels on the wire and the folded text that names are compared by.
 *
 * Law: a name from the wire is read in one pass of at most 255 bytes. Compression pointers are
 * refused where a name is read and end it where a name is skipped, so nothing can loop.
 */

/** Labels in wire order without the root, one character a byte (latin1), case as received. */
export type Labels = readonly string[];

/** Longest label and longest name on the wire, RFC 1035 §2.3.4. */
const LABEL_BYTES_MAX = 63;
const NAME_BYTES_MAX = 255;

/** The two high bits of a length byte that mark a compression pointer, RFC 1035 §4.1.4. */
const POINTER_BITS = 0xc0;

/** An uncompressed name at `offset` and where it ends; undefined when it is not one. */
export function readName(
  packet: Uint8Array,
  offset: number,
): { readonly labels: Labels; readonly end: number } | undefined {
  const labels: string[] = [];
  let at = offset;
  while (at - offset < NAME_BYTES_MAX) {
    const length = packet[at];
    if (length === undefined || length > LABEL_BYTES_MAX) return undefined;
    at += 1;
    if (length === 0) return { labels, end: at };
    if (at + length > packet.length) return undefined;
    labels.push(latin1(packet, at, at + length));
    at += length;
  }
  return undefined;
}

function latin1(packet: Uint8Array, start: number, end: number): string {
  return Buffer.from(packet.buffer, packet.byteOffset + start, end - start).toString("latin1");
}

/** Where the name at `offset` ends, compressed or not; undefined when it is cut off or bad. */
export function skipName(packet: Uint8Array, offset: number): number | undefined {
  let at = offset;
  while (at - offset < NAME_BYTES_MAX) {
    const length = packet[at];
    if (length === undefined) return undefined;
    if (length === 0) return at + 1;
    if ((length & POINTER_BITS) === POINTER_BITS) {
      return at + 2 <= packet.length ? at + 2 : undefined;
    }
    if (length > LABEL_BYTES_MAX) return undefined;
    at += 1 + length;
  }
  return undefined;
}

/** ASCII lower case, RFC 4343: other bytes keep their value. */
export function foldCase(text: string): string {
  return text.replace(/[A-Z]+/g, (run) => run.toLowerCase());
}

/**
 * Folded text of labels without a final dot. Dots, backslashes and unprintable bytes inside a
 * label are escaped as in a master file (RFC 1035 §5.1), so two names never share a key.
 */
export function nameKey(labels: Labels): string {
  return labels.map(keyOf).join(".");
}

/** Most labels need neither folding nor escaping: one look finds out. */
function keyOf(label: string): string {
  if (/^[a-z0-9_-]*$/.test(label)) return label;
  return foldCase(label).replace(/[^!-~]|[.\\]/g, escapeByte);
}

function escapeByte(character: string): string {
  if (character === "." || character === "\\") return `\\${character}`;
  return `\\${character.charCodeAt(0).toString().padStart(3, "0")}`;
}

/** Labels of a plain dotted name of printable ASCII; undefined when DNS cannot carry it. */
export function labelsOf(text: string): Labels | undefined {
  if (text === "" || !/^[!-[\]-~]+$/.test(text)) return undefined;
  const labels = text.split(".");
  if (labels.some((label) => label.length === 0 || label.length > LABEL_BYTES_MAX)) {
    return undefined;
  }
  return text.length + 2 <= NAME_BYTES_MAX ? labels : undefined;
}
