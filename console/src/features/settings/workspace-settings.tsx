import { Button } from '@mantine/core';
import { queryOptions, useQuery } from '@tanstack/react-query';

import { api, take } from '@/api/client';
import { useMay } from '@/app/rights';
import { command } from '@/features/changes/call';
import { differences, type Members } from '@/features/changes/difference';
import { type FormSpec, linesOf, useFormDialog } from '@/features/objects/form-dialog';
import type { Workspace } from '@/features/workspaces/queries';
import { Section } from '@/ui/page';
import { Facts } from '@/ui/panel';
import { TableSkeleton } from '@/ui/table-skeleton';
import { Exact } from '@/ui/time';
import { Trouble } from '@/ui/trouble';

const workspaceQuery = (workspace: string) =>
  queryOptions({
    queryKey: ['workspace', workspace, 'settings'],
    queryFn: ({ signal }) =>
      take(api.GET('/api/v1/workspaces/{workspace}', { params: { path: { workspace } }, signal })),
  });

export function WorkspaceSettings({ workspace }: { workspace: string }) {
  const { data, error } = useQuery(workspaceQuery(workspace));
  const { open, dialog } = useFormDialog(workspace);
  const { why } = useMay(workspace, 'workspaces:write');
  return (
    <Section
      title="This workspace"
      note={
        <Button
          variant="default"
          size="compact-xs"
          disabled={!data || why !== undefined}
          title={why}
          onClick={() => data && open(editing(data))}
        >
          Edit
        </Button>
      }
    >
      {dialog}
      {error && <Trouble what="The workspace is not shown" error={error} />}
      {!data && !error && <TableSkeleton rows={2} />}
      {data && (
        <Facts
          facts={[
            ['Name', data.name],
            ['A record counts as kept', DURABILITY[data.durability]],
            ['Addresses', data.addresses.join(', ') || 'from everywhere'],
            ['Made', <Exact key="made" at={data.created_at} />],
            ['Id', <code key="id">{data.id}</code>],
          ]}
        />
      )}
    </Section>
  );
}

const DURABILITY: Record<Workspace['durability'], string> = {
  written: 'when it is written to the system',
  synced: 'when it is synced to the disk',
};

/** The name stays: it is a part of every address that clients have. */
function editing(it: Workspace): FormSpec {
  const path = `/api/v1/workspaces/${it.name}`;
  return {
    title: `Edit workspace ${it.name}`,
    fields: [
      {
        name: 'durability',
        label: 'A record counts as kept when it is',
        description: 'synced survives a loss of power, and takes longer',
        type: 'choice',
        options: ['written', 'synced'],
      },
      {
        name: 'addresses',
        label: 'Addresses from where it may be used and administered',
        description: 'Networks or single addresses, one in a line; none: from everywhere',
        type: 'lines',
      },
    ],
    initial: { durability: it.durability, addresses: it.addresses.join('\n') },
    plan: (values) => {
      const before = it as unknown as Members;
      const after = {
        ...before,
        durability: values['durability'],
        addresses: linesOf(values['addresses']),
      };
      const body = Object.fromEntries(
        differences(before, after).map(({ member, after }) => [member, after]),
      ) as { durability?: string; addresses?: string[] };
      return {
        title: `Change workspace ${it.name}`,
        verb: 'Apply',
        call: { method: 'patch', path, body },
        command: command(['workspace', 'update', it.name], {
          durability: body.durability,
          address: body.addresses,
        }),
        before,
        of: path,
      };
    },
  };
}
