import { useSuspenseQuery } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import type { ReactNode } from 'react';

import { Page, Section } from '@/ui/page';
import { Pill, type Tone } from '@/ui/pill';
import { Ago, useFace } from '@/ui/time';
import { Stale } from '@/ui/trouble';
import { Visible } from '@/ui/visible';
import { type Hour, hourOf } from './numbers';
import classes from './overview-page.module.css';
import { type Glance, type Overview, overviewQuery } from './queries';

/** How the workspace is: what is the matter comes first, and each number leads to what it counts. */
export function OverviewPage() {
  const { workspace } = useParams({ from: '/app/workspaces/$workspace/overview' });
  const { data, error, dataUpdatedAt } = useSuspenseQuery(overviewQuery(workspace));
  return (
    <Page title="Overview">
      <Stale error={error} since={dataUpdatedAt} />
      <State workspace={workspace} overview={data} />
      {data.calls && <Calls workspace={workspace} glance={data.calls} at={data.at} />}
      {!data.calls && !data.replicas && typeof data.pending !== 'number' && !data.cutoffs && (
        <p className={classes.note}>
          Nothing of this is yours to see. What you can use is in the navigation.
        </p>
      )}
    </Page>
  );
}

function State({ workspace, overview }: { workspace: string; overview: Overview }) {
  const { replicas, pending, cutoffs, record } = overview;
  const params = { workspace };
  return (
    <div className={classes.cards}>
      {replicas && (
        <Card name="Replicas" tone={replicas.gone.length > 0 ? 'bad' : 'good'}>
          <Link to="/workspaces/$workspace/replicas" params={params} className={classes.number}>
            {replicas.live} live
          </Link>
          <span className={classes.note}>
            {replicas.gone.length > 0
              ? `${replicas.gone.length} gone within the hour`
              : replicas.behind > 0
                ? `${replicas.behind} behind`
                : 'all up to date'}
          </span>
        </Card>
      )}
      {typeof pending === 'number' && (
        <Card name="Approvals" tone={pending > 0 ? 'warn' : 'good'}>
          <Link to="/workspaces/$workspace/pins" params={params} className={classes.number}>
            {pending} pending
          </Link>
          <span className={classes.note}>definitions of servers under review</span>
        </Card>
      )}
      {cutoffs && (
        <Card name="Cut-offs" tone={cutoffs.count > 0 ? 'warn' : 'good'}>
          <Link to="/workspaces/$workspace/cutoffs" params={params} className={classes.number}>
            {cutoffs.count}
            {cutoffs.is_more && '+'} in force
          </Link>
          <span className={classes.note}>
            {cutoffs.count === 0 ? 'everything is on' : 'somebody has turned these off'}
          </span>
        </Card>
      )}
      {record && (
        <Card name="Record" tone={record.is_current ? 'good' : 'bad'}>
          <Link to="/workspaces/$workspace/records" params={params} className={classes.number}>
            {record.size.toLocaleString('en-GB')} signed
          </Link>
          <span className={classes.note}>
            {record.is_current ? (
              record.last ? (
                <>
                  the last <Ago at={record.last} />
                </>
              ) : (
                'nothing recorded yet'
              )
            ) : (
              <>
                not signed since <Ago at={record.waiting_since ?? overview.at} />
              </>
            )}
          </span>
        </Card>
      )}
    </div>
  );
}

const STATES: Record<Tone, string> = { good: 'Good', warn: 'Look', bad: 'Bad', calm: '' };

function Card({ name, tone, children }: { name: string; tone: Tone; children: ReactNode }) {
  return (
    <section className={classes.card} aria-label={name}>
      <header className={classes.cardHead}>
        <h2>{name}</h2>
        <Pill tone={tone}>{STATES[tone]}</Pill>
      </header>
      {children}
    </section>
  );
}

function Calls({ workspace, glance, at }: { workspace: string; glance: Glance; at: string }) {
  const hour = hourOf(glance, at);
  const latency = glance.latency;
  const charts = '/workspaces/$workspace/charts';
  return (
    <>
      <Section title="The last hour" note={`${hour.calls.toLocaleString('en-GB')} calls`}>
        <Bars hour={hour} />
        <dl className={classes.figures}>
          <Figure name="Calls a minute" value={hour.perMinute.toFixed(1)} />
          <Figure
            name="Error rate"
            value={hour.errorRate === null ? '–' : `${(100 * hour.errorRate).toFixed(1)} %`}
          />
          <Figure name="Overhead, p95" value={latency ? `${latency.gateway.p95} ms` : '–'} />
          <Figure name="Servers, p95" value={latency ? `${latency.upstream.p95} ms` : '–'} />
        </dl>
        <Link to={charts} params={{ workspace }} search={{ range: '1h' }}>
          All charts
        </Link>
      </Section>
      <Section title="Refused most often" note="in the last day">
        {glance.denied.length === 0 ? (
          <p className={classes.note}>Nothing was refused.</p>
        ) : (
          <ul className={classes.denied}>
            {glance.denied.map((it) => (
              <li key={`${it.server}/${it.tool}`}>
                <span className={classes.count}>{it.count.toLocaleString('en-GB')}</span>
                <Link
                  to="/workspaces/$workspace/calls"
                  params={{ workspace }}
                  search={{
                    measure: 'denials',
                    range: '24h',
                    server: it.server || undefined,
                    tool: it.tool || undefined,
                  }}
                >
                  <Visible text={[it.server, it.tool].filter(Boolean).join('/') || 'no server'} />
                </Link>
              </li>
            ))}
          </ul>
        )}
      </Section>
    </>
  );
}

function Figure({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

const HEIGHT = 48;

/** Decoration for those who see it: what it says stands beside it, and minute by minute in the charts. */
function Bars({ hour }: { hour: Hour }) {
  const face = useFace();
  const highest = Math.max(1, ...hour.bars.map((it) => it.calls));
  const high = (count: number) => (count === 0 ? 0 : Math.max(1, (HEIGHT * count) / highest));
  const first = hour.bars[0]?.at ?? 0;
  return (
    <svg
      className={classes.bars}
      viewBox={`0 0 ${hour.bars.length * 4} ${HEIGHT}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={`Calls by the minute since ${face(first).slice(0, 5)}, at most ${highest}`}
    >
      {hour.bars.map((it, n) => (
        <g key={it.at}>
          <rect
            className={classes.bar}
            x={n * 4}
            y={HEIGHT - high(it.calls)}
            width={3}
            height={high(it.calls)}
          />
          <rect
            className={classes.bad}
            x={n * 4}
            y={HEIGHT - high(it.bad)}
            width={3}
            height={high(it.bad)}
          />
        </g>
      ))}
    </svg>
  );
}
