import type { Schemas } from '@/api/client';
import { checkName, linesOf } from '@/features/objects/form-dialog';
import type { Room } from '@/features/objects/room';
import { nameColumn } from '@/features/objects/things-page';
import { Pill } from '@/ui/pill';
import { Visible } from '@/ui/visible';

export type App = Schemas['AppBody'];

export const APPS: Room<'apps'> = {
  many: 'apps',
  title: 'Apps',
  writes: 'apps:write',
  columns: [
    nameColumn('apps'),
    {
      id: 'state',
      header: 'State',
      accessorFn: (it) => (it.enabled ? 'On' : 'Off'),
      cell: ({ row: { original: it } }) => (
        <Pill tone={it.enabled ? 'good' : 'bad'}>{it.enabled ? 'On' : 'Off'}</Pill>
      ),
    },
    { id: 'owner', header: 'Owner', accessorFn: (it) => it.owner },
    {
      id: 'purpose',
      header: 'Purpose',
      accessorFn: (it) => it.purpose,
      cell: ({ row: { original: it } }) => <Visible text={it.purpose} />,
      meta: { hide: 'narrow' },
    },
    {
      id: 'labels',
      header: 'Labels',
      accessorFn: (it) => it.labels.join(', '),
      meta: { hide: 'wide' },
    },
  ],
  textOf: (it) => `${it.name} ${it.owner} ${it.purpose} ${it.labels.join(' ')}`,
  empty: {
    title: 'No apps yet',
    says: 'An app is an agent or a client that calls: a person owns it, answers for it, and says what it is for.',
    file: 'kind: App\nname: triage-bot\nowner: ann\npurpose: sorts new issues',
  },
  fields: () => [
    { name: 'name', label: 'Name', isNeeded: true, check: checkName },
    { name: 'owner', label: 'Owner', description: 'The user who answers for it', isNeeded: true },
    { name: 'purpose', label: 'Purpose', description: 'In one line', isNeeded: true },
    {
      name: 'labels',
      label: 'Labels',
      description: 'For policies, one in a line',
      type: 'lines',
    },
    {
      name: 'addresses',
      label: 'Addresses',
      description: 'Networks from which it may be used, one in a line; everywhere where empty',
      type: 'lines',
    },
  ],
  valuesOf: (it) => ({
    name: it.name,
    owner: it.owner,
    purpose: it.purpose,
    labels: it.labels.join('\n'),
    addresses: it.addresses.join('\n'),
  }),
  bodyOf: (values) =>
    ({
      name: values['name'] ?? '',
      owner: values['owner'] ?? '',
      purpose: values['purpose'] ?? '',
      labels: linesOf(values['labels']),
      addresses: linesOf(values['addresses']),
    }) satisfies Schemas['NewApp'],
  optionsOf: (body) => ({
    owner: body['owner'] as string | undefined,
    purpose: body['purpose'] as string | undefined,
    label: body['labels'] as string[] | undefined,
    address: body['addresses'] as string[] | undefined,
  }),
  reach: 'app',
};
