/** What `npm audit --json` said: findings, none, or that nobody could be asked. Pure. */

export type AuditVerdict =
  | { readonly kind: "clean"; readonly packages: number }
  | { readonly kind: "found"; readonly packages: readonly string[] }
  | { readonly kind: "skipped"; readonly reason: string };

/** Severities that fail a build; lower ones are told. */
const FAILING = new Set(["high", "critical"]);

/** Reads a report. Whatever is no report is the reason why there was no audit. */
export function auditVerdict(text: string): AuditVerdict {
  const report = objectOf(parsed(text));
  const found = objectOf(report?.vulnerabilities);
  if (report === undefined || found === undefined) {
    const said = report?.message ?? objectOf(report?.error)?.summary;
    const reason = typeof said === "string" && said !== "" ? said : "npm audit gave no report";
    return { kind: "skipped", reason };
  }
  const failing = Object.entries(found).flatMap(([name, finding]) => {
    const severity = objectOf(finding)?.severity;
    return typeof severity === "string" && FAILING.has(severity) ? [`${name} (${severity})`] : [];
  });
  if (failing.length > 0) return { kind: "found", packages: failing };
  const counts = objectOf(objectOf(report.metadata)?.dependencies);
  return { kind: "clean", packages: typeof counts?.total === "number" ? counts.total : 0 };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function objectOf(value: unknown): Record<string, unknown> | undefined {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  return isObject ? (value as Record<string, unknown>) : undefined;
}
