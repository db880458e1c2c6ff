import { Button } from '@mantine/core';

import { useMay } from '@/app/rights';
import { useFormDialog } from '@/features/objects/form-dialog';
import { ThingLinks } from '@/features/objects/thing-links';
import { type Column, DataTable } from '@/ui/data-table';
import { Section } from '@/ui/page';
import { Pill } from '@/ui/pill';
import { Ago } from '@/ui/time';
import { type Connection, connecting, disconnecting, recrediting } from './plans';

interface Props {
  workspace: string;
  /** What the page is about; the other end is listed. */
  of: { app: string } | { gateway: string };
  connections: Connection[];
}

/** Who is connected to a gateway, or where an app may go: made, changed and ended here. */
export function ConnectionList({ workspace, of, connections }: Props) {
  const { open, ask, dialog } = useFormDialog(workspace);
  const isOfApp = 'app' in of;
  // Whoever connects needs it on the app or on the gateway.
  const { why } = useMay(workspace, 'apps:write', isOfApp ? undefined : `gateway/${of.gateway}`);
  return (
    <Section
      title="Connections"
      note={
        <>
          {isOfApp ? 'gateways that it may use' : 'apps that may use it now'}{' '}
          <Button
            variant="default"
            size="compact-xs"
            disabled={why !== undefined}
            title={why}
            onClick={() => open(connecting(workspace, of))}
          >
            {isOfApp ? 'Connect to a gateway' : 'Connect an app'}
          </Button>
        </>
      }
    >
      {dialog}
      <DataTable
        label={isOfApp ? 'Connections of this app' : 'Connections to this gateway'}
        columns={isOfApp ? [GATEWAY, ...REST] : [APP, ...REST]}
        rows={connections}
        rowId={(it) => (isOfApp ? it.gateway : it.app)}
        deeds={(it) => [
          { name: 'Credentials', why, onDo: () => open(recrediting(workspace, it)) },
          {
            name: 'Disconnect…',
            isDangerous: true,
            why,
            onDo: () => ask(disconnecting(workspace, it)),
          },
        ]}
        empty={isOfApp ? 'It is connected to no gateway.' : 'No app is connected.'}
      />
    </Section>
  );
}

const APP: Column<Connection> = {
  id: 'app',
  header: 'App',
  cell: ({ row: { original: it } }) => <ThingLinks many="apps" names={[it.app]} none="" />,
};

const GATEWAY: Column<Connection> = {
  id: 'gateway',
  header: 'Gateway',
  cell: ({ row: { original: it } }) => <ThingLinks many="gateways" names={[it.gateway]} none="" />,
};

const REST: Column<Connection>[] = [
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
