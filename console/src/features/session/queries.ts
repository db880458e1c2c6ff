import { queryOptions, useMutation, useQueryClient } from '@tanstack/react-query';

import { api, type Schemas, take } from '@/api/client';

export type Session = Schemas['SessionBody'];

/** Who is signed in. The cookie is for the gateway alone: no script can read it. */
export const sessionQuery = queryOptions({
  queryKey: ['session'],
  queryFn: ({ signal }) => take(api.GET('/api/v1/session', { signal })),
  staleTime: 60_000,
  retry: false,
});

export function useSignIn() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (token: string) => take(api.POST('/api/v1/session', { body: { token } })),
    onSuccess: (session) => {
      // What someone else has seen before is not theirs to see.
      queries.clear();
      queries.setQueryData(sessionQuery.queryKey, session);
    },
  });
}

export function useSignOut() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: () => take(api.DELETE('/api/v1/session')),
    onSuccess: () => queries.clear(),
  });
}
