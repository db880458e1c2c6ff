import type { Schemas } from '@/api/client';
import { checkName } from '@/features/objects/form-dialog';
import type { Room } from '@/features/objects/room';
import { nameColumn } from '@/features/objects/things-page';
import { Pill } from '@/ui/pill';

export type Identity = Schemas['IdentityBody'];

/** Credentials for servers. A value goes in and never comes out again. */
export const IDENTITIES: Room<'identities'> = {
  many: 'identities',
  title: 'Identities',
  writes: 'identities:write',
  columns: [
    nameColumn('identities'),
    {
      id: 'state',
      header: 'State',
      accessorFn: (it) => (it.enabled ? 'On' : 'Off'),
      cell: ({ row: { original: it } }) => (
        <Pill tone={it.enabled ? 'good' : 'bad'}>{it.enabled ? 'On' : 'Off'}</Pill>
      ),
    },
    { id: 'server', header: 'Server', accessorFn: (it) => it.server },
    { id: 'owner', header: 'Whose', accessorFn: (it) => it.owner ?? 'shared' },
    {
      id: 'headers',
      header: 'Headers',
      accessorFn: (it) => it.headers.join(', '),
      meta: { hide: 'medium' },
    },
  ],
  textOf: (it) => `${it.name} ${it.server} ${it.owner ?? 'shared'} ${it.headers.join(' ')}`,
  empty: {
    title: 'No identities yet',
    says: 'An identity is a credential for one server: shared, or one person’s own. Its value is sealed and never shown again.',
    file: 'kind: Identity\nname: jira-service\nserver: jira\nheaders: { Authorization: "Bearer env:JIRA_TOKEN" }',
  },
  fields: (it) =>
    it
      ? [
          { name: 'name', label: 'Name', isNeeded: true, check: checkName },
          ...it.headers.map((header) => ({
            name: `header ${header}`,
            label: `New value of ${header}`,
            description: 'Stays as it is where all of these are empty',
            type: 'secret' as const,
          })),
        ]
      : [
          { name: 'name', label: 'Name', isNeeded: true, check: checkName },
          { name: 'server', label: 'Server', isNeeded: true },
          { name: 'owner', label: 'Owner', description: 'A user; shared where empty' },
          { name: 'header', label: 'Header', isNeeded: true, placeholder: 'Authorization' },
          {
            name: 'value',
            label: 'Value',
            type: 'secret',
            isNeeded: true,
            placeholder: 'Bearer …',
          },
        ],
  valuesOf: (it) => ({ name: it.name }),
  bodyOf: (values, it) => {
    const name = values['name'] ?? '';
    if (it === null) {
      const { server = '', owner, header = '', value = '' } = values;
      const body: Schemas['NewIdentity'] = { name, server, headers: { [header]: value } };
      return owner ? { ...body, owner } : body;
    }
    const headers = Object.fromEntries(
      it.headers.map((header) => [header, values[`header ${header}`] ?? '']),
    );
    const isRotated = Object.values(headers).some((value) => value !== '');
    const patch: Schemas['IdentityPatch'] = isRotated ? { name, headers } : { name };
    return patch;
  },
  shownOf: (body) => {
    const { headers, ...rest } = body as Schemas['NewIdentity'];
    const names = Object.keys(headers ?? {});
    if (names.length === 0) return rest;
    return { ...rest, headers: Object.fromEntries(names.map((it) => [it, '(a new value)'])) };
  },
  optionsOf: (body) => ({
    server: body['server'] as string | undefined,
    owner: body['owner'] as string | undefined,
    header: body['headers']
      ? Object.keys(body['headers']).map((it) => `${it}=env:SECRET`)
      : undefined,
  }),
  reach: 'identity',
};
