/** Files as a tar archive in POSIX ustar form. Pure. */

export interface TarFile {
  /** Relative path, at most 100 bytes. */
  readonly path: string;
  readonly text: string;
}

const BLOCK = 512;

/** The archive's bytes; every file is root's and readable to it alone. */
export function tarOf(files: readonly TarFile[], mtimeSeconds: number): Buffer {
  const blocks = files.flatMap(({ path, text }) => {
    const body = Buffer.from(text, "utf8");
    const padding = Buffer.alloc((BLOCK - (body.length % BLOCK)) % BLOCK);
    return [header(path, body.length, mtimeSeconds), body, padding];
  });
  return Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK)]);
}

function header(path: string, size: number, mtimeSeconds: number): Buffer {
  if (Buffer.byteLength(path) > 100) throw new RangeError(`${path} is too long for an archive`);
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, width: number): string => value.toString(8).padStart(width, "0");
  block.write(path, 0);
  block.write(`${octal(0o600, 7)}\0${octal(0, 7)}\0${octal(0, 7)}\0`, 100);
  block.write(`${octal(size, 11)}\0${octal(Math.floor(mtimeSeconds), 11)}\0`, 124);
  block.write("        0", 148);
  block.write("ustar\u000000", 257);
  block.write("root", 265);
  block.write("root", 297);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${octal(sum, 6)}\0 `, 148);
  return block;
}
