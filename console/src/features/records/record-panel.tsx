import { Link } from '@tanstack/react-router';
import { type ReactNode, useEffect } from 'react';

import { Section } from '@/ui/page';
import { Facts, Panel } from '@/ui/panel';
import { Exact, useFace } from '@/ui/time';
import { Visible } from '@/ui/visible';
import { gatesOf } from './decision';
import { End, took } from './ends';
import { type Call, type Entry, type Row, textOf } from './entry';
import { Leaf } from './leaf';
import type { Names } from './names';
import classes from './record-panel.module.css';
import type { Tail } from './tail';

interface Props {
  workspace: string;
  /** Absent where it has left the window, or was never in it. */
  row: Row | undefined;
  /** Among which linked ones are looked for. */
  rows: readonly Row[];
  names: Names;
  tail: Tail;
  onClose: () => void;
}

/** All that the log says about one call or one act, member by member, and how to prove it. */
export function RecordPanel({ workspace, row, rows, names, tail, onClose }: Props) {
  const entries = row ? entriesOf(row) : [];
  useIndexes(tail, entries);
  if (!row || row.type === 'note') {
    return (
      <Panel title="Record" label="Record" onClose={onClose}>
        <p>
          This record is not among the rows of this page. It is in the log: <q>Load older</q> or{' '}
          <code>ostiary record show</code> finds it.
        </p>
      </Panel>
    );
  }
  return (
    <Panel title={<Visible text={row.subject || 'Record'} />} label="Record" onClose={onClose}>
      {row.type === 'call' && (
        <>
          <Facts facts={summary(row)} />
          <Section title="Who">
            <Facts facts={whoOf(row, names)} />
          </Section>
          <Section title="Decision">
            <Decision call={row} />
          </Section>
        </>
      )}
      {entries.map((entry) => (
        <Leaf key={entry.sequence} workspace={workspace} entry={entry} />
      ))}
      {row.type === 'call' && row.outcome === null && (
        <p className={classes.open}>
          There is no outcome yet: the call is under way, or its end is not known.
        </p>
      )}
      <Linked row={row} rows={rows} />
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
      // Without it the page only lacks the proof.
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
    ['Gateway', <Visible key="gateway" text={call.gateway || '–'} />],
    ['Server', <Visible key="server" text={call.server || '–'} />],
    ['End', <End key="end" call={call} />],
    ['Took', took(call.micros) || '–'],
    ...testOf(call),
  ];
}

/** Whose test it is, if it is one. */
function testOf({ testBy }: Call): [string, ReactNode][] {
  return testBy ? [['Test by', <Visible key="test" text={testBy} />]] : [];
}

/** Who calls, for whom, and as whom the server sees it. */
function whoOf(call: Call, names: Names): [string, ReactNode][] {
  const told = call.intent ?? call.outcome;
  const named = (member: string) => {
    const id = textOf(told, member);
    const name = names.get(id);
    return <Visible key={member} text={name ? `${name} (${id})` : id || '–'} />;
  };
  return [
    ['App', <Visible key="app" text={call.app || '–'} />],
    ['On behalf of', named('user')],
    ['App’s owner', named('owner')],
    ['Upstream as', textOf(told, 'identity') ? named('identity') : 'no identity of the gateway’s'],
    ['From', <Visible key="peer" text={textOf(told, 'peer') || '–'} />],
  ];
}

function Decision({ call }: { call: Call }) {
  return (
    <ol className={classes.gates}>
      {gatesOf(call).map(({ name, state, found }) => (
        <li key={name} data-state={state}>
          <strong>{name}</strong>
          <span>
            {STATES[state]}
            <Visible text={found} />
          </span>
        </li>
      ))}
    </ol>
  );
}

const STATES = { passed: '', stopped: 'stopped: ', open: '' };

/** Records of the same act, and what was said within the same call. */
function Linked({ row, rows }: { row: Exclude<Row, { type: 'note' }>; rows: readonly Row[] }) {
  const face = useFace();
  const own = linksOf(row);
  const linked = rows
    .filter((it) => it.type !== 'note' && it.key !== row.key)
    .filter((it) => it.type !== 'note' && linksOf(it).some((link) => own.includes(link)))
    .slice(-MOST_LINKED);
  if (linked.length === 0) return null;
  return (
    <Section title="Linked records">
      <ul className={classes.linked}>
        {linked.map((it) => (
          <li key={it.key}>
            <Link
              from="/workspaces/$workspace/records"
              to="."
              search={(old) => ({ ...old, record: it.key })}
            >
              {face(it.at)}
            </Link>{' '}
            <Visible text={it.type === 'note' ? it.text : it.subject} />
            {it.type === 'act' && ` (${textOf(it.entry, 'phase')})`}
          </li>
        ))}
      </ul>
    </Section>
  );
}

function linksOf(row: Row): string[] {
  if (row.type === 'note') return [];
  const entry = row.type === 'act' ? row.entry : (row.intent ?? row.outcome);
  return ['call', 'within', 'act', 'test'].map((it) => textOf(entry, it)).filter(Boolean);
}

const MOST_LINKED = 20;
