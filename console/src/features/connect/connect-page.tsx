/** How a client gets to a gateway: one choice, one step, and word when it has arrived. */
import { NativeSelect } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useNavigate, useParams, useSearch } from '@tanstack/react-router';

import { namesQuery } from '@/features/objects/nouns';
import { Page } from '@/ui/page';
import { TableSkeleton } from '@/ui/table-skeleton';
import { Trouble } from '@/ui/trouble';
import classes from './connect-page.module.css';
import { Waiting } from './waiting';
import { Ways } from './ways';

const HERE = '/app/workspaces/$workspace/connect';

export function ConnectPage() {
  const { workspace } = useParams({ from: HERE });
  const { gateway: wanted } = useSearch({ from: HERE });
  const navigate = useNavigate({ from: '/workspaces/$workspace/connect' });
  const { data, error } = useQuery(namesQuery(workspace, 'gateways'));
  // What is shown is made from a name that the gateway has told, never from the address alone.
  const gateway = wanted === undefined ? data?.names[0] : data?.names.find((it) => it === wanted);
  return (
    <Page title="Connect a client">
      {error && <Trouble what="The gateways are not shown" error={error} />}
      {!data && !error && <TableSkeleton />}
      {data && data.names.length === 0 && (
        <p>There is no gateway that you may use. Ask whoever administers them.</p>
      )}
      {data && wanted !== undefined && gateway === undefined && (
        <p role="alert" className={classes.refused}>
          There is no gateway of that name here, so nothing is made for it. Choose one.
        </p>
      )}
      {data && data.names.length > 0 && (
        <NativeSelect
          label="Gateway"
          maw={320}
          data={gateway === undefined ? ['', ...data.names] : data.names}
          value={gateway ?? ''}
          onChange={(event) => {
            const gateway = event.currentTarget.value;
            void navigate({ search: (old) => ({ ...old, gateway }), replace: true });
          }}
        />
      )}
      {gateway !== undefined && (
        <Ways workspace={workspace} gateway={gateway}>
          <Waiting key={gateway} workspace={workspace} gateway={gateway} />
        </Ways>
      )}
    </Page>
  );
}
