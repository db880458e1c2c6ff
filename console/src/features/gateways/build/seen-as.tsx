import { NativeSelect } from '@mantine/core';

import { ConnectionList } from '@/features/connections/connection-list';
import classes from './build-page.module.css';

export interface Seen {
  /** Whose lists are looked at; empty where nobody is connected. */
  app: string;
  apps: string[];
  onApp: (app: string) => void;
}

/** Whose client looks: what servers list may differ from one person to the next. */
export function SeenAs({ app, apps, onApp }: Seen) {
  return (
    <NativeSelect
      label="As the client of"
      data={apps}
      value={app}
      onChange={(event) => onApp(event.currentTarget.value)}
    />
  );
}

/** Servers are listed for somebody, so that somebody must be connected. */
export function NobodySees({ workspace, gateway }: { workspace: string; gateway: string }) {
  return (
    <>
      <p className={classes.note}>
        What servers list is asked for with somebody’s credentials. Connect an app to see it here.
      </p>
      <ConnectionList workspace={workspace} of={{ gateway }} connections={[]} />
    </>
  );
}
