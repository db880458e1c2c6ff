import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';

import { Code } from '@/ui/code';
import { Empty } from '@/ui/empty';
import { Section } from '@/ui/page';
import { Pill } from '@/ui/pill';
import { TableSkeleton } from '@/ui/table-skeleton';
import { Ago } from '@/ui/time';
import { Stale, Trouble } from '@/ui/trouble';
import { Visible } from '@/ui/visible';
import classes from './portal.module.css';
import { type OwnGateway, type OwnServer, ownGatewaysQuery } from './queries';

export function OwnGateways({ workspace }: { workspace: string }) {
  const query = useQuery(ownGatewaysQuery(workspace));
  const { data, error, dataUpdatedAt, refetch } = query;
  return (
    <Section title="Your gateways">
      {data && <Stale error={error} since={dataUpdatedAt} />}
      {!data && error && (
        <Trouble what="Your gateways are not shown" error={error} retry={() => void refetch()} />
      )}
      {!data && !error && <TableSkeleton rows={4} />}
      {data?.items.length === 0 && (
        <Empty title="No gateway is yours to use yet">
          A gateway is one address at which your client finds the tools of many servers. You may use
          those that a team of yours is granted: ask whoever administers the workspace for one.
        </Empty>
      )}
      {data && data.items.length > 0 && (
        <ul className={classes.cards}>
          {data.items.map((it) => (
            <li key={it.id}>
              <GatewayCard workspace={workspace} gateway={it} />
            </li>
          ))}
        </ul>
      )}
    </Section>
  );
}

function GatewayCard({ workspace, gateway }: { workspace: string; gateway: OwnGateway }) {
  const { name, path, off, servers, apps, teams } = gateway;
  return (
    <article className={classes.card} aria-label={`Gateway ${name}`}>
      <header className={classes.head}>
        <h3 className={classes.name}>{name}</h3>
        <State gateway={gateway} />
      </header>
      {off && <Stopped what="It is turned off" off={off} />}
      <Code text={`${globalThis.location.origin}${path}`} what="URL" />
      <ul className={classes.rows} aria-label={`Servers on ${name}`}>
        {servers.map((it) => (
          <ServerRow key={it.alias} server={it} />
        ))}
      </ul>
      {servers.length === 0 && <p className={classes.note}>There is no server on it yet.</p>}
      <ul className={classes.rows} aria-label={`Your apps on ${name}`}>
        {apps.map((it) => (
          <li key={it.id} className={classes.row}>
            <span className={classes.head}>
              <span>
                App <strong>{it.app}</strong>
              </span>
              {typeof it.because === 'string' ? (
                <Pill tone="bad">kept out</Pill>
              ) : it.hindered.length > 0 ? (
                <Pill tone="warn">in part</Pill>
              ) : (
                <Pill tone="good">connected</Pill>
              )}
            </span>
            {typeof it.because === 'string' && (
              <p className={classes.reason}>
                <Visible text={it.because} />
              </p>
            )}
            {it.hindered.map(({ alias, because }) => (
              <p key={alias} className={classes.reason}>
                <Visible text={because} />
              </p>
            ))}
          </li>
        ))}
      </ul>
      {apps.length === 0 && (
        <p className={classes.note}>
          No app of yours is connected to it. Whoever administers it registers one for you.
        </p>
      )}
      <p className={classes.note}>Yours by {teams.join(', ')}</p>
      <Link
        to="/workspaces/$workspace/connect"
        params={{ workspace }}
        search={{ gateway: name }}
        className={classes.link}
      >
        Connect a client to {name}
      </Link>
    </article>
  );
}

function State({ gateway: { off, servers, apps } }: { gateway: OwnGateway }) {
  if (off) return <Pill tone="bad">off</Pill>;
  if (servers.some((it) => it.off || it.tools_off.length > 0))
    return <Pill tone="warn">partly off</Pill>;
  return apps.some((it) => typeof it.because !== 'string') ? (
    <Pill tone="good">connected</Pill>
  ) : (
    <Pill tone="calm">not connected</Pill>
  );
}

function ServerRow({ server }: { server: OwnServer }) {
  const { alias, server: name, off, tools_off: tools, pending, asks_for_own: asksForOwn } = server;
  return (
    <li className={classes.row}>
      <span className={classes.head}>
        <span>
          <strong>{alias}</strong>
          {alias !== name && ` (server ${name})`}
        </span>
        {off ? <Pill tone="bad">off</Pill> : <Pill tone="good">on</Pill>}
      </span>
      {off && <Stopped what="It is turned off" off={off} />}
      {tools.map((it) => (
        <Stopped key={it.tool} what="Turned off: tool" name={it.tool} off={it.off} />
      ))}
      {typeof pending === 'number' && pending > 0 && (
        <p className={classes.note}>
          {pending} of what it offers {pending === 1 ? 'waits' : 'wait'} for an administrator
        </p>
      )}
      {asksForOwn && <p className={classes.note}>It asks for an account of your own.</p>}
    </li>
  );
}

interface StoppedProps {
  what: string;
  name?: string;
  off: NonNullable<OwnServer['off']>;
}

/** What whoever has turned it off says. It is foreign text. */
function Stopped({ what, name, off: { until, reason } }: StoppedProps) {
  return (
    <p className={classes.reason}>
      {what}
      {name !== undefined && (
        <>
          {' '}
          <Visible text={name} />
        </>
      )}
      {reason && (
        <>
          : <Visible text={reason} />
        </>
      )}
      {until && (
        <>
          . It turns on again <Ago at={until} />
        </>
      )}
    </p>
  );
}
