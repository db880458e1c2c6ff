import type { Schemas } from '@/api/client';
import { checkName, linesOf } from '@/features/objects/form-dialog';
import type { Room } from '@/features/objects/room';
import { nameColumn } from '@/features/objects/things-page';
import { Ago } from '@/ui/time';

export const TEAMS: Room<'teams'> = {
  many: 'teams',
  title: 'Teams',
  writes: 'people:write',
  columns: [
    nameColumn('teams'),
    {
      id: 'count',
      header: 'People',
      accessorFn: (it) => it.members.length,
      meta: { isNumber: true },
    },
    {
      id: 'members',
      header: 'Members',
      accessorFn: (it) => it.members.slice(0, 8).join(', ') || 'nobody',
      meta: { hide: 'narrow' },
    },
    {
      id: 'created',
      header: 'Made',
      accessorFn: (it) => it.created_at,
      cell: ({ row: { original: it } }) => <Ago at={it.created_at} />,
      meta: { hide: 'medium' },
    },
  ],
  textOf: (it) => `${it.name} ${it.members.join(' ')}`,
  empty: {
    title: 'No teams yet',
    says: 'A team is a group of people. Gateways are granted to teams and to nobody else.',
    file: 'kind: Team\nname: support\nmembers: [ann]',
  },
  fields: () => [
    { name: 'name', label: 'Name', isNeeded: true, check: checkName },
    { name: 'members', label: 'Members', description: 'Users, one in a line', type: 'lines' },
  ],
  valuesOf: (it) => ({ name: it.name, members: it.members.join('\n') }),
  bodyOf: (values) =>
    ({
      name: values['name'] ?? '',
      members: linesOf(values['members']),
    }) satisfies Schemas['NewTeam'],
  optionsOf: (body) => ({ member: body['members'] as string[] | undefined }),
};
