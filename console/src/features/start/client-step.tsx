import { Button } from '@mantine/core';
import { useState } from 'react';

import type { Schemas } from '@/api/client';
import { newTokenChange } from '@/features/apps/tokens';
import { useChange } from '@/features/changes/use-change';
import { Ways } from '@/features/connect/ways';
import { Waiting } from '@/features/connect/waiting';
import { Code } from '@/ui/code';
import { Section } from '@/ui/page';
import { Definitions } from './definitions';
import { APP, GATEWAY } from './documents';
import classes from './start-page.module.css';

interface Props {
  workspace: string;
  server: string;
}

/** A token, how clients take it, and what happens when one comes. */
export function ClientStep({ workspace, server }: Props) {
  const { ask, dialog } = useChange(workspace);
  // Kept here alone, until the page is left.
  // Another one each time: the secret of one that was made before is gone.
  const [name] = useState(() => `first-${Date.now().toString(36)}`);
  const [secret, setSecret] = useState<string | null>(null);
  return (
    <div className={classes.all}>
      {dialog}
      <Section title="A token for the client">
        <div className={classes.part}>
          {secret === null ? (
            <>
              <p>The app {APP} presents it, and is known by it.</p>
              <div>
                <Button
                  onClick={() =>
                    ask(newTokenChange(workspace, { kind: 'app', name: APP }, name, 90), (answer) =>
                      setSecret((answer as Schemas['CreatedToken']).secret),
                    )
                  }
                >
                  Make a token
                </Button>
              </div>
            </>
          ) : (
            <>
              <p>Copy it now: it is kept nowhere, here or at the gateway.</p>
              <Code text={secret} what="token" />
            </>
          )}
        </div>
      </Section>
      <Waiting key={GATEWAY} workspace={workspace} gateway={GATEWAY} />
      <Definitions workspace={workspace} server={server} />
      <Ways workspace={workspace} gateway={GATEWAY} />
    </div>
  );
}
