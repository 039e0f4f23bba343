/**
 * Remembers what was made of a value for as long as that value is held. Rows are looked at with
 * every change of the mesh, and are changed seldom.
 *
 * Law: only for pure functions of values that nobody changes; what throws is not remembered.
 */

/** `read` with a memory by identity; values that are no objects are read each time. */
export function once<From, To>(read: (value: From) => To): (value: From) => To {
  /** BOUNDED: an entry goes with its value. */
  const known = new WeakMap<object, To>();
  return (value) => {
    if (typeof value !== "object" || value === null) return read(value);
    const before = known.get(value);
    if (before !== undefined) return before;
    const made = read(value);
    known.set(value, made);
    return made;
  };
}
