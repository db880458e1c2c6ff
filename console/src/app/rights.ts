/**
 * What the person who is signed in may do, as the gateway decides it.
 *
 * The tokens of the installation may do everything. Of a user the gateway is asked by `why`, which
 * is the decision itself; who holds something for one thing alone is known by what lists show. It
 * only spares people what they cannot use: each request is decided for itself, whatever is shown.
 */
import { queryOptions, useQueries, useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';

import { api, take } from '@/api/client';
import { Failure } from '@/api/failure';
import { NOUNS } from '@/features/objects/nouns';
import { type Session, sessionQuery } from '@/features/session/queries';
import { type Capability, type Place, PLACES } from './places';

/** A right that is taken away holds at once at the gateway; here it is looked up this often. */
const FRESH_MS = 60_000;

/** Lists in which something is everybody's own; all others take a role. */
const OWN_LISTS = ['apps', 'gateways', 'identities', 'teams', 'users'] as const;

function mayQuery(workspace: string, user: string, capability: Capability, on?: string) {
  return queryOptions({
    queryKey: ['rights', workspace, user, capability, on ?? 'workspace'],
    queryFn: async ({ signal }) => {
      const query = { user, capability, ...(on === undefined ? {} : { on }) };
      const why = await take(
        api.GET('/api/v1/workspaces/{workspace}/why', {
          params: { path: { workspace }, query },
          signal,
        }),
      );
      return why.allowed;
    },
    staleTime: FRESH_MS,
  });
}

function shownQuery(workspace: string, place: Place, session: Session | undefined) {
  const user = session?.user?.name;
  const administers = session?.user?.administers ?? false;
  return queryOptions({
    queryKey: ['rights', workspace, user ?? '', 'place', place.name, { administers }],
    queryFn: async ({ client, signal }) => {
      if (user === undefined || place.capability === undefined) return true;
      if (administers) {
        if (await client.ensureQueryData(mayQuery(workspace, user, place.capability))) return true;
      } else if (!OWN_LISTS.some((it) => it === place.list)) {
        return false;
      }
      if (place.list === undefined) return false;
      const list = NOUNS[place.list].list as typeof NOUNS.users.list;
      const params = { path: { workspace }, query: { limit: 1 } };
      try {
        const page = await take(api.GET(list, { params, signal }));
        return page.items.length > 0;
      } catch (error) {
        if (error instanceof Failure && error.status === 403) return false;
        throw error;
      }
    },
    enabled: session !== undefined,
    staleTime: FRESH_MS,
  });
}

/** Whether a room is for somebody like them. What else it takes is asked of the gateway. */
function isFor({ isFor: whom }: Place, { user }: Session): boolean {
  if (whom === 'installation') return !user;
  if (whom === 'user') return Boolean(user);
  return whom === undefined || (user?.administers ?? true);
}

/** The rooms that the person can use; those that are not known yet are left out. */
export function usePlaces(workspace: string): Place[] {
  const { data: session } = useQuery(sessionQuery);
  const isInstallation = session !== undefined && !session.user;
  const shown = useQueries({
    queries: PLACES.map((place) => ({
      ...shownQuery(workspace, place, session),
      enabled: session !== undefined && !isInstallation && isFor(place, session),
    })),
  });
  // Where nobody could say, the room is shown and says itself what is wrong.
  const known = shown.map((it) => it.data === true || it.isError);
  const key = known.map(Number).join('');
  return useMemo(
    () =>
      PLACES.filter((place, at) => {
        if (session === undefined || !isFor(place, session)) return false;
        return isInstallation || key[at] === '1';
      }),
    [session, isInstallation, key],
  );
}

/** Whether something may be changed, and a reason for the button where it may not. */
export function useMay(workspace: string, capability: Capability, on?: string) {
  const { data: session } = useQuery(sessionQuery);
  const user = session?.user?.name;
  const { data, isError } = useQuery({
    ...mayQuery(workspace, user ?? '', capability, on),
    enabled: user !== undefined,
  });
  const isAllowed = user === undefined || data !== false;
  const isKnown = user === undefined || data !== undefined || isError;
  return { isAllowed, isKnown, why: isAllowed ? undefined : `You need ${capability}` };
}
