import { Link } from '@tanstack/react-router';
import { memo } from 'react';

import rowLink from '@/ui/row-link.module.css';
import { Visible } from '@/ui/visible';
import { End, took } from './ends';
import type { Act, Call, Row } from './entry';
import classes from './record-list.module.css';

/** One row of the tail. Drawn anew only when its row changes. */
export const RecordRow = memo(function RecordRow({ row, time }: { row: Row; time: string }) {
  if (row.type === 'note') return <NoteCell text={row.text} />;
  return (
    <>
      <span role="cell" data-column="time">
        <Link
          from="/workspaces/$workspace/records"
          to="."
          search={(old) => ({ ...old, record: row.key })}
          className={`${rowLink.link} ${classes.time}`}
          data-row
        >
          {time}
        </Link>
      </span>
      {row.type === 'call' ? <CallCells call={row} /> : <ActCells act={row} />}
    </>
  );
});

function CallCells({ call }: { call: Call }) {
  return (
    <>
      <span role="cell" data-column="app">
        <Visible text={call.app} />
      </span>
      <span role="cell" data-column="gateway">
        <Visible text={call.gateway} />
      </span>
      <span role="cell" data-column="server">
        <Visible text={call.server} />
      </span>
      <span role="cell" data-column="what" className={classes.code}>
        <Visible text={call.subject} />
        {call.testBy && ' (test)'}
      </span>
      <span role="cell" data-column="end">
        <End call={call} />
      </span>
      <span role="cell" data-column="took">
        {took(call.micros)}
      </span>
    </>
  );
}

function ActCells({ act }: { act: Act }) {
  return (
    <>
      <span role="cell" data-column="app">
        <Visible text={act.actor} />
      </span>
      <span role="cell" className={classes.wide}>
        {act.entry.kind}: <Visible text={act.subject} />
      </span>
    </>
  );
}

function NoteCell({ text }: { text: string }) {
  return (
    <span role="cell" className={classes.note}>
      {text}
    </span>
  );
}
