import type { Schemas } from '@/api/client';
import { checkName, linesOf } from '@/features/objects/form-dialog';
import type { Room } from '@/features/objects/room';
import { nameColumn } from '@/features/objects/things-page';

export type Role = Schemas['RoleBody'];
type Capability = Schemas['Capability'];

const CAPABILITIES: Record<Capability, true> = {
  'admin-tokens:read': true,
  'admin-tokens:write': true,
  'apps:read': true,
  'apps:write': true,
  'commands:write': true,
  'cutoffs:read': true,
  'cutoffs:write': true,
  'gateways:read': true,
  'gateways:write': true,
  'identities:read': true,
  'identities:write': true,
  'limits:read': true,
  'limits:write': true,
  'people:read': true,
  'people:write': true,
  'pins:read': true,
  'pins:write': true,
  'policies:read': true,
  'policies:write': true,
  'records:erase': true,
  'records:read': true,
  'roles:read': true,
  'roles:write': true,
  'rules:read': true,
  'rules:write': true,
  'servers:read': true,
  'servers:write': true,
  'workspaces:write': true,
};

export const ALL_CAPABILITIES = Object.keys(CAPABILITIES) as Capability[];

export const ROLES: Room<'roles'> = {
  many: 'roles',
  title: 'Roles',
  writes: 'roles:write',
  columns: [
    nameColumn('roles'),
    {
      id: 'kind',
      header: 'Kind',
      accessorFn: (it) => (it.built_in ? 'built in' : 'made here'),
    },
    {
      id: 'count',
      header: 'Capabilities',
      accessorFn: (it) => it.capabilities.length,
      meta: { isNumber: true },
    },
    {
      id: 'capabilities',
      header: 'Such as',
      accessorFn: (it) => it.capabilities.slice(0, 3).join(', '),
      meta: { hide: 'medium' },
    },
  ],
  textOf: (it) => `${it.name} ${it.capabilities.join(' ')}`,
  empty: {
    title: 'No roles',
    says: 'A role is a set of capabilities. Granted to people, it lets them administer.',
    file: 'kind: Role\nname: keeper\ncapabilities: [servers:read, servers:write]',
  },
  fields: () => [
    { name: 'name', label: 'Name', isNeeded: true, check: checkName },
    { name: 'capabilities', label: 'Capabilities', type: 'checks', options: ALL_CAPABILITIES },
  ],
  valuesOf: (it) => ({ name: it.name, capabilities: it.capabilities.join('\n') }),
  bodyOf: (values) =>
    ({
      name: values['name'] ?? '',
      capabilities: linesOf(values['capabilities']) as Capability[],
    }) satisfies Schemas['NewRole'],
  optionsOf: (body) => ({ capability: body['capabilities'] as string[] | undefined }),
  fixed: (it) => (it.built_in ? 'It is built in and cannot be changed' : undefined),
};
