import { Button } from '@mantine/core';
import { Link, useSearch } from '@tanstack/react-router';
import type { ReactNode } from 'react';

import { Code } from '@/ui/code';
import { DownloadIcon } from '@/ui/icons';
import { Section } from '@/ui/page';
import { save } from '@/ui/table-export';
import { type Client, CLIENTS, type Place, placeOf, type Snippet } from './clients';
import classes from './connect-page.module.css';

interface Props {
  workspace: string;
  gateway: string;
  /** Below how a client is told. */
  children?: ReactNode;
}

/** The clients, and how the one that is chosen gets to a gateway. The choice stands in the URL. */
export function Ways({ workspace, gateway, children }: Props) {
  const { client: chosen } = useSearch({ strict: false });
  const place = placeOf(globalThis.location.origin, workspace, gateway);
  const client = CLIENTS.find((it) => it.id === chosen) ?? CLIENTS[0];
  if (!place || !client) return null;
  return (
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
        {children}
      </div>
    </div>
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
