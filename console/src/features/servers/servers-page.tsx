import { Button } from '@mantine/core';
import { Link, Outlet, useParams } from '@tanstack/react-router';

import { useMay } from '@/app/rights';
import { useFormDialog } from '@/features/objects/form-dialog';
import { deletion, editSpec, makeSpec } from '@/features/objects/room';
import { useMaking } from '@/features/objects/things-page';
import type { Column } from '@/ui/data-table';
import { Empty } from '@/ui/empty';
import { PlusIcon } from '@/ui/icons';
import { Listing } from '@/ui/listing';
import rowLink from '@/ui/row-link.module.css';
import { Split } from '@/ui/split';
import { Visible } from '@/ui/visible';
import { addressOf, ERA_WORDS, transportWord } from './address';
import { type Server, serversQuery } from './queries';
import { SERVERS } from './room';
import classes from './servers-page.module.css';
import { ServerState, stateOf } from './state';

const HERE = '/app/workspaces/$workspace/servers';

/** The upstream servers of a workspace and how they are doing. */
export function ServersPage() {
  const { workspace } = useParams({ from: HERE });
  const { server: shown } = useParams({ strict: false });
  const { open, ask, dialog } = useFormDialog(workspace);
  const { isAllowed, why } = useMay(workspace, SERVERS.writes);
  useMaking(SERVERS, workspace, open);
  const list = (
    <Listing
      title="Servers"
      workspace={workspace}
      query={serversQuery(workspace)}
      columns={COLUMNS}
      rowId={(it) => it.name}
      textOf={textOf}
      openId={shown}
      aside={counts}
      tools={
        <Button
          leftSection={<PlusIcon size={14} />}
          disabled={!isAllowed}
          title={why}
          onClick={() => open(makeSpec(SERVERS, workspace))}
        >
          New server
        </Button>
      }
      extra={dialog}
      deeds={(it) => [
        { name: 'Edit', why, onDo: () => open(editSpec(SERVERS, workspace, it)) },
        {
          name: 'Delete…',
          isDangerous: true,
          why,
          onDo: () => ask(deletion(SERVERS, workspace, it.name)),
        },
      ]}
      empty={
        <Empty title="No servers yet" file={SAMPLE} command="ostiary apply -f server.yaml">
          A server is an upstream MCP server. Registering one exposes it to nobody: a gateway does
          that. Nothing is here at all yet?{' '}
          <Link to="/workspaces/$workspace/start" params={{ workspace }}>
            Take the first steps
          </Link>
          .
        </Empty>
      }
    />
  );
  return <Split list={list} panel={shown ? <Outlet /> : null} />;
}

function counts(servers: Server[]): string {
  const off = servers.filter((it) => !it.enabled).length;
  const ill = servers.filter((it) => it.enabled && stateOf(it).word !== 'Up' && it.status).length;
  return [ill > 0 && `${ill} in trouble`, off > 0 && `${off} off`].filter(Boolean).join(' · ');
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

function textOf(server: Server): string {
  return `${server.name} ${addressOf(server)} ${stateOf(server).word}`;
}

const SAMPLE = `kind: Server
name: jira
transport:
  type: http
  url: https://mcp.example.com/mcp`;
