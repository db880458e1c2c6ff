import { ThingsPage } from '@/features/objects/things-page';
import { USERS } from './room';

/** The people of a workspace. */
export function UsersPage() {
  return <ThingsPage room={USERS} />;
}
