import { type QueryClient, queryOptions, useMutation, useQueryClient } from '@tanstack/react-query';

import { api, type Schemas, take } from '@/api/client';
import { type Credential, make, prove } from './passkeys';

export type Session = Schemas['SessionBody'];
export type Account = Schemas['AccountBody'];

/** Who is signed in. The cookie is for the gateway alone: no script can read it. */
export const sessionQuery = queryOptions({
  queryKey: ['session'],
  queryFn: ({ signal }) => take(api.GET('/api/v1/session', { signal })),
  staleTime: 60_000,
  retry: false,
});

/** How one can sign in here. */
export const signInOptionsQuery = queryOptions({
  queryKey: ['session', 'options'],
  queryFn: ({ signal }) => take(api.GET('/api/v1/session/options', { signal })),
});

/** The account of whoever is signed in. */
export const accountQuery = queryOptions({
  queryKey: ['account'],
  queryFn: ({ signal }) => take(api.GET('/api/v1/session/account', { signal })),
});

/** What one shows of oneself. */
export type Shown =
  | { by: 'token'; token: string }
  | { by: 'passkey'; credential: Credential }
  | ({ by: 'password' } & Schemas['PasswordSignIn']);

function show(shown: Shown): Promise<Session> {
  switch (shown.by) {
    case 'token':
      return take(api.POST('/api/v1/session', { body: { token: shown.token } }));
    case 'passkey': {
      const { credential } = shown;
      return take(api.POST('/api/v1/session/passkey', { body: { credential } }));
    }
    case 'password': {
      const { by: _, ...body } = shown;
      return take(api.POST('/api/v1/session/password', { body }));
    }
  }
}

export function useSignIn() {
  const queries = useQueryClient();
  return useMutation({ mutationFn: show, onSuccess: (session) => enter(queries, session) });
}

/** Who is to administer, and with what they sign in: a passkey where there is no password. */
export interface NewAccount {
  token: string;
  name: string;
  password?: string;
}

/** Makes the first account above all workspaces. */
export function useSetUp() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: async ({ token, name, password }: NewAccount) => {
      const whose = { token, name };
      if (password !== undefined) {
        return take(api.POST('/api/v1/session/set-up', { body: { ...whose, password } }));
      }
      const asked = await take(api.POST('/api/v1/session/set-up/challenge', { body: whose }));
      const passkey = { name: FIRST_PASSKEY, credential: await make(asked.options) };
      return take(api.POST('/api/v1/session/set-up', { body: { ...whose, passkey } }));
    },
    onSuccess: (session) => enter(queries, session),
  });
}

const FIRST_PASSKEY = 'first';

/** Adds a passkey to one's own account. */
export function useAddPasskey() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: async (name: string) => {
      const asked = await take(api.POST('/api/v1/session/passkeys/challenge'));
      const body = { name, credential: await make(asked.options) };
      return take(api.POST('/api/v1/session/passkeys', { body }));
    },
    onSuccess: () => queries.invalidateQueries(accountQuery),
  });
}

/** Takes a passkey, or the password, from one's own account. */
export function useRemove() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (passkey: string | null) =>
      passkey === null
        ? take(api.DELETE('/api/v1/session/password'))
        : take(api.DELETE('/api/v1/session/passkeys/{passkey}', { params: { path: { passkey } } })),
    onSuccess: () => queries.invalidateQueries(accountQuery),
  });
}

export function useSetPassword() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (password: string) =>
      take(api.PUT('/api/v1/session/password', { body: { password } })),
    onSuccess: (account) => queries.setQueryData(accountQuery.queryKey, account),
  });
}

/** Proves once more who is signed in. */
export function useProve() {
  return useMutation({
    mutationFn: async (shown: 'passkey' | { password: string } | { token: string }) => {
      const body =
        shown === 'passkey' ? { credential: await prove(new AbortController().signal) } : shown;
      return take(api.POST('/api/v1/session/step-up', { body }));
    },
  });
}

/** One's own sessions. */
export const ownSessionsQuery = queryOptions({
  queryKey: ['sessions'],
  queryFn: ({ signal }) => take(api.GET('/api/v1/sessions', { signal })),
});

/** Ends one session, or all but the one that asks. */
export function useEndSession() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (session: string | null) =>
      session === null
        ? take(api.DELETE('/api/v1/sessions'))
        : take(api.DELETE('/api/v1/sessions/{session}', { params: { path: { session } } })),
    onSuccess: () => queries.invalidateQueries(ownSessionsQuery),
  });
}

/** What is under way while somebody signs out. */
export const SIGNING_OUT = ['sign-out'];

export function useSignOut() {
  const queries = useQueryClient();
  return useMutation({
    mutationKey: SIGNING_OUT,
    mutationFn: () => take(api.DELETE('/api/v1/session')),
    onSuccess: () => queries.clear(),
  });
}

/** What someone else has seen before is not theirs to see. */
function enter(queries: QueryClient, session: Session) {
  queries.clear();
  queries.setQueryData(sessionQuery.queryKey, session);
}
