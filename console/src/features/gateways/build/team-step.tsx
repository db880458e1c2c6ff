import { Button } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';

import { useMay } from '@/app/rights';
import { useChange } from '@/features/changes/use-change';
import { namesQuery } from '@/features/objects/nouns';
import { Section } from '@/ui/page';
import { Trouble } from '@/ui/trouble';
import { granting } from '../plans';
import type { Gateway } from '../queries';
import classes from './build-page.module.css';

/** Whose members may use the gateway. */
export function TeamStep({ workspace, gateway }: { workspace: string; gateway: Gateway }) {
  const { data, error } = useQuery(namesQuery(workspace, 'teams'));
  const { ask, dialog } = useChange(workspace);
  const { why } = useMay(workspace, 'gateways:write', `gateway/${gateway.name}`);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set(gateway.teams));
  const all = [...new Set([...gateway.teams, ...(data?.names ?? [])])].toSorted();
  const teams = all.filter((it) => chosen.has(it));
  const isSame = teams.join(' ') === gateway.teams.toSorted().join(' ');
  const toggle = (team: string) => {
    const next = new Set(chosen);
    if (!next.delete(team)) next.add(team);
    setChosen(next);
  };
  return (
    <Section title="Teams" note="their members may use this gateway">
      {dialog}
      {error && <Trouble what="Not all teams are shown" error={error} />}
      <fieldset className={classes.checks} aria-label="Teams that may use it">
        {all.map((it) => (
          <label key={it} className={classes.check} data-line>
            <input
              type="checkbox"
              data-row
              data-pick
              checked={chosen.has(it)}
              onChange={() => toggle(it)}
            />
            {it}
          </label>
        ))}
      </fieldset>
      {all.length === 0 && <p className={classes.note}>There is no team yet.</p>}
      <div>
        <Button
          disabled={isSame || why !== undefined}
          title={why}
          onClick={() => ask(granting(workspace, gateway, teams))}
        >
          See the change
        </Button>
      </div>
    </Section>
  );
}
