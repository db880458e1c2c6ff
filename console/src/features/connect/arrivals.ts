/** What the record says of a gateway since somebody waits for a client there. */
import type { Call, Row } from '@/features/records/entry';

export interface Arrivals {
  /** The newest call that was let in since then. */
  newest: Call | null;
  /** The newest one that was not, where none has been let in after it. */
  refused: Call | null;
  /** The last one before. */
  before: Call | null;
}

export function arrivalsOf(rows: readonly Row[], gateway: string, since: number): Arrivals {
  const found: Arrivals = { newest: null, refused: null, before: null };
  for (const row of rows) {
    if (row.type !== 'call' || row.gateway !== gateway) continue;
    if (row.at < since) {
      found.before = row;
    } else if (row.intent) {
      found.newest = row;
      found.refused = null;
    } else {
      found.refused = row;
    }
  }
  return found;
}
