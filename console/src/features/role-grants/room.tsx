import type { Schemas } from '@/api/client';
import { checkName } from '@/features/objects/form-dialog';
import type { Room } from '@/features/objects/room';
import { nameColumn } from '@/features/objects/things-page';

export type Grant = Schemas['RoleGrantBody'];

export const GRANTS: Room<'role-grants'> = {
  many: 'role-grants',
  title: 'Role grants',
  writes: 'roles:write',
  columns: [
    nameColumn('role-grants'),
    { id: 'role', header: 'Role', accessorFn: (it) => it.role },
    { id: 'to', header: 'Given to', accessorFn: holderOf },
    { id: 'on', header: 'On', accessorFn: (it) => it.on },
  ],
  textOf: (it) => `${it.name} ${it.role} ${holderOf(it)} ${it.on}`,
  empty: {
    title: 'No roles are granted yet',
    says: 'A role grant gives a role to a user or a team, for the workspace or for one thing in it.',
    file: 'kind: RoleGrant\nname: engineers-keep-jira\nrole: keeper\nteam: engineers\non: server/jira',
  },
  fields: () => [
    { name: 'name', label: 'Name', isNeeded: true, check: checkName },
    { name: 'role', label: 'Role', isNeeded: true, check: checkName },
    { name: 'kind', label: 'Given to', type: 'choice', options: ['user', 'team'] },
    { name: 'who', label: 'Name of the user or team', isNeeded: true, check: checkName },
    {
      name: 'on',
      label: 'On',
      description: 'workspace, gateway/NAME, server/NAME or team/NAME',
      placeholder: 'workspace',
      check: (text) =>
        /^(?:workspace|(?:gateway|server|team)\/[a-z0-9-]+)$/.test(text)
          ? null
          : 'workspace, gateway/NAME, server/NAME or team/NAME',
    },
  ],
  valuesOf: () => ({}),
  bodyOf: ({ name = '', role = '', kind, who = '', on }) =>
    ({
      name,
      role,
      ...(kind === 'team' ? { team: who } : { user: who }),
      ...(on ? { on } : {}),
    }) satisfies Schemas['NewRoleGrant'],
  optionsOf: (body) => ({
    role: body['role'] as string,
    user: body['user'] as string | undefined,
    team: body['team'] as string | undefined,
    on: body['on'] as string | undefined,
  }),
  hasNoEdit: true,
};

export function holderOf(it: Grant): string {
  return it.user ? `user ${it.user}` : `team ${it.team ?? ''}`;
}
