/** What `tsweave reconcile` asks the daemon, and the answer. */

export interface ReconcileWish {
  readonly dryRun: boolean;
}

export interface ReconcileReply {
  readonly dryRun: boolean;
  /** Lines for ip, bridge and sysctl; a line with # says which tool and namespace follow. */
  readonly batch: readonly string[];
  /** Whether kernel and tables are equal now; of a dry run, whether they were. */
  readonly inSync: boolean;
  /** What still fails; null when nothing does, and of a dry run. */
  readonly error: string | null;
}
