import { Button } from '@mantine/core';
import { useSuspenseQuery } from '@tanstack/react-query';
import { Link, Outlet, useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { useMemo, useState } from 'react';

import { type Column, DataTable } from '@/ui/data-table';
import { Empty } from '@/ui/empty';
import { Page } from '@/ui/page';
import rowLink from '@/ui/row-link.module.css';
import { SearchField } from '@/ui/search-field';
import { Split } from '@/ui/split';
import { Stale } from '@/ui/trouble';
import { Visible } from '@/ui/visible';
import { NewLimitDialog } from './limit-dialogs';
import { type Limit, limitsQuery } from './queries';
import { allowanceWords, scopeWords, unitWords } from './words';

const HERE = '/app/workspaces/$workspace/limits';

/** How much may be used in a workspace, and by whom together. */
export function LimitsPage() {
  const { workspace } = useParams({ from: HERE });
  const { limit: open } = useParams({ strict: false });
  const { q, sort } = useSearch({ from: HERE });
  const navigate = useNavigate({ from: '/workspaces/$workspace/limits' });
  const { data, error, dataUpdatedAt } = useSuspenseQuery(limitsQuery(workspace));
  const rows = useMemo(() => data.items.filter((it) => matches(it, q ?? '')), [data, q]);

  const [isMaking, setMaking] = useState(false);
  const dialog = isMaking && (
    <NewLimitDialog
      workspace={workspace}
      onClose={() => setMaking(false)}
      onMade={(limit) => {
        setMaking(false);
        void navigate({
          to: '/workspaces/$workspace/limits/$limit',
          params: { workspace, limit },
          search: (old) => old,
        });
      }}
    />
  );
  const make = <Button onClick={() => setMaking(true)}>New limit</Button>;

  if (data.items.length === 0) {
    return (
      <Page title="Limits" tools={make}>
        {dialog}
        <Empty title="No limits yet" file={SAMPLE} command="ostiary apply -f limit.yaml">
          A limit says how many calls, tokens or bytes may be used, and by whom together. Nobody is
          exempt.
        </Empty>
      </Page>
    );
  }
  const list = (
    <Page
      title="Limits"
      aside={
        <span>
          {data.items.length}
          {data.isCut && '+, not all are shown'}
        </span>
      }
      tools={
        <>
          <SearchField
            label="Search limits"
            value={q ?? ''}
            onChange={(q) =>
              void navigate({
                to: '.',
                search: (old) => ({ ...old, q: q || undefined }),
                replace: true,
              })
            }
          />
          {make}
        </>
      }
    >
      {dialog}
      <Stale error={error} since={dataUpdatedAt} />
      <DataTable
        label="Limits"
        columns={COLUMNS}
        rows={rows}
        rowId={(it) => it.name}
        openId={open}
        sort={sort}
        onSort={(sort) =>
          void navigate({ to: '.', search: (old) => ({ ...old, sort }), replace: true })
        }
        empty={`No limit matches “${q}”.`}
      />
    </Page>
  );
  return <Split list={list} panel={open ? <Outlet /> : null} />;
}

const COLUMNS: Column<Limit>[] = [
  {
    id: 'name',
    header: 'Name',
    accessorFn: (it) => it.name,
    cell: ({ row: { original: it } }) => (
      <Link
        from="/workspaces/$workspace/limits"
        to="/workspaces/$workspace/limits/$limit"
        params={(old) => ({ workspace: old.workspace ?? '', limit: it.name })}
        search={(old) => old}
        className={rowLink.link}
        data-row
      >
        {it.name}
      </Link>
    ),
  },
  {
    id: 'scope',
    header: 'Counts',
    accessorFn: scopeWords,
    cell: ({ row: { original: it } }) => <Visible text={scopeWords(it)} />,
  },
  { id: 'unit', header: 'Unit', accessorFn: unitWords, meta: { hide: 'narrow' } },
  {
    id: 'allowance',
    header: 'Allows',
    accessorFn: (it) => allowanceWords(it.allowance),
  },
];

function matches(limit: Limit, wanted: string): boolean {
  const text = `${limit.name} ${scopeWords(limit)} ${unitWords(limit)}`.toLowerCase();
  return text.includes(wanted.trim().toLowerCase());
}

const SAMPLE = `kind: Limit
name: each-app
scope: {type: app}
unit: calls
allowance: {type: rate, amount: 600, per: minute, burst: 20}`;
