import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query';

import { api, everyPage, type Schemas, take } from '@/api/client';

export type OwnGateway = Schemas['OwnGatewayBody'];
export type OwnServer = Schemas['OwnServerBody'];
export type OwnCall = Schemas['OwnCallBody'];
export type Outcome = OwnCall['outcome'];

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
/** Calls are no changes, so nobody tells of them. */
const CALLS_MS = 5_000;
/** Whoever waits for a client looks at it. */
const WAITING_MS = 2_000;

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

export function ownCallsQuery(workspace: string, { gateway, outcome }: OwnSearch) {
  return infiniteQueryOptions({
    queryKey: ['workspace', workspace, 'me', 'calls', { gateway, outcome }],
    queryFn: ({ signal, pageParam }) => {
      const query = {
        ...(gateway === undefined ? {} : { gateway }),
        ...(outcome === undefined ? {} : { outcome }),
        ...(pageParam === undefined ? {} : { cursor: pageParam }),
      };
      return take(api.GET(`${W}/me/calls`, { params: { path: { workspace }, query }, signal }));
    },
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next_cursor ?? undefined,
    // Whoever has looked further back reads, and what is new can wait.
    refetchInterval: ({ state }) => (state.data?.pages.length === 1 ? CALLS_MS : false),
  });
}

/** The newest call at a gateway since a time. */
export function newestCallQuery(workspace: string, gateway: string, since: string) {
  return queryOptions({
    queryKey: ['workspace', workspace, 'me', 'newest', gateway, since],
    queryFn: async ({ signal }) => {
      const query = { gateway, from: since, limit: 1 };
      const path = { workspace };
      const found = await take(api.GET(`${W}/me/calls`, { params: { path, query }, signal }));
      return found.items[0] ?? null;
    },
    refetchInterval: WAITING_MS,
  });
}
