/** What holds for a workspace as a whole, and who stands above all of them. */
import { useQuery } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';

import { sessionQuery } from '@/features/session/queries';
import { Page } from '@/ui/page';
import { Accounts, AdminTokens, Workspaces } from './installation';
import { RecordedContent } from './recorded-content';
import { WorkspaceSettings } from './workspace-settings';
import classes from './settings-page.module.css';

export function SettingsPage() {
  const { workspace } = useParams({ from: '/app/workspaces/$workspace/settings' });
  const { data: session } = useQuery(sessionQuery);
  const isInstallation = session !== undefined && !session.user;
  return (
    <Page title="Settings">
      <div className={classes.all}>
        <WorkspaceSettings workspace={workspace} />
        <RecordedContent workspace={workspace} />
        {isInstallation && (
          <>
            <Workspaces workspace={workspace} />
            <Accounts workspace={workspace} />
            <AdminTokens workspace={workspace} />
          </>
        )}
      </div>
    </Page>
  );
}
