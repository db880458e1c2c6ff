import type { Schemas } from '@/api/client';
import { checkName } from '@/features/objects/form-dialog';
import type { Room } from '@/features/objects/room';
import { nameColumn } from '@/features/objects/things-page';
import { Pill } from '@/ui/pill';
import { Visible } from '@/ui/visible';

export type Policy = Schemas['PolicyBody'];

export const POLICIES: Room<'policies'> = {
  many: 'policies',
  title: 'Policies',
  writes: 'policies:write',
  columns: [
    nameColumn('policies'),
    {
      id: 'state',
      header: 'State',
      accessorFn: (it) => (it.enabled ? 'Counts' : 'Off'),
      cell: ({ row: { original: it } }) => (
        <Pill tone={it.enabled ? 'good' : 'calm'}>{it.enabled ? 'Counts' : 'Off'}</Pill>
      ),
    },
    {
      id: 'tests',
      header: 'Tests',
      accessorFn: (it) => it.tests.length,
      meta: { isNumber: true },
    },
    {
      id: 'text',
      header: 'Begins',
      accessorFn: firstLine,
      cell: ({ row: { original: it } }) => (
        <code>
          <Visible text={firstLine(it)} />
        </code>
      ),
      meta: { hide: 'medium' },
    },
  ],
  textOf: (it) => `${it.name} ${it.text}`,
  empty: {
    title: 'No policies yet',
    says: 'A policy takes away from what is granted: by department, by address, by hour, by what a tool does.',
    file: 'kind: Policy\nname: readers\ntext: |\n  forbid(principal, action == Action::"call", resource)\n  when { resource.effect != "read" };',
  },
  fields: (it) => [
    { name: 'name', label: 'Name', isNeeded: true, check: checkName },
    ...(it
      ? []
      : [{ name: 'text', label: 'Text, in Cedar', type: 'lines' as const, isNeeded: true }]),
  ],
  valuesOf: (it) => ({ name: it.name }),
  bodyOf: (values, it) =>
    it
      ? { name: values['name'] ?? '' }
      : { name: values['name'] ?? '', text: values['text'] ?? '' },
  optionsOf: (body) => ({ text: body['text'] === undefined ? undefined : 'policy.cedar' }),
};

function firstLine(it: Policy): string {
  const text = it.text.trim();
  const line = text.split('\n')[0] ?? '';
  return line.length > 70 ? `${line.slice(0, 70)}…` : line;
}
