/**
 * Text without secrets. Pure.
 *
 * Law: nothing that was named as a secret leaves this host, whoever wrote it where; better too much
 * is blackened than too little.
 */

const MARK = "[redacted]";
/** A name that speaks of a secret, and its value. */
const NAME = "pass(?:word|wd|phrase)?|secret|token|psk|authorization|api[-_]?key";
const VALUE = `"[^"]*"|'[^']*'|[^\\s,;}"']+`;
const NAMED = new RegExp(`((?:${NAME})["']?\\s*[:=]\\s*)(${VALUE})`, "gi");
/** Where a path is named, it is what helps; what is in it is never read. */
const PATHS = /(password[-_]file["']?\s*[:=]?\s*)\S+/gi;

/** Blackens the given words, and what follows a name such as `password=`. */
export function redacted(text: string, secrets: readonly string[]): string {
  let clean = text;
  for (const secret of secrets) {
    if (secret === "") continue;
    clean = clean.replaceAll(secret, MARK).replaceAll(JSON.stringify(secret).slice(1, -1), MARK);
  }
  return clean.replace(PATHS, `$1${MARK}`).replace(NAMED, `$1${MARK}`);
}
