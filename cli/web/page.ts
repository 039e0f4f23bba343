/**
 * The map's page and the headers it is served with.
 *
 * Law: the page runs the one script and the one style that are in it, by their hashes, talks to
 * this listener alone, and cannot turn text into HTML at all (trusted types with no policy).
 */
import { createHash } from "node:crypto";
import { pageSource } from "./page-source.ts";

export interface Page {
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

let held: Page | undefined;

/** The page, put together once. */
export function mapPage(): Page {
  held ??= pageWith(pageSource());
  return held;
}

function pageWith(body: string): Page {
  const headers = {
    "content-security-policy": policyFor(body),
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
  };
  return { body, headers };
}

/** The least that this HTML needs. */
export function policyFor(html: string): string {
  return [
    "default-src 'none'",
    `script-src ${hashes(html, "script")}`,
    `style-src ${hashes(html, "style")}`,
    "img-src data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join("; ");
}

function hashes(html: string, element: "script" | "style"): string {
  const inside = html.matchAll(new RegExp(`<${element}>([\\s\\S]*?)</${element}>`, "g"));
  const found = [...inside].map(([, text = ""]) => {
    return `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
  });
  return found.length === 0 ? "'none'" : found.join(" ");
}
