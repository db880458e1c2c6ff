import { useSuspenseQuery } from '@tanstack/react-query';
import { Link, useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { useMemo } from 'react';

import { type Column, DataTable } from '@/ui/data-table';
import { Empty } from '@/ui/empty';
import { Page } from '@/ui/page';
import { Pill } from '@/ui/pill';
import rowLink from '@/ui/row-link.module.css';
import { SearchField } from '@/ui/search-field';
import { Ago } from '@/ui/time';
import { type Connection, connectionsQuery, type Gateway, gatewaysQuery } from './queries';

interface Row {
  gateway: Gateway;
  connections: number;
}

/** The governed URLs of a workspace. */
export function GatewaysPage() {
  const { workspace } = useParams({ from: '/app/workspaces/$workspace/gateways/' });
  const { q, sort } = useSearch({ from: '/app/workspaces/$workspace/gateways/' });
  const navigate = useNavigate({ from: '/workspaces/$workspace/gateways/' });
  const { data: gateways } = useSuspenseQuery(gatewaysQuery(workspace));
  const { data: connections } = useSuspenseQuery(connectionsQuery(workspace));
  const rows = useMemo(
    () => toRows(gateways.items, connections.items, q ?? ''),
    [gateways, connections, q],
  );
  if (gateways.items.length === 0) {
    return (
      <Page title="Gateways">
        <Empty title="No gateways yet" file={SAMPLE} command="ostiary apply -f gateway.yaml">
          A gateway is one governed URL with its own servers, teams and rules. Clients connect to it
          and to nothing else.
        </Empty>
      </Page>
    );
  }
  return (
    <Page
      title="Gateways"
      aside={
        <span>
          {gateways.items.length}
          {gateways.isCut && '+, not all are shown'}
        </span>
      }
      tools={
        <SearchField
          label="Search gateways"
          value={q ?? ''}
          onChange={(q) =>
            void navigate({ search: (old) => ({ ...old, q: q || undefined }), replace: true })
          }
        />
      }
    >
      <DataTable
        label="Gateways"
        columns={COLUMNS}
        rows={rows}
        rowId={(it) => it.gateway.name}
        sort={sort}
        onSort={(sort) => void navigate({ search: (old) => ({ ...old, sort }), replace: true })}
        empty={`No gateway matches “${q}”.`}
      />
    </Page>
  );
}

function toRows(gateways: Gateway[], connections: Connection[], wanted: string): Row[] {
  const text = wanted.trim().toLowerCase();
  return gateways
    .filter((it) => `${it.name} ${it.teams.join(' ')}`.toLowerCase().includes(text))
    .map((gateway) => ({
      gateway,
      connections: connections.filter((it) => it.gateway === gateway.name).length,
    }));
}

const COLUMNS: Column<Row>[] = [
  {
    id: 'name',
    header: 'Name',
    accessorFn: (it) => it.gateway.name,
    cell: ({ row: { original: it } }) => (
      <Link
        from="/workspaces/$workspace/gateways"
        to="/workspaces/$workspace/gateways/$gateway"
        params={(old) => ({ workspace: old.workspace ?? '', gateway: it.gateway.name })}
        className={rowLink.link}
        data-row
      >
        {it.gateway.name}
      </Link>
    ),
  },
  {
    id: 'state',
    header: 'State',
    accessorFn: (it) => (it.gateway.enabled ? 'On' : 'Off'),
    cell: ({ row: { original: it } }) => (
      <Pill tone={it.gateway.enabled ? 'good' : 'bad'}>{it.gateway.enabled ? 'On' : 'Off'}</Pill>
    ),
  },
  {
    id: 'connections',
    header: 'Connections',
    accessorFn: (it) => it.connections,
    meta: { isNumber: true },
  },
  {
    id: 'teams',
    header: 'Teams',
    accessorFn: (it) => it.gateway.teams.join(', ') || 'none',
    meta: { hide: 'medium' },
  },
  {
    id: 'created',
    header: 'Made',
    accessorFn: (it) => it.gateway.created_at,
    cell: ({ row: { original: it } }) => <Ago at={it.gateway.created_at} />,
    meta: { hide: 'medium' },
  },
];

const SAMPLE = `kind: Gateway
name: support
teams: [support]
assignments:
  - server: jira`;
