/**
 * What JSON looks like, said once: as a TypeScript type that the compiler holds against the code,
 * and as a JSON Schema that `tsweave schema` prints.
 *
 * Law: published schemas leave room for fields that are added later; what is there now is required.
 */

export type JsonSchema = Readonly<Record<string, unknown>>;

export interface Shape<T> {
  readonly json: JsonSchema;
  /** Never there: it carries the type. */
  readonly value?: T;
}

export type TypeOf<S> = S extends Shape<infer T> ? T : never;
type Fields = Readonly<Record<string, Shape<unknown>>>;

export const text: Shape<string> = { json: { type: "string" } };
export const flag: Shape<boolean> = { json: { type: "boolean" } };
export const number: Shape<number> = { json: { type: "number" } };
export const integer: Shape<number> = { json: { type: "integer" } };
/** An object with any fields. */
export const open: Shape<object> = { json: { type: "object" } };

/** One of these words. */
export function word<const Words extends readonly string[]>(...words: Words): Shape<Words[number]> {
  return { json: { enum: words } };
}

export function orNull<T>({ json }: Shape<T>): Shape<T | null> {
  return { json: { anyOf: [json, { type: "null" }] } };
}

export function list<T>({ json }: Shape<T>): Shape<readonly T[]> {
  return { json: { type: "array", items: json } };
}

/** An object with exactly these fields today. */
export function record<const F extends Fields>(
  fields: F,
): Shape<{ readonly [Name in keyof F]: TypeOf<F[Name]> }> {
  const properties = Object.fromEntries(
    Object.entries(fields).map(([name, { json }]) => [name, json]),
  );
  return { json: { type: "object", properties, required: Object.keys(fields) } };
}

/** The fields of an object, to be part of another one. */
export function fieldsOf<T>(shape: Shape<T>): { readonly [Name in keyof T]: Shape<T[Name]> } {
  const { properties } = shape.json as {
    readonly properties: Readonly<Record<string, JsonSchema>>;
  };
  const fields = Object.entries(properties).map(([name, json]) => [name, { json }]);
  return Object.fromEntries(fields);
}

type Same<A, B> = [A, B] extends [B, A] ? unknown : { readonly differsFrom: B };

/** The shape, which must be that of `T`: neither may have what the other lacks. */
export function exactly<T>(): <S>(shape: Shape<S> & Same<S, T>) => Shape<T> {
  return (shape) => ({ json: shape.json });
}
