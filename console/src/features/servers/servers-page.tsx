import { useSuspenseQuery } from '@tanstack/react-query';
import { Link, Outlet, useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { useMemo } from 'react';

import { type Column, DataTable } from '@/ui/data-table';
import { Empty } from '@/ui/empty';
import { Page } from '@/ui/page';
import rowLink from '@/ui/row-link.module.css';
import { SearchField } from '@/ui/search-field';
import { Split } from '@/ui/split';
import { Stale } from '@/ui/trouble';
import { Visible } from '@/ui/visible';
import { addressOf, ERA_WORDS, transportWord } from './address';
import { type Server, serversQuery } from './queries';
import classes from './servers-page.module.css';
import { ServerState, stateOf } from './state';

const HERE = '/app/workspaces/$workspace/servers';

/** The upstream servers of a workspace and how they are doing. */
export function ServersPage() {
  const { workspace } = useParams({ from: HERE });
  const { server: open } = useParams({ strict: false });
  const { q, sort } = useSearch({ from: HERE });
  const navigate = useNavigate({ from: '/workspaces/$workspace/servers' });
  const { data, error, dataUpdatedAt } = useSuspenseQuery(serversQuery(workspace));
  const rows = useMemo(() => data.items.filter((it) => matches(it, q ?? '')), [data, q]);

  if (data.items.length === 0) {
    return (
      <Page title="Servers">
        <Empty title="No servers yet" file={SAMPLE} command="ostiary apply -f server.yaml">
          A server is an upstream MCP server. Registering one exposes it to nobody: a gateway does
          that.
        </Empty>
      </Page>
    );
  }
  const list = (
    <Page
      title="Servers"
      aside={<Counts servers={data.items} isCut={data.isCut} />}
      tools={
        <SearchField
          label="Search servers"
          value={q ?? ''}
          onChange={(q) =>
            void navigate({
              to: '.',
              search: (old) => ({ ...old, q: q || undefined }),
              replace: true,
            })
          }
        />
      }
    >
      <Stale error={error} since={dataUpdatedAt} />
      <DataTable
        label="Servers"
        columns={COLUMNS}
        rows={rows}
        rowId={(it) => it.name}
        openId={open}
        sort={sort}
        onSort={(sort) =>
          void navigate({ to: '.', search: (old) => ({ ...old, sort }), replace: true })
        }
        empty={`No server matches “${q}”.`}
      />
    </Page>
  );
  return <Split list={list} panel={open ? <Outlet /> : null} />;
}

function Counts({ servers, isCut }: { servers: Server[]; isCut: boolean }) {
  const off = servers.filter((it) => !it.enabled).length;
  const ill = servers.filter((it) => it.enabled && stateOf(it).word !== 'Up' && it.status).length;
  return (
    <span>
      {servers.length}
      {isCut && '+, not all are shown'}
      {ill > 0 && ` · ${ill} in trouble`}
      {off > 0 && ` · ${off} off`}
    </span>
  );
}

const COLUMNS: Column<Server>[] = [
  {
    id: 'name',
    header: 'Name',
    accessorFn: (it) => it.name,
    cell: ({ row: { original: it } }) => (
      <div>
        <Link
          from="/workspaces/$workspace/servers"
          to="/workspaces/$workspace/servers/$server"
          params={(old) => ({ workspace: old.workspace ?? '', server: it.name })}
          search={(old) => old}
          className={rowLink.link}
          data-row
        >
          {it.name}
        </Link>
        <div className={classes.address}>
          <Visible text={addressOf(it)} />
        </div>
      </div>
    ),
  },
  {
    id: 'state',
    header: 'State',
    accessorFn: (it) => stateOf(it).word,
    cell: ({ row: { original: it } }) => (
      <div className={classes.state}>
        <ServerState server={it} />
        {it.enabled && it.status?.detail && (
          <div className={classes.detail}>
            <Visible text={it.status.detail} />
          </div>
        )}
      </div>
    ),
  },
  {
    id: 'tools',
    header: 'Tools',
    accessorFn: (it) => it.status?.tools ?? -1,
    cell: ({ row: { original: it } }) => it.status?.tools ?? '–',
    meta: { isNumber: true, hide: 'narrow' },
  },
  {
    id: 'transport',
    header: 'Transport',
    accessorFn: transportWord,
    meta: { hide: 'medium' },
  },
  {
    id: 'era',
    header: 'Era',
    accessorFn: (it) => ERA_WORDS[it.era],
    meta: { hide: 'wide' },
  },
];

function matches(server: Server, wanted: string): boolean {
  const text = `${server.name} ${addressOf(server)} ${stateOf(server).word}`.toLowerCase();
  return text.includes(wanted.trim().toLowerCase());
}

const SAMPLE = `kind: Server
name: jira
transport:
  type: http
  url: https://mcp.example.com/mcp`;
