import { Button, TextInput } from '@mantine/core';
import { useState } from 'react';

import { useMay } from '@/app/rights';
import { callOf, command } from '@/features/changes/call';
import { type Change, useChange } from '@/features/changes/use-change';
import { Section } from '@/ui/page';
import classes from './settings-page.module.css';

/** What was recorded on a day can be made unreadable; that it was recorded stays, with its proof. */
export function RecordedContent({ workspace }: { workspace: string }) {
  const { ask, dialog } = useChange(workspace);
  const { why } = useMay(workspace, 'records:erase');
  const [day, setDay] = useState('');
  return (
    <Section title="Recorded content">
      {dialog}
      <p>
        Erasing a day (UTC) makes what its calls held, and what acts changed, unreadable for good
        and everywhere. The records and their proofs stay.
      </p>
      <form
        className={classes.line}
        onSubmit={(event) => {
          event.preventDefault();
          ask(erasure(workspace, day), () => setDay(''));
        }}
      >
        <TextInput
          type="date"
          label="Day"
          required
          withAsterisk={false}
          value={day}
          onChange={(event) => setDay(event.currentTarget.value)}
        />
        <Button type="submit" variant="default" disabled={why !== undefined} title={why}>
          Erase…
        </Button>
      </form>
    </Section>
  );
}

function erasure(workspace: string, day: string): Change {
  const path = '/api/v1/workspaces/{workspace}/records/content/{day}';
  return {
    title: `Erase what was recorded on ${day}?`,
    verb: `Erase ${day}`,
    call: callOf('delete', path, { workspace, day }),
    command: command(['record', 'erase', day]),
    before: null,
    after: null,
    nameToType: day,
    note: <p>Nobody can take this back, whoever holds the keys.</p>,
  };
}
