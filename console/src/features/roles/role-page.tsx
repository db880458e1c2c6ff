import { useParams } from '@tanstack/react-router';

import { GrantList } from '@/features/objects/grant-list';
import { ThingPage } from '@/features/objects/thing-page';
import { Code } from '@/ui/code';
import { Section } from '@/ui/page';
import { ROLES } from './room';

/** One role: what it allows, and who holds it. */
export function RolePage() {
  const { role } = useParams({ from: '/app/workspaces/$workspace/roles/$role' });
  return (
    <ThingPage
      room={ROLES}
      name={role}
      renderState={(it) => (it.built_in ? 'built in' : undefined)}
      renderOverview={(it) => (
        <Section title="Capabilities" note={`${it.capabilities.length}`}>
          <Code text={it.capabilities.join('\n') || 'none'} what="capabilities" />
        </Section>
      )}
      renderAccess={(it, workspace) => (
        <GrantList workspace={workspace} isMeant={(grant) => grant.role === it.name} />
      )}
    />
  );
}
