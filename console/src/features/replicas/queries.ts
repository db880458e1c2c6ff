import { queryOptions } from '@tanstack/react-query';

import { api, everyPage, type Schemas, take } from '@/api/client';

export type Replica = Schemas['ReplicaBody'];

export const replicasQuery = queryOptions({
  queryKey: ['replicas'],
  queryFn: ({ signal }) =>
    everyPage((query) => take(api.GET('/api/v1/replicas', { params: { query }, signal }))),
  refetchInterval: 5_000,
});
