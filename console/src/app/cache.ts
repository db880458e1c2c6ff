/** The query cache: the only place where the console keeps what the gateway has said. */
import { QueryCache, QueryClient } from '@tanstack/react-query';

import { Failure } from '@/api/failure';
import { SIGNING_OUT } from '@/features/session/queries';

/** More attempts would only make the reader wait longer for the same sentence. */
const RETRIES = 2;

export function makeCache(onSignedOut: () => void): QueryClient {
  const queries: QueryClient = new QueryClient({
    queryCache: new QueryCache({
      onError: (error, query) => {
        const isSignedOut = error instanceof Failure && error.code === 'unauthenticated';
        // Whoever has asked for it is taken there by what they have asked, and not back again.
        if (queries.isMutating({ mutationKey: SIGNING_OUT }) > 0) return;
        // Asking who is signed in is how one finds out; it is no surprise there.
        if (isSignedOut && query.queryKey[0] !== 'session') onSignedOut();
      },
    }),
    defaultOptions: {
      queries: {
        staleTime: 2_000,
        // The browser's idea of being online says nothing about a gateway on this network.
        networkMode: 'always',
        retry: (count, error) => error instanceof Failure && error.isPassing && count < RETRIES,
      },
      mutations: { networkMode: 'always' },
    },
  });
  return queries;
}
