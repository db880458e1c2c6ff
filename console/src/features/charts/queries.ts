import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query';

import { api, type Schemas, take } from '@/api/client';
import { type CallSearch, type ChartSearch, PARTS, RANGES } from './search';

export type SeriesBody = Schemas['SeriesBody'];
export type CallBody = Schemas['CallBody'];

/** Calls are no changes, so nobody tells of them: they are asked for again; not while the page is hidden. */
const REFRESH_MS = 15_000;

/** Times are whole seconds, as addresses show them. */
function iso(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}

/** `back` is how many ranges before the last one. */
export function seriesQuery(workspace: string, search: ChartSearch, back = 0) {
  const { measure = 'calls', range = '24h', by, outcome } = search;
  const { seconds, step } = RANGES[range];
  return queryOptions({
    queryKey: ['workspace', workspace, 'series', { ...search, side: undefined, back }],
    queryFn: ({ signal }) => {
      // The first point is whole, and the last one is of now.
      const now = Date.now() - back * seconds * 1_000;
      const from = (Math.floor(now / 1_000 / step) - seconds / step + 1) * step;
      const times = { from: iso(from * 1_000), ...(back === 0 ? {} : { to: iso(now) }) };
      const query = { measure, step, ...times, ...only({ by, outcome }), ...partsOf(search) };
      return take(
        api.GET('/api/v1/workspaces/{workspace}/series', {
          params: { path: { workspace }, query },
          signal,
        }),
      );
    },
    refetchInterval: REFRESH_MS,
  });
}

/** The calls behind a point, as far as they have been looked for. */
export function callsQuery(workspace: string, search: CallSearch) {
  const { measure = 'calls', range = '24h', outcome, from, to } = search;
  return infiniteQueryOptions({
    queryKey: ['workspace', workspace, 'calls', search],
    queryFn: ({ signal, pageParam }) => {
      const since = from ?? iso(Date.now() - RANGES[range].seconds * 1_000);
      const query = {
        measure,
        from: since,
        limit: 100,
        ...only({ to, outcome, cursor: pageParam }),
        ...partsOf(search),
      };
      return take(
        api.GET('/api/v1/workspaces/{workspace}/records/calls', {
          params: { path: { workspace }, query },
          signal,
        }),
      );
    },
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next_cursor ?? undefined,
  });
}

function partsOf(search: ChartSearch) {
  return only(Object.fromEntries(PARTS.map((it) => [it, search[it]])));
}

/** Without what is absent. */
function only<T extends object>(of: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const known = Object.entries(of).filter(([, value]) => value !== undefined);
  return Object.fromEntries(known) as { [K in keyof T]?: Exclude<T[K], undefined> };
}
