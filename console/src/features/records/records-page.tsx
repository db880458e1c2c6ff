import { ActionIcon, Button, Tooltip } from '@mantine/core';
import { useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { useDeferredValue, useEffect, useMemo, useState, useSyncExternalStore } from 'react';

import { ApprovalsIcon, ArrowDownIcon, PauseIcon, PlayIcon } from '@/ui/icons';
import { Page } from '@/ui/page';
import { Pill } from '@/ui/pill';
import { Split } from '@/ui/split';
import { useFace } from '@/ui/time';
import { Trouble } from '@/ui/trouble';
import { ExportMenu } from './export-menu';
import { type Filter, matcher, readTime } from './filter';
import { useNames } from './names';
import { NoRecords } from './no-records';
import { FacetBar, QueryField } from './query-bar';
import { RecordList } from './record-list';
import { RecordPanel } from './record-panel';
import classes from './records-page.module.css';
import { Tail, type View } from './tail';
import { Timeline } from './timeline';
import { VerifyDialog } from './verify-dialog';
import { MOST_ROWS } from './window';

/** The audit explorer: what is recorded as it is written, newest at the bottom, and what was before. */
export function RecordsPage() {
  const { workspace } = useParams({ from: '/app/workspaces/$workspace/records' });
  // Another workspace is another tail.
  return <Records key={workspace} workspace={workspace} />;
}

function Records({ workspace }: { workspace: string }) {
  const { record, ...filter } = useSearch({ from: '/app/workspaces/$workspace/records' });
  const navigate = useNavigate({ from: '/workspaces/$workspace/records' });
  const [tail] = useState(() => new Tail(workspace));
  const live = useSyncExternalStore(tail.subscribe, tail.read);
  const [held, setHeld] = useState<View | null>(null);
  const [isFollowing, setFollowing] = useState(true);
  const [isVerifying, setVerifying] = useState(false);
  const names = useNames(workspace);
  const view = held ?? live;
  // A filter by time is one of the moment at which the rows are drawn.
  const shown = useMemo(() => {
    const fits = matcher(filter, Date.now());
    return view.rows.filter(fits);
    // oxlint-disable-next-line react-hooks/exhaustive-deps
  }, [view, JSON.stringify(filter)]);
  // What is drawn of all rows at once may come a moment later than the rows.
  const calm = useDeferredValue(shown);
  const rows = useDeferredValue(view.rows);
  useEffect(() => {
    tail.reachBack(readTime(filter.since, Date.now()) ?? Number.POSITIVE_INFINITY);
  }, [tail, filter.since]);
  const open = record === undefined ? undefined : live.rows.find((row) => row.key === record);
  const setFilter = (next: Filter) =>
    void navigate({ search: (old) => ({ ...next, record: old.record }), replace: true });
  const close = () => void navigate({ search: (old) => ({ ...old, record: undefined }) });

  const list = (
    <Page
      title="Records"
      isFixed
      aside={<State view={live} isPaused={held !== null} />}
      tools={
        <>
          <QueryField filter={filter} onChange={setFilter} />
          <Button
            variant="default"
            leftSection={held ? <PlayIcon size={14} /> : <PauseIcon size={14} />}
            onClick={() => setHeld(held ? null : live)}
          >
            {held ? 'Resume' : 'Pause'}
          </Button>
          <ExportMenu workspace={workspace} rows={shown} />
          <Button
            variant="default"
            leftSection={<ApprovalsIcon size={14} />}
            onClick={() => setVerifying(true)}
          >
            Verify a file
          </Button>
        </>
      }
    >
      <FacetBar filter={filter} rows={rows} names={names} onChange={setFilter} />
      <Timeline
        rows={calm}
        onNarrow={(from, to) => setFilter({ ...filter, since: isoOf(from), until: isoOf(to) })}
      />
      {live.failure && <Trouble what="The records cannot be followed" error={live.failure} />}
      {live.olderFailure && (
        <Trouble
          what="Older records cannot be read"
          error={live.olderFailure}
          retry={() => tail.loadOlder()}
        />
      )}
      <div className={classes.frame}>
        {view.rows.length === 0 && live.link === 'live' ? (
          <NoRecords workspace={workspace} />
        ) : (
          <RecordList
            rows={shown}
            openKey={record}
            isFollowing={isFollowing && held === null}
            onFollow={setFollowing}
          />
        )}
        {!isFollowing && held === null && <Follow onFollow={() => setFollowing(true)} />}
      </div>
      <Footer
        view={view}
        shown={shown.length}
        waiting={held ? arrived(held, live) : 0}
        onOlder={() => tail.loadOlder()}
      />
      {isVerifying && <VerifyDialog workspace={workspace} onClose={() => setVerifying(false)} />}
    </Page>
  );
  return (
    <Split
      list={list}
      panel={
        record === undefined ? null : (
          <RecordPanel
            key={record}
            workspace={workspace}
            row={open}
            rows={live.rows}
            names={names}
            tail={tail}
            onClose={close}
          />
        )
      }
    />
  );
}

function Follow({ onFollow }: { onFollow: () => void }) {
  return (
    <Tooltip label="Go to the newest and follow">
      <ActionIcon
        className={classes.follow}
        variant="filled"
        size="lg"
        radius="xl"
        aria-label="Follow the newest records"
        onClick={onFollow}
      >
        <ArrowDownIcon />
      </ActionIcon>
    </Tooltip>
  );
}

/** Whether records are coming. Announced, since it changes by itself. */
function State({ view, isPaused }: { view: View; isPaused: boolean }) {
  return (
    <span role="status">
      {isPaused ? (
        <Pill tone="calm">Paused</Pill>
      ) : view.link === 'live' ? (
        <Pill tone="good">Live</Pill>
      ) : view.link === 'connecting' ? (
        <Pill tone="calm">Connecting…</Pill>
      ) : (
        <Pill tone="bad">Not connected</Pill>
      )}
    </span>
  );
}

interface FooterProps {
  view: View;
  shown: number;
  waiting: number;
  onOlder: () => void;
}

function Footer({ view, shown, waiting, onOlder }: FooterProps) {
  const number = new Intl.NumberFormat('en');
  const face = useFace();
  const oldest = view.rows.find((row) => row.type !== 'note')?.at;
  return (
    <footer className={classes.footer}>
      <span>
        {number.format(shown)} of {number.format(view.rows.length)} rows
      </span>
      {view.hasOlder && oldest !== undefined && (
        <span>
          back to {face(oldest)}; the log goes on.{' '}
          <Button
            variant="subtle"
            size="compact-xs"
            disabled={view.isReadingBack}
            onClick={onOlder}
          >
            {view.isReadingBack ? 'Reading back…' : 'Load older'}
          </Button>
        </span>
      )}
      {waiting > 0 && <span>{number.format(waiting)} more since the pause</span>}
      {view.forgotten > 0 && (
        <span>
          {number.format(view.forgotten)} older rows left this page, which keeps{' '}
          {number.format(MOST_ROWS)}
        </span>
      )}
      {view.missed > 0 && (
        <strong className={classes.missed}>
          {number.format(view.missed)} not shown: this page was too slow
        </strong>
      )}
    </footer>
  );
}

function isoOf(at: number): string {
  return new Date(at).toISOString();
}

/** Rows that have come since the view was held. */
function arrived(held: View, live: View): number {
  return live.rows.length + live.forgotten - held.rows.length - held.forgotten;
}
