import { ThingsPage } from '@/features/objects/things-page';
import { GRANTS } from './room';

/** Which roles have been given to whom, and for what. */
export function RoleGrantsPage() {
  return <ThingsPage room={GRANTS} />;
}
