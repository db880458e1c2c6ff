import { Button, Group, Kbd, Switch } from '@mantine/core';
import { useInfiniteQuery, useSuspenseQuery } from '@tanstack/react-query';
import { useNavigate, useParams } from '@tanstack/react-router';
import { type ReactNode, useState } from 'react';

import { useMay } from '@/app/rights';
import { asCurl, callOf } from '@/features/changes/call';
import { Code } from '@/ui/code';
import { Section } from '@/ui/page';
import { Facts, Panel } from '@/ui/panel';
import { Exact } from '@/ui/time';
import { showTrouble } from '@/ui/toast';
import { later, usePlanned } from '@/ui/undo';
import { Stale } from '@/ui/trouble';
import { Visible } from '@/ui/visible';
import { PinDiff } from './pin-diff';
import classes from './pin-panel.module.css';
import {
  type Deed,
  KIND_WORDS,
  type Pin,
  type PinDetail,
  pinQuery,
  pinsQuery,
  useDecision,
} from './queries';
import { textOf } from './spelled';

/** One definition: in what it differs from what was approved last, and the decision about it. */
export function PinPanel() {
  const params = useParams({ from: '/app/workspaces/$workspace/pins/$pin' });
  const { workspace, pin: id } = params;
  const navigate = useNavigate({ from: '/workspaces/$workspace/pins/$pin' });
  const { data: detail, error, dataUpdatedAt } = useSuspenseQuery(pinQuery(workspace, id));
  const { pin } = detail;
  const close = () =>
    void navigate({ to: '/workspaces/$workspace/pins', params, search: (old) => old });
  // The next one that waits, so that one reads on without going back to the list.
  const list = useInfiniteQuery(pinsQuery(workspace, 'pending'));
  const planned = usePlanned();
  const goOn = () => {
    const waiting = list.data?.pages.flatMap((page) => page.items) ?? [];
    const at = waiting.findIndex((it) => it.id === id);
    const others = [...waiting.slice(at + 1), ...waiting.slice(0, Math.max(at, 0))];
    const next = others.find((it) => it.id !== id && !planned.some((one) => one.id === it.id));
    if (pin.state !== 'pending' || !next) return close();
    return void navigate({ params: { workspace, pin: next.id }, search: (old) => old });
  };
  return (
    <Panel
      key={pin.id}
      title={<Visible text={pin.name} />}
      label={`${KIND_WORDS[pin.kind] ?? pin.kind} of ${pin.server}`}
      onClose={close}
    >
      <Stale error={error} since={dataUpdatedAt} />
      <Decision key={pin.id} workspace={workspace} detail={detail} onDone={goOn} />
      <Facts facts={facts(detail)} />
      <Section title={detail.base ? 'What has changed' : 'What it says'}>
        <PinDiff differences={detail.differences} isNew={!detail.base} />
      </Section>
      {detail.base && detail.definition && (
        <Section title="The whole definition">
          <Code text={textOf(detail.definition)} what="definition" />
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

/**
 * Decides about what is shown, by its hash. It is sent when it can no longer be taken back, and it is
 * decided when the gateway says so.
 */
function Decision({ workspace, detail: { pin, definition, replaced_by }, onDone }: DecisionProps) {
  const decide = useDecision(workspace);
  const [evenIfReplaced, setEvenIfReplaced] = useState(false);
  const isPlanned = usePlanned().some((it) => it.id === pin.id);
  const { why: no } = useMay(workspace, 'pins:write', `server/${pin.server}`);
  const plan = (deed: Deed) => {
    const words = deed === 'approve' ? 'is approved' : 'is denied';
    later(pin.id, `${pin.name} of ${pin.server} ${words}`, () => {
      const failed = (error: unknown) =>
        showTrouble(`${pin.name} of ${pin.server} could not be decided`, error);
      decide({ pin: pin.id, hash: pin.hash, deed, evenIfReplaced }).catch(failed);
    });
    onDone();
  };
  const why = definition ? no : 'It is not kept here, so nobody can look at it.';
  const isHeld = Boolean(replaced_by) && !evenIfReplaced;
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
            disabled={why !== undefined || isHeld || isPlanned}
            title={why}
            data-approve
            rightSection={<Kbd size="xs">a</Kbd>}
            onClick={() => plan('approve')}
          >
            Approve
          </Button>
        )}
        {pin.state !== 'rejected' && (
          <Button
            size="xs"
            color="red"
            variant="light"
            disabled={no !== undefined || isPlanned}
            title={no}
            data-deny
            rightSection={<Kbd size="xs">d</Kbd>}
            onClick={() => plan('reject')}
          >
            Deny
          </Button>
        )}
      </Group>
      <details>
        <summary>The same as a command or a request</summary>
        <div className={classes.same}>
          <Code text={commandFor(pin, evenIfReplaced)} what="command" />
          <Code text={asCurl(callFor(workspace, pin, evenIfReplaced))} what="request" />
        </div>
      </details>
    </div>
  );
}

function commandFor({ id, hash }: Pin, evenIfReplaced: boolean): string {
  return `ostiary pin approve ${id} ${hash}${evenIfReplaced ? ' --even-if-replaced' : ''}`;
}

function callFor(workspace: string, { id, hash }: Pin, evenIfReplaced: boolean) {
  return callOf(
    'post',
    '/api/v1/workspaces/{workspace}/pins/{pin}/approve',
    { workspace, pin: id },
    { hash, ...(evenIfReplaced ? { even_if_replaced: true } : {}) },
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
