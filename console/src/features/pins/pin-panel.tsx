import { Button, Group, Switch } from '@mantine/core';
import { useSuspenseQuery } from '@tanstack/react-query';
import { useNavigate, useParams } from '@tanstack/react-router';
import { type ReactNode, useState } from 'react';

import { Code } from '@/ui/code';
import { Section } from '@/ui/page';
import { Facts, Panel } from '@/ui/panel';
import { Exact } from '@/ui/time';
import { showTrouble } from '@/ui/toast';
import { Stale } from '@/ui/trouble';
import { Visible } from '@/ui/visible';
import classes from './pin-panel.module.css';
import {
  type Deed,
  type Difference,
  KIND_WORDS,
  type PinDetail,
  pinQuery,
  useDecision,
} from './queries';

/** One definition: in what it differs from what was approved last, and the decision about it. */
export function PinPanel() {
  const params = useParams({ from: '/app/workspaces/$workspace/pins/$pin' });
  const { workspace, pin: id } = params;
  const navigate = useNavigate({ from: '/workspaces/$workspace/pins/$pin' });
  const { data: detail, error, dataUpdatedAt } = useSuspenseQuery(pinQuery(workspace, id));
  const { pin } = detail;
  const close = () =>
    void navigate({ to: '/workspaces/$workspace/pins', params, search: (old) => old });
  return (
    <Panel
      key={pin.id}
      title={<Visible text={pin.name} />}
      label={`${KIND_WORDS[pin.kind] ?? pin.kind} of ${pin.server}`}
      onClose={close}
    >
      <Stale error={error} since={dataUpdatedAt} />
      <Decision workspace={workspace} detail={detail} onDone={close} />
      <Facts facts={facts(detail)} />
      <Section title={detail.base ? 'What has changed' : 'What it says'}>
        {detail.differences.map((it) => (
          <Change key={it.path} difference={it} />
        ))}
      </Section>
      {detail.base && detail.definition && (
        <Section title="The whole definition">
          <Code text={detail.definition} what="definition" />
        </Section>
      )}
    </Panel>
  );
}

interface DecisionProps {
  workspace: string;
  detail: PinDetail;
  onDone: () => void;
}

/** Never optimistic: it is decided when the gateway says so. */
function Decision({ workspace, detail: { pin, definition, replaced_by }, onDone }: DecisionProps) {
  const decision = useDecision(workspace, pin);
  const [evenIfReplaced, setEvenIfReplaced] = useState(false);
  const decide = (deed: Deed) =>
    decision.mutate(
      { deed, evenIfReplaced },
      {
        onSuccess: onDone,
        onError: (error) => showTrouble(`The definition could not be ${deed}d`, error),
      },
    );
  const why = definition ? undefined : 'It is not kept here, so nobody can look at it.';
  return (
    <div className={classes.decision}>
      {replaced_by && (
        <>
          <p className={classes.replaced}>
            The server has listed something else under this name since.
          </p>
          <Switch
            label="Approve it even so: the server shows different people different definitions"
            checked={evenIfReplaced}
            onChange={(event) => setEvenIfReplaced(event.currentTarget.checked)}
          />
        </>
      )}
      <Group gap="xs">
        {pin.state !== 'approved' && (
          <Button
            size="xs"
            loading={decision.isPending}
            disabled={!definition || (Boolean(replaced_by) && !evenIfReplaced)}
            title={why}
            onClick={() => decide('approve')}
          >
            Approve
          </Button>
        )}
        {pin.state !== 'rejected' && (
          <Button
            size="xs"
            color="red"
            variant="light"
            loading={decision.isPending}
            onClick={() => decide('reject')}
          >
            Reject
          </Button>
        )}
      </Group>
    </div>
  );
}

function facts({ pin }: PinDetail): [string, ReactNode][] {
  const all: [string, ReactNode][] = [
    ['State', pin.state],
    ['Server', pin.server],
    ['Hash', <code key="hash">{pin.hash}</code>],
    ['Size', `${pin.bytes} bytes`],
    ['First seen', <Exact key="first" at={pin.first_seen} />],
  ];
  if (pin.marks.length > 0) all.push(['Hides', pin.marks.join(', ').replaceAll('_', ' ')]);
  if (pin.decided_at) all.push(['Decided', <Exact key="decided" at={pin.decided_at} />]);
  if (pin.decided_by) all.push(['By', <Visible key="by" text={pin.decided_by} />]);
  return all;
}

/** What cannot be seen stands there as escapes, which the gateway has written. */
function Change({ difference: { path, before, after } }: { difference: Difference }) {
  return (
    <div className={classes.change}>
      <div className={classes.path}>
        <Visible text={path} />
      </div>
      {typeof before === 'string' && (
        <del className={classes.before}>
          <Visible text={before} />
        </del>
      )}
      {typeof after === 'string' && (
        <ins className={classes.after}>
          <Visible text={after} />
        </ins>
      )}
    </div>
  );
}
