/** How a client gets to a gateway: one choice, one step, and word when it has arrived. */
import { Button, NativeSelect } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useParams, useSearch } from '@tanstack/react-router';

import { namesQuery } from '@/features/objects/nouns';
import { TableSkeleton } from '@/ui/data-table';
import { Code } from '@/ui/code';
import { DownloadIcon } from '@/ui/icons';
import { Page, Section } from '@/ui/page';
import { save } from '@/ui/table-export';
import { Trouble } from '@/ui/trouble';
import { type Client, CLIENTS, type Place, placeOf, type Snippet } from './clients';
import classes from './connect-page.module.css';
import { Waiting } from './waiting';

const HERE = '/app/workspaces/$workspace/connect';

export function ConnectPage() {
  const { workspace } = useParams({ from: HERE });
  const { gateway: wanted, client: chosen } = useSearch({ from: HERE });
  const navigate = useNavigate({ from: '/workspaces/$workspace/connect' });
  const { data, error } = useQuery(namesQuery(workspace, 'gateways'));
  // What is shown is made from a name that the gateway has told, never from the address alone.
  const gateway = wanted === undefined ? data?.names[0] : data?.names.find((it) => it === wanted);
  const place =
    gateway === undefined ? null : placeOf(globalThis.location.origin, workspace, gateway);
  const client = CLIENTS.find((it) => it.id === chosen) ?? CLIENTS[0];
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
      {place && client && gateway !== undefined && (
        <div className={classes.both}>
          <nav className={classes.clients} aria-label="Clients">
            {CLIENTS.map((it) => (
              <Link
                key={it.id}
                to="."
                search={(old) => ({ ...old, client: it.id })}
                className={classes.client}
                activeOptions={{ exact: true, includeSearch: true }}
                data-tab={it === client ? 'open' : ''}
                replace
              >
                {it.name}
              </Link>
            ))}
          </nav>
          <div className={classes.how}>
            <How client={client} place={place} workspace={workspace} />
            <Waiting key={gateway} workspace={workspace} gateway={gateway} />
          </div>
        </div>
      )}
    </Page>
  );
}

interface HowProps {
  client: Client;
  place: Place;
  workspace: string;
}

function How({ client, place, workspace }: HowProps) {
  return (
    <Section title={client.name}>
      <p className={classes.note}>{client.note}</p>
      {client.link && (
        <div>
          <Button component="a" href={client.link(place)}>
            Add to {client.name}
          </Button>
        </div>
      )}
      {client.snippets(place).map((it) => (
        <Shown key={it.title} snippet={it} />
      ))}
      <p className={classes.note}>
        Nothing here holds a token. An app has tokens, and each is shown once, when it is made:{' '}
        <Link to="/workspaces/$workspace/apps" params={{ workspace }}>
          apps
        </Link>
        .
      </p>
    </Section>
  );
}

function Shown({ snippet: { title, what, text, file } }: { snippet: Snippet }) {
  return (
    <div className={classes.snippet}>
      <div className={classes.line}>
        <h3 className={classes.title}>
          {title}
          {file !== undefined && (
            <>
              {' '}
              <code>{file}</code>
            </>
          )}
        </h3>
        {file !== undefined && (
          <Button
            size="compact-xs"
            variant="default"
            leftSection={<DownloadIcon size={12} />}
            onClick={() => save(file.split('/').at(-1) ?? file, 'text/plain;charset=utf-8', text)}
          >
            Save {file.split('/').at(-1)}
          </Button>
        )}
      </div>
      <Code text={text.trimEnd()} what={what} />
    </div>
  );
}
