/** From nothing to a call that is recorded: a server, what it needs, a client, an approval. */
import { useQuery } from '@tanstack/react-query';
import { Link, useParams, useSearch } from '@tanstack/react-router';

import { namesQuery } from '@/features/objects/nouns';
import { Page } from '@/ui/page';
import { TableSkeleton } from '@/ui/table-skeleton';
import { Trouble } from '@/ui/trouble';
import { ClientStep } from './client-step';
import { ServerStep } from './server-step';
import classes from './start-page.module.css';

const HERE = '/app/workspaces/$workspace/start';

export function StartPage() {
  const { workspace } = useParams({ from: HERE });
  const { server } = useSearch({ from: HERE });
  const { data, error } = useQuery(namesQuery(workspace, 'servers'));
  return (
    <Page title="First steps">
      <ol className={classes.steps}>
        <li {...(server === undefined ? { 'aria-current': 'step' } : {})}>1. A server</li>
        <li {...(server === undefined ? {} : { 'aria-current': 'step' })}>2. A client</li>
      </ol>
      {error && <Trouble what="What there is cannot be seen here" error={error} />}
      {!data && !error && <TableSkeleton />}
      {data &&
        (server !== undefined && data.names.includes(server) ? (
          <ClientStep workspace={workspace} server={server} />
        ) : data.names.length > 0 ? (
          <p>
            These are for an empty workspace, and this one has servers already. Go on at{' '}
            <Link to="/workspaces/$workspace/gateways" params={{ workspace }}>
              gateways
            </Link>{' '}
            or{' '}
            <Link to="/workspaces/$workspace/connect" params={{ workspace }}>
              connect a client
            </Link>
            .
          </p>
        ) : (
          <ServerStep workspace={workspace} />
        ))}
    </Page>
  );
}
