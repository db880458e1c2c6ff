import { queryOptions } from '@tanstack/react-query';

import { api, type Schemas, take } from '@/api/client';

export type Overview = Schemas['OverviewBody'];
export type Glance = Schemas['Glance'];

/** Calls are no changes, so nobody tells of them: they are asked for again; not while the page is hidden. */
const REFRESH_MS = 5_000;

export function overviewQuery(workspace: string) {
  return queryOptions({
    queryKey: ['workspace', workspace, 'overview'],
    queryFn: ({ signal }) =>
      take(
        api.GET('/api/v1/workspaces/{workspace}/overview', {
          params: { path: { workspace } },
          signal,
        }),
      ),
    refetchInterval: REFRESH_MS,
  });
}
