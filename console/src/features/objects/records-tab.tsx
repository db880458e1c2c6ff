import { queryOptions, useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';

import { api, type Schemas, take } from '@/api/client';
import { type Column, DataTable } from '@/ui/data-table';
import { TableSkeleton } from '@/ui/table-skeleton';
import { Exact } from '@/ui/time';
import { Trouble } from '@/ui/trouble';
import { Visible } from '@/ui/visible';
import { isAbout, memberOf } from './about';
import { type Many, NOUNS } from './nouns';
import classes from './object-page.module.css';

interface Props {
  workspace: string;
  many: Many;
  name: string;
  /** What it did, or what was done to it. */
  what: 'acts' | 'calls';
}

type Recorded = Schemas['RecordBody'];

/** The API does not search the record, so this looks at the newest ones and says so. */
const MOST_PAGES = 5;
const PAGE = 200;

export function RecordsTab({ workspace, many, name, what }: Props) {
  const { data, error, refetch } = useQuery(newestQuery(workspace));
  if (error) {
    return <Trouble what="The record is not shown" error={error} retry={() => void refetch()} />;
  }
  if (!data) return <TableSkeleton />;
  const { object } = NOUNS[many];
  const rows = data.items.filter((it) => isAbout(it, what, object, name));
  const isFilter = object === 'app' || object === 'gateway' || object === 'server';
  return (
    <div className={classes.stack}>
      <DataTable
        label={what === 'calls' ? 'Calls' : 'Acts'}
        columns={what === 'calls' ? CALLS : ACTS}
        rows={rows}
        rowId={(it) => String(it.sequence)}
        empty="What was looked at says nothing of it."
      />
      <p className={classes.note}>
        {data.isCut ? 'Of' : 'Of all, which are'} the newest {data.items.length} records.{' '}
        <Link
          to="/workspaces/$workspace/records"
          params={{ workspace }}
          search={what === 'calls' && isFilter ? { [object]: name } : { q: name }}
        >
          Follow the record
        </Link>
      </p>
    </div>
  );
}

function newestQuery(workspace: string) {
  return queryOptions({
    queryKey: ['workspace', workspace, 'records', 'newest'],
    queryFn: async ({ signal }) => {
      const items: Recorded[] = [];
      let cursor: string | undefined;
      for (let page = 0; page < MOST_PAGES; page += 1) {
        const query = { limit: PAGE, ...(cursor === undefined ? {} : { cursor }) };
        const params = { path: { workspace }, query };
        const answer = await take(
          api.GET('/api/v1/workspaces/{workspace}/records', { params, signal }),
        );
        items.push(...answer.items);
        if (!answer.next_cursor) return { items, isCut: false };
        cursor = answer.next_cursor;
      }
      return { items, isCut: true };
    },
  });
}

function text(name: string) {
  return ({ row: { original } }: { row: { original: Recorded } }) => (
    <Visible text={memberOf(original, name)} />
  );
}

const TIME: Column<Recorded> = {
  id: 'time',
  header: 'Time',
  cell: ({ row: { original } }) => <Exact at={original.time} />,
};

const CALLS: Column<Recorded>[] = [
  TIME,
  { id: 'app', header: 'App', cell: text('app_name') },
  { id: 'gateway', header: 'Gateway', cell: text('gateway'), meta: { hide: 'medium' } },
  { id: 'server', header: 'Server', cell: text('server'), meta: { hide: 'narrow' } },
  { id: 'name', header: 'Called', cell: text('name') },
];

const ACTS: Column<Recorded>[] = [
  TIME,
  { id: 'actor', header: 'Who', cell: text('actor') },
  { id: 'action', header: 'Did', cell: text('action') },
  { id: 'object', header: 'To', cell: text('object_name'), meta: { hide: 'narrow' } },
];
