/**
 * Turning anything off, from one page, at once.
 *
 * It needs names and nothing else, and a name can be typed where even those cannot be fetched, so
 * that it works while everything else is broken. What is turned off is turned on again just as
 * quickly, so nothing is asked first; who wants to know before what it stops looks first.
 */
import { Button, NativeSelect, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { useState } from 'react';

import { Page, Section } from '@/ui/page';
import { SearchField } from '@/ui/search-field';
import { Trouble } from '@/ui/trouble';
import { CutoffDialog, LIMITS, type Order, REASON_CHARS, toCutoff } from './cutoff-dialog';
import classes from './cutoffs-page.module.css';
import { DrillSection } from './drill';
import { InForce } from './in-force';
import { Outcome } from './outcome';
import { cutoffsQuery, type Target, type Turn, useTurnAny } from './queries';
import { ByName, Scopes } from './scopes';

const HERE = '/app/workspaces/$workspace/cutoffs';

export function CutoffsPage() {
  const { workspace } = useParams({ from: HERE });
  const { q, kind, name } = useSearch({ from: HERE });
  const navigate = useNavigate({ from: '/workspaces/$workspace/cutoffs' });
  const [order, setOrder] = useState<Order>({ reason: '', limit: '' });
  const [restored, setRestored] = useState<Target | null>(null);
  const inForce = useQuery(cutoffsQuery(workspace));
  const turning = useTurnAny(workspace);
  const asked = kind && name ? { kind, name } : null;
  const ask = (it: Target | null) =>
    void navigate({ search: (old) => ({ ...old, kind: it?.kind, name: it?.name }), replace: true });
  const close = () => {
    ask(null);
    setRestored(null);
  };
  const turn = (target: Target, wanted: Turn) =>
    turning.mutate({ target, turn: wanted }, { onSettled: close });
  const stop = (target: Target) => turn(target, toCutoff(order));
  const last = turning.data && turning.variables;
  return (
    <Page
      title="Cut-offs"
      aside={inForce.data && `${inForce.data.items.length} in force`}
      tools={
        <SearchField
          label="Search what can be turned off"
          value={q ?? ''}
          onChange={(q) =>
            void navigate({ search: (old) => ({ ...old, q: q || undefined }), replace: true })
          }
        />
      }
    >
      <div aria-live="assertive" className={classes.outcome}>
        {turning.isPending && <p>Asking every replica…</p>}
        {last && turning.data && (
          <div className={classes.done}>
            <p>
              <strong>
                {last.target.kind} {last.target.name}
              </strong>{' '}
              is {last.turn === null ? 'on again' : 'off'}.{' '}
              {last.turn !== null && (
                <Button size="compact-xs" variant="default" onClick={() => turn(last.target, null)}>
                  Turn {last.target.name} on again
                </Button>
              )}
            </p>
            <Outcome held={turning.data} isOn={last.turn === null} />
          </div>
        )}
        {turning.error && <Trouble what="It is not turned off or on" error={turning.error} />}
      </div>
      <Section title="Turn off" note="at once, everywhere; nothing is deleted">
        <div className={classes.order}>
          <TextInput
            label="Reason"
            description="Shown to whoever is stopped"
            maxLength={REASON_CHARS}
            value={order.reason}
            onChange={(event) => setOrder({ ...order, reason: event.currentTarget.value })}
          />
          <NativeSelect
            label="For"
            description="Then it turns on by itself"
            data={LIMITS}
            value={order.limit}
            onChange={(event) => setOrder({ ...order, limit: event.currentTarget.value })}
          />
        </div>
        <Scopes
          workspace={workspace}
          wanted={q ?? ''}
          off={inForce.data?.items ?? []}
          isPending={turning.isPending}
          onStop={stop}
          onLook={ask}
        />
      </Section>
      <ByName onStop={stop} onLook={ask} isPending={turning.isPending} />
      <DrillSection workspace={workspace} />
      <InForce found={inForce} onRestore={setRestored} />
      <CutoffDialog
        key={asked ? `${asked.kind} ${asked.name}` : 'restored'}
        opened={asked !== null || restored !== null}
        order={order}
        target={asked ?? restored ?? NOTHING}
        isOn={restored === null}
        isPending={turning.isPending}
        workspace={workspace}
        onConfirm={(wanted) => turn(asked ?? restored ?? NOTHING, wanted)}
        onClose={close}
      />
    </Page>
  );
}

const NOTHING: Target = { kind: 'server', name: '' };
