import { ThingsPage } from '@/features/objects/things-page';
import { POLICIES } from './room';

/** What takes away from what is granted. */
export function PoliciesPage() {
  return <ThingsPage room={POLICIES} />;
}
