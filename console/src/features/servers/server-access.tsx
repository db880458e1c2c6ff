/** Who can reach a server: the gateways that it is on, and whose credential goes there. */
import { queryOptions, useQuery } from '@tanstack/react-query';

import { api, everyPage, type Schemas, take } from '@/api/client';
import { GrantList } from '@/features/objects/grant-list';
import { ThingLinks } from '@/features/objects/thing-links';
import { type Column, DataTable } from '@/ui/data-table';
import { Section } from '@/ui/page';
import { TableSkeleton } from '@/ui/table-skeleton';
import { Trouble } from '@/ui/trouble';

interface Reached {
  assignment: Schemas['AssignmentBody'];
  teams: string[];
}

/** More gateways are not asked one by one. */
const MOST_GATEWAYS = 50;

export function ServerAccess({ workspace, server }: { workspace: string; server: string }) {
  const { data, error } = useQuery(reachedQuery(workspace, server));
  return (
    <>
      <Section title="Gateways" note="on which it can be reached">
        {error && <Trouble what="The gateways are not shown" error={error} />}
        {data ? (
          <DataTable
            label="Gateways with this server"
            columns={COLUMNS}
            rows={data.found}
            rowId={(it) => it.assignment.id}
            empty="It is on no gateway, so nobody can reach it."
          />
        ) : (
          !error && <TableSkeleton rows={1} />
        )}
        {data?.isCut && <p>Only the first {MOST_GATEWAYS} gateways were looked at.</p>}
      </Section>
      <GrantList workspace={workspace} isMeant={(grant) => grant.on === `server/${server}`} />
    </>
  );
}

const COLUMNS: Column<Reached>[] = [
  {
    id: 'gateway',
    header: 'Gateway',
    cell: ({ row: { original: it } }) => (
      <ThingLinks many="gateways" names={[it.assignment.gateway]} none="" />
    ),
  },
  { id: 'alias', header: 'As', accessorFn: (it) => it.assignment.alias },
  { id: 'scheme', header: 'Credential', accessorFn: (it) => it.assignment.scheme },
  { id: 'teams', header: 'Teams', accessorFn: (it) => it.teams.join(', ') || 'none' },
];

function reachedQuery(workspace: string, server: string) {
  return queryOptions({
    queryKey: ['workspace', workspace, 'servers', server, 'reached'],
    queryFn: async ({ signal }) => {
      const gateways = await everyPage((query) =>
        take(
          api.GET('/api/v1/workspaces/{workspace}/gateways', {
            params: { path: { workspace }, query },
            signal,
          }),
        ),
      );
      const asked = gateways.items.slice(0, MOST_GATEWAYS);
      const lists = await Promise.all(
        asked.map((it) =>
          everyPage((query) =>
            take(
              api.GET('/api/v1/workspaces/{workspace}/gateways/{gateway}/assignments', {
                params: { path: { workspace, gateway: it.name }, query },
                signal,
              }),
            ),
          ),
        ),
      );
      const found = lists.flatMap((list, at) =>
        list.items
          .filter((it) => it.server === server)
          .map((assignment): Reached => ({ assignment, teams: asked[at]?.teams ?? [] })),
      );
      return { found, isCut: gateways.items.length > MOST_GATEWAYS };
    },
  });
}
