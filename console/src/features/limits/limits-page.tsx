import { Button } from '@mantine/core';
import { Link, Outlet, useNavigate, useParams } from '@tanstack/react-router';
import { useState } from 'react';

import type { Column } from '@/ui/data-table';
import { Empty } from '@/ui/empty';
import { Listing } from '@/ui/listing';
import rowLink from '@/ui/row-link.module.css';
import { Split } from '@/ui/split';
import { Visible } from '@/ui/visible';
import { NewLimitDialog } from './new-limit-dialog';
import { type Limit, limitsQuery } from './queries';
import { allowanceWords, scopeWords, unitWords } from './words';

const HERE = '/app/workspaces/$workspace/limits';

/** How much may be used in a workspace, and by whom together. */
export function LimitsPage() {
  const { workspace } = useParams({ from: HERE });
  const { limit: open } = useParams({ strict: false });
  const navigate = useNavigate({ from: '/workspaces/$workspace/limits' });

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

  const list = (
    <Listing
      title="Limits"
      workspace={workspace}
      query={limitsQuery(workspace)}
      columns={COLUMNS}
      rowId={(it) => it.name}
      textOf={(it) => `${it.name} ${scopeWords(it)} ${unitWords(it)}`}
      openId={open}
      tools={make}
      extra={dialog}
      empty={
        <Empty title="No limits yet" file={SAMPLE} command="ostiary apply -f limit.yaml">
          A limit says how many calls, tokens or bytes may be used, and by whom together. Nobody is
          exempt.
        </Empty>
      }
    />
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

const SAMPLE = `kind: Limit
name: each-app
scope: {type: app}
unit: calls
allowance: {type: rate, amount: 600, per: minute, burst: 20}`;
