/** What somebody has in a workspace, for themselves: made for a phone as for a desk. */
import { useQuery } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';

import { sessionQuery } from '@/features/session/queries';
import { Page, Section } from '@/ui/page';
import { Activity } from './activity';
import { OwnApps, OwnIdentities } from './belongings';
import { OwnGateways } from './gateways';
import classes from './portal.module.css';

const HERE = '/app/workspaces/$workspace/me';

export function PortalPage() {
  const { workspace } = useParams({ from: HERE });
  const { data: session } = useQuery(sessionQuery);
  return (
    <Page title="You" aside={session?.user?.name}>
      <OwnGateways workspace={workspace} />
      <Activity workspace={workspace} />
      <OwnIdentities workspace={workspace} />
      <OwnApps workspace={workspace} />
      <Section title="How you sign in">
        <p className={classes.note}>
          Your password, your passkeys, and where you are signed in. Whoever has lost all of it asks
          an administrator for a new way in.
        </p>
        <div>
          <Link to="/account" className={classes.link}>
            Your account
          </Link>
        </div>
      </Section>
    </Page>
  );
}
