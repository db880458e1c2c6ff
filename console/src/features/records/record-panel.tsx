import { Button } from '@mantine/core';
import { type ReactNode, useEffect } from 'react';

import { Section } from '@/ui/page';
import { Facts, Panel } from '@/ui/panel';
import { Copy } from '@/ui/copy';
import { DownloadIcon } from '@/ui/icons';
import { Exact } from '@/ui/time';
import { Visible } from '@/ui/visible';
import { End, took } from './ends';
import type { Call, Entry, Row } from './entry';
import classes from './record-panel.module.css';
import type { Tail } from './tail';

interface Props {
  workspace: string;
  /** Absent where it has left the window, or was never in it. */
  row: Row | undefined;
  tail: Tail;
  onClose: () => void;
}

/** All that the log says about one call or one act, member by member. */
export function RecordPanel({ workspace, row, tail, onClose }: Props) {
  const entries = row ? entriesOf(row) : [];
  useIndexes(tail, entries);
  if (!row || row.type === 'note') {
    return (
      <Panel title="Record" label="Record" onClose={onClose}>
        <p>
          This record is not among the rows of this page. It is in the log:{' '}
          <code>ostiary audit verify</code> finds it.
        </p>
      </Panel>
    );
  }
  return (
    <Panel title={<Visible text={row.subject || 'Record'} />} label="Record" onClose={onClose}>
      {row.type === 'call' && <Facts facts={summary(row)} />}
      {entries.map((entry) => (
        <Leaf key={entry.sequence} workspace={workspace} entry={entry} />
      ))}
      {row.type === 'call' && row.outcome === null && (
        <p className={classes.open}>
          There is no outcome yet: the call is under way, or its end is not known.
        </p>
      )}
    </Panel>
  );
}

function entriesOf(row: Row): Entry[] {
  if (row.type === 'note') return [];
  const entries = row.type === 'act' ? [row.entry] : [row.intent, row.outcome];
  return entries.filter((it) => it !== null);
}

/** A record gets its place in the log a moment after it is written; then it can be proved. */
function useIndexes(tail: Tail, entries: Entry[]) {
  const wanted = entries.find((it) => it.index === null)?.sequence;
  useEffect(() => {
    if (wanted === undefined) return;
    const stop = new AbortController();
    const timer = setTimeout(() => {
      // Without it the page only lacks the link to the proof.
      tail.learnIndex(wanted, stop.signal).catch(() => undefined);
    }, INDEX_AFTER_MS);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [tail, wanted]);
}

/** The log's tree grows five times a second. */
const INDEX_AFTER_MS = 500;

function summary(call: Call): [string, ReactNode][] {
  return [
    ['When', <Exact key="when" at={new Date(call.at).toISOString()} />],
    ['App', <Visible key="app" text={call.app || '–'} />],
    ['Gateway', <Visible key="gateway" text={call.gateway || '–'} />],
    ['Server', <Visible key="server" text={call.server || '–'} />],
    ['End', <End key="end" call={call} />],
    ['Took', took(call.micros) || '–'],
  ];
}

function Leaf({ workspace, entry }: { workspace: string; entry: Entry }) {
  const text = JSON.stringify(Object.fromEntries(entry.members));
  return (
    <Section
      title={TITLES[entry.kind] ?? entry.kind}
      note={<Exact at={new Date(entry.at).toISOString()} />}
    >
      <div className={classes.leaf}>
        <dl>
          {entry.members.map(([name, value]) => (
            <div key={name} className={classes.member}>
              <dt>
                <Visible text={name} />
              </dt>
              <dd data-type={typeof value}>
                <Visible text={typeof value === 'string' ? value : JSON.stringify(value)} />
              </dd>
            </div>
          ))}
        </dl>
        <footer className={classes.foot}>
          <span>
            sequence {entry.sequence}, index {entry.index ?? 'not known yet'}
            {entry.isClockSuspect && ', the clock went back'}
          </span>
          <Copy text={text} what="record as JSON" />
          {entry.index !== null && (
            <Button
              component="a"
              variant="default"
              size="compact-xs"
              leftSection={<DownloadIcon size={13} />}
              href={`/api/v1/workspaces/${encodeURIComponent(workspace)}/records/${entry.index}/proof`}
              download={`${workspace}-${entry.index}.tlog-proof`}
            >
              Proof
            </Button>
          )}
        </footer>
      </div>
    </Section>
  );
}

const TITLES: Partial<Record<string, string>> = {
  admin: 'Administrative act',
  intent: 'Intent',
  outcome: 'Outcome',
  system: 'System',
};
