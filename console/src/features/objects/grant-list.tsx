import { useQuery } from '@tanstack/react-query';

import { api, everyPage, type Schemas, take } from '@/api/client';
import { type Column, DataTable } from '@/ui/data-table';
import { TableSkeleton } from '@/ui/table-skeleton';
import { Section } from '@/ui/page';
import { Trouble } from '@/ui/trouble';

type Grant = Schemas['RoleGrantBody'];

interface Props {
  workspace: string;
  isMeant: (grant: Grant) => boolean;
}

/** Which roles have been given, to whom and for what. */
export function GrantList({ workspace, isMeant }: Props) {
  const { data, error } = useQuery({
    queryKey: ['workspace', workspace, 'role-grants', 'all'],
    queryFn: ({ signal }) =>
      everyPage((query) =>
        take(
          api.GET('/api/v1/workspaces/{workspace}/role-grants', {
            params: { path: { workspace }, query },
            signal,
          }),
        ),
      ),
  });
  return (
    <Section title="Roles" note="what may be administered">
      {error && <Trouble what="The grants are not shown" error={error} />}
      {data ? (
        <DataTable
          label="Roles"
          columns={COLUMNS}
          rows={data.items.filter(isMeant)}
          rowId={(it) => it.id}
          empty="No role has been granted: only what is theirs."
        />
      ) : (
        !error && <TableSkeleton rows={1} />
      )}
    </Section>
  );
}

const COLUMNS: Column<Grant>[] = [
  { id: 'role', header: 'Role', accessorFn: (it) => it.role },
  { id: 'on', header: 'On', accessorFn: (it) => it.on },
  {
    id: 'to',
    header: 'Given to',
    accessorFn: (it) => (it.user ? `user ${it.user}` : `team ${it.team ?? ''}`),
  },
  { id: 'name', header: 'Grant', accessorFn: (it) => it.name, meta: { hide: 'narrow' } },
];
