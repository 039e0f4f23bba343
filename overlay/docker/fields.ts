/**
 * Readers of untrusted JSON objects: each names the path and what was expected, so that a refused
 * call can be understood from the line Docker shows.
 */
import { TsweaveError } from "../../mesh/index.ts";

/** A JSON object whose fields are read one by one, with the path that led to it. */
export interface Fields {
  readonly path: string;
  readonly values: Readonly<Record<string, unknown>>;
}

const TEXT_MAX = 4096;
const ITEMS_MAX = 4096;

/** The fields of a JSON object. @throws TsweaveError BAD_REQUEST. */
export function fieldsOf(path: string, value: unknown): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return refuse(path, "an object");
  }
  return { path, values: value as Record<string, unknown> };
}

/** A field's value; null and absent are the same, as in Go's JSON. */
function fieldValue(fields: Fields, name: string): unknown {
  return Object.hasOwn(fields.values, name) ? (fields.values[name] ?? undefined) : undefined;
}

/** A string, empty when absent. */
export function text(fields: Fields, name: string): string {
  const value = fieldValue(fields, name) ?? "";
  if (typeof value !== "string" || value.length > TEXT_MAX) {
    return refuse(`${fields.path}.${name}`, `a string of at most ${TEXT_MAX} characters`);
  }
  return value;
}

/** An id the engine made: lower-case letters and digits, 20 to 64 of them. */
export function engineId(fields: Fields, name: string): string {
  const value = text(fields, name);
  return /^[0-9a-z]{20,64}$/.test(value) ? value : refuse(`${fields.path}.${name}`, "an id");
}

/** A boolean, false when absent; Docker sends some as text. */
export function flag(fields: Fields, name: string, otherwise = false): boolean {
  const value = fieldValue(fields, name) ?? otherwise;
  if (value === true || value === "true") return true;
  if (value === false || value === "false" || value === "") return false;
  return refuse(`${fields.path}.${name}`, "a boolean");
}

/** An object, without fields when absent. */
export function object(fields: Fields, name: string): Fields {
  const value = fieldValue(fields, name) ?? {};
  return fieldsOf(`${fields.path}.${name}`, value);
}

/** A list of objects, empty when absent. */
export function objects(fields: Fields, name: string): Fields[] {
  const value = fieldValue(fields, name) ?? [];
  const path = `${fields.path}.${name}`;
  if (!Array.isArray(value) || value.length > ITEMS_MAX) {
    return refuse(path, `a list of at most ${ITEMS_MAX} items`);
  }
  return value.map((item: unknown, at) => fieldsOf(`${path}[${at}]`, item));
}

/** A list of strings, empty when absent. */
export function texts(fields: Fields, name: string): string[] {
  const value = fieldValue(fields, name) ?? [];
  const path = `${fields.path}.${name}`;
  if (!Array.isArray(value) || value.length > ITEMS_MAX) {
    return refuse(path, `a list of at most ${ITEMS_MAX} items`);
  }
  return value.map((item: unknown, at) =>
    typeof item === "string" && item.length <= TEXT_MAX ? item : refuse(`${path}[${at}]`, "text"),
  );
}

/** Every field as text. */
export function textFields(fields: Fields): Map<string, string> {
  const names = Object.keys(fields.values);
  if (names.length > ITEMS_MAX) return refuse(fields.path, `at most ${ITEMS_MAX} fields`);
  return new Map(names.map((name) => [name, text(fields, name)]));
}

/** @throws TsweaveError BAD_REQUEST always. */
export function refuse(path: string, expected: string): never {
  throw new TsweaveError("BAD_REQUEST", `${path}: expected ${expected}`, {
    hint: "this does not come from a Docker Engine that tsweave knows",
  });
}
