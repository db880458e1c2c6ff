/** Trying the button before it is needed. */
import { Button } from '@mantine/core';

import { useMay } from '@/app/rights';
import { Code } from '@/ui/code';
import { Section } from '@/ui/page';
import { Trouble } from '@/ui/trouble';
import classes from './cutoffs-page.module.css';
import { Outcome } from './outcome';
import { useDrill } from './queries';

export function DrillSection({ workspace }: { workspace: string }) {
  const drill = useDrill(workspace);
  const { why } = useMay(workspace, 'cutoffs:write');
  return (
    <Section title="Drill" note="stops nobody">
      <p>Turns off something that no call can reach, by the path of every cut-off, and on again.</p>
      <div className={classes.drill}>
        <Button
          variant="default"
          size="xs"
          disabled={why !== undefined}
          title={why}
          // Not disabled meanwhile: who works by keyboard would lose the place.
          aria-busy={drill.isPending}
          onClick={() => !drill.isPending && drill.mutate()}
        >
          Try a cut-off
        </Button>
        <Code text="ostiary drill" what="command" />
      </div>
      <div role="status">
        {drill.isPending && <p>Asking every replica…</p>}
        {drill.data && <Outcome held={drill.data} isOn={false} />}
      </div>
      {drill.error && <Trouble what="It could not be tried" error={drill.error} />}
    </Section>
  );
}
