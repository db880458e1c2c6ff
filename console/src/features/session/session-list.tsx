import { Button, Group } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';

import { Ago } from '@/ui/time';
import { Trouble } from '@/ui/trouble';
import { Visible } from '@/ui/visible';
import { formClass } from './card';
import { ownSessionsQuery, useEndSession } from './queries';

/** Where one is signed in. */
export function Sessions() {
  const { data, error } = useQuery(ownSessionsQuery);
  const end = useEndSession();
  const items = data?.items ?? [];
  return (
    <section className={formClass} aria-label="Sessions">
      <h2>Sessions</h2>
      {error && <Trouble what="The sessions could not be loaded" error={error} />}
      {items.map((it) => (
        <Group key={it.id} justify="space-between" wrap="nowrap">
          <span>
            <Visible text={it.device || 'An unnamed device'} />
            {it.address && ` at ${it.address}`}, begun <Ago at={it.created_at} />, used{' '}
            <Ago at={it.used_at} />
          </span>
          {it.is_current ? (
            <strong>This one</strong>
          ) : (
            <Button
              variant="default"
              size="compact-sm"
              loading={end.isPending && end.variables === it.id}
              onClick={() => end.mutate(it.id)}
            >
              End
            </Button>
          )}
        </Group>
      ))}
      {end.error && <Trouble what="The session was not ended" error={end.error} />}
      {items.length > 1 && (
        <Button
          variant="default"
          loading={end.isPending && end.variables === null}
          onClick={() => end.mutate(null)}
        >
          End all others
        </Button>
      )}
    </section>
  );
}
