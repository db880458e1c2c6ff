/** One tool: what its server says of it, its arguments, and the call. */
import { Button } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';

import { asCurl } from '@/features/changes/call';
import { Code } from '@/ui/code';
import { Section } from '@/ui/page';
import { Pill } from '@/ui/pill';
import { Trouble } from '@/ui/trouble';
import { Visible } from '@/ui/visible';
import { ArgumentForm } from './argument-form';
import { type Arguments, parse } from './fields';
import { Outcome } from './outcome';
import classes from './playground-page.module.css';
import { callTool, commandOf, requestOf, type Shown, type Wanted } from './queries';

interface Props {
  wanted: Wanted;
  /** Absent where somebody is not shown it, and may try nevertheless. */
  shown: Shown | undefined;
}

export function ToolCall({ wanted, shown }: Props) {
  const [text, setText] = useState('');
  const read = parse(text);
  const call = useMutation({ mutationFn: (args: Arguments) => callTool(wanted, args) });
  const args = 'args' in read ? read.args : null;
  return (
    <>
      <form
        className={classes.call}
        onSubmit={(event) => {
          event.preventDefault();
          if (args && !call.isPending) call.mutate(args);
        }}
      >
        {shown && <Says of={shown} />}
        <ArgumentForm schema={shown?.input_schema} text={text} onText={setText} />
        <p className={classes.note}>
          This is a real call, with the credentials of {wanted.app}. What the tool changes is
          changed, and it is recorded that it was you.
        </p>
        <Button
          type="submit"
          className={classes.submit}
          disabled={!args}
          title={args ? undefined : 'The arguments are no JSON object'}
          loading={call.isPending}
        >
          Call
        </Button>
      </form>
      <div aria-live="polite" aria-busy={call.isPending}>
        {call.error && <Trouble what="Nothing was called" error={call.error} />}
        {call.data && !call.isPending && <Outcome workspace={wanted.workspace} told={call.data} />}
      </div>
      {args && (
        <Section title="The same from elsewhere">
          <Code text={commandOf(wanted, args)} what="command" />
          <Code text={asCurl(requestOf(wanted, args))} what="request" />
        </Section>
      )}
    </>
  );
}

function Says({ of: { said } }: { of: Shown }) {
  const hints = HINTS.filter(([hint]) => said[hint] === true);
  return (
    <div className={classes.says}>
      {said.description && (
        <p>
          <Visible text={said.description} />
        </p>
      )}
      <p className={classes.note}>
        {hints.map(([hint, word, tone]) => (
          <Pill key={hint} tone={tone}>
            {word}
          </Pill>
        ))}
        Its server says so, and nobody vouches for it.
      </p>
    </div>
  );
}

const HINTS = [
  ['read_only_hint', 'only reads', 'calm'],
  ['destructive_hint', 'destroys', 'bad'],
  ['idempotent_hint', 'the same twice', 'calm'],
  ['open_world_hint', 'reaches outside', 'warn'],
] as const;
