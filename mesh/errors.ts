/**
 * The one error type and the one list of its codes, so that every failure a person can meet says
 * what was wrong and which command helps, and maps to one documented exit code.
 */

/** Exit codes people and scripts rely on. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  notRunning: 3,
  degraded: 4,
  notFound: 5,
  timedOut: 6,
} as const;

/** Every error code with the exit code it leads to. */
const EXIT_BY_CODE = {
  USAGE: EXIT.usage,
  CONFIG: EXIT.usage,
  SUBNET_OVERLAP: EXIT.usage,
  NOT_RUNNING: EXIT.notRunning,
  NOT_FOUND: EXIT.notFound,
  TIMED_OUT: EXIT.timedOut,
  ALREADY_RUNNING: EXIT.failed,
  STATE_CORRUPT: EXIT.failed,
  STATE_VERSION: EXIT.failed,
  STATE_UNWRITABLE: EXIT.failed,
  PORT_IN_USE: EXIT.failed,
  NOT_ROOT: EXIT.failed,
  KERNEL_LACKS: EXIT.failed,
  TOOL_MISSING: EXIT.failed,
  DOCKER_UNREACHABLE: EXIT.failed,
  DOCKER_REFUSED: EXIT.failed,
  COMMAND_FAILED: EXIT.failed,
  BAD_MESSAGE: EXIT.failed,
  PEER_UNREACHABLE: EXIT.failed,
  NO_ADDRESS: EXIT.failed,
  ADDRESS_TAKEN: EXIT.failed,
  POOL_CONFLICT: EXIT.failed,
  NOT_FOUNDED: EXIT.failed,
  NO_MAJORITY: EXIT.failed,
  BAD_REQUEST: EXIT.failed,
  CANCELLED: EXIT.failed,
  INTERNAL: EXIT.failed,
} as const;

export type ErrorCode = keyof typeof EXIT_BY_CODE;

/** Every code, as the manual lists them. */
export const ERROR_CODES = Object.keys(EXIT_BY_CODE) as readonly ErrorCode[];

/** Whether a text from outside is one of the codes. */
export function isErrorCode(text: unknown): text is ErrorCode {
  return ERROR_CODES.some((code) => code === text);
}

/** An expected failure: `message` says what and where, `hint` the command or change that helps. */
export class TsweaveError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = "TsweaveError";
    this.code = code;
    this.hint = options.hint;
  }

  /** The process exit code this error leads to. */
  get exitCode(): number {
    return EXIT_BY_CODE[this.code];
  }

  /** One line for people: the message and, after a semicolon, the hint. */
  get line(): string {
    return this.hint === undefined ? this.message : `${this.message}; ${this.hint}`;
  }
}

/** The message of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Any thrown thing as a TsweaveError, keeping one that already is. */
export function asTsweaveError(error: unknown): TsweaveError {
  return error instanceof TsweaveError
    ? error
    : new TsweaveError("INTERNAL", messageOf(error), { cause: error });
}
