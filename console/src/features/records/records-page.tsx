import { ActionIcon, Button, NativeSelect, Tooltip } from '@mantine/core';
import { useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { useMemo, useState, useSyncExternalStore } from 'react';

import { ArrowDownIcon, PauseIcon, PlayIcon } from '@/ui/icons';
import { Page } from '@/ui/page';
import { Pill } from '@/ui/pill';
import { SearchField } from '@/ui/search-field';
import { Split } from '@/ui/split';
import { Trouble } from '@/ui/trouble';
import { words } from './ends';
import { facetsOf, type Filter, matches } from './filter';
import { RecordList } from './record-list';
import { RecordPanel } from './record-panel';
import { NoRecords } from './no-records';
import classes from './records-page.module.css';
import { Tail, type View } from './tail';
import { MOST_ROWS } from './window';

const FACETS = [
  ['app', 'All apps'],
  ['gateway', 'All gateways'],
  ['server', 'All servers'],
  ['end', 'All ends'],
] as const;

/** The live tail: records as they are written, newest at the bottom. */
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
  const view = held ?? live;
  const shown = useMemo(() => view.rows.filter((row) => matches(row, filter)), [view, filter]);
  const open = record === undefined ? undefined : live.rows.find((row) => row.key === record);
  const setFilter = (change: Filter) =>
    void navigate({ search: (old) => ({ ...old, ...change }), replace: true });
  const close = () => void navigate({ search: (old) => ({ ...old, record: undefined }) });

  const list = (
    <Page
      title="Records"
      isFixed
      aside={<State view={live} isPaused={held !== null} />}
      tools={
        <>
          <Facets view={view} filter={filter} onChange={setFilter} />
          <SearchField
            label="Search records"
            value={filter.q ?? ''}
            onChange={(q) => setFilter({ q: q || undefined })}
          />
          <Button
            variant="default"
            leftSection={held ? <PlayIcon size={14} /> : <PauseIcon size={14} />}
            onClick={() => setHeld(held ? null : live)}
          >
            {held ? 'Resume' : 'Pause'}
          </Button>
        </>
      }
    >
      {live.failure && <Trouble what="The records cannot be followed" error={live.failure} />}
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
        {!isFollowing && held === null && (
          <Tooltip label="Go to the newest and follow">
            <ActionIcon
              className={classes.follow}
              variant="filled"
              size="lg"
              radius="xl"
              aria-label="Follow the newest records"
              onClick={() => setFollowing(true)}
            >
              <ArrowDownIcon />
            </ActionIcon>
          </Tooltip>
        )}
      </div>
      <Footer view={view} shown={shown.length} waiting={held ? arrived(held, live) : 0} />
    </Page>
  );
  return (
    <Split
      list={list}
      panel={
        record === undefined ? null : (
          <RecordPanel key={record} workspace={workspace} row={open} tail={tail} onClose={close} />
        )
      }
    />
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

interface FacetsProps {
  view: View;
  filter: Filter;
  onChange: (change: Filter) => void;
}

function Facets({ view, filter, onChange }: FacetsProps) {
  const facets = facetsOf(view.rows, filter);
  return FACETS.map(([name, all]) => (
    <NativeSelect
      key={name}
      aria-label={`Filter by ${name}`}
      data-active={filter[name] !== undefined || undefined}
      className={classes.facet}
      value={filter[name] ?? ''}
      data={[
        { value: '', label: all },
        ...facets[name].map((value) => ({ value, label: name === 'end' ? words(value) : value })),
      ]}
      onChange={(event) => onChange({ [name]: event.currentTarget.value || undefined })}
    />
  ));
}

function Footer({ view, shown, waiting }: { view: View; shown: number; waiting: number }) {
  const number = new Intl.NumberFormat('en');
  return (
    <footer className={classes.footer}>
      <span>
        {number.format(shown)} of {number.format(view.rows.length)} rows
      </span>
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

/** Rows that have come since the view was held. */
function arrived(held: View, live: View): number {
  return live.rows.length + live.forgotten - held.rows.length - held.forgotten;
}
