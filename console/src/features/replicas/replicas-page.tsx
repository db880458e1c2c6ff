import { useSuspenseQuery } from '@tanstack/react-query';

import { type Column, DataTable } from '@/ui/data-table';
import { Page } from '@/ui/page';
import { Pill } from '@/ui/pill';
import { Ago } from '@/ui/time';
import { Stale } from '@/ui/trouble';
import { type Replica, replicasQuery } from './queries';

/** The processes that serve the installation together. */
export function ReplicasPage() {
  const { data, error, dataUpdatedAt } = useSuspenseQuery(replicasQuery);
  const live = data.items.filter((it) => it.live).length;
  return (
    <Page title="Replicas" aside={`${live} of ${data.items.length} live`}>
      <Stale error={error} since={dataUpdatedAt} />
      <DataTable
        label="Replicas"
        columns={COLUMNS}
        rows={data.items}
        rowId={(it) => it.id}
        empty="No process has told of itself within the last hour."
      />
    </Page>
  );
}

const COLUMNS: Column<Replica>[] = [
  { id: 'name', header: 'Name', accessorFn: (it) => it.name },
  {
    id: 'state',
    header: 'State',
    accessorFn: (it) => (it.live ? 'Live' : 'Dead'),
    cell: ({ row: { original: it } }) => (
      <Pill tone={it.live ? (it.behind > 0 ? 'warn' : 'good') : 'bad'}>
        {it.live ? (it.behind > 0 ? `${it.behind} behind` : 'Live') : 'Dead'}
      </Pill>
    ),
  },
  { id: 'epoch', header: 'Epoch', accessorFn: (it) => it.epoch, meta: { isNumber: true } },
  {
    id: 'seen',
    header: 'Seen',
    accessorFn: (it) => it.seen_at,
    cell: ({ row: { original: it } }) => <Ago at={it.seen_at} />,
    meta: { hide: 'narrow' },
  },
  {
    id: 'started',
    header: 'Started',
    accessorFn: (it) => it.started_at,
    cell: ({ row: { original: it } }) => <Ago at={it.started_at} />,
    meta: { hide: 'medium' },
  },
  { id: 'version', header: 'Version', accessorFn: (it) => it.version, meta: { hide: 'wide' } },
];
