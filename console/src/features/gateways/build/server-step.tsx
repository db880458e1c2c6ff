import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';

import { useMay } from '@/app/rights';
import { useFormDialog } from '@/features/objects/form-dialog';
import { namesQuery } from '@/features/objects/nouns';
import { type Column, DataTable } from '@/ui/data-table';
import { Section } from '@/ui/page';
import { SearchField } from '@/ui/search-field';
import { TableSkeleton } from '@/ui/table-skeleton';
import { Trouble } from '@/ui/trouble';
import { AssignmentTable } from '../assignment-table';
import { assigning } from '../plans';
import type { Assignment } from '../queries';
import { RowButton } from './row-button';

interface Props {
  workspace: string;
  gateway: string;
  assignments: Assignment[];
}

/** What is on the gateway, and what can be put there. */
export function ServerStep({ workspace, gateway, assignments }: Props) {
  const { data, error } = useQuery(namesQuery(workspace, 'servers'));
  const { open, dialog } = useFormDialog(workspace);
  const { why } = useMay(workspace, 'gateways:write', `gateway/${gateway}`);
  const [wanted, setWanted] = useState('');
  const there = new Set(assignments.map((it) => it.server));
  const rows = (data?.names ?? [])
    .filter((name) => name.includes(wanted.trim().toLowerCase()))
    .map((name) => ({ name, isThere: there.has(name) }));
  const put = (server: string) => open(assigning(workspace, gateway, server));
  return (
    <>
      {dialog}
      <AssignmentTable workspace={workspace} gateway={gateway} />
      <Section
        title="Servers of this workspace"
        note={<SearchField label="Search servers" value={wanted} onChange={setWanted} />}
      >
        {error && <Trouble what="The servers are not shown" error={error} />}
        {data ? (
          <DataTable
            label="Servers of this workspace"
            columns={[NAME, putColumn(gateway, why, put)]}
            rows={rows}
            rowId={(it) => it.name}
            empty="No server of that name."
          />
        ) : (
          !error && <TableSkeleton />
        )}
      </Section>
    </>
  );
}

interface Row {
  name: string;
  isThere: boolean;
}

const NAME: Column<Row> = { id: 'name', header: 'Server', accessorFn: (it) => it.name };

function putColumn(
  gateway: string,
  why: string | undefined,
  onPut: (server: string) => void,
): Column<Row> {
  return {
    id: 'put',
    header: 'On this gateway',
    cell: ({ row: { original: it } }) => (
      <RowButton why={why} onClick={() => onPut(it.name)}>
        Put {it.name} on {gateway}
        {it.isThere && ' once more'}
      </RowButton>
    ),
  };
}
