/**
 * What was told to `launch`, by whom: defaults < configuration file < environment < flags.
 *
 * Law: every setting keeps the name of where it came from, so that an error points at the line to
 * change. Unknown fields are refused, never ignored.
 */
import { readFileSync } from "node:fs";
import { messageOf, TsweaveError } from "../mesh/index.ts";
import { isRecord } from "./control/error-body.ts";
import { environmentName, LAUNCH_OPTIONS, NOT_IN_FILE } from "./launch-options.ts";
import { suggest } from "./suggestion.ts";

/** A text that somebody wrote and where, e.g. `--port` or `TSWEAVE_PORT`. */
export interface Setting {
  readonly text: string;
  readonly source: string;
}

export interface Settings {
  readonly peers: readonly Setting[];
  /** By option name; a switch that is on has the text `true`. */
  readonly values: ReadonlyMap<string, Setting>;
}

export interface Given {
  readonly options: Readonly<Record<string, string | true>>;
  readonly positionals: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** One layer of settings; `peers` is undefined where the layer names none. */
interface Layer {
  readonly peers: readonly Setting[] | undefined;
  readonly values: ReadonlyMap<string, Setting>;
}

/** All settings by precedence. @throws TsweaveError CONFIG. */
export function gather(given: Given): Settings {
  const flags = fromFlags(given);
  const environment = fromEnvironment(given.env);
  const config = flags.values.get("config") ?? environment.values.get("config");
  const file = config === undefined ? undefined : fromFile(config.text);
  return {
    peers: flags.peers ?? environment.peers ?? file?.peers ?? [],
    values: new Map([...(file?.values ?? []), ...environment.values, ...flags.values]),
  };
}

function fromFlags({ options, positionals }: Given): Layer {
  const values = Object.entries(options).map(
    ([name, value]) => [name, { text: String(value), source: `--${name}` }] as const,
  );
  const peers = positionals.map((text) => ({ text, source: "PEER" }));
  return { values: new Map(values), peers: peers.length === 0 ? undefined : peers };
}

function fromEnvironment(env: Given["env"]): Layer {
  const values = new Map<string, Setting>();
  for (const { name, value } of LAUNCH_OPTIONS) {
    const source = environmentName(name);
    const text = env[source] ?? "";
    if (text === "") continue;
    values.set(name, { source, text: value === undefined ? switchText(source, text) : text });
  }
  const source = environmentName("peers");
  const words = (env[source] ?? "").split(/[\s,]+/).filter((word) => word !== "");
  const peers = words.map((text) => ({ text, source }));
  return { values, peers: peers.length === 0 ? undefined : peers };
}

function switchText(source: string, text: string): string {
  if (["1", "true", "yes"].includes(text.toLowerCase())) return "true";
  if (["0", "false", "no"].includes(text.toLowerCase())) return "false";
  throw new TsweaveError("CONFIG", `${source}: '${text.slice(0, 64)}' is neither 1 nor 0`, {
    hint: "write 1 to switch it on, or unset it",
  });
}

function fromFile(path: string): Layer {
  const fields = readObject(path);
  const values = new Map<string, Setting>();
  let peers: Setting[] | undefined;
  for (const [field, value] of Object.entries(fields)) {
    const source = `${path}: ${field}`;
    if (field === "peers") peers = peersField(source, value);
    else values.set(field, { source, text: fieldText(path, field, value) });
  }
  return { values, peers };
}

function readObject(path: string): Readonly<Record<string, unknown>> {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new TsweaveError("CONFIG", `the configuration cannot be read: ${messageOf(error)}`, {
      hint: "check --config",
      cause: error,
    });
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new TsweaveError("CONFIG", `${path} is not JSON: ${messageOf(error)}`, {
      hint: 'write an object such as {"name": "host1", "peers": ["192.168.48.12"]}',
      cause: error,
    });
  }
  if (isRecord(parsed)) return parsed;
  throw new TsweaveError("CONFIG", `${path} does not hold a JSON object`, {
    hint: 'write {"name": "host1", "peers": ["192.168.48.12"]}',
  });
}

function fieldText(path: string, field: string, value: unknown): string {
  const known = LAUNCH_OPTIONS.filter(({ name }) => !NOT_IN_FILE.includes(name));
  const option = known.find(({ name }) => name === field);
  if (option === undefined) {
    const names = ["peers", ...known.map(({ name }) => name)];
    throw new TsweaveError("CONFIG", `${path}: unknown field '${field.slice(0, 64)}'`, {
      hint: suggest(field, names, "fields are named like the options in 'tsweave help launch'"),
    });
  }
  const isSwitch = option.value === undefined;
  if (isSwitch && typeof value === "boolean") return String(value);
  if (!isSwitch && (typeof value === "string" || typeof value === "number")) return String(value);
  throw new TsweaveError("CONFIG", `${path}: field '${field}' has the wrong type`, {
    hint: isSwitch ? "write true or false" : "write a string or a number",
  });
}

function peersField(source: string, value: unknown): Setting[] {
  const list = Array.isArray(value) ? (value as unknown[]) : [undefined];
  return list.map((item) => {
    if (typeof item === "string") return { source, text: item };
    throw new TsweaveError("CONFIG", `${source} is not a list of strings`, {
      hint: 'write ["192.168.48.12", "host3:6783"]',
    });
  });
}
