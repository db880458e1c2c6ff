import { Button, Group, TextInput } from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useState } from 'react';

import { Failure } from '@/api/failure';
import { Code } from '@/ui/code';
import { Trouble } from '@/ui/trouble';
import { asCurl, type Call } from './call';
import classes from './change-dialog.module.css';
import { differences, merge, type Members, withTheirs } from './difference';
import { Differences } from './differences';
import { Meanwhile } from './meanwhile';
import { Reach } from './reach';
import { freshKey, look, send } from './send';
import type { Change } from './use-change';

interface Props {
  workspace: string;
  change: Change;
  onCancel: () => void;
  onDone: (answer: unknown) => void;
}

/** Shows a change before it is made, and makes it. Never optimistic. */
export function ChangeDialog({ workspace, change, onCancel, onDone }: Props) {
  const [typed, setTyped] = useState('');
  const [theirs, setTheirs] = useState<ReadonlySet<string>>(new Set());
  const now = useNow(change);
  const { call, after } = planned(change, now.data?.body, theirs);
  const apply = useApply(call, now.data?.etag, () => void now.refetch());
  const current = now.data?.body ?? change.before;
  const isSeen = change.of === undefined || now.data !== undefined;
  const isNamed = change.nameToType === undefined || typed === change.nameToType;
  const isEmpty =
    call.method === 'patch' && Object.keys(call.body ?? {}).length === 0 && theirs.size > 0;
  return (
    <form
      className={classes.form}
      onSubmit={(event) => {
        event.preventDefault();
        // A form inside of another page's form must not send that one, too.
        event.stopPropagation();
        if (isSeen && isNamed && !isEmpty) apply.mutate(undefined, { onSuccess: onDone });
      }}
    >
      {change.note && <div>{change.note}</div>}
      {change.reach && <Reach workspace={workspace} of={change.reach} />}
      {now.data && change.before && (
        <Meanwhile
          merge={merge(change.before, (change.call.body ?? {}) as Members, now.data.body)}
          theirs={theirs}
          onChoose={setTheirs}
        />
      )}
      {after !== null && <Differences all={differences(current, after)} />}
      {now.error && <Trouble what="It is not known how it is now" error={now.error} />}
      <details className={classes.same}>
        <summary>The same as a command or a request</summary>
        <div className={classes.both}>
          <Code text={change.command} what="command" />
          <Code text={asCurl(call, now.data?.etag)} what="request" />
        </div>
      </details>
      {change.nameToType !== undefined && (
        <TextInput
          label={`To go on, type ${change.nameToType}`}
          autoComplete="off"
          spellCheck={false}
          data-autofocus
          value={typed}
          onChange={(event) => setTyped(event.currentTarget.value)}
        />
      )}
      {apply.error && <Refused error={apply.error} />}
      <Group justify="flex-end" gap={8}>
        <Button variant="default" onClick={onCancel} disabled={apply.isPending}>
          Cancel
        </Button>
        <Button
          type="submit"
          loading={apply.isPending}
          disabled={!isSeen || !isNamed || isEmpty}
          {...(change.nameToType === undefined ? { 'data-autofocus': true } : { color: 'red' })}
        >
          {change.verb}
        </Button>
      </Group>
    </form>
  );
}

/** The thing as it is at this moment, for its entity tag. Asked for anew each time. */
function useNow(change: Change) {
  const of = change.of;
  return useQuery({
    queryKey: ['now', of],
    queryFn: ({ signal }) => look(of ?? '', signal),
    enabled: of !== undefined,
    staleTime: 0,
    gcTime: 0,
  });
}

/** What is sent, and what there is then. */
function planned(change: Change, now: Members | undefined, theirs: ReadonlySet<string>) {
  const { body } = change.call;
  const isPatch = change.call.method === 'patch';
  const mine = isPatch && body ? withTheirs(body as Members, theirs) : body;
  const call: Call = { ...change.call, body: mine };
  if (change.call.shownBody && isPatch) {
    call.shownBody = withTheirs(change.call.shownBody as Members, theirs);
  }
  if (change.after !== undefined) return { call, after: change.after };
  const shown = (call.shownBody ?? mine ?? {}) as Members;
  if (change.call.method === 'delete') return { call, after: null };
  return { call, after: { ...(now ?? change.before), ...shown } };
}

/** One key for one attempt: also where nobody knows what became of it and it is made again. */
function useApply(call: Call, etag: string | undefined, onMismatch: () => void) {
  const [key, setKey] = useState(freshKey);
  return useMutation({
    mutationFn: () => send(call, etag, key),
    onError: (error) => {
      if (!(error instanceof Failure)) return;
      if (error.status !== 0) setKey(freshKey());
      if (error.status === 412) onMismatch();
    },
  });
}

function Refused({ error }: { error: Error }) {
  const isUnknown = error instanceof Failure && error.status === 0;
  if (error instanceof Failure && error.status === 412) {
    return (
      <Trouble what="Nothing was changed: somebody else has changed it meanwhile" error={error} />
    );
  }
  return (
    <Trouble
      what={isUnknown ? 'It is not known whether this was done' : 'Nothing was changed'}
      error={error}
    />
  );
}
