import { queryOptions } from '@tanstack/react-query';

import { api, everyPage, type Schemas, take } from '@/api/client';
import { listing } from '@/api/listing';

export type Allowance = Schemas['AllowanceText'];
export type Limit = Schemas['LimitBody'];
export type NewLimit = Schemas['NewLimit'];
export type Usage = Schemas['UsageBody'];

/** What is used changes by itself, so it is asked for again; not while the page is hidden. */
const REFRESH_MS = 5_000;

export function limitsQuery(workspace: string) {
  return listing<Limit>(['workspace', workspace, 'limits'], (query, signal) =>
    api.GET('/api/v1/workspaces/{workspace}/limits', {
      params: { path: { workspace }, query },
      signal,
    }),
  );
}

export function limitQuery(workspace: string, limit: string) {
  return queryOptions({
    queryKey: ['workspace', workspace, 'limits', limit],
    queryFn: ({ signal }) =>
      take(
        api.GET('/api/v1/workspaces/{workspace}/limits/{limit}', {
          params: { path: { workspace, limit } },
          signal,
        }),
      ),
  });
}

export function usageQuery(workspace: string, limit: string) {
  return queryOptions({
    queryKey: ['workspace', workspace, 'limits', limit, 'usage'],
    queryFn: ({ signal }) =>
      everyPage((query) =>
        take(
          api.GET('/api/v1/workspaces/{workspace}/limits/{limit}/usage', {
            params: { path: { workspace, limit }, query },
            signal,
          }),
        ),
      ),
    refetchInterval: REFRESH_MS,
  });
}
