import type { Schemas } from '@/api/client';
import { checkName, linesOf } from '@/features/objects/form-dialog';
import type { Room } from '@/features/objects/room';
import { nameColumn } from '@/features/objects/things-page';
import { Pill } from '@/ui/pill';
import { Visible } from '@/ui/visible';

export type User = Schemas['UserBody'];

export const USERS: Room<'users'> = {
  many: 'users',
  title: 'Users',
  writes: 'people:write',
  columns: [
    nameColumn('users'),
    {
      id: 'state',
      header: 'State',
      accessorFn: (it) => (it.enabled ? 'On' : 'Off'),
      cell: ({ row: { original: it } }) => (
        <Pill tone={it.enabled ? 'good' : 'bad'}>{it.enabled ? 'On' : 'Off'}</Pill>
      ),
    },
    {
      id: 'teams',
      header: 'Teams',
      accessorFn: (it) => it.teams.join(', ') || 'none',
      meta: { hide: 'narrow' },
    },
    {
      id: 'department',
      header: 'Department',
      accessorFn: (it) => it.department ?? '',
      cell: ({ row: { original: it } }) => <Visible text={it.department ?? '–'} />,
      meta: { hide: 'medium' },
    },
    {
      id: 'clearance',
      header: 'Clearance',
      accessorFn: (it) => it.clearance ?? 0,
      meta: { hide: 'wide', isNumber: true },
    },
  ],
  textOf: (it) => `${it.name} ${it.teams.join(' ')} ${it.department ?? ''} ${it.groups.join(' ')}`,
  empty: {
    title: 'No users yet',
    says: 'A user is a person: apps act for users, and teams of them are granted gateways.',
    file: 'kind: User\nname: ann\ndepartment: support',
  },
  fields: () => [
    { name: 'name', label: 'Name', isNeeded: true, check: checkName },
    { name: 'department', label: 'Department', description: 'Where the person works' },
    { name: 'clearance', label: 'Clearance', check: whole, placeholder: '0' },
    { name: 'groups', label: 'Groups of the company', description: 'One in a line', type: 'lines' },
    {
      name: 'network',
      label: 'Network',
      description: 'From which the person works',
      placeholder: '10.0.0.0/8',
    },
    {
      name: 'assurance',
      label: 'Assurance',
      description: 'How surely the person is recognised: 1 to 3, as NIST SP 800-63B has it',
      type: 'choice',
      options: ['', '1', '2', '3'],
    },
  ],
  valuesOf: (it) => ({
    name: it.name,
    department: it.department ?? '',
    clearance: it.clearance?.toString() ?? '',
    groups: it.groups.join('\n'),
    network: it.network ?? '',
    assurance: it.assurance?.toString() ?? '',
  }),
  bodyOf: (values, it) => {
    const body = {
      name: values['name'] ?? '',
      department: values['department'] || null,
      clearance: number(values['clearance']),
      groups: linesOf(values['groups']),
      network: values['network'] || null,
      assurance: number(values['assurance']),
    } satisfies Schemas['NewUser'];
    // What is not known of a new one is not said.
    return it === null
      ? Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null))
      : body;
  },
  optionsOf: (body) => ({
    department: body['department'] as string | undefined,
    clearance: body['clearance'] as number | undefined,
    group:
      (body['groups'] as string[] | undefined)?.length === 0
        ? undefined
        : (body['groups'] as string[]),
    network: body['network'] as string | undefined,
    assurance: body['assurance'] as number | undefined,
  }),
  reach: 'user',
};

function whole(text: string): string | null {
  return /^\d{1,6}$/.test(text) ? null : 'A whole number';
}

function number(text: string | undefined): number | null {
  return text === undefined || text === '' ? null : Number(text);
}
