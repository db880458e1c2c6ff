/**
 * What a workspace holds, by the words that all of it goes by: in the API, in files, on the command
 * line, and in the addresses of this console.
 */
import { queryOptions } from '@tanstack/react-query';

import { api, everyPage, take } from '@/api/client';
import type { paths } from '@/api/schema';

export interface Noun {
  /** One of them, in words. */
  one: string;
  /** The `kind` of its documents. */
  file: string;
  /** The command that is about it. */
  command: string;
  /** The list in the API, and in the console. */
  list: keyof paths & `/api/v1/workspaces/{workspace}/${string}`;
  /** What a record calls it, and a cut-off where it can be one. */
  object: string;
  canBeOff: boolean;
}

const W = '/api/v1/workspaces/{workspace}';

export const NOUNS = {
  servers: noun('server', 'Server', `${W}/servers`, true),
  gateways: noun('gateway', 'Gateway', `${W}/gateways`, true),
  users: noun('user', 'User', `${W}/users`, true),
  teams: noun('team', 'Team', `${W}/teams`, false),
  roles: noun('role', 'Role', `${W}/roles`, false),
  'role-grants': {
    ...noun('role grant', 'RoleGrant', `${W}/role-grants`, false),
    command: 'grant',
    object: 'role grant',
  },
  apps: noun('app', 'App', `${W}/apps`, true),
  identities: noun('identity', 'Identity', `${W}/identities`, true),
  policies: noun('policy', 'Policy', `${W}/policies`, false),
  limits: noun('limit', 'Limit', `${W}/limits`, false),
} as const satisfies Record<string, Noun>;

export type Many = keyof typeof NOUNS;

export const MANY = Object.keys(NOUNS) as Many[];

/** The address of one thing. */
export function addressOf(workspace: string, many: Many, name: string): string {
  return `/workspaces/${workspace}/${many}/${encodeURIComponent(name)}`;
}

/** The names of all things of a kind, for what needs to find one and nothing more. */
export function namesQuery(workspace: string, many: Many) {
  return queryOptions({
    queryKey: ['workspace', workspace, many, 'names'],
    queryFn: async ({ signal }) => {
      // All these lists are asked for in the same way; one stands for the others.
      const list = NOUNS[many].list as typeof NOUNS.users.list;
      const all = await everyPage((query) =>
        take(api.GET(list, { params: { path: { workspace }, query }, signal })),
      );
      return { names: all.items.map((it) => it.name), isCut: all.isCut };
    },
    staleTime: 30_000,
  });
}

function noun<L extends Noun['list']>(one: string, file: string, list: L, canBeOff: boolean) {
  return { one, file, list, canBeOff, command: one, object: one };
}
