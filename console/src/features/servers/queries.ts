import { queryOptions } from '@tanstack/react-query';

import { api, type Schemas, take } from '@/api/client';
import { listing } from '@/api/listing';

export type Server = Schemas['ServerBody'];

/** States change by themselves, so they are asked for again; not while the page is hidden. */
const REFRESH_MS = 5_000;

export function serversQuery(workspace: string) {
  return listing<Server>(
    ['workspace', workspace, 'servers'],
    (query, signal) =>
      api.GET('/api/v1/workspaces/{workspace}/servers', {
        params: { path: { workspace }, query },
        signal,
      }),
    { isMoving: true },
  );
}

export function serverQuery(workspace: string, server: string) {
  return queryOptions({
    queryKey: ['workspace', workspace, 'servers', server],
    queryFn: ({ signal }) =>
      take(
        api.GET('/api/v1/workspaces/{workspace}/servers/{server}', {
          params: { path: { workspace, server } },
          signal,
        }),
      ),
    refetchInterval: REFRESH_MS,
  });
}
