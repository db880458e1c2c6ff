import { Button } from '@mantine/core';
import { useInfiniteQuery } from '@tanstack/react-query';
import { Link, useParams, useSearch } from '@tanstack/react-router';

import { type Column, DataTable } from '@/ui/data-table';
import { Page } from '@/ui/page';
import { TableSkeleton } from '@/ui/table-skeleton';
import { Exact } from '@/ui/time';
import { Trouble } from '@/ui/trouble';
import { Visible } from '@/ui/visible';
import classes from './charts-page.module.css';
import { type CallBody, callsQuery } from './queries';
import { type CallSearch, PARTS, RANGES } from './search';

const HERE = '/app/workspaces/$workspace/calls';

/** The calls behind a point of a chart, as they stand in the record. */
export function CallsPage() {
  const { workspace } = useParams({ from: HERE });
  const search = useSearch({ from: HERE });
  const query = useInfiniteQuery(callsQuery(workspace, search));
  const { data, error, hasNextPage, isFetching, fetchNextPage, refetch } = query;
  const last = data?.pages.at(-1);
  const unresolved = data?.pages.reduce((sum, it) => sum + it.unresolved, 0) ?? 0;
  const { from: _, to: __, ...chart } = search;
  return (
    <Page
      title="Calls"
      trail={
        <Link to="/workspaces/$workspace/charts" params={{ workspace }} search={chart}>
          ← Charts
        </Link>
      }
      aside={<Visible text={worded(search)} />}
    >
      {error && (
        <Trouble what="The calls could not be loaded" error={error} retry={() => void refetch()} />
      )}
      {data ? (
        <DataTable
          label="Calls"
          columns={COLUMNS}
          rows={data.pages.flatMap((it) => it.items)}
          rowId={(it) => String(it.outcome.sequence)}
          empty={hasNextPage ? 'None so far.' : 'There are none in the log of this replica.'}
        />
      ) : (
        !error && <TableSkeleton rows={8} />
      )}
      <div className={classes.more} aria-live="polite">
        {hasNextPage && (
          <Button variant="default" loading={isFetching} onClick={() => void fetchNextPage()}>
            Look further
          </Button>
        )}
        {last?.reached && (
          <span>
            Looked at everything down to <Exact at={last.reached} />
          </span>
        )}
        {unresolved > 0 && <span>{unresolved} began long before; what they were is not known</span>}
      </div>
    </Page>
  );
}

/** Leads to what was recorded around it. */
function Ended({ at }: { at: string }) {
  const { workspace } = useParams({ from: HERE });
  const time = (ms: number) => new Date(Date.parse(at) + ms).toISOString();
  return (
    <Link
      to="/workspaces/$workspace/records"
      params={{ workspace }}
      search={{ since: time(-1_000), until: time(1_000) }}
    >
      <Exact at={at} />
    </Link>
  );
}

/** What is looked for, in words. */
function worded(search: CallSearch): string {
  const parts = PARTS.flatMap((it) => (search[it] === undefined ? [] : [`${it} ${search[it]}`]));
  const time = search.from ? [] : [RANGES[search.range ?? '24h'].words.toLowerCase()];
  const outcome = search.outcome ? [search.outcome] : [];
  return [search.measure ?? 'calls', ...outcome, ...parts, ...time].join(', ');
}

/** A word of a record, which is foreign to us. */
function word({ intent, outcome }: CallBody, name: string): string {
  for (const record of [intent?.record, outcome.record]) {
    const value: unknown =
      typeof record === 'object' && record !== null ? Reflect.get(record, name) : undefined;
    if (typeof value === 'string') return value;
    if (typeof value === 'number') return String(value);
  }
  return '';
}

function column(id: string, header: string, hide?: 'narrow' | 'medium' | 'wide'): Column<CallBody> {
  return {
    id,
    header,
    accessorFn: (it) => word(it, id),
    cell: ({ row }) => <Visible text={word(row.original, id)} />,
    meta: hide ? { hide } : {},
  };
}

const COLUMNS: Column<CallBody>[] = [
  {
    id: 'time',
    header: 'Ended',
    accessorFn: (it) => it.outcome.time,
    cell: ({ row }) => <Ended at={row.original.outcome.time} />,
  },
  column('app_name', 'App', 'medium'),
  column('gateway', 'Gateway', 'wide'),
  column('server', 'Server'),
  column('name', 'What'),
  column('end', 'End'),
  {
    ...column('total_us', 'Took', 'narrow'),
    cell: ({ row }) => {
      const micros = Number(word(row.original, 'total_us'));
      return micros > 0 ? `${(micros / 1_000).toFixed(1)} ms` : '–';
    },
    meta: { isNumber: true, hide: 'narrow' },
  },
  {
    id: 'index',
    header: 'Record',
    accessorFn: (it) => it.outcome.index,
    meta: { isNumber: true, hide: 'medium' },
  },
];
