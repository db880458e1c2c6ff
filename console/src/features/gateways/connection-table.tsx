import { type Column, DataTable } from '@/ui/data-table';
import { Section } from '@/ui/page';
import { Pill } from '@/ui/pill';
import { Ago } from '@/ui/time';
import type { Connection } from './queries';

/** The apps that are connected to a gateway, and for whom they act. */
export function ConnectionTable({ connections }: { connections: Connection[] }) {
  return (
    <Section title="Connections" note="apps that may use it now">
      <DataTable
        label="Connections to this gateway"
        columns={COLUMNS}
        rows={connections}
        rowId={(it) => it.id}
        empty="No app is connected."
      />
    </Section>
  );
}

const COLUMNS: Column<Connection>[] = [
  { id: 'app', header: 'App', accessorFn: (it) => it.app },
  { id: 'user', header: 'Acts for', accessorFn: (it) => it.user },
  {
    id: 'identities',
    header: 'Credentials chosen',
    accessorFn: (it) =>
      Object.entries(it.identities)
        .map(([server, identity]) => `${server}: ${identity}`)
        .join(', ') || 'none',
    meta: { hide: 'medium' },
  },
  {
    id: 'picked',
    header: 'At the picker',
    accessorFn: (it) => (it.picked ? 'Picked' : ''),
    meta: { hide: 'medium' },
  },
  {
    id: 'created',
    header: 'Since',
    cell: ({ row: { original: it } }) => <Ago at={it.created_at} />,
    meta: { hide: 'medium' },
  },
  {
    id: 'state',
    header: 'State',
    cell: ({ row: { original: it } }) => (
      <Pill tone={it.enabled ? 'good' : 'bad'}>{it.enabled ? 'On' : 'Off'}</Pill>
    ),
  },
];
