import { Button } from '@mantine/core';
import { useSuspenseQuery } from '@tanstack/react-query';
import { Link, useNavigate, useParams } from '@tanstack/react-router';
import { useCallback, useMemo } from 'react';

import { useMay } from '@/app/rights';
import { type FormSpec, useFormDialog } from '@/features/objects/form-dialog';
import { deletion, editSpec, makeSpec } from '@/features/objects/room';
import { useMaking } from '@/features/objects/things-page';
import type { Column } from '@/ui/data-table';
import { Empty } from '@/ui/empty';
import { PlusIcon } from '@/ui/icons';
import { Listing } from '@/ui/listing';
import { Pill } from '@/ui/pill';
import rowLink from '@/ui/row-link.module.css';
import { Ago } from '@/ui/time';
import { type Connection, connectionsQuery, type Gateway, gatewaysQuery } from './queries';
import { GATEWAYS } from './room';

/** The governed URLs of a workspace. */
export function GatewaysPage() {
  const { workspace } = useParams({ from: '/app/workspaces/$workspace/gateways/' });
  const { data: connections } = useSuspenseQuery(connectionsQuery(workspace));
  const columns = useMemo(() => columnsWith(connections.items), [connections]);
  const navigate = useNavigate();
  const { open, ask, dialog } = useFormDialog(workspace);
  const { isAllowed, why } = useMay(workspace, GATEWAYS.writes);
  const make = useCallback(
    (spec: FormSpec) =>
      open({
        ...spec,
        // What is new has nothing yet: one goes on to what shall be on it.
        onDone: (answer) =>
          navigate({
            to: '/workspaces/$workspace/gateways/$gateway/build',
            params: { workspace, gateway: (answer as Gateway).name },
          }),
      }),
    [navigate, open, workspace],
  );
  useMaking(GATEWAYS, workspace, make);
  return (
    <Listing
      title="Gateways"
      workspace={workspace}
      query={gatewaysQuery(workspace)}
      columns={columns}
      rowId={(it) => it.name}
      textOf={GATEWAYS.textOf}
      tools={
        <Button
          leftSection={<PlusIcon size={14} />}
          disabled={!isAllowed}
          title={why}
          onClick={() => make(makeSpec(GATEWAYS, workspace))}
        >
          New gateway
        </Button>
      }
      extra={dialog}
      deeds={(it) => [
        { name: 'Edit', why, onDo: () => open(editSpec(GATEWAYS, workspace, it)) },
        {
          name: 'Delete…',
          isDangerous: true,
          why,
          onDo: () => ask(deletion(GATEWAYS, workspace, it.name)),
        },
      ]}
      empty={
        <Empty title="No gateways yet" file={SAMPLE} command="ostiary apply -f gateway.yaml">
          A gateway is one governed URL with its own servers, teams and rules. Clients connect to it
          and to nothing else.
        </Empty>
      }
    />
  );
}

function columnsWith(connections: Connection[]): Column<Gateway>[] {
  const counts = new Map<string, number>();
  for (const { gateway } of connections) counts.set(gateway, (counts.get(gateway) ?? 0) + 1);
  const count: Column<Gateway> = {
    id: 'connections',
    header: 'Connections',
    accessorFn: (it) => counts.get(it.name) ?? 0,
    meta: { isNumber: true },
  };
  return [...COLUMNS.slice(0, 2), count, ...COLUMNS.slice(2)];
}

const COLUMNS: Column<Gateway>[] = [
  {
    id: 'name',
    header: 'Name',
    accessorFn: (it) => it.name,
    cell: ({ row: { original: it } }) => (
      <Link
        from="/workspaces/$workspace/gateways"
        to="/workspaces/$workspace/gateways/$gateway"
        params={(old) => ({ workspace: old.workspace ?? '', gateway: it.name })}
        className={rowLink.link}
        data-row
      >
        {it.name}
      </Link>
    ),
  },
  {
    id: 'state',
    header: 'State',
    accessorFn: (it) => (it.enabled ? 'On' : 'Off'),
    cell: ({ row: { original: it } }) => (
      <Pill tone={it.enabled ? 'good' : 'bad'}>{it.enabled ? 'On' : 'Off'}</Pill>
    ),
  },
  {
    id: 'teams',
    header: 'Teams',
    accessorFn: (it) => it.teams.join(', ') || 'none',
    meta: { hide: 'medium' },
  },
  {
    id: 'created',
    header: 'Made',
    accessorFn: (it) => it.created_at,
    cell: ({ row: { original: it } }) => <Ago at={it.created_at} />,
    meta: { hide: 'medium' },
  },
];

const SAMPLE = `kind: Gateway
name: support
teams: [support]
assignments:
  - server: jira`;
