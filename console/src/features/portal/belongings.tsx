import { useQuery } from '@tanstack/react-query';

import type { Schemas } from '@/api/client';
import { Section } from '@/ui/page';
import { Pill } from '@/ui/pill';
import { TableSkeleton } from '@/ui/table-skeleton';
import { Ago } from '@/ui/time';
import { Trouble } from '@/ui/trouble';
import { Visible } from '@/ui/visible';
import classes from './portal.module.css';
import { ownAppsQuery, ownIdentitiesQuery } from './queries';

/** Credentials at servers, of which nobody is shown the values. */
export function OwnIdentities({ workspace }: { workspace: string }) {
  const { data, error, refetch } = useQuery(ownIdentitiesQuery(workspace));
  return (
    <Section title="Your accounts at servers">
      {error && !data && (
        <Trouble what="Your accounts are not shown" error={error} retry={() => void refetch()} />
      )}
      {!data && !error && <TableSkeleton rows={2} />}
      {data?.items.length === 0 && (
        <p className={classes.note}>
          None is kept for you. A server that asks for an account of your own is used with one that
          an administrator has put here for you; nobody sees its secret again.
        </p>
      )}
      <ul className={classes.rows} aria-label="Your accounts">
        {data?.items.map((it) => (
          <li key={it.id} className={classes.row}>
            <span className={classes.head}>
              <span>
                <strong>{it.name}</strong> at {it.server}
              </span>
              {it.enabled ? <Pill tone="good">on</Pill> : <Pill tone="bad">off</Pill>}
            </span>
            <Off off={it.off} />
            <p className={classes.note}>
              kept since <Ago at={it.created_at} />
            </p>
          </li>
        ))}
      </ul>
    </Section>
  );
}

/** What calls for one, and how long it still can. */
export function OwnApps({ workspace }: { workspace: string }) {
  const { data, error, refetch } = useQuery(ownAppsQuery(workspace));
  return (
    <Section title="Your apps">
      {error && !data && (
        <Trouble what="Your apps are not shown" error={error} retry={() => void refetch()} />
      )}
      {!data && !error && <TableSkeleton rows={2} />}
      {data?.items.length === 0 && (
        <p className={classes.note}>
          None is registered for you. An app is a client that calls for you, with a token of its
          own.
        </p>
      )}
      <ul className={classes.rows} aria-label="Your apps">
        {data?.items.map(({ app, tokens }) => (
          <li key={app.id} className={classes.row}>
            <span className={classes.head}>
              <strong>{app.name}</strong>
              {app.enabled ? <Pill tone="good">on</Pill> : <Pill tone="bad">off</Pill>}
            </span>
            <Off off={app.off} />
            <p className={classes.note}>
              <Visible text={app.purpose} />
            </p>
            {tokens.length === 0 && (
              <p className={classes.reason}>It has no token that is valid, so it cannot call.</p>
            )}
            {tokens.map((it) => (
              <p key={it.id} className={classes.note}>
                token {it.name} expires <Ago at={it.expires_at} />
              </p>
            ))}
          </li>
        ))}
      </ul>
    </Section>
  );
}

function Off({ off }: { off: Schemas['Off'] | null | undefined }) {
  if (!off?.reason) return null;
  return (
    <p className={classes.reason}>
      Turned off: <Visible text={off.reason} />
    </p>
  );
}
