import { queryOptions } from '@tanstack/react-query';

import { api, everyPage, type Schemas, take } from '@/api/client';

export type Workspace = Schemas['WorkspaceBody'];

export const workspacesQuery = queryOptions({
  queryKey: ['workspaces'],
  queryFn: ({ signal }) =>
    everyPage((query) => take(api.GET('/api/v1/workspaces', { params: { query }, signal }))),
  staleTime: 60_000,
});
