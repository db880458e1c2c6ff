import { useParams } from '@tanstack/react-router';

import { ThingPage } from '@/features/objects/thing-page';
import { Pill } from '@/ui/pill';
import { Editor } from './editor';
import { POLICIES } from './room';

/** One policy: its text with its tests beside it, and what it would have changed. */
export function PolicyPage() {
  const { policy } = useParams({ from: '/app/workspaces/$workspace/policies/$policy' });
  return (
    <ThingPage
      room={POLICIES}
      name={policy}
      renderState={(it) => (
        <Pill tone={it.enabled ? 'good' : 'calm'}>{it.enabled ? 'Counts' : 'Off'}</Pill>
      )}
      renderOverview={(it, workspace) => <Editor key={it.id} policy={it} workspace={workspace} />}
    />
  );
}
