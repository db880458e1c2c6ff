/** Lists as the API pages them: each page is fetched when somebody comes near to it. */
import { type InfiniteData, infiniteQueryOptions } from '@tanstack/react-query';

import { take } from './client';

export interface PageOf<T> {
  items: T[];
  next_cursor?: string | null;
}

interface PageQuery {
  limit: number;
  cursor?: string;
}

type Answer<T> = Promise<{ data?: PageOf<T>; error?: unknown; response: Response }>;

const PAGE = 100;
/** What changes by itself is asked for again; not while the page is hidden. */
const REFRESH_MS = 5_000;
/** A list that somebody has scrolled far into is asked for again as a whole, so more rarely. */
const LONG_REFRESH_MS = 60_000;
const LONG_PAGES = 3;

export function listing<T>(
  queryKey: readonly string[],
  page: (query: PageQuery, signal: AbortSignal) => Answer<T>,
  { isMoving = false } = {},
) {
  return infiniteQueryOptions({
    queryKey: [...queryKey, 'list'],
    queryFn: ({ pageParam, signal }) => {
      const cursor = pageParam === undefined ? {} : { cursor: pageParam };
      return take(page({ limit: PAGE, ...cursor }, signal));
    },
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last: PageOf<T>) => last.next_cursor ?? undefined,
    refetchInterval: ({ state }) => {
      if (!isMoving) return false;
      return pagesOf(state.data) > LONG_PAGES ? LONG_REFRESH_MS : REFRESH_MS;
    },
  });
}

export type Listed<T> = ReturnType<typeof listing<T>>;

function pagesOf(data: InfiniteData<unknown> | undefined): number {
  return data?.pages.length ?? 0;
}
