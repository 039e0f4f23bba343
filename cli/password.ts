/**
 * The mesh's password: where it is read from, and how it stays unseen.
 *
 * Law: never on a command line, in a log, in an error or in an answer; not left in the environment
 * of what the daemon starts. A file that others can read is refused before anything is changed.
 */
import { closeSync, fstatSync, openSync, readFileSync, readSync } from "node:fs";
import { resolve } from "node:path";
import { inspect } from "node:util";
import { LIMITS, messageOf, TsweaveError } from "../mesh/index.ts";
import type { Setting } from "./settings.ts";

export const PASSWORD_VARIABLE = "TSWEAVE_PASSWORD";
/** Set for the daemon only: the password comes on standard input. */
export const HANDED_VARIABLE = "TSWEAVE_PASSWORD_HANDED";
const LENGTH_MIN = 12;
const HIDDEN = "[password]";

type Environment = Readonly<Record<string, string | undefined>>;

/** A text that no printing shows. */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return HIDDEN;
  }

  toJSON(): string {
    return HIDDEN;
  }

  [inspect.custom](): string {
    return HIDDEN;
  }
}

/**
 * The password that was told, undefined when none was: --password-file beats TSWEAVE_PASSWORD, and
 * that a file named in the configuration.
 * @throws TsweaveError CONFIG
 */
export function passwordOf(file: Setting | undefined, env: Environment): Secret | undefined {
  if (env[HANDED_VARIABLE] === "1") return checked(readFileSync(0), "the password handed over");
  const isFlag = file?.source.startsWith("--") === true;
  const told = env[PASSWORD_VARIABLE] ?? "";
  if (told === "" || isFlag) {
    return file === undefined ? undefined : readPasswordFile(file.text, file.source);
  }
  if (file?.source.startsWith("TSWEAVE_") === true) {
    throw new TsweaveError("CONFIG", `${file.source} and ${PASSWORD_VARIABLE} are both set`, {
      hint: "unset one of them",
    });
  }
  return checked(Buffer.from(told), PASSWORD_VARIABLE);
}

/** The environment for a process that gets the password on standard input, or not at all. */
export function withoutPassword(env: Environment): Record<string, string | undefined> {
  const { [PASSWORD_VARIABLE]: _told, [HANDED_VARIABLE]: _handed, ...rest } = env;
  return rest;
}

/** Takes the password out of this process's own environment, which its children inherit. */
export function forgetPassword(env: Record<string, string | undefined>): void {
  delete env[PASSWORD_VARIABLE];
  delete env[HANDED_VARIABLE];
}

function readPasswordFile(path: string, source: string): Secret {
  const name = `${source}: ${path}`;
  const full = resolve(path);
  let fd: number;
  try {
    fd = openSync(full, "r");
  } catch (error) {
    throw new TsweaveError("CONFIG", `${source}: ${messageOf(error)}`, {
      hint: "name a file that holds the mesh's password",
      cause: error,
    });
  }
  try {
    const status = fstatSync(fd);
    if (status.isDirectory()) throw wrong(`${name} is a directory`, "name a file");
    if ((status.mode & 0o077) !== 0) {
      const mode = (status.mode & 0o7777).toString(8).padStart(4, "0");
      throw wrong(`${name} is open to group or others (mode ${mode})`, `chmod 600 ${full}`);
    }
    return checked(readBounded(fd), name);
  } finally {
    closeSync(fd);
  }
}

/** One byte more than is allowed is enough to see that it is too long. */
function readBounded(fd: number): Buffer {
  const bytes = Buffer.alloc(LIMITS.passwordBytesMax + 3);
  let length = 0;
  for (;;) {
    const read = readSync(fd, bytes, length, bytes.length - length, null);
    length += read;
    if (read === 0 || length === bytes.length) return bytes.subarray(0, length);
  }
}

function checked(bytes: Uint8Array, name: string): Secret {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes).replace(/\r?\n$/, "");
  } catch (error) {
    throw new TsweaveError("CONFIG", `${name} is not text`, {
      hint: "write the password as one line of UTF-8",
      cause: error,
    });
  }
  if (/[\r\n\0]/.test(text)) throw wrong(`${name} has more than one line`, "keep the first alone");
  if (Buffer.byteLength(text) > LIMITS.passwordBytesMax) {
    throw wrong(`${name} is too long`, `use at most ${LIMITS.passwordBytesMax} bytes`);
  }
  if ([...text].length < LENGTH_MIN) {
    const hint = `use at least ${LENGTH_MIN} characters, such as from 'openssl rand -base64 24'`;
    throw wrong(`${name} is too short for a password`, hint);
  }
  return new Secret(text);
}

function wrong(text: string, hint: string): TsweaveError {
  return new TsweaveError("CONFIG", text, { hint });
}
