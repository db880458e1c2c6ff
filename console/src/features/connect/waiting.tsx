/** Whether a client has come: from the record, as it is written. */
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState, useSyncExternalStore } from 'react';

import { useMay } from '@/app/rights';
import { connectionsQuery } from '@/features/gateways/queries';
import { arrivalQuery, hasBegun } from '@/features/portal/queries';
import { textOf } from '@/features/records/entry';
import { Tail } from '@/features/records/tail';
import { Pill } from '@/ui/pill';
import { Section } from '@/ui/page';
import { Ago } from '@/ui/time';
import { Trouble } from '@/ui/trouble';
import { Visible } from '@/ui/visible';
import { arrivalsOf } from './arrivals';
import { clientOf } from './clients';
import classes from './connect-page.module.css';

interface Props {
  workspace: string;
  gateway: string;
}

/** Whoever may not follow the record sees their own calls. */
export function Waiting(props: Props) {
  const { isAllowed, isKnown } = useMay(props.workspace, 'records:read');
  if (!isKnown) return null;
  return isAllowed ? <AnyCall {...props} /> : <OwnCall {...props} />;
}

function OwnCall({ workspace, gateway }: Props) {
  const [since] = useState(() => new Date().toISOString());
  const { data, error } = useQuery(arrivalQuery(workspace, gateway, since));
  const hasCome = data ? hasBegun(data) : false;
  return (
    <Section title="Has it come?">
      <div aria-live="polite" className={classes.waiting}>
        {data && hasCome ? (
          <p>
            <Pill tone="good">Connected</Pill> as <Visible text={data.app ?? 'an app of yours'} />.{' '}
            <Link to="/workspaces/$workspace/me" params={{ workspace }} search={{ gateway }}>
              See what it does
            </Link>
          </p>
        ) : error ? (
          <Trouble what="Whether it comes cannot be seen here" error={error} />
        ) : (
          <p>
            <Pill tone="calm">Waiting for its first call</Pill>
          </p>
        )}
      </div>
      {data && !hasCome && (
        <p className={classes.refused}>
          Refused just now: <Visible text={data.because ?? data.end} />
        </p>
      )}
    </Section>
  );
}

function AnyCall({ workspace, gateway }: Props) {
  const [tail] = useState(() => new Tail(workspace));
  const [since] = useState(() => Date.now());
  const { rows, link, failure } = useSyncExternalStore(tail.subscribe, tail.read);
  const { data: connections } = useQuery(connectionsQuery(workspace));
  const { newest, refused, before } = arrivalsOf(rows, gateway, since);
  const owner = connections?.items.find((it) => it.app === newest?.app)?.user;
  return (
    <Section title="Has it come?">
      <div aria-live="polite" className={classes.waiting}>
        {newest ? (
          <p>
            <Pill tone="good">Connected</Pill> as <Visible text={newest.app} />
            {owner !== undefined && (
              <>
                , for <strong>{owner}</strong>
              </>
            )}
            <AgentOf agent={textOf(newest.intent ?? newest.outcome, 'user_agent')} />.{' '}
            <Link
              to="/workspaces/$workspace/records"
              params={{ workspace }}
              search={{ gateway, app: newest.app, record: newest.key }}
            >
              See what it does
            </Link>
          </p>
        ) : failure ? (
          <Trouble what="Whether it comes cannot be seen here" error={failure} />
        ) : (
          <p>
            <Pill tone="calm">{link === 'live' ? 'Waiting for its first call' : 'Looking…'}</Pill>
          </p>
        )}
      </div>
      {refused && (
        <p className={classes.refused}>
          Refused just now: <Visible text={textOf(refused.outcome, 'detail') || refused.end} />
        </p>
      )}
      {!newest && before && (
        <p className={classes.note}>
          The last call before came from <Visible text={before.app} />{' '}
          <Ago at={new Date(before.at).toISOString()} />.
        </p>
      )}
    </Section>
  );
}

function AgentOf({ agent }: { agent: string }) {
  const client = clientOf(agent);
  return client ? `, by ${client.name}` : null;
}
