import { Button, NativeSelect } from '@mantine/core';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useEffect } from 'react';

import { took } from '@/features/records/ends';
import { Copy } from '@/ui/copy';
import { Section } from '@/ui/page';
import { Pill, type Tone } from '@/ui/pill';
import { TableSkeleton } from '@/ui/table-skeleton';
import { Ago, Exact } from '@/ui/time';
import { Stale, Trouble } from '@/ui/trouble';
import { Visible } from '@/ui/visible';
import { adviceFor } from './advice';
import classes from './portal.module.css';
import {
  keyOf,
  newCallsQuery,
  OUTCOMES,
  type Outcome,
  type OwnCall,
  ownCallsQuery,
  ownGatewaysQuery,
} from './queries';

const HERE = '/app/workspaces/$workspace/me';

/** So many pages are looked at before somebody is asked whether to look further, where nothing is found. */
const MOST_BY_ITSELF = 5;

/** What one's own apps have called, and why not where it was refused. */
export function Activity({ workspace }: { workspace: string }) {
  const search = useSearch({ from: HERE });
  const query = useInfiniteQuery(ownCallsQuery(workspace, search));
  const { data, error, dataUpdatedAt, hasNextPage, isFetchingNextPage } = query;
  const calls = data?.pages.flatMap((it) => it.items) ?? [];
  useQuery({ ...newCallsQuery(workspace, search), enabled: data !== undefined });
  const { fetchNextPage } = query;
  const pages = data?.pages.length ?? 0;
  const isSearching = hasNextPage && calls.length === 0 && pages < MOST_BY_ITSELF && !error;
  useEffect(() => {
    if (isSearching && !isFetchingNextPage) void fetchNextPage();
  }, [isSearching, isFetchingNextPage, fetchNextPage]);
  const reached = data?.pages.at(-1)?.reached;
  return (
    <Section title="What your apps did">
      <Filters workspace={workspace} />
      {data && <Stale error={error} since={dataUpdatedAt} />}
      {!data && error && (
        <Trouble what="Your calls are not shown" error={error} retry={() => void query.refetch()} />
      )}
      {!data && !error && <TableSkeleton rows={6} />}
      {data && calls.length === 0 && (
        <p className={classes.note}>
          {hasNextPage
            ? 'None so far.'
            : 'None within the last 31 days, on the replica that was asked.'}
        </p>
      )}
      <ol className={classes.rows} aria-label="Your calls, the newest first">
        {calls.map((it) => (
          <CallRow key={keyOf(it)} call={it} />
        ))}
      </ol>
      {data && (
        <div className={classes.more}>
          {hasNextPage && (
            <Button
              variant="default"
              className={classes.touch}
              loading={isFetchingNextPage}
              onClick={() => void query.fetchNextPage()}
            >
              Look further back
            </Button>
          )}
          {reached && hasNextPage && (
            <span>
              Looked down to <Exact at={reached} />
            </span>
          )}
        </div>
      )}
    </Section>
  );
}

function Filters({ workspace }: { workspace: string }) {
  const { gateway = '', outcome = '' } = useSearch({ from: HERE });
  const navigate = useNavigate({ from: '/workspaces/$workspace/me' });
  const { data } = useQuery(ownGatewaysQuery(workspace));
  const names = data?.items.map((it) => it.name) ?? [];
  // One that is theirs no more has been called all the same.
  const all = gateway === '' || names.includes(gateway) ? names : [gateway, ...names];
  return (
    <div className={classes.filters}>
      <NativeSelect
        label="Gateway"
        size="md"
        value={gateway}
        data={[{ value: '', label: 'All' }, ...all]}
        onChange={({ currentTarget: { value } }) =>
          void navigate({
            search: (old) => ({ ...old, gateway: value || undefined }),
            replace: true,
          })
        }
      />
      <NativeSelect
        label="How it ended"
        size="md"
        value={outcome}
        data={[
          { value: '', label: 'All' },
          ...OUTCOMES.map((it) => ({ value: it, label: WORDS[it].word })),
        ]}
        onChange={({ currentTarget: { value } }) => {
          const outcome = OUTCOMES.find((it) => it === value);
          void navigate({ search: (old) => ({ ...old, outcome }), replace: true });
        }}
      />
    </div>
  );
}

const WORDS: Record<Outcome, { tone: Tone; word: string }> = {
  answered: { tone: 'good', word: 'answered' },
  denied: { tone: 'bad', word: 'refused' },
  error: { tone: 'warn', word: 'answered with an error' },
  failed: { tone: 'warn', word: 'failed' },
  cancelled: { tone: 'calm', word: 'cancelled' },
};

/** Names and reasons are foreign text. */
function CallRow({ call }: { call: OwnCall }) {
  const { app, because, ended_at: ended, end, gateway, id, method, name, outcome, server } = call;
  const { tone, word } = WORDS[outcome];
  const advice = adviceFor(end);
  const millis = call.took_ms;
  return (
    <li className={classes.row}>
      <span className={classes.head}>
        <strong>
          <Visible text={name ?? method ?? 'a call'} />
        </strong>
        <Pill tone={tone}>{word}</Pill>
      </span>
      {because && (
        <p className={classes.reason}>
          <Visible text={because} />
        </p>
      )}
      {outcome !== 'answered' && advice && <p className={classes.note}>{advice}</p>}
      <p className={classes.note}>
        <Visible text={[server, gateway].filter(Boolean).join(' on ') || 'no gateway'} />
        {app && (
          <>
            , by <Visible text={app} />
          </>
        )}
        , <Ago at={ended} />
        {typeof millis === 'number' && `, in ${took(millis * 1_000)}`}
        {outcome !== 'answered' && id && <Copy text={id} what="id of the call" />}
      </p>
    </li>
  );
}
