/** What the figures were measured on: without it no figure can be compared with another. */
import { readFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg, release, totalmem } from "node:os";

/** One line: date, cores, memory, kernel, Node, load at this moment. */
export function machineLine(): string {
  const gib = (totalmem() / 2 ** 30).toFixed(0);
  const model = cpus()[0]?.model.trim() ?? "unknown processor";
  const kernel = release().split("-")[0];
  const load = loadavg()[0]?.toFixed(2);
  return [
    new Date().toISOString().slice(0, 10),
    `${availableParallelism()} cores (${model})`,
    `${gib} GiB`,
    `Linux ${kernel}`,
    systemName(),
    `Node ${process.versions.node}`,
    `load at start ${load}`,
  ].join(" · ");
}

function systemName(): string {
  try {
    const text = readFileSync("/etc/os-release", "utf8");
    return /^PRETTY_NAME="?([^"\n]*)/m.exec(text)?.[1] ?? "Linux";
  } catch {
    return "Linux";
  }
}
