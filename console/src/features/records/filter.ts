/** Which rows are shown. It stands in the URL. */
import type { Row } from './entry';

export interface Filter {
  app?: string | undefined;
  gateway?: string | undefined;
  server?: string | undefined;
  end?: string | undefined;
  q?: string | undefined;
}

/** What one can filter by, as far as it has been seen. */
export interface Facets {
  app: string[];
  gateway: string[];
  server: string[];
  end: string[];
}

/** The `end` of calls that are under way. */
export const UNDER_WAY = 'under_way';

/** Notes are always shown: a filter must not hide that something is missing. */
export function matches(row: Row, filter: Filter): boolean {
  if (row.type === 'note') return true;
  const wanted = filter.q?.trim().toLowerCase() ?? '';
  if (row.type === 'act') {
    const isFiltered = filter.app || filter.gateway || filter.server || filter.end;
    return !isFiltered && `${row.actor} ${row.subject}`.toLowerCase().includes(wanted);
  }
  const end = row.end || UNDER_WAY;
  return (
    (!filter.app || row.app === filter.app) &&
    (!filter.gateway || row.gateway === filter.gateway) &&
    (!filter.server || row.server === filter.server) &&
    (!filter.end || end === filter.end) &&
    `${row.app} ${row.gateway} ${row.server} ${row.subject} ${end}`.toLowerCase().includes(wanted)
  );
}

/** What is chosen stays on offer, also when no row has it any more. */
export function facetsOf(rows: readonly Row[], filter: Filter): Facets {
  const app = new Set(filter.app ? [filter.app] : []);
  const gateway = new Set(filter.gateway ? [filter.gateway] : []);
  const server = new Set(filter.server ? [filter.server] : []);
  const end = new Set(filter.end ? [filter.end] : []);
  for (const row of rows) {
    if (row.type !== 'call') continue;
    app.add(row.app);
    gateway.add(row.gateway);
    server.add(row.server);
    end.add(row.end || UNDER_WAY);
  }
  return { app: listed(app), gateway: listed(gateway), server: listed(server), end: listed(end) };
}

function listed(values: Set<string>): string[] {
  return [...values].filter(Boolean).toSorted();
}
