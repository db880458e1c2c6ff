/** Names for the ids in records, as far as the reader may see them. A record itself has ids only. */
import { useQuery } from '@tanstack/react-query';

import { api, everyPage, take } from '@/api/client';

export type Names = ReadonlyMap<string, string>;

const NONE: Names = new Map();

/** Users and identities by id. Whoever may not list them sees ids. */
export function useNames(workspace: string): Names {
  const { data } = useQuery({
    queryKey: ['records', workspace, 'names'],
    queryFn: async ({ signal }) => {
      const params = { path: { workspace } };
      const [users, identities] = await Promise.allSettled([
        everyPage((query) =>
          take(
            api.GET('/api/v1/workspaces/{workspace}/users', {
              params: { ...params, query },
              signal,
            }),
          ),
        ),
        everyPage((query) =>
          take(
            api.GET('/api/v1/workspaces/{workspace}/identities', {
              params: { ...params, query },
              signal,
            }),
          ),
        ),
      ]);
      const names = new Map<string, string>();
      for (const answer of [users, identities]) {
        if (answer.status !== 'fulfilled') continue;
        for (const { id, name } of answer.value.items) names.set(id, name);
      }
      return names;
    },
    staleTime: 60_000,
    retry: false,
  });
  return data ?? NONE;
}
