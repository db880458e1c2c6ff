import { ThingsPage } from '@/features/objects/things-page';
import { ROLES } from './room';

/** The sets of capabilities that can be granted. */
export function RolesPage() {
  return <ThingsPage room={ROLES} />;
}
