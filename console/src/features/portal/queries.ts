import { type InfiniteData, infiniteQueryOptions, queryOptions } from '@tanstack/react-query';

import { api, everyPage, type Schemas, take } from '@/api/client';

export type OwnGateway = Schemas['OwnGatewayBody'];
export type OwnServer = Schemas['OwnServerBody'];
export type OwnCall = Schemas['OwnCallBody'];
export type Outcome = OwnCall['outcome'];
type OwnCalls = Schemas['OwnCallsBody'];
type Pages = InfiniteData<OwnCalls, string | undefined>;

/** Of what one calls: which gateway, and how it has ended. Both stand in the address. */
export interface OwnSearch {
  gateway?: string | undefined;
  outcome?: Outcome | undefined;
}

export const OUTCOMES = ['answered', 'denied', 'error', 'failed', 'cancelled'] as const;

export function readOwnSearch(search: Record<string, unknown>): OwnSearch {
  const { gateway, outcome } = search;
  return {
    gateway: typeof gateway === 'string' && gateway !== '' ? gateway : undefined,
    outcome: OUTCOMES.find((it) => it === outcome),
  };
}

/** Not all of what is in one's way is told of where it changes, so it is asked for again. */
const REFRESH_MS = 15_000;
/** Calls are no changes, so nobody tells of them. The log is read for each question. */
const CALLS_MS = 15_000;

const W = '/api/v1/workspaces/{workspace}';

export function ownGatewaysQuery(workspace: string) {
  return queryOptions({
    queryKey: ['workspace', workspace, 'me', 'gateways'],
    queryFn: ({ signal }) =>
      everyPage((query) =>
        take(api.GET(`${W}/me/gateways`, { params: { path: { workspace }, query }, signal })),
      ),
    refetchInterval: REFRESH_MS,
  });
}

export function ownAppsQuery(workspace: string) {
  return queryOptions({
    queryKey: ['workspace', workspace, 'me', 'apps'],
    queryFn: ({ signal }) =>
      everyPage((query) =>
        take(api.GET(`${W}/me/apps`, { params: { path: { workspace }, query }, signal })),
      ),
    refetchInterval: REFRESH_MS,
  });
}

export function ownIdentitiesQuery(workspace: string) {
  return queryOptions({
    queryKey: ['workspace', workspace, 'me', 'identities'],
    queryFn: ({ signal }) =>
      everyPage((query) =>
        take(api.GET(`${W}/me/identities`, { params: { path: { workspace }, query }, signal })),
      ),
    refetchInterval: REFRESH_MS,
  });
}

interface Asked extends OwnSearch {
  from?: string;
  cursor?: string;
  limit?: number;
}

function askCalls(workspace: string, asked: Asked, signal: AbortSignal): Promise<OwnCalls> {
  const given = Object.entries(asked).filter(([, it]) => it !== undefined);
  const query = Object.fromEntries(given);
  return take(api.GET(`${W}/me/calls`, { params: { path: { workspace }, query }, signal }));
}

/** What has been called so far. What is new comes by {@link newCallsQuery}. */
export function ownCallsQuery(workspace: string, { gateway, outcome }: OwnSearch) {
  return infiniteQueryOptions({
    queryKey: ['workspace', workspace, 'me', 'calls', { gateway, outcome }],
    queryFn: ({ signal, pageParam: cursor }) =>
      askCalls(
        workspace,
        { gateway, outcome, ...(cursor === undefined ? {} : { cursor }) },
        signal,
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next_cursor ?? undefined,
    refetchOnWindowFocus: false,
  });
}

/** Looks for what has been called since, and puts it before the rest. */
export function newCallsQuery(workspace: string, search: OwnSearch) {
  const { queryKey } = ownCallsQuery(workspace, search);
  return queryOptions({
    queryKey: [...queryKey, 'new'],
    queryFn: async ({ client, signal }) => {
      const from = newestOf(client.getQueryData<Pages>(queryKey));
      const asked = { ...search, ...(from === undefined ? {} : { from }) };
      const found = await askCalls(workspace, asked, signal);
      const known = client.getQueryData<Pages>(queryKey);
      const data = known && withNew(known, found);
      if (data === null) await client.resetQueries({ queryKey, exact: true });
      else if (data !== known) client.setQueryData<Pages>(queryKey, data);
      return found.items.length;
    },
    // The page has just been asked for.
    initialData: 0,
    staleTime: CALLS_MS,
    refetchInterval: CALLS_MS,
    refetchOnWindowFocus: false,
  });
}

function newestOf(data: Pages | undefined): string | undefined {
  return data?.pages.flatMap((it) => it.items)[0]?.ended_at;
}

/** With what is new before the rest; `null` where there may be more between them. */
export function withNew(data: Pages, found: OwnCalls): Pages | null {
  const known = new Set(data.pages.flatMap((it) => it.items).map(keyOf));
  const items = found.items.filter((it) => !known.has(keyOf(it)));
  const [first, ...rest] = data.pages;
  if (items.length === 0 || !first) return data;
  if (found.next_cursor) return null;
  return { ...data, pages: [{ ...first, items: [...items, ...first.items] }, ...rest] };
}

export function keyOf(call: OwnCall): string {
  return call.id ?? call.ended_at;
}

/** Whether it was let in: what is refused before has taken no time. */
export function hasBegun(call: OwnCall): boolean {
  return typeof call.took_ms === 'number';
}

/** The first that is seen to have been let in at a gateway since a time; until then the newest one. */
export function arrivalQuery(workspace: string, gateway: string, since: string) {
  const queryKey = ['workspace', workspace, 'me', 'arrival', gateway, since];
  return queryOptions({
    queryKey,
    queryFn: async ({ client, signal }) => {
      const seen = client.getQueryData<OwnCall | null>(queryKey) ?? null;
      if (seen && hasBegun(seen)) return seen;
      const asked = { gateway, from: seen?.ended_at ?? since };
      const { items } = await askCalls(workspace, asked, signal);
      return items.findLast(hasBegun) ?? items[0] ?? seen;
    },
    refetchInterval: ({ state: { data } }) => (data && hasBegun(data) ? false : CALLS_MS),
  });
}
