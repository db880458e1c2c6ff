/** Lists and single things of each kind, typed by the kind. */
import { queryOptions } from '@tanstack/react-query';

import { api, type Schemas, take } from '@/api/client';
import { type Listed, listing } from '@/api/listing';
import type { paths } from '@/api/schema';
import { type Many, NOUNS } from './nouns';

export interface Bodies {
  servers: Schemas['ServerBody'];
  gateways: Schemas['GatewayBody'];
  users: Schemas['UserBody'];
  teams: Schemas['TeamBody'];
  roles: Schemas['RoleBody'];
  'role-grants': Schemas['RoleGrantBody'];
  apps: Schemas['AppBody'];
  identities: Schemas['IdentityBody'];
  policies: Schemas['PolicyBody'];
  limits: Schemas['LimitBody'];
}

/** These lists are all asked for in one way, so one stands for the others. */
type Any = typeof NOUNS.users.list;

export function thingsQuery<M extends Many>(workspace: string, many: M): Listed<Bodies[M]> {
  const list = NOUNS[many].list as Any;
  const made = listing(['workspace', workspace, many], (query, signal) =>
    api.GET(list, { params: { path: { workspace }, query }, signal }),
  );
  return made as unknown as Listed<Bodies[M]>;
}

export function thingQuery<M extends Many>(workspace: string, many: M, name: string) {
  return queryOptions({
    queryKey: ['workspace', workspace, many, 'one', name],
    queryFn: ({ signal }) =>
      take(
        api.request(
          'get',
          pathOf(workspace, many, name) as keyof paths as never,
          {
            signal,
          } as never,
        ),
      ) as Promise<Bodies[M]>,
  });
}

/** Where the API has one thing. */
export function pathOf(workspace: string, many: Many, name: string): string {
  return `${NOUNS[many].list.replace('{workspace}', workspace)}/${encodeURIComponent(name)}`;
}
