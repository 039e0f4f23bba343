/**
 * Holds a value against a JSON Schema as tsweave publishes them.
 *
 * Stricter than a reader should be: a field that the schema does not name is a fault here, because
 * it was added without being published.
 */

type Json = Readonly<Record<string, unknown>>;

const KNOWN = new Set([
  ...["$schema", "title", "type", "enum", "const", "items", "properties", "required", "anyOf"],
  "additionalProperties",
]);

/** What does not fit, each with its place; a schema with an unknown keyword throws. */
export function misfits(schema: Json, value: unknown, place = "$"): string[] {
  const odd = Object.keys(schema).filter((key) => !KNOWN.has(key));
  if (odd.length > 0) throw new Error(`${place}: the check does not know ${odd.join(", ")}`);
  if (Array.isArray(schema.anyOf)) return ofAny(schema.anyOf as Json[], value, place);
  if ("const" in schema && value !== schema.const) return [`${place}: not ${schema.const}`];
  if (Array.isArray(schema.enum) && !schema.enum.includes(value)) {
    return [`${place}: ${JSON.stringify(value)} is none of ${schema.enum.join(", ")}`];
  }
  if (!isOfType(schema.type, value)) {
    return [`${place}: ${JSON.stringify(value)?.slice(0, 60)} is not of type ${schema.type}`];
  }
  if (Array.isArray(value)) {
    return value.flatMap((one, at) =>
      misfits((schema.items ?? {}) as Json, one, `${place}[${at}]`),
    );
  }
  return schema.properties === undefined ? [] : ofObject(schema, value as Json, place);
}

function ofAny(schemas: readonly Json[], value: unknown, place: string): string[] {
  const tries = schemas.map((one) => misfits(one, value, place));
  if (tries.some((found) => found.length === 0)) return [];
  // The one that came farthest explains best.
  return tries.reduce((best, found) => (depth(found) > depth(best) ? found : best));
}

const depth = ([first = ""]: readonly string[]): number => first.split(":")[0]?.length ?? 0;

function ofObject(
  { properties, required, additionalProperties }: Json,
  value: Json,
  place: string,
): string[] {
  const fields = properties as Readonly<Record<string, Json>>;
  const missing = (required as string[]).filter((name) => !(name in value));
  const isOpen = additionalProperties === true;
  const surplus = Object.keys(value).filter((name) => !isOpen && !(name in fields));
  return [
    ...missing.map((name) => `${place}.${name}: is missing`),
    ...surplus.map((name) => `${place}.${name}: is not published`),
    ...Object.entries(fields).flatMap(([name, schema]) =>
      name in value ? misfits(schema, value[name], `${place}.${name}`) : [],
    ),
  ];
}

function isOfType(type: unknown, value: unknown): boolean {
  if (type === undefined) return true;
  if (type === "array") return Array.isArray(value);
  if (type === "null") return value === null;
  if (type === "integer") return Number.isSafeInteger(value);
  if (type === "object")
    return typeof value === "object" && value !== null && !Array.isArray(value);
  return typeof value === type;
}
