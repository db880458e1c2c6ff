/**
 * Puts what has changed into the query cache. Of a list only what has changed is asked for, and it is
 * put where it belongs; the list itself is asked for again where that cannot be known.
 */
import type {
  InfiniteData,
  InvalidateQueryFilters,
  QueryClient,
  QueryKey,
} from '@tanstack/react-query';

import { api, type Schemas, take } from '@/api/client';
import { Failure } from '@/api/failure';
import type { PageOf } from '@/api/listing';
import { type Many, NOUNS } from '@/features/objects/nouns';
import { sessionQuery } from '@/features/session/queries';

export type Change = Schemas['ChangeBody'];

interface Thing {
  id: string;
  name: string;
}

/** The lists of what has a list. */
const LISTS: Record<string, Many | undefined> = {
  app: 'apps',
  gateway: 'gateways',
  identity: 'identities',
  limit: 'limits',
  policy: 'policies',
  role: 'roles',
  role_grant: 'role-grants',
  server: 'servers',
  team: 'teams',
  user: 'users',
};

/** Where it stands besides, behind the workspace. */
const ALSO: Record<string, readonly string[] | undefined> = {
  connection: ['connections', 'apps', 'gateways'],
  cutoff: ['cutoffs'],
  gateway: ['connections'],
  pins: ['pins'],
  token: ['apps'],
  user: ['teams'],
};

/** What is one's own and may be another one. What has been called stays as it was. */
const OWN = ['gateways', 'apps', 'identities'] as const;

/** More of a kind at once are a reason to ask for the list. */
const MOST_APART = 20;

export async function apply(queries: QueryClient, workspace: string, changes: readonly Change[]) {
  const lists = new Map<Many, Map<string, Change>>();
  const also = new Set<string>(['overview', 'export']);
  for (const change of changes) {
    const many = LISTS[change.kind];
    if (many) {
      const list = lists.get(many) ?? new Map<string, Change>();
      lists.set(many, list.set(change.id, change));
    }
    for (const it of ALSO[change.kind] ?? []) also.add(it);
    if (change.kind === 'workspace') again(queries, { queryKey: ['workspaces'] });
  }
  for (const it of OWN) again(queries, { queryKey: ['workspace', workspace, 'me', it] });
  for (const it of [...also, ...lists.keys()]) {
    again(queries, {
      queryKey: ['workspace', workspace, it],
      // Of those that have lists of their own these are brought up to date below.
      predicate: ({ queryKey }) => !(isList(queryKey) && it in NOUNS),
    });
  }
  const all = [...lists].map(([many, list]) => patch(queries, workspace, many, [...list.values()]));
  await Promise.all(all);
}

function isList(key: QueryKey): boolean {
  return key.at(-1) === 'list';
}

/** Everything may be another one, and whoever is signed in may be allowed more, or less. */
export function applyAll(queries: QueryClient, workspace: string) {
  for (const queryKey of [['workspace', workspace], ['rights', workspace], ['workspaces']]) {
    void queries.invalidateQueries({ queryKey });
  }
  void queries.invalidateQueries({ queryKey: sessionQuery.queryKey, exact: true });
}

async function patch(
  queries: QueryClient,
  workspace: string,
  many: Many,
  changes: readonly Change[],
) {
  const queryKey = ['workspace', workspace, many, 'list'];
  const isNew = queries.getQueryData(queryKey) === undefined;
  if (isNew || changes.length > MOST_APART) {
    again(queries, { queryKey });
    return;
  }
  const found = await Promise.all(
    changes.map(async (it) => [it.id, await look(workspace, many, it)] as const),
  );
  const now = queries.getQueryState(queryKey);
  // What was to be asked for is more than what has changed here.
  const isDue = now?.isInvalidated === true || now?.fetchStatus === 'fetching';
  // What was being asked for may not have it yet, and would come over it.
  await queries.cancelQueries({ queryKey });
  queries.setQueryData<InfiniteData<PageOf<Thing>>>(queryKey, (data) => {
    if (!data) return data;
    return found.reduce((pages, [id, thing]) => {
      return thing === undefined ? pages : put(pages, id, thing);
    }, data);
  });
  if (isDue || found.some(([, thing]) => thing === undefined)) again(queries, { queryKey });
}

/** Asks for it again; once it has come, where it is being asked for the first time and may be of before. */
function again(queries: QueryClient, filters: InvalidateQueryFilters) {
  for (const query of queries.getQueryCache().findAll(filters)) {
    const { data, fetchStatus } = query.state;
    if (data === undefined && fetchStatus !== 'idle') {
      const { queryKey } = query;
      const later = () => queries.invalidateQueries({ queryKey, exact: true });
      // What has failed is asked for again by whoever shows it.
      void query.promise?.then(later, () => undefined);
    }
  }
  void queries.invalidateQueries(filters);
}

/** As it is now; `null` where it is gone, nothing where nobody knows. */
async function look(
  workspace: string,
  many: Many,
  change: Change,
): Promise<Thing | null | undefined> {
  if (change.change === 'deleted') return null;
  // All of them are asked for in one way, so one stands for the others.
  const one = `${NOUNS[many].list}/{user}` as `${typeof NOUNS.users.list}/{user}`;
  try {
    return await take(api.GET(one, { params: { path: { workspace, user: change.id } } }));
  } catch (error) {
    return error instanceof Failure && error.code === 'not_found' ? null : undefined;
  }
}

/** Lists are in the order of names, of which the last page may not know what comes behind it. */
export function put(
  data: InfiniteData<PageOf<Thing>>,
  id: string,
  thing: Thing | null,
): InfiniteData<PageOf<Thing>> {
  const was = data.pages.flatMap((it) => it.items).find((it) => it.id === id);
  if (thing !== null && was?.name === thing.name) {
    const replace = (it: Thing) => (it.id === id ? thing : it);
    const pages = data.pages.map((page) => ({ ...page, items: page.items.map(replace) }));
    return { ...data, pages };
  }
  const rest = data.pages.map((page) => ({
    ...page,
    items: page.items.filter((it) => it.id !== id),
  }));
  if (thing === null) return { ...data, pages: rest };
  const last = rest.length - 1;
  const place = rest.findIndex(({ items, next_cursor: next }, at) => {
    const end = items.at(-1);
    return (end !== undefined && thing.name < end.name) || (at === last && !next);
  });
  const page = rest[place];
  // It belongs behind what has been fetched so far.
  if (!page) return { ...data, pages: rest };
  const behind = page.items.findIndex((it) => thing.name < it.name);
  const items = page.items.toSpliced(behind < 0 ? page.items.length : behind, 0, thing);
  return { ...data, pages: rest.with(place, { ...page, items }) };
}
