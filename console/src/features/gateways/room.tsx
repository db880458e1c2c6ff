import type { Schemas } from '@/api/client';
import { checkName, linesOf } from '@/features/objects/form-dialog';
import type { Room } from '@/features/objects/room';
import { nameColumn } from '@/features/objects/things-page';

/** How gateways are made, changed and deleted; their list is a page of its own. */
export const GATEWAYS: Room<'gateways'> = {
  many: 'gateways',
  title: 'Gateways',
  writes: 'gateways:write',
  columns: [nameColumn('gateways')],
  textOf: (it) => `${it.name} ${it.teams.join(' ')}`,
  empty: { title: '', says: '', file: '' },
  fields: () => [
    {
      name: 'name',
      label: 'Name',
      description: 'It is in the URL that clients use',
      isNeeded: true,
      check: checkName,
    },
    {
      name: 'teams',
      label: 'Teams',
      description: 'Whose members may use it, one in a line',
      type: 'lines',
    },
    {
      name: 'addresses',
      label: 'Addresses',
      description: 'Networks from which it may be used, one in a line; everywhere where empty',
      type: 'lines',
    },
    {
      name: 'autonomy',
      label: 'Without the database',
      description: 'Seconds for which calls are answered while it is away, 60 at most',
      check: (text) =>
        /^\d{1,2}$/.test(text) && Number(text) <= 60 ? null : 'A whole number from 0 to 60',
    },
  ],
  valuesOf: (it) => ({
    name: it.name,
    teams: it.teams.join('\n'),
    addresses: it.addresses.join('\n'),
    autonomy: String(it.max_autonomy_seconds),
  }),
  bodyOf: (values) =>
    ({
      name: values['name'] ?? '',
      teams: linesOf(values['teams']),
      addresses: linesOf(values['addresses']),
      max_autonomy_seconds: Number(values['autonomy'] ?? 0),
    }) satisfies Schemas['NewGateway'],
  optionsOf: (body) => ({
    team: body['teams'] as string[] | undefined,
    address: body['addresses'] as string[] | undefined,
    'max-autonomy-seconds': body['max_autonomy_seconds'] as number | undefined,
  }),
  reach: 'gateway',
  on: 'gateway',
};
