/** LONG_RUN=1: also what would make `npm test` too long. */
export const LONG = process.env.LONG_RUN === "1";

/** The `skip` of a test that only runs then: false, or what to set. */
export const UNLESS_LONG = LONG ? false : "LONG_RUN=1";
