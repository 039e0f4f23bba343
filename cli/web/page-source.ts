/**
 * The page as one file without outside resources, put together from `page/`.
 *
 * The bundle holds the result in place of this module (test/lib/build.mjs), so esbuild is needed
 * only where the sources are.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";

const at = (name: string): string => fileURLToPath(new URL(`page/${name}`, import.meta.url));

/** HTML with its style and its script inside. */
export function pageSource(): string {
  const made = buildSync({
    entryPoints: [at("main.ts"), at("map.css")],
    outdir: "page",
    bundle: true,
    minify: true,
    write: false,
    target: ["chrome111", "firefox113", "safari16.4"],
    format: "iife",
    charset: "utf8",
  });
  const output = (ending: string): string =>
    made.outputFiles.find(({ path }) => path.endsWith(ending))?.text.trim() ?? "";
  return readFileSync(at("map.html"), "utf8")
    .replace("/* style */", () => output(".css"))
    .replace("/* script */", () => output(".js"));
}
